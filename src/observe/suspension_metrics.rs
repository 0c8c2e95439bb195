//! `gatepost_*` of suspensions: how many accounts stand how, what imposed and ended suspensions, how much went
//! out before one, and what waits for a person.

use prometheus::{Gauge, Histogram, IntCounter, IntGauge, Registry};

use crate::detector::Test;
use crate::mail::Mode;
use crate::observe::families::{counters, gauge, gauges, histogram};
use crate::suspension::Ending;

/// As people ask for them: a name for each place of [`SuspensionMetrics::set_accounts`].
pub const ACCOUNT_STATES: [&str; 6] =
    ["normal", "watched", "held", "suspended", "probation", "exempt"];

const MODES: [Mode; 2] = [Mode::Observe, Mode::Enforce];

/// A person suspended; no test did.
const MANUAL: &str = "manual";

/// From the thief's first minute to a leak of a day that nobody noticed.
const SECONDS: [f64; 11] =
    [1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0];

const MESSAGES: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

/// Handles resolved once.
pub struct SuspensionMetrics {
    accounts: [IntGauge; ACCOUNT_STATES.len()],
    imposed: Vec<IntCounter>,
    ended: Vec<IntCounter>,
    seconds_before: Histogram,
    messages_before: Histogram,
    open_incidents: IntGauge,
    oldest_incident: Gauge,
    breaker: IntGauge,
    exemptions: IntGauge,
}

impl SuspensionMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let accounts =
            gauges(registry, "accounts", "Accounts that stand so, by state.", &["state"]);
        let oldest_incident = Gauge::new(
            "oldest_incident_age_seconds",
            "Age of the oldest incident that waits for a verdict; 0: none does.",
        )
        .expect("a valid metric");
        registry.register(Box::new(oldest_incident.clone())).expect("a new name");
        Self {
            accounts: ACCOUNT_STATES.map(|state| accounts.with_label_values(&[state])),
            imposed: imposed(registry),
            ended: ended(registry),
            seconds_before: histogram(
                registry,
                "time_to_suspension_seconds",
                "From the first abusive message to the suspension, of enforced ones by the detector.",
                &SECONDS,
            ),
            messages_before: histogram(
                registry,
                "messages_before_suspension",
                "Messages that passed in that time.",
                &MESSAGES,
            ),
            open_incidents: gauge(registry, "open_incidents", "Incidents that wait for a verdict."),
            oldest_incident,
            breaker: gauge(
                registry,
                "breaker_open",
                "1 while so many accounts were suspended that findings only hold, else 0.",
            ),
            exemptions: gauge(registry, "exemptions", "Exemptions in force."),
        }
    }

    /// A suspension was imposed by `test`, or by a person (`None`), so long after the first abusive message
    /// and so many messages. What a person imposed, or what only observes, tells nothing of the detector's pace.
    pub fn imposed(&self, test: Option<Test>, mode: Mode, ms_since_first: i64, messages: u32) {
        self.imposed[place(test, mode)].inc();
        if test.is_some() && mode == Mode::Enforce {
            // A clock set back in between makes it no earlier.
            self.seconds_before.observe(ms_since_first.max(0) as f64 / 1000.0);
            self.messages_before.observe(messages.into());
        }
    }

    /// One that `test` or a person (`None`) had imposed in this mode is over.
    pub fn ended(&self, test: Option<Test>, mode: Mode, ending: Ending) {
        self.ended[place(test, mode) * Ending::ALL.len() + place_of(ending)].inc();
    }

    /// In the order of [`ACCOUNT_STATES`].
    pub fn set_accounts(&self, numbers: [u64; ACCOUNT_STATES.len()]) {
        for (gauge, number) in self.accounts.iter().zip(numbers) {
            gauge.set(whole(number));
        }
    }

    pub fn set_incidents(&self, open: u64, oldest_age_ms: i64) {
        self.open_incidents.set(whole(open));
        let age_ms = if open == 0 { 0 } else { oldest_age_ms.max(0) };
        self.oldest_incident.set(age_ms as f64 / 1000.0);
    }

    pub fn set_breaker(&self, is_open: bool) {
        self.breaker.set(i64::from(is_open));
    }

    pub fn set_exemptions(&self, number: u64) {
        self.exemptions.set(whole(number));
    }
}

fn imposed(registry: &Registry) -> Vec<IntCounter> {
    let help = "Suspensions imposed, by test and mode; manual: by a person.";
    let family = counters(registry, "suspensions_total", help, &["test", "mode"]);
    let all = words().flat_map(|test| MODES.map(|mode| [test, mode.as_str()]));
    all.map(|labels| family.with_label_values(&labels)).collect()
}

fn ended(registry: &Registry) -> Vec<IntCounter> {
    let help = "Suspensions that ended, by the test that imposed them, mode and verdict.";
    let family = counters(registry, "releases_total", help, &["test", "mode", "verdict"]);
    let all = words().flat_map(|test| {
        MODES
            .into_iter()
            .flat_map(move |mode| Ending::ALL.map(|ending| [test, mode.as_str(), ending.as_str()]))
    });
    all.map(|labels| family.with_label_values(&labels)).collect()
}

/// Manual first, then each test by its code.
fn words() -> impl Iterator<Item = &'static str> {
    std::iter::once(MANUAL).chain(Test::ALL.into_iter().map(Test::as_str))
}

fn place(test: Option<Test>, mode: Mode) -> usize {
    let test = test.map_or(0, |test| usize::from(test.code()) + 1);
    test * MODES.len() + usize::from(mode == Mode::Enforce)
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn place_of(ending: Ending) -> usize {
    Ending::ALL.iter().position(|known| *known == ending).expect("it is one of all")
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{Encoder, TextEncoder};

    fn text(registry: &Registry) -> String {
        let mut text = Vec::new();
        TextEncoder::new().encode(&registry.gather(), &mut text).expect("exposed");
        String::from_utf8(text).expect("text")
    }

    #[test]
    fn every_combination_is_there_at_zero() {
        let registry = Registry::new();
        let _metrics = SuspensionMetrics::new(&registry);
        let text = text(&registry);
        let samples = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(samples("suspensions_total{"), 21 * 2);
        assert_eq!(samples("releases_total{"), 21 * 2 * 5);
        assert_eq!(samples("accounts{"), 6);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.ends_with(" 0"), "{line}");
        }
    }

    #[test]
    fn each_outcome_counts_under_its_own_words() {
        for test in std::iter::once(None).chain(Test::ALL.map(Some)) {
            for mode in MODES {
                let registry = Registry::new();
                let metrics = SuspensionMetrics::new(&registry);
                metrics.imposed(test, mode, 1, 1);
                let (word, mode_word) = (test.map_or(MANUAL, Test::as_str), mode.as_str());
                let labels = format!("mode=\"{mode_word}\",test=\"{word}\"");
                let expected = format!("suspensions_total{{{labels}}} 1");
                assert!(text(&registry).lines().any(|line| line == expected), "{expected}");
                for ending in Ending::ALL {
                    metrics.ended(test, mode, ending);
                    let verdict = ending.as_str();
                    let expected = format!("releases_total{{{labels},verdict=\"{verdict}\"}} 1");
                    assert!(text(&registry).lines().any(|line| line == expected), "{expected}");
                }
            }
        }
    }

    #[test]
    fn only_enforced_suspensions_by_the_detector_tell_its_pace() {
        let registry = Registry::new();
        let metrics = SuspensionMetrics::new(&registry);
        metrics.imposed(Some(Test::Giant), Mode::Enforce, 15_000, 2);
        metrics.imposed(Some(Test::Giant), Mode::Enforce, -1, 0);
        metrics.imposed(Some(Test::Giant), Mode::Observe, 15_000, 2);
        metrics.imposed(None, Mode::Enforce, 15_000, 2);
        let text = text(&registry);
        for line in [
            "time_to_suspension_seconds_bucket{le=\"5\"} 1",
            "time_to_suspension_seconds_bucket{le=\"15\"} 2",
            "time_to_suspension_seconds_sum 15",
            "time_to_suspension_seconds_count 2",
            "messages_before_suspension_bucket{le=\"1\"} 1",
            "messages_before_suspension_bucket{le=\"2\"} 2",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn what_waits_has_an_age_only_while_something_waits() {
        let registry = Registry::new();
        let metrics = SuspensionMetrics::new(&registry);
        metrics.set_accounts([10, 5, 4, 3, 2, 1]);
        metrics.set_breaker(true);
        metrics.set_exemptions(7);
        metrics.set_incidents(3, 1_500);
        let told = text(&registry);
        for line in [
            "accounts{state=\"normal\"} 10",
            "accounts{state=\"exempt\"} 1",
            "breaker_open 1",
            "exemptions 7",
            "open_incidents 3",
            "oldest_incident_age_seconds 1.5",
        ] {
            assert!(told.lines().any(|told| told == line), "{line} in\n{told}");
        }
        metrics.set_incidents(0, 1_500);
        assert!(text(&registry).lines().any(|line| line == "oldest_incident_age_seconds 0"));
    }
}
