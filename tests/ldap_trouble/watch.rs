//! The change watch: what changes in the directory counts within seconds, though nothing that is
//! kept has lost its freshness. The clock stands still in all of this.

use std::time::Duration;

use gatepost::directory::Author;
use gatepost::rights::{AccountState, Lookup, RecipientLookup, Restriction};

use crate::ldap_server::people::{BASE, people};
use crate::ldap_server::{Deviation, Server, When};
use crate::site::{Site, locate, until};

/// How far the server has counted.
fn polls() -> When {
    When::search().asking("highestCommittedUSN")
}

async fn watched(servers: &[&Server]) -> Site {
    let mut site = Site::with(servers, |plan| plan.cache.watch = Some(Duration::from_millis(20)));
    assert_eq!(site.memberships("bob").await, "nyn");
    assert_eq!(site.memberships("alice").await, "ynn");
    site.tend();
    servers[0].reaches(&polls(), 2).await;
    // With the first poll all is asked for again.
    assert_eq!(site.memberships("bob").await, "nyn");
    assert_eq!(site.memberships("alice").await, "ynn");
    site
}

async fn becomes(site: &Site, login: &str, memberships: &str) {
    until(memberships, async || (site.memberships(login).await == memberships).then_some(())).await;
}

fn join(server: &Server, member: &str, group: &str) {
    server.directory(|directory| {
        let member = directory.dn(member);
        directory.change(group).add("member", member);
    });
}

#[tokio::test]
async fn who_is_put_into_the_deny_group_is_denied_after_the_next_poll() {
    let server = Server::start(people());
    let site = watched(&[&server]).await;
    join(&server, "bob", "No-Mail");
    becomes(&site, "bob", "nyy").await;
    // And let out of it again.
    server.change("No-Mail", |group| group.remove("member"));
    becomes(&site, "bob", "nyn").await;
}

#[tokio::test]
async fn what_changed_before_the_first_poll_counts() {
    let server = Server::start(people());
    let mut site =
        Site::with(&[&server], |plan| plan.cache.watch = Some(Duration::from_millis(20)));
    server.on(polls().first(1), Deviation::result(53, ""));
    assert_eq!(site.memberships("alice").await, "ynn");
    assert_eq!(site.memberships("bob").await, "nyn");
    join(&server, "bob", "No-Mail");
    join(&server, "Mail-Relay", "Left-The-House");
    site.tend();
    becomes(&site, "bob", "nyy").await;
    becomes(&site, "alice", "yny").await;
}

#[tokio::test]
async fn who_is_put_into_a_group_within_the_deny_group_is_denied() {
    let server = Server::start(people());
    let site = watched(&[&server]).await;
    join(&server, "bob", "Left-The-House");
    becomes(&site, "bob", "nyy").await;
    join(&server, "Mail-Relay", "Left-The-House");
    becomes(&site, "alice", "yny").await;
}

#[tokio::test]
async fn a_deny_group_that_is_moved_goes_on_to_count_and_so_does_one_within_it() {
    for group in ["No-Mail", "Left-The-House"] {
        let server = Server::start(people());
        // Else the group's SID would tell.
        server.behaviour(|behaviour| behaviour.token_groups = false);
        let site = watched(&[&server]).await;
        server.directory(|directory| {
            directory.rename(group, &format!("CN={group},OU=People,{BASE}"));
            let bob = directory.dn("bob");
            directory.change(group).add("member", bob);
        });
        becomes(&site, "bob", "nyy").await;
        assert_eq!(site.memberships("carol").await, "nyy", "{group}");
    }
}

#[tokio::test]
async fn a_group_that_has_changed_and_cannot_be_read_is_read_once_it_can() {
    let server = Server::start(people());
    server.behaviour(|behaviour| behaviour.token_groups = false);
    let site = watched(&[&server]).await;
    server
        .on(When::search().filter("(sAMAccountName=no-mail)").first(2), Deviation::result(51, ""));
    join(&server, "Helpdesk", "No-Mail");
    becomes(&site, "bob", "nyy").await;
}

#[tokio::test]
async fn a_group_that_shared_its_name_for_a_while_is_found_again_by_its_id() {
    let server = Server::start(people());
    let site = watched(&[&server]).await;
    assert_eq!(site.memberships("carol").await, "nyy");
    let [first, other] = ["No-Mail", "Other"].map(|name| format!("CN={name},OU=Groups,{BASE}"));
    server.directory(|directory| {
        directory.group("Other", &[]).set("sAMAccountName", ["No-Mail"]).dn.clone()
    });
    becomes(&site, "carol", "ny?").await;
    server.directory(|directory| {
        directory.remove(&other);
        directory.change(&first).set("sAMAccountName", ["Left"]).set("cn", ["Left"]).dn.clone()
    });
    becomes(&site, "carol", "nyy").await;
}

#[tokio::test]
async fn groups_beside_the_accounts_are_followed_too() {
    let server = Server::start(people());
    let mut site = Site::with(&[&server], |plan| {
        plan.cache.watch = Some(Duration::from_millis(20));
        plan.settings.base = format!("OU=People,{BASE}");
        plan.settings.group_base = format!("OU=Groups,{BASE}");
    });
    assert_eq!(site.memberships("bob").await, "nyn");
    site.tend();
    server.reaches(&polls(), 2).await;
    join(&server, "bob", "No-Mail");
    becomes(&site, "bob", "nyy").await;
    // It still takes away by its id.
    server.change("No-Mail", |group| group.set("sAMAccountName", ["Left"]).set("cn", ["Left"]));
    join(&server, "alice", "Left");
    becomes(&site, "alice", "yny").await;
}

#[tokio::test]
async fn a_group_that_comes_counts() {
    let server = Server::start(people());
    let mut site = watched(&[&server]).await;
    site.rename_groups(&["Mail-Relay", "Mail-Submit", "Newcomers"]);
    assert_eq!(site.memberships("bob").await, "nyn");
    server.directory(|directory| directory.group("Newcomers", &["bob"]).dn.clone());
    becomes(&site, "bob", "nyy").await;
}

#[tokio::test]
async fn an_account_that_changes_is_asked_for_again_and_others_are_not() {
    let server = Server::start(people());
    let site = watched(&[&server]).await;
    server.forget();
    server.change("bob", |bob| bob.set("userAccountControl", ["514"]));
    until("disabled", async || {
        (site.holder("bob").await.account.state == AccountState::Disabled).then_some(())
    })
    .await;
    assert_eq!(site.memberships("alice").await, "ynn");
    assert_eq!(server.count(&locate("alice")), 0);
}

#[tokio::test]
async fn an_account_that_comes_is_known_at_once() {
    let server = Server::start(people());
    let site = watched(&[&server]).await;
    let address = "dan@example.org";
    assert_eq!(site.lookup("dan").await, Lookup::NotFound);
    assert_eq!(site.recipient(address, Author::Nobody).await, RecipientLookup::NotFound);
    server.directory(|directory| directory.person("dan").dn.clone());
    until("known", async || matches!(site.lookup("dan").await, Lookup::Found(_)).then_some(()))
        .await;
    let found = RecipientLookup::Found(Restriction::Open);
    assert_eq!(site.recipient(address, Author::Nobody).await, found);
}

#[tokio::test]
async fn a_mail_contact_that_comes_or_changes_counts() {
    let server = Server::start(people());
    let site = watched(&[&server]).await;
    let address = "outside@example.org";
    assert_eq!(site.recipient(address, Author::Nobody).await, RecipientLookup::NotFound);
    server.directory(|directory| {
        let contact = directory.insert("CN=Outside,OU=People,DC=example,DC=org");
        contact.set("objectClass", ["contact"]).set("mail", [address]);
        contact.set("objectGUID", [b"of a mail contact"[..16].to_vec()]);
    });
    let comes = async |restriction| {
        until("the contact", async || {
            let found = site.recipient(address, Author::Nobody).await;
            (found == RecipientLookup::Found(restriction)).then_some(())
        })
        .await;
    };
    comes(Restriction::Open).await;
    let contact = "CN=Outside,OU=People,DC=example,DC=org";
    server.change(contact, |contact| contact.set("msExchRequireAuthToSendTo", ["TRUE"]));
    comes(Restriction::AuthenticatedOnly).await;
}

#[tokio::test]
async fn a_change_of_who_may_write_to_a_recipient_counts() {
    let server = Server::start(people());
    server.directory(|directory| {
        let group = directory.dn("Left-The-House");
        directory.person("boss").set("dLMemRejectPerms", [group]);
    });
    let site = watched(&[&server]).await;
    let (bob, boss) = (site.key("bob").await, "boss@example.org");
    let restriction = async || site.restriction(boss, Author::Account(&bob)).await;
    assert_eq!(restriction().await, Restriction::Open);
    join(&server, "bob", "Left-The-House");
    until("denied", async || (restriction().await == Restriction::Denied).then_some(())).await;
    server.change("boss", |boss| boss.remove("dLMemRejectPerms"));
    until("open", async || (restriction().await == Restriction::Open).then_some(())).await;
}

#[tokio::test]
async fn another_database_means_that_everything_is_asked_for_again() {
    let server = Server::start(people());
    let site = watched(&[&server]).await;
    // A change that the new database does not count as one.
    server.directory(|directory| {
        let usn = directory.change("bob").text("uSNChanged").map(str::to_owned);
        directory.change("bob").set("userAccountControl", ["514"]).set("uSNChanged", ["1"]);
        usn
    });
    server.change("", |root| root.set("dsServiceName", ["CN=NTDS Settings,CN=DC9"]));
    until("asked again", async || {
        (site.holder("bob").await.account.state == AccountState::Disabled).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_database_that_was_set_back_means_that_everything_is_asked_for_again() {
    let server = Server::start(people());
    let site = watched(&[&server]).await;
    server.directory(|directory| {
        directory.change("bob").set("userAccountControl", ["514"]).set("uSNChanged", ["1"]);
        directory.change("").set("highestCommittedUSN", ["1"]);
    });
    until("asked again", async || {
        (site.holder("bob").await.account.state == AccountState::Disabled).then_some(())
    })
    .await;
}

#[tokio::test]
async fn another_server_counts_by_itself() {
    let servers = [Server::start(people()), Server::start(people())];
    servers[1].directory(|directory| {
        for _ in 0..50 {
            directory.change("erin").set("description", ["busy"]);
        }
    });
    let site = watched(&[&servers[0], &servers[1]]).await;
    // It has been ahead for a while.
    join(&servers[1], "bob", "No-Mail");
    servers[0].kill();
    becomes(&site, "bob", "nyy").await;
    join(&servers[1], "alice", "No-Mail");
    becomes(&site, "alice", "yny").await;
    servers[0].open();
    // The first one does not know of either.
    until("back", async || {
        site.pass(Duration::from_secs(1));
        let memberships = (site.memberships("bob").await, site.memberships("alice").await);
        (memberships == ("nyn".into(), "ynn".into())).then_some(())
    })
    .await;
}

#[tokio::test]
async fn another_server_may_have_other_groups_within_groups() {
    let servers = [Server::start(people()), Server::start(people())];
    servers[1].directory(|directory| {
        let extra = directory.group("Extra", &["bob"]).dn.clone();
        directory.change("No-Mail").add("member", extra);
    });
    for server in &servers {
        server.behaviour(|behaviour| behaviour.token_groups = false);
    }
    let site = watched(&[&servers[0], &servers[1]]).await;
    servers[0].kill();
    becomes(&site, "bob", "nyy").await;
}

#[tokio::test]
async fn changes_that_cannot_be_read_mean_that_everything_is_asked_for_again() {
    let server = Server::start(people());
    let site = watched(&[&server]).await;
    // One that has no id, beside one that counts.
    server.directory(|directory| {
        directory.change("erin").remove("objectGUID");
        directory.change("bob").set("userAccountControl", ["514"]);
    });
    until("asked again", async || {
        (site.holder("bob").await.account.state == AccountState::Disabled).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_poll_that_fails_loses_no_change() {
    let server = Server::start(people());
    let site = watched(&[&server]).await;
    let changes = When::search().filter("(uSNChanged>=");
    for code in [4, 11, 53] {
        server.forget();
        server.on(changes.clone(), Deviation::partial(0, code));
        join(&server, "bob", "No-Mail");
        server.reaches(&changes, 2).await;
        assert_eq!(site.memberships("bob").await, "nyn", "{code}");
        server.behave();
        becomes(&site, "bob", "nyy").await;
        server.change("No-Mail", |group| group.remove("member"));
        becomes(&site, "bob", "nyn").await;
    }
}

#[tokio::test]
async fn many_changes_come_by_pages() {
    let mut directory = people();
    for n in 0..30 {
        directory.person(&format!("u{n}"));
    }
    let server = Server::start(directory);
    server.behaviour(|behaviour| behaviour.max_page_size = 7);
    let site = watched(&[&server]).await;
    server.directory(|directory| {
        for n in 0..30 {
            directory.change(&format!("u{n}")).set("description", ["new"]);
        }
        let bob = directory.dn("bob");
        directory.change("No-Mail").add("member", bob);
    });
    becomes(&site, "bob", "nyy").await;
}

#[tokio::test]
async fn without_the_watch_a_change_waits_for_the_end_of_freshness() {
    let server = Server::start(people());
    let site = Site::new(&[&server]);
    assert_eq!(site.memberships("bob").await, "nyn");
    join(&server, "bob", "No-Mail");
    assert_eq!(site.memberships("bob").await, "nyn");
    site.pass_fresh();
    assert_eq!(site.memberships("bob").await, "nyy");
    assert_eq!(server.count(&polls()), 0);
}
