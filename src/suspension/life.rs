//! What stands for and against an account beside a suspension: probation, exemption, what was noticed, and how
//! often it was suspended.

use crate::detector::{Spares, Terms};
use crate::ledger::{Reader, Torn, Writer};
use crate::mail::Timestamp;
use crate::suspension::later;

/// After a release, so long.
pub const PROBATION_MS: i64 = 48 * 3_600_000;

/// What was noticed is told once, and forgotten so long after the last time.
pub const WATCH_MS: i64 = 24 * 3_600_000;

/// A suspension so long after the last is no repeat.
const REPEAT_MS: u64 = 30 * 24 * 3_600_000;

/// On probation limits are so much lower.
const STRICTNESS: f32 = 0.3;

/// All that is not usual.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Life {
    pub probation: Option<Probation>,
    pub exemption: Option<Exemption>,
    pub watch: Option<Watch>,
    pub repeats: Option<Repeats>,
}

/// Lately suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probation {
    pub until: Timestamp,
    /// Its limits are lower. Not after a false alarm, which the same behaviour would bring back at once.
    pub is_strict: bool,
}

/// Tests are not asked for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemption {
    pub spares: Spares,
    pub until: Timestamp,
    /// It ends with so many recipients in all.
    pub recipients: Option<u32>,
    /// So many were sent to so far.
    pub used: u32,
}

/// Something was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    pub grade: Grade,
    pub until: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Near a limit that suspends.
    Watched,
    Held,
}

impl Grade {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Watched => "watched",
            Self::Held => "held",
        }
    }
}

/// Suspensions that were no false alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeats {
    pub count: u8,
    /// The end of the last one.
    pub last: Timestamp,
}

impl Exemption {
    pub fn is_in_force(&self, at: Timestamp) -> bool {
        at < self.until && self.recipients.is_none_or(|most| self.used < most)
    }
}

impl Life {
    pub fn on_probation(&self, at: Timestamp) -> Option<Probation> {
        self.probation.filter(|probation| at < probation.until)
    }

    pub fn exemption(&self, at: Timestamp) -> Option<&Exemption> {
        self.exemption.as_ref().filter(|exemption| exemption.is_in_force(at))
    }

    pub fn watch(&self, at: Timestamp) -> Option<Watch> {
        self.watch.filter(|watch| at < watch.until)
    }

    /// By which the detector judges a message to so many.
    pub fn terms(&self, recipients: u32, at: Timestamp) -> Terms {
        let is_strict = self.on_probation(at).is_some_and(|probation| probation.is_strict);
        let has_room = |exemption: &&Exemption| {
            exemption
                .recipients
                .is_none_or(|most| exemption.used.saturating_add(recipients) <= most)
        };
        let exemption = self.exemption(at).filter(has_room);
        Terms {
            strictness: if is_strict { STRICTNESS } else { 1.0 },
            spares: exemption.map_or(Spares::Nothing, |exemption| exemption.spares),
        }
    }

    /// So many suspensions shortly before.
    pub fn step(&self, at: Timestamp) -> u8 {
        let recent = self.repeats.filter(|repeats| at.ms_since(repeats.last) < REPEAT_MS);
        recent.map_or(0, |repeats| repeats.count)
    }

    /// A suspension has ended that was no false alarm.
    pub fn count_repeat(&mut self, at: Timestamp) {
        let count = self.step(at).saturating_add(1);
        self.repeats = Some(Repeats { count, last: at });
    }

    /// Notes what was noticed; true where it is news.
    pub fn notice(&mut self, grade: Grade, at: Timestamp) -> bool {
        let known = self.watch(at);
        let grade = known.map_or(grade, |known| known.grade.max(grade));
        self.watch = Some(Watch { grade, until: later(at, WATCH_MS) });
        known.is_none_or(|known| known.grade < grade)
    }

    /// Adds what stands under another key of the same account. Added twice it is as added once.
    pub fn merge(&mut self, other: &Self) {
        self.probation = either(self.probation, other.probation, |own, other| Probation {
            until: own.until.max(other.until),
            is_strict: own.is_strict || other.is_strict,
        });
        self.exemption = self.exemption.or(other.exemption);
        self.watch = either(self.watch, other.watch, |own, other| Watch {
            grade: own.grade.max(other.grade),
            until: own.until.max(other.until),
        });
        self.repeats = either(self.repeats, other.repeats, |own, other| Repeats {
            count: own.count.max(other.count),
            last: own.last.max(other.last),
        });
    }

    /// Drops what is over.
    pub fn settle(&mut self, at: Timestamp) {
        self.probation = self.on_probation(at);
        self.exemption = self.exemption(at).copied();
        self.watch = self.watch(at);
        if self.step(at) == 0 {
            self.repeats = None;
        }
    }

    pub fn write(&self, out: &mut Writer) {
        if let Some(Probation { until, is_strict }) = self.probation {
            out.section(PROBATION, |out| {
                out.i64(until.unix_ms());
                out.u8(u8::from(is_strict));
            });
        }
        if let Some(Exemption { spares, until, recipients, used }) = self.exemption {
            out.section(EXEMPTION, |out| {
                out.u8(u8::from(spares == Spares::Everything));
                out.i64(until.unix_ms());
                out.u32(recipients.unwrap_or(u32::MAX));
                out.u32(used);
            });
        }
        if let Some(Watch { grade, until }) = self.watch {
            out.section(WATCH, |out| {
                out.u8(u8::from(grade == Grade::Held));
                out.i64(until.unix_ms());
            });
        }
        if let Some(Repeats { count, last }) = self.repeats {
            out.section(REPEATS, |out| {
                out.u8(count);
                out.i64(last.unix_ms());
            });
        }
    }

    pub fn read(from: &mut Reader) -> Result<Self, Torn> {
        let mut read = Self::default();
        while let Some((tag, mut section)) = from.section()? {
            let from = &mut section;
            match tag {
                PROBATION => {
                    let until = Timestamp::from_unix_ms(from.i64()?);
                    read.probation = Some(Probation { until, is_strict: from.u8()? != 0 });
                }
                EXEMPTION => {
                    let all = from.u8()? != 0;
                    let spares = if all { Spares::Everything } else { Spares::Recipients };
                    let until = Timestamp::from_unix_ms(from.i64()?);
                    let recipients = Some(from.u32()?).filter(|most| *most != u32::MAX);
                    read.exemption =
                        Some(Exemption { spares, until, recipients, used: from.u32()? });
                }
                WATCH => {
                    let grade = if from.u8()? != 0 { Grade::Held } else { Grade::Watched };
                    read.watch = Some(Watch { grade, until: Timestamp::from_unix_ms(from.i64()?) });
                }
                REPEATS => {
                    let count = from.u8()?;
                    read.repeats =
                        Some(Repeats { count, last: Timestamp::from_unix_ms(from.i64()?) });
                }
                _ => {}
            }
        }
        Ok(read)
    }
}

fn either<T>(own: Option<T>, other: Option<T>, both: impl FnOnce(T, T) -> T) -> Option<T> {
    match (own, other) {
        (Some(own), Some(other)) => Some(both(own, other)),
        (own, other) => own.or(other),
    }
}

const PROBATION: u8 = 1;
const EXEMPTION: u8 = 2;
const WATCH: u8 = 3;
const REPEATS: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    fn exemption(recipients: Option<u32>) -> Exemption {
        Exemption { spares: Spares::Recipients, until: at(100), recipients, used: 0 }
    }

    #[test]
    fn an_exemption_ends_with_its_day_and_with_its_recipients() {
        let mut life = Life { exemption: Some(exemption(Some(10))), ..Life::default() };
        assert_eq!(life.terms(10, at(99)).spares, Spares::Recipients);
        assert_eq!(life.terms(11, at(99)).spares, Spares::Nothing);
        assert_eq!(life.terms(1, at(100)).spares, Spares::Nothing);
        life.exemption = Some(Exemption { used: 9, ..exemption(Some(10)) });
        assert_eq!(life.terms(1, at(1)).spares, Spares::Recipients);
        assert_eq!(life.terms(2, at(1)).spares, Spares::Nothing);
        life.exemption = Some(Exemption { used: 10, ..exemption(Some(10)) });
        assert_eq!(life.exemption(at(1)), None);
        life.exemption = Some(exemption(None));
        assert_eq!(life.terms(u32::MAX, at(1)).spares, Spares::Recipients);
    }

    #[test]
    fn probation_lowers_the_limits_until_its_end() {
        let probation = |is_strict| Life {
            probation: Some(Probation { until: at(100), is_strict }),
            ..Life::default()
        };
        assert_eq!(probation(true).terms(1, at(99)).strictness, STRICTNESS);
        assert_eq!(probation(true).terms(1, at(100)).strictness, 1.0);
        assert_eq!(probation(false).terms(1, at(99)).strictness, 1.0);
    }

    #[test]
    fn what_is_noticed_is_news_once_a_day_and_when_it_is_worse() {
        let mut life = Life::default();
        assert!(life.notice(Grade::Watched, at(0)));
        assert!(!life.notice(Grade::Watched, at(WATCH_MS - 1)));
        assert!(!life.notice(Grade::Watched, at(WATCH_MS)), "it counts from the last time");
        assert!(life.notice(Grade::Held, at(WATCH_MS)));
        assert!(!life.notice(Grade::Watched, at(WATCH_MS)));
        assert_eq!(life.watch(at(WATCH_MS)).map(|watch| watch.grade), Some(Grade::Held));
        assert!(life.notice(Grade::Watched, at(2 * WATCH_MS)));
    }

    #[test]
    fn repeats_are_forgotten_after_thirty_days() {
        let month = REPEAT_MS as i64;
        let mut life = Life::default();
        assert_eq!(life.step(at(0)), 0);
        life.count_repeat(at(0));
        life.count_repeat(at(month - 1));
        assert_eq!(life.step(at(2 * month - 2)), 2);
        assert_eq!(life.step(at(2 * month - 1)), 0);
        life.settle(at(2 * month - 1));
        assert_eq!(life, Life::default());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut life = Life::default();
        let mut all = vec![life.clone()];
        life.notice(Grade::Held, at(7));
        life.count_repeat(at(8));
        all.push(life.clone());
        life.probation = Some(Probation { until: at(9), is_strict: true });
        life.exemption = Some(Exemption { used: 3, ..exemption(Some(400)) });
        all.push(life.clone());
        life.exemption = Some(Exemption { spares: Spares::Everything, ..exemption(None) });
        all.push(life);
        for life in all {
            let mut out = Writer::default();
            life.write(&mut out);
            assert_eq!(Life::read(&mut Reader::new(&out.done())), Ok(life));
        }
    }
}
