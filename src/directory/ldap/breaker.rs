//! When a server that failed is asked again.

use std::time::Duration;

use crate::directory::cache::is_within;
use crate::mail::Timestamp;

/// Failures in a row after which a server is no longer asked by lookups, only by the probe: a single
/// slow answer must not cut off the only server.
const TOLERATED: u32 = 3;

/// The probe comes after this, doubled with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause; so all is well again within seconds of a server's return.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The record of one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Breaker {
    /// In a row.
    failures: u32,
    /// Since it was made.
    counted: u64,
    failed_at: Timestamp,
    pause: Duration,
    /// What the last failure was.
    pub said: String,
}

impl Breaker {
    /// Whether nothing speaks against the server.
    pub fn is_well(&self) -> bool {
        self.failures == 0
    }

    /// Whether a lookup may still ask it, after all that are well.
    pub fn is_tolerated(&self) -> bool {
        self.failures < TOLERATED
    }

    /// Whether the probe should ask it now.
    pub fn is_due(&self, at: Timestamp) -> bool {
        !self.is_well() && !is_within(self.failed_at, self.pause.as_millis() as u64, at)
    }

    /// To be taken when a request begins, for [`Self::failed`].
    pub fn counted(&self) -> u64 {
        self.counted
    }

    /// True when it was well before. `begun`: failures counted when the request began. Where one has
    /// been counted since, it was the same trouble: what was under way together fails together, and
    /// must not cut off the only server.
    pub fn failed(&mut self, said: String, begun: u64, at: Timestamp) -> bool {
        if begun != self.counted {
            return false;
        }
        self.counted += 1;
        self.pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.failed_at = at;
        self.said = said;
        self.failures == 1
    }

    /// True when it was not well before.
    pub fn succeeded(&mut self) -> bool {
        std::mem::take(&mut self.failures) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    /// One request after the other fails.
    fn fail(breaker: &mut Breaker, said: &str, ms: i64) -> bool {
        breaker.failed(said.into(), breaker.counted(), at(ms))
    }

    #[test]
    fn the_third_failure_in_a_row_cuts_a_server_off() {
        let mut breaker = Breaker::default();
        assert!(breaker.is_well() && fail(&mut breaker, "a", 0));
        assert!(!breaker.is_well() && breaker.is_tolerated());
        assert!(!fail(&mut breaker, "b", 0) && breaker.is_tolerated());
        fail(&mut breaker, "c", 0);
        assert!(!breaker.is_tolerated());
        assert_eq!(breaker.said, "c");
        assert!(breaker.succeeded() && breaker.is_well() && !breaker.succeeded());
        assert!(fail(&mut breaker, "d", 0) && breaker.is_tolerated());
    }

    #[test]
    fn requests_that_were_under_way_together_fail_once() {
        let mut breaker = Breaker::default();
        let begun = breaker.counted();
        assert!(breaker.failed("a".into(), begun, at(0)));
        let later = breaker.counted();
        for _ in 0..63 {
            assert!(!breaker.failed("b".into(), begun, at(0)));
        }
        assert!(breaker.is_tolerated() && breaker.said == "a");
        assert!(breaker.succeeded());
        assert!(!breaker.failed("b".into(), begun, at(0)) && breaker.is_well());
        assert!(breaker.failed("c".into(), later, at(0)) && !breaker.is_well());
    }

    #[test]
    fn the_probe_comes_after_a_pause_that_doubles_to_five_seconds() {
        let mut breaker = Breaker::default();
        assert!(!breaker.is_due(at(1_000_000)));
        for pause in [250, 500, 1000, 2000, 4000, 5000, 5000] {
            fail(&mut breaker, "", 10_000);
            assert!(!breaker.is_due(at(10_000 + pause - 1)), "{pause}");
            assert!(breaker.is_due(at(10_000 + pause)), "{pause}");
        }
        for _ in 0..100 {
            fail(&mut breaker, "", 10_000);
        }
        assert!(breaker.is_due(at(15_000)));
    }

    #[test]
    fn with_a_clock_set_back_the_probe_comes_at_once() {
        let mut breaker = Breaker::default();
        fail(&mut breaker, "", 10_000);
        assert!(!breaker.is_due(at(10_000)) && breaker.is_due(at(9_999)));
    }
}
