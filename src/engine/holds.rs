//! Messages on hold: which account's, by what, since when. A row is committed with the charge of its message and
//! ends with its release or drop.

use serde::{Deserialize, Serialize};

use crate::decision::{Because, Case, Decision, Reason};
use crate::detector::Severity;
use crate::engine::suspending::DeedFault;
use crate::engine::{Engine, Judged};
use crate::mail::{AccountKey, Login, Reply, Timestamp};
use crate::queue::QueueId;
use crate::record::{Deed, Row, Table};
use crate::store::{Pages, StoreFault};

/// How long a message waits for a suspension to follow; with none, it was the owner's (docs/detection.md).
pub const HOLD_MS: u64 = 30 * 60 * 1000;

/// By what a message is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldGrade {
    /// A finding that holds.
    Hold,
    /// One that would have suspended: only a person lets go of the message.
    Suspend,
    /// A quota.
    Quota,
}

impl HoldGrade {
    pub const ALL: [HoldGrade; 3] = [HoldGrade::Hold, HoldGrade::Suspend, HoldGrade::Quota];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Suspend => "suspend",
            Self::Quota => "quota",
        }
    }
}

/// A message on hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub mta: String,
    pub queue_id: QueueId,
    pub account: String,
    /// As the client spelt it; empty without one.
    pub login: String,
    pub at: Timestamp,
    /// That of the decision.
    pub id: String,
    pub grade: HoldGrade,
    /// The word of the test, or `quota`.
    pub held_by: String,
    /// A suspension has followed: only a person lets go of it, even when the suspension is lifted.
    pub kept: bool,
}

/// What becomes of a message on hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldEnd {
    Released,
    Dropped,
    /// It was in the queue no longer.
    Gone,
    /// The helper did not do it; it is tried again.
    Failed,
}

impl HoldEnd {
    pub const ALL: [HoldEnd; 4] =
        [HoldEnd::Released, HoldEnd::Dropped, HoldEnd::Gone, HoldEnd::Failed];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Dropped => "dropped",
            Self::Gone => "gone",
            Self::Failed => "failed",
        }
    }
}

impl Held {
    /// The row that goes with a decision which holds its message by finding or quota. `None`: it does not, or it did
    /// so before, or nobody knows the queue id.
    pub(super) fn by(
        case: Case<'_>,
        decision: &Decision,
        account: &AccountKey,
        at: Timestamp,
    ) -> Option<Self> {
        let (grade, held_by) = held_by(decision)?;
        if decision.trail.iter().any(|step| step.because == Because::AnsweredBefore) {
            return None;
        }
        Some(Self {
            mta: case.listener.mta.to_string(),
            queue_id: QueueId::parse(&case.facts.envelope.queue_id)?,
            account: account.as_str().into(),
            login: case.facts.login.as_ref().map_or("", Login::raw).into(),
            at,
            id: case.id().as_str().into(),
            grade,
            held_by: held_by.into(),
            kept: false,
        })
    }

    /// By the timer, where no suspension stands.
    pub fn is_due(&self, at: Timestamp) -> bool {
        self.may_be_due() && at.ms_since(self.at) >= HOLD_MS
    }

    /// Whether the timer may ever release it.
    pub fn may_be_due(&self) -> bool {
        self.grade != HoldGrade::Suspend && !self.kept
    }

    pub fn account(&self) -> AccountKey {
        AccountKey::stored(&self.account)
    }

    fn key(&self) -> String {
        format!("{}/{}", self.mta, self.queue_id)
    }

    pub(super) fn row(&self) -> Row {
        let value = serde_json::to_string(self).expect("text and numbers are JSON");
        Row::put(Table::Holds, &self.key(), value)
    }
}

/// By what a decision holds its message; `None`: it does not, or by the rules of rights, which a person settles.
fn held_by(decision: &Decision) -> Option<(HoldGrade, &'static str)> {
    if !matches!(decision.reply, Reply::Hold(_)) {
        return None;
    }
    match decision.reason? {
        Reason::QuotaExceeded => Some((HoldGrade::Quota, "quota")),
        Reason::Suspected => {
            let finding = decision.found.as_ref().and_then(|found| found.enforced);
            let is_grave = finding.is_some_and(|finding| finding.severity == Severity::Suspend);
            let grade = if is_grave { HoldGrade::Suspend } else { HoldGrade::Hold };
            Some((grade, finding.map_or("unknown", |finding| finding.test.as_str())))
        }
        _ => None,
    }
}

/// Whether a message is held and not remembered, for want of a queue id or a store: nobody but a person who looks into
/// the queue lets it go.
pub fn is_untracked(judged: &Judged) -> bool {
    judged.charged.is_some()
        && held_by(&judged.decision).is_some()
        && (judged.store_fault.is_some()
            || QueueId::parse(&judged.facts.envelope.queue_id).is_none())
}

impl Engine {
    /// Messages on hold, of one account or of all. A row that cannot be read, of a later release, is left out.
    pub async fn holds(&self, account: Option<&AccountKey>) -> Result<Vec<Held>, StoreFault> {
        let mut held = Vec::new();
        let mut pages = Pages::of(&*self.store, Table::Holds);
        while let Some(rows) = pages.next().await? {
            let read =
                rows.iter().filter_map(|(_, value)| serde_json::from_str::<Held>(value).ok());
            held.extend(
                read.filter(|one| account.is_none_or(|account| account.as_str() == one.account)),
            );
        }
        Ok(held)
    }

    /// They are on hold no longer: forgotten, whatever became of them, in one commit with the deeds that ended them.
    pub(super) async fn end_holds(&self, held: &[Held], deeds: &[Deed]) -> Result<(), StoreFault> {
        let ended = held.iter().map(|one| Row::remove(Table::Holds, &one.key()));
        self.store.put(ended.chain(deeds.iter().map(Deed::row)).collect()).await
    }

    /// Only a person lets go of them from now on: a suspension has followed.
    pub async fn keep_holds(&self, held: &[Held]) -> Result<(), StoreFault> {
        let kept = |one: &Held| Held { kept: true, ..one.clone() }.row();
        self.store.put(held.iter().map(kept).collect()).await
    }

    /// Before a suspension is lifted: what it kept waits for a person all the same.
    pub(super) async fn keep_holds_of(&self, account: &AccountKey) -> Result<(), StoreFault> {
        let mut held = self.holds(Some(account)).await?;
        held.retain(Held::may_be_due);
        if held.is_empty() { Ok(()) } else { self.keep_holds(&held).await }
    }

    /// Whether a suspension stands and refuses.
    pub async fn is_suspended(
        &self,
        account: &AccountKey,
        at: Timestamp,
    ) -> Result<bool, StoreFault> {
        let mut is_suspended = false;
        self.look(account, |record| is_suspended = record.suspended(at).is_some()).await?;
        Ok(is_suspended)
    }

    /// Messages on hold of whomever a person means; also those sent while no directory knew the login.
    pub async fn holds_of(&self, name: &str) -> Result<Vec<Held>, DeedFault> {
        let account = self.subject(name).await?.account;
        let unknown = Login::parse(name.as_bytes()).map(|login| AccountKey::unresolved(&login));
        let mut held = self.holds(None).await?;
        let is_one = |key: &AccountKey, one: &Held| key.as_str() == one.account;
        held.retain(|one| is_one(&account, one) || unknown.iter().any(|key| is_one(key, one)));
        Ok(held)
    }
}

/// For the tests of whoever lets them go.
#[cfg(test)]
impl Held {
    pub fn sample(queue_id: &str, grade: HoldGrade, at: Timestamp) -> Self {
        let login = Login::parse(b"alice").expect("a login");
        Self {
            mta: "mx".into(),
            queue_id: QueueId::parse(queue_id).expect("a queue id"),
            account: AccountKey::unresolved(&login).as_str().into(),
            login: "alice".into(),
            at,
            id: "0123456789AB".into(),
            grade,
            held_by: "novel-2m".into(),
            kept: false,
        }
    }

    pub async fn put_in(&self, store: &dyn crate::store::Store) {
        store.put(vec![self.row()]).await.expect("a store that works");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Rules;
    use crate::ledger::HashKey;
    use crate::store::{Memory, PAGE};
    use std::num::NonZeroUsize;
    use std::sync::Arc;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_unix_ms(ms as i64)
    }

    #[test]
    fn a_message_is_due_after_half_an_hour_and_not_a_moment_before() {
        let held = Held::sample("BFD5198E1F2", HoldGrade::Hold, at(1_000));
        assert!(!held.is_due(at(1_000 + HOLD_MS - 1)));
        assert!(held.is_due(at(1_000 + HOLD_MS)));
        assert!(Held::sample("BFD5198E1F2", HoldGrade::Quota, at(0)).is_due(at(HOLD_MS)));
    }

    #[test]
    fn one_of_suspend_grade_or_kept_is_never_due() {
        let grave = Held::sample("BFD5198E1F2", HoldGrade::Suspend, at(0));
        let kept = Held { kept: true, ..Held::sample("BFD5198E1F2", HoldGrade::Hold, at(0)) };
        for held in [grave, kept] {
            assert!(!held.is_due(at(u64::MAX / 4)));
        }
    }

    #[tokio::test]
    async fn rows_are_read_kept_and_ended_across_pages() {
        let store = Arc::new(Memory::new(NonZeroUsize::MIN));
        let engine = Engine::new(None, store.clone(), HashKey::default(), Rules::default());
        let all: Vec<Held> = (0..PAGE + 1)
            .map(|n| Held::sample(&format!("BFD51{n:06X}"), HoldGrade::Hold, at(n as u64)))
            .collect();
        for held in &all {
            held.put_in(&*store).await;
        }
        assert_eq!(engine.holds(None).await.expect("a store"), all);
        engine.keep_holds(&all[..1]).await.expect("a store");
        engine.end_holds(&all[1..], &[]).await.expect("a store");
        let left = engine.holds(Some(&all[0].account())).await.expect("a store");
        assert_eq!(left, [Held { kept: true, ..all[0].clone() }]);
        let other = AccountKey::client("192.0.2.9");
        assert_eq!(engine.holds(Some(&other)).await.expect("a store"), []);
    }
}
