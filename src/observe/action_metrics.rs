//! `gatepost_actions_*` and what waits: whether those who should hear of an event do.

use std::sync::Arc;

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::action::Kind;
use crate::mail::Timestamp;

/// What came of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionResult {
    Ok,
    /// It is tried again.
    Error,
    /// It is not.
    Dead,
}

const RESULTS: [&str; 3] = ["ok", "error", "dead"];

/// Handles resolved once.
pub struct ActionMetrics {
    done: [[IntCounter; RESULTS.len()]; Kind::ALL.len()],
    succeeded: [IntGauge; Kind::ALL.len()],
    waiting: [IntGauge; Kind::ALL.len()],
    dead: [IntGauge; Kind::ALL.len()],
    outbox: IntGauge,
}

impl ActionMetrics {
    pub(super) fn new(registry: &Registry) -> Arc<Self> {
        let help = "Tries of actions: ok, error when it is tried again, dead when it is not.";
        let done = IntCounterVec::new(Opts::new("actions_total", help), &["kind", "result"])
            .expect("a valid metric");
        registry.register(Box::new(done.clone())).expect("a new name");
        let by_kind = |name: &str, help: &str| {
            let family =
                IntGaugeVec::new(Opts::new(name, help), &["kind"]).expect("a valid metric");
            registry.register(Box::new(family.clone())).expect("a new name");
            Kind::ALL.map(|kind| family.with_label_values(&[kind.as_str()]))
        };
        let outbox = IntGauge::new(
            "outbox_events",
            "Events in the outbox that are not yet on their way, of the first 100.",
        )
        .expect("a valid metric");
        registry.register(Box::new(outbox.clone())).expect("a new name");
        Arc::new(Self {
            done: Kind::ALL
                .map(|kind| RESULTS.map(|result| done.with_label_values(&[kind.as_str(), result]))),
            succeeded: by_kind(
                "action_last_success_timestamp_seconds",
                "Unix time of the last success; 0 before the first.",
            ),
            waiting: by_kind("deliveries_waiting", "Events that wait for an action."),
            dead: by_kind("dead_letters", "Events that an action could not be told of."),
            outbox,
        })
    }

    /// One try of an action; `at` is now.
    pub fn done(&self, kind: Kind, result: ActionResult, at: Timestamp) {
        self.done[kind as usize][result as usize].inc();
        if result == ActionResult::Ok {
            self.succeeded[kind as usize].set(at.unix_ms() / 1000);
        }
    }

    /// What is kept for all actions of a kind.
    pub fn kept(&self, kind: Kind, waiting: usize, dead: usize) {
        self.waiting[kind as usize].set(number(waiting));
        self.dead[kind as usize].set(number(dead));
    }

    pub fn outbox(&self, events: usize) {
        self.outbox.set(number(events));
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
