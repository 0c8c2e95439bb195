//! The circuit breaker: so many suspensions at once are a fault of ours sooner than that many thieves. It stops
//! further ones until a person resets it; what would have suspended is held meanwhile.

use std::collections::VecDeque;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::decision::Breakers;
use crate::mail::{Mode, Timestamp, rfc_3339};

/// Suspensions are counted over so long.
const WITHIN_MS: u64 = 600_000;

/// So many open it in any case.
const MOST: usize = 10;

/// From this one on a share of the accounts opens it: in a small site ten would be everybody.
const FEWEST: usize = 3;
const SHARE: f64 = 0.02;

/// An open breaker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    #[serde(with = "rfc_3339")]
    pub at: Timestamp,
    /// Suspensions within ten minutes.
    pub suspensions: usize,
    /// Accounts that something is known of.
    pub accounts: u64,
}

/// Of the suspensions that enforce, and of the shadows.
#[derive(Default)]
pub struct Breaker {
    enforce: Mutex<Counted>,
    observe: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    recent: VecDeque<Timestamp>,
    open: Option<Opened>,
}

impl Breaker {
    pub fn state(&self) -> Breakers {
        Breakers {
            enforce_open: self.enforce.lock().open.is_some(),
            observe_open: self.observe.lock().open.is_some(),
        }
    }

    pub fn opened(&self, mode: Mode) -> Option<Opened> {
        self.of(mode).lock().open.clone()
    }

    /// A suspension was imposed, of one of so many accounts; what opens the breaker is told.
    pub fn count(&self, mode: Mode, accounts: u64, at: Timestamp) -> Option<Opened> {
        let mut counted = self.of(mode).lock();
        // Either way: a clock may have been set back.
        let apart_ms = |known: Timestamp| at.ms_since(known).max(known.ms_since(at));
        counted.recent.retain(|known| apart_ms(*known) < WITHIN_MS);
        counted.recent.push_back(at);
        let suspensions = counted.recent.len();
        let is_share = suspensions >= FEWEST && suspensions as f64 >= accounts as f64 * SHARE;
        if counted.open.is_some() || (suspensions < MOST && !is_share) {
            return None;
        }
        counted.open = Some(Opened { at, suspensions, accounts });
        counted.open.clone()
    }

    /// As it was left.
    pub fn set_open(&self, mode: Mode, opened: Opened) {
        self.of(mode).lock().open = Some(opened);
    }

    /// Closes it, and begins to count anew; tells what was open.
    pub fn reset(&self, mode: Mode) -> Option<Opened> {
        std::mem::take(&mut *self.of(mode).lock()).open
    }

    const fn of(&self, mode: Mode) -> &Mutex<Counted> {
        match mode {
            Mode::Enforce => &self.enforce,
            _ => &self.observe,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of the suspension that opens the breaker of such a site, one each second.
    fn opens_at(accounts: u64) -> usize {
        let breaker = Breaker::default();
        let opens = |second: &i64| {
            let at = Timestamp::from_unix_ms(second * 1000);
            breaker.count(Mode::Enforce, accounts, at).is_some()
        };
        (1..=20).position(|second| opens(&second)).map_or(0, |place| place + 1)
    }

    #[test]
    fn the_third_opens_it_in_a_small_site_and_the_tenth_in_any() {
        assert_eq!(opens_at(50), 3);
        assert_eq!(opens_at(150), 3);
        assert_eq!(opens_at(200), 4);
        assert_eq!(opens_at(499), 10);
        assert_eq!(opens_at(10_000), 10);
    }

    #[test]
    fn suspensions_of_ten_minutes_count() {
        let breaker = Breaker::default();
        for number in 0..100 {
            let at = Timestamp::from_unix_ms(number * 70_000);
            assert_eq!(breaker.count(Mode::Enforce, 10_000, at), None, "{number}");
        }
    }

    #[test]
    fn those_of_a_future_that_a_clock_set_back_undid_do_not_count() {
        let breaker = Breaker::default();
        let hour = 3_600_000;
        for ms in [2 * hour, 2 * hour + 1, 0] {
            let at = Timestamp::from_unix_ms(ms);
            assert_eq!(breaker.count(Mode::Enforce, 50, at), None, "{ms}");
        }
    }

    #[test]
    fn it_stays_open_until_it_is_reset_and_shadows_have_their_own() {
        let breaker = Breaker::default();
        let at = Timestamp::from_unix_ms(0);
        for _ in 0..3 {
            breaker.count(Mode::Observe, 50, at);
        }
        let state = breaker.state();
        assert!(state.observe_open && !state.enforce_open);
        assert_eq!(breaker.count(Mode::Observe, 50, at), None, "told once");
        let opened = breaker.reset(Mode::Observe).expect("it was open");
        assert_eq!((opened.suspensions, opened.accounts), (3, 50));
        assert_eq!(breaker.state(), Breakers::default());
        assert_eq!(breaker.count(Mode::Observe, 50, at), None, "counted anew");
    }
}
