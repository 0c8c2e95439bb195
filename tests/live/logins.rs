//! Who has logged in by SASL: relay right, submit right, neither, unknown, and the standing.

use crate::door::{Door, at_both_doors};
use crate::lab::{Lab, marker};
use crate::smtp::Session;

at_both_doors! {
    a_login_with_the_relay_right_sends_out
    a_login_in_the_form_of_an_address_is_the_same_account
    a_login_with_the_submit_right_alone_stays_inside
    a_deny_through_a_nested_group_beats_the_allow
    a_login_in_no_group_holds_no_right
    a_login_that_the_directory_does_not_know_is_refused
    an_account_that_is_locked_disabled_or_expired_is_told_so
    a_wrong_password_never_reaches_gatepost
}

fn a_login_with_the_relay_right_sends_out(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("relay");
    lab.submission("alice").send("alice@local.test", "friend@far.test", &marker).assert_ok();
    let mail = lab.external.wait_for(&marker);
    assert_eq!(
        (mail.sender.as_str(), mail.recipients),
        ("alice@local.test", vec!["friend@far.test".to_owned()])
    );
}

fn a_login_in_the_form_of_an_address_is_the_same_account(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("realm");
    lab.submission("alice@local.test")
        .send("alice@local.test", "friend@far.test", &marker)
        .assert_ok();
    lab.external.wait_for(&marker);
}

fn a_login_with_the_submit_right_alone_stays_inside(door: Door) {
    let lab = Lab::shared(door);
    let (inside, outside) = (marker("inside"), marker("outside"));
    let mut bob = lab.submission("bob");
    bob.send("bob@local.test", "alice@local.test", &inside).assert_ok();
    bob.send("bob@local.test", "friend@far.test", &outside).assert_refused(
        550,
        "5.7.1",
        "bob has no relay right: mail to far.test is not allowed",
    );
    bob.quit();
    assert_eq!(lab.local.wait_for(&inside).recipients, ["alice@local.test"]);
    lab.assert_absent(&outside);
}

fn a_deny_through_a_nested_group_beats_the_allow(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("denied");
    let mut carol = lab.submission("carol");
    for recipient in ["alice@local.test", "friend@far.test"] {
        carol.send("carol@local.test", recipient, &marker).assert_sender_refused(
            550,
            "5.7.1",
            "carol has no submit right",
        );
    }
    // What has been refused cannot be gone on with.
    carol.mail("carol@local.test");
    carol.rcpt("alice@local.test");
    assert!(!carol.data(&marker).is_ok());
    lab.assert_absent(&marker);
}

fn a_login_in_no_group_holds_no_right(door: Door) {
    let lab = Lab::shared(door);
    let reply =
        lab.submission("mallory").send("mallory@local.test", "alice@local.test", &marker("none"));
    reply.assert_sender_refused(550, "5.7.1", "mallory has no submit right");
}

fn a_login_that_the_directory_does_not_know_is_refused(door: Door) {
    let lab = Lab::shared(door);
    let mut dave = lab.submission("dave");
    for recipient in ["alice@local.test", "friend@far.test"] {
        dave.send("dave@local.test", recipient, &marker("unknown")).assert_sender_refused(
            550,
            "5.7.1",
            "dave is not known to the directory",
        );
    }
}

fn an_account_that_is_locked_disabled_or_expired_is_told_so(door: Door) {
    let lab = Lab::shared(door);
    let attempt = |login: &str| {
        lab.submission(login).send(
            &format!("{login}@local.test"),
            "alice@local.test",
            &marker("standing"),
        )
    };
    attempt("erin").assert_sender_refused(
        450,
        "4.7.13",
        "The account erin is locked for now, try again later",
    );
    attempt("frank").assert_sender_refused(550, "5.7.13", "The account frank is disabled");
    attempt("grace").assert_sender_refused(550, "5.7.13", "The account grace has expired");
}

fn a_wrong_password_never_reaches_gatepost(door: Door) {
    let lab = Lab::shared(door);
    let mut session = Session::open(lab.ports.submission);
    let reply = session.command("AUTH PLAIN AGFsaWNlAHdyb25n");
    assert_eq!((reply.code, reply.enhanced.as_str()), (535, "5.7.8"), "{reply}");
    session.send("alice@local.test", "friend@far.test", &marker("wrong")).assert_sender_refused(
        530,
        "5.7.0",
        "Authentication required",
    );
}
