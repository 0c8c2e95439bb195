//! Lets held messages go, or drops them, by the helper of their mail server.

use std::collections::BTreeMap;

use crate::engine::{Engine, Held, HoldEnd};
use crate::queue::{Handled, Helper, QueueId};
use crate::store::StoreFault;

/// The helpers, by the `mta` of listeners.
pub type Helpers = BTreeMap<Box<str>, Helper>;

/// What a person or the timer wants of messages on hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetGo {
    Release,
    Drop,
}

/// What became of one message, and of a failure the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub held: Held,
    pub end: HoldEnd,
    pub why: String,
}

impl Engine {
    /// In the order of the mail servers. What failed stays on hold; what was done is forgotten at once.
    pub async fn let_go(
        &self,
        helpers: &Helpers,
        held: Vec<Held>,
        how: LetGo,
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
            self.end_holds(&settled).await?;
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
