//! gatepost gone and come back under a running Sendmail with `F=T`, over both kinds of socket:
//! nothing slips out, nothing is lost.

use super::lab::{ENFORCING, Lab, Socket, Wiring};
use crate::lab::marker;
use crate::reply::Reply;
use crate::smtp::Session;
use rustix::process::Signal;
use std::time::Duration;

const REFUSED: &str = "bob has no relay right: mail to far.test is not allowed";
/// The lab's `drain` and what a busy machine may add.
const DRAINED: Duration = Duration::from_secs(3 + 5);

#[test]
fn while_it_is_down_mail_waits_and_afterwards_goes_on() {
    for socket in [Socket::Unix, Socket::Inet] {
        let mut lab = Lab::start(&Wiring { socket, ..ENFORCING });
        assert_rights(&lab);
        let mut open = lab.submission("alice");
        open.mail("alice@local.test").assert_ok();

        lab.gatepost.kill();
        let down = marker("down");
        assert_deferred(&open.rcpt("friend@far.test"));
        open.rset().assert_ok();
        assert_deferred(&open.send("alice@local.test", "friend@far.test", &down));
        for client in ["127.7.0.1", "127.9.0.5"] {
            let mut client = Session::open_from(client, lab.mx());
            assert_deferred(&client.send("friend@far.test", "carol@local.test", &down));
        }
        lab.assert_absent(&down);

        lab.gatepost.run();
        assert_rights(&lab);
        lab.assert_absent(&down);
    }
}

#[test]
fn it_dies_in_the_middle_of_a_message() {
    let mut lab = Lab::start(&ENFORCING);
    let half = marker("half");
    let mut alice = lab.submission("alice");
    alice.mail("alice@local.test").assert_ok();
    alice.rcpt("friend@far.test").assert_ok();
    assert_eq!(alice.command("DATA").code, 354);
    lab.gatepost.kill();
    assert_deferred(&alice.command(&format!("Subject: {half}\r\n\r\nThe body.\r\n.")));
    lab.assert_absent(&half);
    lab.gatepost.run();
    assert_rights(&lab);
}

#[test]
fn while_it_is_frozen_mail_waits_as_well() {
    let lab = Lab::start(&Wiring { filter: Some("F=T, T=C:2s;S:2s;R:2s;E:5s"), ..ENFORCING });
    let frozen = marker("frozen");
    let mut early = lab.submission("alice");
    early.mail("alice@local.test").assert_ok();
    lab.gatepost.freeze();
    assert_deferred(&early.rcpt("friend@far.test"));
    let mut printer = Session::open_from("127.9.0.5", lab.mx());
    assert_deferred(&printer.send("scan@local.test", "friend@far.test", &frozen));
    lab.gatepost.signal(Signal::CONT);
    assert_rights(&lab);
    lab.assert_absent(&frozen);
}

/// A session that gatepost would close costs its client a message.
#[test]
fn told_to_end_it_lets_a_session_finish_and_takes_no_new_one() {
    let mut lab = Lab::start(&ENFORCING);
    let (last, late) = (marker("last"), marker("late"));
    let mut alice = lab.submission("alice");
    alice.mail("alice@local.test").assert_ok();
    alice.rcpt("friend@far.test").assert_ok();
    lab.gatepost.signal(Signal::TERM);
    lab.gatepost.wait_for_log("stopping");
    let mut printer = Session::open_from("127.9.0.5", lab.mx());
    assert_deferred(&printer.send("scan@local.test", "friend@far.test", &late));
    alice.data(&last).assert_ok();
    lab.external.wait_for(&last);
    alice.quit();
    assert!(lab.gatepost.wait_for_end(DRAINED).success());
    lab.gatepost.run();
    assert_rights(&lab);
    lab.assert_absent(&late);
}

#[track_caller]
fn assert_rights(lab: &Lab) {
    let (out, inside, kept) = (marker("out"), marker("inside"), marker("kept"));
    lab.submission("alice").send("alice@local.test", "friend@far.test", &out).assert_ok();
    let mut bob = lab.submission("bob");
    bob.send("bob@local.test", "friend@far.test", &kept).assert_refused(550, "5.7.1", REFUSED);
    bob.send("bob@local.test", "alice@local.test", &inside).assert_ok();
    lab.external.wait_for(&out);
    lab.local.wait_for(&inside);
    lab.assert_absent(&kept);
}

/// Sendmail's own answer for a milter that is not there.
#[track_caller]
fn assert_deferred(reply: &Reply) {
    assert_eq!((reply.code, reply.enhanced.as_str()), (451, "4.3.2"), "{reply}");
    assert!(reply.text.ends_with("Please try again later"), "{reply}");
}
