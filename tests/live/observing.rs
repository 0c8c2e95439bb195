//! The snippets for observing, `timeout=2s, default_action=DUNNO` and by milter `command_timeout=2s,
//! default_action=accept`, with a listener that observes: whatever becomes of gatepost, everybody's
//! mail goes on.

use crate::door::{Door, at_both_doors};
use crate::lab::{Lab, marker};
use crate::process::read;
use crate::smtp::Session;
use rustix::process::Signal;
use std::thread;

/// One who may relay, one who may not, one who may do nothing, one who is not known.
const EVERYBODY: [&str; 4] = ["alice", "bob", "carol", "dave"];

at_both_doors! {
    running_frozen_or_gone_it_hurts_nobody
    it_says_what_it_would_have_said
}

fn running_frozen_or_gone_it_hurts_nobody(door: Door) {
    let mut lab = Lab::start(door);
    send_all(&lab, "running");
    lab.gatepost.freeze();
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

fn it_says_what_it_would_have_said(door: Door) {
    let lab = Lab::start(door);
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
