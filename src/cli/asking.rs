//! Questions to the daemon whose answer is one JSON value, and what is common to the commands that ask them.

use std::io;
use std::io::IsTerminal;

use comfy_table::{ColumnConstraint, ContentArrangement, Width};
use hyper::{Request, StatusCode};
use jiff::civil::Date;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::source::{Daemon, Failed};
use crate::cli::{Exit, Output, is_harmless, say, shown, small_runtime};
use crate::daemon::clock;
use crate::mail::Timestamp;
use crate::settings::duration;

/// Asks and reads the answer.
pub(super) fn post<T: DeserializeOwned>(
    daemon: &Daemon,
    path: &str,
    asked: &impl Serialize,
) -> Result<T, Failed> {
    let runtime = small_runtime().map_err(|fault| Failed::unreachable(fault.to_string()))?;
    let control = daemon.control()?;
    let (status, body) = runtime.block_on(control.post(path, asked))?;
    read(status, &body)
}

pub(super) fn get<T: DeserializeOwned>(daemon: &Daemon, path: &str) -> Result<T, Failed> {
    let runtime = small_runtime().map_err(|fault| Failed::unreachable(fault.to_string()))?;
    let control = daemon.control()?;
    let (status, body) = runtime.block_on(control.ask(Request::get(path), Vec::new()))?;
    read(status, &body)
}

/// What the daemon answered.
pub(super) fn read<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T, Failed> {
    if status != StatusCode::OK {
        return Err(Failed::of_answer(status, body));
    }
    serde_json::from_slice(body).map_err(|fault| {
        Failed::unreachable(format!("the daemon's answer cannot be read: {fault}"))
    })
}

/// Prints what came of it.
pub(super) fn finish(told: Result<String, Failed>) -> Exit {
    match told {
        Ok(text) => {
            say(&text);
            Exit::Done
        }
        Err(failed) => failed.told(),
    }
}

/// As a program reads it, or in words.
pub(super) fn written<T: Serialize>(
    told: &T,
    output: Output,
    words: impl FnOnce(&T) -> String,
) -> String {
    match output {
        Output::Json => json(told),
        Output::Human => words(told),
    }
}

/// RFC 8259 lets C1 controls and turns of direction stand as they are, and terminals obey them.
pub(super) fn json<T: Serialize + ?Sized>(told: &T) -> String {
    escaped(&serde_json::to_string_pretty(told).unwrap_or_default()) + "\n"
}

/// JSON that a terminal takes for nothing else.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmless(c) || c == '\n' {
            safe.push(c);
        } else {
            safe.push_str(&format!("\\u{:04x}", u32::from(c)));
        }
    }
    safe
}

/// Of a table on a terminal, as of `--help`; a pipe gets lines as long as they are.
const COLUMNS: u16 = 100;

/// A longer word, as a login may be, is broken rather than that it takes the room of the others.
const WORD: usize = 24;

/// Between two columns.
const GAP: u16 = 2;

/// Columns under their names; `none` where there is no line.
pub(super) fn table(
    names: &[&str],
    lines: impl IntoIterator<Item = Vec<String>>,
    none: &str,
) -> String {
    let lines: Vec<Vec<String>> = lines.into_iter().collect();
    if lines.is_empty() {
        return format!("{none}\n");
    }
    let columns = io::stdout().is_terminal().then_some(COLUMNS);
    laid_out(names, &lines, columns)
}

/// Words stay whole: half a time or an id is of no use.
fn laid_out(names: &[&str], lines: &[Vec<String>], columns: Option<u16>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(names);
    for line in lines {
        table.add_row(line.iter().map(|cell| shown(cell)));
    }
    if let Some(columns) = columns {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns);
    }
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, GAP));
        let cells = lines.iter().filter_map(|line| line.get(number));
        let words = cells.flat_map(|cell| cell.split(' ')).chain([names[number]]);
        let longest = words.map(|word| shown(word).chars().count()).max().unwrap_or(0);
        let width = Width::Fixed(longest.min(WORD) as u16 + GAP);
        column.set_constraint(ColumnConstraint::LowerBoundary(width));
    }
    let text = table.to_string();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Of a moment, to the second.
pub(super) fn moment(at: Timestamp) -> String {
    second(&at.to_string())
}

/// Of a moment as RFC 3339 writes it, to the second.
pub(super) fn second(text: &str) -> String {
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text.into(),
    }
}

/// "released" alone would read as if it were.
pub(super) fn until(end: Option<Timestamp>) -> String {
    end.map_or_else(|| "its release".into(), moment)
}

/// The end of something: a moment as RFC 3339 writes it, a day that counts to its end, or a time from now on.
pub(super) fn end(text: &str) -> Result<Timestamp, String> {
    if let Ok(day) = text.parse::<Date>() {
        let zoned = day.tomorrow().and_then(|next| next.to_zoned(jiff::tz::TimeZone::system()));
        let end = zoned.map_err(|fault| fault.to_string())?;
        return Ok(Timestamp::from_unix_ms(end.timestamp().as_millisecond()));
    }
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp::from_unix_ms(moment.as_millisecond()));
    }
    let lasts = duration(text).map_err(|_| {
        "expected a day such as 2026-12-24, a moment such as 2026-12-24T18:00:00Z, or a time from now on such as 48h"
            .to_string()
    })?;
    let ms = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
    Ok(Timestamp::from_unix_ms(clock::now().unix_ms().saturating_add(ms)))
}

/// The beginning of something: a day, a moment, or a time before now.
pub(super) fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(day) = text.parse::<Date>() {
        let begin =
            day.to_zoned(jiff::tz::TimeZone::system()).map_err(|fault| fault.to_string())?;
        return Ok(Timestamp::from_unix_ms(begin.timestamp().as_millisecond()));
    }
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp::from_unix_ms(moment.as_millisecond()));
    }
    let back = duration(text).map_err(|_| {
        "expected a day such as 2026-11-01, a moment such as 2026-11-01T18:00:00Z, or a time before now such as 7d"
            .to_string()
    })?;
    let ms = i64::try_from(back.as_millis()).unwrap_or(i64::MAX);
    Ok(Timestamp::from_unix_ms(clock::now().unix_ms().saturating_sub(ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_day_a_moment_or_a_time_from_now() {
        let moment = end("2026-12-24T18:00:00Z").expect("a moment");
        assert_eq!(moment.to_string(), "2026-12-24T18:00:00.000Z");
        let (day, next) = (end("2026-12-24").expect("a day"), since("2026-12-25").expect("a day"));
        assert_eq!(day, next, "to its end");
        let later = end("48h").expect("a time");
        assert!(later.unix_ms() > clock::now().unix_ms() + 47 * 3_600_000);
        for wrong in ["", "tomorrow", "24.12.2026", "48", "-3h"] {
            assert!(end(wrong).is_err(), "{wrong}");
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn json_has_nothing_that_steers_a_terminal_and_reads_back_the_same() {
        let told = ["al\u{1b}[2J", "\u{9b}31m", "a\u{202e}b", "M\u{fc}ller \u{1f600}"];
        let text = json(&told);
        assert_eq!(
            text,
            "[\n  \"al\\u001b[2J\",\n  \"\\u009b31m\",\n  \"a\\u202eb\",\n  \"M\u{fc}ller \u{1f600}\"\n]\n"
        );
        let back: Vec<String> = serde_json::from_str(&text).expect("JSON");
        assert_eq!(back, told);
    }

    #[test]
    fn a_table_without_a_line_says_so() {
        assert_eq!(table(&["login"], Vec::new(), "nobody is suspended"), "nobody is suspended\n");
        let lines =
            vec![vec!["alice".to_string(), "1".into()], vec!["al\u{1b}".into(), "22".into()]];
        assert_eq!(
            laid_out(&["login", "number"], &lines, None),
            "login     number\nalice     1\nal\\u{1b}  22\n"
        );
    }

    #[test]
    fn a_table_of_a_terminal_wraps_between_words_and_a_pipe_has_whole_lines() {
        let cells = [
            "2026-11-27T03:46:14Z",
            "6NNAYMZXYV9F",
            "alice wrote 5 messages to somebody new within 2 minutes; usual for it are at most 1",
        ];
        let lines = [cells.map(Into::into).to_vec()];
        let names = ["since", "id", "because"];
        let expected = "\
since                 id            because
2026-11-27T03:46:14Z  6NNAYMZXYV9F  alice wrote 5 messages
                                    to somebody new within
                                    2 minutes; usual for
                                    it are at most 1
";
        assert_eq!(laid_out(&names, &lines, Some(60)), expected);
        let whole = laid_out(&names, &lines, None);
        assert_eq!(whole.lines().nth(1), Some(&*cells.join("  ")));
    }
}
