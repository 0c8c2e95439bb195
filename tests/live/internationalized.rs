//! Internationalized mail (SMTPUTF8, RFC 6531): local parts in UTF-8, domains as U-labels and as
//! A-labels (RFC 5890). bücher.test is ours, bücher.example is not.

use crate::door::{Door, at_both_doors};
use crate::lab::{Lab, marker};
use crate::reply::Reply;
use crate::smtp::Session;

at_both_doors! {
    a_domain_of_ours_is_ours_in_both_its_forms
    one_that_is_not_needs_the_relay_right_in_both_its_forms
    an_own_address_is_own_in_both_its_forms
}

fn a_domain_of_ours_is_ours_in_both_its_forms(door: Door) {
    let lab = Lab::shared(door);
    let mut bob = lab.submission("bob");
    for recipient in [
        "jürgen@bücher.test",
        "jürgen@xn--bcher-kva.test",
        "carol@BÜCHER.test",
        "carol@XN--BCHER-KVA.test",
    ] {
        let marker = marker("ours");
        let reply = send(&mut bob, "bob@local.test", recipient, &marker);
        assert!(reply.is_ok(), "{recipient}: {reply}");
        lab.local.wait_for(&marker);
    }
}

fn one_that_is_not_needs_the_relay_right_in_both_its_forms(door: Door) {
    let lab = Lab::shared(door);
    let (mut alice, mut bob) = (lab.submission("alice"), lab.submission("bob"));
    for recipient in ["jürgen@bücher.example", "jürgen@xn--bcher-kva.example"] {
        let (out, kept) = (marker("out"), marker("kept"));
        send(&mut alice, "alice@local.test", recipient, &out).assert_ok();
        assert_eq!(lab.external.wait_for(&out).recipients, [recipient]);
        send(&mut bob, "bob@local.test", recipient, &kept).assert_refused(
            550,
            "5.7.1",
            "bob has no relay right: mail to xn--bcher-kva.example is not allowed",
        );
        lab.assert_absent(&kept);
    }
}

fn an_own_address_is_own_in_both_its_forms(door: Door) {
    let lab = Lab::shared(door);
    let (mut alice, mut bob) = (lab.submission("alice"), lab.submission("bob"));
    // What is told is ASCII.
    for (sender, told) in [
        ("älice@bücher.test", "?lice@xn--bcher-kva.test"),
        ("älice@xn--bcher-kva.test", "?lice@xn--bcher-kva.test"),
        ("ÄLICE@BÜCHER.test", "?LICE@xn--bcher-kva.test"),
    ] {
        let marker = marker("own");
        send(&mut alice, sender, "friend@far.test", &marker).assert_ok();
        assert_eq!(lab.external.wait_for(&marker).sender, sender);
        let refused = format!("bob may not send as {told}");
        send(&mut bob, sender, "carol@local.test", &marker)
            .assert_sender_refused(553, "5.7.1", &refused);
    }
}

fn send(session: &mut Session, sender: &str, recipient: &str, marker: &str) -> Reply {
    let mut reply = session.command(&format!("MAIL FROM:<{sender}> SMTPUTF8"));
    if reply.is_ok() {
        reply = session.rcpt(recipient);
    }
    if reply.is_ok() {
        reply = session.data(marker);
    }
    session.rset().assert_ok();
    reply
}
