//! `gatepost_*` of what accounts send: findings, charges, and who sends most, by rank and never by name.

use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;
use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::detector::{Class, Severity, Test};
use crate::engine::{Judged, WiringFault};
use crate::mail::{AccountKey, Timestamp};
use crate::observe::families::counters;
use crate::rights::Mode;

const MODES: [Mode; 2] = [Mode::Observe, Mode::Enforce];
const CLASSES: [Class; 3] = [Class::Person, Class::Bulk, Class::Client];

/// Ranks shown.
const RANKS: usize = 5;

/// Accounts that may come to a rank; whoever sends much is among the last so many that sent.
const COUNTED: NonZeroUsize = NonZeroUsize::new(2_000).expect("not zero");

/// Of those who send most, so many are told to people.
const TOP: usize = 100;

/// What is counted of top senders decays to 1/e in this time.
const HOUR_S: f64 = 3600.0;

/// Handles resolved once.
pub struct DetectionMetrics {
    findings: Vec<IntCounter>,
    messages: [IntCounter; CLASSES.len()],
    recipients: [IntCounter; CLASSES.len()],
    wiring: IntCounterVec,
    accounts: IntGauge,
    bytes: IntGauge,
    ranks: [Gauge; RANKS],
    senders: Mutex<LruCache<AccountKey, (Timestamp, f64)>>,
}

impl DetectionMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let findings = counters(
            registry,
            "findings_total",
            "Findings of the detector, by test, severity and mode.",
            &["test", "severity", "mode"],
        );
        let messages =
            counters(registry, "charged_messages_total", "Messages charged, by class.", &["class"]);
        let recipients = counters(
            registry,
            "charged_recipients_total",
            "Recipients charged, by class.",
            &["class"],
        );
        let wiring = counters(
            registry,
            "wiring_faults_total",
            "Times a mail server did not ask as it should.",
            &["fault"],
        );
        for fault in WiringFault::WORDS {
            wiring.with_label_values(&[fault]);
        }
        let ranks = GaugeVec::new(
            Opts::new(
                "top_sender_recipients",
                "Recipients within about an hour of the account of this rank.",
            ),
            &["rank"],
        )
        .expect("a valid metric");
        let accounts = IntGauge::new("tracked_accounts", "Accounts whose usage is kept at hand.")
            .expect("a valid metric");
        let bytes =
            IntGauge::new("tracked_bytes", "Memory of their records.").expect("a valid metric");
        let families: [Box<dyn prometheus::core::Collector>; 3] =
            [Box::new(ranks.clone()), Box::new(accounts.clone()), Box::new(bytes.clone())];
        for family in families {
            registry.register(family).expect("a new name");
        }
        let mut labelled = Vec::new();
        for test in Test::ALL {
            for severity in Severity::ALL {
                for mode in MODES {
                    let labels = [test.as_str(), severity.as_str(), mode.as_str()];
                    labelled.push(findings.with_label_values(&labels));
                }
            }
        }
        let by_class = |family: &IntCounterVec| {
            CLASSES.map(|class| family.with_label_values(&[class.as_str()]))
        };
        Self {
            findings: labelled,
            messages: by_class(&messages),
            recipients: by_class(&recipients),
            wiring,
            accounts,
            bytes,
            ranks: std::array::from_fn(|rank| ranks.with_label_values(&[&(rank + 1).to_string()])),
            senders: Mutex::new(LruCache::new(COUNTED)),
        }
    }

    pub(super) fn wired(&self, judged: &Judged) {
        if let Some(fault) = judged.wiring {
            self.wiring.with_label_values(&[fault.as_str()]).inc();
        }
    }

    pub(super) fn decided(&self, judged: &Judged) {
        let Some(found) = &judged.decision.found else { return };
        for finding in [found.enforced, found.observed].into_iter().flatten() {
            let mode = finding.mode.min(judged.decision.mode);
            let place =
                usize::from(finding.test.code()) * Severity::ALL.len() + finding.severity as usize;
            self.findings[place * MODES.len() + usize::from(mode == Mode::Enforce)].inc();
        }
        let Some(charged) = &judged.charged else { return };
        let recipients = judged.facts.envelope.recipient_count.max(1);
        self.messages[charged.class as usize].inc();
        self.recipients[charged.class as usize].inc_by(recipients.into());
        let mut senders = self.senders.lock();
        let sent = senders.get_or_insert_mut(charged.account.clone(), Default::default);
        *sent = (judged.at, faded(*sent, judged.at) + f64::from(recipients));
    }

    /// Those who send most, with their recipients within about an hour; the most first.
    pub fn top(&self, at: Timestamp) -> Vec<(AccountKey, f64)> {
        let senders = self.senders.lock();
        let mut all: Vec<(AccountKey, f64)> =
            senders.iter().map(|(account, sent)| (account.clone(), faded(*sent, at))).collect();
        drop(senders);
        all.retain(|(_, recipients)| *recipients >= 0.5);
        all.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        all.truncate(TOP);
        all
    }

    /// Messages charged so far.
    pub fn charged(&self) -> u64 {
        self.messages.iter().map(IntCounter::get).sum()
    }

    /// Brings what is not counted as it happens up to date.
    pub fn refresh(&self, accounts: u64, bytes: u64, at: Timestamp) {
        self.accounts.set(i64::try_from(accounts).unwrap_or(i64::MAX));
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        let mut most: Vec<f64> =
            self.senders.lock().iter().map(|(_, sent)| faded(*sent, at)).collect();
        most.sort_unstable_by(|one, other| other.total_cmp(one));
        for (rank, gauge) in self.ranks.iter().enumerate() {
            gauge.set(most.get(rank).copied().unwrap_or(0.0).round());
        }
    }
}

fn faded((then, count): (Timestamp, f64), at: Timestamp) -> f64 {
    count * (-(at.ms_since(then) as f64) / 1000.0 / HOUR_S).exp()
}
