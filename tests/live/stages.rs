//! Questions outside of RCPT: CONNECT, EHLO, MAIL, VRFY, ETRN are answered and never hurt.

use crate::door::{Door, at_both_doors};
use crate::lab::{Lab, marker};
use crate::policy::ask_inet;
use crate::smtp::Session;

at_both_doors! {
    connect_and_greeting_pass_before_the_login
    no_login_is_told_at_the_first_stage_that_needs_one
    every_list_at_once_comes_to_the_same_answers
    vrfy_is_answered
    etrn_is_answered
}

fn connect_and_greeting_pass_before_the_login(door: Door) {
    let lab = Lab::shared(door);
    let mut session = Session::open(lab.ports.undelayed);
    session.command("HELO client.example.net").assert_ok();
    session.ehlo();
    session.command("NOOP").assert_ok();
    let marker = marker("greeting");
    let mut alice = session.login("alice");
    alice.ehlo();
    alice.send("alice@local.test", "friend@far.test", &marker).assert_ok();
    lab.external.wait_for(&marker);
}

fn no_login_is_told_at_the_first_stage_that_needs_one(door: Door) {
    let lab = Lab::shared(door);
    let mut session = Session::open(lab.ports.undelayed);
    session.send("alice@local.test", "alice@local.test", &marker("early")).assert_refused(
        530,
        "5.7.0",
        "Authentication required",
    );
    let mut alice = session.login("alice");
    alice.send("alice@local.test", "alice@local.test", &marker("late")).assert_ok();
}

fn every_list_at_once_comes_to_the_same_answers(door: Door) {
    let lab = Lab::shared(door);
    let (inside, outside) = (marker("inside"), marker("outside"));
    let mut bob = Session::open(lab.ports.undelayed).login("bob");
    bob.send("bob@local.test", "alice@local.test", &inside).assert_ok();
    bob.send("bob@local.test", "friend@far.test", &outside).assert_refused(
        550,
        "5.7.1",
        "bob has no relay right: mail to far.test is not allowed",
    );
    bob.send("alice@local.test", "alice@local.test", &outside).assert_refused(
        553,
        "5.7.1",
        "bob may not send as alice@local.test",
    );
    lab.local.wait_for(&inside);
    lab.assert_absent(&outside);
}

fn vrfy_is_answered(door: Door) {
    let lab = Lab::shared(door);
    let mut stranger = Session::open_as(lab.ports.mx, "ADDR=203.0.113.45");
    assert_verifies(&mut stranger);
    assert_verifies(&mut Session::open(lab.ports.submission).login("bob"));
    assert_verifies(&mut Session::open(lab.ports.undelayed).login("bob"));
    // It is no message: what follows is judged as if it had not been.
    let marker = marker("vrfy");
    stranger.send("friend@far.test", "alice@local.test", &marker).assert_ok();
    lab.local.wait_for(&marker);
}

fn etrn_is_answered(door: Door) {
    let lab = Lab::shared(door);
    let before_login = Session::open(lab.ports.undelayed);
    let stranger = Session::open_as(lab.ports.mx, "ADDR=203.0.113.45");
    let after_login = Session::open(lab.ports.undelayed).login("bob");
    for mut session in [before_login, stranger, after_login] {
        let reply = session.command("ETRN partner.test");
        assert_eq!((reply.code, reply.text.as_str()), (250, "Queuing started"), "{reply}");
    }
}

#[test]
fn a_stage_without_a_transaction_is_no_objection() {
    let lab = Lab::shared(Door::Policy);
    for state in ["CONNECT", "EHLO", "HELO", "VRFY", "ETRN"] {
        let state = format!("protocol_state={state}");
        let answer = ask_inet(lab.ports.ask_submission, &[&state, "client_address=203.0.113.45"]);
        assert_eq!(answer, "action=DUNNO\n\n", "{state}");
    }
}

#[track_caller]
fn assert_verifies(session: &mut Session) {
    let reply = session.command("VRFY alice@local.test");
    assert_eq!(reply.code, 252, "{reply}");
}
