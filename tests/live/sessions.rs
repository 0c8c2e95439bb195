//! Several recipients, several messages, RSET, and two users at once.

use crate::door::{Door, at_both_doors};
use crate::lab::{Lab, marker};
use std::collections::BTreeSet;

const REFUSED: &str = "bob has no relay right: mail to far.test is not allowed";

at_both_doors! {
    one_refused_recipient_leaves_the_others
    a_session_carries_many_messages
    rset_forgets_the_transaction_and_not_the_login
    two_users_at_once_are_not_mistaken
    one_connection_serves_session_after_session
}

fn one_refused_recipient_leaves_the_others(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("some");
    let mut bob = lab.submission("bob");
    bob.mail("bob@local.test").assert_ok();
    bob.rcpt("alice@local.test").assert_ok();
    bob.rcpt("friend@far.test").assert_refused(550, "5.7.1", REFUSED);
    bob.rcpt("carol@local.test").assert_ok();
    bob.data(&marker).assert_ok();
    bob.quit();
    lab.local.wait_for(&marker);
    lab.settle();
    let arrived = lab.local.with(&marker);
    let recipients: BTreeSet<&str> =
        arrived.iter().flat_map(|mail| &mail.recipients).map(String::as_str).collect();
    assert_eq!(recipients, BTreeSet::from(["alice@local.test", "carol@local.test"]));
    assert!(lab.external.with(&marker).is_empty());
}

fn a_session_carries_many_messages(door: Door) {
    let lab = Lab::shared(door);
    let mut alice = lab.submission("alice");
    let mut sent = Vec::new();
    for number in 0..40 {
        let marker = marker("many");
        let (recipient, sink) = match number % 2 {
            0 => ("friend@far.test", &lab.external),
            _ => ("bob@local.test", &lab.local),
        };
        alice.mail("alice@local.test").assert_ok();
        alice.rcpt(recipient).assert_ok();
        alice.data(&marker).assert_ok();
        sent.push((marker, sink));
    }
    alice.quit();
    for (marker, sink) in sent {
        sink.wait_for(&marker);
        assert_eq!(sink.with(&marker).len(), 1, "{marker} arrived once");
    }
}

fn rset_forgets_the_transaction_and_not_the_login(door: Door) {
    let lab = Lab::shared(door);
    let (forgotten, kept) = (marker("forgotten"), marker("kept"));
    let mut bob = lab.submission("bob");
    bob.mail("bob@local.test").assert_ok();
    bob.rcpt("carol@local.test").assert_ok();
    bob.rset().assert_ok();
    assert!(!bob.data(&forgotten).is_ok());
    bob.mail("bob@local.test").assert_ok();
    bob.rcpt("friend@far.test").assert_refused(550, "5.7.1", REFUSED);
    bob.rset().assert_ok();
    bob.send("bob@local.test", "alice@local.test", &kept).assert_ok();
    assert_eq!(lab.local.wait_for(&kept).recipients, ["alice@local.test"]);
    lab.assert_absent(&forgotten);
}

fn two_users_at_once_are_not_mistaken(door: Door) {
    let lab = Lab::shared(door);
    let (mut alice, mut bob) = (lab.submission("alice"), lab.submission("bob"));
    for _ in 0..10 {
        let (out, kept) = (marker("alice"), marker("bob"));
        alice.mail("alice@local.test").assert_ok();
        bob.mail("bob@local.test").assert_ok();
        bob.rcpt("friend@far.test").assert_refused(550, "5.7.1", REFUSED);
        alice.rcpt("friend@far.test").assert_ok();
        assert!(!bob.data(&kept).is_ok());
        alice.data(&out).assert_ok();
        bob.rset().assert_ok();
        lab.external.wait_for(&out);
        assert!(lab.external.with(&kept).is_empty());
    }
}

fn one_connection_serves_session_after_session(door: Door) {
    let lab = Lab::shared(door);
    for _ in 0..10 {
        let (out, kept) = (marker("alice"), marker("bob"));
        let mut alice = lab.submission("alice");
        alice.send("alice@local.test", "friend@far.test", &out).assert_ok();
        alice.quit();
        let mut bob = lab.submission("bob");
        bob.send("bob@local.test", "friend@far.test", &kept).assert_refused(550, "5.7.1", REFUSED);
        bob.quit();
        lab.external.wait_for(&out);
    }
}
