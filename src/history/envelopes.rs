//! Envelope files: NDJSON, one message a line.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use compact_str::CompactString;
use compact_str::ToCompactString;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use crate::history::HistoryFault;
use crate::history::Malformed;
use crate::history::Message;
use crate::history::Outcome;
use crate::history::files::{Files, Meter};
use crate::history::moment;
use crate::mail::Address;
use crate::mail::Login;

pub(super) const EXPECTED: &str = r#"one JSON object a line, like {"at": 1790000000123, "login": "alice", "client": "192.0.2.1", "sender": "alice@example.org", "recipients": ["bob@example.org"], "message": "4XyZ"}"#;

pub(super) fn next(
    files: &mut Files,
    meter: &Meter,
    malformed: &mut Malformed,
) -> Result<Option<Message>, HistoryFault> {
    while let Some(file) = files.next_line(meter, malformed)? {
        if file.line().trim_ascii().is_empty() {
            continue;
        }
        match read(file.line(), file.number()) {
            Ok(message) => {
                file.good();
                return Ok(Some(message));
            }
            Err(why) => file.malformed(&why, malformed)?,
        }
    }
    Ok(None)
}

/// Keys beyond these are let be.
#[derive(Deserialize)]
struct Line<'a> {
    /// Milliseconds since the Unix epoch.
    at: i64,
    #[serde(borrow, default)]
    login: Option<Name<'a>>,
    #[serde(borrow, default)]
    client: Option<Name<'a>>,
    sender: Path,
    recipients: Vec<Path>,
    #[serde(borrow, default)]
    message: Option<Name<'a>>,
    #[serde(default)]
    size: u64,
}

fn read(line: &[u8], number: u64) -> Result<Message, String> {
    if !line.trim_ascii_start().starts_with(b"{") {
        return Err("the line is no JSON object".into());
    }
    let line: Line<'_> = serde_json::from_slice(line).map_err(|e| told(&e))?;
    let login = line.login.as_ref().and_then(|name| Login::parse(name.0.as_bytes()));
    let client = match &line.client {
        Some(Name(name)) if !name.is_empty() => Some(name.parse::<IpAddr>().map_err(|_| {
            format!("\"client\" is {:?}, which is no IP address", name.escape_debug().to_string())
        })?),
        _ => None,
    };
    if line.recipients.is_empty() {
        return Err("\"recipients\" is empty".into());
    }
    Ok(Message {
        at: moment(line.at)?,
        login,
        client,
        sender: line.sender.0,
        recipients: line.recipients.into_iter().map(|path| path.0).collect(),
        id: match &line.message {
            Some(Name(name)) if !name.is_empty() => CompactString::from(&**name),
            _ => number.to_compact_string(),
        },
        size: line.size,
        outcome: Outcome::Accepted,
        unknown_recipients: 0,
        bounced_recipients: 0,
    })
}

/// The fault without the line, which serde_json takes for the first of the text it got.
fn told(fault: &serde_json::Error) -> String {
    let text = fault.to_string();
    match text.split_once(" at line ") {
        Some((what, _)) => format!("{what} at column {}", fault.column()),
        None => text,
    }
}

/// A string or a whole number.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.into())))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(number.to_string())))
            }
        }
        deserializer.deserialize_any(Names)
    }
}

/// An address, `a@b` or `<a@b>`.
struct Path(Address);

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Name(text) = Name::deserialize(deserializer)?;
        if text.starts_with('<') {
            return Address::from_path(text.as_bytes()).map(Self).map_err(D::Error::custom);
        }
        Ok(Self(Address::from_internal(text.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Timestamp;
    use proptest::prelude::*;

    fn message(line: &str) -> Message {
        read(line.as_bytes(), 7).expect(line)
    }

    #[test]
    fn a_whole_line_is_read() {
        let message = message(
            r#"{"at": 1790000000123, "login": "Alice", "client": "2001:db8::1", "sender": "alice@Example.ORG",
                "recipients": ["bob@example.org", "<carol@example.org>"], "message": "4XyZ", "size": 900, "more": [1]}"#,
        );
        assert_eq!(message.at, Timestamp::from_unix_ms(1_790_000_000_123));
        assert_eq!(message.login.as_ref().map(Login::folded), Some("alice"));
        assert_eq!(message.client, Some("2001:db8::1".parse().expect("an address")));
        assert_eq!(message.sender.as_bytes(), b"alice@example.org");
        let recipients: Vec<String> = message.recipients.iter().map(Address::to_string).collect();
        assert_eq!(recipients, ["bob@example.org", "carol@example.org"]);
        assert_eq!((message.id.as_str(), message.size), ("4XyZ", 900));
    }

    #[test]
    fn what_is_absent_null_or_empty_is_not_there_and_the_number_of_the_line_is_the_id() {
        for rest in [
            "",
            r#", "login": null, "client": null, "message": null"#,
            r#", "login": "", "client": "", "message": """#,
        ] {
            let message = message(&format!(r#"{{"at":5,"sender":"","recipients":["b"]{rest}}}"#));
            assert_eq!((message.login, message.client), (None, None), "{rest}");
            assert_eq!((message.id.as_str(), message.size), ("7", 0));
            assert!(message.sender.is_null());
        }
    }

    #[test]
    fn escapes_and_numbers_are_names() {
        let message = message(
            r#"{"at":5,"login":582,"sender":"\u0061","recipients":["\u0062"],"message":1}"#,
        );
        assert_eq!(message.login.as_ref().map(Login::folded), Some("582"));
        assert_eq!((message.sender.as_bytes(), message.id.as_str()), (&b"a"[..], "1"));
    }

    #[test]
    fn a_malformed_line_says_why() {
        let cases = [
            ("[5]", "the line is no JSON object"),
            ("{", "EOF while parsing an object at column 1"),
            (r#"{"at":5,"sender":"a"}"#, "missing field `recipients` at column 21"),
            (r#"{"at":5,"sender":"a","recipients":[]}"#, "\"recipients\" is empty"),
            (
                r#"{"at":"5","sender":"a","recipients":["b"]}"#,
                "invalid type: string \"5\", expected i64 at column 9",
            ),
            (
                r#"{"at":-1,"sender":"a","recipients":["b"]}"#,
                "the time -1 ms is not between 1970 and 9999",
            ),
            (r#"{"at":5,"sender":"a","recipients":["<b"]}"#, "'<' has no '>' at column 40"),
            (
                r#"{"at":5,"client":"x","sender":"a","recipients":["b"]}"#,
                "\"client\" is \"x\", which is no IP address",
            ),
        ];
        for (line, why) in cases {
            assert_eq!(read(line.as_bytes(), 1).expect_err(line), why);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text in r#"[{}\[\]:,"a-z0-9]{0,60}"#) {
            let _ = read(&bytes, 1);
            let _ = read(text.as_bytes(), 1);
        }
    }
}
