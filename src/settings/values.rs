//! The written forms of durations and file modes.

use std::time::Duration;

/// In milliseconds; `ms` before `s`, which it ends with.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("ms", 1), ("s", 1_000)];

/// `90s`, `15m`, `2h`, `7d`; `800ms` where it matters
pub fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a duration such as \"90s\", \"15m\", \"2h\" or \"7d\"".to_string();
    let (unit, each) =
        UNITS.into_iter().find(|(unit, _)| text.ends_with(unit)).ok_or_else(expected)?;
    let number = &text[..text.len() - unit.len()];
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return Err(expected());
    }
    let number: u64 = number.parse().map_err(|_| expected())?;
    number.checked_mul(each).map(Duration::from_millis).ok_or_else(expected)
}

/// The shortest written form.
pub fn duration_text(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if ms == 0 {
        return "0s".into();
    }
    let mut units = ["d", "h", "m", "s", "ms"].into_iter().filter_map(|unit| {
        let (_, each) = UNITS.into_iter().find(|(known, _)| *known == unit)?;
        ms.is_multiple_of(each).then(|| format!("{}{unit}", ms / each))
    });
    units.next().unwrap_or_default()
}

/// `0660`: permission bits in octal.
pub fn octal_mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 && (3..=4).contains(&text.len()) => Ok(mode),
        _ => Err("expected permission bits in octal, such as \"0660\"".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_every_unit_and_back() {
        for (text, ms) in [
            ("90s", 90_000),
            ("15m", 900_000),
            ("2h", 7_200_000),
            ("7d", 604_800_000),
            ("0s", 0),
            ("800ms", 800),
            ("1500ms", 1_500),
        ] {
            let read = duration(text).expect(text);
            assert_eq!(read, Duration::from_millis(ms));
            assert_eq!(duration_text(read), text);
        }
        for text in [
            "",
            "s",
            "5",
            "5 s",
            "-5s",
            "5w",
            "1.5h",
            "99999999999999999999s",
            "500000000000000000d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn modes_are_three_or_four_octal_digits() {
        assert_eq!(octal_mode("0660"), Ok(0o660));
        assert_eq!(octal_mode("660"), Ok(0o660));
        for text in ["", "66", "0o660", "1777", "0888", "rw-rw----"] {
            assert!(octal_mode(text).is_err(), "{text}");
        }
    }
}
