//! What only observes: listeners, checks and grants. And `on-grant = "ok"`, the one answer that says
//! more than no objection.

use gatepost::mail::{Facts, Stage};

use crate::common::{
    Ask, INTERNAL, INTERNET, Rows, SUBMISSION, Site, observed, question, rcpt, word,
};
use crate::{DOMAINS, PEOPLE, RECIPIENTS, RIGHTS, grant};

#[test]
fn an_observing_listener_judges_all_and_refuses_nothing() {
    let listen = SUBMISSION.replace("enforce", "observe") + "on-grant = 'ok'\n";
    let mut rows = Rows::default();
    for (submit, relay, expected) in RIGHTS {
        let rules = DOMAINS.to_string() + &grant("user = 'alice'", submit, relay);
        let site = Site::new(&listen, &rules, PEOPLE);
        for ((to, recipient), reason) in RECIPIENTS.into_iter().zip(expected) {
            let judged = site.judge(rcpt(recipient).login("alice"));
            let name = format!("submit {submit}, relay {relay}, {to}");
            rows.row(&name, "pass", word(&judged));
            let told = judged.decision.reason.map_or("pass", |reason| reason.as_str());
            rows.row(format!("{name}, reason"), reason, told);
        }
    }
    rows.end(9 * 6 * 2);
}

#[test]
fn observing_rights_are_told_and_change_nothing() {
    let mut rows = Rows::default();
    for (right, local, external) in [
        ("submit", vec!["submit-missing"], vec!["submit-missing", "relay-missing"]),
        ("relay", vec![], vec!["relay-missing"]),
    ] {
        let submit = if right == "submit" { "silent" } else { "allow" };
        let relay = if right == "submit" { "\n[relay]\nmode = 'observe'\n" } else { "" };
        let rules = format!(
            "{DOMAINS}{relay}[{right}]\nmode = 'observe'\n{}",
            grant("user = 'alice'", submit, "silent")
        );
        let site = Site::new(SUBMISSION, &rules, PEOPLE);
        for (to, expected) in [("bob@example.org", local), ("x@far.test", external)] {
            let judged = site.judge(rcpt(to).login("alice"));
            rows.row(format!("{right}, {to}"), "pass", word(&judged));
            let found = format!("{:?}", observed(&judged));
            rows.row(format!("{right}, {to}, told"), format!("{expected:?}"), found);
        }
    }
    rows.end(8);
}

#[test]
fn observing_grants_tell_what_they_would_change() {
    let observing =
        |rights: &str| format!("[[grant]]\ngroup = 'Direct'\nmode = 'observe'\n{rights}\n");
    let both = grant("user = 'alice'", "allow", "allow");
    let submit = grant("user = 'alice'", "allow", "silent");
    let denied = grant("user = 'alice'", "allow", "deny");
    let cases = [
        (
            "deny relay, observed",
            both.clone() + &observing("relay = 'deny'"),
            "pass",
            vec!["relay-denied"],
        ),
        (
            "deny submit, observed",
            both.clone() + &observing("submit = 'deny'"),
            "pass",
            vec!["submit-denied"],
        ),
        (
            "allow relay, observed",
            submit + &observing("relay = 'allow'"),
            "relay-missing",
            vec!["pass"],
        ),
        ("allow submit, observed", observing("submit = 'allow'"), "submit-missing", vec!["pass"]),
        (
            "allow against a deny, observed",
            denied + &observing("relay = 'allow'"),
            "relay-denied",
            vec![],
        ),
        ("allow what is allowed, observed", both + &observing("relay = 'allow'"), "pass", vec![]),
    ];
    let mut rows = Rows::default();
    for (name, grants, expected, noted) in cases {
        let site = Site::new(SUBMISSION, &format!("{DOMAINS}{grants}"), PEOPLE);
        let judged = site.judge(rcpt("x@far.test").login("alice"));
        rows.row(name, expected, word(&judged));
        rows.row(format!("{name}, told"), format!("{noted:?}"), format!("{:?}", observed(&judged)));
    }
    rows.end(12);
}

#[test]
fn ok_is_said_for_an_explicit_allow_of_the_relay_right_alone() {
    let rules = format!(
        "{DOMAINS}[relay]\nnetworks = ['192.0.2.0/28']\n[sender]\nownership = 'off'\n{}{}",
        grant("user = 'alice'", "allow", "allow"),
        grant("user = 'bob'", "allow", "silent")
    );
    let site = |listen: &str| Site::new(&format!("{listen}on-grant = 'ok'\n"), &rules, PEOPLE);
    type Who = fn(Facts) -> Facts;
    let (alice, bob, device): (Who, Who, Who) = (
        |facts| facts.login("alice"),
        |facts| facts.login("bob"),
        |facts| facts.client("192.0.2.7"),
    );
    let cases = [
        ("login, external", alice, "x@far.test", "grant"),
        ("login, routed", alice, "x%far.test@example.org", "grant"),
        ("login, local", alice, "bob@example.org", "pass"),
        ("login, shared", alice, "x@shared.example", "pass"),
        ("login, relay domain", alice, "x@partner.example", "pass"),
        ("login, no domain", alice, "postmaster", "pass"),
        ("network, external", device, "x@far.test", "grant"),
        ("network, local", device, "bob@example.org", "pass"),
        ("network, relay domain", device, "x@partner.example", "pass"),
        ("no right, external", bob, "x@far.test", "relay-missing"),
    ];
    let mut rows = Rows::default();
    for (facing, listen) in
        [("submission", SUBMISSION), ("internet", INTERNET), ("internal", INTERNAL)]
    {
        let site = site(listen);
        for (name, who, to, expected) in cases {
            rows.row(format!("{name}, {facing}"), expected, site.ask(who(rcpt(to))));
        }
        for stage in Stage::ALL.into_iter().filter(|stage| *stage != Stage::Rcpt) {
            let found = site.ask(alice(question(stage).recipient("x@far.test")));
            rows.row(format!("login, external, at {stage}, {facing}"), "pass", found);
        }
    }
    rows.end(3 * (10 + 7));
}

#[test]
fn dunno_is_the_default_answer_to_a_grant() {
    let rules = DOMAINS.to_string() + &grant("user = 'alice'", "allow", "allow");
    let site = Site::new(SUBMISSION, &rules, PEOPLE);
    assert_eq!(site.ask(rcpt("x@far.test").login("alice")), "pass");
}

#[test]
fn all_but_some_networks_never_counts_where_the_internet_comes_in_and_is_never_answered_ok() {
    let rules = format!(
        "{DOMAINS}[relay]\nnetworks-are = 'all-except'\nnetworks = ['198.51.100.0/24', {{ net = '198.51.100.7', relay = 'allow' }}, {{ net = '203.0.113.66', relay = 'deny' }}]"
    );
    let clients = [
        ("not on the list", "203.0.113.9", ["pass", "relay-without-login", "pass"]),
        (
            "excepted",
            "198.51.100.1",
            ["login-required", "relay-without-login", "relay-without-login"],
        ),
        ("allowed in an excepted network", "198.51.100.7", ["grant", "grant", "grant"]),
        (
            "denied",
            "203.0.113.66",
            ["login-required", "relay-without-login", "relay-without-login"],
        ),
        (
            "unknown address",
            "unknown",
            ["login-required", "relay-without-login", "relay-without-login"],
        ),
    ];
    let mut rows = Rows::default();
    for (facing, listen) in [SUBMISSION, INTERNET, INTERNAL].into_iter().enumerate() {
        let site = Site::new(&format!("{listen}on-grant = 'ok'\n"), &rules, PEOPLE);
        for (name, address, expected) in clients {
            let found = site.ask(rcpt("x@far.test").client(address));
            rows.row(format!("{name}, {listen}"), expected[facing], found);
        }
    }
    rows.end(15);
}
