//! What a line of a mail server tells of a message, in words that fit Postfix and Sendmail alike.

use std::net::IpAddr;

use crate::mail::Address;
use crate::mail::Login;

/// Queue ids are of the line's host.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event<'a> {
    /// A client has come to this process, or gone from it.
    Session,
    /// Who logged in at this process (Sendmail).
    LoggedIn(Login),
    /// A client begins a message. Without an id it goes through a filter first, which gives it one.
    Client {
        id: Option<&'a [u8]>,
        client: Option<IpAddr>,
        login: Option<Login>,
        of: Option<&'a [u8]>,
    },
    /// The message that came to this process without an id has got this one.
    Filtered {
        id: &'a [u8],
        login: Option<Login>,
    },
    /// A program on the machine hands a message in, or one that was put back into the queue.
    Local {
        id: &'a [u8],
        of: Option<&'a [u8]>,
    },
    /// The whole message has come.
    Received {
        id: &'a [u8],
        message_id: &'a [u8],
    },
    /// It waits to be delivered to so many recipients.
    Queued {
        id: &'a [u8],
        sender: Address,
        size: u64,
        recipients: u64,
    },
    /// The same in one line, as Sendmail has it.
    Accepted {
        id: &'a [u8],
        sender: Address,
        size: u64,
        recipients: u64,
        client: Option<IpAddr>,
        has_login: bool,
    },
    /// A recipient is refused, or with `whole` all of the message.
    Refused(Refusal<'a>),
    /// The message was refused, or thrown away, after it had come.
    Discarded {
        id: &'a [u8],
    },
    Delivery(Delivery<'a>),
    /// Everybody has got it, or a bounce for it.
    Removed {
        id: &'a [u8],
    },
    /// A notice of the mail server's own.
    Notice {
        id: &'a [u8],
    },
    /// A part of the message with an id of its own (Sendmail: owners of lists, many recipients).
    Part {
        id: &'a [u8],
        part: &'a [u8],
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal<'a> {
    pub id: Option<&'a [u8]>,
    pub client: Option<IpAddr>,
    pub sender: Address,
    pub recipient: Option<Address>,
    pub login: Option<Login>,
    /// The recipient does not exist.
    pub is_unknown: bool,
    pub whole: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Delivery<'a> {
    pub id: &'a [u8],
    /// As they were written to.
    pub to: Vec<Address>,
    /// Where it goes in the end, if that is another address; empty otherwise.
    pub target: &'a [u8],
    /// Seconds since the message was accepted.
    pub delay: u64,
    pub is_deferred: bool,
    /// The next hop does not know the recipient.
    pub is_unknown: bool,
    /// Nothing was sent: the mail server only asked for the address.
    pub is_probe: bool,
    /// Its id at the next hop.
    pub next: Option<&'a [u8]>,
}

/// The `id` and the rest of `id: rest`.
pub(super) fn queue_id(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b':', text)?;
    let (id, rest) = (&text[..end], text[end + 1..].strip_prefix(b" ")?);
    // Postfix's short ids have 6 digits and more; Sendmail's are 14 characters.
    let is_id = (6..=32).contains(&id.len()) && id.iter().all(u8::is_ascii_alphanumeric);
    is_id.then_some((id, rest))
}

/// `host[192.0.2.1]`, `host [IPv6:2001:db8::1] (may be forged)`
pub(super) fn client(text: &[u8]) -> Option<IpAddr> {
    let open = memchr::memrchr(b'[', text)?;
    let close = memchr::memchr(b']', &text[open..])? + open;
    let address = std::str::from_utf8(&text[open + 1..close]).ok()?;
    let is_v6 = address.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("ipv6:"));
    address[if is_v6 { 5 } else { 0 }..].parse().ok()
}

/// Splits at the `>` that closes the `<` at the beginning, quotes minded.
pub(super) fn angle(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, &byte) in text.strip_prefix(b"<")?.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(text.split_at(at + 2)),
            _ => {}
        }
    }
    // Before 3.5 Postfix wrote the internal form, which may have one quote.
    let close = memchr::memchr(b'>', text)?;
    Some(text.split_at(close + 1))
}

/// An address in brackets or without them.
pub(super) fn address(text: &[u8]) -> Address {
    Address::from_path(text).unwrap_or_else(|_| {
        let inner = text.strip_prefix(b"<").unwrap_or(text);
        Address::from_internal(inner.strip_suffix(b">").unwrap_or(inner))
    })
}

/// What follows `key` in `text`, up to the first of `ends` after it.
pub(super) fn field<'a>(text: &'a [u8], key: &str, end: &str) -> Option<&'a [u8]> {
    let value = &text[memchr::memmem::find(text, key.as_bytes())? + key.len()..];
    Some(&value[..memchr::memmem::find(value, end.as_bytes()).unwrap_or(value.len())])
}

/// The id that the next hop told when it took the message: Postfix's `queued as ID`, Sendmail's
/// `ID Message accepted for delivery`, or local(8)'s `forwarded as ID`.
pub(super) fn next_id(reply: &[u8]) -> Option<&[u8]> {
    let is_id = |id: &&[u8]| (6..=32).contains(&id.len());
    for words in ["queued as ", "forwarded as "] {
        if let Some(at) = memchr::memmem::rfind(reply, words.as_bytes()) {
            let id = &reply[at + words.len()..];
            let end = id.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(id.len());
            return Some(&id[..end]).filter(is_id);
        }
    }
    let before = &reply[..memchr::memmem::find(reply, b" Message accepted for delivery")?];
    let start = before.iter().rposition(|b| !b.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
    Some(&before[start..]).filter(is_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_id_has_six_characters_at_least() {
        assert_eq!(queue_id(b"61FBC98E06A: removed"), Some((&b"61FBC98E06A"[..], &b"removed"[..])));
        assert_eq!(queue_id(b"4XyZ12: x"), Some((&b"4XyZ12"[..], &b"x"[..])));
        assert_eq!(queue_id(b"4XyZ1: x"), None);
        assert_eq!(queue_id(b"warning: x:y"), Some((&b"warning"[..], &b"x:y"[..])));
        assert_eq!(queue_id(b"proxy-accept: x"), None);
        assert_eq!(queue_id(b"61FBC98E06A:removed"), None);
    }

    #[test]
    fn the_address_of_a_client_is_in_the_last_brackets() {
        let shown = |text: &str| client(text.as_bytes()).map(|client| client.to_string());
        assert_eq!(shown("a.test[192.0.2.1]"), Some("192.0.2.1".into()));
        assert_eq!(shown("a.test [192.0.2.1] (may be forged)"), Some("192.0.2.1".into()));
        assert_eq!(shown("[127.0.0.1] [IPv6:2001:db8:0:0:0:0:0:1]"), Some("2001:db8::1".into()));
        assert_eq!(shown("unknown[2001:db8::1]"), Some("2001:db8::1".into()));
        assert_eq!(shown("unknown[unknown]"), None);
        assert_eq!(shown("root@localhost"), None);
    }

    #[test]
    fn a_bracket_in_quotes_closes_nothing() {
        let split = angle(br#"<"a>, relay=b"@x>, relay=c"#);
        assert_eq!(split, Some((&br#"<"a>, relay=b"@x>"#[..], &b", relay=c"[..])));
        assert_eq!(angle(br#"<a"b@x>, relay"#), Some((&br#"<a"b@x>"#[..], &b", relay"[..])));
        assert_eq!(angle(b"a@x"), None);
        assert_eq!(angle(b"<a@x"), None);
    }

    #[test]
    fn the_next_hop_tells_its_id() {
        let cases = [
            ("250 2.0.0 Ok: queued as 64AC798E081)", Some("64AC798E081")),
            (
                "250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 4XyZ12abc)",
                Some("4XyZ12abc"),
            ),
            ("forwarded as 5E21798E07A)", Some("5E21798E07A")),
            ("Sent (6AQNLl06000013 Message accepted for delivery)", Some("6AQNLl06000013")),
            ("250 2.0.0 6AQNLl06000013 Message accepted for delivery)", Some("6AQNLl06000013")),
            ("250 queued as 1)", None),
            ("delivered to maildir", None),
        ];
        for (reply, id) in cases {
            assert_eq!(next_id(reply.as_bytes()), id.map(str::as_bytes), "{reply}");
        }
    }
}
