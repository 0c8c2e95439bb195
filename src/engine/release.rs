//! Lifting a suspension: by a person, who says what it was.

use std::fmt;

use crate::decision::{Case, Listener};
use crate::detector::Test;
use crate::engine::Engine;
use crate::mail::{Facts, Login, Protocol, Stage, Timestamp};
use crate::record::{Change, Record};
use crate::store::StoreFault;
use crate::suspension::Suspension;

/// What a suspension turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseVerdict {
    /// The login was stolen: what the thief taught is forgotten.
    TruePositive,
    /// It was its owner, and may do so again.
    FalsePositive,
    /// It was its owner, who writes to many by trade.
    AuthorisedBulk,
}

impl ReleaseVerdict {
    pub const ALL: [ReleaseVerdict; 3] = [
        ReleaseVerdict::TruePositive,
        ReleaseVerdict::FalsePositive,
        ReleaseVerdict::AuthorisedBulk,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TruePositive => "true-positive",
            Self::FalsePositive => "false-positive",
            Self::AuthorisedBulk => "authorised-bulk",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == word)
    }
}

/// Why nothing was released.
#[derive(Debug, PartialEq, Eq)]
pub enum ReleaseFault {
    NotSuspended,
    Store(StoreFault),
}

impl fmt::Display for ReleaseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSuspended => f.write_str("is not suspended"),
            Self::Store(fault) => write!(f, "cannot be released: {fault}"),
        }
    }
}

impl std::error::Error for ReleaseFault {}

impl Engine {
    /// Lifts the suspension of the login's account and forgives what it sent before; tells which it was. Without `commit`
    /// nothing changes.
    pub async fn release(
        &self,
        login: &Login,
        verdict: ReleaseVerdict,
        commit: bool,
        at: Timestamp,
    ) -> Result<Suspension, ReleaseFault> {
        let rules = self.rules();
        let mut facts = Facts::at_stage(Protocol::PolicyDelegation, Stage::Mail);
        facts.login = Some(login.clone());
        let known = self.gather(&facts, &rules).await;
        let listener = Listener::of_no_socket();
        let case = Case { listener: &listener, facts: &facts, known: &known, rules: &rules };
        let account = case.account_key().ok_or(ReleaseFault::NotSuspended)?;
        let mut lifted = None;
        let mut lift = |record: &Record| {
            lifted = record.in_force(at).cloned();
            match &lifted {
                Some(suspension) => Change::to(released(record, suspension, verdict)),
                None => Change::default(),
            }
        };
        let kept = if commit {
            self.store.update(&account, &mut lift).await
        } else {
            self.store.preview(&account, &mut lift).await
        };
        kept.map_err(ReleaseFault::Store)?;
        lifted.ok_or(ReleaseFault::NotSuspended)
    }
}

fn released(record: &Record, suspension: &Suspension, verdict: ReleaseVerdict) -> Record {
    let mut record = record.clone();
    record.suspension = None;
    match (verdict, suspension.finding.test) {
        (ReleaseVerdict::TruePositive, _) => record.usage.unlearn(),
        (_, Test::Usual(meter)) => {
            record.usage.forgive();
            record.usage.learn_false_alarm(meter, suspension.finding.value);
        }
        _ => record.usage.forgive(),
    }
    record
}
