//! Corners of the rights that were wrong once; each keeps its row.

mod common;

#[allow(dead_code, reason = "not every part is played here")]
#[path = "directory_trouble/scripted.rs"]
mod scripted;

use common::{Ask, INTERNET, SUBMISSION, Site, question, rcpt};
use gatepost::mail::Stage;
use gatepost::rights::{RecipientLookup, Restriction};
use scripted::{Play, Scripted};

const PEOPLE: &str = "
realms = ['example.org']
netbios = ['EXAMPLE']
[[account]]
login = 'alice'
addresses = ['alice@mail.example']
[[account]]
login = 'jörg'
addresses = ['jörg@bücher.example']
[[account]]
login = 'webmail'
aliases = ['www']
[[account]]
login = 'info'
state = 'disabled'
addresses = ['info@mail.example']
[[group]]
name = 'boss'
addresses = ['boss@mail.example']
accept-from = ['alice']
[[group]]
name = 'members'
addresses = ['members@mail.example']
authenticated-only = true
";

const EVERYBODY: &str = "
[domains]
local = ['mail.example']
[relay]
authenticated = true
";

#[test]
fn f01_a_deny_by_realm_or_netbios_name_holds_for_every_spelling() {
    for user in ["alice@example.org", "EXAMPLE\\alice"] {
        let rules = format!("{EVERYBODY}[[grant]]\nuser = '{user}'\nrelay = 'deny'\n");
        let site = Site::new(SUBMISSION, &rules, PEOPLE);
        for login in ["alice", "alice@example.org", "EXAMPLE\\alice", "alice@mail.example"] {
            let found = site.ask(rcpt("x@far.test").login(login));
            assert_eq!(found, "relay-denied", "{login}, denied as {user}");
        }
    }
}

fn restricted(on_failure: &str) -> String {
    format!(
        "{EVERYBODY}[recipient]\ndelivery-restrictions = 'enforce'\n[directory]\ntype = 'file'\nfile.path = '/dev/null'\ncache.on-failure = '{on_failure}'\n"
    )
}

/// The recipient is asked about for nobody, whom a reject list never names and an accept list
/// never either.
#[test]
fn f02_a_reject_list_is_not_skipped_while_the_author_cannot_be_looked_up() {
    let found = RecipientLookup::Found(Restriction::Open);
    let directory = Scripted { logins: Play::Unavailable, recipients: Some(found) };
    let site = Site::with_directory(SUBMISSION, &restricted("defer"), directory);
    assert_eq!(site.ask(rcpt("boss@mail.example").login("alice")), "directory-silent");
}

#[test]
fn f03_an_accept_list_refuses_nobody_for_good_while_the_author_cannot_be_looked_up() {
    let found = RecipientLookup::Found(Restriction::NotOnList);
    let directory = Scripted { logins: Play::Unavailable, recipients: Some(found) };
    let site = Site::with_directory(SUBMISSION, &restricted("defer"), directory);
    assert_eq!(site.ask(rcpt("boss@mail.example").login("alice")), "directory-silent");
}

#[test]
fn f04_a_reject_list_nobody_can_read_is_not_passed_by_failure() {
    for recipients in [RecipientLookup::Unavailable, RecipientLookup::Found(Restriction::Unknown)] {
        let directory = Scripted { logins: Play::Member(&[]), recipients: Some(recipients) };
        let site = Site::with_directory(SUBMISSION, &restricted("pass"), directory);
        assert_eq!(site.ask(rcpt("boss@mail.example").login("alice")), "directory-silent");
    }
}

#[test]
fn f05_an_observing_grant_alone_changes_no_reply() {
    let grant = "[domains]\nlocal = ['mail.example']\n[[grant]]\nuser = 'bob'\nrelay = 'deny'\nmode = 'observe'\n";
    let site = Site::without_directory(SUBMISSION, grant);
    assert_eq!(site.ask(rcpt("x@far.test").login("alice")), "pass");
    assert_eq!(site.ask(rcpt("alice@mail.example")), "pass");
}

#[test]
fn f06_a_relay_check_that_observes_never_says_ok() {
    let rules = "[domains]\nlocal = ['mail.example']\n[relay]\nmode = 'observe'\n[[grant]]\nuser = 'alice'\nsubmit = 'allow'\nrelay = 'allow'\n";
    let site = Site::new(&format!("{SUBMISSION}on-grant = 'ok'\n"), rules, PEOPLE);
    assert_eq!(site.ask(rcpt("x@far.test").login("alice")), "pass");
}

#[test]
fn f07_all_except_hides_no_explicit_allow_from_ok() {
    let rules = "[domains]\nlocal = ['mail.example']\n[relay]\nnetworks-are = 'all-except'\nhosts = ['p1.printers.example']\n[[grant]]\nuser = 'alice'\nsubmit = 'allow'\nrelay = 'allow'\n";
    let site = Site::new(&format!("{SUBMISSION}on-grant = 'ok'\n"), rules, PEOPLE);
    assert_eq!(site.ask(rcpt("x@far.test").login("alice")), "grant", "login");
    assert_eq!(site.ask(rcpt("x@far.test").host("p1.printers.example")), "grant", "host");
}

fn gateway(more: &str) -> Site {
    let rules = format!(
        "{EVERYBODY}networks = ['192.0.2.20']\n[recipient]\ndelivery-restrictions = 'enforce'\n[[gateway]]\nnet = '192.0.2.20'\nidentity = 'sender'\n{more}"
    );
    Site::new(SUBMISSION, &rules, PEOPLE)
}

#[test]
fn f08_the_owner_of_a_sender_gains_no_right_to_write_to_a_recipient() {
    let site = gateway("");
    for (to, expected) in [
        ("boss@mail.example", "recipient-restricted"),
        ("members@mail.example", "recipient-authenticated-only"),
    ] {
        let facts = rcpt(to).client("192.0.2.20");
        assert_eq!(site.ask(facts.clone()), expected, "null sender");
        assert_eq!(site.ask(facts.sender("alice@mail.example")), expected, "alice's address");
    }
}

#[test]
fn f09_a_disabled_mailbox_stays_a_sender_behind_a_gateway() {
    let site = gateway("[standing]\ndisabled = 'enforce'\n");
    let facts = rcpt("x@far.test").client("192.0.2.20").sender("info@mail.example");
    assert_eq!(site.ask(facts), "pass");
}

#[test]
fn f10_standing_of_an_owner_nobody_can_look_up_follows_on_failure() {
    let rules = format!(
        "{EVERYBODY}networks = ['192.0.2.20']\n[standing]\nlocked = 'enforce'\n[[gateway]]\nnet = '192.0.2.20'\nidentity = 'sender'\n"
    );
    let site = Site::with_directory(SUBMISSION, &rules, Scripted::new(Play::Unavailable));
    let facts = rcpt("x@far.test").client("192.0.2.20").sender("alice@mail.example");
    assert_eq!(site.ask(facts), "directory-silent");
}

#[test]
fn f11_an_ambiguous_owner_is_not_told_as_a_silent_directory() {
    let rules = format!(
        "{EVERYBODY}networks = ['192.0.2.20']\n[[gateway]]\nnet = '192.0.2.20'\nidentity = 'sender'\n[[grant]]\ngroup = 'Suspects'\nrelay = 'deny'\n"
    );
    let site = Site::with_directory(SUBMISSION, &rules, Scripted::new(Play::Ambiguous));
    let facts = rcpt("x@far.test").client("192.0.2.20").sender("alice@mail.example");
    assert_eq!(site.ask(facts), "login-ambiguous");
}

#[test]
fn f12_a_gateway_is_known_by_every_spelling_of_its_login() {
    let rules = format!(
        "{EVERYBODY}[sender]\nownership = 'enforce'\n[[gateway]]\nlogin = 'webmail'\nidentity = 'sender'\n"
    );
    let site = Site::new(SUBMISSION, &rules, PEOPLE);
    for login in ["webmail", "webmail@example.org", "EXAMPLE\\webmail", "www"] {
        let facts = rcpt("x@far.test").login(login).sender("alice@mail.example");
        assert_eq!(site.ask(facts), "pass", "{login}");
    }
}

#[test]
fn f13_a_login_the_directory_does_not_know_holds_no_right() {
    let rules = "[domains]\nlocal = ['mail.example']\n[[grant]]\nuser = 'ghost'\nsubmit = 'allow'\nrelay = 'allow'\n";
    let site = Site::new(SUBMISSION, rules, PEOPLE);
    assert_eq!(site.ask(rcpt("x@far.test").login("ghost")), "submit-missing");
}

#[test]
fn f14_who_logged_in_is_not_told_to_log_in() {
    let rules = format!("{EVERYBODY}[recipient]\ndelivery-restrictions = 'enforce'\n");
    let site = Site::new(INTERNET, &rules, PEOPLE);
    let found = site.ask(rcpt("members@mail.example").login("ghost"));
    assert_ne!(found, "recipient-authenticated-only");
}

#[test]
fn f15_an_address_in_an_idn_is_a_login_in_both_its_forms() {
    let rules = format!("{EVERYBODY}[standing]\nnot-found = 'enforce'\n");
    let site = Site::new(SUBMISSION, &rules, PEOPLE);
    for login in ["jörg@xn--bcher-kva.example", "jörg@bücher.example"] {
        assert_eq!(site.ask(rcpt("x@far.test").login(login)), "pass", "{login}");
    }
}

#[test]
fn f16_a_send_as_grant_for_all_below_a_domain_is_kept_or_refused() {
    let rules = format!(
        "{EVERYBODY}[sender]\nownership = 'enforce'\n[[sender.grant]]\nuser = 'alice'\nas = ['@.news.example']\n"
    );
    let text = common::config(SUBMISSION, &rules);
    let parsed = gatepost::config::parse("gatepost.toml", &text, "/".as_ref(), "mx1");
    if parsed.is_ok_and(|config| config.warnings.iter().all(|w| !w.to_string().contains(".news"))) {
        let site = Site::new(SUBMISSION, &rules, PEOPLE);
        let facts = rcpt("x@far.test").login("alice").sender("x@a.news.example");
        assert_eq!(site.ask(facts), "pass");
    }
}

#[test]
fn f17_one_address_given_twice_loses_no_restriction_unnoticed() {
    let twice = format!("{PEOPLE}[[group]]\nname = 'twin'\naddresses = ['boss@mail.example']\n");
    let folder = common::Folder::new();
    let path = folder.write("people.toml", &twice);
    assert!(gatepost::directory::FileDirectory::open(&path).is_err());
}

#[test]
fn f18_an_observing_deny_of_the_owner_behind_a_gateway_is_told() {
    let site = gateway("[[grant]]\nuser = 'alice'\nsubmit = 'deny'\nmode = 'observe'\n");
    let facts = rcpt("x@far.test").client("192.0.2.20").sender("alice@mail.example");
    assert_eq!(common::observed(&site.judge(facts)), ["submit-denied"]);
}

#[test]
fn f19_a_message_charged_at_rcpt_is_one_message() {
    let site = Site::new(&format!("{SUBMISSION}charge-at = 'rcpt'\n"), EVERYBODY, PEOPLE);
    for to in ["x@far.test", "y@far.test", "z@far.test"] {
        site.judge(question(Stage::Rcpt).login("alice").recipient(to));
    }
    assert_eq!(site.charged("alice"), (1, 3));
}

#[test]
fn f20_an_extension_of_the_sender_does_not_hide_its_owner_behind_a_gateway() {
    let rules = format!(
        "{EVERYBODY}networks = ['192.0.2.20']\n[[gateway]]\nnet = '192.0.2.20'\nidentity = 'sender'\n[[grant]]\nuser = 'alice'\nsubmit = 'deny'\n"
    )
    .replace("[domains]", "[domains]\nrecipient-delimiter = '+'");
    let site = Site::new(SUBMISSION, &rules, PEOPLE);
    for sender in ["alice@mail.example", "alice+x@mail.example"] {
        let facts = rcpt("x@far.test").client("192.0.2.20").sender(sender);
        assert_eq!(site.ask(facts), "submit-denied", "{sender}");
    }
}

#[test]
fn f21_a_right_given_to_every_login_is_no_explicit_allow() {
    let site = Site::new(&format!("{SUBMISSION}on-grant = 'ok'\n"), EVERYBODY, PEOPLE);
    assert_eq!(site.ask(rcpt("x@far.test").login("ghost")), "pass");
    assert_eq!(site.ask(rcpt("x@far.test").login("alice")), "pass");
}
