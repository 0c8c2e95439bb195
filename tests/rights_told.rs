//! What is told of rights: who a login is and what it holds, and who holds a right; and that it is
//! what the rules then do.

mod common;

#[path = "directory_trouble/scripted.rs"]
mod scripted;

use common::{Ask, Rows, SUBMISSION, Site, question, rcpt, word};
use gatepost::decision::{Found, HoldersHead, HoldersLine, May, RightHolder, Verdict};
use gatepost::mail::Stage;
use gatepost::rights::Membership::{No, Unknown, Yes};
use gatepost::rights::Right;
use scripted::{Play, Scripted};

const PEOPLE: &str = "
realms = ['example.org']
[[account]]
login = 'alice'
addresses = ['alice@example.org', 'a.liddell@example.org']
[[account]]
login = 'Bob'
id = '7'
[[account]]
login = 'carol'
[[account]]
login = 'dora'
state = 'disabled'
[[account]]
login = 'erik'
state = 'locked'
[[account]]
login = 'fay'
aliases = ['twin']
[[account]]
login = 'gus'
aliases = ['twin']
[[group]]
name = 'Staff'
members = ['alice', 'Bob', 'dora', 'erik']
[[group]]
name = 'Left'
members = ['carol']
[[group]]
name = 'No-Mail'
groups = ['Left']
[[group]]
name = 'All'
groups = ['Staff', 'Left']
[[group]]
name = 'Soon'
members = ['alice']
";

const GRANTS: &str = "
[domains]
local = ['example.org']
[standing]
disabled = 'enforce'
locked = 'enforce'
[[grant]]
group = 'All'
submit = 'allow'
[[grant]]
group = 'No-Mail'
submit = 'deny'
relay = 'deny'
[[grant]]
user = 'alice@example.org'
relay = 'allow'
[[grant]]
group = 'Soon'
relay = 'deny'
mode = 'observe'
";

fn site(rules: &str) -> Site {
    Site::new(SUBMISSION, rules, PEOPLE)
}

#[test]
fn each_login_is_told_with_its_verdicts() {
    let site = site(GRANTS);
    let mut rows = Rows::default();
    for (login, expected) in [
        ("alice", "Found Allowed Allowed Yes Yes"),
        ("ALICE@example.org", "Found Allowed Allowed Yes Yes"),
        ("bob", "Found Allowed NothingAllowsIt Yes No"),
        ("carol", "Found Denied Denied No No"),
        ("dora", "Found Allowed NothingAllowsIt No No"),
        ("erik", "Found Allowed NothingAllowsIt NotNow No"),
        ("fay", "Found NothingAllowsIt NothingAllowsIt No No"),
        ("ghost", "NotFound NothingAllowsIt NothingAllowsIt No No"),
        ("twin", "Ambiguous NotKnownNow NotKnownNow NotNow NotNow"),
    ] {
        let told = site.portray(login);
        let [submit, relay] = [0, 1].map(|right| told.rights[right].verdict);
        let found = format!(
            "{:?} {submit:?} {relay:?} {:?} {:?}",
            told.found, told.may_submit, told.may_relay
        );
        rows.row(login, expected, found);
    }
    rows.end(9);
}

/// The rules of a site, and the people in trouble or not.
fn sites() -> Vec<(String, Site)> {
    let everybody = "[relay]\nauthenticated = true\n";
    let mut sites: Vec<(String, Site)> = [
        GRANTS.into(),
        format!("{everybody}{GRANTS}"),
        everybody.into(),
        format!("[submit]\nmode = 'observe'\n{GRANTS}"),
        format!("[relay]\nmode = 'observe'\n{GRANTS}"),
        format!("[[login.rewrite]]\nmatch = '^alice$'\nto = 'carol'\n{GRANTS}"),
        format!("[[gateway]]\nlogin = 'bob'\nidentity = 'sender'\n{GRANTS}"),
        GRANTS.replace("[standing]", "[standing]\nnot-found = 'enforce'"),
        GRANTS.replace("= 'enforce'", "= 'off'"),
    ]
    .into_iter()
    .map(|rules: String| (rules.clone(), site(&rules)))
    .collect();
    for failure in ["defer", "pass"] {
        for rules in [GRANTS.into(), format!("{everybody}{GRANTS}")] {
            for play in [
                Play::Unavailable,
                Play::Hangs,
                Play::Ambiguous,
                Play::Member(&[Yes, No, No]),
                Play::Member(&[Yes, Unknown, No]),
                Play::Member(&[Unknown, No, Unknown]),
            ] {
                let rules = format!(
                    "{rules}\n[directory]\ntype = 'file'\nfile.path = '/dev/null'\ncache.on-failure = '{failure}'\n"
                );
                let site = Site::with_directory(SUBMISSION, &rules, Scripted::new(play));
                sites.push((rules, site));
            }
        }
    }
    sites.push((GRANTS.into(), Site::without_directory(SUBMISSION, GRANTS)));
    let unjudged = "[domains]\nlocal = ['example.org']\n";
    sites.push((unjudged.into(), Site::without_directory(SUBMISSION, unjudged)));
    sites
}

#[test]
fn what_is_told_is_what_the_rules_do() {
    let mut rows = Rows::default();
    for (rules, site) in sites() {
        for login in ["alice", "bob", "carol", "dora", "erik", "fay", "ghost", "twin"] {
            let told = site.portray(login);
            for (what, facts, may) in [
                ("submit", question(Stage::Mail), told.may_submit),
                ("relay", rcpt("x@far.test"), told.may_relay),
            ] {
                let judged = site.judge(facts.login(login));
                let passed_by_failure = may == May::NotNow && word(&judged) == "pass";
                let done = match judged.decision.action() {
                    "pass" if passed_by_failure && rules.contains("'pass'") => May::NotNow,
                    "pass" => May::Yes,
                    // Once it may submit, it will be refused.
                    "defer" if what == "relay" && may == May::No => May::No,
                    "defer" => May::NotNow,
                    _ => May::No,
                };
                let name = format!("{login} {what} by {rules}");
                rows.row(name, format!("{done:?}"), format!("{may:?}"));
            }
        }
    }
    rows.end(35 * 8 * 2);
}

#[test]
fn a_deny_is_told_with_its_path_and_what_it_outweighs() {
    let told = site(GRANTS).portray("carol");
    assert_eq!(told.summary, "carol may not submit: submit-denied");
    let submit = &told.rights[0];
    assert_eq!(submit.found, "the grant for group No-Mail (carol -> Left -> No-Mail)");
    assert_eq!(submit.settled_by.as_deref(), Some("gatepost.toml:16"));
    assert_eq!(submit.also.len(), 1);
    let also = &submit.also[0];
    assert_eq!((&*also.ruling, also.is_known, &*also.mode), ("allow", true, "enforce"));
    assert_eq!(also.what, "the grant for group All (carol -> Left -> All)");
    assert_eq!(also.line, "gatepost.toml:13");
    let groups: Vec<String> = told
        .groups
        .iter()
        .map(|group| format!("{} {} {}", group.group, group.member, group.path.join(">")))
        .collect();
    assert_eq!(groups, ["All yes carol>Left>All", "No-Mail yes carol>Left>No-Mail", "Soon no "]);
}

#[test]
fn an_account_is_told_with_its_logins_and_addresses() {
    let told = site(GRANTS).portray("ALICE@example.org");
    assert_eq!((&*told.schema, &*told.login), ("gatepost.rights/1", "ALICE@example.org"));
    assert_eq!(told.summary, "ALICE@example.org may submit and relay");
    let account = told.account.expect("an account");
    assert_eq!((&*account.name, &*account.key, account.age_ms), ("alice", "file:alice", 0));
    assert_eq!(account.logins, ["alice", "alice@example.org"]);
    assert_eq!(account.addresses, ["alice@example.org", "a.liddell@example.org"]);
    assert_eq!((account.dn, account.password_set), (None, None));
}

#[test]
fn grants_that_only_observe_are_told_apart() {
    let told = site(GRANTS).portray("alice");
    let relay = &told.rights[1];
    assert_eq!((relay.verdict, relay.observed), (Verdict::Allowed, Some(Verdict::Denied)));
    assert_eq!(relay.found, "the grant for user alice@example.org");
    let also = &relay.also[0];
    assert_eq!((&*also.ruling, &*also.mode), ("deny", "observe"));
    assert_eq!(told.rights[0].observed, None);
}

#[test]
fn what_every_login_holds_is_told_as_such() {
    let rules = format!("[relay]\nauthenticated = true\nnetworks = ['192.0.2.0/24']\n{GRANTS}");
    let site = site(&rules);
    let told = site.portray("fay");
    for right in &told.rights {
        assert_eq!(right.found, "every login may submit and relay");
        assert_eq!(right.settled_by.as_deref(), Some("gatepost.toml:8"));
    }
    let told = site.portray("alice");
    assert_eq!(told.rights[1].found, "the grant for user alice@example.org");
    assert_eq!(told.rights[1].also[0].what, "every login may submit and relay");
    let told = site.portray("carol");
    assert_eq!(told.rights[1].verdict, Verdict::Denied);
    assert!(told.rights[1].notes.is_empty(), "no network helps against a deny");
}

#[test]
fn notes_tell_what_else_counts() {
    let networks = "[relay]\nnetworks = ['192.0.2.0/24']\n";
    let notes = |rules: &str, login: &str| site(rules).portray(login).rights[1].notes.clone();
    let of_clients = "from a client that a list of [relay] allows it may relay";
    assert_eq!(notes(&format!("{networks}{GRANTS}"), "bob"), [of_clients]);
    assert_eq!(notes(&networks.replace("24", "24', '127.0.0.1"), "ghost"), [of_clients]);
    let submit_denied =
        GRANTS.replace("group = 'All'\nsubmit = 'allow'", "group = 'All'\nsubmit = 'deny'");
    assert_eq!(notes(&submit_denied, "alice"), ["of no use while it may not submit"]);
    let observed = format!("[relay]\nmode = 'observe'\n{GRANTS}");
    assert_eq!(notes(&observed, "bob"), ["[relay] mode = \"observe\": nobody is refused for it"]);
}

#[test]
fn senders_beyond_its_own_are_told() {
    let senders = "
[sender]
ownership = 'enforce'
[[sender.grant]]
group = 'Staff'
as = ['press@example.org', '@news.example', '@.news.example']
[[sender.grant]]
user = 'carol'
as = ['carol@far.test']
";
    let told = site(&format!("{GRANTS}{senders}")).portray("bob");
    assert_eq!((&*told.sender_ownership, told.senders.len()), ("enforce", 1));
    let granted = &told.senders[0];
    assert_eq!(granted.senders, ["press@example.org", "@news.example", "@.news.example"]);
    assert_eq!(granted.what, "group Staff (Bob -> Staff) may send as it");
    assert!(granted.is_known);
    assert_eq!(granted.line, "gatepost.toml:30");
}

#[test]
fn who_is_not_found_ambiguous_or_not_known_now_is_told_in_a_sentence() {
    let site = site(GRANTS);
    let summary = |login: &str| site.portray(login).summary;
    assert_eq!(
        summary("ghost"),
        "the directory does not know ghost; it may not submit: submit-missing"
    );
    assert_eq!(
        summary("twin"),
        "twin names more than one account in the directory; it may not submit for now: login-ambiguous"
    );
    assert_eq!(summary("erik"), "erik may not submit for now: account-locked");
    let directory = || Scripted::new(Play::Hangs);
    let told = Site::with_directory(SUBMISSION, GRANTS, directory()).portray("alice");
    assert_eq!(
        told.summary,
        "the directory does not answer, and nothing is remembered of alice, which may not submit for now: directory-silent"
    );
    assert_eq!((told.found, told.account), (Found::Unavailable, None));
    assert!(told.groups.iter().all(|group| group.member == "unknown"));
    let told = Site::without_directory(SUBMISSION, GRANTS).portray("alice@example.org");
    assert_eq!((told.found, told.rights[1].verdict), (Found::NoDirectory, Verdict::Allowed));
}

#[test]
fn hostile_logins_are_told_without_control_characters() {
    let site = site(GRANTS);
    for login in ["\u{1b}[2J", "a\r\nb", "*)(uid=*", "\u{0}", "", " "] {
        if login.is_empty() {
            continue;
        }
        let told = site.portray(login);
        assert_eq!(told.found, Found::NotFound, "{login:?}");
        assert!(!told.summary.contains(char::is_control), "{:?}", told.summary);
    }
}

fn lines(site: &Site, right: Right) -> (HoldersHead, Vec<RightHolder>, [u64; 4]) {
    let mut lines = site.holders(right).expect("a listing").into_iter();
    let Some(HoldersLine::Head(head)) = lines.next() else { panic!("no head") };
    let mut people = Vec::new();
    for line in lines.by_ref() {
        match line {
            HoldersLine::Person(person) => people.push(person),
            HoldersLine::End(end) => {
                assert!(lines.next().is_none(), "nothing comes after the end");
                let counts = [end.people, end.allowed, end.denied, end.not_known_now];
                return (head, people, counts);
            }
            HoldersLine::Head(_) => panic!("a second head"),
        }
    }
    panic!("no end");
}

fn shown(people: &[RightHolder]) -> Vec<String> {
    let shown = people.iter().map(|person| {
        format!(
            "{} {} {:?} {} {} {}",
            person.name,
            person.key,
            person.verdict,
            person.by,
            person.line.as_deref().unwrap_or("-"),
            person.hindered_by.as_deref().unwrap_or("-")
        )
    });
    shown.collect()
}

#[test]
fn everybody_who_holds_a_right_is_named_by_name_and_entry() {
    let site = site(GRANTS);
    let (head, people, counts) = lines(&site, Right::Submit);
    assert_eq!(
        (&*head.schema, &*head.right, &*head.mode),
        ("gatepost.holders/1", "submit", "enforce")
    );
    assert!(!head.every_login && head.entries.is_empty() && head.observed.is_empty());
    let by = "Allowed the grant for group All gatepost.toml:13";
    assert_eq!(
        shown(&people),
        [
            format!("alice file:alice {by} -"),
            format!("Bob file:7 {by} -"),
            format!("dora file:dora {by} account-disabled"),
            format!("erik file:erik {by} account-locked"),
        ]
    );
    assert_eq!(counts, [7, 4, 1, 0]);
    let (head, people, counts) = lines(&site, Right::Relay);
    assert_eq!(head.observed.len(), 1);
    assert_eq!(
        (&*head.observed[0].kind, &*head.observed[0].what, &*head.observed[0].ruling),
        ("group", "Soon", "deny")
    );
    assert_eq!(
        shown(&people),
        ["alice file:alice Allowed the grant for user alice@example.org gatepost.toml:20 -"]
    );
    assert_eq!(counts, [7, 1, 1, 0]);
}

#[test]
fn where_every_login_holds_it_the_denied_are_named() {
    let site = site(&format!("[relay]\nauthenticated = true\n{GRANTS}"));
    let (head, people, counts) = lines(&site, Right::Relay);
    assert!(head.every_login);
    assert_eq!(
        (&*head.entries[0].kind, &*head.entries[0].line),
        ("every-login", "gatepost.toml:8")
    );
    assert_eq!(
        shown(&people),
        ["carol file:carol Denied the grant for group No-Mail gatepost.toml:18 -"]
    );
    assert_eq!(counts, [7, 6, 1, 0]);
}

#[test]
fn what_gives_a_right_without_the_directory_is_told() {
    let rules = "
[domains]
relay = ['partner.example']
[relay]
networks = ['192.0.2.0/24', { net = '192.0.2.9', relay = 'deny' }]
hosts = ['.printers.example.org']
certificates = [{ subject = 'mx2.example.org' }]
[[gateway]]
net = '198.51.100.1'
identity = 'none'
[[grant]]
user = 'scanner'
submit = 'allow'
relay = 'allow'
";
    let entries = |site: &Site, right| -> Vec<String> {
        let entries = lines(site, right).0.entries;
        let shown = entries
            .iter()
            .map(|entry| format!("{} {} {} {}", entry.kind, entry.what, entry.ruling, entry.line));
        shown.collect()
    };
    let clients = [
        "network 192.0.2.0/24 allow gatepost.toml:11",
        "network 192.0.2.9/32 deny gatepost.toml:11",
        "host .printers.example.org allow gatepost.toml:12",
        "certificate subject mx2.example.org allow gatepost.toml:13",
    ];
    let site = site(rules);
    let gateway = "gateway 198.51.100.1/32 allow gatepost.toml:14";
    assert_eq!(entries(&site, Right::Submit), [&clients[..], &[gateway]].concat());
    let domain = "domain partner.example allow gatepost.toml [domains] relay";
    assert_eq!(entries(&site, Right::Relay), [&clients[..], &[domain]].concat());
    // Without a directory a login is what it says it is.
    let site = Site::without_directory(SUBMISSION, rules);
    let user = "user scanner allow gatepost.toml:17";
    assert_eq!(entries(&site, Right::Relay), [&[user], &clients[..], &[domain]].concat());
    assert_eq!(lines(&site, Right::Relay).2, [0; 4]);
}

#[test]
fn an_all_except_list_is_told() {
    let site = site("[relay]\nnetworks-are = 'all-except'\nnetworks = ['192.0.2.0/24']\n");
    let entries = lines(&site, Right::Relay).0.entries;
    let kinds: Vec<(&str, &str)> =
        entries.iter().map(|entry| (&*entry.kind, &*entry.ruling)).collect();
    assert_eq!(kinds, [("network", "except"), ("everybody-else", "allow")]);
}

#[test]
fn a_directory_that_lists_nobody_is_no_empty_list() {
    let site = Site::with_directory(SUBMISSION, GRANTS, Scripted::new(Play::Unavailable));
    let fault = site.holders(Right::Relay).expect_err("no listing");
    assert_eq!(fault, "this directory cannot list its people");
}

#[test]
fn ten_thousand_are_named_one_by_one() {
    let mut people = String::new();
    for number in 0..10_000 {
        people += &format!("[[account]]\nlogin = 'user{number:05}'\n");
    }
    people += "[[group]]\nname = 'All'\nmembers = [";
    for number in 0..10_000 {
        people += &format!("'user{:05}',", 9_999 - number);
    }
    people += "]\n";
    let site = Site::new(SUBMISSION, GRANTS, &people);
    let (_, people, counts) = lines(&site, Right::Submit);
    assert_eq!((people.len(), counts), (10_000, [10_000, 10_000, 0, 0]));
    assert!(people.is_sorted_by(|one, other| one.name < other.name));
}
