//! Who connected: network address, forward-confirmed host name, TLS client certificate.

use std::fmt;
use std::net::IpAddr;

use compact_str::CompactString;

use crate::mail::visible;

/// The SMTP client as the mail server saw it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Client {
    /// `None` where the server does not know it (Postfix says `unknown`). An IPv4 address mapped
    /// into IPv6 is held as IPv4.
    pub address: Option<IpAddr>,
    /// Lower case, forward-confirmed (Postfix `client_name`, never `reverse_client_name`).
    pub name: Option<CompactString>,
    pub certificate: Option<Box<Certificate>>,
    /// Handed in on the mail server itself, by sendmail(1) or a unix socket, and by nobody who
    /// logged in. Known by milter only; policy delegation is not asked about such mail.
    pub is_local: bool,
}

/// A TLS client certificate, proved by its handshake; its names may still be anybody's claim.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Certificate {
    /// Hex digits in lower case without colons; of the certificate and of its public key.
    pub fingerprints: [Option<Box<str>>; 2],
    /// The common name, of a certificate that a trusted CA signed.
    pub subject: Option<Box<str>>,
}

impl Client {
    /// Reads an address with or without Sendmail's `IPv6:` prefix; `unknown` and nonsense are `None`.
    pub fn parse_address(text: &[u8]) -> Option<IpAddr> {
        let text = std::str::from_utf8(text).ok()?;
        let bare = match text.get(..5) {
            Some(prefix) if prefix.eq_ignore_ascii_case("ipv6:") => &text[5..],
            _ => text,
        };
        bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
    }

    /// A host name in lower case without its trailing dot; `unknown` and the empty name are `None`.
    pub fn parse_name(text: &[u8]) -> Option<CompactString> {
        let mut name = CompactString::new(std::str::from_utf8(text).ok()?.trim_end_matches('.'));
        name.make_ascii_lowercase();
        (!name.is_empty() && name != "unknown").then_some(name)
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{address}")?,
            None => f.write_str("unknown")?,
        }
        match &self.name {
            Some(name) => write!(f, " ({})", visible(name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_every_spelling() {
        let cases = [
            ("192.0.2.9", Some("192.0.2.9")),
            ("::1", Some("::1")),
            ("IPv6:0:0:0:0:0:0:0:1", Some("::1")),
            ("IPV6:2001:db8::25", Some("2001:db8::25")),
            ("::ffff:192.0.2.9", Some("192.0.2.9")),
            ("unknown", None),
            ("", None),
            ("192.0.2.9/32", None),
        ];
        for (text, expected) in cases {
            let parsed = Client::parse_address(text.as_bytes()).map(|a| a.to_string());
            assert_eq!(parsed.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_word_unknown_is_no_host_name() {
        assert_eq!(Client::parse_name(b"unknown"), None);
        assert_eq!(Client::parse_name(b""), None);
        assert_eq!(Client::parse_name(b"P1.Example.ORG.").as_deref(), Some("p1.example.org"));
    }
}
