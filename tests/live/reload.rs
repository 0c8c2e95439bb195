//! SIGHUP changes the answers on connections that stay, SIGTERM drains.

use crate::door::{Door, at_both_doors};
use crate::gatepost::edit;
use crate::lab::{Lab, marker};
use crate::process::{read, until};
use crate::smtp::Session;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

const REFUSED: &str = "bob has no relay right: mail to far.test is not allowed";
const LAST_GRANT: &str = "group = \"No-Mail\"\nsubmit = \"deny\"\n";
/// The lab's `drain` and what a busy machine may add.
const DRAINED: Duration = Duration::from_secs(3 + 5);

at_both_doors! {
    a_changed_grant_holds_on_the_very_same_connections
    a_changed_directory_holds_after_a_reload
    a_faulty_configuration_changes_nothing_and_says_so
    sigterm_under_a_running_session_ends_in_time_with_0
    reloads_under_load_hurt_nobody
    sigterm_under_load_lets_mail_wait_and_loses_none
    sigterm_without_a_session_ends_at_once
}

fn a_changed_grant_holds_on_the_very_same_connections(door: Door) {
    let lab = Lab::start(door);
    let at_rest = sockets(&lab);
    let mut by_inet = Session::open(lab.ports.undelayed).login("bob");
    let mut by_unix = lab.submission("bob");
    for session in [&mut by_inet, &mut by_unix] {
        session
            .send("bob@local.test", "friend@far.test", &marker("before"))
            .assert_refused(550, "5.7.1", REFUSED);
    }
    let held = sockets(&lab);
    assert!(held.len() >= at_rest.len() + 2, "a connection by each socket: {at_rest:?} {held:?}");

    let granted = format!("{LAST_GRANT}[[grant]]\nuser = \"bob\"\nrelay = \"allow\"\n");
    edit(&lab.gatepost.configuration(), LAST_GRANT, &granted);
    lab.gatepost.signal(Signal::HUP);
    for session in [&mut by_inet, &mut by_unix] {
        let marker = marker("after");
        until("bob may relay", || {
            session.send("bob@local.test", "friend@far.test", &marker).is_ok().then_some(())
        });
        lab.external.wait_for(&marker);
    }
    assert_eq!(sockets(&lab), held);

    edit(&lab.gatepost.configuration(), &granted, LAST_GRANT);
    lab.gatepost.signal(Signal::HUP);
    for session in [&mut by_inet, &mut by_unix] {
        let recipient = "friend@far.test";
        let refused =
            || (!session.send("bob@local.test", recipient, &marker("again")).is_ok()).then_some(());
        until("bob may not relay any more", refused);
    }
    assert_eq!(sockets(&lab), held);
}

fn a_changed_directory_holds_after_a_reload(door: Door) {
    let lab = Lab::start(door);
    let mut bob = lab.submission("bob");
    bob.send("bob@local.test", "friend@far.test", &marker("before"))
        .assert_refused(550, "5.7.1", REFUSED);
    let relay = "name = \"Mail-Relay\"\nmembers = [\"alice\"";
    edit(&lab.gatepost.people(), relay, &format!("{relay}, \"bob\""));
    lab.gatepost.signal(Signal::HUP);
    let marker = marker("after");
    until("bob may relay", || {
        bob.send("bob@local.test", "friend@far.test", &marker).is_ok().then_some(())
    });
    lab.external.wait_for(&marker);
}

fn a_faulty_configuration_changes_nothing_and_says_so(door: Door) {
    let mut lab = Lab::start(door);
    let (mut alice, mut bob) = (lab.submission("alice"), lab.submission("bob"));
    let faulty =
        format!("{LAST_GRANT}no-such-key = 1\n[[grant]]\nuser = \"bob\"\nrelay = \"allow\"\n");
    edit(&lab.gatepost.configuration(), LAST_GRANT, &faulty);
    lab.gatepost.signal(Signal::HUP);
    lab.gatepost.wait_for_log("no-such-key");
    bob.send("bob@local.test", "friend@far.test", &marker("kept"))
        .assert_refused(550, "5.7.1", REFUSED);
    let marker = marker("kept");
    alice.send("alice@local.test", "friend@far.test", &marker).assert_ok();
    lab.external.wait_for(&marker);
}

fn sigterm_under_a_running_session_ends_in_time_with_0(door: Door) {
    let mut lab = Lab::start(door);
    let mut alice = lab.submission("alice");
    alice.mail("alice@local.test").assert_ok();
    alice.rcpt("friend@far.test").assert_ok();
    lab.gatepost.signal(Signal::TERM);
    let status = lab.gatepost.wait_for_end(DRAINED);
    assert_eq!(status.code(), Some(0), "{}", read(&lab.gatepost.log()));

    let drained = marker("drained");
    alice.data(&drained).assert_unanswered();
    lab.gatepost.run();
    // To a milter, a session of Postfix is one connection.
    if door == Door::Milter {
        alice.data(&drained).assert_unanswered();
        alice = lab.submission("alice");
        alice.mail("alice@local.test").assert_ok();
        alice.rcpt("friend@far.test").assert_ok();
    }
    alice.data(&drained).assert_ok();
    lab.external.wait_for(&drained);
}

fn reloads_under_load_hurt_nobody(door: Door) {
    let lab = Lab::start(door);
    let mut alice = lab.submission("alice");
    let mut bob = Session::open(lab.ports.undelayed).login("bob");
    let mut sent = Vec::new();
    for _ in 0..50 {
        let marker = marker("load");
        lab.gatepost.signal(Signal::HUP);
        alice.send("alice@local.test", "friend@far.test", &marker).assert_ok();
        bob.send("bob@local.test", "friend@far.test", &marker)
            .assert_refused(550, "5.7.1", REFUSED);
        sent.push(marker);
    }
    for marker in sent {
        assert_eq!(lab.external.wait_for(&marker).sender, "alice@local.test");
    }
}

fn sigterm_under_load_lets_mail_wait_and_loses_none(door: Door) {
    let mut lab = Lab::start(door);
    let (refused, taken) = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut alice = lab.submission("alice");
            let mut taken = Vec::new();
            loop {
                let marker = marker("load");
                let reply = alice.send("alice@local.test", "friend@far.test", &marker);
                if !reply.is_ok() {
                    return (reply, taken);
                }
                taken.push(marker);
            }
        });
        until("mail flows", || (lab.external.with("load").len() > 5).then_some(()));
        lab.gatepost.signal(Signal::TERM);
        sender.join().expect("the sender gets replies")
    });
    assert_eq!(lab.gatepost.wait_for_end(DRAINED).code(), Some(0));
    refused.assert_unanswered();
    for marker in taken {
        lab.external.wait_for(&marker);
    }
}

fn sigterm_without_a_session_ends_at_once(door: Door) {
    let mut lab = Lab::start(door);
    lab.gatepost.signal(Signal::TERM);
    assert_eq!(lab.gatepost.wait_for_end(DRAINED).code(), Some(0));
    assert!(!lab.gatepost.socket().exists(), "the socket is removed");
}

/// The sockets that gatepost holds, by inode.
fn sockets(lab: &Lab) -> BTreeSet<PathBuf> {
    let descriptors = format!("/proc/{}/fd", lab.gatepost.pid());
    let descriptors = fs::read_dir(descriptors).expect("gatepost runs").flatten();
    let targets = descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).collect()
}
