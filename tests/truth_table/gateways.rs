//! Gateways, which hide the login, and logins that are rewritten before they are looked up.

use gatepost::mail::{Facts, Reply, Stage};

use crate::common::{Ask, Rows, SUBMISSION, Site, question, rcpt};

const PEOPLE: &str = "
[[account]]
login = 'alice'
addresses = ['alice@example.org']
[[account]]
login = 'bob'
addresses = ['bob@example.org']
[[account]]
login = 'carol'
addresses = ['carol@example.org']
[[account]]
login = 'guest'
state = 'expired'
addresses = ['guest@example.org']
[[account]]
login = 'webmail'
addresses = ['webmail@example.org']
[[group]]
name = 'Trusted'
members = ['alice']
[[group]]
name = 'No relay'
members = ['bob']
[[group]]
name = 'No submit'
members = ['carol']
";

const GRANTS: &str = "
[domains]
local = ['example.org']
[standing]
expired = 'enforce'
[sender]
ownership = 'enforce'
[[grant]]
group = 'Trusted'
submit = 'allow'
relay = 'allow'
[[grant]]
group = 'No relay'
submit = 'allow'
relay = 'deny'
[[grant]]
group = 'No submit'
submit = 'deny'
";

const GATEWAY: &str = "192.0.2.20";

/// Envelope sender, then what comes of local and of external mail.
type Senders = [(&'static str, &'static str, &'static str); 7];

fn ask_senders(
    rows: &mut Rows,
    name: &str,
    site: &Site,
    senders: Senders,
    who: fn(Facts) -> Facts,
) {
    for (sender, local, external) in senders {
        for (to, expected) in [("alice@example.org", local), ("x@far.test", external)] {
            let found = site.ask(who(rcpt(to)).sender(sender));
            rows.row(format!("{name}, from '{sender}' to {to}"), expected, found);
        }
    }
}

fn from_gateway(facts: Facts) -> Facts {
    facts.client(GATEWAY)
}

fn by_network(identity: &str, relay: &str) -> Site {
    let gateway = format!("[[gateway]]\nnet = '{GATEWAY}'\nidentity = '{identity}'\n");
    Site::new(SUBMISSION, &format!("{GRANTS}{gateway}[relay]\nnetworks = [{relay}]\n"), PEOPLE)
}

#[test]
fn the_owner_of_the_sender_takes_rights_and_gives_none() {
    let owners = |external: &'static str| -> Senders {
        [
            ("alice@example.org", "pass", external),
            ("bob@example.org", "pass", if external == "pass" { "relay-denied" } else { external }),
            ("carol@example.org", "submit-denied", "submit-denied"),
            ("guest@example.org", "account-expired", "account-expired"),
            ("nobody@example.org", "pass", external),
            ("x@far.test", "pass", external),
            ("", "pass", external),
        ]
    };
    let mut rows = Rows::default();
    let mut plain = owners("relay-without-login");
    plain[1].2 = "relay-denied";
    ask_senders(&mut rows, "no relay network", &by_network("sender", ""), plain, from_gateway);
    let site = by_network("sender", &format!("'{GATEWAY}'"));
    ask_senders(&mut rows, "relay network", &site, owners("pass"), from_gateway);
    let site = by_network("sender", &format!("{{ net = '{GATEWAY}', relay = 'deny' }}"));
    ask_senders(&mut rows, "denied network", &site, plain_denied(plain), from_gateway);
    rows.end(3 * 7 * 2);
}

/// A client that is denied the relay right, and an owner who is denied it as well: the client's
/// deny is told.
fn plain_denied(mut senders: Senders) -> Senders {
    senders[1].2 = "relay-without-login";
    senders
}

#[test]
fn where_nobody_is_named_the_sender_counts_for_nothing() {
    let all = |external: &'static str| -> Senders {
        [
            ("alice@example.org", "pass", external),
            ("bob@example.org", "pass", external),
            ("carol@example.org", "pass", external),
            ("guest@example.org", "pass", external),
            ("nobody@example.org", "pass", external),
            ("x@far.test", "pass", external),
            ("", "pass", external),
        ]
    };
    let mut rows = Rows::default();
    let site = by_network("none", "");
    ask_senders(&mut rows, "none", &site, all("relay-without-login"), from_gateway);
    let site = by_network("none", "'192.0.2.0/24'");
    ask_senders(&mut rows, "none in a relay network", &site, all("pass"), from_gateway);
    rows.end(2 * 7 * 2);
}

#[test]
fn a_login_passed_on_by_the_gateway_is_judged_as_that_login() {
    let mut rows = Rows::default();
    for identity in ["xclient", "sender", "none"] {
        let site = by_network(identity, "");
        for (login, sender, expected) in [
            ("alice", "alice@example.org", "pass"),
            ("alice", "bob@example.org", "sender-not-owned"),
            ("bob", "bob@example.org", "relay-denied"),
            ("carol", "carol@example.org", "submit-denied"),
            ("webmail", "alice@example.org", "submit-missing"),
        ] {
            let facts = rcpt("x@far.test").client(GATEWAY).login(login).sender(sender);
            rows.row(format!("{login} as {sender}, {identity}"), expected, site.ask(facts));
        }
    }
    rows.end(3 * 5);
}

#[test]
fn a_gateway_with_a_login_of_its_own() {
    let webmail = |who: Facts| who.login("webmail");
    let gateway = "[[gateway]]\nlogin = 'WebMail'\nidentity = 'sender'\n";
    let grant = |relay: &str| {
        format!(
            "{GRANTS}{gateway}[[grant]]\nuser = 'webmail'\nsubmit = 'allow'\nrelay = '{relay}'\n"
        )
    };
    let mut rows = Rows::default();
    let allowed: Senders = [
        ("alice@example.org", "pass", "pass"),
        ("bob@example.org", "pass", "relay-denied"),
        ("carol@example.org", "submit-denied", "submit-denied"),
        ("guest@example.org", "account-expired", "account-expired"),
        ("nobody@example.org", "pass", "pass"),
        ("x@far.test", "pass", "pass"),
        ("", "pass", "pass"),
    ];
    let site = Site::new(SUBMISSION, &grant("allow"), PEOPLE);
    ask_senders(&mut rows, "gateway allowed", &site, allowed, webmail);
    let denied = allowed.map(|(sender, local, external)| {
        (sender, local, if external == "pass" { "relay-denied" } else { external })
    });
    let site = Site::new(SUBMISSION, &grant("deny"), PEOPLE);
    ask_senders(&mut rows, "gateway denied", &site, denied, webmail);
    let site = Site::new(SUBMISSION, &format!("{GRANTS}{gateway}"), PEOPLE);
    let facts = rcpt("x@far.test").login("webmail").sender("alice@example.org");
    rows.row("gateway without a right", "submit-missing", site.ask(facts));
    rows.end(2 * 7 * 2 + 1);
}

#[test]
fn a_message_is_charged_to_the_owner_of_the_sender_or_to_nobody() {
    let end = |who: &str| {
        let facts = question(Stage::EndOfMessage).recipient("alice@example.org").recipients(2);
        facts.client(GATEWAY).sender(who)
    };
    let mut rows = Rows::default();
    for (identity, expected) in [("sender", (1, 2)), ("none", (0, 0)), ("xclient", (0, 0))] {
        let site = by_network(identity, "");
        site.judge(end("bob@example.org"));
        let found = format!("{:?}", site.charged("bob"));
        rows.row(identity, format!("{expected:?}"), found);
    }
    let rules = format!(
        "{GRANTS}[[gateway]]\nlogin = 'webmail'\nidentity = 'sender'\n[[grant]]\nuser = 'webmail'\nsubmit = 'allow'\n"
    );
    let site = Site::new(SUBMISSION, &rules, PEOPLE);
    site.judge(end("bob@example.org").login("webmail"));
    rows.row("the owner behind a login", "(1, 2)", format!("{:?}", site.charged("bob")));
    rows.row("the gateway's own login", "(0, 0)", format!("{:?}", site.charged("webmail")));
    rows.end(5);
}

#[test]
fn a_login_is_rewritten_before_it_is_looked_up() {
    let rules = format!(
        "{GRANTS}
        [[login.rewrite]]
        match = '^(?<login>[^+]+)\\+app-.*$'
        to = '$login'
        [[login.rewrite]]
        match = '^proxy/(?<login>.+)$'
        to = '${{login}}'
        [[login.rewrite]]
        match = '^proxy/alice$'
        to = 'carol'"
    );
    let site = Site::new(SUBMISSION, &rules, PEOPLE);
    let mut rows = Rows::default();
    for (login, sender, expected) in [
        ("alice+app-phone", "alice@example.org", "pass"),
        ("alice+app-phone", "bob@example.org", "sender-not-owned"),
        ("bob+app-phone", "bob@example.org", "relay-denied"),
        ("proxy/alice", "alice@example.org", "pass"),
        ("proxy/carol", "carol@example.org", "submit-denied"),
        ("alice+phone", "alice@example.org", "submit-missing"),
        ("alice", "alice@example.org", "pass"),
    ] {
        let facts = rcpt("x@far.test").login(login).sender(sender);
        rows.row(format!("{login} as {sender}"), expected, site.ask(facts));
    }
    rows.end(7);
    let end = question(Stage::EndOfMessage).sender("alice@example.org").login("alice+app-phone");
    site.judge(end);
    assert_eq!(site.charged("alice"), (1, 1), "the account is charged, whatever the spelling");
    let refused = site.judge(rcpt("x@far.test").login("bob+app-phone").sender("bob@example.org"));
    let Reply::Refuse(reply) = refused.decision.reply else { panic!("no refusal") };
    assert!(reply.text().contains("bob+app-phone"), "the raw login is told: {reply}");
}
