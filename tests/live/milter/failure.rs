//! gatepost frozen or gone: milter_default_action, and a milter's own of that name. A session of
//! Postfix that has lost its milter stays without it.

use crate::door::Door;
use crate::lab::{Lab, Wiring, marker};
use crate::process::within;
use crate::smtp::{END_OF_MESSAGE, Session};
use rustix::process::Signal;
use std::thread;
use std::time::Duration;

const REFUSED: &str = "bob has no relay right: mail to far.test is not allowed";

/// One command_timeout of 2 s and what a busy machine may add. A message has four commands, each of
/// which would wait.
const ONE_TIMEOUT: Duration = Duration::from_secs(7);

#[test]
fn with_accept_it_costs_one_time_out_and_no_mail() {
    let mut lab = Lab::start(Door::Milter);
    let open = |lab: &Lab| Session::open(lab.ports.observing).login("bob");
    let [frozen_under, killed_under] = [open(&lab), open(&lab)];
    lab.gatepost.freeze();
    assert_passes_in_time(&lab, || frozen_under);
    assert_passes_in_time(&lab, || open(&lab));
    lab.gatepost.signal(Signal::CONT);
    assert_passes_in_time(&lab, || open(&lab));
    lab.gatepost.kill();
    assert_passes_in_time(&lab, || killed_under);
    assert_passes_in_time(&lab, || open(&lab));
}

#[track_caller]
fn assert_passes_in_time(lab: &Lab, session: impl FnOnce() -> Session + Send) {
    let marker = marker("accept");
    let reply = thread::scope(|scope| {
        let sent = scope.spawn(|| session().send("bob@local.test", "friend@far.test", &marker));
        let in_time = within(ONE_TIMEOUT, || sent.is_finished().then_some(()));
        assert!(in_time.is_some(), "one time-out a session");
        sent.join().expect("there is a reply")
    });
    reply.assert_ok();
    lab.external.wait_for(&marker);
}

#[test]
fn with_tempfail_nothing_passes_until_it_is_back() {
    let mut lab = impatient();
    let master = lab.postfix.master();
    let mut alice = lab.submission("alice");
    let mut stranger = Session::open_as(lab.ports.mx, "ADDR=203.0.113.45");
    assert_judges(&lab);

    lab.gatepost.kill();
    let down = marker("down");
    for _ in 0..2 {
        for recipient in ["friend@far.test", "carol@local.test"] {
            alice.send("alice@local.test", recipient, &down).assert_unanswered();
            stranger.send("friend@far.test", recipient, &down).assert_unanswered();
        }
    }
    assert_shut(&lab, &down);

    lab.gatepost.run();
    alice.send("alice@local.test", "friend@far.test", &down).assert_unanswered();
    assert_judges(&lab);

    lab.gatepost.freeze();
    assert_shut(&lab, &down);
    lab.gatepost.signal(Signal::CONT);
    assert_judges(&lab);
    lab.assert_absent(&down);
    assert_eq!(lab.postfix.master(), master);
}

#[test]
fn with_tempfail_a_message_it_dies_in_does_not_pass() {
    let mut lab = impatient();
    let half = marker("half");
    let [mut at_rcpt, mut at_data, mut in_content] = [(); 3].map(|()| {
        let mut alice = lab.submission("alice");
        alice.mail("alice@local.test").assert_ok();
        alice.rcpt("friend@far.test").assert_ok();
        alice
    });
    assert_eq!(in_content.command("DATA").code, 354);
    lab.gatepost.kill();
    at_rcpt.rcpt("other@far.test").assert_unanswered();
    at_rcpt.data(&half).assert_unanswered();
    at_data.data(&half).assert_unanswered();
    in_content.write(&format!("Subject: {half}\r\n\r\nx\r\n.\r\n"));
    in_content.reply_to(END_OF_MESSAGE).assert_unanswered();

    lab.gatepost.run();
    for session in [&mut at_rcpt, &mut at_data, &mut in_content] {
        session.rset().assert_ok();
        session.send("alice@local.test", "friend@far.test", &half).assert_unanswered();
    }
    assert_judges(&lab);
    lab.assert_absent(&half);
}

/// Whoever comes is told to come again, and nobody can log in.
#[track_caller]
fn assert_shut(lab: &Lab, marker: &str) {
    for recipient in ["friend@far.test", "carol@local.test"] {
        Session::open_as(lab.ports.mx, "ADDR=203.0.113.45")
            .send("friend@far.test", recipient, marker)
            .assert_unanswered();
    }
    let mut session = Session::open(lab.ports.submission);
    let reply = session.command("AUTH PLAIN AGFsaWNlAHdyb25n");
    assert_eq!((reply.code, reply.enhanced.as_str()), (454, "4.3.0"), "{reply}");
    session.send("alice@local.test", "carol@local.test", marker).assert_unanswered();
    lab.assert_absent(marker);
}

/// New sessions are judged as they should.
#[track_caller]
fn assert_judges(lab: &Lab) {
    let (out, inside) = (marker("out"), marker("inside"));
    lab.submission("alice").send("alice@local.test", "friend@far.test", &out).assert_ok();
    lab.external.wait_for(&out);
    let mut bob = lab.submission("bob");
    bob.send("bob@local.test", "friend@far.test", &inside).assert_refused(550, "5.7.1", REFUSED);
    Session::open_as(lab.ports.mx, "ADDR=203.0.113.45")
        .send("friend@far.test", "carol@local.test", &inside)
        .assert_ok();
    lab.local.wait_for(&inside);
}

/// One whose Postfix waits 2 s for gatepost.
fn impatient() -> Lab {
    Lab::start_wired(Door::Milter, |folder, ports, main_cf| {
        let mut wiring = Wiring::of(Door::Milter, folder, ports, main_cf);
        wiring.main_cf += "milter_command_timeout = 2s\n";
        wiring
    })
}
