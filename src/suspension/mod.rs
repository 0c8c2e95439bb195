//! A suspension: of an account, since when, by what, until when; and the rest of an account's life. Pure: it is
//! data.

mod life;
mod settings;
mod state;
mod verdict;

use compact_str::CompactString;

use crate::detector::{Finding, Severity, Test};
use crate::ledger::{Reader, Torn, Writer};
use crate::mail::{Mode, Timestamp};

pub use life::{Exemption, Grade, Life, PROBATION_MS, Probation, Repeats, WATCH_MS, Watch};
pub use settings::Settings;
pub use state::State;
pub use verdict::{Ending, Verdict};

/// How long a suspension that only observes stands: the attack it saw is told once, not at each message.
pub const SHADOW_MS: i64 = 24 * 3_600_000;

/// From this repeat on a suspension stands until it is released.
const LAST_STEP: u8 = 3;

/// An account may not send.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspension {
    /// That of the decision that imposed it; told in every refusal.
    pub id: CompactString,
    pub cause: Cause,
    /// Observe: a shadow, which refuses nothing.
    pub mode: Mode,
    /// The first message that the finding counted.
    pub since: Timestamp,
    pub imposed: Timestamp,
    /// `None`: until somebody releases it.
    pub until: Option<Timestamp>,
    /// How often the account had been suspended shortly before.
    pub step: u8,
}

/// What imposed a suspension.
#[derive(Clone, Debug, PartialEq)]
pub enum Cause {
    Found(Finding),
    /// Somebody, for reasons that the incident tells.
    Person(CompactString),
}

impl Suspension {
    /// By a finding at `at`, for as long as the settings say after so many others.
    pub fn impose(
        id: &str,
        finding: Finding,
        mode: Mode,
        settings: &Settings,
        step: u8,
        at: Timestamp,
    ) -> Self {
        let lasts_ms = match mode {
            Mode::Enforce => settings.lasts_ms.filter(|_| step < LAST_STEP),
            _ => Some(SHADOW_MS),
        };
        let until = lasts_ms.map(|lasts| later(at, lasts.saturating_mul(1 << step.min(LAST_STEP))));
        // A clock set back in between has put the first message behind the last.
        let finding = Finding { since: finding.since.min(at), ..finding };
        let since = finding.since;
        Self { id: id.into(), cause: Cause::Found(finding), mode, since, imposed: at, until, step }
    }

    /// By a person.
    pub fn by_person(id: &str, who: &str, until: Option<Timestamp>, at: Timestamp) -> Self {
        Self {
            id: id.into(),
            cause: Cause::Person(who.into()),
            mode: Mode::Enforce,
            since: at,
            imposed: at,
            until,
            step: 0,
        }
    }

    pub fn is_in_force(&self, at: Timestamp) -> bool {
        self.until.is_none_or(|until| at < until)
    }

    /// `None`: a person imposed it.
    pub const fn finding(&self) -> Option<&Finding> {
        match &self.cause {
            Cause::Found(finding) => Some(finding),
            Cause::Person(_) => None,
        }
    }

    /// The test that imposed it; `None`: a person did.
    pub fn test(&self) -> Option<Test> {
        self.finding().map(|finding| finding.test)
    }

    pub fn write(&self, out: &mut Writer) {
        out.text(&self.id);
        match &self.cause {
            Cause::Found(finding) => {
                out.u8(finding.test.code());
                out.u8(u8::from(finding.severity == Severity::Suspend));
                out.u8(u8::from(self.mode == Mode::Enforce));
                out.f32(finding.value);
                out.f32(finding.usual);
                out.f32(finding.limit);
            }
            Cause::Person(who) => {
                out.u8(PERSON);
                out.text(who);
            }
        }
        out.i64(self.since.unix_ms());
        out.i64(self.imposed.unix_ms());
        out.i64(self.until.map_or(i64::MAX, Timestamp::unix_ms));
        out.u8(self.step);
    }

    /// `None`: a shadow by a test that a later release has. What such a test imposed in earnest goes on refusing.
    pub fn read(from: &mut Reader) -> Result<Option<Self>, Torn> {
        let id = from.text()?.into();
        let (mut mode, code) = (Mode::Enforce, from.u8()?);
        let cause = if code == PERSON {
            Some(Cause::Person(from.text()?.into()))
        } else {
            let severity = if from.u8()? == 0 { Severity::Hold } else { Severity::Suspend };
            mode = if from.u8()? == 0 { Mode::Observe } else { Mode::Enforce };
            let (value, usual, limit) = (from.f32()?, from.f32()?, from.f32()?);
            let since = Timestamp::default();
            let found =
                |test| Cause::Found(Finding { test, severity, mode, value, usual, limit, since });
            let of_later = (mode == Mode::Enforce).then(|| Cause::Person(LATER_RELEASE.into()));
            Test::from_code(code).map(found).or(of_later)
        };
        let since = Timestamp::from_unix_ms(from.i64()?);
        let imposed = Timestamp::from_unix_ms(from.i64()?);
        let until = from.i64()?;
        let until = (until != i64::MAX).then(|| Timestamp::from_unix_ms(until));
        let step = if from.is_empty() { 0 } else { from.u8()? };
        let cause = match cause {
            None => return Ok(None),
            Some(Cause::Found(finding)) => Cause::Found(Finding { since, ..finding }),
            Some(person) => person,
        };
        Ok(Some(Self { id, cause, mode, since, imposed, until, step }))
    }
}

/// Where the code of a test would stand.
const PERSON: u8 = u8::MAX;

/// Who imposed what a test did that is not known here.
const LATER_RELEASE: &str = "a later release";

fn later(at: Timestamp, ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(at.unix_ms().saturating_add(ms))
}

/// Of some account, for the tests of whoever keeps it.
#[cfg(test)]
impl Suspension {
    pub fn sample() -> Self {
        let at = Timestamp::from_unix_ms(5_000);
        Self::impose("0123456789AB", tests::finding(), Mode::Enforce, &Settings::default(), 0, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Meter;

    pub fn finding() -> Finding {
        Finding {
            test: Test::Usual(Meter::Novel2h),
            severity: Severity::Suspend,
            mode: Mode::Enforce,
            value: 12.0,
            usual: 0.75,
            limit: 11.0,
            since: at(4_000),
        }
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    fn impose(mode: Mode, lasts_ms: Option<i64>, step: u8) -> Suspension {
        let settings = Settings { lasts_ms, ..Settings::default() };
        Suspension::impose("0123456789AB", finding(), mode, &settings, step, at(5_000))
    }

    #[test]
    fn it_stands_until_its_end_and_not_a_moment_longer() {
        let suspension = impose(Mode::Enforce, Some(500), 0);
        assert_eq!(suspension.since, at(4_000));
        assert!(suspension.is_in_force(at(5_499)));
        assert!(!suspension.is_in_force(at(5_500)));
        assert!(impose(Mode::Enforce, None, 0).is_in_force(at(i64::MAX)));
    }

    #[test]
    fn each_repeat_takes_twice_as_long_and_the_fourth_has_no_end() {
        let lasts = |step| impose(Mode::Enforce, Some(500), step).until;
        let until = [5_500, 6_000, 7_000].map(|ms| Some(at(ms)));
        assert_eq!([0, 1, 2].map(lasts), until);
        assert_eq!([3, u8::MAX].map(lasts), [None, None]);
    }

    #[test]
    fn a_shadow_ends_after_a_day() {
        let shadow = impose(Mode::Observe, None, 0);
        assert!(shadow.is_in_force(at(5_000 + SHADOW_MS - 1)));
        assert!(!shadow.is_in_force(at(5_000 + SHADOW_MS)));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut all = vec![
            impose(Mode::Enforce, None, 0),
            impose(Mode::Enforce, Some(9), 2),
            Suspension::by_person("0123456789AB", "carol", Some(at(9)), at(5)),
            Suspension::by_person("0123456789AB", "", None, at(5)),
        ];
        let mut shadow = impose(Mode::Observe, None, 0);
        shadow.cause = Cause::Found(Finding { mode: Mode::Observe, ..finding() });
        all.push(shadow);
        for suspension in all {
            let mut out = Writer::default();
            suspension.write(&mut out);
            assert_eq!(Suspension::read(&mut Reader::new(&out.done())), Ok(Some(suspension)));
        }
    }

    #[test]
    fn what_a_test_of_a_later_release_imposed_goes_on_and_its_shadow_does_not() {
        for mode in [Mode::Enforce, Mode::Observe] {
            let imposed = impose(mode, None, 0);
            let mut out = Writer::default();
            imposed.write(&mut out);
            let mut bytes = out.done();
            let code = bytes.iter().position(|byte| *byte == Test::Usual(Meter::Novel2h).code());
            bytes[code.expect("its code")] = PERSON - 1;
            let read = Suspension::read(&mut Reader::new(&bytes)).expect("it can be read");
            let cause = Cause::Person(LATER_RELEASE.into());
            let expected = (mode == Mode::Enforce).then_some(Suspension { cause, ..imposed });
            assert_eq!(read, expected);
        }
    }
}
