//! A suspension: of an account, since when, by what finding, until when. Pure: its life is data.

use compact_str::CompactString;

use crate::detector::{Finding, Severity, Test};
use crate::ledger::{Reader, Torn, Writer};
use crate::mail::{Mode, Timestamp};

/// How long a suspension that only observes stands: the attack it saw is told once, not at each message.
pub const SHADOW_MS: i64 = 24 * 3_600_000;

/// An account may not send.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspension {
    /// That of the decision that imposed it; told in every refusal.
    pub id: CompactString,
    pub finding: Finding,
    /// Observe: a shadow, which refuses nothing.
    pub mode: Mode,
    /// The first message that the finding counted.
    pub since: Timestamp,
    pub imposed: Timestamp,
    /// `None`: until somebody releases it.
    pub until: Option<Timestamp>,
}

impl Suspension {
    /// By a finding at `at`, for as long as `lasts_ms`.
    pub fn impose(
        id: &str,
        finding: Finding,
        mode: Mode,
        lasts_ms: Option<i64>,
        at: Timestamp,
    ) -> Self {
        let lasts_ms = if mode == Mode::Enforce { lasts_ms } else { Some(SHADOW_MS) };
        let until =
            lasts_ms.map(|lasts| Timestamp::from_unix_ms(at.unix_ms().saturating_add(lasts)));
        // A clock set back in between has put the first message behind the last.
        let finding = Finding { since: finding.since.min(at), ..finding };
        Self { id: id.into(), finding, mode, since: finding.since, imposed: at, until }
    }

    pub fn is_in_force(&self, at: Timestamp) -> bool {
        self.until.is_none_or(|until| at < until)
    }

    /// It stands and refuses.
    pub fn refuses(&self, at: Timestamp) -> bool {
        self.mode == Mode::Enforce && self.is_in_force(at)
    }

    pub fn write(&self, out: &mut Writer) {
        out.text(&self.id);
        out.u8(self.finding.test.code());
        out.u8(u8::from(self.finding.severity == Severity::Suspend));
        out.u8(u8::from(self.mode == Mode::Enforce));
        out.f32(self.finding.value);
        out.f32(self.finding.usual);
        out.f32(self.finding.limit);
        out.i64(self.since.unix_ms());
        out.i64(self.imposed.unix_ms());
        out.i64(self.until.map_or(i64::MAX, Timestamp::unix_ms));
    }

    pub fn read(from: &mut Reader) -> Result<Self, Torn> {
        let id = from.text()?.into();
        let test = Test::from_code(from.u8()?).ok_or(Torn)?;
        let severity = if from.u8()? == 0 { Severity::Hold } else { Severity::Suspend };
        let mode = if from.u8()? == 0 { Mode::Observe } else { Mode::Enforce };
        let (value, usual, limit) = (from.f32()?, from.f32()?, from.f32()?);
        let since = Timestamp::from_unix_ms(from.i64()?);
        let imposed = Timestamp::from_unix_ms(from.i64()?);
        let until = from.i64()?;
        Ok(Self {
            id,
            finding: Finding { test, severity, mode, value, usual, limit, since },
            mode,
            since,
            imposed,
            until: (until != i64::MAX).then(|| Timestamp::from_unix_ms(until)),
        })
    }
}

/// Of some account, for the tests of whoever keeps it.
#[cfg(test)]
impl Suspension {
    pub fn sample() -> Self {
        let at = Timestamp::from_unix_ms(5_000);
        Self::impose("0123456789AB", tests::finding(), Mode::Enforce, None, at)
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

    #[test]
    fn it_stands_until_its_end_and_not_a_moment_longer() {
        let suspension =
            Suspension::impose("0123456789AB", finding(), Mode::Enforce, Some(500), at(5_000));
        assert_eq!(suspension.since, at(4_000));
        assert!(suspension.refuses(at(5_499)));
        assert!(!suspension.refuses(at(5_500)));
        let forever = Suspension::impose("0123456789AB", finding(), Mode::Enforce, None, at(5_000));
        assert!(forever.refuses(at(i64::MAX)));
    }

    #[test]
    fn a_shadow_refuses_nothing_and_ends_after_a_day() {
        let shadow = Suspension::impose("0123456789AB", finding(), Mode::Observe, None, at(5_000));
        assert!(!shadow.refuses(at(5_000)));
        assert!(shadow.is_in_force(at(5_000 + SHADOW_MS - 1)));
        assert!(!shadow.is_in_force(at(5_000 + SHADOW_MS)));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (mode, lasts) in
            [(Mode::Enforce, None), (Mode::Enforce, Some(9)), (Mode::Observe, None)]
        {
            let mut suspension =
                Suspension::impose("0123456789AB", finding(), mode, lasts, at(5_000));
            suspension.finding.mode = mode;
            let mut out = Writer::default();
            suspension.write(&mut out);
            assert_eq!(Suspension::read(&mut Reader::new(&out.done())), Ok(suspension));
        }
    }
}
