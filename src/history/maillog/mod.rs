//! The logs of Postfix and Sendmail as messages: lines are merged by time, joined by host and queue id, and
//! what they tell of a message comes out in the order the messages were accepted in.

mod coverage;
mod entry;
mod event;
mod ids;
mod join;
mod line;
mod merge;
mod postfix;
mod processes;
mod queue;
mod sendmail;
mod stamp;

use std::path::PathBuf;

use jiff::tz::TimeZone;

use crate::history::HistoryFault;
use crate::history::Malformed;
use crate::history::Message;
use crate::history::files::Meter;
use crate::history::maillog::join::Join;
use crate::history::maillog::merge::Merge;
use crate::mail::Timestamp;

pub use coverage::Coverage;

pub(super) struct Maillog {
    merge: Merge,
    join: Join,
    has_ended: bool,
}

impl Maillog {
    pub(super) fn open(
        paths: Vec<PathBuf>,
        zone: &TimeZone,
        meter: &Meter,
        malformed: &mut Malformed,
        at: Timestamp,
    ) -> Result<Self, HistoryFault> {
        let merge = Merge::open(paths, zone, meter, malformed, at)?;
        Ok(Self { merge, join: Join::default(), has_ended: false })
    }

    pub(super) fn next(
        &mut self,
        meter: &Meter,
        malformed: &mut Malformed,
    ) -> Result<Option<Message>, HistoryFault> {
        loop {
            if let Some(message) = self.join.pop(self.has_ended) {
                return Ok(Some(message));
            }
            if self.has_ended {
                return Ok(None);
            }
            match self.merge.next(meter, malformed)? {
                Some((at, line)) => self.join.read(&line, at),
                None if self.join.coverage().mail_lines == 0 => {
                    return Err(HistoryFault::Empty { expected: merge::EXPECTED });
                }
                None => {
                    self.join.end();
                    self.has_ended = true;
                }
            }
        }
    }

    pub(super) fn coverage(&self) -> Coverage {
        self.join.coverage()
    }
}
