//! Which envelope sender a login may use.

use crate::door::{Door, at_both_doors};
use crate::lab::{Lab, marker};

at_both_doors! {
    nobody_sends_as_somebody_else
    no_spelling_of_a_foreign_address_passes_as_an_own_one
    an_own_address_is_own_in_any_case_of_its_letters
    the_null_sender_is_everybodys
    the_null_sender_gives_no_relay_right
    a_granted_address_is_for_the_granted_alone
    a_stranger_is_not_asked_whose_address_it_is
}

fn nobody_sends_as_somebody_else(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("forged");
    let mut alice = lab.submission("alice");
    for recipient in ["bob@local.test", "friend@far.test"] {
        alice.send("bob@local.test", recipient, &marker).assert_sender_refused(
            553,
            "5.7.1",
            "alice may not send as bob@local.test",
        );
    }
    alice.send("ceo@far.test", "friend@far.test", &marker).assert_sender_refused(
        553,
        "5.7.1",
        "alice may not send as ceo@far.test",
    );
    lab.assert_absent(&marker);
}

fn no_spelling_of_a_foreign_address_passes_as_an_own_one(door: Door) {
    let lab = Lab::shared(door);
    let mut alice = lab.submission("alice");
    let foreign = [
        "bob",
        "bob%local.test",
        "local.test!bob",
        "bob@local.test.",
        "\"bob\"@local.test",
        "alice@local.test@far.test",
    ];
    for sender in foreign {
        let reply = alice.send(sender, "friend@far.test", &marker("spelling"));
        let said = reply.refusal(553, "5.7.1");
        assert!(said.starts_with("alice may not send as "), "{sender}: {reply}");
    }
}

fn an_own_address_is_own_in_any_case_of_its_letters(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("case");
    lab.submission("alice").send("Alice@LOCAL.test", "friend@far.test", &marker).assert_ok();
    lab.external.wait_for(&marker);
}

fn the_null_sender_is_everybodys(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("null");
    lab.submission("alice").send("", "friend@far.test", &marker).assert_ok();
    assert_eq!(lab.external.wait_for(&marker).sender, "");
}

fn the_null_sender_gives_no_relay_right(door: Door) {
    let lab = Lab::shared(door);
    lab.submission("bob").send("", "friend@far.test", &marker("null")).assert_refused(
        550,
        "5.7.1",
        "bob has no relay right: mail to far.test is not allowed",
    );
}

fn a_granted_address_is_for_the_granted_alone(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("press");
    lab.submission("bob")
        .send("press@local.test", "alice@local.test", &marker)
        .assert_sender_refused(553, "5.7.1", "bob may not send as press@local.test");
    lab.submission("alice").send("press@local.test", "friend@far.test", &marker).assert_ok();
    assert_eq!(lab.external.wait_for(&marker).sender, "press@local.test");
}

fn a_stranger_is_not_asked_whose_address_it_is(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("list");
    let mut list = crate::smtp::Session::open_as(lab.ports.mx, "ADDR=203.0.113.45");
    list.send("bob@local.test", "alice@local.test", &marker).assert_ok();
    lab.local.wait_for(&marker);
}
