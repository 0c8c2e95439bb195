//! The milter files of `deploy/postfix` as shipped: Postfix runs on exactly their lines.

use crate::door::Door;
use crate::folder::make_folder;
use crate::gatepost::{NETWORKS, configured};
use crate::lab::{Lab, Wiring, marker};
use crate::smtp::Session;
use crate::snippets::{assert_in_force, fill, shipped};
use rustix::process::Signal;
use std::thread;

const OUTSIDE: &str = "friend@far.test";

#[test]
fn enforcing_by_milter_judges_and_closes() {
    let mut lab = wired("milter-enforce.cf", "enforce");
    let out = marker("alice");
    login(&lab, "alice").send("alice@local.test", OUTSIDE, &out).assert_ok();
    lab.external.wait_for(&out);
    let mut bob = login(&lab, "bob");
    bob.send("bob@local.test", OUTSIDE, &marker("bob")).assert_refused(
        550,
        "5.7.1",
        "bob has no relay right: mail to far.test is not allowed",
    );
    lab.gatepost.kill();
    assert!(!bob.send("bob@local.test", "alice@local.test", &marker("gone")).is_ok());
}

#[test]
fn observing_by_milter_hurts_nobody_running_frozen_or_gone() {
    let mut lab = wired("milter-observe.cf", "observe");
    assert_all_pass(&lab, "running");
    lab.gatepost.signal(Signal::STOP);
    assert_all_pass(&lab, "frozen");
    lab.gatepost.signal(Signal::CONT);
    assert_all_pass(&lab, "thawed");
    lab.gatepost.kill();
    assert_all_pass(&lab, "gone");
}

/// All at once: a frozen gatepost costs each session its time-outs.
#[track_caller]
fn assert_all_pass(lab: &Lab, when: &str) {
    thread::scope(|scope| {
        for name in ["alice", "bob", "carol", "dave"] {
            scope.spawn(move || {
                let marker = marker(when);
                let reply = login(lab, name).send("alice@local.test", OUTSIDE, &marker);
                assert_eq!(reply.code, 250, "{when}: {name}: {reply}");
                lab.external.wait_for(&marker);
            });
        }
    });
}

fn login(lab: &Lab, name: &str) -> Session {
    Session::open_tls(lab.ports.submission, &lab.folder.path, None).login(name)
}

/// A lab on the shipped submission service and one of the ways to ask.
fn wired(asked: &str, mode: &str) -> Lab {
    let lab = Lab::start_wired(Door::Milter, |folder, ports, main_cf| {
        let submission = format!("127.0.0.1:{} inet n ", ports.submission.number);
        let service = fill("postfix/milter.master.cf", &[("submission inet n ", &submission)]);
        let socket = folder.join("queue/gatepost/milter.sock");
        make_folder(socket.parent().expect("a socket lies in a folder"));
        let listener = format!(
            "[[listen]]\nprotocol = \"milter\"\nsocket = \"unix:{}\"\nsocket-owner = \"postfix\"\n\
            socket-group = \"postfix\"\nfacing = \"submission\"\nmode = \"{mode}\"\n",
            socket.display()
        );
        Wiring {
            main_cf: main_cf + &shipped(&format!("postfix/{asked}")),
            services: service,
            gatepost: configured(folder, ports.http, &listener, NETWORKS, ""),
            handed: None,
        }
    });
    assert_in_force(&lab.folder.path);
    lab
}
