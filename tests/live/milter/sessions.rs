//! A session of Postfix is one connection. What it begins anew is told late: ABORT waits for the next
//! event after RSET, and comes behind HELO after EHLO.

use crate::door::Door;
use crate::lab::{Lab, marker};

const REFUSED: &str = "bob has no relay right: mail to far.test is not allowed";

#[test]
fn a_transaction_begun_anew_takes_nothing_along() {
    let lab = Lab::shared(Door::Milter);
    let mut bob = lab.submission("bob");
    for again in ["RSET", "EHLO client.example.net", "HELO client.example.net"] {
        let (forgotten, kept) = (marker("forgotten"), marker("kept"));
        let recipient = format!("{kept}@local.test");
        bob.mail("bob@local.test").assert_ok();
        bob.rcpt("alice@local.test").assert_ok();
        bob.rcpt("carol@local.test").assert_ok();
        bob.command(again).assert_ok();
        assert_eq!(bob.rcpt("alice@local.test").code, 503, "{again}");
        assert!(!bob.data(&forgotten).is_ok(), "{again}");

        bob.mail("carol@local.test").assert_sender_refused(
            553,
            "5.7.1",
            "bob may not send as carol@local.test",
        );
        bob.mail("bob@local.test").assert_ok();
        bob.rcpt("friend@far.test").assert_refused(550, "5.7.1", REFUSED);
        bob.rcpt(&recipient).assert_ok();
        bob.data(&kept).assert_ok();
        assert_eq!(lab.local.wait_for(&kept).recipients, [recipient.as_str()], "{again}");
        assert_eq!(lab.gatepost.end_of_message(&recipient).field("recipients"), "1", "{again}");
        lab.assert_absent(&forgotten);
    }
}

/// Only a recipient that passed counts, and the end of a message begins nothing of its own.
#[test]
fn the_end_of_a_message_counts_who_passed() {
    let lab = Lab::shared(Door::Milter);
    let mut bob = lab.submission("bob");
    for _ in 0..3 {
        let marker = marker("counted");
        let recipient = format!("{marker}@local.test");
        bob.mail("bob@local.test").assert_ok();
        bob.rcpt("friend@far.test").assert_refused(550, "5.7.1", REFUSED);
        bob.rcpt(&recipient).assert_ok();
        bob.rcpt("other@far.test").assert_refused(550, "5.7.1", REFUSED);
        bob.data(&marker).assert_ok();
        assert_eq!(bob.rcpt("alice@local.test").code, 503);
        assert_eq!(lab.local.wait_for(&marker).recipients, [recipient.as_str()]);
        assert_eq!(lab.gatepost.end_of_message(&recipient).field("recipients"), "1");
    }
}
