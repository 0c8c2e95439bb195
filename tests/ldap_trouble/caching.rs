//! What is asked of the server, and what of the memory.

use std::time::Duration;

use futures_util::future::join_all;
use gatepost::directory::Author;
use gatepost::directory::meter::LookupResult::{Cached, Error, Fresh, Negative, Stale};
use gatepost::rights::{AccountState, Lookup, RecipientLookup, Restriction};

use crate::ldap_server::people::people;
use crate::ldap_server::{Deviation, Server, When};
use crate::site::{FRESH, NEGATIVE, Site, locate, until};

#[tokio::test]
async fn five_hundred_questions_for_one_login_at_once_are_one_search() {
    let server = Server::start(people());
    let site = Site::new(&[&server]);
    let all = join_all((0..500).map(|_| site.lookup("carol"))).await;
    assert!(all.iter().all(|lookup| *lookup == all[0]), "{:?}", all[0]);
    assert!(matches!(all[0], Lookup::Found(_)));
    assert_eq!(server.count(&locate("carol")), 1);
    assert_eq!(server.count(&When::search().filter("(sAMAccountName=no-mail)")), 1);
    assert_eq!(site.results(), [Fresh; 500]);
}

#[tokio::test]
async fn five_hundred_questions_for_an_unknown_login_at_once_are_one_search() {
    let server = Server::start(people());
    let site = Site::new(&[&server]);
    let all = join_all((0..500).map(|_| site.lookup("nobody"))).await;
    assert!(all.iter().all(|lookup| *lookup == Lookup::NotFound));
    assert_eq!(server.count(&locate("nobody")), 1);
    assert_eq!(site.results(), [Negative; 500]);
}

#[tokio::test]
async fn an_answer_is_kept_as_long_as_it_is_fresh_and_refreshed_ahead() {
    let server = Server::start(people());
    let site = Site::new(&[&server]);
    assert_eq!(site.memberships("alice").await, "ynn");
    site.pass(FRESH * 74 / 100);
    assert_eq!(site.memberships("alice").await, "ynn");
    assert_eq!(server.count(&locate("alice")), 1);
    site.pass(FRESH * 22 / 100);
    assert_eq!(site.memberships("alice").await, "ynn");
    assert_eq!(site.results(), [Fresh, Cached, Cached]);
    server.reaches(&locate("alice"), 2).await;
    until("refreshed", async || (site.holder("alice").await.age_ms == 0).then_some(())).await;
    assert_eq!(server.count(&locate("alice")), 2);
}

#[tokio::test]
async fn an_account_expires_on_time_while_its_answer_is_kept() {
    // FILETIME: 100 ns since 1601.
    let until_ms: i64 = 1_790_000_000_000 + 60_000;
    let mut directory = people();
    let expires = ((until_ms + 11_644_473_600_000) * 10_000).to_string();
    directory.change("alice").set("accountExpires", [expires]);
    let server = Server::start(directory);
    let site = Site::new(&[&server]);
    assert_eq!(site.holder("alice").await.account.state, AccountState::Enabled);
    site.pass(Duration::from_secs(61));
    assert_eq!(site.holder("alice").await.account.state, AccountState::Expired);
    assert_eq!(site.results(), [Fresh, Cached]);
}

#[tokio::test]
async fn an_unknown_login_is_not_asked_for_again_for_a_while() {
    let server = Server::start(people());
    let site = Site::new(&[&server]);
    for _ in 0..3 {
        assert_eq!(site.lookup("dan").await, Lookup::NotFound);
    }
    assert_eq!(server.count(&locate("dan")), 1);
    server.directory(|directory| directory.person("dan").dn.clone());
    site.pass(NEGATIVE - Duration::from_millis(1));
    assert_eq!(site.lookup("dan").await, Lookup::NotFound);
    site.pass(Duration::from_millis(1));
    assert_eq!(site.memberships("dan").await, "nnn");
    assert_eq!(site.results(), [Negative, Negative, Negative, Negative, Fresh]);
    assert_eq!(server.count(&locate("dan")), 2);
}

#[tokio::test]
async fn an_unknown_login_is_unavailable_and_not_negative_once_no_server_answers() {
    let server = Server::start(people());
    let site = Site::new(&[&server]);
    assert_eq!(site.lookup("dan").await, Lookup::NotFound);
    server.kill();
    assert_eq!(site.lookup("dan").await, Lookup::NotFound);
    site.pass(NEGATIVE);
    assert_eq!(site.lookup("dan").await, Lookup::Unavailable);
}

#[tokio::test]
async fn a_known_account_that_is_not_found_once_stays() {
    let server = Server::start(people());
    let site = Site::new(&[&server]);
    assert_eq!(site.memberships("carol").await, "nyy");
    server.on(locate("carol").nth(1), Deviation::nothing());
    site.pass_fresh();
    assert_eq!(site.memberships("carol").await, "nyy");
    assert_eq!(site.results(), [Fresh, Stale]);
    assert_eq!(site.memberships("carol").await, "nyy");
    site.pass(NEGATIVE);
    assert_eq!(site.memberships("carol").await, "nyy");
    assert_eq!(site.results(), [Stale, Fresh]);
}

#[tokio::test]
async fn a_known_account_that_is_not_found_again_a_while_later_is_gone() {
    let server = Server::start(people());
    let site = Site::new(&[&server]);
    assert_eq!(site.memberships("carol").await, "nyy");
    server.directory(|directory| directory.remove("carol"));
    site.pass_fresh();
    assert_eq!(site.memberships("carol").await, "nyy");
    site.pass(NEGATIVE - Duration::from_millis(1));
    assert_eq!(site.memberships("carol").await, "nyy");
    site.pass(Duration::from_millis(1));
    assert_eq!(site.lookup("carol").await, Lookup::NotFound);
    assert_eq!(site.results(), [Fresh, Stale, Stale, Negative]);
}

#[tokio::test]
async fn a_known_account_whose_login_became_anothers_too_is_ambiguous_at_once() {
    let server = Server::start(people());
    let site = Site::new(&[&server]);
    assert_eq!(site.memberships("alice").await, "ynn");
    server.directory(|directory| {
        directory.person("mallory").set("mail", ["alice"]).set("userPrincipalName", ["alice"]);
        directory.change("mallory").set("sAMAccountName", ["alice "]);
    });
    site.pass_fresh();
    assert_eq!(site.lookup("alice").await, Lookup::Ambiguous);
    assert_eq!(site.results(), [Fresh, Negative]);
}

#[tokio::test]
async fn when_everybody_disappears_nobody_is_taken_for_gone() {
    let mut directory = people();
    let logins: Vec<String> = (0..20).map(|n| format!("u{n}")).collect();
    for login in &logins {
        directory.person(login);
    }
    let server = Server::start(directory);
    let site = Site::new(&[&server]);
    for login in &logins {
        assert_eq!(site.memberships(login).await, "nnn");
    }
    // As by an access rule: rc 0 and nobody.
    server.on(When::search().filter("sAMAccountType="), Deviation::nothing());
    site.pass_fresh();
    site.results();
    for _ in 0..4 {
        for login in &logins {
            assert_eq!(site.memberships(login).await, "nnn", "{login}");
        }
        site.pass(NEGATIVE * 2);
    }
    assert_eq!(site.results(), [Stale; 80]);
    // Who was never known may be one of those who disappeared.
    assert_eq!(site.lookup("stranger").await, Lookup::Unavailable);
    assert_eq!(site.results(), [Error]);
    server.behave();
    site.is_well_again("u0").await;
    for login in &logins {
        assert_eq!(site.memberships(login).await, "nnn", "{login}");
    }
}

#[tokio::test]
async fn known_recipients_do_not_disappear_either() {
    let server = Server::start(people());
    let site = Site::new(&[&server]);
    let open = RecipientLookup::Found(Restriction::Open);
    assert_eq!(site.recipient("alice@example.org", Author::Nobody).await, open);
    server.on(When::search(), Deviation::nothing());
    site.pass_fresh();
    assert_eq!(site.recipient("alice@example.org", Author::Nobody).await, open);
    assert_eq!(site.recipient("bob@example.org", Author::Nobody).await, RecipientLookup::NotFound);
    assert_eq!(site.results(), [Fresh, Stale, Negative]);
}

#[tokio::test]
async fn invented_logins_do_not_drive_out_real_ones() {
    let server = Server::start(people());
    let site = Site::with(&[&server], |plan| plan.cache.accounts = 10);
    assert_eq!(site.memberships("carol").await, "nyy");
    let invented: Vec<String> = (0..2000).map(|n| format!("x{n}")).collect();
    for some in invented.chunks(100) {
        join_all(some.iter().map(|login| site.lookup(login))).await;
    }
    site.results();
    assert_eq!(site.memberships("carol").await, "nyy");
    assert_eq!(site.results(), [Cached]);
}
