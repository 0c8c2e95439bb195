//! Dates and flags as directories write them.

use std::ops::Range;
use std::str::FromStr;

use jiff::civil::DateTime;

use crate::mail::Timestamp;

/// The text is not of the syntax it was read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// `000001010000Z` in `pwdAccountLockedTime`: locked until an administrator unlocks it
/// (draft-behera-ldap-password-policy).
pub const LOCKED_FOR_GOOD: Timestamp = Timestamp::from_unix_ms(-62_167_219_200_000);

/// From 1601, where FILETIME begins, to 1970.
const FILETIME_TO_UNIX_MS: i64 = 11_644_473_600_000;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

const DAY_MS: i64 = 86_400_000;

/// Windows' FILETIME, in 100 ns since 1601 (MS-DTYP 2.3.3). `None`: never, which Active Directory
/// writes as 0 or as the greatest number (MS-ADA1, accountExpires).
pub fn filetime(text: &str) -> Result<Option<Timestamp>, Unreadable> {
    match number(text)? {
        ..=0 | i64::MAX => Ok(None),
        ticks => Ok(Some(Timestamp::from_unix_ms(ticks / 10_000 - FILETIME_TO_UNIX_MS))),
    }
}

/// Days since 1970, as in shadow(5). `None`: never, which is -1 or nothing. 0 is the first day of
/// 1970, as for pam_unix(8): shadow(5) leaves it open.
pub fn days(text: &str) -> Result<Option<Timestamp>, Unreadable> {
    if text.is_empty() {
        return Ok(None);
    }
    match number(text)? {
        ..0 => Ok(None),
        days => match days.checked_mul(DAY_MS) {
            Some(ms) => Ok(Some(Timestamp::from_unix_ms(ms))),
            None => Err(Unreadable),
        },
    }
}

/// GeneralizedTime (RFC 4517, 3.3.13).
pub fn generalized_time(text: &str) -> Result<Timestamp, Unreadable> {
    let (clock, rest) = leading_digits(text);
    let (fraction, zone) = match rest.strip_prefix(['.', ',']) {
        Some(rest) => leading_digits(rest),
        None => ("0", rest),
    };
    let (minute, second, unit_ms) = match clock.len() {
        10 => (0, 0, 3_600_000),
        12 => (field(clock, 10..12)?, 0, 60_000),
        14 => (field(clock, 10..12)?, field(clock, 12..14)?, 1_000),
        _ => return Err(Unreadable),
    };
    let leap_ms = if second == 60 { 1_000 } else { 0 };
    let civil = DateTime::new(
        field(clock, 0..4)?,
        field(clock, 4..6)?,
        field(clock, 6..8)?,
        field(clock, 8..10)?,
        minute,
        if second == 60 { 59 } else { second },
        0,
    );
    // A `jiff::Timestamp` ends a day before 99991231235959Z, which is written for never.
    let since_1970 = civil.map_err(|_| Unreadable)?.duration_since(EPOCH);
    let ms = since_1970.as_secs() * 1_000;
    Ok(Timestamp::from_unix_ms(ms + leap_ms + part_of(unit_ms, fraction)? - offset_ms(zone)?))
}

/// What an attribute of unknown syntax says, by its form: GeneralizedTime; FILETIME from 18 digits
/// on, which is from 1917; days since 1970 up to 6 digits. `None`: never, which is 0 or -1.
pub fn by_form(text: &str) -> Result<Option<Timestamp>, Unreadable> {
    match leading_digits(text) {
        ("0", "") => Ok(None),
        (digits, "") if digits.len() >= 18 => filetime(text),
        (digits, "") if (1..=6).contains(&digits.len()) => days(text),
        _ if text == "-1" => Ok(None),
        _ => generalized_time(text).map(Some),
    }
}

/// A flag, in the words of LDAP (RFC 4517, 3.3.3) and of people.
pub fn true_like(text: &str) -> Result<bool, Unreadable> {
    let is_one_of = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(["true", "yes", "on", "1"]) {
        Ok(true)
    } else if is_one_of(["false", "no", "off", "0"]) {
        Ok(false)
    } else {
        Err(Unreadable)
    }
}

/// A whole number, as RFC 4517, 3.3.16 writes it.
pub fn number(text: &str) -> Result<i64, Unreadable> {
    match text.starts_with('+') {
        true => Err(Unreadable),
        false => text.parse().map_err(|_| Unreadable),
    }
}

fn leading_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// Some of the digits, as a number.
fn field<T: FromStr>(digits: &str, at: Range<usize>) -> Result<T, Unreadable> {
    digits.get(at).and_then(|field| field.parse().ok()).ok_or(Unreadable)
}

/// A decimal fraction of a unit; what is finer than 9 digits is left out.
fn part_of(unit_ms: i64, fraction: &str) -> Result<i64, Unreadable> {
    let fraction = &fraction[..fraction.len().min(9)];
    let parts: i64 = fraction.parse().map_err(|_| Unreadable)?;
    Ok((0..fraction.len()).fold(unit_ms * parts, |ms, _| ms / 10))
}

/// `Z`, `+hh` or `-hhmm`.
fn offset_ms(zone: &str) -> Result<i64, Unreadable> {
    let (sign, digits) = match zone.split_at_checked(1) {
        Some(("Z", "")) => return Ok(0),
        Some(("+", digits)) => (1, digits),
        Some(("-", digits)) => (-1, digits),
        _ => return Err(Unreadable),
    };
    let hours: i64 = field(digits, 0..2)?;
    let minutes: i64 = if digits.len() == 2 { 0 } else { field(digits, 2..4)? };
    let is_offset = leading_digits(digits) == (digits, "") && digits.len() <= 4;
    match is_offset && hours < 24 && minutes < 60 {
        true => Ok(sign * (hours * 60 + minutes) * 60_000),
        false => Err(Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(at: Result<Timestamp, Unreadable>) -> String {
        at.map_or("unreadable".into(), |at| at.to_string())
    }

    fn shown_or_never(at: Result<Option<Timestamp>, Unreadable>) -> String {
        at.map_or("unreadable".into(), |at| at.map_or("never".into(), |at| at.to_string()))
    }

    #[test]
    fn filetime_counts_from_1601() {
        let cases = [
            ("116444736000000000", "1970-01-01T00:00:00.000Z"),
            ("133801632000000000", "2025-01-01T00:00:00.000Z"),
            ("133801632001239999", "2025-01-01T00:00:00.123Z"),
            ("1", "1601-01-01T00:00:00.000Z"),
            ("9223372036854775806", "910692730085477 ms since the epoch"),
            ("9223372036854775807", "never"),
            ("9223372036854775808", "unreadable"),
            ("0", "never"),
            ("-1", "never"),
            ("-9223372036854775808", "never"),
            ("", "unreadable"),
            ("+1", "unreadable"),
            (" 1", "unreadable"),
            ("20250101000000Z", "unreadable"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown_or_never(filetime(text)), expected, "{text}");
        }
    }

    #[test]
    fn days_count_from_1970() {
        let cases = [
            ("0", "1970-01-01T00:00:00.000Z"),
            ("1", "1970-01-02T00:00:00.000Z"),
            ("20089", "2025-01-01T00:00:00.000Z"),
            ("-1", "never"),
            ("", "never"),
            ("106751991167", "9223372036828800000 ms since the epoch"),
            ("106751991168", "unreadable"),
            ("never", "unreadable"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown_or_never(days(text)), expected, "{text}");
        }
    }

    #[test]
    fn generalized_time_is_read_in_every_form() {
        let cases = [
            ("20250101000000Z", "2025-01-01T00:00:00.000Z"),
            ("20250101000000.0Z", "2025-01-01T00:00:00.000Z"),
            ("20250101000000,25Z", "2025-01-01T00:00:00.250Z"),
            ("20250101000000.1234567890123Z", "2025-01-01T00:00:00.123Z"),
            ("202501010030Z", "2025-01-01T00:30:00.000Z"),
            ("202501010030.5Z", "2025-01-01T00:30:30.000Z"),
            ("2025010112Z", "2025-01-01T12:00:00.000Z"),
            ("2025010112.25Z", "2025-01-01T12:15:00.000Z"),
            ("20250101000000+0100", "2024-12-31T23:00:00.000Z"),
            ("20250101000000-0130", "2025-01-01T01:30:00.000Z"),
            ("2025010100+01", "2024-12-31T23:00:00.000Z"),
            ("20240229000000Z", "2024-02-29T00:00:00.000Z"),
            ("20161231235960Z", "2017-01-01T00:00:00.000Z"),
            ("19700101000000Z", "1970-01-01T00:00:00.000Z"),
            ("99991231235959Z", "253402300799000 ms since the epoch"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(generalized_time(text)), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_generalized_time_is_unreadable() {
        let cases = [
            "",
            "Z",
            "20250101000000",
            "20250101000000z",
            "20250101000000.Z",
            "20250101000000ZZ",
            "202501010Z",
            "20250101Z",
            "2025010100000Z",
            "20251301000000Z",
            "20250229000000Z",
            "20250101240000Z",
            "20250101006000Z",
            "20250101000061Z",
            "20250101000000+1",
            "20250101000000+2400",
            "20250101000000+0060",
            "20250101000000+010",
            "20250101000000+01000",
            "20250101000000+-100",
            "20250101000000+01é",
            "20250101000000 Z",
            "-0250101000000Z",
            "2025-01-01T00:00:00Z",
            "99999999999999999999Z",
        ];
        for text in cases {
            assert_eq!(generalized_time(text), Err(Unreadable), "{text}");
        }
    }

    #[test]
    fn locked_for_good_is_a_moment_of_its_own() {
        assert_eq!(generalized_time("000001010000Z"), Ok(LOCKED_FOR_GOOD));
        assert_eq!(generalized_time("00000101000000Z"), Ok(LOCKED_FOR_GOOD));
        assert_eq!(LOCKED_FOR_GOOD.to_string(), "0000-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_date_of_unknown_syntax_is_told_by_its_form() {
        let cases = [
            ("133801632000000000", "2025-01-01T00:00:00.000Z"),
            ("9223372036854775807", "never"),
            ("20089", "2025-01-01T00:00:00.000Z"),
            ("999999", "4707-11-28T00:00:00.000Z"),
            ("20250101000000Z", "2025-01-01T00:00:00.000Z"),
            ("0", "never"),
            ("-1", "never"),
            // Might be seconds since 1970, or anything.
            ("1735689600", "unreadable"),
            ("1000000", "unreadable"),
            ("99999999999999999", "unreadable"),
            ("-2", "unreadable"),
            ("", "unreadable"),
            ("TRUE", "unreadable"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown_or_never(by_form(text)), expected, "{text}");
        }
    }

    #[test]
    fn a_flag_is_true_or_false_and_never_guessed() {
        for text in ["TRUE", "true", "True", "yes", "1", "on"] {
            assert_eq!(true_like(text), Ok(true), "{text}");
        }
        for text in ["FALSE", "false", "no", "0", "OFF"] {
            assert_eq!(true_like(text), Ok(false), "{text}");
        }
        for text in ["", "2", "y", " true", "truely", "wahr"] {
            assert_eq!(true_like(text), Err(Unreadable), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in ".{0,30}|[0-9.,Z+-]{0,30}") {
            let _ = (filetime(&text), days(&text), by_form(&text), true_like(&text));
            let _ = generalized_time(&text);
        }

        #[test]
        fn a_moment_survives_as_filetime(ms in -FILETIME_TO_UNIX_MS + 1..900_000_000_000_000_i64) {
            let ticks = (ms + FILETIME_TO_UNIX_MS) * 10_000;
            prop_assert_eq!(filetime(&ticks.to_string()), Ok(Some(Timestamp::from_unix_ms(ms))));
        }

        #[test]
        fn a_moment_survives_as_generalized_time(ms in -60_000_000_000_000_i64..250_000_000_000_000) {
            let at = Timestamp::from_unix_ms(ms);
            let text = at.to_string().replace(['-', ':', 'T'], "");
            prop_assert_eq!(generalized_time(&text), Ok(at));
        }

        #[test]
        fn an_offset_is_taken_off(ms in 0_i64..4_000_000_000_000, hours in 0_i64..24, minutes in 0_i64..60) {
            let ms = ms / 1_000 * 1_000;
            let local = |ms| Timestamp::from_unix_ms(ms).to_string()[..19].replace(['-', ':', 'T'], "");
            let offset = (hours * 60 + minutes) * 60_000;
            let east = format!("{}+{hours:02}{minutes:02}", local(ms + offset));
            let west = format!("{}-{hours:02}{minutes:02}", local(ms));
            prop_assert_eq!(generalized_time(&east), Ok(Timestamp::from_unix_ms(ms)));
            prop_assert_eq!(generalized_time(&west), Ok(Timestamp::from_unix_ms(ms + offset)));
        }
    }
}
