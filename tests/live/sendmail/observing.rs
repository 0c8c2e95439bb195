//! The form for observing, INPUT_MAIL_FILTER without `F=` and a listener that observes: whatever
//! becomes of gatepost, everybody's mail goes on.

use super::lab::{Lab, OBSERVING, Socket, Wiring};
use crate::lab::marker;
use crate::process::read;
use crate::smtp::Session;
use rustix::process::Signal;
use std::thread;

/// One who may relay, one who may not, one who may do nothing, one who is not known.
const EVERYBODY: [&str; 4] = ["alice", "bob", "carol", "dave"];

#[test]
fn running_frozen_or_gone_it_hurts_nobody() {
    let mut lab = Lab::start(&OBSERVING);
    let mut early = EVERYBODY.map(|login| lab.submission(login));
    send_all(&lab, "running");
    lab.gatepost.freeze();
    send_all(&lab, "frozen");
    // A session that gatepost already knew when it froze.
    thread::scope(|scope| {
        for (session, login) in early.iter_mut().zip(EVERYBODY) {
            scope.spawn(|| send(&lab, session, login, "frozen"));
        }
    });
    lab.gatepost.signal(Signal::CONT);
    send_all(&lab, "thawed");
    let mut early = EVERYBODY.map(|login| lab.submission(login));
    lab.gatepost.kill();
    send_all(&lab, "gone");
    for (session, login) in early.iter_mut().zip(EVERYBODY) {
        send(&lab, session, login, "gone");
    }
    lab.gatepost.run();
    send_all(&lab, "back");
    lab.settle();
    let log = read(&lab.sendmail.log);
    let hurt: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("reject=") || line.contains("stat=Deferred"))
        .collect();
    assert!(hurt.is_empty(), "{hurt:#?}");
}

#[test]
fn over_tcp_it_hurts_nobody_either() {
    let mut lab = Lab::start(&Wiring { socket: Socket::Inet, ..OBSERVING });
    send_all(&lab, "running");
    lab.gatepost.kill();
    send_all(&lab, "gone");
    lab.gatepost.run();
    send_all(&lab, "back");
}

#[test]
fn it_says_what_it_would_have_said() {
    let lab = Lab::start(&OBSERVING);
    let marker = marker("observed");
    let mut bob = lab.submission("bob");
    bob.send("bob@local.test", "observed@far.test", &marker).assert_ok();
    lab.external.wait_for(&marker);
    lab.wait_for_decision(&["observed@far.test", "relay-missing", "observe", "bob"]);
}

/// All at once: a frozen gatepost costs each of them the time-out.
#[track_caller]
fn send_all(lab: &Lab, when: &str) {
    thread::scope(|scope| {
        for login in EVERYBODY {
            scope.spawn(move || send(lab, &mut lab.submission(login), login, when));
        }
        scope.spawn(move || {
            let marker = marker(when);
            let mut stranger = Session::open_from("127.7.0.1", lab.mx());
            let reply = stranger.send("friend@far.test", "alice@local.test", &marker);
            assert_eq!(reply.code, 250, "{when}: a stranger: {reply}");
            lab.local.wait_for(&marker);
        });
    });
}

#[track_caller]
fn send(lab: &Lab, session: &mut Session, login: &str, when: &str) {
    let (inside, outside) = (marker(when), marker(when));
    let sender = format!("{login}@local.test");
    for (recipient, marker) in [("alice@local.test", &inside), ("friend@far.test", &outside)] {
        let reply = session.send(&sender, recipient, marker);
        assert_eq!(reply.code, 250, "{when}: {login} to {recipient}: {reply}");
    }
    lab.local.wait_for(&inside);
    lab.external.wait_for(&outside);
}
