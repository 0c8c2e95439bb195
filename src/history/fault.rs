//! What is wrong with a source: faults that end the reading, and lines that are skipped.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Malformed lines that are kept with their number; the others are counted.
const KEPT: usize = 20;

/// Why there is nothing to read, or nothing more.
#[derive(Debug)]
pub enum HistoryFault {
    /// A file that cannot be opened, read or unpacked.
    Unreadable { file: PathBuf, source: io::Error },
    /// A file of something else; `why` is what was wrong with its line `line`.
    Foreign { file: PathBuf, line: u64, why: String, expected: &'static str },
    /// No file has a message.
    Empty { expected: &'static str },
}

impl fmt::Display for HistoryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, .. } => write!(f, "cannot read {}", file.display()),
            Self::Foreign { file, line, why, expected } => {
                write!(f, "{}:{line}: {why}; expected {expected}", file.display())
            }
            Self::Empty { expected } => write!(f, "there is no message; expected {expected}"),
        }
    }
}

impl std::error::Error for HistoryFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The lines that were skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Malformed {
    pub count: u64,
    /// The first 20 of them.
    pub first: Vec<MalformedLine>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedLine {
    pub file: PathBuf,
    /// From 1.
    pub line: u64,
    pub why: String,
}

impl Malformed {
    pub(super) fn add(&mut self, file: &std::path::Path, line: u64, why: &str) {
        self.count += 1;
        if self.first.len() < KEPT {
            self.first.push(MalformedLine { file: file.into(), line, why: why.into() });
        }
    }
}

impl fmt::Display for MalformedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn twenty_lines_are_kept_and_the_next_is_counted() {
        let mut malformed = Malformed::default();
        for line in 1..=21 {
            malformed.add(Path::new("a"), line, "why");
        }
        assert_eq!((malformed.count, malformed.first.len()), (21, 20));
        assert_eq!(malformed.first[19].to_string(), "a:20: why");
    }
}
