//! The lines of Postfix, as 3.7 and its sources up to 3.11 write them (smtpd.c, smtpd_check.c, cleanup.c,
//! qmgr_active.c, log_adhoc.c, pickup.c, bounce_notify_service.c).

use crate::history::maillog::event::{
    Delivery, Event, Refusal, address, angle, client, field, next_id, queue_id,
};
use crate::history::maillog::line::number;
use crate::mail::Login;

/// The daemons whose lines tell of messages.
const DAEMONS: [&[u8]; 14] = [
    b"smtpd",
    b"qmgr",
    b"cleanup",
    b"pickup",
    b"smtp",
    b"lmtp",
    b"local",
    b"virtual",
    b"pipe",
    b"error",
    b"retry",
    b"discard",
    b"bounce",
    b"postsuper",
];

/// The daemon that wrote a line: what follows the last `/` of `postfix/submission/smtpd`. `None` for other
/// programs. `syslog_name` may be anything, so one of the daemons above is Postfix's by its own name.
pub(super) fn daemon(program: &[u8]) -> Option<&[u8]> {
    let slash = memchr::memrchr(b'/', program)?;
    let daemon = &program[slash + 1..];
    (program.starts_with(b"postfix") || DAEMONS.contains(&daemon)).then_some(daemon)
}

pub(super) fn read<'a>(daemon: &[u8], text: &'a [u8]) -> Option<Event<'a>> {
    match daemon {
        b"smtpd" => smtpd(text),
        b"qmgr" => qmgr(text),
        b"cleanup" => cleanup(text),
        b"pickup" => {
            let (id, rest) = queue_id(text)?;
            let of = field(rest, " orig_id=", " ");
            rest.starts_with(b"uid=").then_some(Event::Local { id, of })
        }
        b"postsuper" => qmgr(text),
        b"smtp" | b"lmtp" | b"local" | b"virtual" | b"pipe" | b"error" | b"retry" | b"discard" => {
            delivery(text)
        }
        b"bounce" => {
            let (_, rest) = queue_id(text)?;
            let at = memchr::memmem::find(rest, b" notification: ")?;
            Some(Event::Notice { id: &rest[at + 15..] })
        }
        _ => None,
    }
}

fn smtpd(text: &[u8]) -> Option<Event<'_>> {
    if text.starts_with(b"connect from ") || text.starts_with(b"disconnect from ") {
        return Some(Event::Session);
    }
    if let Some(rest) = text.strip_prefix(b"proxy-accept: ") {
        let (reply, envelope) = rest.split_at(memchr::memmem::find(rest, b"; from=<")?);
        let login =
            field(envelope, " sasl_username=<", "\0").and_then(|name| name.strip_suffix(b">"));
        return Some(Event::Filtered { id: next_id(reply)?, login: login.and_then(Login::parse) });
    }
    let (id, rest) = queue_id(text)?;
    let id = (id != b"NOQUEUE").then_some(id);
    if let Some(rest) = rest.strip_prefix(b"client=") {
        let host = &rest[..memchr::memchr(b',', rest).unwrap_or(rest.len())];
        let of = field(rest, ", orig_queue_id=", ",").filter(|id| *id != b"NOQUEUE");
        return Some(Event::Client { id, client: client(host), login: login(rest), of });
    }
    let rest = rest.strip_prefix(b"milter-").unwrap_or(rest);
    refusal(id, rest.strip_prefix(b"reject: ")?)
}

/// `sasl_username=alice`, which may have commas, up to what can follow it.
fn login(rest: &[u8]) -> Option<Login> {
    let mut name = field(rest, ", sasl_username=", "\0")?;
    for next in [", sasl_sender=", ", orig_queue_id=", ", orig_client="] {
        name = &name[..memchr::memmem::rfind(name, next.as_bytes()).unwrap_or(name.len())];
    }
    Login::parse(name)
}

/// `RCPT from host[192.0.2.1]: 550 5.1.1 <x>: ...; from=<a> to=<x> proto=ESMTP helo=<h>`
fn refusal<'a>(id: Option<&'a [u8]>, rest: &'a [u8]) -> Option<Event<'a>> {
    let (stage, rest) = rest.split_at(memchr::memmem::find(rest, b" from ")?);
    let (host, rest) = rest.split_at(memchr::memmem::find(rest, b": ")?);
    // The reply may quote what the client said; what follows it cannot be mistaken from behind.
    let (reply, envelope) = rest.split_at(memchr::memmem::rfind(rest, b"; from=<")?);
    let (sender, after) = angle(&envelope[7..])?;
    let to = after.strip_prefix(b" to=").and_then(angle).map(|(to, _)| address(to));
    let has = |words: &[u8]| memchr::memmem::find(reply, words).is_some();
    Some(Event::Refused(Refusal {
        id,
        client: client(host),
        sender: address(sender),
        recipient: to,
        login: field(after, " sasl_username=<", ">").and_then(Login::parse),
        is_unknown: stage == b"RCPT" && (has(b" 5.1.1 ") || has(b"User unknown")),
        whole: stage != b"RCPT",
    }))
}

fn cleanup(text: &[u8]) -> Option<Event<'_>> {
    let (id, rest) = queue_id(text)?;
    if let Some(message_id) = rest.strip_prefix(b"message-id=") {
        return Some(Event::Received { id, message_id });
    }
    let rest = rest.strip_prefix(b"milter-").unwrap_or(rest);
    let is_gone = rest.starts_with(b"reject: ") || rest.starts_with(b"discard: ");
    is_gone.then_some(Event::Discarded { id })
}

fn qmgr(text: &[u8]) -> Option<Event<'_>> {
    let (id, rest) = queue_id(text)?;
    if rest == b"removed" {
        return Some(Event::Removed { id });
    }
    let (sender, rest) = angle(rest.strip_prefix(b"from=")?)?;
    Some(Event::Queued {
        id,
        sender: address(sender),
        size: number(field(rest, ", size=", ",")?)?,
        recipients: number(field(rest, ", nrcpt=", " ")?)?,
    })
}

fn delivery(text: &[u8]) -> Option<Event<'_>> {
    let (id, rest) = queue_id(text)?;
    let (to, rest) = angle(rest.strip_prefix(b"to=")?)?;
    let (target, (to, rest)) = match rest.strip_prefix(b", orig_to=") {
        Some(written) => (to, angle(written)?),
        None => (&b""[..], (to, rest)),
    };
    let dsn = field(rest, ", dsn=", ",").unwrap_or_default();
    let status = field(rest, ", status=", "\0")?;
    let (status, reply) = status.split_at(memchr::memchr(b' ', status).unwrap_or(status.len()));
    Some(Event::Delivery(Delivery {
        id,
        to: vec![address(to)],
        target,
        delay: number(field(rest, ", delay=", ",")?.split(|&b| b == b'.').next()?)?,
        is_deferred: status == b"deferred",
        is_unknown: status == b"bounced" && dsn == b"5.1.1",
        is_probe: matches!(status, b"deliverable" | b"undeliverable"),
        next: if status == b"sent" { next_id(reply) } else { None },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Address;
    use proptest::prelude::*;

    fn event<'a>(daemon: &str, text: &'a str) -> Event<'a> {
        read(daemon.as_bytes(), text.as_bytes()).expect(text)
    }

    fn path(text: &str) -> Address {
        Address::from_path(text.as_bytes()).expect("a path")
    }

    #[test]
    fn the_daemon_is_named_last() {
        for program in
            ["postfix/smtpd", "postfix/submission/smtpd", "postfix-out/smtpd", "outgoing/smtpd"]
        {
            assert_eq!(daemon(program.as_bytes()), Some(&b"smtpd"[..]));
        }
        assert_eq!(daemon(b"postfix/anvil"), Some(&b"anvil"[..]));
        for program in ["sshd", "podman/web", "smtpd"] {
            assert_eq!(daemon(program.as_bytes()), None);
        }
    }

    #[test]
    fn a_client_has_a_login_or_none() {
        let cases = [
            ("61FBC98E06A: client=unknown[192.0.2.1]", Some("61FBC98E06A"), None, None),
            (
                "61FBC98E06A: client=unknown[192.0.2.1], sasl_method=PLAIN, sasl_username=alice",
                Some("61FBC98E06A"),
                Some("alice"),
                None,
            ),
            (
                "4dYXNC6bNVz7sQF: client=a[192.0.2.1], sasl_method=PLAIN, sasl_username=EX\\b, c d, sasl_sender=e@x",
                Some("4dYXNC6bNVz7sQF"),
                Some("EX\\b, c d"),
                None,
            ),
            (
                "64AC798E081: client=unknown[192.0.2.1], orig_queue_id=5EFC798E07C, orig_client=unknown[192.0.2.2]",
                Some("64AC798E081"),
                None,
                Some("5EFC798E07C"),
            ),
            (
                "NOQUEUE: client=unknown[192.0.2.1], sasl_method=PLAIN, sasl_username=alice",
                None,
                Some("alice"),
                None,
            ),
        ];
        for (text, id, login, of) in cases {
            let expected = Event::Client {
                id: id.map(str::as_bytes),
                client: "192.0.2.1".parse().ok(),
                login: login.and_then(|name| Login::parse(name.as_bytes())),
                of: of.map(str::as_bytes),
            };
            assert_eq!(event("smtpd", text), expected);
        }
    }

    #[test]
    fn a_message_through_a_proxy_gets_its_id_behind_it() {
        let text = "proxy-accept: END-OF-MESSAGE: 250 2.0.0 Ok: queued as 663C798E082; from=<alice@example.org> to=<z@example.net> proto=ESMTP helo=<client.example.org> sasl_username=<alice>";
        let expected = Event::Filtered { id: b"663C798E082", login: Login::parse(b"alice") };
        assert_eq!(event("smtpd", text), expected);
    }

    #[test]
    fn a_refusal_says_whether_the_recipient_is_unknown() {
        let envelope = "; from=<alice@example.org> to=<n@example.org> proto=ESMTP helo=<h>";
        let cases = [
            (
                "NOQUEUE: reject: RCPT from a[192.0.2.1]: 550 5.1.1 <n@example.org>: Recipient address rejected: User unknown in local recipient table",
                None,
                true,
                false,
            ),
            (
                "63EC298E013: reject: RCPT from a[192.0.2.1]: 450 4.1.1 <n@example.org>: Recipient address rejected: unverified address: User unknown",
                Some("63EC298E013"),
                true,
                false,
            ),
            (
                "NOQUEUE: reject: RCPT from a[192.0.2.1]: 554 5.7.1 <n@example.org>: Relay access denied",
                None,
                false,
                false,
            ),
            (
                "63EC298E013: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.1.1 no",
                Some("63EC298E013"),
                false,
                true,
            ),
        ];
        for (text, id, is_unknown, whole) in cases {
            let expected = Event::Refused(Refusal {
                id: id.map(str::as_bytes),
                client: "192.0.2.1".parse().ok(),
                sender: path("alice@example.org"),
                recipient: Some(path("n@example.org")),
                login: None,
                is_unknown,
                whole,
            });
            assert_eq!(event("smtpd", &format!("{text}{envelope}")), expected);
        }
        assert_eq!(read(b"smtpd", b"NOQUEUE: reject_warning: RCPT from a[192.0.2.1]: x"), None);
    }

    #[test]
    fn a_message_is_local_received_queued_and_removed() {
        let id = &b"7299C98E014"[..];
        let cases = [
            (
                "pickup",
                "7299C98E014: uid=0 from=<alice@example.org>",
                Event::Local { id, of: None },
            ),
            (
                "pickup",
                "7299C98E014: uid=0 from=<a@x> orig_id=61FBC98E06A",
                Event::Local { id, of: Some(b"61FBC98E06A") },
            ),
            ("postsuper", "7299C98E014: removed", Event::Removed { id }),
            (
                "cleanup",
                "7299C98E014: message-id=<1@x>",
                Event::Received { id, message_id: b"<1@x>" },
            ),
            (
                "cleanup",
                "7299C98E014: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 no; from=<> to=<x@x>",
                Event::Discarded { id },
            ),
            (
                "cleanup",
                "7299C98E014: discard: header Subject: x from a[192.0.2.1]",
                Event::Discarded { id },
            ),
            ("qmgr", "7299C98E014: removed", Event::Removed { id }),
            (
                "bounce",
                "61FBC98E06A: sender non-delivery notification: 7299C98E014",
                Event::Notice { id },
            ),
            ("smtpd", "disconnect from unknown[192.0.2.1] ehlo=2", Event::Session),
        ];
        for (daemon, text, expected) in cases {
            assert_eq!(event(daemon, text), expected);
        }
        let queued = event("qmgr", "7299C98E014: from=<>, size=285, nrcpt=2 (queue active)");
        let sender = Address::default();
        assert_eq!(queued, Event::Queued { id, sender, size: 285, recipients: 2 });
        assert_eq!(
            read(b"qmgr", b"7299C98E014: from=<>, status=expired, returned to sender"),
            None
        );
    }

    #[test]
    fn a_delivery_names_who_was_written_to_and_the_id_at_the_next_hop() {
        let cases = [
            (
                "smtp",
                "57BCA98E076: to=<later@example.net>, relay=127.0.0.1[127.0.0.1]:3599, delay=0.03, delays=0/0.01/0.01/0.01, dsn=4.2.0, status=deferred (host 127.0.0.1[127.0.0.1] said: 450 4.2.0 try later (in reply to RCPT TO command))",
                "",
                "<later@example.net>",
                0,
                true,
                false,
                None,
            ),
            (
                "smtp",
                "57BCA98E076: to=<nobody@example.net>, relay=127.0.0.1[127.0.0.1]:3599, delay=12, delays=0/0.01/0.01/0.02, dsn=5.1.1, status=bounced (host 127.0.0.1[127.0.0.1] said: 550 5.1.1 <nobody@example.net>: queued as 123456)",
                "",
                "<nobody@example.net>",
                12,
                false,
                true,
                None,
            ),
            (
                "local",
                "57BCA98E076: to=<root@example.org>, orig_to=<all@lists.example.org>, relay=local, delay=1.5, delays=0/0/0/0, dsn=2.0.0, status=sent (delivered to command: true)",
                "<root@example.org>",
                "<all@lists.example.org>",
                1,
                false,
                false,
                None,
            ),
            (
                "lmtp",
                "57BCA98E076: to=<\"odd>, one\"@example.net>, relay=a[b], delay=1, delays=0/0.01/1/0, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 64AC798E081)",
                "",
                "<\"odd>, one\"@example.net>",
                1,
                false,
                false,
                Some("64AC798E081"),
            ),
        ];
        for (daemon, text, target, to, delay, is_deferred, is_unknown, next) in cases {
            let expected = Event::Delivery(Delivery {
                id: b"57BCA98E076",
                to: vec![path(to)],
                target: target.as_bytes(),
                delay,
                is_deferred,
                is_unknown,
                is_probe: false,
                next: next.map(str::as_bytes),
            });
            assert_eq!(event(daemon, text), expected);
        }
        let probe = event(
            "smtp",
            "57BCA98E076: to=<a@x>, relay=b[c]:25, delay=1, delays=0/0/1/0, dsn=2.1.5, status=deliverable (250 2.1.5 Ok)",
        );
        assert!(matches!(probe, Event::Delivery(Delivery { is_probe: true, .. })));
    }

    proptest! {
        #[test]
        fn any_text_is_an_event_or_none(
            bytes: Vec<u8>,
            text in r#"61FBC98E06A: (client=|to=|from=|reject: RCPT from |proxy-accept: )[<>"\\,;a-z=\[\]: ]{0,60}"#,
        ) {
            for daemon in ["smtpd", "qmgr", "cleanup", "pickup", "smtp", "bounce"] {
                let _ = read(daemon.as_bytes(), &bytes);
                let _ = read(daemon.as_bytes(), text.as_bytes());
                let _ = read(daemon.as_bytes(), &text.as_bytes()[13..]);
            }
        }
    }
}
