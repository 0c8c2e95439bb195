//! Time stamps of logs: RFC 3164 (no year, no zone), RFC 3339, and the year and offset that the first kind
//! leaves out.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::history::moment;
use crate::mail::Timestamp;

/// Lines of one file may be out of order by so much: programs write at once, and relays hold lines back.
const DISORDER_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;

/// A time as a line has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    Moment(Timestamp),
    /// Local, of a year that is not told.
    Yearless {
        month: i8,
        day: i8,
        hour: i8,
        minute: i8,
        second: i8,
    },
    /// Local.
    Local(DateTime),
}

impl Stamp {
    /// Reads the stamp at the beginning of a line, and gives the rest.
    pub(super) fn read(line: &[u8]) -> Option<(Self, &[u8])> {
        if line.first()?.is_ascii_digit() { iso(line) } else { bsd(line) }
    }
}

/// `2026-11-26T23:19:57.123456+01:00 `
fn iso(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let end = memchr::memchr(b' ', line)?;
    let text = std::str::from_utf8(&line[..end]).ok()?;
    let stamp = match text.parse::<jiff::Timestamp>() {
        Ok(moment) => Stamp::Moment(self::moment(moment.as_millisecond()).ok()?),
        Err(_) if text.len() >= 19 => Stamp::Local(text.parse().ok()?),
        Err(_) => return None,
    };
    Some((stamp, &line[end + 1..]))
}

/// `Nov  6 23:19:57 `
fn bsd(line: &[u8]) -> Option<(Stamp, &[u8])> {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let (stamp, rest) = line.split_at_checked(16)?;
    let month = MONTHS.chunks(3).position(|name| stamp.starts_with(name))?;
    let form = [(3, b' '), (6, b' '), (9, b':'), (12, b':'), (15, b' ')];
    if form.iter().any(|&(at, byte)| stamp[at] != byte) {
        return None;
    }
    let number = |at: usize| {
        let (tens, ones) = (stamp[at], stamp[at + 1]);
        let tens = if tens == b' ' && at == 4 { b'0' } else { tens };
        let both = tens.is_ascii_digit() && ones.is_ascii_digit();
        both.then(|| (tens - b'0') as i8 * 10 + (ones - b'0') as i8)
    };
    let stamp = Stamp::Yearless {
        month: month as i8 + 1,
        day: number(4)?,
        hour: number(7)?,
        minute: number(10)?,
        // A leap second is the one before it.
        second: number(13)?.min(59),
    };
    Some((stamp, rest))
}

/// Completes the stamps of one file, line after line.
pub(super) struct Calendar {
    zone: TimeZone,
    /// When the file was last written: no line of it is later.
    written: Timestamp,
    year: Option<i16>,
    last: Timestamp,
    /// The hour of the last stamp without a year, and when it began.
    hour: Option<((i8, i8, i8), i64)>,
}

impl Calendar {
    pub(super) fn new(zone: TimeZone, written: Timestamp) -> Self {
        Self { zone, written, year: None, last: Timestamp::from_unix_ms(0), hour: None }
    }

    pub(super) fn moment(&mut self, stamp: Stamp) -> Result<Timestamp, String> {
        let at = match stamp {
            Stamp::Moment(at) => at,
            Stamp::Local(time) => self.of_local(time).ok_or("the stamp names no time")?,
            Stamp::Yearless { month, day, hour, minute, second } => {
                let within = (i64::from(minute) * 60 + i64::from(second)) * 1000;
                match self.hour {
                    Some((key, began)) if key == (month, day, hour) && minute < 60 => {
                        Timestamp::from_unix_ms(began + within)
                    }
                    _ => self.of_yearless(|year| {
                        DateTime::new(year, month, day, hour, minute, second, 0).ok()
                    })?,
                }
            }
        };
        self.last = at;
        Ok(at)
    }

    fn of_yearless(&mut self, time: impl Fn(i16) -> Option<DateTime>) -> Result<Timestamp, String> {
        let in_year = |year: i16| Some((year, self.of_local(time(year)?)?));
        let fits = |&(_, at): &(i16, Timestamp)| at.ms_since(self.written) <= DAY_MS;
        let found = match self.year {
            // The latest year that is not after the file; a leap day may have to go back 8 years.
            None => {
                let written = jiff::Timestamp::from_millisecond(self.written.unix_ms());
                let latest = written.map_or(1970, |at| at.to_zoned(self.zone.clone()).year()) + 1;
                (latest - 9..=latest).rev().filter_map(in_year).find(fits)
            }
            Some(year) => {
                let is_back = |&(_, at): &(i16, Timestamp)| self.last.ms_since(at) > 2 * DAY_MS;
                // Lines written at once may cross the new year in either order.
                let before = in_year(year - 1).filter(|found| !is_back(found));
                let same = in_year(year).filter(|found| !is_back(found));
                before.or(same).or_else(|| in_year(year + 1)).filter(fits)
            }
        };
        let Some((year, at)) = found else {
            return Err(match time(2000) {
                None => "the stamp names no time".into(),
                Some(_) => "the stamp is later than the file was last written, or without a year \
                            in a file of more than one"
                    .into(),
            });
        };
        self.year = Some(year);
        self.hour = time(year).and_then(|time| self.hour_of(time, at));
        Ok(at)
    }

    /// Twice in autumn a clock shows the same: the first time, unless that is before the last line.
    fn of_local(&self, time: DateTime) -> Option<Timestamp> {
        let found = self.zone.to_ambiguous_timestamp(time);
        let at = |moment: jiff::Timestamp| self::moment(moment.as_millisecond()).ok();
        let first = at(found.earlier().ok()?)?;
        if matches!(found.offset(), AmbiguousOffset::Fold { .. })
            && self.last.ms_since(first) > DISORDER_MS
        {
            return at(found.later().ok()?);
        }
        Some(first)
    }

    /// When the hour of `at` began, where the clock shows it once.
    fn hour_of(&self, time: DateTime, at: Timestamp) -> Option<((i8, i8, i8), i64)> {
        let found = self.zone.to_ambiguous_timestamp(time);
        let is_single = matches!(found.offset(), AmbiguousOffset::Unambiguous { .. });
        let within = (i64::from(time.minute()) * 60 + i64::from(time.second())) * 1000;
        is_single.then(|| ((time.month(), time.day(), time.hour()), at.unix_ms() - within))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let moment: jiff::Timestamp = text.parse().expect(text);
        Timestamp::from_unix_ms(moment.as_millisecond())
    }

    fn calendar(zone: &str, written: &str) -> Calendar {
        Calendar::new(TimeZone::get(zone).expect(zone), at(written))
    }

    fn completed(calendar: &mut Calendar, stamp: &str) -> Result<String, String> {
        let line = format!("{stamp} mx");
        let (stamp, rest) = Stamp::read(line.as_bytes()).expect(&line);
        assert_eq!(rest, b"mx");
        calendar.moment(stamp).map(|at| at.to_string())
    }

    #[test]
    fn stamps_with_an_offset_need_nothing() {
        let mut calendar = calendar("UTC", "2026-11-27T00:00:00Z");
        for (stamp, moment) in [
            ("2026-11-26T23:19:57.123456+01:00", "2026-11-26T22:19:57.123Z"),
            ("2026-11-26T23:19:57Z", "2026-11-26T23:19:57.000Z"),
            ("2026-11-26T23:19:57", "2026-11-26T23:19:57.000Z"),
        ] {
            assert_eq!(completed(&mut calendar, stamp), Ok(moment.into()));
        }
    }

    #[test]
    fn what_is_no_stamp_is_none() {
        for line in [
            "",
            "Nov",
            "Nov 26 23:19:57",
            "Nov 26 23.19:57 mx",
            "2026-11-26 mx",
            "Mai  1 00:00:00 mx",
        ] {
            assert_eq!(Stamp::read(line.as_bytes()), None, "{line}");
        }
        let mut calendar = calendar("UTC", "2026-11-27T00:00:00Z");
        for stamp in ["Nov 31 00:00:00", "Nov 30 24:00:00", "Nov 30 00:60:00"] {
            assert_eq!(completed(&mut calendar, stamp), Err("the stamp names no time".into()));
        }
    }

    #[test]
    fn a_year_is_the_latest_that_is_not_after_the_file_and_rolls_over() {
        let mut calendar = calendar("UTC", "2026-01-02T06:25:00Z");
        for (stamp, moment) in [
            ("Dec 27 06:25:01", "2025-12-27T06:25:01.000Z"),
            ("Dec 31 23:59:59", "2025-12-31T23:59:59.000Z"),
            ("Jan  1 00:00:00", "2026-01-01T00:00:00.000Z"),
            ("Dec 31 23:59:59", "2025-12-31T23:59:59.000Z"),
            ("Jan  1 00:00:01", "2026-01-01T00:00:01.000Z"),
        ] {
            assert_eq!(completed(&mut calendar, stamp), Ok(moment.into()), "{stamp}");
        }
    }

    #[test]
    fn a_leap_day_is_of_a_leap_year() {
        let mut calendar = calendar("UTC", "2026-11-27T00:00:00Z");
        let leap = completed(&mut calendar, "Feb 29 12:00:00");
        assert_eq!(leap, Ok("2024-02-29T12:00:00.000Z".into()));
    }

    #[test]
    fn a_file_of_more_than_a_year_without_years_is_not_guessed_at() {
        let mut calendar = calendar("UTC", "2026-03-01T00:00:00Z");
        assert!(completed(&mut calendar, "Feb 20 12:00:00").is_ok());
        // A day of grace for a clock or a zone that is wrong, and no more.
        assert!(completed(&mut calendar, "Mar  2 00:00:00").is_ok());
        assert!(completed(&mut calendar, "Mar  2 01:00:00").is_err());
        assert!(completed(&mut calendar, "Jan  1 00:00:00").is_err());
    }

    #[test]
    fn the_hour_that_comes_twice_goes_on() {
        let mut calendar = calendar("Europe/Vienna", "2026-11-27T00:00:00Z");
        for (stamp, moment) in [
            ("Oct 25 02:59:59", "2026-10-25T00:59:59.000Z"),
            ("Oct 25 02:00:01", "2026-10-25T01:00:01.000Z"),
            ("Oct 25 02:00:00", "2026-10-25T01:00:00.000Z"),
            ("Oct 25 02:30:00", "2026-10-25T01:30:00.000Z"),
            ("Oct 25 02:59:59", "2026-10-25T01:59:59.000Z"),
            ("Oct 25 03:00:00", "2026-10-25T02:00:00.000Z"),
        ] {
            assert_eq!(completed(&mut calendar, stamp), Ok(moment.into()), "{stamp}");
        }
    }
}
