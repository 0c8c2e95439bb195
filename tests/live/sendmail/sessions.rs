//! Several recipients, several messages, RSET, a new greeting, and two users at once.

use super::lab::Lab;
use crate::lab::marker;
use std::collections::BTreeSet;

const REFUSED: &str = "bob has no relay right: mail to far.test is not allowed";

#[test]
fn one_refused_recipient_leaves_the_others() {
    let lab = Lab::shared();
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
    assert_eq!(recipients, BTreeSet::from(["alice", "carol"]));
    assert!(lab.external.with(&marker).is_empty());
}

#[test]
fn when_every_recipient_is_refused_nothing_is_sent() {
    let lab = Lab::shared();
    let (refused, kept) = (marker("refused"), marker("kept"));
    let mut bob = lab.submission("bob");
    bob.mail("bob@local.test").assert_ok();
    bob.rcpt("friend@far.test").assert_refused(550, "5.7.1", REFUSED);
    bob.rcpt("other@far.test").assert_refused(550, "5.7.1", REFUSED);
    assert!(!bob.data(&refused).is_ok());
    bob.rcpt("alice@local.test").assert_ok();
    bob.data(&kept).assert_ok();
    lab.local.wait_for(&kept);
    lab.assert_absent(&refused);
}

#[test]
fn a_session_carries_many_messages() {
    let lab = Lab::shared();
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

#[test]
fn rset_forgets_the_transaction_and_not_the_login() {
    let lab = Lab::shared();
    for start_over in ["RSET", "EHLO client.example.net"] {
        let (forgotten, kept) = (marker("forgotten"), marker("kept"));
        let mut bob = lab.submission("bob");
        bob.mail("bob@local.test").assert_ok();
        bob.rcpt("carol@local.test").assert_ok();
        bob.command(start_over).assert_ok();
        assert!(!bob.data(&forgotten).is_ok(), "{start_over}");
        bob.mail("bob@local.test").assert_ok();
        bob.rcpt("friend@far.test").assert_refused(550, "5.7.1", REFUSED);
        bob.command(start_over).assert_ok();
        bob.send("bob@local.test", "alice@local.test", &kept).assert_ok();
        assert_eq!(lab.local.wait_for(&kept).recipients, ["alice"]);
        lab.assert_absent(&forgotten);
    }
}

#[test]
fn commands_in_one_breath_get_their_own_answers() {
    let lab = Lab::shared();
    let marker = marker("breath");
    let mut bob = lab.submission("bob");
    bob.write(
        "MAIL FROM:<bob@local.test>\r\nRCPT TO:<friend@far.test>\r\n\
         RCPT TO:<carol@local.test>\r\nRCPT TO:<other@far.test>\r\nDATA\r\n",
    );
    bob.reply_to("").assert_ok();
    bob.reply_to("").assert_refused(550, "5.7.1", REFUSED);
    bob.reply_to("").assert_ok();
    bob.reply_to("").assert_refused(550, "5.7.1", REFUSED);
    assert_eq!(bob.reply_to("").code, 354);
    bob.command(&format!("Subject: {marker}\r\n\r\nThe body.\r\n.")).assert_ok();
    assert_eq!(lab.local.wait_for(&marker).recipients, ["carol"]);
    lab.settle();
    assert!(lab.external.with(&marker).is_empty());
}

#[test]
fn a_refused_sender_may_be_corrected() {
    let lab = Lab::shared();
    let marker = marker("corrected");
    let mut alice = lab.submission("alice");
    alice.mail("bob@local.test").refusal(553, "5.7.1");
    alice.send("alice@local.test", "friend@far.test", &marker).assert_ok();
    lab.external.wait_for(&marker);
}

#[test]
fn two_users_at_once_are_not_mistaken() {
    let lab = Lab::shared();
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
