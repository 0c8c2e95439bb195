//! The mail server's side of the milter protocol (libmilter, mfdef.h), as bytes, so that it can also
//! be wrong, slow or half-done.

use crate::client::Client;
use crate::site::Site;
use std::path::Path;

pub const DATA: &[u8] = b"\0\0\0\x01T";
pub const END_OF_MESSAGE: &[u8] = b"\0\0\0\x01E";
pub const ABORT: &[u8] = b"\0\0\0\x01A";
pub const QUIT: &[u8] = b"\0\0\0\x01Q";
pub const QUIT_NEW_CONNECTION: &[u8] = b"\0\0\0\x01K";

pub const NO_RELAY: &str = "y550 5.7.1 bob has no relay right: mail to far.test is not allowed";

pub fn packet(code: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = u32::try_from(payload.len() + 1).expect("a packet is short");
    [&length.to_be_bytes()[..], &[code], payload].concat()
}

/// What Postfix and Sendmail offer: version 6, every action, every step.
pub fn offer() -> Vec<u8> {
    packet(b'O', b"\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff")
}

pub fn connect() -> Vec<u8> {
    packet(b'C', b"client.far.test\x004\xa0\x01192.0.2.9\0")
}

pub fn helo() -> Vec<u8> {
    packet(b'H', b"client.far.test\0")
}

/// The macros for the command with this code.
pub fn macros(stage: u8, pairs: &[(&str, &str)]) -> Vec<u8> {
    let pairs: String = pairs.iter().map(|(name, value)| format!("{name}\0{value}\0")).collect();
    packet(b'D', [&[stage], pairs.as_bytes()].concat())
}

/// MAIL of a login, from its own address; empty: not logged in.
pub fn mail(login: &str) -> Vec<u8> {
    let told = match login {
        "" => macros(b'M', &[]),
        _ => macros(b'M', &[("{auth_type}", "PLAIN"), ("{auth_authen}", login)]),
    };
    [told, packet(b'M', format!("<{login}@example.org>\0"))].concat()
}

pub fn rcpt(recipient: &str) -> Vec<u8> {
    packet(b'R', format!("<{recipient}>\0"))
}

/// A mail server with one connection to gatepost.
pub struct Mta(pub Client);

impl Mta {
    #[track_caller]
    pub fn tcp(site: &Site) -> Mta {
        Mta(site.client())
    }

    #[track_caller]
    pub fn unix(path: &Path) -> Mta {
        Mta(Client::unix(path))
    }

    /// With an SMTP client that has said EHLO.
    #[track_caller]
    pub fn greeted(mut self) -> Mta {
        assert!(self.ask(offer()).starts_with("O\0\0\0\x06\0\0\x01"), "a negotiation");
        assert_eq!(self.ask(connect()), "c");
        assert_eq!(self.ask(helo()), "c");
        self
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.send(bytes);
    }

    /// One read, which must bring one packet whole; code and payload, without the NUL at the end.
    #[track_caller]
    pub fn reply(&mut self) -> String {
        let bytes = self.0.read_once();
        let (length, rest) = bytes.split_first_chunk::<4>().expect("a length");
        assert_eq!(u32::from_be_bytes(*length) as usize, rest.len(), "one packet: {bytes:?}");
        text(rest)
    }

    /// The next packet, however it comes.
    #[track_caller]
    pub fn next_packet(&mut self) -> String {
        let bytes = self.0.bytes(4);
        let length = u32::from_be_bytes(bytes.try_into().expect("four bytes"));
        text(&self.0.bytes(length as usize))
    }

    #[track_caller]
    pub fn ask(&mut self, bytes: impl AsRef<[u8]>) -> String {
        self.send(bytes);
        self.reply()
    }

    /// A message of alice's from MAIL to its end, as Postfix has it, with the ABORT behind it.
    #[track_caller]
    pub fn assert_alice_sends(&mut self) {
        for bytes in [mail("alice"), rcpt("friend@far.test"), DATA.into()] {
            assert_eq!(self.ask(bytes), "c");
        }
        assert_eq!(self.ask(END_OF_MESSAGE), "a");
        self.send(ABORT);
    }
}

fn text(packet: &[u8]) -> String {
    let text = String::from_utf8_lossy(packet);
    text.strip_suffix('\0').unwrap_or(&text).into()
}
