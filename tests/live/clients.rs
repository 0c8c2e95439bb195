//! Who has not logged in: strangers, relay networks with a deny inside, and forward-confirmed
//! host names. The MTA lets all of 192.0.2.0/24, 198.51.100.0/24 and 2001:db8::/32 out.

use crate::door::{Door, Port, at_both_doors};
use crate::lab::{Lab, marker};
use crate::smtp::Session;

const OUTSIDE: &str = "friend@far.test";
const NOT_TRUSTED: &str =
    "Unable to relay for friend@far.test: not logged in and not in a relay network";

at_both_doors! {
    a_stranger_may_bring_mail_for_us_and_nothing_else
    loopback_is_no_relay_network_by_itself
    submission_without_a_login_is_told_to_log_in
    a_relay_network_sends_out_and_a_deny_inside_it_does_not
    a_relay_network_needs_no_login_at_submission
    a_forward_confirmed_name_sends_out
    a_forged_pointer_record_does_not
    a_name_that_is_only_said_does_not_either
    a_client_without_an_address_is_a_stranger
}

fn a_stranger_may_bring_mail_for_us_and_nothing_else(door: Door) {
    let lab = Lab::shared(door);
    let (inside, outside) = (marker("inside"), marker("outside"));
    let mut stranger = Session::open_as(
        lab.ports.mx,
        "ADDR=203.0.113.45 NAME=mx.far.test REVERSE_NAME=mx.far.test",
    );
    stranger.send("friend@far.test", "alice@local.test", &inside).assert_ok();
    stranger.send("friend@far.test", OUTSIDE, &outside).assert_refused(550, "5.7.1", NOT_TRUSTED);
    stranger.quit();
    assert_eq!(lab.local.wait_for(&inside).sender, "friend@far.test");
    lab.assert_absent(&outside);
}

fn loopback_is_no_relay_network_by_itself(door: Door) {
    let lab = Lab::shared(door);
    let reply = Session::open(lab.ports.mx).send("bob@local.test", OUTSIDE, &marker("loopback"));
    reply.assert_refused(550, "5.7.1", NOT_TRUSTED);
}

fn submission_without_a_login_is_told_to_log_in(door: Door) {
    let lab = Lab::shared(door);
    let mut session = Session::open(lab.ports.submission);
    for recipient in ["alice@local.test", OUTSIDE] {
        session.send("alice@local.test", recipient, &marker("anonymous")).assert_sender_refused(
            530,
            "5.7.0",
            "Authentication required",
        );
    }
}

fn a_relay_network_sends_out_and_a_deny_inside_it_does_not(door: Door) {
    let lab = Lab::shared(door);
    for allowed in
        ["ADDR=192.0.2.5", "ADDR=192.0.2.8", "ADDR=192.0.2.10", "ADDR=IPV6:2001:db8:1::5"]
    {
        assert_relays(&lab, lab.ports.mx, allowed);
    }
    for refused in ["ADDR=192.0.2.9", "ADDR=198.51.100.5", "ADDR=IPV6:2001:db8:2::5"] {
        assert_refused(&lab, refused);
    }
}

fn a_relay_network_needs_no_login_at_submission(door: Door) {
    let lab = Lab::shared(door);
    assert_relays(&lab, lab.ports.submission, "ADDR=192.0.2.5");
    let mut denied = Session::open_as(lab.ports.submission, "ADDR=192.0.2.9");
    denied.send("scan@local.test", OUTSIDE, &marker("denied")).refusal(530, "5.7.0");
}

fn a_forward_confirmed_name_sends_out(door: Door) {
    let lab = Lab::shared(door);
    let name =
        "ADDR=198.51.100.7 NAME=p1.printers.example.org REVERSE_NAME=p1.printers.example.org";
    assert_relays(&lab, lab.ports.mx, name);
    for other in ["printers.example.org.evil.test", "evilprinters.example.org", "p1.example.org"] {
        assert_refused(&lab, &format!("ADDR=198.51.100.7 NAME={other} REVERSE_NAME={other}"));
    }
}

fn a_forged_pointer_record_does_not(door: Door) {
    let lab = Lab::shared(door);
    assert_refused(
        &lab,
        "ADDR=198.51.100.7 NAME=[UNAVAILABLE] REVERSE_NAME=p1.printers.example.org",
    );
}

fn a_name_that_is_only_said_does_not_either(door: Door) {
    let lab = Lab::shared(door);
    let mut session = Session::open_as(lab.ports.mx, "ADDR=198.51.100.7 NAME=[UNAVAILABLE]");
    session.command("EHLO p1.printers.example.org").assert_ok();
    session.send("scan@local.test", OUTSIDE, &marker("said")).assert_refused(
        550,
        "5.7.1",
        NOT_TRUSTED,
    );
}

fn a_client_without_an_address_is_a_stranger(door: Door) {
    let lab = Lab::shared(door);
    let mut session = Session::open_as(lab.ports.mx, "ADDR=[UNAVAILABLE]");
    session.send("friend@far.test", OUTSIDE, &marker("nobody")).assert_refused(
        550,
        "5.7.1",
        NOT_TRUSTED,
    );
    let inside = marker("nobody");
    session.send("friend@far.test", "alice@local.test", &inside).assert_ok();
    lab.local.wait_for(&inside);
}

#[track_caller]
fn assert_relays(lab: &Lab, port: Port, client: &str) {
    let marker = marker("client");
    let reply = Session::open_as(port, client).send("scan@local.test", OUTSIDE, &marker);
    assert!(reply.is_ok(), "{client}: {reply}");
    assert_eq!(lab.external.wait_for(&marker).recipients, [OUTSIDE], "{client}");
}

#[track_caller]
fn assert_refused(lab: &Lab, client: &str) {
    let marker = marker("client");
    let reply = Session::open_as(lab.ports.mx, client).send("scan@local.test", OUTSIDE, &marker);
    assert_eq!(reply.refusal(550, "5.7.1"), NOT_TRUSTED, "{client}");
    lab.assert_absent(&marker);
}
