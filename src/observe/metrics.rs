//! All metrics, `gatepost_*`. Labels are closed words, never a login or an address; every
//! combination is there at 0 from the start, or `increase()` misses the first incident.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::decision::{Decision, Reason};
use crate::engine::Judged;
use crate::mail::{Protocol, Stage, Timestamp};
use crate::observe::{
    ActionMetrics, DetectionMetrics, DirectoryMetrics, HoldMetrics, StoreMetrics, SuspensionMetrics,
};
use crate::rights::Mode;
use crate::wire::{milter, policy_delegation};

/// Why a connection was closed at once.
#[derive(Clone, Copy, Debug)]
pub enum Turned {
    /// Over `max-connections`.
    Limit,
    /// The peer is not in `allow-from`.
    Peer,
}

const TURNED: [&str; 2] = ["limit", "peer"];

/// No objection has no reason.
const NO_REASON: &str = "none";
const MODES: [Mode; 2] = [Mode::Observe, Mode::Enforce];

/// Handles resolved once; counting is an atomic addition.
pub struct Metrics {
    registry: Registry,
    requests: Vec<IntCounter>,
    decisions: Vec<IntCounter>,
    observed: Vec<IntCounter>,
    duration: ByProtocol<Histogram>,
    protocol_errors: IntCounterVec,
    connections: ByProtocol<IntGauge>,
    connections_rejected: Vec<IntCounter>,
    last_request: ByProtocol<IntGauge>,
    late: IntCounter,
    panics: IntCounter,
    reload: Reload,
    directory_reload: Reload,
    /// For the directory itself to count with.
    pub directory: Arc<DirectoryMetrics>,
    pub detection: DetectionMetrics,
    /// For the outbox to count with.
    pub actions: Arc<ActionMetrics>,
    pub holds: HoldMetrics,
    /// For whoever imposes and ends suspensions.
    pub suspension: SuspensionMetrics,
    /// For the store itself to count with.
    pub store: Arc<StoreMetrics>,
}

/// One of each, in the order of [`Protocol::ALL`].
type ByProtocol<T> = [T; Protocol::ALL.len()];

/// Whether the last reading worked, and when one last did.
struct Reload {
    successful: IntGauge,
    at: IntGauge,
}

impl Metrics {
    /// `None`: there was none yet.
    pub fn last_question(&self) -> Option<Timestamp> {
        let last = self.last_request.iter().map(IntGauge::get).max().unwrap_or_default();
        (last > 0).then(|| Timestamp::from_unix_ms(last * 1000))
    }

    pub fn new() -> Self {
        let registry = Registry::new_custom(Some("gatepost".into()), None).expect("a valid prefix");
        let new = New { registry: &registry };
        let metrics = Self {
            requests: new
                .counters("requests_total", "Questions answered, by protocol and stage.", &["protocol", "stage"], {
                    all_pairs(Protocol::ALL.map(Protocol::as_str), Stage::ALL.map(Stage::as_str))
                }),
            decisions: new.counters(
                "decisions_total",
                "Decisions by action, reason and the listener's mode; in observe the action is always pass.",
                &["action", "reason", "mode"],
                decision_labels(),
            ),
            observed: new.counters(
                "observed_objections_total",
                "Objections of checks that only observe, by reason.",
                &["reason"],
                Reason::ALL.iter().map(|reason| vec![reason.as_str()]).collect(),
            ),
            duration: new.histogram(
                "decision_duration_seconds",
                "Time from a whole question to its answer.",
            ),
            protocol_errors: new.protocol_errors(),
            connections: new.gauges("connections", "Open connections of mail servers."),
            connections_rejected: new.counters(
                "connections_rejected_total",
                "Connections closed at once: over the limit, or a peer that may not ask.",
                &["protocol", "reason"],
                all_pairs(Protocol::ALL.map(Protocol::as_str), TURNED),
            ),
            last_request: new.gauges(
                "last_request_timestamp_seconds",
                "Unix time of the last question; 0 before the first.",
            ),
            late: new.counter(
                "late_answers_total",
                "Questions by milter that were not judged within answer-within.",
            ),
            panics: new.counter("panics_total", "Connections that ended in a fault of gatepost's own."),
            reload: Reload {
                successful: new.gauge(
                    "config_last_reload_successful",
                    "1 when the configuration was last read without a fault, else 0.",
                ),
                at: new.gauge(
                    "config_last_reload_success_timestamp_seconds",
                    "Unix time of the last faultless reading of the configuration.",
                ),
            },
            directory_reload: Reload {
                successful: new.gauge(
                    "directory_last_reload_successful",
                    "1 when the directory file was last read without a fault, else 0.",
                ),
                at: new.gauge(
                    "directory_last_reload_success_timestamp_seconds",
                    "Unix time of the last faultless reading of the directory file.",
                ),
            },
            directory: DirectoryMetrics::new(&registry),
            detection: DetectionMetrics::new(&registry),
            actions: ActionMetrics::new(&registry),
            holds: HoldMetrics::new(&registry),
            suspension: SuspensionMetrics::new(&registry),
            store: StoreMetrics::new(&registry),
            registry: registry.clone(),
        };
        new.build_info();
        registry_add_process(&registry);
        metrics
    }

    pub(super) fn decided(&self, judged: &Judged, took: Duration) {
        let (facts, decision) = (&judged.facts, &judged.decision);
        self.requests[facts.protocol as usize * Stage::ALL.len() + facts.stage as usize].inc();
        self.decisions[decision_index(decision)].inc();
        for reason in decision.observed() {
            self.observed[reason as usize].inc();
        }
        self.duration[facts.protocol as usize].observe(took.as_secs_f64());
        self.last_request[facts.protocol as usize].set(judged.at.unix_ms() / 1000);
        self.detection.decided(judged);
        self.holds.decided(judged);
    }

    pub fn protocol_error(&self, protocol: Protocol, kind: &str) {
        self.protocol_errors.with_label_values(&[protocol.as_str(), kind]).inc();
    }

    pub fn connected(&self, protocol: Protocol) {
        self.connections[protocol as usize].inc();
    }

    pub fn disconnected(&self, protocol: Protocol) {
        self.connections[protocol as usize].dec();
    }

    pub fn turned_away(&self, protocol: Protocol, why: Turned) {
        self.connections_rejected[protocol as usize * TURNED.len() + why as usize].inc();
    }

    /// A question was not judged in time.
    pub fn late(&self) {
        self.late.inc();
    }

    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// The configuration was read; `at` is now.
    pub fn config_read(&self, successful: bool, at: Timestamp) {
        self.reload.read(successful, at);
    }

    /// The directory file was read; `at` is now.
    pub fn directory_read(&self, successful: bool, at: Timestamp) {
        self.directory_reload.read(successful, at);
    }

    /// The text exposition format, version 0.0.4.
    pub fn expose(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Reload {
    fn read(&self, successful: bool, at: Timestamp) {
        self.successful.set(i64::from(successful));
        if successful {
            self.at.set(at.unix_ms() / 1000);
        }
    }
}

/// Reasons with the absence of one first.
fn reasons() -> impl Iterator<Item = &'static str> {
    std::iter::once(NO_REASON).chain(Reason::ALL.iter().map(|reason| reason.as_str()))
}

fn decision_labels() -> Vec<Vec<&'static str>> {
    let mut labels = Vec::new();
    for action in Decision::ACTIONS {
        for reason in reasons() {
            for mode in MODES {
                labels.push(vec![action, reason, mode.as_str()]);
            }
        }
    }
    labels
}

fn decision_index(decision: &Decision) -> usize {
    let action = Decision::ACTIONS.iter().position(|a| *a == decision.action()).unwrap_or(0);
    let reason = decision.reason.map_or(0, |reason| reason as usize + 1);
    let mode = usize::from(decision.mode == Mode::Enforce);
    (action * (Reason::ALL.len() + 1) + reason) * MODES.len() + mode
}

fn all_pairs<const A: usize, const B: usize>(
    first: [&'static str; A],
    second: [&'static str; B],
) -> Vec<Vec<&'static str>> {
    first.iter().flat_map(|a| second.iter().map(move |b| vec![*a, *b])).collect()
}

struct New<'a> {
    registry: &'a Registry,
}

impl New<'_> {
    fn counters(
        &self,
        name: &str,
        help: &str,
        names: &[&str],
        labels: Vec<Vec<&'static str>>,
    ) -> Vec<IntCounter> {
        let family = IntCounterVec::new(Opts::new(name, help), names).expect("a valid metric");
        self.registry.register(Box::new(family.clone())).expect("a new name");
        labels.iter().map(|values| family.with_label_values(values)).collect()
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        let counter = IntCounter::new(name, help).expect("a valid metric");
        self.registry.register(Box::new(counter.clone())).expect("a new name");
        counter
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        let gauge = IntGauge::new(name, help).expect("a valid metric");
        self.registry.register(Box::new(gauge.clone())).expect("a new name");
        gauge
    }

    fn gauges(&self, name: &str, help: &str) -> ByProtocol<IntGauge> {
        let family =
            IntGaugeVec::new(Opts::new(name, help), &["protocol"]).expect("a valid metric");
        self.registry.register(Box::new(family.clone())).expect("a new name");
        Protocol::ALL.map(|protocol| family.with_label_values(&[protocol.as_str()]))
    }

    fn histogram(&self, name: &str, help: &str) -> ByProtocol<Histogram> {
        // From a cached answer (microseconds) to the 10 s Sendmail waits.
        let buckets = vec![
            0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5,
            5.0, 10.0,
        ];
        let options = HistogramOpts::new(name, help).buckets(buckets);
        let family = HistogramVec::new(options, &["protocol"]).expect("a valid metric");
        self.registry.register(Box::new(family.clone())).expect("a new name");
        Protocol::ALL.map(|protocol| family.with_label_values(&[protocol.as_str()]))
    }

    fn protocol_errors(&self) -> IntCounterVec {
        let options = Opts::new(
            "protocol_errors_total",
            "Requests and packets that could not be read; the connection was closed without an answer.",
        );
        let family = IntCounterVec::new(options, &["protocol", "kind"]).expect("a valid metric");
        self.registry.register(Box::new(family.clone())).expect("a new name");
        let kinds: ByProtocol<&[&str]> = [&policy_delegation::Fault::KINDS, &milter::Fault::KINDS];
        for (protocol, kinds) in Protocol::ALL.into_iter().zip(kinds) {
            for kind in kinds {
                family.with_label_values(&[protocol.as_str(), kind]);
            }
        }
        family
    }

    fn build_info(&self) {
        let options = Opts::new("build_info", "1, with the version.");
        let family = IntGaugeVec::new(options, &["version"]).expect("a valid metric");
        self.registry.register(Box::new(family.clone())).expect("a new name");
        family.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    }
}

/// Memory, CPU and descriptors of this process, from /proc (`gatepost_process_*`).
fn registry_add_process(registry: &Registry) {
    let collector = prometheus::process_collector::ProcessCollector::for_self();
    // Where there is no /proc the other metrics still serve.
    let _ = registry.register(Box::new(collector));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_is_there_at_zero_and_no_label_is_open() {
        let text = String::from_utf8(Metrics::new().expose().expect("exposed")).expect("text");
        for line in [
            "gatepost_requests_total{protocol=\"policy\",stage=\"rcpt\"} 0",
            "gatepost_decisions_total{action=\"reject\",mode=\"enforce\",reason=\"relay-missing\"} 0",
            "gatepost_protocol_errors_total{kind=\"limit\",protocol=\"policy\"} 0",
            "gatepost_protocol_errors_total{kind=\"negotiation\",protocol=\"milter\"} 0",
            "gatepost_connections{protocol=\"policy\"} 0",
            "gatepost_connections_rejected_total{protocol=\"policy\",reason=\"peer\"} 0",
            "gatepost_last_request_timestamp_seconds{protocol=\"policy\"} 0",
            "gatepost_config_last_reload_successful 0",
            "gatepost_findings_total{mode=\"enforce\",severity=\"suspend\",test=\"novel-2h\"} 0",
            "gatepost_charged_messages_total{class=\"person\"} 0",
            "gatepost_top_sender_recipients{rank=\"1\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
        // What one instance may cost a Prometheus, however many accounts there are.
        assert!(text.lines().filter(|line| !line.starts_with('#')).count() < 1_500);
        let decisions = text.lines().filter(|l| l.starts_with("gatepost_decisions_total{")).count();
        assert_eq!(decisions, 5 * 23 * 2);
    }

    #[test]
    fn indexes_meet_their_labels() {
        assert_eq!(decision_labels().len(), 5 * 23 * 2);
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
        for (index, protocol) in Protocol::ALL.iter().enumerate() {
            assert_eq!(*protocol as usize, index);
        }
        for (index, stage) in Stage::ALL.iter().enumerate() {
            assert_eq!(*stage as usize, index);
        }
    }
}
