//! Commands: what a mail server says (libmilter, mfdef.h SMFIC_*; engine.c for their payloads).

use std::net::IpAddr;

use crate::mail::Client;
use crate::wire::milter::{Fault, Offer};

/// One command. What gatepost does not read of it is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    Negotiate(Offer),
    /// Macros for the command `stage` (its code), which need not follow: `name\0value\0` pairs.
    Macros {
        stage: u8,
        pairs: &'a [u8],
    },
    Connect(Connection<'a>),
    Helo,
    Mail(Path<'a>),
    Rcpt(Path<'a>),
    Data,
    Header,
    EndOfHeaders,
    Body,
    EndOfMessage,
    /// An SMTP command the server does not know.
    Unknown,
    Abort,
    Quit,
    /// The SMTP session ends, and another begins on this connection, without a negotiation.
    QuitNewConnection,
}

/// The client of an SMTP session, as CONNECT has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection<'a> {
    /// A name from DNS, `[address]`, `localhost` or `unknown`.
    pub host: &'a [u8],
    pub peer: Peer,
}

/// Where it connected from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// `None`: the server does not know the address (Postfix writes `unknown` then). Postfix gives
    /// port 0 to mail that its sendmail(1) handed in.
    Inet {
        address: Option<IpAddr>,
        port: u16,
    },
    /// A unix socket.
    Local,
    Unknown,
}

/// The argument of MAIL or RCPT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    /// As the client wrote it, with or without `<>`.
    pub address: &'a [u8],
    /// ESMTP parameters, one NUL-terminated string each.
    parameters: &'a [u8],
}

impl<'a> Command<'a> {
    /// Reads the command with this code and payload.
    pub fn parse(code: u8, payload: &'a [u8]) -> Result<Self, Fault> {
        Ok(match code {
            b'O' => Self::Negotiate(Offer::parse(payload)?),
            b'D' => match payload.split_first() {
                Some((&stage, pairs)) => Self::Macros { stage, pairs },
                None => return Err(Fault::Malformed(code, "expected the command they are for")),
            },
            b'C' => Self::Connect(Connection::parse(payload)?),
            b'H' => Self::Helo,
            b'M' => Self::Mail(Path::parse(code, payload)?),
            b'R' => Self::Rcpt(Path::parse(code, payload)?),
            b'T' => Self::Data,
            b'L' => Self::Header,
            b'N' => Self::EndOfHeaders,
            b'B' => Self::Body,
            // libmilter takes a payload here for a last piece of the body.
            b'E' => Self::EndOfMessage,
            b'U' => Self::Unknown,
            b'A' => Self::Abort,
            b'Q' => Self::Quit,
            b'K' => Self::QuitNewConnection,
            _ => return Err(Fault::UnknownCommand(code)),
        })
    }
}

impl Command<'_> {
    /// The letter of the command, as SMFIC_* has it.
    pub fn code(&self) -> u8 {
        match self {
            Self::Negotiate(_) => b'O',
            Self::Macros { .. } => b'D',
            Self::Connect(_) => b'C',
            Self::Helo => b'H',
            Self::Mail(_) => b'M',
            Self::Rcpt(_) => b'R',
            Self::Data => b'T',
            Self::Header => b'L',
            Self::EndOfHeaders => b'N',
            Self::Body => b'B',
            Self::EndOfMessage => b'E',
            Self::Unknown => b'U',
            Self::Abort => b'A',
            Self::Quit => b'Q',
            Self::QuitNewConnection => b'K',
        }
    }
}

impl<'a> Connection<'a> {
    fn parse(payload: &'a [u8]) -> Result<Self, Fault> {
        let malformed = |what| Err(Fault::Malformed(b'C', what));
        let Some((host, rest)) = split_string(payload) else {
            return malformed("the host name has no end");
        };
        let peer = match rest.split_first() {
            None => return malformed("expected an address family"),
            Some((b'U', _)) => Peer::Unknown,
            Some((b'L', _)) => Peer::Local,
            Some((b'4' | b'6', rest)) => {
                let Some((port, rest)) = rest.split_first_chunk::<2>() else {
                    return malformed("expected a port of two bytes");
                };
                let Some((address, _)) = split_string(rest) else {
                    return malformed("the address has no end");
                };
                // The family says nothing more: Postfix writes `unknown` as an IPv4 address.
                let address = Client::parse_address(address);
                Peer::Inet { address, port: u16::from_be_bytes(*port) }
            }
            Some(_) => return malformed("the address family is none of 4, 6, L, U"),
        };
        Ok(Self { host, peer })
    }
}

impl<'a> Path<'a> {
    fn parse(code: u8, payload: &'a [u8]) -> Result<Self, Fault> {
        match split_string(payload) {
            Some((address, parameters)) if parameters.last().is_none_or(|last| *last == 0) => {
                Ok(Self { address, parameters })
            }
            _ => Err(Fault::Malformed(code, "expected strings that end in NUL")),
        }
    }

    /// What the client says the message's size is (RFC 1870); 0 when it says nothing.
    pub fn size_bytes(&self) -> u64 {
        let size = self.parameters.split(|byte| *byte == 0).find_map(|parameter| {
            let (name, value) = parameter.split_at_checked(5)?;
            name.eq_ignore_ascii_case(b"SIZE=").then_some(value)
        });
        let size = size.and_then(|digits| std::str::from_utf8(digits).ok());
        size.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }
}

/// The bytes before the first NUL, and those behind it.
pub(super) fn split_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, bytes)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(payload: &[u8]) -> (String, Peer) {
        match Command::parse(b'C', payload).expect("a CONNECT") {
            Command::Connect(Connection { host, peer }) => {
                (String::from_utf8_lossy(host).into_owned(), peer)
            }
            other => panic!("{other:?}"),
        }
    }

    fn inet(address: &str, port: u16) -> Peer {
        Peer::Inet { address: address.parse().ok(), port }
    }

    /// Field bugs 18 and 19: an `IPv6:` prefix, family 6, and an address that is none.
    #[test]
    fn connect_in_every_family_and_spelling() {
        let cases: [(&[u8], &str, Peer); 9] = [
            (b"a.example\x004\x11\xd7192.0.2.9\0", "a.example", inet("192.0.2.9", 4567)),
            (b"[::1]\x006\0\x19::1\0", "[::1]", inet("::1", 25)),
            (b"x\x006\0\x19IPv6:0:0:0:0:0:0:0:1\0", "x", inet("::1", 25)),
            (b"x\x006\0\x19ipv6:2001:DB8::1\0", "x", inet("2001:db8::1", 25)),
            (b"x\x006\0\0::ffff:192.0.2.9\0", "x", inet("192.0.2.9", 0)),
            (b"unknown\x004\0\0unknown\0", "unknown", inet("", 0)),
            (b"localhost\x004\0\x00127.0.0.1\0", "localhost", inet("127.0.0.1", 0)),
            (b"localhost\0L\0\0/run/x\0", "localhost", Peer::Local),
            (b"localhost\0U", "localhost", Peer::Unknown),
        ];
        for (payload, host, peer) in cases {
            assert_eq!(connect(payload), (host.into(), peer), "{payload:?}");
        }
    }

    #[test]
    fn what_no_server_sends_is_a_fault() {
        let cases: [(u8, &[u8], &str); 11] = [
            (b'C', b"", "syntax"),
            (b'C', b"host", "syntax"),
            (b'C', b"host\0", "syntax"),
            (b'C', b"host\0X", "syntax"),
            (b'C', b"host\x004\0", "syntax"),
            (b'C', b"host\x004\0\x19192.0.2.9", "syntax"),
            (b'M', b"", "syntax"),
            (b'M', b"<a@b>", "syntax"),
            (b'R', b"<a@b>\0NOTIFY=NEVER", "syntax"),
            (b'D', b"", "syntax"),
            (b'?', b"", "unknown-command"),
        ];
        for (code, payload, kind) in cases {
            let parsed = Command::parse(code, payload).map_err(|fault| fault.kind());
            assert_eq!(parsed, Err(kind), "{} {payload:?}", char::from(code));
        }
    }

    #[test]
    fn the_claimed_size_is_found_among_the_parameters() {
        let cases: [(&[u8], u64); 6] = [
            (b"<a@b>\0SIZE=18\0BODY=8BITMIME\0", 18),
            (b"<a@b>\0BODY=8BITMIME\0size=1234567890\0", 1_234_567_890),
            (b"<a@b>\0", 0),
            (b"\0", 0),
            (b"<a@b>\0SIZE=-1\0", 0),
            (b"<a@b>\0SIZE=99999999999999999999999\0", 0),
        ];
        for (payload, size) in cases {
            match Command::parse(b'M', payload).expect("a MAIL") {
                Command::Mail(path) => assert_eq!(path.size_bytes(), size, "{payload:?}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn the_end_of_message_may_carry_bytes() {
        assert_eq!(Command::parse(b'E', b"last").expect("taken"), Command::EndOfMessage);
    }
}
