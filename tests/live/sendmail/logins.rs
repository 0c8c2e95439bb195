//! Who has logged in by SASL: relay right, submit right, neither, unknown, and the standing. What
//! holds for the whole mail is said at MAIL already.

use super::ODD;
use super::lab::Lab;
use crate::lab::marker;
use crate::smtp::Session;

#[test]
fn a_login_with_the_relay_right_sends_out() {
    let lab = Lab::shared();
    let marker = marker("relay");
    lab.submission("alice").send("alice@local.test", "friend@far.test", &marker).assert_ok();
    let mail = lab.external.wait_for(&marker);
    assert_eq!(
        (mail.sender.as_str(), mail.recipients),
        ("alice@local.test", vec!["friend@far.test".to_owned()])
    );
}

#[test]
fn a_login_in_the_form_of_an_address_is_the_same_account() {
    let lab = Lab::shared();
    let marker = marker("realm");
    lab.submission("alice@local.test")
        .send("alice@local.test", "friend@far.test", &marker)
        .assert_ok();
    lab.external.wait_for(&marker);
}

#[test]
fn a_login_with_the_submit_right_alone_stays_inside() {
    let lab = Lab::shared();
    let (inside, outside) = (marker("inside"), marker("outside"));
    let mut bob = lab.submission("bob");
    bob.send("bob@local.test", "alice@local.test", &inside).assert_ok();
    let reply = bob.send("bob@local.test", "friend@far.test", &outside);
    reply.assert_refused(550, "5.7.1", "bob has no relay right: mail to far.test is not allowed");
    assert!(reply.text.starts_with("<friend@far.test>... ["), "Sendmail names it: {reply}");
    bob.quit();
    assert_eq!(lab.local.wait_for(&inside).recipients, ["alice"]);
    lab.assert_absent(&outside);
}

#[test]
fn a_deny_through_a_nested_group_beats_the_allow() {
    let lab = Lab::shared();
    let marker = marker("denied");
    let mut carol = lab.submission("carol");
    carol.mail("carol@local.test").assert_refused(550, "5.7.1", "carol has no submit right");
    assert!(!carol.rcpt("alice@local.test").is_ok());
    assert!(!carol.data(&marker).is_ok());
    lab.assert_absent(&marker);
}

#[test]
fn a_login_in_no_group_holds_no_right() {
    let lab = Lab::shared();
    let mut mallory = lab.submission("mallory");
    mallory.mail("mallory@local.test").assert_refused(550, "5.7.1", "mallory has no submit right");
}

#[test]
fn a_login_that_the_directory_does_not_know_is_refused() {
    let lab = Lab::shared();
    let mut dave = lab.submission("dave");
    for _ in 0..2 {
        dave.mail("dave@local.test").assert_refused(
            550,
            "5.7.1",
            "dave is not known to the directory",
        );
    }
}

/// To a milter Sendmail writes a login in xtext (RFC 3461 4).
#[test]
fn a_login_is_read_as_it_was_typed() {
    let lab = Lab::shared();
    let mut odd = lab.submission(ODD);
    let reply = odd.mail("odd@local.test");
    reply.assert_refused(550, "5.7.1", "d+d=e ? is not known to the directory");
    lab.wait_for_decision(&["login=\"d+d=e ü\""]);
}

#[test]
fn an_account_that_is_locked_disabled_or_expired_is_told_so() {
    let lab = Lab::shared();
    let attempt = |login: &str| lab.submission(login).mail(&format!("{login}@local.test"));
    attempt("erin").assert_refused(
        450,
        "4.7.13",
        "The account erin is locked for now, try again later",
    );
    attempt("frank").assert_refused(550, "5.7.13", "The account frank is disabled");
    attempt("grace").assert_refused(550, "5.7.13", "The account grace has expired");
}

#[test]
fn no_login_is_refused_where_sendmail_does_not_insist_and_may_follow() {
    let lab = Lab::shared();
    let (inside, outside) = (marker("inside"), marker("outside"));
    let mut session = Session::open(lab.optional());
    let refused = session.send("bob@local.test", "alice@local.test", &inside);
    refused.assert_refused(530, "5.7.0", "Authentication required");
    let mut bob = session.login("bob");
    bob.send("bob@local.test", "alice@local.test", &inside).assert_ok();
    let refused = bob.send("bob@local.test", "friend@far.test", &outside);
    refused.assert_refused(550, "5.7.1", "bob has no relay right: mail to far.test is not allowed");
    lab.local.wait_for(&inside);
    lab.assert_absent(&outside);
}

#[test]
fn no_login_is_refused_by_sendmail_itself_where_it_insists() {
    let lab = Lab::shared();
    let mut session = Session::open(lab.login_port());
    let reply = session.command("AUTH PLAIN AGFsaWNlAHdyb25n");
    assert_eq!((reply.code, reply.text.as_str()), (535, "authentication failed"), "{reply}");
    let reply = session.mail("alice@local.test");
    assert_eq!(
        (reply.code, reply.enhanced.as_str(), reply.text.as_str()),
        (530, "5.7.0", "Authentication required"),
        "{reply}"
    );
}
