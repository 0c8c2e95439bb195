//! Past mail as a stream of messages in time order: envelope files (NDJSON), tables (TSV), and the
//! logs of Postfix and Sendmail.

mod envelopes;
mod fault;
mod files;
mod input;
mod tsv;

use std::net::IpAddr;
use std::path::PathBuf;

use compact_str::CompactString;

use crate::history::files::Files;
use crate::history::tsv::Rows;
use crate::mail::Address;
use crate::mail::Login;
use crate::mail::Timestamp;

pub use fault::{HistoryFault, Malformed, MalformedLine};
pub use files::Progress;

/// One message of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub at: Timestamp,
    /// `None`: nobody logged in; mail from outside, from a network, or from the machine itself.
    pub login: Option<Login>,
    /// `None`: handed in by a program on the mail server, or not told.
    pub client: Option<IpAddr>,
    pub sender: Address,
    /// As the source has them, twice where it has them twice. Never empty for an accepted message.
    pub recipients: Vec<Address>,
    /// The id the source gives it: a name, a queue id, else the number of its line.
    pub id: CompactString,
    /// Bytes; 0 where the source does not tell.
    pub size: u64,
    pub outcome: Outcome,
    /// Recipients the mail server refused as unknown while it took the message.
    pub unknown_recipients: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Accepted,
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
}

/// Reads a [`Source`], message by message.
pub struct History {
    files: Files,
    form: Form,
    latest: Timestamp,
    out_of_order: u64,
}

enum Form {
    Envelopes,
    Tsv(Box<Rows>),
}

impl History {
    /// Opens nothing yet but asks for the size of every file.
    ///
    /// # Errors
    /// A file that is not there.
    pub fn open(source: Source) -> Result<Self, HistoryFault> {
        let (paths, form, expected) = match source {
            Source::Envelopes(paths) => (paths, Form::Envelopes, envelopes::EXPECTED),
            Source::Tsv(paths) => (paths, Form::Tsv(Box::default()), tsv::EXPECTED),
        };
        Ok(Self {
            files: Files::new(paths, expected)?,
            form,
            latest: Timestamp::from_unix_ms(i64::MIN),
            out_of_order: 0,
        })
    }

    /// The next message; `None` at the end, and again after it.
    ///
    /// # Errors
    /// A file that cannot be read or unpacked, or is nothing like the source it was said to be. No message
    /// comes after an error.
    pub fn next_message(&mut self) -> Result<Option<Message>, HistoryFault> {
        let message = match &mut self.form {
            Form::Envelopes => envelopes::next(&mut self.files),
            Form::Tsv(rows) => rows.next(&mut self.files),
        }?;
        if let Some(message) = &message {
            self.out_of_order += u64::from(message.at < self.latest);
            self.latest = self.latest.max(message.at);
        }
        Ok(message)
    }

    /// The lines that were skipped so far.
    pub fn malformed(&self) -> &Malformed {
        self.files.malformed_lines()
    }

    /// Messages so far that were older than one before them. They come as they are.
    pub fn out_of_order(&self) -> u64 {
        self.out_of_order
    }

    pub fn progress(&self) -> Progress {
        self.files.progress()
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
