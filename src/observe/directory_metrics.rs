//! `gatepost_directory_*`: what a directory tells of itself while it works.

use std::any::Any;
use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::{Gauge, Histogram};
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::directory::meter::{Kept, LookupResult, Meter, Operation};

/// Counts for a directory by LDAP; a directory file has no such work, and these stay at 0.
pub struct DirectoryMetrics {
    lookups: [IntCounter; LookupResult::ALL.len()],
    durations: [Histogram; Operation::ALL.len()],
    server_up: IntGaugeVec,
    entries: [IntGauge; Kept::ALL.len()],
    stale_age: Gauge,
}

impl DirectoryMetrics {
    pub(super) fn new(registry: &Registry) -> Arc<Self> {
        let lookups = IntCounterVec::new(
            Opts::new(
                "directory_lookups_total",
                "Lookups of logins and recipients, by where the answer came from; error and timeout: there was none.",
            ),
            &["result"],
        )
        .expect("a valid metric");
        // From a search on a warm connection (0.1 ms) to a listing.
        let buckets =
            vec![0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 30.0];
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "directory_request_duration_seconds",
                "Time of one request to a directory server; connect is TCP, TLS and bind.",
            )
            .buckets(buckets),
            &["operation"],
        )
        .expect("a valid metric");
        let server_up = IntGaugeVec::new(
            Opts::new("directory_server_up", "1 when the directory server answers, else 0."),
            &["server"],
        )
        .expect("a valid metric");
        let entries =
            IntGaugeVec::new(Opts::new("directory_cache_entries", "Answers kept."), &["kept"])
                .expect("a valid metric");
        let stale_age = Gauge::new(
            "directory_stale_age_seconds",
            "Age of the oldest answer served of late beyond its freshness; 0 while the directory answers.",
        )
        .expect("a valid metric");
        let families: [Box<dyn prometheus::core::Collector>; 5] = [
            Box::new(lookups.clone()),
            Box::new(durations.clone()),
            Box::new(server_up.clone()),
            Box::new(entries.clone()),
            Box::new(stale_age.clone()),
        ];
        for family in families {
            registry.register(family).expect("a new name");
        }
        Arc::new(Self {
            lookups: LookupResult::ALL.map(|result| lookups.with_label_values(&[result.as_str()])),
            durations: Operation::ALL
                .map(|operation| durations.with_label_values(&[operation.as_str()])),
            server_up,
            entries: Kept::ALL.map(|kept| entries.with_label_values(&[kept.as_str()])),
            stale_age,
        })
    }

    /// There are servers, and none of them answers.
    pub fn is_silent(&self) -> bool {
        let families = self.server_up.collect();
        let mut up = families.iter().flat_map(|family| family.get_metric()).peekable();
        up.peek().is_some() && up.all(|server| server.get_gauge().get_value() < 0.5)
    }
}

impl Meter for DirectoryMetrics {
    fn lookup(&self, result: LookupResult) {
        self.lookups[result as usize].inc();
    }

    fn request(&self, operation: Operation) -> Box<dyn Any + Send> {
        Box::new(self.durations[operation as usize].start_timer())
    }

    fn server_up(&self, server: &str, up: bool) {
        self.server_up.with_label_values(&[server]).set(i64::from(up));
    }

    fn entries(&self, kept: Kept, number: u64) {
        self.entries[kept as usize].set(i64::try_from(number).unwrap_or(i64::MAX));
    }

    fn stale_age_ms(&self, age_ms: u64) {
        self.stale_age.set(age_ms as f64 / 1000.0);
    }
}
