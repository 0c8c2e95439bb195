//! Lets held messages go, or drops them, by the helper of their mail server.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::{Engine, Held, HoldEnd, HoldGrade};
use crate::mail::Timestamp;
use crate::queue::{Handled, Helper, QueueId};
use crate::record::{Deed, Incident};
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
    fn deeds(&self, settled: &[Held], what: &str) -> Vec<Deed> {
        let mut by_account: BTreeMap<&str, Vec<&Held>> = BTreeMap::new();
        for one in settled {
            by_account.entry(&one.account).or_default().push(one);
        }
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

impl LetGo {
    /// The word of the audit.
    const fn deed(self) -> &'static str {
        match self {
            Self::Release => "hold-released",
            Self::Drop => "hold-dropped",
        }
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
            let deeds = by.map_or_else(Vec::new, |by| by.deeds(&settled, how.deed()));
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

/// Envelope senders that a queue is searched for.
const SENDERS: usize = 50;

impl Engine {
    /// Everything of a suspended account that may still be in a queue: the envelopes since its first message, and by
    /// the helpers that list whatever has one of its senders. A helper that does not answer is passed over.
    pub async fn queued(&self, helpers: &Helpers, incident: &Incident, at: Timestamp) -> Vec<Held> {
        let envelopes = incident.envelopes.iter().filter(|one| one.at >= incident.since);
        let mut queued: BTreeMap<(String, QueueId), Held> = BTreeMap::new();
        let mut add = |mta: &str, queue_id: QueueId, since: Timestamp, id: &str| {
            let key = (mta.to_string(), queue_id.clone());
            queued.entry(key).or_insert_with(|| Held {
                mta: mta.into(),
                queue_id,
                account: incident.account.clone(),
                login: incident.login.clone(),
                at: since,
                id: id.into(),
                grade: HoldGrade::Suspend,
                held_by: "person".into(),
                kept: true,
            });
        };
        let mut senders: BTreeSet<&str> = incident.addresses.iter().map(|one| &**one).collect();
        for envelope in envelopes {
            senders.insert(&envelope.sender);
            if let Some(queue_id) = QueueId::parse(&envelope.queue_id) {
                add(&envelope.mta, queue_id, envelope.at, &envelope.id);
            }
        }
        for (mta, helper) in helpers {
            for sender in senders.iter().filter(|sender| !sender.is_empty()).take(SENDERS) {
                let Ok(ids) = helper.list(sender).await else { break };
                ids.into_iter().for_each(|id| add(mta, id, at, &incident.id));
            }
        }
        queued.into_values().collect()
    }

    /// Puts messages on hold until a person lets them go; what became of each.
    pub async fn hold_back(
        &self,
        helpers: &Helpers,
        queued: Vec<Held>,
        by: &Settler<'_>,
    ) -> Result<Vec<(Held, Handled)>, StoreFault> {
        let mut by_mta: BTreeMap<String, Vec<Held>> = BTreeMap::new();
        for one in queued {
            by_mta.entry(one.mta.clone()).or_default().push(one);
        }
        let mut all = Vec::new();
        for (mta, queued) in by_mta {
            let failed = |why: String| vec![Handled::Failed(why); queued.len()];
            let ids: Vec<QueueId> = queued.iter().map(|one| one.queue_id.clone()).collect();
            let handled = match helpers.get(mta.as_str()) {
                None => failed(format!("{mta} has no [[queue]]")),
                Some(helper) => {
                    helper.hold(&ids).await.unwrap_or_else(|fault| failed(fault.to_string()))
                }
            };
            let of_mta: Vec<(Held, Handled)> = queued.into_iter().zip(handled).collect();
            let held = of_mta.iter().filter(|(_, handled)| *handled == Handled::Done);
            let held: Vec<Held> = held.map(|(held, _)| held.clone()).collect();
            let rows = held.iter().map(Held::row);
            let deeds = by.deeds(&held, "hold-imposed");
            self.store.put(rows.chain(deeds.iter().map(Deed::row)).collect()).await?;
            all.extend(of_mta);
        }
        Ok(all)
    }
}
