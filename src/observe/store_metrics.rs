//! `gatepost_store_*`: whether the store works, how long it takes, and how often it fails.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus::{Histogram, IntCounter, IntGauge, Registry};

use crate::observe::families::{counters, gauge, histograms};
use crate::store::StoreFault;
use crate::store::meter::{Call, Meter};

/// What was written behind is no call of anybody.
const COMMIT: &str = "commit";

/// From a record in memory (microseconds) over a commit (milliseconds) to a store nobody can wait for.
const SECONDS: [f64; 12] =
    [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// Handles resolved once.
pub struct StoreMetrics {
    up: IntGauge,
    durations: [Histogram; Call::ALL.len()],
    errors: [IntCounter; Call::ALL.len()],
    commit_errors: IntCounter,
    /// The last operation was not refused for want of a store.
    answers: AtomicBool,
    /// The last commit came to disk. Apart, since a store that cannot write still answers from memory.
    lands: AtomicBool,
}

impl StoreMetrics {
    pub(super) fn new(registry: &Registry) -> Arc<Self> {
        let durations = histograms(
            registry,
            "store_operation_duration_seconds",
            "Time of one operation of the store, by operation.",
            &SECONDS,
            &["operation"],
        );
        let errors = counters(
            registry,
            "store_errors_total",
            "Operations the store failed at, and commits that failed.",
            &["operation"],
        );
        Arc::new(Self {
            up: gauge(registry, "store_up", "1 while the store works, else 0."),
            durations: Call::ALL.map(|call| durations.with_label_values(&[call.as_str()])),
            errors: Call::ALL.map(|call| errors.with_label_values(&[call.as_str()])),
            commit_errors: errors.with_label_values(&[COMMIT]),
            answers: AtomicBool::new(true),
            lands: AtomicBool::new(true),
        })
    }

    /// The store was opened.
    pub fn opened(&self) {
        self.show();
    }

    /// What was written behind came to disk, or did not.
    pub fn committed(&self, landed: bool) {
        if !landed {
            self.commit_errors.inc();
        }
        self.lands.store(landed, Ordering::Relaxed);
        self.show();
    }

    fn show(&self) {
        let is_up = self.answers.load(Ordering::Relaxed) && self.lands.load(Ordering::Relaxed);
        self.up.set(i64::from(is_up));
    }
}

impl Meter for StoreMetrics {
    fn begins(&self, call: Call) -> Box<dyn Any + Send> {
        Box::new(self.durations[call as usize].start_timer())
    }

    fn ended(&self, call: Call, fault: Option<&StoreFault>) {
        if fault.is_some() {
            self.errors[call as usize].inc();
        }
        // A full outbox waits for the actions, not for the store; and a folder that takes no copy is none of it.
        let is_away = matches!(fault, Some(StoreFault::Unavailable(_))) && call != Call::Backup;
        self.answers.store(!is_away, Ordering::Relaxed);
        // Two that show at once may leave the older word; the next operation corrects it.
        if is_away || self.up.get() == 0 {
            self.show();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> StoreFault {
        StoreFault::Unavailable("broken".into())
    }

    #[test]
    fn it_is_down_from_a_failure_until_an_operation_works_again() {
        let metrics = StoreMetrics::new(&Registry::new());
        assert_eq!(metrics.up.get(), 0, "nothing is open yet");
        metrics.opened();
        assert_eq!(metrics.up.get(), 1);
        metrics.ended(Call::Update, Some(&away()));
        assert_eq!(metrics.up.get(), 0);
        metrics.ended(Call::Row, None);
        assert_eq!(metrics.up.get(), 1);
    }

    #[test]
    fn answers_from_memory_do_not_hide_that_nothing_comes_to_disk() {
        let metrics = StoreMetrics::new(&Registry::new());
        metrics.opened();
        metrics.committed(false);
        metrics.ended(Call::Update, Some(&away()));
        metrics.ended(Call::Preview, None);
        assert_eq!(metrics.up.get(), 0);
        metrics.committed(true);
        assert_eq!(metrics.up.get(), 1);
        assert_eq!(metrics.commit_errors.get(), 1);
        assert_eq!(metrics.errors[Call::Update as usize].get(), 1);
    }

    #[test]
    fn a_full_outbox_and_a_failed_backup_are_errors_of_a_store_that_is_up() {
        let metrics = StoreMetrics::new(&Registry::new());
        metrics.opened();
        metrics.ended(Call::Update, Some(&StoreFault::OutboxFull(1)));
        metrics.ended(Call::Backup, Some(&away()));
        assert_eq!(metrics.up.get(), 1);
        assert_eq!(metrics.errors[Call::Update as usize].get(), 1);
        assert_eq!(metrics.errors[Call::Backup as usize].get(), 1);
    }

    #[test]
    fn an_operation_is_timed_until_it_is_over() {
        let metrics = StoreMetrics::new(&Registry::new());
        let time = metrics.begins(Call::Flush);
        let flushes = &metrics.durations[Call::Flush as usize];
        assert_eq!(flushes.get_sample_count(), 0);
        drop(time);
        assert_eq!(flushes.get_sample_count(), 1);
    }
}
