//! Requests that cannot be read: closed without a byte, told once, counted, and nobody else's
//! trouble.

use crate::client::{Client, rcpt, request};
use crate::faults::{CLOSED, assert_told, counted};
use crate::site::Site;

/// The kind, what is sent, and what the log says of it.
fn broken() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let head = "request=smtpd_access_policy\nprotocol_state=RCPT\n";
    let long = |length: usize| format!("x={}\n", "y".repeat(length));
    vec![
        ("limit", format!("{head}{}\n", long(16_384)).into(), "a line is longer than 16384 bytes"),
        ("limit", vec![b'x'; 20_000], "a line is longer than 16384 bytes"),
        (
            "limit",
            format!("{head}{}\n", long(8000).repeat(9)).into(),
            "the request is longer than 65536 bytes",
        ),
        (
            "limit",
            format!("{head}{}\n", "x=\n".repeat(255)).into(),
            "the request has more than 256 attributes",
        ),
        ("syntax", format!("{head}hello\n\n").into(), "a line has no '='; expected name=value"),
        (
            "syntax",
            format!("{}\n", head.replace('\n', "\r\n")).into(),
            "lines end in CR LF; expected LF alone",
        ),
        (
            "syntax",
            format!("{head}sender=a\nsender=a\n\n").into(),
            "the attribute sender is given twice",
        ),
        ("syntax", format!("{head}size=big\n\n").into(), "the attribute size is no number"),
        ("not-policy", b"\n".to_vec(), "request=; expected request=smtpd_access_policy"),
        (
            "not-policy",
            b"request=junk\nprotocol_state=RCPT\n\n".to_vec(),
            "request=junk; expected request=smtpd_access_policy",
        ),
        ("unknown-state", request("BDAT", &[]).into(), "unknown protocol_state=BDAT"),
        ("unknown-state", request("rcpt", &[]).into(), "unknown protocol_state=rcpt"),
    ]
}

#[test]
fn each_is_closed_without_a_byte_told_once_and_counted() {
    let site = Site::new();
    let gatepost = site.start();
    let mut bystander = site.client();
    let before = bystander.ask(&rcpt("bob", "friend@far.test"));
    let mut told = 0;
    for unix in [false, true] {
        for (kind, bytes, says) in broken() {
            let before_it = counted(&site, "policy", kind);
            let mut client = if unix { Client::unix(&site.unix()) } else { site.client() };
            client.try_to_send(&bytes);
            client.assert_closed();
            told += 1;
            assert_told(&gatepost, told, says);
            assert_eq!(counted(&site, "policy", kind), before_it + 1, "{says}");
            assert_eq!(bystander.ask(&rcpt("bob", "friend@far.test")), before);
        }
    }
}

#[test]
fn a_request_cut_off_by_the_peer_is_told_and_counted() {
    let site = Site::new();
    let gatepost = site.start();
    let whole = rcpt("bob", "friend@far.test");
    for (number, length) in [1, 20, whole.len() - 1].into_iter().enumerate() {
        for (mut client, number) in
            [(site.client(), number * 2 + 1), (Client::unix(&site.unix()), number * 2 + 2)]
        {
            client.send(&whole[..length]);
            client.end_writing();
            client.assert_closed();
            assert_told(&gatepost, number, "the peer closed in the middle of a request");
            assert_eq!(counted(&site, "policy", "truncated"), number as i64);
        }
    }
    // Between requests an end is no fault.
    let mut client = site.client();
    client.ask(&whole);
    client.end_writing();
    client.assert_closed();
    drop(site.client());
    gatepost.wait_for_logs("end=PeerClosed", 2);
    assert_eq!(gatepost.logs(CLOSED).len(), 6);
}

#[test]
fn what_was_whole_before_a_broken_request_is_answered() {
    let site = Site::new();
    let gatepost = site.start();
    let mut client = site.client();
    client.send(rcpt("alice", "friend@far.test") + "request=junk\n\n");
    assert_eq!(client.answer(), "DUNNO");
    client.assert_closed();
    assert_told(&gatepost, 1, "request=junk");
}
