//! Which envelope sender a login may use: said at MAIL.

use super::lab::Lab;
use crate::lab::marker;
use crate::smtp::Session;

#[test]
fn nobody_sends_as_somebody_else() {
    let lab = Lab::shared();
    let mut alice = lab.submission("alice");
    for sender in ["bob@local.test", "ceo@far.test"] {
        let reply = alice.mail(sender);
        reply.assert_refused(553, "5.7.1", &format!("alice may not send as {sender}"));
    }
}

#[test]
fn no_spelling_of_a_foreign_address_passes_as_an_own_one() {
    let lab = Lab::shared();
    let mut alice = lab.submission("alice");
    let foreign = [
        "bob",
        "bob%local.test",
        "local.test!bob",
        "bob@local.test.",
        "\"bob\"@local.test",
        "@local.test:bob@local.test",
        "alice%far.test@local.test",
    ];
    for sender in foreign {
        let reply = alice.mail(sender);
        let said = reply.refusal(553, "5.7.1");
        assert!(said.starts_with("alice may not send as "), "{sender}: {reply}");
    }
}

#[test]
fn an_own_address_is_own_in_any_case_of_its_letters() {
    let lab = Lab::shared();
    let marker = marker("case");
    lab.submission("alice").send("Alice@LOCAL.test", "friend@far.test", &marker).assert_ok();
    lab.external.wait_for(&marker);
}

#[test]
fn the_null_sender_is_everybodys_and_gives_no_relay_right() {
    let lab = Lab::shared();
    let marker = marker("null");
    lab.submission("alice").send("", "friend@far.test", &marker).assert_ok();
    assert_eq!(lab.external.wait_for(&marker).sender, "");
    lab.submission("bob").send("", "friend@far.test", &marker).assert_refused(
        550,
        "5.7.1",
        "bob has no relay right: mail to far.test is not allowed",
    );
}

#[test]
fn a_granted_address_is_for_the_granted_alone() {
    let lab = Lab::shared();
    let marker = marker("press");
    lab.submission("bob").mail("press@local.test").assert_refused(
        553,
        "5.7.1",
        "bob may not send as press@local.test",
    );
    lab.submission("alice").send("press@local.test", "friend@far.test", &marker).assert_ok();
    assert_eq!(lab.external.wait_for(&marker).sender, "press@local.test");
}

/// MAIL's AUTH= is the client's word; Sendmail hands it on as {auth_author}.
#[test]
fn another_name_in_auth_of_mail_changes_nothing() {
    let lab = Lab::shared();
    let mut bob = lab.submission("bob");
    bob.command("MAIL FROM:<bob@local.test> AUTH=alice").assert_ok();
    bob.rcpt("friend@far.test").assert_refused(
        550,
        "5.7.1",
        "bob has no relay right: mail to far.test is not allowed",
    );
}

#[test]
fn a_stranger_is_not_asked_whose_address_it_is() {
    let lab = Lab::shared();
    let marker = marker("list");
    let mut list = Session::open_from("127.7.0.1", lab.mx());
    list.send("bob@local.test", "alice@local.test", &marker).assert_ok();
    lab.local.wait_for(&marker);
}
