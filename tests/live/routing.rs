//! Sender-specified routing: a local address that Postfix would send on to another domain
//! (allow_percent_hack, swap_bangpath, resolve_dequoted_address) needs the relay right.

use crate::door::{Door, at_both_doors};
use crate::lab::{Lab, marker};
use crate::smtp::Session;

/// Each is sent on to victim@far.test.
const ROUTED: [&str; 7] = [
    "victim%far.test@local.test",
    "far.test!victim@local.test",
    "\"victim@far.test\"@local.test",
    "victim@far.test@local.test",
    "far.test!victim",
    "victim%far.test",
    "\"victim@far.test\"",
];

at_both_doors! {
    a_routed_recipient_is_external_to_who_may_only_submit
    a_routed_recipient_is_external_to_a_stranger
    the_mta_would_have_sent_it_out
    a_domain_that_only_resembles_a_local_one_is_external
    a_local_recipient_is_local_in_every_spelling
    postmaster_needs_no_domain
    a_percent_sign_is_told_as_it_was_written
}

fn a_routed_recipient_is_external_to_who_may_only_submit(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("routed");
    let mut bob = lab.submission("bob");
    for recipient in ROUTED {
        let reply = bob.send("bob@local.test", recipient, &marker);
        let said = reply.refusal(550, "5.7.1");
        assert!(said.starts_with("bob has no relay right"), "{recipient}: {reply}");
    }
    lab.assert_absent(&marker);
}

fn a_routed_recipient_is_external_to_a_stranger(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("routed");
    let mut stranger = Session::open_as(lab.ports.mx, "ADDR=203.0.113.45");
    let mut unlisted = Session::open_as(lab.ports.mx, "ADDR=198.51.100.5");
    for recipient in ROUTED {
        for session in [&mut stranger, &mut unlisted] {
            let reply = session.send("friend@far.test", recipient, &marker);
            let said = reply.refusal(550, "5.7.1");
            assert!(said.starts_with("Unable to relay for "), "{recipient}: {reply}");
        }
    }
    lab.assert_absent(&marker);
}

fn the_mta_would_have_sent_it_out(door: Door) {
    let lab = Lab::shared(door);
    let mut alice = lab.submission("alice");
    for recipient in ROUTED {
        let marker = marker("would");
        alice.send("alice@local.test", recipient, &marker).assert_ok();
        assert_eq!(lab.external.wait_for(&marker).recipients, ["victim@far.test"], "{recipient}");
    }
}

fn a_domain_that_only_resembles_a_local_one_is_external(door: Door) {
    let lab = Lab::shared(door);
    let mut bob = lab.submission("bob");
    let outside = [
        "friend@sub.local.test",
        "friend@local.test.far.test",
        "friend@xlocal.test",
        "friend@far.test.",
    ];
    for recipient in outside {
        let reply = bob.send("bob@local.test", recipient, &marker("domain"));
        let said = reply.refusal(550, "5.7.1");
        assert!(said.starts_with("bob has no relay right"), "{recipient}: {reply}");
    }
}

fn a_local_recipient_is_local_in_every_spelling(door: Door) {
    let lab = Lab::shared(door);
    let mut bob = lab.submission("bob");
    let inside = [
        "carol@LOCAL.Test",
        "carol@local.test.",
        "carol",
        "\"carol\"@local.test",
        "@far.test:carol@local.test",
    ];
    for recipient in inside {
        let marker = marker("spelling");
        let reply = bob.send("bob@local.test", recipient, &marker);
        assert!(reply.is_ok(), "{recipient}: {reply}");
        lab.local.wait_for(&marker);
    }
}

/// RFC 5321 4.5.1. Postfix passes it by every restriction, and asks a milter.
fn postmaster_needs_no_domain(door: Door) {
    let lab = Lab::shared(door);
    let stranger = Session::open_as(lab.ports.mx, "ADDR=203.0.113.45");
    for (mut session, sender) in
        [(stranger, "friend@far.test"), (lab.submission("bob"), "bob@local.test")]
    {
        let marker = marker("postmaster");
        session.send(sender, "postmaster", &marker).assert_ok();
        assert_eq!(lab.local.wait_for(&marker).recipients, ["postmaster@local.test"]);
    }
}

/// Both mail servers take it for a format in what a milter says.
fn a_percent_sign_is_told_as_it_was_written(door: Door) {
    let lab = Lab::shared(door);
    let mut stranger = Session::open_as(lab.ports.mx, "ADDR=203.0.113.45");
    for recipient in ["100%s%d%%@far.test", "victim%far.test@local.test"] {
        stranger.send("friend@far.test", recipient, &marker("percent")).assert_refused(
            550,
            "5.7.1",
            &format!("Unable to relay for {recipient}: not logged in and not in a relay network"),
        );
    }
}
