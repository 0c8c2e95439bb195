//! The lines of several logs as one, in the order of their time. A file is opened when the others have come
//! to its first line, so that rotated files take no more memory than one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use jiff::tz::TimeZone;

use crate::history::HistoryFault;
use crate::history::Malformed;
use crate::history::files::{Meter, OpenFile, is_stdin};
use crate::history::maillog::line::{Header, Line};
use crate::history::maillog::stamp::Calendar;
use crate::mail::Timestamp;

pub(super) const EXPECTED: &str = "lines of a mail server's log, like \"Nov 26 23:19:57 mx postfix/qmgr[781]: 4XyZ: removed\" or journalctl -o json";

pub(super) struct Merge {
    /// Files not yet opened, by the time of their first line, the last one first.
    later: Vec<(Timestamp, PathBuf)>,
    open: Vec<Log>,
    /// Which of `open` the last line came from.
    current: Option<usize>,
    zone: TimeZone,
    at: Timestamp,
}

impl Merge {
    /// Reads the first line of each file.
    pub(super) fn open(
        mut paths: Vec<PathBuf>,
        zone: &TimeZone,
        meter: &Meter,
        malformed: &mut Malformed,
        at: Timestamp,
    ) -> Result<Self, HistoryFault> {
        let mut merge =
            Self { later: Vec::new(), open: Vec::new(), current: None, zone: zone.clone(), at };
        paths.sort();
        paths.dedup();
        for path in paths {
            if is_stdin(&path) {
                merge.add(path, &meter.read, malformed)?;
                continue;
            }
            let mut log = Log::open(path.clone(), zone, &Arc::default(), at)?;
            if log.advance(&mut Malformed::default())? {
                merge.later.push((log.at, path));
            }
        }
        merge.later.sort();
        merge.later.reverse();
        Ok(merge)
    }

    fn add(
        &mut self,
        path: PathBuf,
        read: &Arc<AtomicU64>,
        malformed: &mut Malformed,
    ) -> Result<(), HistoryFault> {
        let mut log = Log::open(path, &self.zone, read, self.at)?;
        if log.advance(malformed)? {
            self.open.push(log);
        }
        Ok(())
    }

    pub(super) fn next(
        &mut self,
        meter: &Meter,
        malformed: &mut Malformed,
    ) -> Result<Option<(Timestamp, Line<'_>)>, HistoryFault> {
        if let Some(current) = self.current.take()
            && !self.open[current].advance(malformed)?
        {
            self.open.remove(current);
        }
        loop {
            let first = (0..self.open.len()).min_by_key(|&index| self.open[index].at);
            match (first, self.later.last()) {
                (Some(index), Some((at, _))) if self.open[index].at < *at => {
                    self.current = Some(index);
                }
                (Some(index), None) => self.current = Some(index),
                (None, None) => return Ok(None),
                (_, Some(_)) => {
                    if let Some((_, path)) = self.later.pop() {
                        self.add(path, &meter.read, malformed)?;
                    }
                    continue;
                }
            }
            break;
        }
        Ok(self.current.map(|current| (self.open[current].at, self.open[current].line())))
    }
}

/// One file of a log, at one of its lines.
struct Log {
    file: OpenFile,
    calendar: Calendar,
    header: Option<Header>,
    /// The parts of a line of the journal.
    decoded: Option<Vec<u8>>,
    at: Timestamp,
}

impl Log {
    fn open(
        path: PathBuf,
        zone: &TimeZone,
        read: &Arc<AtomicU64>,
        at: Timestamp,
    ) -> Result<Self, HistoryFault> {
        let calendar = Calendar::new(zone.clone(), written(&path).unwrap_or(at));
        let file = OpenFile::open(path, read, EXPECTED)?;
        Ok(Self { file, calendar, header: None, decoded: None, at })
    }

    /// Goes to the next line that has a time; false at the end.
    fn advance(&mut self, malformed: &mut Malformed) -> Result<bool, HistoryFault> {
        while self.file.advance(malformed)? {
            if self.file.line().trim_ascii().is_empty() {
                continue;
            }
            match self.read() {
                Ok(at) => {
                    self.at = at;
                    self.file.good();
                    return Ok(true);
                }
                Err(why) => self.file.malformed(&why, malformed)?,
            }
        }
        Ok(false)
    }

    fn read(&mut self) -> Result<Timestamp, String> {
        let line = self.file.line();
        let header = if line.starts_with(b"{") {
            Header::of_journal(line, self.decoded.get_or_insert_default())?
        } else {
            self.decoded = None;
            Header::of_syslog(line).ok_or("the line begins with no time")?
        };
        let at = self.calendar.moment(header.stamp)?;
        self.header = Some(header);
        Ok(at)
    }

    fn line(&self) -> Line<'_> {
        let text = self.decoded.as_deref().unwrap_or(self.file.line());
        match &self.header {
            Some(header) => header.of(text),
            None => Line { host: b"", program: b"", pid: 0, text: b"" },
        }
    }
}

/// When the file was last written to; packing and rotating keep it.
fn written(path: &Path) -> Option<Timestamp> {
    use std::os::unix::fs::MetadataExt;
    let file = std::fs::metadata(path).ok().filter(|file| file.is_file())?;
    Some(Timestamp::from_unix_ms(file.mtime().saturating_mul(1000)))
}
