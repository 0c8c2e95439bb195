//! A directory in trouble: silent, hanging, ambiguous, or knowing only some of the groups. What an
//! allow may settle follows `on-failure`; what a deny may settle is never skipped.

mod common;

#[path = "directory_trouble/scripted.rs"]
mod scripted;

use common::{Ask, Rows, SUBMISSION, Site, question, rcpt, word};
use gatepost::decision::Outcome;
use gatepost::mail::{Facts, Stage};
use gatepost::rights::Membership::{No, Unknown, Yes};
use gatepost::rights::{RecipientLookup, Restriction};
use scripted::Play::{self, Ambiguous, Hangs, Member, Unavailable};
use scripted::Scripted;

const DOMAINS: &str = "
[domains]
local = ['example.org']
[standing]
disabled = 'observe'
";

/// Both rights by group, in the order of the groups Submit, Relay.
const ALLOWED: &str = "
[[grant]]
group = 'Submit'
submit = 'allow'
[[grant]]
group = 'Relay'
relay = 'allow'
";

fn rules(on_failure: &str, more: &str) -> String {
    // A directory file would be read; the table beside it says what a missing answer means.
    format!(
        "{DOMAINS}{more}\n[directory]\ntype = 'file'\nfile.path = '/dev/null'\ncache.on-failure = '{on_failure}'\n"
    )
}

fn site(on_failure: &str, more: &str, logins: Play) -> Site {
    Site::with_directory(SUBMISSION, &rules(on_failure, more), Scripted::new(logins))
}

fn external() -> Facts {
    rcpt("x@far.test").login("alice")
}

fn local() -> Facts {
    rcpt("bob@example.org").login("alice")
}

#[test]
fn an_allow_nobody_can_confirm_follows_on_failure() {
    let silent = "directory-silent";
    let cases = [
        ("unavailable", Unavailable, ["pass", silent, silent]),
        ("hanging", Hangs, ["pass", silent, silent]),
        ("submit unknown, relay yes", Member(&[Unknown, Yes]), ["pass", silent, silent]),
        ("submit yes, relay unknown", Member(&[Yes, Unknown]), ["pass", silent, "pass"]),
        ("both yes", Member(&[Yes, Yes]), ["pass", "pass", "pass"]),
    ];
    let mut rows = Rows::default();
    for (name, logins, [passing, deferring, deferring_local]) in cases {
        let pass = site("pass", ALLOWED, logins);
        rows.row(format!("{name}, pass, external"), passing, pass.ask(external()));
        rows.row(format!("{name}, pass, local"), passing, pass.ask(local()));
        let defer = site("defer", ALLOWED, logins);
        rows.row(format!("{name}, defer, external"), deferring, defer.ask(external()));
        rows.row(format!("{name}, defer, local"), deferring_local, defer.ask(local()));
    }
    rows.end(5 * 4);
}

#[test]
fn no_is_no_and_silence_is_no_whatever_on_failure_says() {
    let mut rows = Rows::default();
    for on_failure in ["pass", "defer"] {
        let no = site(on_failure, ALLOWED, Member(&[No, Yes]));
        rows.row(format!("submit no, {on_failure}"), "submit-missing", no.ask(external()));
        let no = site(on_failure, ALLOWED, Member(&[Yes, No]));
        rows.row(format!("relay no, {on_failure}"), "relay-missing", no.ask(external()));
        let nothing = site(on_failure, "", Unavailable);
        rows.row(format!("nothing allows, {on_failure}"), "submit-missing", nothing.ask(local()));
    }
    rows.end(6);
}

/// The groups are Submit, Relay and Suspects, in this order.
#[test]
fn a_deny_nobody_can_rule_out_is_never_skipped() {
    let relay = format!("{ALLOWED}[[grant]]\ngroup = 'Suspects'\nrelay = 'deny'\n");
    let submit = format!("{ALLOWED}[[grant]]\ngroup = 'Suspects'\nsubmit = 'deny'\n");
    let silent = "directory-silent";
    let mut rows = Rows::default();
    for on_failure in ["pass", "defer"] {
        for (name, logins, by_relay, by_submit) in [
            ("suspect unknown", Member(&[Yes, Yes, Unknown]), silent, silent),
            ("suspect", Member(&[Yes, Yes, Yes]), "relay-denied", "submit-denied"),
            ("suspect, all else unknown", Member(&[Unknown, Unknown, Yes]), "*", "submit-denied"),
            ("no suspect", Member(&[Yes, Yes, No]), "pass", "pass"),
            ("unavailable", Unavailable, silent, silent),
            ("hanging", Hangs, silent, silent),
        ] {
            let name = format!("{name}, {on_failure}");
            // Where submit itself is unknown it is asked first.
            let by_relay = match (by_relay, on_failure) {
                ("*", "pass") => "relay-denied",
                ("*", _) => silent,
                (expected, _) => expected,
            };
            let found = site(on_failure, &relay, logins).ask(external());
            rows.row(format!("relay deny, {name}"), by_relay, found);
            let found = site(on_failure, &submit, logins).ask(external());
            rows.row(format!("submit deny, {name}"), by_submit, found);
        }
    }
    rows.end(2 * 6 * 2);
}

#[test]
fn a_deny_of_another_user_may_be_meant_for_an_alias() {
    let deny = |user: &str| {
        format!("[relay]\nauthenticated = true\n[[grant]]\nuser = '{user}'\nrelay = 'deny'\n")
    };
    let mut rows = Rows::default();
    for on_failure in ["pass", "defer"] {
        let ask = |user: &str, logins| site(on_failure, &deny(user), logins).ask(external());
        rows.row(format!("bob, silent, {on_failure}"), "directory-silent", ask("bob", Unavailable));
        rows.row(format!("bob, found, {on_failure}"), "pass", ask("bob", Member(&[])));
        rows.row(format!("alice, silent, {on_failure}"), "relay-denied", ask("Alice", Unavailable));
        rows.row(format!("alice, found, {on_failure}"), "relay-denied", ask("Alice", Member(&[])));
    }
    rows.end(8);
}

#[test]
fn an_allow_by_name_needs_no_directory() {
    let allow = "[[grant]]\nuser = 'alice'\nsubmit = 'allow'\nrelay = 'allow'\n";
    let mut rows = Rows::default();
    for (name, logins) in [("unavailable", Unavailable), ("hanging", Hangs)] {
        rows.row(name, "pass", site("defer", allow, logins).ask(external()));
        let other = site("defer", allow, logins).ask(external().login("bob"));
        rows.row(format!("{name}, another login"), "directory-silent", other);
    }
    rows.end(4);
}

#[test]
fn everybody_who_logged_in_while_the_directory_is_silent() {
    let everybody = "[relay]\nauthenticated = true\n";
    let denied = format!("{everybody}[[grant]]\ngroup = 'Suspects'\nrelay = 'deny'\n");
    let observing = denied.replace("'deny'\n", "'deny'\nmode = 'observe'\n");
    let mut rows = Rows::default();
    for on_failure in ["pass", "defer"] {
        for (name, logins) in [("unavailable", Unavailable), ("hanging", Hangs)] {
            let name = format!("{name}, {on_failure}");
            let ask = |more: &str, facts| site(on_failure, more, logins).ask(facts);
            rows.row(format!("no deny, {name}"), "pass", ask(everybody, external()));
            rows.row(format!("a deny, {name}"), "directory-silent", ask(&denied, external()));
            rows.row(format!("a deny, local mail, {name}"), "pass", ask(&denied, local()));
            rows.row(format!("an observing deny, {name}"), "pass", ask(&observing, external()));
        }
    }
    rows.end(2 * 2 * 4);
}

#[test]
fn a_trusted_client_relays_while_the_directory_is_silent_unless_its_login_may_be_denied() {
    let network = format!("{ALLOWED}[relay]\nnetworks = ['192.0.2.0/24']\n");
    let denied = format!("{network}[[grant]]\ngroup = 'Suspects'\nrelay = 'deny'\n");
    let mut rows = Rows::default();
    let from = |facts: Facts| facts.client("192.0.2.7");
    let pass = |more: &str, facts| site("pass", more, Unavailable).ask(facts);
    rows.row("no login", "pass", pass(&denied, from(rcpt("x@far.test"))));
    rows.row("login", "pass", pass(&network, from(external())));
    rows.row("login, perhaps denied", "directory-silent", pass(&denied, from(external())));
    let defer = site("defer", &network, Member(&[Yes, Unknown])).ask(from(external()));
    rows.row("login, relay unknown", "pass", defer);
    rows.end(4);
}

#[test]
fn standing_nobody_can_tell_follows_on_failure_where_it_is_enforced() {
    let allow = "[[grant]]\nuser = 'alice'\nsubmit = 'allow'\nrelay = 'allow'\n";
    let mut rows = Rows::default();
    for key in ["disabled", "expired", "locked", "not-found"] {
        for (mode, on_failure, expected) in [
            ("enforce", "defer", "directory-silent"),
            ("enforce", "pass", "pass"),
            ("observe", "defer", "pass"),
            ("off", "defer", "pass"),
        ] {
            let more = format!("{allow}[standing]\n{key} = '{mode}'\n");
            let rules =
                rules(on_failure, &more).replacen("[standing]\ndisabled = 'observe'\n", "", 1);
            let site = Site::with_directory(SUBMISSION, &rules, Scripted::new(Unavailable));
            rows.row(format!("{key} = {mode}, {on_failure}"), expected, site.ask(external()));
        }
    }
    rows.end(16);
}

#[test]
fn ambiguous_is_no_silence() {
    let mut rows = Rows::default();
    for on_failure in ["pass", "defer"] {
        let site = site(on_failure, ALLOWED, Ambiguous);
        rows.row(on_failure, "login-ambiguous", site.ask(external()));
        rows.row(format!("{on_failure}, local"), "login-ambiguous", site.ask(local()));
    }
    rows.end(4);
}

#[test]
fn a_sender_nobody_can_place_follows_on_failure() {
    let rules = "[relay]\nauthenticated = true\n[sender]\nownership = 'MODE'\n[[sender.grant]]\nuser = 'alice'\nas = ['press@example.org']\n";
    let mut rows = Rows::default();
    for (mode, on_failure, expected) in [
        ("enforce", "defer", "directory-silent"),
        ("enforce", "pass", "pass"),
        ("observe", "defer", "pass"),
    ] {
        let site = site(on_failure, &rules.replace("MODE", mode), Unavailable);
        let name = format!("{mode}, {on_failure}");
        rows.row(&name, expected, site.ask(external().sender("alice@example.org")));
        rows.row(format!("{name}, null sender"), "pass", site.ask(external()));
        let granted = external().sender("press@example.org");
        rows.row(format!("{name}, granted by name"), "pass", site.ask(granted));
    }
    rows.end(9);
}

#[test]
fn a_recipient_nobody_can_find() {
    let everybody = "[relay]\nauthenticated = true\n[recipient]\n";
    let silent = Some(RecipientLookup::Unavailable);
    let mut rows = Rows::default();
    for (existence, on_failure, expected) in [
        ("enforce", "defer", "directory-silent"),
        ("enforce", "pass", "pass"),
        ("observe", "defer", "pass"),
        ("off", "defer", "pass"),
    ] {
        for (name, recipients) in [("unavailable", silent.clone()), ("hanging", None)] {
            let rules = rules(on_failure, &format!("{everybody}existence = '{existence}'\n"));
            let directory = Scripted { logins: Member(&[]), recipients };
            let site = Site::with_directory(SUBMISSION, &rules, directory);
            let found = site.ask(local());
            rows.row(format!("{name}, {existence}, {on_failure}"), expected, found);
        }
    }
    let rules = rules("defer", &format!("{everybody}delivery-restrictions = 'enforce'\n"));
    let recipients = Some(RecipientLookup::Found(Restriction::Unknown));
    let directory = Scripted { logins: Member(&[]), recipients };
    let site = Site::with_directory(SUBMISSION, &rules, directory);
    rows.row("restrictions unknown", "directory-silent", site.ask(local()));
    rows.row("external mail is not looked up", "pass", site.ask(external()));
    rows.end(10);
}

/// Login, the owner behind a gateway, recipient, and the recipient without its extension.
#[test]
fn a_directory_that_hangs_at_every_lookup_is_answered_in_time() {
    let more = "
        [recipient]
        existence = 'enforce'
        [[gateway]]
        login = 'webmail'
        identity = 'sender'
        [relay]
        authenticated = true
        [[grant]]
        group = 'Suspects'
        submit = 'deny'";
    for on_failure in ["pass", "defer"] {
        let directory = Scripted { logins: Hangs, recipients: None };
        let site = Site::with_directory(SUBMISSION, &rules(on_failure, more), directory);
        let facts = rcpt("bob+x@example.org").login("webmail").sender("alice@example.org");
        let judged = site.judge_in_time(facts).expect("an answer before the mail server gives up");
        assert_eq!(word(&judged), "directory-silent", "{on_failure}");
        assert_eq!(judged.decision.action(), "defer", "{on_failure}");
    }
}

#[test]
fn the_owner_behind_a_gateway_may_be_denied_and_is_not_skipped() {
    let more = "
        [relay]
        networks = ['192.0.2.20']
        [[gateway]]
        net = '192.0.2.20'
        identity = 'sender'
        [[grant]]
        group = 'Suspects'
        relay = 'deny'";
    let facts = || rcpt("x@far.test").client("192.0.2.20").sender("alice@example.org");
    let mut rows = Rows::default();
    for (name, logins, expected) in [
        ("unavailable", Unavailable, "directory-silent"),
        ("hanging", Hangs, "directory-silent"),
        ("suspect unknown", Member(&[Unknown]), "directory-silent"),
        ("suspect", Member(&[Yes]), "relay-denied"),
        ("no suspect", Member(&[No]), "pass"),
    ] {
        rows.row(name, expected, site("pass", more, logins).ask(facts()));
        rows.row(
            format!("{name}, null sender"),
            "pass",
            site("pass", more, logins).ask(facts().sender("")),
        );
    }
    rows.end(10);
}

#[test]
fn a_pass_by_failure_is_marked_and_never_answered_ok() {
    let listen = format!("{SUBMISSION}on-grant = 'ok'\n");
    let by_name = format!("{ALLOWED}[[grant]]\nuser = 'alice'\nrelay = 'allow'\n");
    let standing = "[[grant]]\nuser = 'alice'\nsubmit = 'allow'\nrelay = 'allow'\n";
    let standing = rules("pass", standing).replace("'observe'", "'enforce'");
    let mut rows = Rows::default();
    for (name, rules, logins, expected, by_failure) in [
        ("both known", rules("pass", ALLOWED), Member(&[Yes, Yes]), "grant", false),
        ("relay unknown", rules("pass", ALLOWED), Member(&[Yes, Unknown]), "pass", true),
        ("submit unknown", rules("pass", ALLOWED), Member(&[Unknown, Yes]), "pass", true),
        ("relay by name, submit unknown", rules("pass", &by_name), Unavailable, "pass", true),
        ("both by name, standing unknown", standing, Unavailable, "pass", true),
    ] {
        let site = Site::with_directory(&listen, &rules, Scripted::new(logins));
        let judged = site.judge(external());
        rows.row(name, expected, word(&judged));
        let marked =
            judged.decision.trail.iter().any(|step| step.outcome == Outcome::PassByFailure);
        rows.row(format!("{name}, marked"), by_failure, marked);
    }
    rows.end(10);
}

#[test]
fn mail_without_a_login_asks_nothing_of_the_directory() {
    let more = "[relay]\nnetworks = ['192.0.2.0/24']\n";
    let mut rows = Rows::default();
    let ask = |facts| site("defer", more, Hangs).ask(facts);
    rows.row("device", "pass", ask(rcpt("x@far.test").client("192.0.2.7")));
    rows.row("anonymous", "login-required", ask(rcpt("x@far.test")));
    for stage in [Stage::Connect, Stage::Helo, Stage::Etrn] {
        rows.row(stage, "pass", ask(question(stage).login("alice")));
    }
    rows.end(5);
}
