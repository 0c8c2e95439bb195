//! Sender-specified routing: a local address that Sendmail would send on to another domain (cf/README:
//! the % hack, UUCP addresses, local parts with @) needs the relay right.

use super::lab::Lab;
use crate::lab::marker;
use crate::smtp::Session;

/// Each is sent on to victim@far.test. `victim@far.test@local.test` Sendmail itself refuses.
const ROUTED: [&str; 6] = [
    "victim%far.test@local.test",
    "far.test!victim@local.test",
    "\"victim@far.test\"@local.test",
    "far.test!victim",
    "victim%far.test",
    "\"victim@far.test\"",
];

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
    let mut stranger = Session::open_from("127.7.0.1", lab.ports.mx);
    for recipient in ROUTED {
        let reply = stranger.send("friend@far.test", recipient, &marker);
        let said = reply.refusal(550, "5.7.1");
        assert!(said.starts_with("Unable to relay for "), "{recipient}: {reply}");
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
fn a_domain_that_only_resembles_a_local_one_is_external() {
    let lab = Lab::shared();
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

#[test]
fn a_local_recipient_is_local_in_every_spelling() {
    let lab = Lab::shared();
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
        assert_eq!(lab.local.wait_for(&marker).recipients, ["carol"], "{recipient}");
    }
}
