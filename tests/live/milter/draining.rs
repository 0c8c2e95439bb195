//! SIGTERM with a session of Postfix open: it may end what it has begun, and more, until the deadline.

use crate::door::Door;
use crate::gatepost::edited;
use crate::lab::{Lab, Wiring, marker};
use crate::process::{DEADLINE, read};
use crate::smtp::Session;
use rustix::process::Signal;

#[test]
fn what_is_under_way_ends_well_within_the_deadline() {
    let mut lab = Lab::start_wired(Door::Milter, |folder, ports, main_cf| {
        let mut wiring = Wiring::of(Door::Milter, folder, ports, main_cf);
        // Longer than the test waits for anything.
        wiring.gatepost = edited(&wiring.gatepost, "drain = \"3s\"", "drain = \"5m\"");
        wiring
    });
    let (begun, next, late) = (marker("begun"), marker("next"), marker("late"));
    let mut alice = lab.submission("alice");
    alice.mail("alice@local.test").assert_ok();
    alice.rcpt("friend@far.test").assert_ok();
    let mut bob = lab.submission("bob");
    bob.mail("bob@local.test").assert_ok();
    lab.gatepost.signal(Signal::TERM);
    lab.gatepost.wait_for_log("stopping");

    alice.rcpt("carol@local.test").assert_ok();
    alice.data(&begun).assert_ok();
    alice.send("alice@local.test", "friend@far.test", &next).assert_ok();
    bob.rcpt("friend@far.test").assert_refused(
        550,
        "5.7.1",
        "bob has no relay right: mail to far.test is not allowed",
    );
    // Who comes now finds nobody.
    let mut stranger = Session::open_as(lab.ports.mx, "ADDR=203.0.113.45");
    stranger.send("friend@far.test", "alice@local.test", &late).assert_unanswered();
    alice.quit();
    bob.quit();
    assert_eq!(lab.gatepost.wait_for_end(DEADLINE).code(), Some(0));
    assert!(!read(&lab.gatepost.log()).contains("deadline"), "{}", read(&lab.gatepost.log()));
    for marker in [begun, next] {
        lab.external.wait_for(&marker);
    }
    lab.assert_absent(&late);
}
