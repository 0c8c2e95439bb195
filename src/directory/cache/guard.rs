//! Tells a directory that lost a few from one that suddenly does not find those it knew: a wrong
//! base, an access rule, a domain controller that is not synchronised. Pure.

use crate::mail::Timestamp;

/// What is counted is forgotten after this time, and a trip lasts at least this long.
pub const WINDOW_MS: u64 = 600_000;

const SECONDS: u64 = WINDOW_MS / 1_000;

/// Fewer that are not found prove nothing: somebody tidied up.
const LEAST: u64 = 5;

/// More than one in so many.
const SHARE: u64 = 5;

/// Counts known keys by what the directory now says of them. Two windows are looked at: ten minutes,
/// and as long as an entry takes to turn negative. Without the second, what was found before a
/// directory broke would hide the trouble from the first entries that may turn.
pub struct Guard {
    seconds: Vec<Second>,
    short: u64,
    /// When the rule held last; `Some`: tripped.
    held: Option<Timestamp>,
}

/// Counts of one second since the epoch; its place is the second modulo [`SECONDS`].
#[derive(Clone, Copy, Default)]
struct Second {
    second: i64,
    asked: u32,
    missing: u32,
}

/// What a look at the counts told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Tripped { asked: u64, missing: u64 },
    Over,
}

impl Guard {
    pub fn new(negative_ms: u64) -> Self {
        Self {
            seconds: vec![Second::default(); usize::try_from(SECONDS).expect("it is 600")],
            short: (negative_ms / 1_000).clamp(1, SECONDS),
            held: None,
        }
    }

    /// Counts a known key that was asked for.
    pub fn count(&mut self, is_missing: bool, at: Timestamp) {
        let second = at.unix_ms().div_euclid(1_000);
        let place = second.rem_euclid(i64::try_from(SECONDS).expect("it is 600"));
        let place = &mut self.seconds[usize::try_from(place).expect("below 600")];
        if place.second != second {
            *place = Second { second, ..Second::default() };
        }
        place.asked = place.asked.saturating_add(1);
        place.missing = place.missing.saturating_add(is_missing.into());
    }

    /// Looks at the counts: trips, or ends a trip when the rule has not held for a whole window. A
    /// trip that ended sooner would come and go with the traffic of a small site, and let a few turn
    /// each time.
    pub fn look(&mut self, at: Timestamp) -> Option<Change> {
        let held = [self.short, SECONDS]
            .map(|window| self.sums(window, at))
            .into_iter()
            .find(|(asked, missing)| *missing >= LEAST && missing * SHARE > *asked);
        match (held, self.held) {
            (Some((asked, missing)), before) => {
                self.held = Some(at);
                before.is_none().then_some(Change::Tripped { asked, missing })
            }
            (None, Some(last)) if at.ms_since(last) >= WINDOW_MS => {
                self.held = None;
                Some(Change::Over)
            }
            (None, Some(last)) => {
                self.held = Some(last.min(at));
                None
            }
            (None, None) => None,
        }
    }

    /// Whether nothing may turn negative.
    pub fn is_tripped(&self) -> bool {
        self.held.is_some()
    }

    /// How many were asked for, and how many of them are missing, in the last `window` seconds.
    fn sums(&self, window: u64, at: Timestamp) -> (u64, u64) {
        let now = at.unix_ms().div_euclid(1_000);
        let first = now.saturating_sub_unsigned(window) + 1;
        let within = self.seconds.iter().filter(|place| (first..=now).contains(&place.second));
        within.fold((0, 0), |(asked, missing), place| {
            (asked + u64::from(place.asked), missing + u64::from(place.missing))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_ms(second * 1_000)
    }

    fn guard(found: u32, missing: u32, second: i64) -> Guard {
        let mut guard = Guard::new(60_000);
        for _ in 0..found {
            guard.count(false, at(second));
        }
        for _ in 0..missing {
            guard.count(true, at(second));
        }
        guard
    }

    #[test]
    fn trips_from_five_and_above_twenty_percent() {
        let rows = [
            (0, 4, false),
            (0, 5, true),
            (19, 5, true),
            (20, 5, false),
            (21, 5, false),
            (23, 6, true),
            (24, 6, false),
            (80, 20, false),
            (79, 20, true),
            (80, 21, true),
        ];
        for (found, missing, trips) in rows {
            let mut guard = guard(found, missing, 1_000);
            let change =
                Change::Tripped { asked: u64::from(found + missing), missing: u64::from(missing) };
            assert_eq!(guard.look(at(1_000)), trips.then_some(change), "{missing} of {found} more");
            assert_eq!(guard.is_tripped(), trips);
        }
    }

    #[test]
    fn a_trip_is_told_once() {
        let mut guard = guard(0, 5, 1_000);
        assert!(guard.look(at(1_000)).is_some());
        assert_eq!(guard.look(at(1_000)), None);
        guard.count(true, at(1_001));
        assert_eq!(guard.look(at(1_001)), None);
    }

    #[test]
    fn what_was_counted_leaves_after_ten_minutes() {
        for (later, trips) in [(598, true), (599, true), (600, false), (601, false)] {
            let mut guard = guard(0, 4, 1_000);
            guard.count(true, at(1_000 + later));
            guard.look(at(1_000 + later));
            assert_eq!(guard.is_tripped(), trips, "{later} s later");
        }
    }

    #[test]
    fn a_trip_is_over_when_the_rule_has_not_held_for_ten_minutes() {
        let mut guard = guard(0, 5, 1_000);
        guard.look(at(1_000));
        guard.look(at(1_599));
        for second in [1_600, 2_198] {
            assert_eq!(guard.look(at(second)), None);
            assert!(guard.is_tripped());
        }
        assert_eq!(guard.look(at(2_199)), Some(Change::Over));
        assert!(!guard.is_tripped());
        assert_eq!(guard.look(at(2_200)), None);
    }

    #[test]
    fn what_was_found_before_a_directory_broke_does_not_hide_it() {
        let mut guard = guard(1_000, 0, 1_000);
        for second in 1_060..1_064 {
            guard.count(true, at(second));
            assert_eq!(guard.look(at(second)), None);
        }
        guard.count(true, at(1_064));
        assert_eq!(guard.look(at(1_064)), Some(Change::Tripped { asked: 5, missing: 5 }));
    }

    #[test]
    fn the_short_window_is_as_long_as_an_entry_takes_to_turn() {
        for (second, trips) in [(1_059, false), (1_060, true)] {
            let mut guard = guard(1_000, 0, 1_000);
            (0..5).for_each(|_| guard.count(true, at(second)));
            guard.look(at(second));
            assert_eq!(guard.is_tripped(), trips);
        }
    }

    #[test]
    fn the_short_window_has_a_second_at_least_and_ten_minutes_at_most() {
        for negative in [0, 999, u64::MAX] {
            let mut guard = Guard::new(negative);
            (0..5).for_each(|_| guard.count(true, at(1_000)));
            assert!(guard.look(at(1_000)).is_some());
        }
    }

    #[test]
    fn a_clock_set_back_neither_counts_the_future_nor_prolongs_a_trip_by_more_than_a_window() {
        let mut guard = guard(0, 5, 10_000);
        guard.look(at(10_000));
        assert_eq!(guard.look(at(1_000)), None);
        assert_eq!(guard.look(at(1_599)), None);
        assert_eq!(guard.look(at(1_600)), Some(Change::Over));
    }
}
