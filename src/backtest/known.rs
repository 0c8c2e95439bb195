//! Compromises that are known, to compare with: when each login was not its owner's.

use std::fmt;
use std::path::{Path, PathBuf};

use compact_str::CompactString;

use crate::backtest::tally::HELD_MS;
use crate::backtest::{Outcome, Verdict};
use crate::history::Message;
use crate::mail::Timestamp;

/// Why a file of known compromises cannot be used.
#[derive(Debug)]
pub enum KnownFault {
    Unreadable { file: PathBuf, source: csv::Error },
    Line { file: PathBuf, line: u64, what: String },
}

impl fmt::Display for KnownFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, source } => {
                write!(f, "cannot read {}: {source}", file.display())
            }
            Self::Line { file, line, what } => write!(
                f,
                "{}:{line}: {what}; expected LOGIN,FROM,UNTIL such as \
                 alice,2026-03-01T08:00:00Z,2026-03-02T12:00:00Z (or milliseconds since 1970)",
                file.display()
            ),
        }
    }
}

impl std::error::Error for KnownFault {}

/// One known compromise, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Compromise {
    pub login: CompactString,
    pub from: Timestamp,
    pub until: Timestamp,
    /// When it was suspended; `None`: missed.
    pub caught: Option<Timestamp>,
    /// Recipients it wrote to in its time, and those it would have reached.
    pub leaked_then: u64,
    pub leaked_now: u64,
    held: Vec<(Timestamp, u64)>,
}

/// All that are known.
#[derive(Debug, Default)]
pub struct Known {
    pub compromises: Vec<Compromise>,
}

impl Known {
    /// Reads `login,from,until`; a line without a number in its second field may be a header.
    pub fn read(file: &Path) -> Result<Self, KnownFault> {
        let unreadable = |source| KnownFault::Unreadable { file: file.into(), source };
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_path(file)
            .map_err(unreadable)?;
        let mut known = Self::default();
        for (index, row) in reader.records().enumerate() {
            let row = row.map_err(unreadable)?;
            let line = row.position().map_or(0, csv::Position::line);
            let fault = |what: String| KnownFault::Line { file: file.into(), line, what };
            let [login, from, until] = [0, 1, 2].map(|field| row.get(field).unwrap_or_default());
            if index == 0 && from.eq_ignore_ascii_case("from") {
                continue;
            }
            if login.is_empty() || row.len() != 3 {
                return Err(fault(format!("{} fields", row.len())));
            }
            let moment = |text| moment(text).ok_or_else(|| fault(format!("\"{text}\" is no moment")));
            let (from, until) = (moment(from)?, moment(until)?);
            if until < from {
                return Err(fault("it ends before it begins".into()));
            }
            known.compromises.push(Compromise {
                login: login.to_lowercase().into(),
                from,
                until,
                caught: None,
                leaked_then: 0,
                leaked_now: 0,
                held: Vec::new(),
            });
        }
        Ok(known)
    }

    pub fn add(&mut self, message: &Message, outcome: &Outcome) {
        let Some(login) = &message.login else { return };
        let recipients = message.recipients.len() as u64;
        for known in &mut self.compromises {
            let in_it = known.from <= message.at && message.at <= known.until;
            if !in_it || known.login != login.folded() {
                continue;
            }
            known.leaked_then += recipients;
            match outcome.verdict {
                Verdict::Pass => known.leaked_now += recipients,
                Verdict::Hold => known.held.push((message.at, recipients)),
                Verdict::Suspend => {
                    known.caught.get_or_insert(message.at);
                    let at = message.at.unix_ms();
                    let held = std::mem::take(&mut known.held).into_iter();
                    known.leaked_now += held
                        .filter(|(held, _)| at - held.unix_ms() >= HELD_MS)
                        .map(|(_, recipients)| recipients)
                        .sum::<u64>();
                }
                Verdict::Defer | Verdict::Reject => {}
            }
        }
    }

    /// What was still held goes out.
    pub fn end(&mut self) {
        for known in &mut self.compromises {
            let held = std::mem::take(&mut known.held).into_iter();
            known.leaked_now += held.map(|(_, recipients)| recipients).sum::<u64>();
        }
    }

    /// Whether this login was not its owner's then.
    pub fn covers(&self, login: &str, at: Timestamp) -> bool {
        let mut known = self.compromises.iter();
        known.any(|known| known.login == login && known.from <= at && at <= known.until)
    }
}

/// Milliseconds since 1970, or RFC 3339.
fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(ms) = text.parse() {
        return Some(Timestamp::from_unix_ms(ms));
    }
    let read: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_unix_ms(read.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Known, String> {
        let file = std::env::temp_dir().join(format!("gatepost-known-{:p}", text.as_ptr()));
        std::fs::write(&file, text).expect("written");
        let known = Known::read(&file);
        std::fs::remove_file(&file).expect("removed");
        known.map_err(|fault| fault.to_string().replace(&file.display().to_string(), "known.csv"))
    }

    #[test]
    fn both_forms_of_a_moment_are_read_and_a_header_skipped() {
        let text = "login,from,until\n# a comment\nAlice,2026-03-01T08:00:00Z, 2026-03-02T08:00:00+01:00\nbob,5,9\n";
        let known = read(text).expect("read");
        assert_eq!(known.compromises[0].from.to_string(), "2026-03-01T08:00:00.000Z");
        assert!(known.covers("bob", Timestamp::from_unix_ms(9)));
        assert!(!known.covers("bob", Timestamp::from_unix_ms(10)));
        assert_eq!(known.compromises[0].login, "alice");
    }

    #[test]
    fn a_line_that_is_none_is_told_with_its_number() {
        for (text, what) in [
            ("alice,1,2\nbob,yesterday,2\n", "known.csv:2: \"yesterday\" is no moment"),
            ("alice,1\n", "known.csv:1: 2 fields"),
            ("alice,3,2\n", "known.csv:1: it ends before it begins"),
        ] {
            let fault = read(text).expect_err("a fault");
            assert!(fault.starts_with(what), "{fault}");
        }
    }
}
