//! Packets no mail server sends, and odd ones that some do: the former end their connection alone,
//! the latter are lived with.

use crate::client::{Client, id_of, without_id};
use crate::faults::{CLOSED, assert_told, counted};
use crate::mta::{
    ABORT, DATA, END_OF_MESSAGE, Mta, NO_RELAY, QUIT, QUIT_NEW_CONNECTION, connect, helo, macros,
    mail, offer, packet, rcpt,
};
use crate::page::{metric, read, wait_for_metric};
use crate::process::Program;
use crate::site::Site;
use std::time::Duration;

/// Kind, what is sent to a new connection, how many of its packets are answered before, and what the
/// log says.
fn impossible() -> Vec<(&'static str, Vec<u8>, usize, &'static str)> {
    let after_offer = |bytes: &[u8]| [&offer(), bytes].concat();
    let in_session = |bytes: &[u8]| [&offer(), &connect(), bytes].concat();
    vec![
        ("limit", b"\0\0\0\0".into(), 0, "a packet of length 0; expected a command"),
        ("limit", in_session(b"\0\0\0\0"), 2, "a packet of length 0; expected a command"),
        (
            "limit",
            in_session(b"\x00\x10\x00\x02B"),
            2,
            "a packet of 1048578 bytes; expected at most 1048577",
        ),
        ("limit", b"GET / HTTP/1.1\r\n\r\n".into(), 0, "a packet of 1195725856 bytes"),
        ("limit", [0xff; 64].into(), 0, "a packet of 4294967295 bytes"),
        ("unknown-command", in_session(&packet(b'?', "x")), 2, "unknown milter command '?'"),
        ("unknown-command", packet(0, ""), 0, "unknown milter command '\\\\u{0}'"),
        ("negotiation", connect(), 0, "milter command 'C' before the negotiation ('O')"),
        ("negotiation", mail(""), 0, "milter command 'D' before the negotiation ('O')"),
        ("negotiation", ABORT.into(), 0, "milter command 'A' before the negotiation ('O')"),
        ("negotiation", after_offer(&offer()), 1, "a second negotiation ('O') on one connection"),
        (
            "negotiation",
            packet(b'O', b"\0\0\0\x01\0\0\0\x0f\0\0\0\x3f"),
            0,
            "milter protocol version 1; expected 2 or newer",
        ),
        (
            "syntax",
            packet(b'O', b"\0\0\0\x06\0\0\x01"),
            0,
            "milter command 'O': expected three numbers of four bytes",
        ),
        (
            "syntax",
            after_offer(&packet(b'C', b"client.far.test\x004\xa0")),
            1,
            "milter command 'C': expected a port of two bytes",
        ),
        (
            "syntax",
            in_session(&packet(b'M', "<alice@example.org>")),
            2,
            "milter command 'M': expected strings that end in NUL",
        ),
        (
            "syntax",
            in_session(&packet(b'R', "<a@far.test>\0NOTIFY=NEVER")),
            2,
            "milter command 'R': expected strings that end in NUL",
        ),
        (
            "syntax",
            in_session(&packet(b'D', "")),
            2,
            "milter command 'D': expected the command they are for",
        ),
    ]
}

#[test]
fn impossible_packets_end_their_connection_alone_told_once_and_counted() {
    let site = Site::of_milter(&[]);
    let gatepost = site.start();
    // In the midst of a transaction all the time.
    let mut bystander = Mta::tcp(&site).greeted();
    assert_eq!(bystander.ask(mail("bob")), "c");
    let mut told = 0;
    for unix in [false, true] {
        for (kind, bytes, answered, says) in impossible() {
            let before = counted(&site, "milter", kind);
            let mut mta = if unix { Mta::unix(&site.unix()) } else { Mta::tcp(&site) };
            mta.0.try_to_send(&bytes);
            for _ in 0..answered {
                mta.next_packet();
            }
            mta.0.assert_closed();
            told += 1;
            assert_told(&gatepost, told, says);
            assert_eq!(counted(&site, "milter", kind), before + 1, "{says}");
            assert_eq!(without_id(&bystander.ask(rcpt("friend@far.test"))), NO_RELAY);
        }
    }
    assert_eq!(bystander.ask(rcpt("alice@example.org")), "c");
    assert_eq!(bystander.ask(END_OF_MESSAGE), "a");
    wait_for_metric(site.http, "gatepost_connections{protocol=\"milter\"}", 1);
    assert_eq!(metric(site.http, "gatepost_panics_total"), 0);
    // One line each, and no other of their end.
    for (text, count) in [("connection closed", told), (" WARN ", told), (" ERROR ", 0)] {
        assert_eq!(gatepost.logs(text).len(), count, "{text} in\n{}", gatepost.log());
    }
}

#[test]
fn a_packet_cut_off_by_the_peer_is_told_and_counted() {
    let site = Site::of_milter(&[]);
    let gatepost = site.start();
    let whole = rcpt("friend@far.test");
    for (number, length) in [1, 4, whole.len() - 1].into_iter().enumerate() {
        let mut mta = Mta::tcp(&site).greeted();
        mta.send(&whole[..length]);
        mta.0.end_writing();
        mta.0.assert_closed();
        assert_told(&gatepost, number + 1, "the peer closed in the middle of a packet");
        assert_eq!(counted(&site, "milter", "truncated"), number as i64 + 1);
    }
}

/// Each is what some mail server or proxy really does; a session of bob's follows.
fn odd() -> Vec<(&'static str, Vec<u8>)> {
    let pairs = |stage| macros(stage, &[("i", "4C9F2A3B4D5E")]);
    let body = packet(b'B', vec![b'x'; 65535]);
    vec![
        // Postfix and Sendmail send the macros of commands that were not to be sent.
        (
            "macros for suppressed commands",
            [*b"N", *b"L", *b"B", *b"U"].map(|s| pairs(s[0])).concat(),
        ),
        ("empty macro sets", [*b"C", *b"H", *b"M"].map(|s| macros(s[0], &[])).concat()),
        ("macros for commands nobody knows", [pairs(b'?'), pairs(0), pairs(0xff)].concat()),
        ("odd lists of macros", packet(b'D', b"M{auth_authen}\0alice\0{auth_type}")),
        ("an ABORT without a message", ABORT.into()),
        ("two ABORTs", [ABORT, ABORT].concat()),
        ("a new session without a negotiation", [QUIT_NEW_CONNECTION, &connect()].concat()),
        ("HELO again", helo()),
        ("HELO in a transaction, and then ABORT", [&mail("alice"), &helo(), ABORT, ABORT].concat()),
        ("MAIL in a transaction", [mail("alice"), mail("alice")].concat()),
        ("a command that SMTP does not know", packet(b'U', "XYZZY\0")),
        (
            "lines and body that were not to be sent",
            [packet(b'L', "Subject\0x\0"), packet(b'N', ""), body].concat(),
        ),
        ("DATA without a recipient", DATA.into()),
        ("an end of message without a message", END_OF_MESSAGE.into()),
        ("an unknown client", packet(b'C', b"unknown\x004\0\0unknown\0")),
        ("a client of an unknown family", packet(b'C', b"localhost\0U")),
        ("parameters of ESMTP", packet(b'M', "<>\0SIZE=18\0BODY=8BITMIME\0AUTH=<>\0")),
        ("an address that is none", packet(b'M', b"<\xff\x01\"@>\0")),
    ]
}

#[test]
fn odd_sequences_are_lived_with() {
    let site = Site::of_milter(&[]);
    let gatepost = site.start();
    for (what, bytes) in odd() {
        let mut mta = Mta::tcp(&site).greeted();
        mta.send(&bytes);
        for _ in 0..replies_to(&bytes) {
            mta.next_packet();
        }
        // What comes next is judged by itself.
        assert_eq!(mta.ask(mail("bob")), "c", "{what}");
        assert_eq!(without_id(&mta.ask(rcpt("friend@far.test"))), NO_RELAY, "{what}");
        assert_eq!(mta.ask(rcpt("alice@example.org")), "c", "{what}");
        assert_eq!(mta.ask(END_OF_MESSAGE), "a", "{what}");
        // Postfix closes so what was accepted or rejected at CONNECT.
        drop(mta);
    }
    assert_eq!(gatepost.wait_for_logs("end=PeerClosed", odd().len()).len(), odd().len());
    assert_no_fault(&site, &gatepost);
}

/// How many replies a stream of whole packets has.
fn replies_to(mut stream: &[u8]) -> usize {
    let mut replies = 0;
    while let Some((length, rest)) = stream.split_first_chunk::<4>() {
        replies += usize::from(!b"DAQK".contains(&rest[0]));
        stream = &rest[u32::from_be_bytes(*length) as usize..];
    }
    replies
}

#[test]
fn macros_aborts_and_farewells_have_no_reply() {
    let site = Site::of_milter(&[]);
    let gatepost = site.start();
    for mut mta in [Mta::tcp(&site), Mta::unix(&site.unix())] {
        mta = mta.greeted();
        for silent in [&macros(b'M', &[("i", "Q")])[..], ABORT, QUIT_NEW_CONNECTION, ABORT] {
            mta.send(silent);
        }
        assert!(mta.0.is_open_after(Duration::from_millis(100)));
        // The next reply is a refusal, and it is this question's.
        assert_eq!(mta.ask(connect()), "c");
        let refusal = mta.ask(mail("carol"));
        assert_eq!(without_id(&refusal), "y550 5.7.1 carol has no submit right");
        mta.send(QUIT);
        mta.0.assert_closed();
    }
    // Before a negotiation too.
    let mut mta = Mta::tcp(&site);
    mta.send(QUIT);
    mta.0.assert_closed();
    assert_no_fault(&site, &gatepost);
}

/// Whoever leaves out the CONNECT of a new session must not send with the rights of the one before.
#[test]
fn a_new_session_knows_nothing_of_the_client_before() {
    let relay = "[relay]\nnetworks = [\"192.0.2.9\"]\n\n[standing]";
    let site = Site::of_milter(&[("[standing]", relay)]);
    let _gatepost = site.start();
    let mut mta = Mta::tcp(&site).greeted();
    assert_eq!(mta.ask(mail("")), "c");
    mta.send(QUIT_NEW_CONNECTION);
    assert_eq!(without_id(&mta.ask(mail(""))), "y530 5.7.0 Authentication required");
    assert_eq!(mta.ask(connect()), "c");
    assert_eq!(mta.ask(mail("")), "c");
}

/// A session of several messages, with what is answered.
fn session() -> (Vec<u8>, Vec<&'static str>) {
    let stream = [
        &offer(),
        &connect(),
        &macros(b'H', &[]),
        &helo(),
        &mail("bob"),
        &rcpt("friend@far.test"),
        &rcpt("alice@example.org"),
        DATA,
        END_OF_MESSAGE,
        ABORT,
        &mail("carol"),
        ABORT,
        &mail("alice"),
        &rcpt("friend@far.test"),
        END_OF_MESSAGE,
        ABORT,
        ABORT,
        QUIT,
    ];
    let replies = vec![
        "O",
        "c",
        "c",
        "c",
        NO_RELAY,
        "c",
        "c",
        "a",
        "y550 5.7.1 carol has no submit right",
        "c",
        "c",
        "a",
    ];
    (stream.concat(), replies)
}

#[track_caller]
fn assert_session(mut mta: Mta, replies: &[&str]) {
    for expected in replies {
        let reply = mta.next_packet();
        match *expected {
            "O" => assert!(reply.starts_with('O')),
            expected => assert_eq!(without_id(&reply), expected),
        }
    }
    mta.0.assert_closed();
}

#[test]
fn a_session_may_come_byte_by_byte_and_in_one_piece() {
    let site = Site::of_milter(&[]);
    let gatepost = site.start();
    let (stream, replies) = session();
    for client in [|site: &Site| site.client(), |site: &Site| Client::unix(&site.unix())] {
        let mut mta = Mta(client(&site));
        for byte in &stream {
            mta.send([*byte]);
        }
        assert_session(mta, &replies);
        for size in [3, 70, stream.len()] {
            let mut mta = Mta(client(&site));
            stream.chunks(size).for_each(|piece| mta.send(piece));
            assert_session(mta, &replies);
        }
    }
    assert_no_fault(&site, &gatepost);
}

/// Some clients take a packet's head and its payload in one read each, and fail on a short one.
#[test]
fn a_reply_is_one_write() {
    let keys = "mode = \"enforce\" # beside the first\nid-header = true";
    let site = Site::of_milter(&[("mode = \"enforce\" # beside the first", keys)]);
    let _gatepost = site.start();
    let mut mta = Mta::unix(&site.unix()).greeted();
    for _ in 0..100 {
        // `ask` reads once and insists on a whole packet.
        assert_eq!(mta.ask(mail("bob")), "c");
        id_of(&mta.ask(rcpt("friend@far.test")));
        assert_eq!(mta.ask(rcpt("alice@example.org")), "c");
        // Header and verdict too.
        mta.send(END_OF_MESSAGE);
        let bytes = mta.0.read_once();
        let (header, verdict) = bytes.split_at(bytes.len() - 5);
        assert!(header.starts_with(b"\0\0\0\x19hX-Gatepost\0"), "{bytes:?}");
        assert_eq!((header.len(), verdict), (4 + 0x19, &b"\0\0\0\x01a"[..]));
    }
}

#[track_caller]
fn assert_no_fault(site: &Site, gatepost: &Program) {
    let log = gatepost.log();
    assert!(!log.contains(" WARN ") && !log.contains(" ERROR ") && !log.contains(CLOSED), "{log}");
    let metrics = read(site.http, "/metrics").body;
    for line in metrics.lines().filter(|line| line.starts_with("gatepost_protocol_errors_total{")) {
        assert!(line.ends_with(" 0"), "{line}");
    }
    assert_eq!(metric(site.http, "gatepost_panics_total"), 0);
}
