//! The seam where decisions become metrics, log lines and a memory of recent ones. No other room
//! counts, and this one changes nothing.

mod action_metrics;
mod decision_log;
mod detection_metrics;
mod directory_metrics;
mod families;
mod hold_metrics;
mod happenings;
mod metrics;
mod recent;
mod store_metrics;
mod suspension_metrics;

use std::time::Duration;

use crate::decision::Paths;
use crate::engine::{Judged, WiringFault, is_untracked};
use crate::mail::Login;

pub use action_metrics::{ActionMetrics, ActionResult};
pub use detection_metrics::DetectionMetrics;
pub use directory_metrics::DirectoryMetrics;
pub use hold_metrics::HoldMetrics;
pub use metrics::{Metrics, Turned};
pub use recent::{OBJECTIONS, PASSES, Recent};
pub use store_metrics::StoreMetrics;
pub use suspension_metrics::{ACCOUNT_STATES, SuspensionMetrics};

/// Which decisions get a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoggedDecisions {
    None,
    /// Refusals, and what a check or listener in observe mode would have refused.
    Refusals,
    All,
}

/// Told of every decision.
pub struct Observer {
    pub metrics: Metrics,
    pub recent: Recent,
    logged: LoggedDecisions,
}

impl Observer {
    pub fn new(logged: LoggedDecisions) -> Self {
        Self { metrics: Metrics::new(), recent: Recent::default(), logged }
    }

    /// Counts, logs and remembers a decision that took this long.
    pub fn decided(&self, judged: Judged, took: Duration) {
        self.metrics.decided(&judged, took);
        self.happened(&judged.happened);
        warn_of_quota(&judged);
        self.metrics.detection.wired(&judged);
        warn_of_wiring(&judged);
        warn_of_untracked(&judged);
        let objects =
            judged.decision.reason.is_some() || judged.decision.observed().next().is_some();
        let least = if objects { LoggedDecisions::Refusals } else { LoggedDecisions::All };
        if self.logged >= least {
            decision_log::write(&judged, took);
        }
        // The id of a pass that was not logged is known to nobody.
        if objects || self.logged == LoggedDecisions::All {
            self.recent.keep(judged, objects);
        }
    }
}

/// Somebody has used up four fifths of a limit.
fn warn_of_quota(judged: &Judged) {
    let Some(quota) = judged.decision.quota.as_ref().filter(|_| judged.charged.is_some()) else {
        return;
    };
    for watched in quota.verdict.watched.iter().filter(|watched| watched.is_new) {
        let login = judged.facts.login.as_ref().map(Login::raw);
        let used = watched.told(&judged.rules, &Paths::new());
        tracing::warn!(id = %judged.case().id(), login, used, "a quota is nearly used up");
    }
}

/// The mail server does not ask as it was told to.
fn warn_of_wiring(judged: &Judged) {
    let mta = &*judged.listener.mta;
    match judged.wiring {
        None => {}
        Some(WiringFault::NeverCharged) => tracing::warn!(
            mta,
            "the last 100 messages were asked about at RCPT and none at the charging stage: nothing is charged; see charge-at"
        ),
        Some(WiringFault::UnseenRecipients(recipients)) => tracing::info!(
            mta,
            recipients,
            id = %judged.case().id(),
            "recipients of a message were not asked about at RCPT, and count as strangers"
        ),
    }
}

/// A message is on hold, and gatepost cannot let it go.
fn warn_of_untracked(judged: &Judged) {
    if is_untracked(judged) {
        let (mta, id) = (&*judged.listener.mta, judged.case().id());
        let login = judged.facts.login.as_ref().map(Login::raw);
        tracing::warn!(%id, mta, login, "a message is held that gatepost cannot find again: look for it in the mail server's hold queue");
    }
}
