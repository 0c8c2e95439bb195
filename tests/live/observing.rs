//! The snippet for observing, `{ inet:..., timeout=2s, default_action=DUNNO }` with a listener
//! that observes: whatever becomes of gatepost, everybody's mail goes on.

use crate::lab::{Lab, marker};
use crate::process::read;
use crate::smtp::Session;
use rustix::process::Signal;
use std::thread;

/// One who may relay, one who may not, one who may do nothing, one who is not known.
const EVERYBODY: [&str; 4] = ["alice", "bob", "carol", "dave"];

#[test]
fn running_frozen_or_gone_it_hurts_nobody() {
    let mut lab = Lab::start();
    send_all(&lab, "running");
    lab.gatepost.signal(Signal::STOP);
    send_all(&lab, "frozen");
    lab.gatepost.signal(Signal::CONT);
    send_all(&lab, "thawed");
    lab.gatepost.kill();
    send_all(&lab, "gone");
    lab.gatepost.run();
    send_all(&lab, "back");
    let log = read(&lab.postfix.log);
    let hurt: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("reject") || line.contains("status=deferred"))
        .collect();
    assert!(hurt.is_empty(), "{hurt:#?}");
}

#[test]
fn it_says_what_it_would_have_said() {
    let lab = Lab::start();
    let marker = marker("observed");
    let mut bob = Session::open(lab.ports.observing).login("bob");
    bob.send("bob@local.test", "observed@far.test", &marker).assert_ok();
    lab.external.wait_for(&marker);
    let log = read(&lab.gatepost.log());
    let said = log.lines().find(|line| {
        ["observed@far.test", "relay-missing", "observe", "bob"].iter().all(|w| line.contains(w))
    });
    assert!(said.is_some(), "the decision is logged:\n{log}");
}

/// All at once: a frozen gatepost costs each of them the time-out.
#[track_caller]
fn send_all(lab: &Lab, when: &str) {
    thread::scope(|scope| {
        for login in EVERYBODY {
            scope.spawn(move || {
                let (inside, outside) = (marker(when), marker(when));
                let sender = format!("{login}@local.test");
                let mut session = Session::open(lab.ports.observing).login(login);
                for (recipient, marker) in
                    [("alice@local.test", &inside), ("friend@far.test", &outside)]
                {
                    let reply = session.send(&sender, recipient, marker);
                    assert_eq!(reply.code, 250, "{when}: {login} to {recipient}: {reply}");
                }
                lab.local.wait_for(&inside);
                lab.external.wait_for(&outside);
            });
        }
    });
}
