//! One service of Postfix that asks one gatepost by both protocols: the same decisions.

use crate::door::{Door, Port};
use crate::dovecot::LOGINS;
use crate::gatepost::{Decision, NETWORKS, configured};
use crate::lab::{Lab, Ports, Wiring, marker};
use crate::ports::free_ports;
use crate::postfix::{milters, restriction, service};
use crate::process::until;
use crate::smtp::Session;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

const OUTSIDE: &str = "friend@far.test";

/// In every spelling, and routed.
const RECIPIENTS: [&str; 15] = [
    "alice@local.test",
    "Carol@LOCAL.test.",
    "friend@far.test",
    "friend@sub.local.test",
    "friend@local.test.far.test",
    "victim%far.test@local.test",
    "far.test!victim@local.test",
    "\"victim@far.test\"@local.test",
    "victim@far.test@local.test",
    "\"quoted part\"@far.test",
    "far.test!victim",
    "@far.test:carol@local.test",
    "jürgen@bücher.test",
    "jürgen@xn--bcher-kva.example",
    "friend@[192.0.2.1]",
];

const CLIENTS: [&str; 7] = [
    "ADDR=203.0.113.45 NAME=mx.far.test REVERSE_NAME=mx.far.test",
    "ADDR=[UNAVAILABLE]",
    "ADDR=192.0.2.5",
    "ADDR=192.0.2.9",
    "ADDR=IPV6:2001:db8:1::5",
    "ADDR=198.51.100.7 NAME=p1.printers.example.org REVERSE_NAME=p1.printers.example.org",
    "ADDR=198.51.100.7 NAME=[UNAVAILABLE] REVERSE_NAME=p1.printers.example.org",
];

/// The listeners observe, so that Postfix goes on and asks both about everything.
#[test]
fn both_come_to_the_same_decisions() {
    let asked = free_ports();
    let lab = lab(asked, "observe");
    let sessions = LOGINS.map(|login| (Session::open(lab.ports.submission).login(login), login));
    let submission = CLIENTS.map(|client| (Session::open_as(lab.ports.submission, client), "scan"));
    let internet = CLIENTS.map(|client| (Session::open_as(lab.ports.mx, client), "list"));
    for (mut session, name) in sessions.into_iter().chain(submission).chain(internet) {
        for sender in [format!("{name}@local.test"), "alice@local.test".into(), String::new()] {
            session.command(&format!("MAIL FROM:<{sender}> SMTPUTF8")).assert_ok();
            for recipient in RECIPIENTS {
                let reply = session.rcpt(recipient);
                assert!(reply.is_ok(), "{sender} to {recipient}: {reply}");
            }
            session.data(&marker("all")).assert_ok();
            session.command(&format!("MAIL FROM:<{sender}> SMTPUTF8")).assert_ok();
            session.rcpt(OUTSIDE).assert_ok();
            session.data(&marker("one")).assert_ok();
        }
        session.quit();
    }
    let of = |mta: &str| {
        let all = lab.gatepost.decisions().into_iter().filter(|decided| {
            decided.field("mta") == mta
                && ["rcpt", "end-of-message"].contains(&decided.field("stage"))
        });
        all.map(|decided| words(&decided)).collect::<Vec<_>>()
    };
    let expected = 3 * (LOGINS.len() + 2 * CLIENTS.len()) * (RECIPIENTS.len() + 1 + 2);
    let (by_policy, by_milter) = until("every decision is logged", || {
        let both = (of("policy"), of("milter"));
        (both.0.len() >= expected && both.1.len() >= expected).then_some(both)
    });
    assert_eq!((by_policy.len(), by_milter.len()), (expected, expected));
    let [by_policy, by_milter] = [by_policy, by_milter].map(BTreeSet::from_iter);
    let different: Vec<&String> = by_policy.symmetric_difference(&by_milter).collect();
    assert!(different.is_empty(), "{different:#?}");
    let reasons = ["relay-missing", "login-required", "sender-not-owned", "relay-without-login"];
    for reason in reasons {
        assert!(by_policy.iter().any(|words: &String| words.contains(reason)), "{reason}");
    }
}

/// What was asked and what came of it.
fn words(decided: &Decision) -> String {
    ["stage", "login", "client", "sender", "recipient", "recipients", "action", "reason"]
        .map(|name| format!("{name}={:?} ", decided.field(name)))
        .concat()
}

#[test]
fn whoever_is_asked_first_refuses() {
    let lab = lab(free_ports(), "enforce");
    let by = |door| Session::open(Port { door, ..lab.ports.submission });
    let marker = marker("both");
    by(Door::Milter)
        .login("carol")
        .send("carol@local.test", "alice@local.test", &marker)
        .assert_sender_refused(550, "5.7.1", "carol has no submit right");
    by(Door::Policy).login("bob").send("bob@local.test", OUTSIDE, &marker).assert_refused(
        550,
        "5.7.1",
        "bob has no relay right: mail to far.test is not allowed",
    );
    let mut alice = by(Door::Milter).login("alice");
    alice.send("alice@local.test", OUTSIDE, &marker).assert_ok();
    lab.external.wait_for(&marker);
    assert!(lab.local.with(&marker).is_empty());
}

/// With a milter beside each policy listener; a decision's `mta` tells which was asked.
fn lab(milter: [u16; 2], mode: &str) -> Lab {
    Lab::start_wired(Door::Milter, |folder, ports, main_cf| {
        let mut wiring = Wiring::of(Door::Milter, folder, ports, main_cf);
        wiring.gatepost = listening(folder, ports, milter, mode);
        wiring.services = String::new();
        for (port, sasl, policy, milter) in [
            (ports.submission, "yes", ports.ask_submission, milter[0]),
            (ports.mx, "no", ports.ask_internet, milter[1]),
        ] {
            let ask = format!("check_policy_service inet:127.0.0.1:{policy}");
            wiring.services += &service(port, "n", &format!("smtpd_sasl_auth_enable={sasl}"));
            let relay = format!("{ask}, check_client_access static:OK, reject");
            wiring.services += &restriction("relay", &relay);
            wiring.services += &restriction("end_of_data", &ask);
            wiring.services += &milters(&format!("inet:127.0.0.1:{milter}"));
        }
        wiring
    })
}

fn listening(folder: &Path, ports: &Ports, milter: [u16; 2], mode: &str) -> String {
    let mut listeners = String::new();
    for (protocol, port, facing) in [
        ("policy", ports.ask_submission, "submission"),
        ("milter", milter[0], "submission"),
        ("policy", ports.ask_internet, "internet"),
        ("milter", milter[1], "internet"),
    ] {
        write!(
            listeners,
            r#"
[[listen]]
protocol = "{protocol}"
socket = "inet:127.0.0.1:{port}"
mta = "{protocol}"
facing = "{facing}"
charge-at = "never"
mode = "{mode}"
"#
        )
        .expect("memory");
    }
    configured(folder, ports.http, &listeners, NETWORKS, "")
}
