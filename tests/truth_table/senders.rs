//! Sender ownership: own addresses, the null sender, extensions, send-as grants, foreign addresses.

use gatepost::mail::Stage;

use crate::common::{Ask, Rows, SUBMISSION, Site, observed, question, rcpt, word};

const PEOPLE: &str = "
[[account]]
login = 'alice'
addresses = ['alice@example.org', 'a.smith@example.org']
[[account]]
login = 'bob'
addresses = ['bob@example.org']
[[account]]
login = 'nemo'
[[group]]
name = 'Press'
groups = ['Press North']
[[group]]
name = 'Press North'
members = ['alice']
";

/// `recipient-delimiter` and `ownership` are filled in.
fn rules(delimiter: &str, ownership: &str) -> String {
    format!(
        "[domains]
        local = ['example.org']
        recipient-delimiter = '{delimiter}'
        [relay]
        authenticated = true
        [sender]
        ownership = '{ownership}'
        [[sender.grant]]
        group = 'press'
        as = ['press@example.org', '@news.example.org']
        [[sender.grant]]
        user = 'bob'
        as = ['postmaster@example.org']"
    )
}

/// Login, sender, and whether it may be used with `+` as delimiter.
const SENDERS: [(&str, &str, &str, bool); 20] = [
    ("own address", "alice", "alice@example.org", true),
    ("second own address", "alice", "a.smith@example.org", true),
    ("own address in other letters", "ALICE", "Alice@EXAMPLE.org", true),
    ("login by address", "alice@example.org", "a.smith@example.org", true),
    ("null sender", "alice", "", true),
    ("null sender of one without addresses", "nemo", "", true),
    ("extension of an own address", "alice", "alice+lists@example.org", true),
    ("extension of a granted address", "bob", "postmaster+dmarc@example.org", true),
    ("extension of another's address", "bob", "alice+lists@example.org", false),
    ("what is no extension", "alice", "alice-lists@example.org", false),
    ("another's address", "alice", "bob@example.org", false),
    ("nobody's address", "alice", "nobody@example.org", false),
    ("foreign address", "alice", "alice@far.test", false),
    ("an address without a domain", "alice", "alice", false),
    ("granted to a group above", "alice", "press@example.org", true),
    ("granted domain", "alice", "anything@News.Example.org", true),
    ("below a granted domain", "alice", "anything@a.news.example.org", false),
    ("granted to the user", "bob", "postmaster@example.org", true),
    ("granted to a group, no member", "bob", "press@example.org", false),
    ("granted to another user", "alice", "postmaster@example.org", false),
];

#[test]
fn whose_sender_it_is() {
    let site = Site::new(SUBMISSION, &rules("+", "enforce"), PEOPLE);
    let mut rows = Rows::default();
    for (name, login, sender, owned) in SENDERS {
        let expected = if owned { "pass" } else { "sender-not-owned" };
        for to in ["bob@example.org", "x@far.test"] {
            let found = site.ask(rcpt(to).login(login).sender(sender));
            rows.row(format!("{name}, to {to}"), expected, found);
        }
        let at_mail = question(Stage::Mail).login(login).sender(sender);
        rows.row(format!("{name}, at MAIL"), expected, site.ask(at_mail));
    }
    rows.end(20 * 3);
}

#[test]
fn observing_tells_and_off_does_not_ask() {
    let mut rows = Rows::default();
    for (mode, noted) in [("observe", true), ("off", false)] {
        let site = Site::new(SUBMISSION, &rules("+", mode), PEOPLE);
        for (name, login, sender, owned) in SENDERS {
            let judged = site.judge(rcpt("x@far.test").login(login).sender(sender));
            rows.row(format!("{name}, {mode}"), "pass", word(&judged));
            let tells = observed(&judged) == ["sender-not-owned"];
            rows.row(format!("{name}, {mode}, told"), noted && !owned, tells);
        }
    }
    rows.end(2 * 20 * 2);
}

#[test]
fn without_a_delimiter_there_are_no_extensions() {
    let site = Site::new(SUBMISSION, &rules("", "enforce"), PEOPLE);
    let found = site.ask(rcpt("x@far.test").login("alice").sender("alice+lists@example.org"));
    assert_eq!(found, "sender-not-owned");
}

#[test]
fn unknown_logins_own_nothing_and_mail_without_a_login_is_not_asked() {
    let listen = SUBMISSION.replace("submission", "internal");
    let site = Site::new(&listen, &rules("+", "enforce"), PEOPLE);
    let mut rows = Rows::default();
    let ghost = rcpt("bob@example.org").login("ghost");
    rows.row(
        "unknown login",
        "sender-not-owned",
        site.ask(ghost.clone().sender("alice@example.org")),
    );
    rows.row("unknown login, null sender", "pass", site.ask(ghost));
    let anonymous = rcpt("bob@example.org").sender("alice@example.org");
    rows.row("no login", "pass", site.ask(anonymous));
    rows.end(3);
}

#[test]
fn submit_comes_before_the_sender_and_the_sender_before_relay() {
    let rules = rules("+", "enforce")
        + "\n[[grant]]\nuser = 'bob'\nsubmit = 'deny'\n[[grant]]\nuser = 'alice'\nrelay = 'deny'\n";
    let site = Site::new(SUBMISSION, &rules, PEOPLE);
    let mut rows = Rows::default();
    let foreign = rcpt("x@far.test").sender("x@far.test");
    rows.row("submit denied", "submit-denied", site.ask(foreign.clone().login("bob")));
    rows.row("relay denied", "sender-not-owned", site.ask(foreign.login("alice")));
    rows.end(2);
}
