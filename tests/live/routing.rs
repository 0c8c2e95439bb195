//! Sender-specified routing: a local address that Postfix would send on to another domain
//! (allow_percent_hack, swap_bangpath, resolve_dequoted_address) needs the relay right.

use crate::lab::{Lab, marker};
use crate::smtp::Session;

const ROUTED: [&str; 3] =
    ["victim%far.test@local.test", "far.test!victim@local.test", "\"victim@far.test\"@local.test"];

#[test]
fn a_routed_recipient_is_external_to_who_may_only_submit() {
    let lab = Lab::shared();
    let marker = marker("routed");
    let mut bob = lab.submission("bob");
    for recipient in ROUTED {
        let reply = bob.send("bob@local.test", recipient, &marker);
        let said = reply.refusal(550, "5.7.1");
        assert!(said.starts_with("bob has no relay right"), "{recipient}: {reply}");
    }
    lab.assert_absent(&marker);
}

#[test]
fn a_routed_recipient_is_external_to_a_stranger() {
    let lab = Lab::shared();
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

#[test]
fn the_mta_would_have_sent_it_out() {
    let lab = Lab::shared();
    let mut alice = lab.submission("alice");
    for recipient in ROUTED {
        let marker = marker("would");
        alice.send("alice@local.test", recipient, &marker).assert_ok();
        assert_eq!(lab.external.wait_for(&marker).recipients, ["victim@far.test"], "{recipient}");
    }
}

#[test]
fn a_subdomain_and_a_trailing_dot_change_nothing() {
    let lab = Lab::shared();
    let mut bob = lab.submission("bob");
    for outside in ["friend@sub.local.test", "friend@local.test.far.test", "friend@xlocal.test"] {
        let reply = bob.send("bob@local.test", outside, &marker("domain"));
        let said = reply.refusal(550, "5.7.1");
        assert!(said.starts_with("bob has no relay right"), "{outside}: {reply}");
    }
    let marker = marker("case");
    bob.send("bob@local.test", "alice@LOCAL.Test", &marker).assert_ok();
    lab.local.wait_for(&marker);
}
