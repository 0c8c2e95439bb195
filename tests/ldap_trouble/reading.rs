//! What one reading of the groups asks for, and what is spared.

use std::time::Duration;

use futures_util::future::join_all;
use gatepost::directory::Directory;
use gatepost::directory::ldap::schema::Kind;
use gatepost::mail::Login;
use gatepost::rights::Lookup;

use crate::ldap_server::people::people;
use crate::ldap_server::{Deviation, Server, When};
use crate::site::{FRESH, Site, locate, until};

fn named(group: &str) -> When {
    When::search().filter(&format!("(sAMAccountName={group})"))
}

/// The members of a group, whether they are looked at or the tree is read.
fn members(group: &str) -> When {
    When::search().base(&format!("CN={group},")).asking("member")
}

/// Which groups list logins.
fn listing() -> When {
    When::search().paged().filter("(memberUid=*)")
}

/// The groups that list this login.
fn listed(login: &str) -> When {
    When::search().filter(&format!("(memberUid={login})"))
}

/// Lets the groups become old enough to be read again, and waits until they are.
async fn read_again(server: &Server, site: &Site) {
    server.forget();
    site.pass(FRESH / 2);
    for group in &crate::site::GROUPS {
        server.reaches(&named(&group.to_lowercase()), 1).await;
    }
}

/// Beside memberOf, groups may list logins.
fn with_logins(server: &Server) -> Site {
    Site::with(&[server], |plan| {
        plan.settings.schema.member_logins = vec!["memberUid".into()];
    })
}

#[tokio::test]
async fn a_cold_start_reads_the_groups_once_and_asks_for_each_login_once() {
    let mut directory = people();
    let logins: Vec<String> = (0..50).map(|n| format!("u{n}")).collect();
    for login in &logins {
        directory.person(login);
    }
    let server = Server::start(directory);
    let mut site = with_logins(&server);
    site.tend();
    // All come before the groups are read.
    let all = join_all(logins.iter().map(|login| site.lookup(login))).await;
    assert!(all.iter().all(|lookup| matches!(lookup, Lookup::Found(_))));
    for login in &logins {
        assert_eq!(site.memberships(login).await, "nnn");
        assert_eq!(server.count(&locate(login)), 1, "{login}");
        assert_eq!(server.count(&listed(login)), 0, "{login}");
    }
    for group in &crate::site::GROUPS {
        assert_eq!(server.count(&named(&group.to_lowercase())), 1, "{group}");
    }
    assert_eq!(server.count(&listing()), 1);
}

#[tokio::test]
async fn members_are_not_read_again_while_the_witness_of_then_shows_the_group() {
    let server = Server::start(people());
    let mut site = Site::new(&[&server]);
    assert_eq!(site.memberships("carol").await, "nyy");
    assert_eq!(server.count(&members("Mail-Relay")), 1);
    site.tend();
    let witness = When::search().base("CN=alice").asking("memberOf");
    for _ in 0..3 {
        read_again(&server, &site).await;
        server.reaches(&witness, 1).await;
        site.comes("alice", "ynn").await;
        assert_eq!(server.count(&members("Mail-Relay")), 0);
    }
    // Another one has to be found.
    server.directory(|directory| {
        let erin = directory.dn("erin");
        directory.change("Mail-Relay").set("member", [erin]);
    });
    read_again(&server, &site).await;
    server.reaches(&members("Mail-Relay"), 1).await;
    site.pass(FRESH / 2 + Duration::from_millis(1));
    site.comes("alice", "nnn").await;
}

#[tokio::test]
async fn a_memberof_that_is_hidden_later_is_noticed_at_the_next_reading() {
    let server = Server::start(people());
    let mut site = Site::with(&[&server], |plan| plan.settings.schema.kind = Kind::Freeipa);
    assert_eq!(site.memberships("carol").await, "nyy");
    assert_eq!(site.memberships("alice").await, "ynn");
    site.tend();
    server.behaviour(|behaviour| behaviour.member_of = false);
    site.pass(FRESH / 2);
    site.comes("alice", "???").await;
}

#[tokio::test]
async fn groups_that_list_logins_are_asked_for_where_the_rules_need_one() {
    let server = Server::start(people());
    // No rule names it.
    server.directory(|directory| {
        directory.group("Elsewhere", &[]).set("memberUid", ["alice"]).dn.clone()
    });
    let mut site = with_logins(&server);
    site.tend();
    assert_eq!(site.memberships("alice").await, "ynn");
    assert_eq!(server.count(&listed("alice")), 0);
    // One within a group that denies.
    server.change("Left-The-House", |group| group.set("memberUid", ["alice"]));
    read_again(&server, &site).await;
    site.comes("alice", "yny").await;
    assert!(server.count(&listed("alice")) > 0);
    server.change("Left-The-House", |group| group.remove("memberUid"));
    read_again(&server, &site).await;
    site.comes("alice", "ynn").await;
    server.forget();
    assert_eq!(site.memberships("bob").await, "nyn");
    assert_eq!(server.count(&listed("bob")), 0);
}

#[tokio::test]
async fn where_nobody_can_say_which_groups_list_logins_each_login_is_asked_for() {
    for code in [3, 4, 11, 53] {
        let server = Server::start(people());
        server.change("No-Mail", |group| group.set("memberUid", ["alice"]));
        server.on(listing(), Deviation::partial(0, code));
        let site = with_logins(&server);
        assert_eq!(site.memberships("alice").await, "yny", "{code}");
        assert_eq!(site.memberships("bob").await, "nyn", "{code}");
        assert_eq!(server.count(&listed("bob")), 1, "{code}");
    }
}

#[tokio::test]
async fn without_memberof_a_group_in_several_trees_is_read_once() {
    let server = Server::start(people());
    server.directory(|directory| {
        let helpdesk = directory.dn("Helpdesk");
        directory.change("Mail-Relay").add("member", helpdesk.clone());
        directory.change("No-Mail").add("member", helpdesk);
    });
    server.behaviour(|behaviour| behaviour.token_groups = false);
    let site = Site::with(&[&server], |plan| plan.settings.schema.member_of = String::new());
    assert_eq!(site.memberships("bob").await, "yyy");
    for group in ["Mail-Relay", "Mail-Submit", "No-Mail", "Helpdesk", "Helpdesk-2"] {
        assert_eq!(server.count(&members(group)), 1, "{group}");
    }
}

/// The owners of addresses, by name.
async fn owners(site: &Site, addresses: &[&str]) -> Vec<String> {
    let logins: Vec<Login> = addresses
        .iter()
        .map(|address| Login::parse(address.as_bytes()).expect("a login"))
        .collect();
    let owners = site.settled(site.directory.owners(&logins, &site.groups)).await;
    let mut names = Vec::new();
    for owner in owners {
        let mut name = String::from("-");
        for login in ["alice", "bob", "carol"] {
            if owner.as_ref() == Some(&site.key(login).await) {
                name = login.into();
            }
        }
        names.push(name);
    }
    names
}

#[tokio::test]
async fn the_owners_of_many_addresses_are_one_search() {
    let server = Server::start(people());
    let site = Site::new(&[&server]);
    let asked = [
        "alice@example.org",
        "nobody@example.org",
        "A.Liddell@example.org",
        "bob@example.org",
        "alice@example.org",
        "EXAMPLE\\carol",
        "stranger\\carol",
        "carol@elsewhere.test",
    ];
    let search = When::search().paged().filter("(mail=nobody@example.org)");
    let told = ["alice", "-", "alice", "bob", "alice", "carol", "-", "-"];
    assert_eq!(owners(&site, &asked).await, told);
    assert_eq!(server.count(&search), 1);
    // From memory, those who are nobody for a shorter time.
    assert_eq!(owners(&site, &asked).await, told);
    assert_eq!(server.count(&search), 1);
    let of = |address: &str| When::search().paged().filter(&format!("(mail={address})"));
    server.forget();
    site.pass(crate::site::NEGATIVE);
    assert_eq!(owners(&site, &asked).await, told);
    assert_eq!(server.count(&of("nobody@example.org")), 1);
    assert_eq!(server.count(&of("alice@example.org")), 0);
    site.pass(FRESH);
    assert_eq!(owners(&site, &asked).await, told);
    assert_eq!(server.count(&of("alice@example.org")), 1);
}

#[tokio::test]
async fn an_address_of_two_accounts_has_no_owner() {
    let server = Server::start(people());
    server.change("carol", |carol| carol.set("mail", ["bob@example.org"]));
    let site = Site::new(&[&server]);
    let asked = ["bob@example.org", "alice@example.org"];
    assert_eq!(owners(&site, &asked).await, ["-", "alice"]);
}

#[tokio::test]
async fn owners_that_cannot_be_told_are_asked_for_again() {
    let server = Server::start(people());
    let site = Site::new(&[&server]);
    let asked = ["bob@example.org", "alice@example.org"];
    server.on(When::search().paged().filter("(mail=bob@example.org)"), Deviation::partial(1, 4));
    assert_eq!(owners(&site, &asked).await, ["-", "-"]);
    server.behave();
    until("told", async || (owners(&site, &asked).await == ["bob", "alice"]).then_some(())).await;
}
