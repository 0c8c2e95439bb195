//! What is usual for one account: meter by meter the fourth-power mean of its daily peaks, which a
//! single high day moves much and an ordinary one hardly.

use crate::ledger::binary::{Reader, Torn, Writer};
use crate::ledger::{Counter, Counters};
use crate::mail::Timestamp;

/// A counter that is measured against its own past: whole, or the rest without its largest single increment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum Meter {
    Messages2m,
    Messages2h,
    Novel2m,
    Novel2h,
    Novel1d,
    Distant15m,
    Distant1d,
    Distant1dRest,
    Strangers2h,
    New7dRest,
    Breadth2h,
    Breadth2hRest,
    Mixture15m,
    Mixture15mRest,
    Blend15m,
    Scatter15mRest,
    Networks1h,
}

const METERS: usize = 17;

impl Meter {
    pub const ALL: [Meter; METERS] = [
        Meter::Messages2m,
        Meter::Messages2h,
        Meter::Novel2m,
        Meter::Novel2h,
        Meter::Novel1d,
        Meter::Distant15m,
        Meter::Distant1d,
        Meter::Distant1dRest,
        Meter::Strangers2h,
        Meter::New7dRest,
        Meter::Breadth2h,
        Meter::Breadth2hRest,
        Meter::Mixture15m,
        Meter::Mixture15mRest,
        Meter::Blend15m,
        Meter::Scatter15mRest,
        Meter::Networks1h,
    ];

    pub const fn counter(self) -> Counter {
        match self {
            Self::Messages2m => Counter::Messages2m,
            Self::Messages2h => Counter::Messages2h,
            Self::Novel2m => Counter::Novel2m,
            Self::Novel2h => Counter::Novel2h,
            Self::Novel1d => Counter::Novel1d,
            Self::Distant15m => Counter::Distant15m,
            Self::Distant1d | Self::Distant1dRest => Counter::Distant1d,
            Self::Strangers2h => Counter::Strangers2h,
            Self::New7dRest => Counter::New7d,
            Self::Breadth2h | Self::Breadth2hRest => Counter::Breadth2h,
            Self::Mixture15m | Self::Mixture15mRest => Counter::Mixture15m,
            Self::Blend15m => Counter::Blend15m,
            Self::Scatter15mRest => Counter::Scatter15m,
            Self::Networks1h => Counter::Networks1h,
        }
    }

    pub const fn is_rest(self) -> bool {
        matches!(
            self,
            Self::Distant1dRest
                | Self::New7dRest
                | Self::Breadth2hRest
                | Self::Mixture15mRest
                | Self::Scatter15mRest
        )
    }

    /// Whether it counts those never written to before.
    pub const fn is_of_new_recipients(self) -> bool {
        matches!(
            self,
            Self::Novel2m
                | Self::Novel2h
                | Self::Novel1d
                | Self::Strangers2h
                | Self::New7dRest
                | Self::Breadth2h
                | Self::Breadth2hRest
        )
    }

    /// The usual daily peak of an account nothing is known of yet: the fourth-power mean over the fitting
    /// senders of email-Eu-core; of client networks, which are not in it, two at once.
    pub const fn prior(self) -> f32 {
        match self {
            Self::Messages2m => 1.437,
            Self::Messages2h => 3.503,
            Self::Novel2m => 0.627,
            Self::Novel2h => 0.782,
            Self::Novel1d => 1.094,
            Self::Distant15m => 7.947,
            Self::Distant1d => 8.715,
            Self::Distant1dRest => 3.840,
            Self::Strangers2h => 2.602,
            Self::New7dRest => 2.237,
            Self::Breadth2h => 1.072,
            Self::Breadth2hRest => 0.473,
            Self::Mixture15m => 1.142,
            Self::Mixture15mRest => 0.241,
            Self::Blend15m => 0.313,
            Self::Scatter15mRest => 0.43,
            Self::Networks1h => 2.0,
        }
    }

    pub fn read(self, counters: &Counters) -> f32 {
        if self.is_rest() { counters.rest(self.counter()) } else { counters.of(self.counter()) }
    }
}

/// The prior counts as so many active days.
const PRIOR_DAYS: f32 = 10.0;

/// What is usual is half forgotten after 90 active days: 2^(-1/90).
const FORGETTING: f32 = 0.992_328;

/// Against slow poisoning: what is usual grows at most by this factor in seven days.
const GROWTH_IN_A_WEEK: f32 = 1.5;

const DAY_MS: i64 = 86_400_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// Days since the Unix epoch of the day under way; `None`: nothing was counted yet.
    day: Option<i32>,
    /// Active days before it, half forgotten like all else.
    days: f32,
    meters: [Learnt; METERS],
}

/// What is known of one meter.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
struct Learnt {
    /// The sum of the fourth powers of the peaks of days past.
    fourths: f32,
    /// The peak of the day under way.
    peak: f32,
    /// How much is usual, which grows slowly.
    usual: f32,
}

impl Default for Scale {
    fn default() -> Self {
        let unknown = |meter: Meter| Learnt { usual: meter.prior(), ..Learnt::default() };
        Self { day: None, days: 0.0, meters: Meter::ALL.map(unknown) }
    }
}

impl Scale {
    /// Whether `at` lies in a later day than the one under way.
    pub fn is_new_day(&self, at: Timestamp) -> bool {
        self.day.is_none_or(|day| day_of(at) > day)
    }

    /// A clock set back stays in the day under way, which goes on as that of `at` where it was more than a day:
    /// else a clock that was once in the future would keep all days until then from being learnt.
    pub fn stay_in_day(&mut self, at: Timestamp) {
        self.day = self.day.map(|day| day.min(day_of(at).saturating_add(1)));
    }

    /// Begins the day of `at`: the peaks of the one before are learnt.
    pub fn begin_day(&mut self, at: Timestamp) {
        let today = day_of(at);
        let Some(before) = self.day.replace(today) else { return };
        let days = today.saturating_sub(before).clamp(0, 7) as f32;
        let growth = GROWTH_IN_A_WEEK.powf(days / 7.0);
        self.days = FORGETTING * self.days + 1.0;
        for meter in Meter::ALL {
            let learnt = &mut self.meters[meter as usize];
            learnt.fourths = FORGETTING * learnt.fourths + learnt.peak.powi(4);
            learnt.peak = 0.0;
            let known = PRIOR_DAYS * meter.prior().powi(4) + learnt.fourths;
            let mean = (known / (PRIOR_DAYS + self.days)).sqrt().sqrt();
            learnt.usual = mean.min(learnt.usual * growth);
        }
    }

    /// Raises the peaks of the day under way to the counters as they stand.
    pub fn learn(&mut self, counters: &Counters) {
        for meter in Meter::ALL {
            let peak = &mut self.meters[meter as usize].peak;
            *peak = peak.max(meter.read(counters));
        }
    }

    /// Learns the height of one meter at once, of a finding that a person called false.
    pub fn learn_false_alarm(&mut self, meter: Meter, height: f32) {
        let learnt = &mut self.meters[meter as usize];
        learnt.peak = learnt.peak.max(height);
        learnt.usual = learnt.usual.max(height);
    }

    /// Forgets the peaks of the day under way.
    pub fn forget_today(&mut self) {
        self.meters.iter_mut().for_each(|learnt| learnt.peak = 0.0);
    }

    /// The usual daily peak; never 0.
    pub fn usual(&self, meter: Meter) -> f32 {
        self.meters[meter as usize].usual
    }

    /// How much wider a limit is while little is known of this account: 1.4 times on its first day, 1.15 after
    /// ten with mail, 1.02 after thirty.
    pub fn doubt(&self) -> f32 {
        1.0 + 0.4 * (-self.days / 10.0).exp()
    }

    /// Days with mail before this one; those long ago count less.
    pub fn active_days(&self) -> f32 {
        self.days
    }

    pub fn merge(&mut self, other: &Self) {
        self.day = self.day.max(other.day);
        self.days = self.days.max(other.days);
        for (one, other) in self.meters.iter_mut().zip(&other.meters) {
            one.fourths = (one.fourths + other.fourths).min(f32::MAX);
            one.peak = one.peak.max(other.peak);
            one.usual = one.usual.max(other.usual);
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.u32(self.day.map_or(0, |day| day.cast_unsigned()));
        out.u8(u8::from(self.day.is_some()));
        out.f32(self.days);
        out.u8(METERS as u8);
        for learnt in &self.meters {
            out.f32(learnt.fourths);
            out.f32(learnt.peak);
            out.f32(learnt.usual);
        }
    }

    /// A release appends meters and never reorders them.
    pub(super) fn read(from: &mut Reader) -> Result<Self, Torn> {
        let mut read = Self::default();
        let day = from.u32()?.cast_signed();
        read.day = (from.u8()? != 0).then_some(day);
        read.days = from.f32()?;
        for place in 0..usize::from(from.u8()?) {
            let learnt = Learnt { fourths: from.f32()?, peak: from.f32()?, usual: from.f32()? };
            if let Some(known) = read.meters.get_mut(place) {
                *known = learnt;
            }
        }
        Ok(read)
    }
}

fn day_of(at: Timestamp) -> i32 {
    i32::try_from(at.unix_ms().div_euclid(DAY_MS)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Increments;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_unix_ms(day * DAY_MS + 1)
    }

    fn high(height: f32) -> Counters {
        let mut counters = Counters::default();
        let mut increments = Increments::default();
        increments.set(Counter::Novel2h, height);
        counters.add(&increments);
        counters
    }

    fn after(peaks: impl IntoIterator<Item = f32>) -> Scale {
        let mut scale = Scale::default();
        for (number, peak) in peaks.into_iter().enumerate() {
            scale.begin_day(day(20_000 + number as i64));
            scale.learn(&high(peak));
        }
        scale.begin_day(day(30_000));
        scale
    }

    #[test]
    fn without_a_past_the_prior_is_usual() {
        assert_eq!(Scale::default().usual(Meter::Novel2h), 0.782);
        assert_eq!(after([]).usual(Meter::Novel2h), 0.782);
    }

    #[test]
    fn it_is_the_fourth_power_mean_of_daily_peaks() {
        let scale = after([0.5]);
        let mean = ((10.0 * 0.782_f32.powi(4) + 0.5_f32.powi(4)) / 11.0).powf(0.25);
        assert!((scale.usual(Meter::Novel2h) - mean).abs() < 1e-5);
    }

    #[test]
    fn a_high_day_raises_it_by_half_at_most_in_a_week() {
        let mut scale = after([]);
        let week = 30_001..=30_007;
        for number in week {
            scale.learn(&high(1000.0));
            scale.begin_day(day(number));
        }
        assert!((scale.usual(Meter::Novel2h) - 0.782 * 1.5).abs() < 1e-3);
        let once_after_a_year = {
            let mut scale = after([]);
            scale.learn(&high(1000.0));
            scale.begin_day(day(30_365));
            scale.usual(Meter::Novel2h)
        };
        assert!((once_after_a_year - 0.782 * 1.5).abs() < 1e-3);
    }

    #[test]
    fn a_clock_set_back_ends_no_day() {
        let mut scale = after([1.0]);
        assert!(!scale.is_new_day(day(29_000)));
        assert!(!scale.is_new_day(day(30_000)));
        assert!(scale.is_new_day(day(30_001)));
        scale.learn(&high(1.0));
    }

    #[test]
    fn a_false_alarm_is_usual_at_once() {
        let mut scale = after([1.0]);
        scale.learn_false_alarm(Meter::Novel2h, 14.0);
        assert_eq!(scale.usual(Meter::Novel2h), 14.0);
    }
}
