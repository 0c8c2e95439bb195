//! The truth table of rights: who asks, and where the mail goes. Each row has a name, and the
//! expected reasons are written out.

mod common;

#[path = "truth_table/gateways.rs"]
mod gateways;
#[path = "truth_table/observing.rs"]
mod observing;
#[path = "truth_table/recipients.rs"]
mod recipients;
#[path = "truth_table/senders.rs"]
mod senders;
#[path = "truth_table/stages.rs"]
mod stages;
#[path = "truth_table/standing.rs"]
mod standing;

use common::{Ask, INTERNET, Rows, SUBMISSION, Site, rcpt};
use gatepost::mail::Facts;

const PEOPLE: &str = "
[[account]]
login = 'alice'
addresses = ['alice@example.org']
[[account]]
login = 'bob'
addresses = ['bob@example.org']
[[group]]
name = 'Direct'
members = ['alice']
[[group]]
name = 'Outer'
groups = ['Middle']
[[group]]
name = 'Middle'
groups = ['Inner']
[[group]]
name = 'Inner'
members = ['alice']
[[group]]
name = 'Others'
members = ['bob']
";

const FINGERPRINT: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

const DOMAINS: &str = "
[domains]
local = ['example.org']
shared = ['shared.example']
relay = ['partner.example']
[recipient]
existence = 'enforce'
";

const RECIPIENTS: [(&str, &str); 6] = [
    ("local existing", "bob@example.org"),
    ("local unknown", "nobody@example.org"),
    ("shared", "anybody@shared.example"),
    ("relay", "anybody@partner.example"),
    ("external", "x@far.test"),
    ("external by a routed local part", "x%far.test@example.org"),
];

const FACINGS: [(&str, &str); 2] = [("submission", SUBMISSION), ("internet", INTERNET)];

/// A reason for each of [`RECIPIENTS`].
type Reasons = [&'static str; 6];

const ALL_PASS: Reasons = ["pass", "recipient-unknown", "pass", "pass", "pass", "pass"];

/// All but external mail passes.
const fn external(reason: &'static str) -> Reasons {
    ["pass", "recipient-unknown", "pass", "pass", reason, reason]
}

fn ask_all(
    rows: &mut Rows,
    name: &str,
    site: &Site,
    expected: Reasons,
    who: impl Fn(Facts) -> Facts,
) {
    for ((to, recipient), expected) in RECIPIENTS.into_iter().zip(expected) {
        rows.row(format!("{name}, {to}"), expected, site.ask(who(rcpt(recipient))));
    }
}

#[test]
fn clients_without_a_login() {
    let rules = format!(
        "{DOMAINS}
        [relay]
        networks = ['192.0.2.0/28', {{ net = '192.0.2.8/29', relay = 'deny' }}, '2001:db8::/48']
        hosts = ['.printers.example.org', {{ host = 'old.printers.example.org', relay = 'deny' }}]
        certificates = ['{FINGERPRINT}', {{ subject = 'app.example.org' }}, {{ subject = 'lost.example.org', relay = 'deny' }}]"
    );
    type Who = fn(Facts) -> Facts;
    let clients: [(&str, bool, Who); 14] = [
        ("anonymous", false, |facts| facts),
        ("unknown address", false, |facts| facts.client("unknown")),
        ("network", true, |facts| facts.client("192.0.2.7")),
        ("network, address mapped into IPv6", true, |facts| facts.client("::ffff:192.0.2.7")),
        ("network, IPv6", true, |facts| facts.client("2001:db8::25")),
        ("beside the network", false, |facts| facts.client("192.0.2.16")),
        ("denied part of the network", false, |facts| facts.client("192.0.2.8")),
        ("host", true, |facts| facts.host("p1.printers.example.org")),
        ("host, the bare domain", false, |facts| facts.host("printers.example.org")),
        ("denied host", false, |facts| facts.host("old.printers.example.org")),
        ("certificate by fingerprint", true, |facts| facts.certificate(FINGERPRINT, "any")),
        ("certificate by subject", true, |facts| facts.certificate("00", "app.example.org")),
        ("denied certificate in a network", false, |facts| {
            facts.client("192.0.2.7").certificate("00", "lost.example.org")
        }),
        ("host in a denied network", false, |facts| {
            facts.client("192.0.2.9").host("p1.printers.example.org")
        }),
    ];
    let mut rows = Rows::default();
    for (facing, listen) in FACINGS {
        let site = Site::new(listen, &rules, PEOPLE);
        for (name, trusted, who) in clients {
            let expected = match (trusted, facing) {
                (true, _) => ALL_PASS,
                (false, "internet") => external("relay-without-login"),
                (false, _) => ["login-required"; 6],
            };
            ask_all(&mut rows, &format!("{name}, {facing}"), &site, expected, who);
        }
    }
    rows.end(2 * 14 * 6);
}

/// Submit and relay, each allowed, denied or not spoken of, and what comes of it.
const RIGHTS: [(&str, &str, Reasons); 9] = [
    ("allow", "allow", ALL_PASS),
    ("allow", "deny", external("relay-denied")),
    ("allow", "silent", external("relay-missing")),
    ("deny", "allow", ["submit-denied"; 6]),
    ("deny", "deny", ["submit-denied"; 6]),
    ("deny", "silent", ["submit-denied"; 6]),
    ("silent", "allow", ["submit-missing"; 6]),
    ("silent", "deny", ["submit-missing"; 6]),
    ("silent", "silent", ["submit-missing"; 6]),
];

const PATHS: [(&str, &str); 3] = [
    ("user", "user = 'alice'"),
    ("direct group", "group = 'direct'"),
    ("nested group", "group = 'Outer'"),
];

/// One `[[grant]]`; nothing when it would say nothing.
fn grant(who: &str, submit: &str, relay: &str) -> String {
    let line = |right: &str, ruling: &str| match ruling {
        "silent" => String::new(),
        _ => format!("{right} = '{ruling}'\n"),
    };
    match line("submit", submit) + &line("relay", relay) {
        rights if rights.is_empty() => rights,
        rights => format!("[[grant]]\n{who}\n{rights}"),
    }
}

#[test]
fn logins_with_every_combination_of_rights() {
    let mut rows = Rows::default();
    for (facing, listen) in FACINGS {
        for (path, who) in PATHS {
            for (submit, relay, expected) in RIGHTS {
                let rules = DOMAINS.to_string() + &grant(who, submit, relay);
                let site = Site::new(listen, &rules, PEOPLE);
                let name = format!("submit {submit}, relay {relay}, by {path}, {facing}");
                ask_all(&mut rows, &name, &site, expected, |facts| facts.login("alice"));
            }
        }
    }
    rows.end(2 * 3 * 9 * 6);
}

#[test]
fn the_rights_of_others_are_nobody_elses() {
    let rules = DOMAINS.to_string()
        + &grant("user = 'alice'", "allow", "allow")
        + &grant("group = 'Others'", "deny", "deny")
        + &grant("group = 'nobody is in this'", "deny", "deny");
    let site = Site::new(SUBMISSION, &rules, PEOPLE);
    let mut rows = Rows::default();
    ask_all(&mut rows, "alice", &site, ALL_PASS, |facts| facts.login("alice"));
    ask_all(&mut rows, "bob", &site, ["submit-denied"; 6], |facts| facts.login("bob"));
    rows.end(12);
}

#[test]
fn a_deny_beats_an_allow_by_whatever_path_and_in_whatever_order() {
    let mut rows = Rows::default();
    for (allowed_by, allowed) in PATHS {
        for (denied_by, denied) in PATHS {
            let name = format!("allowed by {allowed_by}, denied by {denied_by}");
            let pairs = [
                (
                    "submit",
                    grant(allowed, "allow", "allow"),
                    grant(denied, "deny", "silent"),
                    ["submit-denied"; 6],
                ),
                (
                    "relay",
                    grant(allowed, "allow", "allow"),
                    grant(denied, "silent", "deny"),
                    external("relay-denied"),
                ),
            ];
            for (right, allow, deny, expected) in pairs {
                for (order, grants) in
                    [("deny last", [&*allow, &deny]), ("deny first", [&*deny, &allow])]
                {
                    let site =
                        Site::new(SUBMISSION, &(DOMAINS.to_string() + &grants.concat()), PEOPLE);
                    let name = format!("{right} {name}, {order}");
                    ask_all(&mut rows, &name, &site, expected, |facts| facts.login("alice"));
                }
            }
        }
    }
    rows.end(9 * 2 * 2 * 6);
}

/// The client and the login each say something of the relay right.
#[test]
fn a_login_on_a_listed_client() {
    const TRUSTED: &str = "192.0.2.7";
    const DENIED: &str = "192.0.2.8";
    let cases = [
        (TRUSTED, "allow", "allow", ALL_PASS),
        (TRUSTED, "allow", "silent", ALL_PASS),
        (TRUSTED, "allow", "deny", external("relay-denied")),
        (TRUSTED, "silent", "allow", ["submit-missing"; 6]),
        (TRUSTED, "silent", "silent", ["submit-missing"; 6]),
        (TRUSTED, "deny", "allow", ["submit-denied"; 6]),
        (DENIED, "allow", "allow", external("relay-denied")),
        (DENIED, "allow", "silent", external("relay-denied")),
        (DENIED, "silent", "allow", ["submit-missing"; 6]),
    ];
    let mut rows = Rows::default();
    for (facing, listen) in FACINGS {
        for (address, submit, relay, expected) in cases {
            let rules = format!(
                "{DOMAINS}\n[relay]\nnetworks = ['192.0.2.0/28', {{ net = '192.0.2.8', relay = 'deny' }}]\n{}",
                grant("user = 'alice'", submit, relay)
            );
            let site = Site::new(listen, &rules, PEOPLE);
            let name = format!("login at {address}, submit {submit}, relay {relay}, {facing}");
            let who = |facts: Facts| facts.login("alice").client(address);
            ask_all(&mut rows, &name, &site, expected, who);
        }
    }
    rows.end(2 * 9 * 6);
}

#[test]
fn every_spelling_of_a_domain_and_what_only_looks_like_one() {
    let rules = format!("{DOMAINS}\n[[grant]]\nuser = 'alice'\nsubmit = 'allow'\n");
    let rules = rules.replace("['shared.example']", "['shared.example', '.example.org']");
    let site = Site::new(SUBMISSION, &rules, PEOPLE);
    let mut rows = Rows::default();
    for (recipient, expected) in [
        ("BOB@Example.ORG", "pass"),
        ("bob@example.org.", "pass"),
        ("nobody@EXAMPLE.org", "recipient-unknown"),
        ("nobody@lab.example.org", "pass"),
        ("postmaster", "pass"),
        ("bob@notexample.org", "relay-missing"),
        ("bob@example.org.far.test", "relay-missing"),
        ("bob@[192.0.2.1]", "relay-missing"),
        ("far.test!x@example.org", "relay-missing"),
        ("x@far.test@example.org", "relay-missing"),
        ("x%far.test", "relay-missing"),
        ("x%far.test@partner.example", "relay-missing"),
    ] {
        rows.row(recipient, expected, site.ask(rcpt(recipient).login("alice")));
    }
    rows.end(12);
}
