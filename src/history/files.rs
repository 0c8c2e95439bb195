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

/// Counts the bytes read of all files.
pub(super) struct Meter {
    pub read: Arc<AtomicU64>,
    total: Option<u64>,
}

impl Meter {
    /// Asks for the size of every file.
    pub(super) fn new(paths: &[PathBuf]) -> Result<Self, HistoryFault> {
        let mut total = Some(0);
        for path in paths {
            if is_stdin(path) {
                total = None;
                continue;
            }
            let file = std::fs::metadata(path).map_err(|source| unreadable(path, source))?;
            total = total.filter(|_| file.is_file()).map(|sum: u64| sum.saturating_add(file.len()));
        }
        Ok(Self { read: Arc::default(), total })
    }

    pub(super) fn progress(&self) -> Progress {
        Progress { read: self.read.load(Ordering::Relaxed), total: self.total }
    }
}

pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

pub(super) fn unreadable(path: &Path, source: std::io::Error) -> HistoryFault {
    HistoryFault::Unreadable { file: path.into(), source }
}

/// One file, which shows to be what was expected, or something else.
pub(super) struct OpenFile {
    path: PathBuf,
    lines: Lines,
    expected: &'static str,
    good: bool,
    /// The first malformed line, while none was good.
    bad: Option<(u64, String)>,
}

impl OpenFile {
    pub(super) fn open(
        path: PathBuf,
        read: &Arc<AtomicU64>,
        expected: &'static str,
    ) -> Result<Self, HistoryFault> {
        match Lines::open(&path, read.clone()) {
            Ok(lines) => Ok(Self { path, lines, expected, good: false, bad: None }),
            Err(source) => Err(unreadable(&path, source)),
        }
    }

    /// Goes to the next line; false at the end. Each line is told to be good or malformed before the next
    /// one is asked for; one that is neither (empty, a comment) is not.
    pub(super) fn advance(&mut self, malformed: &mut Malformed) -> Result<bool, HistoryFault> {
        loop {
            match self.lines.cut() {
                Ok(Cut::Line) => return Ok(true),
                Ok(Cut::TooLong) => self.malformed("the line is longer than 1 MiB", malformed)?,
                Ok(Cut::End) => return self.unless_foreign().map(|()| false),
                Err(source) => return Err(unreadable(&self.path, source)),
            }
        }
    }

    pub(super) fn line(&self) -> &[u8] {
        self.lines.line()
    }

    pub(super) fn number(&self) -> u64 {
        self.lines.number()
    }

    pub(super) fn good(&mut self) {
        self.good = true;
    }

    /// # Errors
    /// The file is something else.
    pub(super) fn malformed(
        &mut self,
        why: &str,
        malformed: &mut Malformed,
    ) -> Result<(), HistoryFault> {
        let line = self.lines.number();
        malformed.add(&self.path, line, why);
        if !self.good {
            self.bad.get_or_insert_with(|| (line, why.into()));
        }
        let is_tried = line >= TRIED_LINES || self.lines.bytes() >= TRIED_BYTES;
        if is_tried { self.unless_foreign() } else { Ok(()) }
    }

    fn unless_foreign(&self) -> Result<(), HistoryFault> {
        match &self.bad {
            Some((line, why)) if !self.good => Err(HistoryFault::Foreign {
                file: self.path.clone(),
                line: *line,
                why: why.clone(),
                expected: self.expected,
            }),
            _ => Ok(()),
        }
    }
}

/// The lines of all files, in the order the files are named.
pub(super) struct Files {
    paths: std::vec::IntoIter<PathBuf>,
    open: Option<OpenFile>,
    expected: &'static str,
    any_good: bool,
}

impl Files {
    pub(super) fn new(paths: Vec<PathBuf>, expected: &'static str) -> Self {
        Self { paths: paths.into_iter(), open: None, expected, any_good: false }
    }

    /// The file at its next line; `None` after the last of all.
    pub(super) fn next_line(
        &mut self,
        meter: &Meter,
        malformed: &mut Malformed,
    ) -> Result<Option<&mut OpenFile>, HistoryFault> {
        loop {
            if let Some(mut file) = self.open.take() {
                if file.advance(malformed)? {
                    return Ok(Some(self.open.insert(file)));
                }
                self.any_good |= file.good;
            }
            match self.paths.next() {
                Some(path) => {
                    self.open = Some(OpenFile::open(path, &meter.read, self.expected)?);
                }
                None if self.any_good => return Ok(None),
                None => return Err(HistoryFault::Empty { expected: self.expected }),
            }
        }
    }
}
