//! gatepost gone and come back under a running Postfix: nothing slips out, nothing is lost.

use crate::door::Door;
use crate::lab::{Lab, marker};
use crate::smtp::Session;

const REFUSED: &str = "bob has no relay right: mail to far.test is not allowed";

#[test]
fn while_it_is_down_mail_waits_and_afterwards_goes_on() {
    let mut lab = Lab::start(Door::Policy);
    let master = lab.postfix.master();
    let mut alice = lab.submission("alice");
    let mut bob = Session::open(lab.ports.undelayed).login("bob");
    let mut stranger = Session::open_as(lab.ports.mx, "ADDR=203.0.113.45");
    let before = marker("before");
    alice.send("alice@local.test", "friend@far.test", &before).assert_ok();
    lab.external.wait_for(&before);
    bob.send("bob@local.test", "friend@far.test", &marker("before"))
        .assert_refused(550, "5.7.1", REFUSED);

    lab.gatepost.kill();
    let down = marker("down");
    for recipient in ["friend@far.test", "carol@local.test"] {
        alice.send("alice@local.test", recipient, &down).assert_unanswered();
        bob.send("bob@local.test", recipient, &down).assert_unanswered();
        stranger.send("friend@far.test", recipient, &down).assert_unanswered();
    }
    lab.assert_absent(&down);

    lab.gatepost.run();
    let (after, inside) = (marker("after"), marker("inside"));
    alice.send("alice@local.test", "friend@far.test", &after).assert_ok();
    lab.external.wait_for(&after);
    bob.send("bob@local.test", "friend@far.test", &down).assert_refused(550, "5.7.1", REFUSED);
    stranger.send("friend@far.test", "carol@local.test", &inside).assert_ok();
    lab.local.wait_for(&inside);
    lab.assert_absent(&down);
    assert_eq!(lab.postfix.master(), master);
}

#[test]
fn it_dies_in_the_middle_of_a_transaction() {
    let mut lab = Lab::start(Door::Policy);
    let half = marker("half");
    let mut alice = lab.submission("alice");
    alice.mail("alice@local.test").assert_ok();
    alice.rcpt("friend@far.test").assert_ok();
    lab.gatepost.kill();
    alice.rcpt("other@far.test").assert_unanswered();
    alice.data(&half).assert_unanswered();

    lab.gatepost.run();
    alice.rcpt("bob@local.test").assert_ok();
    alice.data(&half).assert_ok();
    assert_eq!(lab.external.wait_for(&half).recipients, ["friend@far.test"]);
    assert_eq!(lab.local.wait_for(&half).recipients, ["bob@local.test"]);
}
