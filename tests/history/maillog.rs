//! The logs of Postfix and Sendmail. Those in `logs/` were written by real ones (Postfix 3.7.11, Sendmail
//! 8.17.1.9) on loopback; smaller ones are cut from such lines.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use gatepost::history::{Coverage, Message, Outcome, Source};
use jiff::tz::TimeZone;

use crate::{Folder, all, fault, gzip, open, shown, xz, zstd};

fn maillog(files: Vec<PathBuf>) -> Source {
    Source::Maillog { files, zone: TimeZone::UTC }
}

fn log(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/history/logs").join(name)
}

/// A file that was last written at this time.
fn written(folder: &Folder, name: &str, bytes: &[u8], at: &str) -> PathBuf {
    let path = folder.file(name, bytes);
    let moment: jiff::Timestamp = at.parse().expect("a moment");
    let seconds = u64::try_from(moment.as_second()).expect("after 1970");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let file = File::options().write(true).open(&path).expect("the file");
    file.set_modified(time).expect("a time can be set");
    path
}

/// A log of these lines, last written on 2026-11-27.
fn lines(folder: &Folder, lines: &[&str]) -> PathBuf {
    written(folder, "mail.log", (lines.join("\n") + "\n").as_bytes(), "2026-11-27T00:00:00Z")
}

/// The messages with the time of day and what became of them, and the coverage.
fn told(files: Vec<PathBuf>) -> (Vec<String>, Coverage) {
    let mut history = open(maillog(files)).expect("the files");
    let mut messages = Vec::new();
    while let Some(message) = history.next_message().expect("a log") {
        messages.push(line_of(&message));
    }
    assert_eq!((history.malformed().count, history.out_of_order()), (0, 0));
    (messages, history.coverage().expect("that of a log"))
}

fn line_of(message: &Message) -> String {
    let (_, rest) =
        shown(message).split_once(' ').map(|(a, b)| (a.len(), b.to_owned())).expect("words");
    let time = message.at.to_string();
    let mut line = format!("{} {rest}", &time[5..19]);
    if message.outcome == Outcome::Refused {
        line += " refused";
    }
    if message.unknown_recipients > 0 {
        line += &format!(" unknown={}", message.unknown_recipients);
    }
    if message.bounced_recipients > 0 {
        line += &format!(" bounced={}", message.bounced_recipients);
    }
    line
}

/// Of messages, and of those whole.
fn counts(coverage: &Coverage) -> (u64, u64) {
    (coverage.accepted, coverage.whole)
}

#[test]
fn print() {
    for name in ["postfix.log", "sendmail.log"] {
        let folder = Folder::new();
        let bytes = std::fs::read(log(name)).expect("log");
        let path = written(&folder, "mail.log", &bytes, "2026-11-27T00:00:00Z");
        for m in told(vec![path]).0 {
            println!("{m:?},");
        }
    }
}
