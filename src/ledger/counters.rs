//! Counters that forget: each value decays to 1/e in a time of its own and all share one moment, so that
//! a login costs a few hundred bytes and no window is kept.

use crate::ledger::binary::{Reader, Torn, Writer};
use crate::mail::Timestamp;

/// What is counted, and in which time it decays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Counter {
    /// Messages.
    Messages2m,
    Messages2h,
    /// Recipients not written to within that time, by the hour.
    Distant15m,
    Distant1d,
    /// New recipients; one that has written to us weighs a fifth.
    New7d,
    /// New recipients, each whole.
    Strangers2h,
    /// Messages with a new recipient, each at most 1.
    Novel2m,
    Novel2h,
    Novel1d,
    /// log2(1 + new recipients) of each message.
    Breadth2h,
    /// log2(1 + neighbours never addressed together) of each message.
    Mixture15m,
    /// Messages to a mixture: six recipients or more, most of whom were never addressed together.
    Blend15m,
    /// Recipients of such mixtures that were not written to within the hour.
    Scatter15m,
    /// Client networks not seen within the hour.
    Networks1h,
    /// Recipients refused as unknown, and those accepted: now, and usually.
    Unknown15m,
    Accepted15m,
    Unknown30d,
    Accepted30d,
}

const COUNTERS: usize = 18;

impl Counter {
    pub const ALL: [Counter; COUNTERS] = [
        Counter::Messages2m,
        Counter::Messages2h,
        Counter::Distant15m,
        Counter::Distant1d,
        Counter::New7d,
        Counter::Strangers2h,
        Counter::Novel2m,
        Counter::Novel2h,
        Counter::Novel1d,
        Counter::Breadth2h,
        Counter::Mixture15m,
        Counter::Blend15m,
        Counter::Scatter15m,
        Counter::Networks1h,
        Counter::Unknown15m,
        Counter::Accepted15m,
        Counter::Unknown30d,
        Counter::Accepted30d,
    ];

    /// Seconds in which it decays to 1/e.
    pub const fn time_s(self) -> f32 {
        match self {
            Self::Messages2m | Self::Novel2m => 120.0,
            Self::Distant15m
            | Self::Mixture15m
            | Self::Blend15m
            | Self::Scatter15m
            | Self::Unknown15m
            | Self::Accepted15m => 900.0,
            Self::Networks1h => 3_600.0,
            Self::Messages2h | Self::Strangers2h | Self::Novel2h | Self::Breadth2h => 7_200.0,
            Self::Distant1d | Self::Novel1d => 86_400.0,
            Self::New7d => 604_800.0,
            Self::Unknown30d | Self::Accepted30d => 2_592_000.0,
        }
    }

    /// Its place among those whose largest increment is kept.
    const fn largest(self) -> Option<usize> {
        match self {
            Self::Distant1d => Some(0),
            Self::New7d => Some(1),
            Self::Breadth2h => Some(2),
            Self::Mixture15m => Some(3),
            Self::Scatter15m => Some(4),
            _ => None,
        }
    }
}

const TRIMMED: usize = 5;

/// What one message adds.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Increments([f32; COUNTERS]);

impl Increments {
    pub fn set(&mut self, counter: Counter, value: f32) {
        self.0[counter as usize] = value;
    }

    pub fn of(&self, counter: Counter) -> f32 {
        self.0[counter as usize]
    }
}

/// The values of one account at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Counters {
    at: Timestamp,
    values: [f32; COUNTERS],
    /// The largest single increment, decayed likewise.
    largest: [f32; TRIMMED],
    /// Unix seconds of the first message since the counter was below [`CALM`]; 0: none.
    since: [u32; COUNTERS],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            at: Timestamp::default(),
            values: [0.0; COUNTERS],
            largest: [0.0; TRIMMED],
            since: [0; COUNTERS],
        }
    }
}

/// Far above what one account can send; its fourth power is still finite in f32.
const MOST: f32 = 1e9;

/// A counter below half a message counts as empty: a burst begins with the next one.
pub const CALM: f32 = 0.5;

impl Counters {
    /// Decays to `at`. A clock set back decays nothing, and counting goes on from there.
    pub fn decay_to(&mut self, at: Timestamp) {
        let seconds = at.ms_since(self.at) as f32 / 1000.0;
        self.at = at;
        if seconds <= 0.0 {
            return;
        }
        // Neighbours in the list often share their time, and exp is what costs.
        let (mut time, mut factor) = (0.0, 1.0);
        for counter in Counter::ALL {
            if counter.time_s() != time {
                time = counter.time_s();
                factor = (-seconds / time).exp();
            }
            self.values[counter as usize] *= factor;
            if let Some(place) = counter.largest() {
                self.largest[place] *= factor;
            }
        }
    }

    pub fn add(&mut self, increments: &Increments) {
        self.add_part(increments, &Increments::default());
    }

    /// Adds a part of a message of which `before` was added already: its largest increment is the whole's.
    pub fn add_part(&mut self, increments: &Increments, before: &Increments) {
        let now = u32::try_from(self.at.unix_ms() / 1000).unwrap_or_default();
        for counter in Counter::ALL {
            let (place, increment) = (counter as usize, increments.of(counter));
            if increment <= 0.0 {
                continue;
            }
            if self.values[place] < CALM {
                self.since[place] = now;
            }
            self.values[place] = (self.values[place] + increment).min(MOST);
            if let Some(largest) = counter.largest() {
                let whole = before.of(counter) + increment;
                self.largest[largest] = self.largest[largest].max(whole).min(MOST);
            }
        }
    }

    pub fn of(&self, counter: Counter) -> f32 {
        self.values[counter as usize]
    }

    /// Without the largest single increment, where that is kept.
    pub fn rest(&self, counter: Counter) -> f32 {
        let largest = counter.largest().map_or(0.0, |place| self.largest[place]);
        (self.of(counter) - largest).max(0.0)
    }

    /// When what the counter holds began.
    pub fn since(&self, counter: Counter) -> Timestamp {
        Timestamp::from_unix_ms(i64::from(self.since[counter as usize]) * 1000)
    }

    /// Forgets all that was counted, and keeps what is usual of unknown recipients.
    pub fn clear(&mut self) {
        let usual = [Counter::Unknown30d, Counter::Accepted30d];
        let kept = usual.map(|counter| self.of(counter));
        *self = Self { at: self.at, ..Self::default() };
        for (counter, value) in usual.into_iter().zip(kept) {
            self.values[counter as usize] = value;
        }
    }

    /// Adds what was counted elsewhere of the same account.
    pub fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        let latest = self.at.max(other.at);
        self.decay_to(latest);
        other.decay_to(latest);
        for place in 0..COUNTERS {
            self.values[place] = (self.values[place] + other.values[place]).min(MOST);
            self.since[place] = match (self.since[place], other.since[place]) {
                (0, since) | (since, 0) => since,
                (one, another) => one.min(another),
            };
        }
        for place in 0..TRIMMED {
            self.largest[place] = self.largest[place].max(other.largest[place]);
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.i64(self.at.unix_ms());
        out.u8(COUNTERS as u8);
        for place in 0..COUNTERS {
            out.f32(self.values[place]);
            out.u32(self.since[place]);
        }
        out.u8(TRIMMED as u8);
        self.largest.iter().for_each(|largest| out.f32(*largest));
    }

    /// A release appends counters and never reorders them: those it does not know are skipped.
    pub(super) fn read(from: &mut Reader) -> Result<Self, Torn> {
        let mut read = Self { at: Timestamp::from_unix_ms(from.i64()?), ..Self::default() };
        for place in 0..usize::from(from.u8()?) {
            let (value, since) = (from.f32()?, from.u32()?);
            if place < COUNTERS {
                (read.values[place], read.since[place]) = (value.min(MOST), since);
            }
        }
        for place in 0..usize::from(from.u8()?) {
            let largest = from.f32()?;
            if place < TRIMMED {
                read.largest[place] = largest.min(MOST);
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ms(1_700_000_000_000 + seconds * 1000)
    }

    fn one(counter: Counter, value: f32) -> Increments {
        let mut increments = Increments::default();
        increments.set(counter, value);
        increments
    }

    #[test]
    fn a_value_falls_to_an_eth_in_its_time() {
        let mut counters = Counters::default();
        counters.decay_to(seconds(0));
        counters.add(&one(Counter::Messages2m, 1.0));
        counters.add(&one(Counter::Novel1d, 1.0));
        counters.decay_to(seconds(120));
        assert!((counters.of(Counter::Messages2m) - 0.367_88).abs() < 1e-4);
        assert!((counters.of(Counter::Novel1d) - 0.998_61).abs() < 1e-4);
    }

    #[test]
    fn the_largest_increment_is_left_out_of_the_rest() {
        let mut counters = Counters::default();
        for value in [3.0, 40.0, 2.0] {
            counters.add(&one(Counter::Distant1d, value));
        }
        assert_eq!(
            (counters.of(Counter::Distant1d), counters.rest(Counter::Distant1d)),
            (45.0, 5.0)
        );
    }

    #[test]
    fn a_clock_set_back_decays_nothing_and_stops_nothing() {
        let mut counters = Counters::default();
        counters.decay_to(seconds(1_000_000));
        counters.add(&one(Counter::Messages2m, 4.0));
        counters.decay_to(seconds(0));
        assert_eq!(counters.of(Counter::Messages2m), 4.0);
        counters.decay_to(seconds(1200));
        assert!(counters.of(Counter::Messages2m) < 0.001);
    }

    #[test]
    fn a_burst_began_with_its_first_message() {
        let mut counters = Counters::default();
        for at in [0, 10_000, 10_001, 10_060] {
            counters.decay_to(seconds(at));
            counters.add(&one(Counter::Messages2m, 1.0));
        }
        assert_eq!(counters.since(Counter::Messages2m), seconds(10_000));
    }

    #[test]
    fn counters_never_overflow() {
        let mut counters = Counters::default();
        for _ in 0..100 {
            counters.add(&one(Counter::Distant1d, f32::MAX));
        }
        assert_eq!(counters.of(Counter::Distant1d), MOST);
        assert!(MOST.powi(4).is_finite());
    }
}
