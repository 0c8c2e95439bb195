//! `gatepost_*` of messages on hold: how many there are, by what, and how they ended.

use prometheus::{IntCounter, IntGauge, Registry};

use crate::engine::{HoldEnd, HoldGrade, Judged, is_untracked};
use crate::observe::families::{counters, gauges};

/// Handles resolved once.
pub struct HoldMetrics {
    holds: [IntGauge; HoldGrade::ALL.len()],
    ended: [IntCounter; HoldEnd::ALL.len()],
    untracked: IntCounter,
}

impl HoldMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let holds = gauges(registry, "holds", "Messages on hold, by what holds them.", &["grade"]);
        let ended = counters(
            registry,
            "holds_ended_total",
            "Messages on hold, by what became of them; failed: what the helper did not do, and is tried again.",
            &["outcome"],
        );
        let untracked = counters(
            registry,
            "holds_untracked_total",
            "Messages held under a queue id that nobody told.",
            &[],
        );
        Self {
            holds: HoldGrade::ALL.map(|grade| holds.with_label_values(&[grade.as_str()])),
            ended: HoldEnd::ALL.map(|end| ended.with_label_values(&[end.as_str()])),
            untracked: untracked.with_label_values(&[] as &[&str]),
        }
    }

    pub(super) fn decided(&self, judged: &Judged) {
        if is_untracked(judged) {
            self.untracked.inc();
        }
    }

    /// As many messages as there are now.
    pub fn set(&self, grades: impl Iterator<Item = HoldGrade>) {
        let mut counts = [0; HoldGrade::ALL.len()];
        grades.for_each(|grade| counts[grade as usize] += 1);
        for (gauge, count) in self.holds.iter().zip(counts) {
            gauge.set(count);
        }
    }

    pub fn ended(&self, end: HoldEnd) {
        self.ended[end as usize].inc();
    }
}
