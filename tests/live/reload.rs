//! SIGHUP changes the answers on connections that stay, SIGTERM drains.

use crate::gatepost::edit;
use crate::lab::{Lab, marker};
use crate::process::{read, until, within};
use crate::smtp::Session;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

const REFUSED: &str = "bob has no relay right: mail to far.test is not allowed";
const LAST_GRANT: &str = "group = \"No-Mail\"\nsubmit = \"deny\"\n";
/// The lab's `drain` and what a busy machine may add.
const DRAINED: Duration = Duration::from_secs(3 + 5);

#[test]
fn a_changed_grant_holds_on_the_very_same_connections() {
    let lab = Lab::start();
    let mut by_inet = Session::open(lab.ports.undelayed).login("bob");
    let mut by_unix = lab.submission("bob");
    for session in [&mut by_inet, &mut by_unix] {
        session
            .send("bob@local.test", "friend@far.test", &marker("before"))
            .assert_refused(550, "5.7.1", REFUSED);
    }
    let connections = connections(&lab);
    assert!(connections.len() >= 2, "one by each socket: {connections:?}");

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
    assert_eq!(self::connections(&lab), connections);

    edit(&lab.gatepost.configuration(), &granted, LAST_GRANT);
    lab.gatepost.signal(Signal::HUP);
    for session in [&mut by_inet, &mut by_unix] {
        let recipient = "friend@far.test";
        let refused =
            || (!session.send("bob@local.test", recipient, &marker("again")).is_ok()).then_some(());
        until("bob may not relay any more", refused);
    }
    assert_eq!(self::connections(&lab), connections);
}

#[test]
fn a_changed_directory_holds_after_a_reload() {
    let lab = Lab::start();
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

#[test]
fn a_faulty_configuration_changes_nothing_and_says_so() {
    let mut lab = Lab::start();
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

#[test]
fn sigterm_under_a_running_session_ends_in_time_with_0() {
    let mut lab = Lab::start();
    let mut alice = lab.submission("alice");
    alice.mail("alice@local.test").assert_ok();
    alice.rcpt("friend@far.test").assert_ok();
    let asked = Instant::now();
    lab.gatepost.signal(Signal::TERM);
    let status = lab.gatepost.wait_for_end();
    assert!(asked.elapsed() < DRAINED, "{:?}", asked.elapsed());
    assert_eq!(status.code(), Some(0), "{}", read(&lab.gatepost.log()));

    let drained = marker("drained");
    alice.data(&drained).assert_unanswered();
    lab.gatepost.run();
    alice.data(&drained).assert_ok();
    lab.external.wait_for(&drained);
}

#[test]
fn sigterm_without_a_session_ends_at_once() {
    let mut lab = Lab::start();
    lab.gatepost.signal(Signal::TERM);
    let asked = Instant::now();
    assert_eq!(lab.gatepost.wait_for_end().code(), Some(0));
    assert!(asked.elapsed() < DRAINED, "{:?}", asked.elapsed());
    assert!(
        within(Duration::ZERO, || lab.gatepost.socket().exists().then_some(())).is_none(),
        "the socket is removed"
    );
}

/// gatepost's ends of the connections that Postfix holds, by inode.
fn connections(lab: &Lab) -> BTreeSet<String> {
    let port = format!(":{:04X}", lab.ports.policy_submission);
    let socket = lab.gatepost.socket();
    let column =
        |line: &str, number: usize| line.split_whitespace().nth(number).unwrap_or("").to_owned();
    // proc(5): sl local_address rem_address st ... inode is the tenth; 01 is ESTABLISHED.
    let inet = read(Path::new("/proc/net/tcp"));
    let inet =
        inet.lines().filter(|line| column(line, 1).ends_with(&port) && column(line, 3) == "01");
    // proc(5): Num RefCount Protocol Flags Type St Inode Path; 03 is connected.
    let unix = read(Path::new("/proc/net/unix"));
    let unix = unix
        .lines()
        .filter(|line| column(line, 5) == "03" && Path::new(&column(line, 7)) == socket);
    inet.map(|line| column(line, 9)).chain(unix.map(|line| column(line, 6))).collect()
}
