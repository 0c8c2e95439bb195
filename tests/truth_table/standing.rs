//! Standing: accounts the directory would not let in, logins it does not know, and everybody who
//! logged in.

use crate::common::{Ask, INTERNET, Rows, SUBMISSION, Site, observed, rcpt, word};

const PEOPLE: &str = "
[[account]]
login = 'alice'
addresses = ['alice@example.org']
aliases = ['office']
[[account]]
login = 'bob'
aliases = ['office']
[[account]]
login = 'info'
state = 'disabled'
addresses = ['info@example.org']
[[account]]
login = 'guest'
state = 'expired'
[[account]]
login = 'carol'
state = 'locked'
[[group]]
name = 'Denied'
members = ['bob']
[[group]]
name = 'Above'
groups = ['Denied']
";

const EVERYBODY: &str = "
[domains]
local = ['example.org']
[relay]
authenticated = true
";

#[test]
fn everybody_who_logged_in_but_not_those_who_are_denied() {
    let deny =
        |who: &str, right: &str| format!("{EVERYBODY}\n[[grant]]\n{who}\n{right} = 'deny'\n");
    let cases = [
        ("no grant", EVERYBODY.to_string(), "pass", "pass"),
        ("relay denied to the user", deny("user = 'bob'", "relay"), "pass", "relay-denied"),
        ("relay denied to a group", deny("group = 'Denied'", "relay"), "pass", "relay-denied"),
        ("relay denied by nesting", deny("group = 'Above'", "relay"), "pass", "relay-denied"),
        (
            "submit denied to the user",
            deny("user = 'bob'", "submit"),
            "submit-denied",
            "submit-denied",
        ),
        (
            "submit denied by nesting",
            deny("group = 'Above'", "submit"),
            "submit-denied",
            "submit-denied",
        ),
    ];
    let mut rows = Rows::default();
    for (name, rules, local, external) in &cases {
        for listen in [SUBMISSION, INTERNET] {
            let site = Site::new(listen, rules, PEOPLE);
            let ask = |login: &str, to: &str| site.ask(rcpt(to).login(login));
            rows.row(format!("bob, local, {name}"), local, ask("bob", "alice@example.org"));
            rows.row(format!("bob, external, {name}"), external, ask("bob", "x@far.test"));
            rows.row(format!("alice, external, {name}"), "pass", ask("alice", "x@far.test"));
        }
        let site = Site::new(INTERNET, rules, PEOPLE);
        let anonymous = site.ask(rcpt("x@far.test"));
        rows.row(format!("anonymous, {name}"), "relay-without-login", anonymous);
    }
    rows.end(6 * 7);
}

#[test]
fn a_login_the_directory_does_not_know() {
    let none = "[domains]\nlocal = ['example.org']\n[[grant]]\nuser = 'alice'\nsubmit = 'allow'\n";
    let cases = [
        ("off", none, "submit-missing", &[][..]),
        ("observe", none, "submit-missing", &["login-not-found"]),
        ("enforce", none, "login-not-found", &[]),
        ("off", EVERYBODY, "pass", &[]),
        ("observe", EVERYBODY, "pass", &["login-not-found"]),
        ("enforce", EVERYBODY, "login-not-found", &[]),
    ];
    let mut rows = Rows::default();
    for (mode, rules, expected, noted) in cases {
        let site =
            Site::new(SUBMISSION, &format!("{rules}\n[standing]\nnot-found = '{mode}'\n"), PEOPLE);
        for to in ["alice@example.org", "x@far.test"] {
            let name = format!("not-found = {mode}, {to}, everybody: {}", rules == EVERYBODY);
            let judged = site.judge(rcpt(to).login("ghost"));
            rows.row(&name, expected, word(&judged));
            rows.row(
                format!("{name}, observed"),
                format!("{noted:?}"),
                format!("{:?}", observed(&judged)),
            );
        }
    }
    rows.end(6 * 2 * 2);
}

#[test]
fn each_state_in_each_mode() {
    let states = [
        ("disabled", "info", "account-disabled"),
        ("expired", "guest", "account-expired"),
        ("locked", "carol", "account-locked"),
    ];
    let mut rows = Rows::default();
    for (state, login, reason) in states {
        for (mode, expected, noted) in
            [("off", "pass", None), ("observe", "pass", Some(reason)), ("enforce", reason, None)]
        {
            let rules = format!("{EVERYBODY}\n[standing]\n{state} = '{mode}'\n");
            // The other three stay at off.
            let others = states.iter().filter(|(other, ..)| *other != state);
            let others: String = others.map(|(other, ..)| format!("{other} = 'off'\n")).collect();
            let site = Site::new(SUBMISSION, &(rules + &others), PEOPLE);
            let judged = site.judge(rcpt("x@far.test").login(login));
            let name = format!("{state} = {mode}");
            rows.row(&name, expected, word(&judged));
            let found = format!("{:?}", observed(&judged).first().copied());
            rows.row(format!("{name}, observed"), format!("{noted:?}"), found);
            for (other, login, _) in states.iter().filter(|(other, ..)| *other != state) {
                let found = site.ask(rcpt("x@far.test").login(login));
                rows.row(format!("{other} while {name}"), "pass", found);
            }
        }
    }
    rows.end(3 * 3 * 4);
}

#[test]
fn only_a_locked_account_may_try_again() {
    let rules = format!(
        "{EVERYBODY}\n[standing]\ndisabled = 'enforce'\nexpired = 'enforce'\nlocked = 'enforce'\nnot-found = 'enforce'\n"
    );
    let site = Site::new(SUBMISSION, &rules, PEOPLE);
    let mut rows = Rows::default();
    for (login, action) in [
        ("info", "reject"),
        ("guest", "reject"),
        ("carol", "defer"),
        ("ghost", "reject"),
        ("office", "defer"),
        ("alice", "pass"),
    ] {
        rows.row(login, action, site.judge(rcpt("x@far.test").login(login)).decision.action());
    }
    rows.end(6);
}

#[test]
fn standing_comes_before_rights() {
    let rules = "
        [domains]
        local = ['example.org']
        [standing]
        disabled = 'enforce'
        not-found = 'enforce'
        [[grant]]
        user = 'info'
        submit = 'deny'
        [[grant]]
        user = 'ghost'
        submit = 'deny'";
    let site = Site::new(SUBMISSION, rules, PEOPLE);
    let mut rows = Rows::default();
    rows.row("disabled and denied", "account-disabled", site.ask(rcpt("x@far.test").login("info")));
    rows.row("unknown and denied", "login-not-found", site.ask(rcpt("x@far.test").login("ghost")));
    rows.end(2);
}

#[test]
fn a_disabled_account_stays_a_recipient_and_a_sender_of_others() {
    let rules = format!(
        "{EVERYBODY}
        [standing]
        disabled = 'enforce'
        [recipient]
        existence = 'enforce'
        [sender]
        ownership = 'enforce'
        [[sender.grant]]
        user = 'alice'
        as = ['info@example.org']"
    );
    let site = Site::new(SUBMISSION, &rules, PEOPLE);
    let mut rows = Rows::default();
    let to_it = rcpt("info@example.org").login("alice").sender("alice@example.org");
    rows.row("recipient", "pass", site.ask(to_it));
    let as_it = rcpt("x@far.test").sender("info@example.org");
    rows.row("sender of others", "pass", site.ask(as_it.clone().login("alice")));
    rows.row(
        "sender of those without a grant",
        "sender-not-owned",
        site.ask(as_it.clone().login("bob")),
    );
    rows.row("its own login", "account-disabled", site.ask(as_it.login("info")));
    rows.end(4);
}

#[test]
fn an_ambiguous_login_is_nobody_whatever_the_modes() {
    let off = "[standing]\ndisabled = 'off'\nexpired = 'off'\nlocked = 'off'\nnot-found = 'off'\n";
    let allowed = "[[grant]]\nuser = 'office'\nsubmit = 'allow'\nrelay = 'allow'\n";
    let observing = SUBMISSION.replace("enforce", "observe");
    let mut rows = Rows::default();
    for (name, listen, rules, expected) in [
        ("standing off", SUBMISSION, format!("{EVERYBODY}{off}"), "login-ambiguous"),
        ("allowed by name", SUBMISSION, format!("{EVERYBODY}{allowed}"), "login-ambiguous"),
        ("internet", INTERNET, EVERYBODY.into(), "login-ambiguous"),
        ("observing listener", &observing, EVERYBODY.into(), "pass"),
    ] {
        let judged = Site::new(listen, &rules, PEOPLE).judge(rcpt("x@far.test").login("office"));
        rows.row(name, expected, word(&judged));
        let reason = judged.decision.reason.map_or("none", |reason| reason.as_str());
        rows.row(format!("{name}, reason"), "login-ambiguous", reason);
    }
    rows.end(8);
}
