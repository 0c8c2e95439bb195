//! One line of a log: RFC 3164 and RFC 5424 as rsyslog, syslog-ng and the BSDs write them to files, and the
//! JSON of journalctl (systemd.journal-fields(7)).

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use crate::history::maillog::stamp::Stamp;
use crate::history::moment;

/// What a line says, whoever wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Empty where the log has none.
    pub host: &'a [u8],
    /// `postfix/smtpd`; empty where the line names none.
    pub program: &'a [u8],
    /// 0 where the line has none.
    pub pid: u32,
    pub text: &'a [u8],
}

/// Where in a line its parts are.
pub(super) struct Header {
    pub stamp: Stamp,
    host: Range<usize>,
    program: Range<usize>,
    pid: u32,
    text: Range<usize>,
}

impl Header {
    /// `None`: the line has no time stamp.
    pub(super) fn of_syslog(line: &[u8]) -> Option<Self> {
        let (body, has_priority) = without_priority(line);
        let is_5424 = has_priority && body.starts_with(b"1 ");
        let (stamp, rest) = Stamp::read(if is_5424 { &body[2..] } else { body })?;
        let (host, program, pid, text) = if is_5424 { rfc_5424(rest) } else { rfc_3164(rest) };
        let range = |part: &[u8]| {
            // Each part is one of the line.
            let start = part.as_ptr().addr().saturating_sub(line.as_ptr().addr());
            start..start + part.len()
        };
        Some(Self { stamp, host: range(host), program: range(program), pid, text: range(text) })
    }

    /// Writes the parts to `decoded`, which the ranges are of.
    pub(super) fn of_journal(line: &[u8], decoded: &mut Vec<u8>) -> Result<Self, String> {
        let entry: Entry = serde_json::from_slice(line)
            .map_err(|_| "the line is no entry of journalctl -o json".to_owned())?;
        let (Some(Field(text)), Some(Field(at))) = (entry.message, entry.at) else {
            return Err("the entry has no MESSAGE or no __REALTIME_TIMESTAMP".into());
        };
        let unix_us = number(&at).ok_or("__REALTIME_TIMESTAMP is no number")?;
        decoded.clear();
        let mut part = |field: Option<Field>| {
            let start = decoded.len();
            decoded.extend_from_slice(&field.map(|field| field.0).unwrap_or_default());
            start..decoded.len()
        };
        Ok(Self {
            stamp: Stamp::Moment(moment(i64::try_from(unix_us / 1000).unwrap_or(i64::MAX))?),
            host: part(entry.host),
            program: part(entry.identifier.or(entry.command)),
            pid: pid(&entry.pid.or(entry.trusted_pid).map(|field| field.0).unwrap_or_default()),
            text: part(Some(Field(text))),
        })
    }

    pub(super) fn of<'a>(&self, line: &'a [u8]) -> Line<'a> {
        let part = |range: &Range<usize>| line.get(range.clone()).unwrap_or_default();
        Line {
            host: part(&self.host),
            program: part(&self.program),
            pid: self.pid,
            text: part(&self.text),
        }
    }
}

type Parts<'a> = (&'a [u8], &'a [u8], u32, &'a [u8]);

/// `host program[pid]: text`; a log that syslog(3) wrote itself has no host, FreeBSD's may have
/// `<mail.info>` before it.
fn rfc_3164(rest: &[u8]) -> Parts<'_> {
    let (mut host, mut rest) = word(rest);
    if host.starts_with(b"<") {
        (host, rest) = word(rest);
    }
    let (mut tag, mut text) = word(rest);
    if host.ends_with(b":") {
        (tag, text, host) = (host, rest, b"");
    }
    let Some(tag) = tag.strip_suffix(b":") else { return (host, b"", 0, rest) };
    match tag.strip_suffix(b"]").and_then(|tag| Some((tag, memchr::memrchr(b'[', tag)?))) {
        Some((tag, bracket)) => (host, &tag[..bracket], pid(&tag[bracket + 1..]), text),
        None => (host, tag, 0, text),
    }
}

/// `host program pid msgid structured-data text`
fn rfc_5424(rest: &[u8]) -> Parts<'_> {
    let (host, rest) = word(rest);
    let (program, rest) = word(rest);
    let (id, rest) = word(rest);
    let (_, rest) = word(rest);
    let text = match rest.strip_prefix(b"- ") {
        Some(text) => text,
        None => memchr::memmem::find(rest, b"] ").map_or(&b""[..], |end| &rest[end + 2..]),
    };
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    (host, program, pid(id), text.trim_ascii_start())
}

/// The line without its `<22>`, and whether it had one.
fn without_priority(line: &[u8]) -> (&[u8], bool) {
    let close = line.iter().take(5).position(|&b| b == b'>');
    match close {
        Some(close) if line.starts_with(b"<") => (&line[close + 1..], true),
        _ => (line, false),
    }
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b' ', text).unwrap_or(text.len());
    (&text[..end], text[end..].trim_ascii_start())
}

fn pid(text: &[u8]) -> u32 {
    number(text).and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0)
}

/// A whole number in decimal digits.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    at: Option<Field>,
    #[serde(rename = "_HOSTNAME")]
    host: Option<Field>,
    #[serde(rename = "SYSLOG_IDENTIFIER")]
    identifier: Option<Field>,
    #[serde(rename = "_COMM")]
    command: Option<Field>,
    #[serde(rename = "SYSLOG_PID")]
    pid: Option<Field>,
    #[serde(rename = "_PID")]
    trusted_pid: Option<Field>,
    #[serde(rename = "MESSAGE")]
    message: Option<Field>,
}

/// A string, or an array of the bytes of one that cannot be shown (journalctl(1), `-o json`).
struct Field(Vec<u8>);

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Field;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or its bytes")
            }

            fn visit_str<E>(self, text: &str) -> Result<Field, E> {
                Ok(Field(text.as_bytes().into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<Field, A::Error> {
                let mut text = Vec::new();
                while let Some(byte) = bytes.next_element()? {
                    text.push(byte);
                }
                Ok(Field(text))
            }
        }
        deserializer.deserialize_any(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(line: &str) -> (String, String, u32, String) {
        let header = Header::of_syslog(line.as_bytes()).expect(line);
        let line = header.of(line.as_bytes());
        let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
        (text(line.host), text(line.program), line.pid, text(line.text))
    }

    #[test]
    fn every_form_of_syslog_has_the_same_parts() {
        for line in [
            "Nov 26 23:19:57 mx postfix/smtpd[935]: connect from x",
            "<22>Nov 26 23:19:57 mx postfix/smtpd[935]: connect from x",
            "Nov 26 23:19:57 <mail.info> mx postfix/smtpd[935]: connect from x",
            "2026-11-26T23:19:57.123456+01:00 mx postfix/smtpd[935]: connect from x",
            "<22>1 2026-11-26T23:19:57.123456+01:00 mx postfix/smtpd 935 - - connect from x",
            "<22>1 2026-11-26T23:19:57Z mx postfix/smtpd 935 ID47 [a@1 b=\"c\"] \u{feff}connect from x",
        ] {
            let expected = ("mx".into(), "postfix/smtpd".into(), 935, "connect from x".into());
            assert_eq!(parts(line), expected, "{line}");
        }
        assert_eq!(
            parts("<22>Nov 26 23:21:47 sendmail[10]: NOQUEUE: connect from x"),
            ("".into(), "sendmail".into(), 10, "NOQUEUE: connect from x".into())
        );
        assert_eq!(
            parts("Nov 26 23:21:47 mx last message repeated 2 times"),
            ("mx".into(), "".into(), 0, "last message repeated 2 times".into())
        );
    }

    #[test]
    fn an_entry_of_the_journal_has_them_too() {
        let mut decoded = Vec::new();
        for message in [r#""connect""#, "[99,111,110,110,101,99,116]"] {
            let line = format!(
                r#"{{"__REALTIME_TIMESTAMP":"1790000000123456","_HOSTNAME":"mx","SYSLOG_IDENTIFIER":"postfix/smtpd","_PID":"935","MESSAGE":{message},"X":null}}"#
            );
            let header = Header::of_journal(line.as_bytes(), &mut decoded).expect("an entry");
            let line = header.of(&decoded);
            assert_eq!((line.host, line.program), (&b"mx"[..], &b"postfix/smtpd"[..]));
            assert_eq!((line.pid, line.text), (935, &b"connect"[..]));
            assert_eq!(header.stamp, Stamp::Moment(moment(1_790_000_000_123).expect("a moment")));
        }
        let why = |line: &[u8]| Header::of_journal(line, &mut Vec::new()).err();
        assert_eq!(why(b"{"), Some("the line is no entry of journalctl -o json".into()));
        assert_eq!(
            why(b"{\"MESSAGE\":null}"),
            Some("the entry has no MESSAGE or no __REALTIME_TIMESTAMP".into())
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_line_or_none(
            bytes: Vec<u8>,
            rest in r"(<22>)?(1 )?(Nov  6 23:19:57|2026-11-26T23:19:57Z) [ -~]{0,40}",
        ) {
            for line in [&bytes[..], rest.as_bytes()] {
                if let Some(header) = Header::of_syslog(line) {
                    let parts = header.of(line);
                    prop_assert!(parts.host.len() + parts.program.len() + parts.text.len() <= line.len());
                }
                let _ = Header::of_journal(line, &mut Vec::new());
            }
        }
    }
}
