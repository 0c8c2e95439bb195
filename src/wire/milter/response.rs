//! Replies: what a mail server may be told (mfdef.h SMFIR_*). Outside end of message Sendmail lets the
//! command under way pass on any byte it does not expect, so the few that exist are those legal
//! everywhere; what is legal at end of message alone goes out by `end` alone.

use std::fmt::Write;

use bytes::BytesMut;

use crate::mail::SmtpReply;
use crate::wire::milter::frame;

/// A verdict on a command or a message; exactly one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response<'a> {
    /// No objection so far.
    Continue,
    /// The message passes; end of message only, since earlier it would end the session's judging.
    Accept,
    /// Reject or tempfail, with code and text.
    Refuse(&'a SmtpReply),
}

/// What is done to a message before its verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Changes<'a> {
    /// The value of `X-Gatepost:`.
    pub id: Option<&'a str>,
    /// Why it is held.
    pub quarantine: Option<&'a SmtpReply>,
}

impl Response<'_> {
    /// Writes the one reply to a command.
    pub(super) fn write(self, out: &mut BytesMut) {
        match self {
            Self::Continue => frame::put(out, b'c', &[]),
            Self::Accept => frame::put(out, b'a', &[]),
            Self::Refuse(reply) => frame::put(out, b'y', &[&reply_code(reply)]),
        }
    }

    /// Writes what is done to a message, and the verdict on it.
    pub(super) fn end(self, changes: Changes, out: &mut BytesMut) {
        if let Some(id) = changes.id {
            frame::put(out, b'h', &[b"X-Gatepost\0", id.as_bytes(), b"\0"]);
        }
        if let Some(why) = changes.quarantine {
            frame::put(out, b'q', &[why.text().as_bytes(), b"\0"]);
        }
        self.write(out);
    }
}

/// Sendmail puts `<recipient>... ` before the text, and an SMTP line has 512 bytes (RFC 5321
/// 4.5.3.1.5): a recipient of 254 bytes and 200 of text leave room for the codes.
const LINE_LIMIT_BYTES: usize = 200;

/// The payload of SMFIR_REPLYCODE: `550 5.7.1 text` and NUL, a long text in several lines of one
/// code with CRLF between them. `%` is doubled, since both servers take it for a format; class, length
/// and characters are right because an [`SmtpReply`] has no others.
pub fn reply_code(reply: &SmtpReply) -> Vec<u8> {
    let mut payload = String::with_capacity(reply.text().len() + 32);
    let mut rest = reply.text();
    loop {
        let (line, more) = cut(rest);
        let follows = if more.is_empty() { ' ' } else { '-' };
        let line = line.replace('%', "%%");
        write!(payload, "{}{follows}{} {line}", reply.code(), reply.enhanced()).expect("memory");
        if more.is_empty() {
            break;
        }
        payload.push_str("\r\n");
        rest = more;
    }
    payload.push('\0');
    payload.into_bytes()
}

/// The first line of the text, cut at a blank where there is one, and what follows it.
fn cut(text: &str) -> (&str, &str) {
    if text.len() <= LINE_LIMIT_BYTES {
        return (text, "");
    }
    match text[..=LINE_LIMIT_BYTES].rfind(' ') {
        Some(blank) if blank > 0 => (&text[..blank], &text[blank + 1..]),
        _ => text.split_at(LINE_LIMIT_BYTES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Enhanced;
    use proptest::prelude::*;

    fn reply(code: u16, text: &str) -> SmtpReply {
        let class = u8::try_from(code / 100).expect("a digit");
        SmtpReply::new(code, Enhanced { class, subject: 7, detail: 1 }, text).expect("a reply")
    }

    fn payload(code: u16, text: &str) -> String {
        String::from_utf8(reply_code(&reply(code, text))).expect("ASCII")
    }

    /// Field bugs 21 and 32: `%` is doubled, and the reason goes along.
    #[test]
    fn the_reason_goes_along_and_percent_is_doubled() {
        assert_eq!(payload(550, "[ID] bob may not"), "550 5.7.1 [ID] bob may not\0");
        assert_eq!(payload(451, "100% of %s"), "451 4.7.1 100%% of %%s\0");
    }

    #[test]
    fn a_long_text_is_cut_at_a_blank_or_at_the_limit() {
        let word = "x".repeat(149);
        assert_eq!(
            payload(550, &format!("{word} {word}")),
            format!("550-5.7.1 {word}\r\n550 5.7.1 {word}\0")
        );
        let long = "y".repeat(201);
        let (first, rest) = (&long[..200], &long[200..]);
        assert_eq!(payload(550, &long), format!("550-5.7.1 {first}\r\n550 5.7.1 {rest}\0"));
        assert_eq!(payload(550, first), format!("550 5.7.1 {first}\0"));
    }

    #[test]
    fn a_message_is_changed_before_its_verdict() {
        let why = reply(550, "[ID] why");
        let mut out = BytesMut::new();
        Response::Accept.end(Changes { id: Some("ID"), quarantine: Some(&why) }, &mut out);
        assert_eq!(&out[..], b"\0\0\0\x0fhX-Gatepost\0ID\0\0\0\0\x0aq[ID] why\0\0\0\0\x01a");
    }

    proptest! {
        /// Text from a directory, whatever it is, becomes lines as both servers want them.
        #[test]
        fn any_text_becomes_lines_of_one_code(text: String, permanent: bool) {
            let code = if permanent { 550 } else { 451 };
            let Ok(reply) = SmtpReply::new(
                code,
                Enhanced { class: u8::try_from(code / 100).expect("a digit"), subject: 7, detail: 1 },
                &text,
            ) else {
                return Ok(());
            };
            let payload = reply_code(&reply);
            prop_assert_eq!(payload.iter().filter(|b| **b == 0).count(), 1);
            prop_assert_eq!(payload.last(), Some(&0));
            let text = std::str::from_utf8(&payload[..payload.len() - 1]).expect("ASCII");
            let lines: Vec<&str> = text.split("\r\n").collect();
            prop_assert!(lines.len() <= 32);
            for (index, line) in lines.iter().enumerate() {
                let mark = if index + 1 < lines.len() { '-' } else { ' ' };
                let start = format!("{code}{mark}{}.7.1 ", code / 100);
                let shown = line.strip_prefix(&start);
                prop_assert!(shown.is_some_and(|shown| !shown.is_empty()), "{line}");
                prop_assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)), "{line}");
                let undoubled = line.replace("%%", "");
                prop_assert!(!undoubled.contains('%') && line.len() <= 980, "{line}");
            }
        }
    }
}
