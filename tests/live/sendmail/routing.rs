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
    let mut stranger = Session::open_from("127.7.0.1", lab.mx());
    for recipient in ROUTED {
        let reply = stranger.send("friend@far.test", recipient, &marker);
        let said = reply.refusal(550, "5.7.1");
        assert!(said.starts_with("Unable to relay for "), "{recipient}: {reply}");
    }
    lab.assert_absent(&marker);
}

/// Sendmail 8.17 queues a recipient before it asks the milter, and after a refusal looks for it in
/// its queue by reading the argument of RCPT as a list (sendmail/recipient.c, removefromlist). Cut
/// at its comma, it finds none of these there, and sends them out.
#[test]
fn a_refused_recipient_with_a_comma_is_not_sent_to_all_the_same() {
    let lab = Lab::shared();
    let refused = [
        "@local.test,@local.test:victim@far.test",
        "<(c)@local.test,@local.test:victim@far.test>",
        "<(c)@far.test,@far.test:victim@far.test>",
        "<a,<victim@far.test>>",
        "<<victim@far.test>,>",
        "<a,%victim%far.test@local.test>",
        "<a\\,victim%far.test@local.test>",
        "<victim@far.test\\,>",
    ];
    for recipient in refused {
        let (marker, next) = (marker("comma"), marker("next"));
        let mut bob = lab.submission("bob");
        bob.mail("bob@local.test").assert_ok();
        bob.rcpt("carol@local.test").assert_ok();
        let reply = bob.command(&format!("RCPT TO:{recipient}"));
        let said = reply.refusal(550, "5.7.1").to_owned();
        assert!(said.starts_with("bob has no relay right"), "{recipient}: {reply}");
        assert_eq!(bob.data(&marker).refusal(550, "5.7.1"), said, "{recipient}");
        lab.assert_absent(&marker);
        bob.send("bob@local.test", "carol@local.test", &next).assert_ok();
        lab.local.wait_for(&next);
    }
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
