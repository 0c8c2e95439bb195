//! Stages other than RCPT, the id of a question, and the charge of a message.

use gatepost::mail::{AccountKey, Login, Stage};

use crate::common::{Ask, INTERNAL, INTERNET, Rows, SUBMISSION, Site, question, rcpt, word};
use crate::{DOMAINS, PEOPLE, grant};

fn rules() -> String {
    DOMAINS.to_string()
        + &grant("user = 'alice'", "allow", "silent")
        + &grant("user = 'bob'", "deny", "allow")
}

#[test]
fn what_is_judged_at_each_stage() {
    // Nobody and alice and bob on a submission listener; nobody on one that faces the Internet.
    let without_recipient = [
        (Stage::Connect, ["pass", "pass", "pass", "pass"]),
        (Stage::Helo, ["pass", "pass", "pass", "pass"]),
        (Stage::Etrn, ["pass", "pass", "pass", "pass"]),
        (Stage::Mail, ["login-required", "pass", "submit-denied", "pass"]),
        (Stage::Data, ["login-required", "pass", "submit-denied", "pass"]),
        (Stage::EndOfMessage, ["login-required", "pass", "submit-denied", "pass"]),
        (Stage::Vrfy, ["pass", "pass", "submit-denied", "pass"]),
    ];
    let external = |anonymous, internet| [anonymous, "relay-missing", "submit-denied", internet];
    let with_external = [
        (Stage::Connect, ["pass", "pass", "pass", "pass"]),
        (Stage::Helo, ["pass", "pass", "pass", "pass"]),
        (Stage::Etrn, ["pass", "pass", "pass", "pass"]),
        (Stage::Rcpt, external("login-required", "relay-without-login")),
        (Stage::Data, external("login-required", "relay-without-login")),
        (Stage::EndOfMessage, external("login-required", "relay-without-login")),
        (Stage::Vrfy, external("relay-without-login", "relay-without-login")),
    ];
    let unknown =
        |anonymous| [anonymous, "recipient-unknown", "submit-denied", "recipient-unknown"];
    let with_unknown = [
        (Stage::Rcpt, unknown("login-required")),
        (Stage::Data, unknown("login-required")),
        (Stage::EndOfMessage, unknown("login-required")),
        (Stage::Vrfy, unknown("recipient-unknown")),
    ];
    let (submission, internet) =
        (Site::new(SUBMISSION, &rules(), PEOPLE), Site::new(INTERNET, &rules(), PEOPLE));
    let mut rows = Rows::default();
    let tables = [
        (None, &without_recipient[..]),
        (Some("x@far.test"), &with_external),
        (Some("nobody@example.org"), &with_unknown),
    ];
    for (recipient, table) in tables {
        for &(stage, expected) in table {
            let facts = question(stage);
            let facts = recipient.into_iter().fold(facts, |facts, to| facts.recipient(to));
            let found = [
                submission.ask(facts.clone()),
                submission.ask(facts.clone().login("alice")),
                submission.ask(facts.clone().login("bob")),
                internet.ask(facts),
            ];
            for (who, (expected, found)) in expected.into_iter().zip(found).enumerate() {
                let who = ["anonymous", "alice", "bob", "anonymous, internet"][who];
                rows.row(format!("{stage}, {who}, to {recipient:?}"), expected, found);
            }
        }
    }
    rows.end(18 * 4);
}

#[test]
fn an_internal_listener_takes_local_mail_without_a_login() {
    let site = Site::new(INTERNAL, &rules(), PEOPLE);
    let mut rows = Rows::default();
    rows.row("local", "pass", site.ask(rcpt("bob@example.org")));
    rows.row("unknown", "recipient-unknown", site.ask(rcpt("nobody@example.org")));
    rows.row("external", "relay-without-login", site.ask(rcpt("x@far.test")));
    rows.row("login", "relay-missing", site.ask(rcpt("x@far.test").login("alice")));
    rows.end(4);
}

#[test]
fn without_directory_grants_and_relay_list_no_right_is_judged() {
    let site = Site::without_directory(SUBMISSION, "[domains]\nlocal = ['example.org']");
    let mut rows = Rows::default();
    rows.row("anonymous", "pass", site.ask(rcpt("x@far.test")));
    rows.row("login", "pass", site.ask(rcpt("x@far.test").login("anybody")));
    rows.end(2);
}

#[test]
fn a_repeated_question_has_the_same_id_and_another_one_another() {
    let site = Site::new(SUBMISSION, &rules(), PEOPLE);
    let facts = || rcpt("x@far.test").login("alice").sender("alice@example.org");
    let first = site.judge(facts());
    let id = first.case().id();
    let mut rows = Rows::default();
    rows.row("asked again", id, site.judge(facts()).case().id());
    rows.row("previewed", id, site.preview(facts()).case().id());
    rows.row(
        "asked of another process",
        id,
        Site::new(SUBMISSION, &rules(), PEOPLE).judge(facts()).case().id(),
    );
    rows.row("the login in other letters", id, site.judge(facts().login("ALICE")).case().id());
    assert_eq!(first.decision, site.judge(facts()).decision);
    let others = [
        facts().recipient("y@far.test"),
        facts().sender("bob@example.org"),
        facts().login("bob"),
        facts().instance("1f2e.6561.3a.1"),
        facts().client("203.0.113.10"),
        facts().host("a.example.org"),
        question(Stage::Data).recipient("x@far.test").login("alice").sender("alice@example.org"),
    ];
    for (index, other) in others.into_iter().enumerate() {
        rows.row(format!("other {index}"), false, site.judge(other).case().id() == id);
    }
    rows.end(11);
}

#[test]
fn a_message_is_charged_once_however_often_it_is_asked() {
    let end = |instance: &str| {
        let facts = question(Stage::EndOfMessage).login("alice").instance(instance);
        facts.sender("alice@example.org").recipients(3)
    };
    let site = Site::new(SUBMISSION, &rules(), PEOPLE);
    let mut rows = Rows::default();
    let mut step = |name: &str, facts, expected: (u64, u64)| {
        assert_eq!(word(&site.judge(facts)), "pass", "{name}");
        rows.row(name, format!("{expected:?}"), format!("{:?}", site.charged("alice")));
    };
    step("first", end("1"), (1, 3));
    step("asked again", end("1"), (1, 3));
    step("the same transaction under an address", end("1").login("alice@example.org"), (1, 3));
    step("the next message", end("2"), (2, 6));
    step(
        "a stage that is not charged",
        rcpt("bob@example.org").login("alice").instance("3"),
        (2, 6),
    );
    step("no recipients told", end("4").recipients(0), (3, 7));
    site.preview(end("5"));
    rows.row("previewed", "(3, 7)", format!("{:?}", site.charged("alice")));
    rows.end(7);
}

#[test]
fn a_refused_message_is_not_charged() {
    let end = || question(Stage::EndOfMessage).login("bob").recipients(3);
    let site = Site::new(SUBMISSION, &rules(), PEOPLE);
    assert_eq!(site.ask(end()), "submit-denied");
    assert_eq!(site.charged("bob"), (0, 0));
    let observing = Site::new(&SUBMISSION.replace("enforce", "observe"), &rules(), PEOPLE);
    assert_eq!(observing.ask(end()), "pass");
    assert_eq!(observing.charged("bob"), (1, 3), "an observing listener lets it through");
}

#[test]
fn a_message_is_charged_at_the_stage_of_the_listener() {
    let stages = [
        ("rcpt", Stage::Rcpt, (1, 1)),
        ("data", Stage::Data, (1, 3)),
        ("end-of-message", Stage::EndOfMessage, (1, 3)),
    ];
    let mut rows = Rows::default();
    for (at, _, _) in stages.into_iter().chain([("never", Stage::Mail, (0, 0))]) {
        for (_, stage, charge) in stages {
            let listen = format!("{SUBMISSION}charge-at = '{at}'\n");
            let site = Site::new(&listen, &rules(), PEOPLE);
            let facts = || question(stage).login("alice").recipients(3);
            let facts = || {
                if stage == Stage::Rcpt { facts().recipient("bob@example.org") } else { facts() }
            };
            site.judge(facts());
            site.judge(facts());
            let expected = if at == stage.as_str() { charge } else { (0, 0) };
            let found = format!("{:?}", site.charged("alice"));
            rows.row(format!("{at} at {stage}"), format!("{expected:?}"), found);
        }
    }
    rows.end(4 * 3);
}

#[test]
fn a_login_nobody_resolves_is_charged_under_its_own_name() {
    let rules = "[domains]\nlocal = ['example.org']\n[relay]\nauthenticated = true\n";
    let site = Site::new(SUBMISSION, rules, PEOPLE);
    site.judge(question(Stage::EndOfMessage).login("Ghost").recipients(2));
    let ghost = Login::parse(b"ghost").expect("a login");
    assert_eq!(site.charged_to(&AccountKey::unresolved(&ghost)), (1, 2));
    site.judge(question(Stage::EndOfMessage).recipients(2));
    assert_eq!(site.charged("ghost"), (0, 0));
}
