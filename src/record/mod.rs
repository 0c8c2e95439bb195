//! The record kept for one account, and what a change of it commits.

mod file;
mod notice;
mod row;

use crate::ledger::{Reader, Torn, Usage, Windows, Writer};
use crate::mail::{Mode, Timestamp};
use crate::suspension::Suspension;

pub use file::{FileFault, from_file, to_file};
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

impl Record {
    /// Lets time pass: what has expired is over, and forgiven. The end of a shadow forgives nothing, since what
    /// only observes may change no reply.
    pub fn advance(&mut self, at: Timestamp) {
        if let Some(over) = self.suspension.take_if(|suspension| !suspension.is_in_force(at))
            && over.mode == Mode::Enforce
        {
            self.usage.forgive();
        }
        self.usage.advance(at);
        self.windows.settle(at);
    }

    /// Adds what was kept of the same account under another key; a suspension wins.
    pub fn merge(&mut self, other: &Self, at: Timestamp) {
        self.usage.merge(&other.usage, at);
        self.windows.merge(&other.windows, at);
        if self.in_force(at).is_none() {
            self.suspension.clone_from(&other.suspension);
        }
    }

    /// The suspension that stands at `at`, or the shadow of one.
    pub fn in_force(&self, at: Timestamp) -> Option<&Suspension> {
        self.suspension.as_deref().filter(|suspension| suspension.is_in_force(at))
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
                SUSPENSION => read.suspension = Some(Box::new(Suspension::read(&mut section)?)),
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
    }
}

#[cfg(test)]
impl Record {
    /// By some finding, for good.
    pub fn suspended(mut self) -> Self {
        self.suspension = Some(Box::new(Suspension::sample()));
        self
    }
}
