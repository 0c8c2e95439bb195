//! The files of a source, one after the other, and what of them is malformed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::history::HistoryFault;
use crate::history::Malformed;
use crate::history::input::{Cut, Lines};

/// A file without one good line among its first 100, or in its first 64 KiB, is something else.
const TRIED_LINES: u64 = 100;
const TRIED_BYTES: u64 = 64 << 10;

/// How far a source is read, in bytes of its files as they lie on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub read: u64,
    /// `None`: one of them has no size, as the standard input.
    pub total: Option<u64>,
}

pub(super) struct Files {
    paths: std::vec::IntoIter<PathBuf>,
    open: Option<Open>,
    /// Whether any line of any file was good.
    any_good: bool,
    expected: &'static str,
    malformed: Malformed,
    read: Arc<AtomicU64>,
    total: Option<u64>,
}

struct Open {
    path: PathBuf,
    lines: Lines,
    good: bool,
    /// The first malformed line, until one is good.
    bad: Option<(u64, String)>,
}

impl Files {
    pub(super) fn new(paths: Vec<PathBuf>, expected: &'static str) -> Result<Self, HistoryFault> {
        Ok(Self {
            total: total(&paths)?,
            paths: paths.into_iter(),
            open: None,
            any_good: false,
            expected,
            malformed: Malformed::default(),
            read: Arc::default(),
        })
    }

    /// The next line, and its number in its file. Each is told to be good or malformed before the next one
    /// is asked for; one that is neither (empty, a comment) is not.
    pub(super) fn next_line(&mut self) -> Result<Option<(&[u8], u64)>, HistoryFault> {
        loop {
            let Some(open) = &mut self.open else {
                match self.paths.next() {
                    Some(path) => self.open = Some(open_file(path, &self.read)?),
                    None if self.any_good => return Ok(None),
                    None => return Err(HistoryFault::Empty { expected: self.expected }),
                }
                continue;
            };
            match open.lines.cut() {
                Ok(Cut::Line) => break,
                Ok(Cut::TooLong) => self.malformed("the line is longer than 1 MiB")?,
                Ok(Cut::End) => self.close()?,
                Err(source) => return Err(unreadable(&open.path, source)),
            }
        }
        Ok(self.open.as_ref().map(|open| (open.lines.line(), open.lines.number())))
    }

    pub(super) fn good(&mut self) {
        self.any_good = true;
        if let Some(open) = &mut self.open {
            open.good = true;
        }
    }

    /// # Errors
    /// The file is something else.
    pub(super) fn malformed(&mut self, why: &str) -> Result<(), HistoryFault> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let line = open.lines.number();
        self.malformed.add(&open.path, line, why);
        if open.good {
            return Ok(());
        }
        open.bad.get_or_insert_with(|| (line, why.into()));
        if line >= TRIED_LINES || open.lines.bytes() >= TRIED_BYTES { self.close() } else { Ok(()) }
    }

    fn close(&mut self) -> Result<(), HistoryFault> {
        match self.open.take() {
            Some(Open { path, good: false, bad: Some((line, why)), .. }) => {
                Err(HistoryFault::Foreign { file: path, line, why, expected: self.expected })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn malformed_lines(&self) -> &Malformed {
        &self.malformed
    }

    pub(super) fn progress(&self) -> Progress {
        Progress { read: self.read.load(Ordering::Relaxed), total: self.total }
    }
}

fn open_file(path: PathBuf, read: &Arc<AtomicU64>) -> Result<Open, HistoryFault> {
    match Lines::open(&path, read.clone()) {
        Ok(lines) => Ok(Open { path, lines, good: false, bad: None }),
        Err(source) => Err(unreadable(&path, source)),
    }
}

/// The sizes of all files together; `None` with one that has none.
fn total(paths: &[PathBuf]) -> Result<Option<u64>, HistoryFault> {
    let mut total = Some(0);
    for path in paths {
        if path.as_os_str() == "-" {
            total = None;
            continue;
        }
        let file = std::fs::metadata(path).map_err(|source| unreadable(path, source))?;
        total = total.filter(|_| file.is_file()).map(|sum: u64| sum.saturating_add(file.len()));
    }
    Ok(total)
}

fn unreadable(path: &Path, source: std::io::Error) -> HistoryFault {
    HistoryFault::Unreadable { file: path.into(), source }
}
