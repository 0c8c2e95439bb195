//! The lines of Sendmail, as 8.17 writes them (srvrsmtp.c, envelope.c, deliver.c, milter.c, savemail.c).

use crate::history::maillog::event::{
    Delivery, Event, Refusal, address, angle, client, field, next_id, queue_id,
};
use crate::history::maillog::line::number;
use crate::mail::Address;
use crate::mail::Login;

/// Sendmail calls itself `sendmail`, or as its `-L` says: `sm-mta`, `sm-msp-queue`.
pub(super) fn is_sendmail(program: &[u8]) -> bool {
    program.starts_with(b"sendmail") || program.starts_with(b"sm-")
}

pub(super) fn read(text: &[u8]) -> Option<Event<'_>> {
    if text.starts_with(b"NOQUEUE: connect from ") {
        return Some(Event::Session);
    }
    if text.starts_with(b"AUTH=server, ") {
        let name = field(text, ", authid=", ", mech=")?;
        return Login::parse(&from_xtext(name)).map(Event::LoggedIn);
    }
    let (id, rest) = queue_id(text)?;
    if let Some(rest) = rest.strip_prefix(b"from=") {
        return accepted(id, rest);
    }
    if let Some(rest) = rest.strip_prefix(b"to=") {
        return delivery(id, rest);
    }
    if rest.starts_with(b"done; ") {
        return Some(Event::Removed { id });
    }
    if rest.starts_with(b"Milter: data, reject") || rest.starts_with(b"Milter: data, discard") {
        return Some(Event::Discarded { id });
    }
    refusal(id, rest).or_else(|| other_id(id, rest))
}

/// `<a@b>, size=53, class=0, nrcpts=1, msgid=<...>, proto=ESMTPA, daemon=submission, relay=h [192.0.2.1]`
fn accepted<'a>(id: &'a [u8], rest: &'a [u8]) -> Option<Event<'a>> {
    let (sender, rest) = to_size(rest)?;
    // The client wrote the msgid; what follows it cannot be mistaken from behind.
    let (rest, relay) = rest.split_at(memchr::memmem::rfind(rest, b", relay=")?);
    let proto = memchr::memmem::rfind(rest, b", proto=").map_or(&b""[..], |at| &rest[at + 8..]);
    let proto = &proto[..memchr::memchr(b',', proto).unwrap_or(proto.len())];
    Some(Event::Accepted {
        id,
        sender: address(sender),
        size: number(field(rest, ", size=", ",")?)?,
        recipients: number(field(rest, ", nrcpts=", ",")?)?,
        client: client(relay),
        // ESMTPA and ESMTPSA (RFC 3848).
        has_login: proto.ends_with(b"A"),
    })
}

fn to_size(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    angle(rest).or_else(|| Some(rest.split_at(memchr::memmem::find(rest, b", size=")?)))
}

/// `<a@b>,<c@d>, delay=1+02:03:04, xdelay=00:00:00, mailer=esmtp, pri=1, relay=h [x], dsn=2.0.0, stat=Sent (...)`
fn delivery<'a>(id: &'a [u8], rest: &'a [u8]) -> Option<Event<'a>> {
    let (to, rest) = rest.split_at(memchr::memmem::find(rest, b", delay=")?);
    let to = &to[..memchr::memmem::rfind(to, b", ctladdr=").unwrap_or(to.len())];
    let status = field(rest, ", stat=", "\0")?;
    let is_deferred = ["Deferred", "queued", "quarantined"]
        .iter()
        .any(|words| status.starts_with(words.as_bytes()));
    let is_bounced = field(rest, ", dsn=5.1.1", ",").is_some();
    Some(Event::Delivery(Delivery {
        id,
        to: addresses(to),
        target: b"",
        delay: seconds(field(rest, ", delay=", ",")?)?,
        is_deferred,
        is_unknown: is_bounced || status.starts_with(b"User unknown"),
        is_probe: false,
        next: if status.starts_with(b"Sent") { next_id(status) } else { None },
    }))
}

/// `1+02:03:04` or `02:03:04`
fn seconds(text: &[u8]) -> Option<u64> {
    let (days, clock) = match memchr::memchr(b'+', text) {
        Some(plus) => (number(&text[..plus])?, &text[plus + 1..]),
        None => (0, text),
    };
    let part = |sum: u64, text: &[u8]| sum.checked_mul(60)?.checked_add(number(text)?);
    let clock = clock.split(|&b| b == b':').try_fold(0, part)?;
    days.checked_mul(86_400)?.checked_add(clock)
}

/// The addresses of a list, apart by commas outside of brackets and quotes.
fn addresses(list: &[u8]) -> Vec<Address> {
    let (mut quoted, mut escaped, mut open) = (false, false, false);
    let parts = list.split(|&byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'<' if !quoted => open = true,
            b'>' if !quoted => open = false,
            b',' if !quoted && !open => return true,
            _ => {}
        }
        false
    });
    parts.map(<[u8]>::trim_ascii).filter(|part| !part.is_empty()).map(address).collect()
}

/// `id: other: what the other one is`
fn other_id<'a>(id: &'a [u8], rest: &'a [u8]) -> Option<Event<'a>> {
    const PARTS: [&str; 2] = ["clone: ", "split: "];
    const NOTICES: [&str; 4] =
        ["DSN: ", "return to sender: ", "sender notify: ", "postmaster notify: "];
    let (other, what) = queue_id(rest)?;
    let is_one = |words: &[&str]| words.iter().any(|words| what.starts_with(words.as_bytes()));
    if is_one(&PARTS) {
        return Some(Event::Part { id, part: other });
    }
    is_one(&NOTICES).then_some(Event::Notice { id: other })
}

/// What is refused at RCPT: by Sendmail (`<n@b>... User unknown`), by its rulesets
/// (`ruleset=check_rcpt, arg1=<n@b>, relay=..., reject=550 5.1.1 <n@b>... User unknown`), or by a milter
/// (`Milter: to=<n@b>, reject=550 5.1.1 no`).
fn refusal<'a>(id: &'a [u8], rest: &'a [u8]) -> Option<Event<'a>> {
    let (to, reply) = if rest.starts_with(b"<") {
        let (to, reply) = angle(rest)?;
        (to, reply.strip_prefix(b"... ")?)
    } else {
        let rest = ["Milter: to=", "ruleset=check_rcpt, arg1="]
            .iter()
            .find_map(|words| rest.strip_prefix(words.as_bytes()))?;
        let (to, reply) = angle(rest)?;
        (to, &reply[memchr::memmem::find(reply, b", reject=")? + 9..])
    };
    let has = |words: &[u8]| memchr::memmem::find(reply, words).is_some();
    Some(Event::Refused(Refusal {
        id: Some(id),
        client: None,
        sender: Address::default(),
        recipient: Some(address(to)),
        login: None,
        is_unknown: has(b"User unknown") || has(b"550 5.1.1 "),
        whole: false,
    }))
}

/// Sendmail writes `d=e` as `d+3De` (RFC 3461, 4).
fn from_xtext(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|&b| char::from(b).to_digit(16));
    let mut plain = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match (text[at], digit(at + 1), digit(at + 2)) {
            (b'+', Some(high), Some(low)) => {
                plain.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(text: &str) -> Event<'_> {
        read(text.as_bytes()).expect(text)
    }

    fn path(text: &str) -> Address {
        Address::from_path(text.as_bytes()).expect("a path")
    }

    const ID: &[u8] = b"6AQNLl06000013";

    #[test]
    fn a_login_is_read_from_its_xtext() {
        let login = |name: &str| Event::LoggedIn(Login::parse(name.as_bytes()).expect("a login"));
        let text = "AUTH=server, relay=localhost [127.0.0.1], authid=d+2Bd+3De+20+C3+BC, mech=PLAIN, bits=0";
        assert_eq!(event(text), login("d+d=e ü"));
        let text = "AUTH=server, relay=localhost [127.0.0.1], authid=a+b, mech=PLAIN, bits=0";
        assert_eq!(event(text), login("a+b"));
        assert_eq!(event("NOQUEUE: connect from localhost [127.0.0.1]"), Event::Session);
    }

    #[test]
    fn a_message_is_accepted_in_one_line() {
        let cases = [
            (
                "<bob@example.org>, size=53, class=0, nrcpts=2, msgid=<1, proto=ESMTP, relay=x [192.0.2.9]@x>, proto=ESMTPA, daemon=submission, relay=a.test [192.0.2.1]",
                "<bob@example.org>",
                true,
                Some("192.0.2.1"),
            ),
            (
                "<>, size=53, class=0, nrcpts=2, msgid=<1@x>, bodytype=8BITMIME, proto=ESMTP, daemon=MTA-v6, relay=[IPv6:2001:db8:0:0:0:0:0:1]",
                "<>",
                false,
                Some("2001:db8::1"),
            ),
            (
                "root, size=53, class=0, nrcpts=2, msgid=<1@x>, relay=root@localhost",
                "root",
                false,
                None,
            ),
        ];
        for (text, sender, has_login, client) in cases {
            let text = format!("6AQNLl06000013: from={text}");
            let expected = Event::Accepted {
                id: ID,
                sender: path(sender),
                size: 53,
                recipients: 2,
                client: client.and_then(|client| client.parse().ok()),
                has_login,
            };
            assert_eq!(event(&text), expected);
        }
    }

    #[test]
    fn a_delivery_names_one_recipient_or_several() {
        let cases = [
            (
                "to=<a@x>,<\"b,\"@x>,carol, ctladdr=<bob@x> (1000/1000), delay=00:01:02, xdelay=00:00:00, mailer=esmtp, pri=30051, relay=[127.0.0.1] [127.0.0.1], dsn=2.0.0, stat=Sent (6AQNLl06000099 Message accepted for delivery)",
                &["<a@x>", "<\"b,\"@x>", "carol"][..],
                62,
                false,
                false,
                Some("6AQNLl06000099"),
            ),
            (
                "to=<a@x>, delay=1+00:00:01, xdelay=00:00:00, mailer=esmtp, pri=1, relay=h.test. [192.0.2.1], dsn=4.0.0, stat=Deferred: Connection refused by h.test.",
                &["<a@x>"],
                86_401,
                true,
                false,
                None,
            ),
            (
                "to=<a@x>, delay=00:00:00, mailer=esmtp, pri=1, stat=queued",
                &["<a@x>"],
                0,
                true,
                false,
                None,
            ),
            (
                "to=<a@x>, delay=00:00:00, xdelay=00:00:00, mailer=esmtp, pri=1, relay=h.test. [192.0.2.1], dsn=5.1.1, stat=User unknown",
                &["<a@x>"],
                0,
                false,
                true,
                None,
            ),
        ];
        for (text, to, delay, is_deferred, is_unknown, next) in cases {
            let expected = Event::Delivery(Delivery {
                id: ID,
                to: to.iter().map(|to| path(to)).collect(),
                target: b"",
                delay,
                is_deferred,
                is_unknown,
                is_probe: false,
                next: next.map(str::as_bytes),
            });
            assert_eq!(event(&format!("6AQNLl06000013: {text}")), expected);
        }
    }

    #[test]
    fn a_recipient_is_refused_by_sendmail_by_a_ruleset_or_by_a_milter() {
        let cases = [
            ("<n@x>... User unknown", true),
            (
                "ruleset=check_rcpt, arg1=<n@x>, relay=h [192.0.2.1], reject=550 5.1.1 <n@x>... User unknown",
                true,
            ),
            (
                "ruleset=check_rcpt, arg1=<n@x>, relay=h [192.0.2.1], reject=550 5.7.1 <n@x>... Relaying denied",
                false,
            ),
            ("Milter: to=<n@x>, reject=550 5.7.1 no", false),
        ];
        for (text, is_unknown) in cases {
            let expected = Event::Refused(Refusal {
                id: Some(ID),
                client: None,
                sender: Address::default(),
                recipient: Some(path("n@x")),
                login: None,
                is_unknown,
                whole: false,
            });
            assert_eq!(event(&format!("6AQNLl06000013: {text}")), expected);
        }
    }

    #[test]
    fn ids_in_a_line_of_another_id_are_parts_or_notices() {
        let part = &b"6AQNLl06000099"[..];
        let cases = [
            ("done; delay=00:00:00, ntries=1", Event::Removed { id: ID }),
            ("Milter: data, reject=550 5.7.13 no", Event::Discarded { id: ID }),
            ("6AQNLl06000099: DSN: User unknown", Event::Notice { id: part }),
            ("6AQNLl06000099: clone: owner=o@x", Event::Part { id: ID, part }),
            ("6AQNLl06000099: split: maxrcpts=100, rcpts=1", Event::Part { id: ID, part }),
        ];
        for (text, expected) in cases {
            assert_eq!(event(&format!("6AQNLl06000013: {text}")), expected);
        }
        assert_eq!(read(b"6AQNLl06000013: Milter accept: message"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_an_event_or_none(
            bytes: Vec<u8>,
            text in r#"6AQNLl06000013: (to=|from=|<|Milter: |)[<>"\\,;a-z=\[\]+: ]{0,60}(, delay=|, size=|, relay=)?[0-9:+, a-z=]{0,40}"#,
        ) {
            let _ = read(&bytes);
            let _ = read(text.as_bytes());
        }
    }
}
