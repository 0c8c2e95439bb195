//! Who has not logged in: strangers, a relay network with a deny inside, host names, IPv6. Sendmail
//! lets all of 127.0.0.0/8 and ::1 out.

use super::lab::Lab;
use crate::lab::marker;
use crate::smtp::Session;

const OUTSIDE: &str = "friend@far.test";
const NOT_TRUSTED: &str =
    "Unable to relay for friend@far.test: not logged in and not in a relay network";

#[test]
fn a_stranger_may_bring_mail_for_us_and_nothing_else() {
    let lab = Lab::shared();
    let (inside, outside) = (marker("inside"), marker("outside"));
    let mut stranger = Session::open_from("127.7.0.1", lab.mx());
    stranger.send("friend@far.test", "alice@local.test", &inside).assert_ok();
    stranger.send("friend@far.test", OUTSIDE, &outside).assert_refused(550, "5.7.1", NOT_TRUSTED);
    stranger.quit();
    assert_eq!(lab.local.wait_for(&inside).sender, "friend@far.test");
    lab.assert_absent(&outside);
}

/// To a milter it has no address. What submit.cf (`sendmail` in its usual form) hands in comes over
/// TCP, and is a client like any other.
#[test]
fn what_the_machine_itself_hands_in_is_no_stranger() {
    let lab = Lab::shared();
    let marker = marker("local");
    let mut session = lab.sendmail.local_session();
    session.send("root@local.test", OUTSIDE, &marker).assert_ok();
    session.quit();
    assert_eq!(lab.external.wait_for(&marker).sender, "root@local.test");
    lab.wait_for_decision(&["root@local.test", "pass"]);
}

#[test]
fn loopback_is_no_relay_network_by_itself() {
    assert_refused(&Lab::shared(), "127.0.0.1");
}

#[test]
fn a_relay_network_sends_out_and_a_deny_inside_it_does_not() {
    let lab = Lab::shared();
    for client in ["127.9.0.5", "127.9.0.8", "127.9.0.10", "::1"] {
        assert_relays(&lab, client);
    }
    for client in ["127.9.0.9", "127.9.1.5", "127.8.0.1"] {
        assert_refused(&lab, client);
    }
}

#[test]
fn a_relay_network_needs_no_login_at_submission() {
    let lab = Lab::shared();
    let (allowed, denied) = (marker("allowed"), marker("denied"));
    Session::open_from("127.9.0.5", lab.optional())
        .send("scan@local.test", OUTSIDE, &allowed)
        .assert_ok();
    lab.external.wait_for(&allowed);
    Session::open_from("127.9.0.9", lab.optional())
        .send("scan@local.test", OUTSIDE, &denied)
        .refusal(530, "5.7.0");
    lab.assert_absent(&denied);
}

#[test]
fn a_forward_confirmed_name_sends_out_and_one_that_resembles_it_does_not() {
    let lab = Lab::shared();
    assert_relays(&lab, "127.8.0.7");
    assert_refused(&lab, "127.8.0.8");
}

#[test]
fn a_name_that_is_only_said_does_not_either() {
    let lab = Lab::shared();
    let mut session = Session::open_from("127.8.0.9", lab.mx());
    session.command("EHLO p1.printers.example.org").assert_ok();
    session.send("scan@local.test", OUTSIDE, &marker("said")).assert_refused(
        550,
        "5.7.1",
        NOT_TRUSTED,
    );
}

#[track_caller]
fn assert_relays(lab: &Lab, client: &str) {
    let marker = marker("client");
    let mut session = Session::open_from(client, lab.mx());
    let reply = session.send("scan@local.test", OUTSIDE, &marker);
    assert!(reply.is_ok(), "{client}: {reply}");
    assert_eq!(lab.external.wait_for(&marker).recipients, [OUTSIDE], "{client}");
}

#[track_caller]
fn assert_refused(lab: &Lab, client: &str) {
    let marker = marker("client");
    let mut session = Session::open_from(client, lab.mx());
    let reply = session.send("scan@local.test", OUTSIDE, &marker);
    assert_eq!(reply.refusal(550, "5.7.1"), NOT_TRUSTED, "{client}");
    lab.assert_absent(&marker);
}
