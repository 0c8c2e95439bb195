//! Past mail as a stream of messages in time order: envelope files (NDJSON), tables (TSV), and the
//! logs of Postfix and Sendmail.

mod envelopes;
mod fault;
mod files;
mod input;
mod maillog;
mod tsv;

use std::net::IpAddr;
use std::path::PathBuf;

use compact_str::CompactString;
use jiff::tz::TimeZone;

use crate::history::files::{Files, Meter};
use crate::history::maillog::Maillog;
use crate::history::tsv::Rows;
use crate::mail::Address;
use crate::mail::Login;
use crate::mail::Timestamp;

pub use fault::{HistoryFault, Malformed, MalformedLine};
pub use files::Progress;
pub use maillog::Coverage;

/// One message of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub at: Timestamp,
    /// `None`: nobody logged in; mail from outside, from a network, or from the machine itself.
    pub login: Option<Login>,
    /// `None`: handed in by a program on the mail server, or not told.
    pub client: Option<IpAddr>,
    pub sender: Address,
    /// Of a log: distinct, and as they were written to (Sendmail logs where its aliases lead instead). Else as
    /// the source has them, twice where it has them twice. Never empty for an accepted message.
    pub recipients: Vec<Address>,
    /// The id the source gives it: a name, a queue id, else the number of its line.
    pub id: CompactString,
    /// Bytes; 0 where the source does not tell.
    pub size: u64,
    pub outcome: Outcome,
    /// Recipients the mail server refused as unknown while it took the message; not among `recipients` of
    /// an accepted one. Logs alone tell.
    pub unknown_recipients: u32,
    /// Recipients that the next hop refused as unknown at the first try, after the message was accepted.
    pub bounced_recipients: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Accepted,
    /// The mail server took none of it; from logs alone.
    Refused,
}

/// Where past mail is read from. A file is plain or packed by gzip, xz or zstd; `-` is the standard input.
#[derive(Clone, Debug)]
pub enum Source {
    /// One JSON object a line, one line a message.
    Envelopes(Vec<PathBuf>),
    /// One row a recipient: time, login, message, recipient. Adjacent rows of one message are joined, and
    /// only those: a message whose rows lie apart comes as several.
    Tsv(Vec<PathBuf>),
    /// Lines of Postfix and Sendmail as syslog or `journalctl -o json` have them, of one host or several,
    /// in any order of files. A stamp without a year gets the one that fits the time its file was last
    /// written (`cp -p`); one without an offset is of `zone`.
    Maillog { files: Vec<PathBuf>, zone: TimeZone },
}

/// Reads a [`Source`], message by message.
pub struct History {
    form: Form,
    meter: Meter,
    malformed: Malformed,
    latest: Timestamp,
    out_of_order: u64,
}

enum Form {
    Envelopes(Files),
    Tsv(Files, Box<Rows>),
    Maillog(Box<Maillog>),
}

impl History {
    /// `at` is now: no stamp without a year, read from the standard input, is later.
    ///
    /// # Errors
    /// A file that is not there; a log whose beginning is none.
    pub fn open(source: Source, at: Timestamp) -> Result<Self, HistoryFault> {
        let mut malformed = Malformed::default();
        let (form, meter) = match source {
            Source::Envelopes(paths) => {
                let meter = Meter::new(&paths)?;
                (Form::Envelopes(Files::new(paths, envelopes::EXPECTED)), meter)
            }
            Source::Tsv(paths) => {
                let meter = Meter::new(&paths)?;
                (Form::Tsv(Files::new(paths, tsv::EXPECTED), Box::default()), meter)
            }
            Source::Maillog { files, zone } => {
                let meter = Meter::new(&files)?;
                let maillog = Maillog::open(files, &zone, &meter, &mut malformed, at)?;
                (Form::Maillog(Box::new(maillog)), meter)
            }
        };
        let latest = Timestamp::from_unix_ms(i64::MIN);
        Ok(Self { form, meter, malformed, latest, out_of_order: 0 })
    }

    /// The next message; `None` at the end, and again after it.
    ///
    /// # Errors
    /// A file that cannot be read or unpacked, or is nothing like the source it was said to be. No message
    /// comes after an error.
    pub fn next_message(&mut self) -> Result<Option<Message>, HistoryFault> {
        let (meter, malformed) = (&self.meter, &mut self.malformed);
        let message = match &mut self.form {
            Form::Envelopes(files) => envelopes::next(files, meter, malformed),
            Form::Tsv(files, rows) => rows.next(files, meter, malformed),
            Form::Maillog(maillog) => maillog.next(meter, malformed),
        }?;
        if let Some(message) = &message {
            self.out_of_order += u64::from(message.at < self.latest);
            self.latest = self.latest.max(message.at);
        }
        Ok(message)
    }

    /// The lines that were skipped so far.
    pub fn malformed(&self) -> &Malformed {
        &self.malformed
    }

    /// Messages so far that were older than one before them. They come as they are.
    pub fn out_of_order(&self) -> u64 {
        self.out_of_order
    }

    pub fn progress(&self) -> Progress {
        self.meter.progress()
    }

    /// How much of the accepted mail a log told; whole at the end only. `None` for other sources.
    pub fn coverage(&self) -> Option<Coverage> {
        match &self.form {
            Form::Maillog(maillog) => Some(maillog.coverage()),
            _ => None,
        }
    }
}

/// A moment that a log or file may name. Others are refused, so that a difference of two never overflows.
fn moment(unix_ms: i64) -> Result<Timestamp, String> {
    const YEAR_10000_MS: i64 = 253_402_300_800_000;
    if (0..YEAR_10000_MS).contains(&unix_ms) {
        Ok(Timestamp::from_unix_ms(unix_ms))
    } else {
        Err(format!("the time {unix_ms} ms is not between 1970 and 9999"))
    }
}
