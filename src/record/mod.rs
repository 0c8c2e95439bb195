//! The record kept for one account, and what a change of it commits.

mod audit;
mod file;
mod incident;
mod life;
mod notice;
mod row;

use crate::ledger::{Reader, Torn, Usage, Windows, Writer};
use crate::mail::Timestamp;
use crate::suspension::{Life, Suspension};

pub use audit::Deed;
pub use file::{FileFault, from_file, to_file};
pub use incident::{Envelope, Incident, IncidentEnd, Reading};
pub use notice::{Notice, NoticeKind};
pub use row::{Row, Table};

/// Everything the store keeps of one account.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Record {
    pub usage: Usage,
    /// What counts against quotas.
    pub windows: Windows,
    /// The last one, in force or over.
    pub suspension: Option<Box<Suspension>>,
    /// `None`: all is as usual.
    pub life: Option<Box<Life>>,
}

/// Something that must be acted on at least once, committed together with the record that caused it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Names the event for good, so that acting on it twice can be noticed.
    pub id: Box<str>,
    /// What happened; JSON.
    pub body: Box<str>,
}

/// The outcome of judging one question on one record.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Change {
    /// `None`: the record stays as it is.
    pub record: Option<Record>,
    pub events: Vec<Event>,
    pub rows: Vec<Row>,
}

impl Change {
    /// Of the record alone.
    pub fn to(record: Record) -> Self {
        Self { record: Some(record), ..Self::default() }
    }
}

/// The first byte of a record; a release that cannot read the next one refuses it.
const VERSION: u8 = 1;

const USAGE: u8 = 1;
const SUSPENSION: u8 = 2;
const WINDOWS: u8 = 3;
const LIFE: u8 = 4;

impl Record {
    /// Lets time pass. A suspension whose time is over ends by [`expire`](Self::expire), since somebody hears of it.
    pub fn advance(&mut self, at: Timestamp) {
        self.settle_life(at);
        self.usage.advance(at);
        self.windows.settle(at);
    }

    /// Adds what was counted of the same account under another key.
    pub fn merge_usage(&mut self, other: &Self, at: Timestamp) {
        self.usage.merge(&other.usage, at);
        self.windows.merge(&other.windows, at);
    }

    /// The bytes of a record, read by older and newer releases alike.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u8(VERSION);
        out.section(USAGE, |out| self.usage.write(out));
        out.section(WINDOWS, |out| self.windows.write(out));
        if let Some(suspension) = &self.suspension {
            out.section(SUSPENSION, |out| suspension.write(out));
        }
        if let Some(life) = &self.life {
            out.section(LIFE, |out| life.write(out));
        }
        out.done()
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Torn> {
        let mut from = Reader::new(bytes);
        if from.u8()? != VERSION {
            return Err(Torn);
        }
        let mut read = Self::default();
        while let Some((tag, mut section)) = from.section()? {
            match tag {
                USAGE => read.usage = Usage::read(&mut section)?,
                WINDOWS => read.windows = Windows::read(&mut section)?,
                LIFE => read.life = Some(Box::new(Life::read(&mut section)?)),
                SUSPENSION => read.suspension = Suspension::read(&mut section)?.map(Box::new),
                _ => {}
            }
        }
        Ok(read)
    }

    /// In memory, with everything it points to.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() - size_of::<Usage>()
            + self.usage.bytes()
            + self.windows.bytes()
            + self.suspension.as_ref().map_or(0, |_| size_of::<Suspension>())
            + self.life.as_ref().map_or(0, |_| size_of::<Life>())
    }
}

#[cfg(test)]
impl Record {
    /// By some finding, for good.
    pub fn with_suspension(mut self) -> Self {
        self.suspend(Suspension::sample());
        self
    }

    /// For good.
    pub fn with_probation(mut self) -> Self {
        let until = Timestamp::from_unix_ms(i64::MAX);
        let probation = Some(crate::suspension::Probation { until, is_strict: false });
        self.life = Some(Box::new(Life { probation, ..Life::default() }));
        self
    }
}
