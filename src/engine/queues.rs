//! Lets held messages go, or drops them, by the helper of their mail server.

use std::collections::BTreeMap;

use crate::engine::{Engine, Held, HoldEnd};
use crate::mail::Timestamp;
use crate::queue::{Handled, Helper, QueueId};
use crate::record::Deed;
use crate::store::StoreFault;

/// The helpers, by the `mta` of listeners.
pub type Helpers = BTreeMap<Box<str>, Helper>;

/// What a person or the timer wants of messages on hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetGo {
    Release,
    Drop,
}

/// Who lets messages go, and why.
#[derive(Clone, Copy, Debug)]
pub struct Settler<'a> {
    pub by: &'a str,
    pub note: &'a str,
    pub at: Timestamp,
}

/// Queue ids in the words of a deed.
const IDS_TOLD: usize = 20;

impl Settler<'_> {
    /// One for each account and mail server.
    fn deeds(&self, settled: &[Held], how: LetGo) -> Vec<Deed> {
        let mut by_account: BTreeMap<&str, Vec<&Held>> = BTreeMap::new();
        for one in settled {
            by_account.entry(&one.account).or_default().push(one);
        }
        let what = match how {
            LetGo::Release => "hold-released",
            LetGo::Drop => "hold-dropped",
        };
        let deeds = by_account.into_iter().map(|(account, held)| {
            let ids: Vec<&str> =
                held.iter().take(IDS_TOLD).map(|one| one.queue_id.as_str()).collect();
            let more = held.len().saturating_sub(IDS_TOLD);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            Deed {
                account: Some(account.into()),
                login: held.first().map(|one| one.login.clone()),
                detail: Some(format!("{}: {}{more}", held[0].mta, ids.join(" "))),
                note: Some(self.note.into()),
                ..Deed::new(self.by, what, self.at)
            }
        });
        deeds.collect()
    }
}

/// What became of one message, and of a failure the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub held: Held,
    pub end: HoldEnd,
    pub why: String,
}

impl Engine {
    /// In the order of the mail servers. `by`: the person whose deed it is, for the audit. What failed stays on hold; what was done is forgotten at once.
    pub async fn let_go(
        &self,
        helpers: &Helpers,
        held: Vec<Held>,
        how: LetGo,
        by: Option<&Settler<'_>>,
    ) -> Result<Vec<Ended>, StoreFault> {
        let mut by_mta: BTreeMap<String, Vec<Held>> = BTreeMap::new();
        for one in held {
            by_mta.entry(one.mta.clone()).or_default().push(one);
        }
        let mut ended = Vec::new();
        for (mta, held) in by_mta {
            let handled = ask(helpers.get(mta.as_str()), &mta, &held, how).await;
            let of_mta: Vec<Ended> = held
                .into_iter()
                .zip(handled)
                .map(|(held, one)| Ended::of(held, one, how))
                .collect();
            let settled = of_mta.iter().filter(|one| one.end != HoldEnd::Failed);
            let settled: Vec<Held> = settled.map(|one| one.held.clone()).collect();
            let deeds = by.map_or_else(Vec::new, |by| by.deeds(&settled, how));
            self.end_holds(&settled, &deeds).await?;
            ended.extend(of_mta);
        }
        Ok(ended)
    }
}

async fn ask(helper: Option<&Helper>, mta: &str, held: &[Held], how: LetGo) -> Vec<Handled> {
    let failed = |why: String| vec![Handled::Failed(why); held.len()];
    let Some(helper) = helper else { return failed(format!("{mta} has no [[queue]]")) };
    let ids: Vec<QueueId> = held.iter().map(|one| one.queue_id.clone()).collect();
    let asked = match how {
        LetGo::Release => helper.release(&ids).await,
        LetGo::Drop => helper.drop(&ids).await,
    };
    asked.unwrap_or_else(|fault| failed(fault.to_string()))
}

impl Ended {
    fn of(held: Held, handled: Handled, how: LetGo) -> Self {
        let (end, why) = match (handled, how) {
            (Handled::Done, LetGo::Release) => (HoldEnd::Released, String::new()),
            (Handled::Done, LetGo::Drop) => (HoldEnd::Dropped, String::new()),
            (Handled::Gone, _) => (HoldEnd::Gone, String::new()),
            (Handled::Failed(why), _) => (HoldEnd::Failed, why),
        };
        Self { held, end, why }
    }
}
