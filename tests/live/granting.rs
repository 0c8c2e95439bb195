//! `on-grant = "ok"` before `reject_unauth_destination`: only gatepost's OK lets a mail out.

use crate::door::Door;
use crate::lab::{Lab, marker};
use crate::policy::ask_inet;
use crate::smtp::Session;

#[test]
fn an_explicit_relay_right_opens_the_way_out() {
    let lab = Lab::shared(Door::Policy);
    let marker = marker("granted");
    Session::open(lab.ports.granting)
        .login("alice")
        .send("alice@local.test", "friend@far.test", &marker)
        .assert_ok();
    assert_eq!(lab.external.wait_for(&marker).recipients, ["friend@far.test"]);
}

#[test]
fn without_it_the_way_stays_shut() {
    let lab = Lab::shared(Door::Policy);
    let marker = marker("not-granted");
    let mut bob = Session::open(lab.ports.granting).login("bob");
    bob.send("bob@local.test", "friend@far.test", &marker).assert_refused(
        550,
        "5.7.1",
        "bob has no relay right: mail to far.test is not allowed",
    );
    lab.assert_absent(&marker);
}

#[test]
fn local_mail_passes_by_postfix_itself() {
    let lab = Lab::shared(Door::Policy);
    let marker = marker("local");
    Session::open(lab.ports.granting)
        .login("bob")
        .send("bob@local.test", "alice@local.test", &marker)
        .assert_ok();
    lab.local.wait_for(&marker);
}

#[test]
fn the_same_right_without_on_grant_is_no_ok() {
    let lab = Lab::shared(Door::Policy);
    let question = |state, recipient| {
        [
            state,
            "client_address=127.0.0.1",
            "client_name=localhost",
            "sasl_method=PLAIN",
            "sasl_username=alice",
            "sender=alice@local.test",
            recipient,
            "instance=1.2.3.0",
        ]
    };
    let outside = question("protocol_state=RCPT", "recipient=friend@far.test");
    assert_eq!(ask_inet(lab.ports.ask_granting, &outside), "action=OK\n\n");
    assert_eq!(ask_inet(lab.ports.ask_submission, &outside), "action=DUNNO\n\n");
    let inside = question("protocol_state=RCPT", "recipient=bob@local.test");
    assert_eq!(ask_inet(lab.ports.ask_granting, &inside), "action=DUNNO\n\n");
    let later = question("protocol_state=DATA", "recipient=friend@far.test");
    assert_eq!(ask_inet(lab.ports.ask_granting, &later), "action=DUNNO\n\n");
}
