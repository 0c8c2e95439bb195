//! Recipients: whether they are there, and who may write to them (Exchange's attributes).

use std::time::Duration;

use futures_util::future::join_all;
use gatepost::directory::Author::{self, Account, Nobody, Stranger};
use gatepost::directory::meter::LookupResult::{Cached, Error, Fresh, Negative, Stale};
use gatepost::mail::AccountKey;
use gatepost::rights::Lookup;
use gatepost::rights::RecipientLookup::{Found, NotFound, Unavailable};
use gatepost::rights::Restriction::{Allowed, AuthenticatedOnly, Denied, NotOnList, Open, Unknown};

use crate::ldap_server::people::people;
use crate::ldap_server::{Deviation, InChain, Server, When};
use crate::site::{NEGATIVE, SERVE_STALE, Site, until};

/// boss has this in an attribute, by the names of people and groups.
fn restricted(lists: &[(&str, &[&str])]) -> Server {
    let mut directory = people();
    directory.person("boss");
    for (attribute, names) in lists {
        let dns: Vec<String> = names.iter().map(|name| directory.dn(name)).collect();
        directory.change("boss").set(attribute, dns);
    }
    Server::start(directory)
}

const BOSS: &str = "boss@example.org";

/// Attributes of a recipient with their values, and what each kind of author is told.
type Row<'a, const N: usize> = (&'a [(&'a str, &'a [&'a str])], [gatepost::rights::Restriction; N]);

#[tokio::test]
async fn every_address_of_whatever_has_one_is_there() {
    let mut directory = people();
    directory.group("List", &["alice"]).set("mail", ["list@example.org"]);
    directory
        .insert("CN=Outside,DC=example,DC=org")
        .set("objectClass", ["contact"])
        .add("proxyAddresses", "smtp:outside@example.org");
    let server = Server::start(directory);
    let site = Site::new(&[&server]);
    for address in [
        "alice@example.org",
        "ALICE@EXAMPLE.ORG",
        "a.liddell@example.org",
        "list@example.org",
        "outside@example.org",
        // Disabled, and a recipient all the same.
        "erin@example.org",
    ] {
        assert_eq!(site.recipient(address, Nobody).await, Found(Open), "{address}");
    }
    for address in
        ["nobody@example.org", "alice@other.org", "alice@example.org.", "x500:/o=Example"]
    {
        let lookup = site.recipient(address, Nobody).await;
        let is_dotted = address.ends_with('.');
        assert_eq!(lookup, if is_dotted { Found(Open) } else { NotFound }, "{address}");
    }
    assert_eq!(site.recipient("nobody@example.org", Stranger).await, NotFound);
}

#[tokio::test]
async fn one_that_takes_mail_from_logged_in_senders_only() {
    let server = restricted(&[]);
    server.change("boss", |boss| boss.set("msExchRequireAuthToSendTo", ["TRUE"]));
    let site = Site::new(&[&server]);
    let alice = site.key("alice").await;
    assert_eq!(site.restriction(BOSS, Nobody).await, AuthenticatedOnly);
    assert_eq!(site.restriction(BOSS, Stranger).await, Open);
    assert_eq!(site.restriction(BOSS, Account(&alice)).await, Open);
    server.change("boss", |boss| boss.set("msExchRequireAuthToSendTo", ["FALSE"]));
    site.pass_fresh();
    assert_eq!(site.restriction(BOSS, Nobody).await, Open);
    server.change("boss", |boss| boss.set("msExchRequireAuthToSendTo", ["perhaps"]));
    let site = Site::new(&[&server]);
    assert_eq!(site.recipient(BOSS, Nobody).await, Unavailable);
}

#[tokio::test]
async fn lists_of_those_who_may_and_may_not_write() {
    // bob is in Mail-Submit by two groups; carol is in No-Mail by one; erin is in Mail-Submit.
    let rows: &[Row<4>] = &[
        (&[("authOrig", &["alice"])], [Allowed, NotOnList, NotOnList, NotOnList]),
        (&[("unauthOrig", &["alice"])], [Denied, Open, Open, Open]),
        (&[("dLMemSubmitPerms", &["Mail-Submit"])], [NotOnList, Allowed, Allowed, Allowed]),
        (&[("dLMemSubmitPerms", &["Helpdesk"])], [NotOnList, Allowed, NotOnList, NotOnList]),
        (&[("dLMemRejectPerms", &["Mail-Submit"])], [Open, Denied, Denied, Denied]),
        (&[("dLMemRejectPerms", &["No-Mail"])], [Open, Open, Denied, Open]),
        // Both kinds of list are one; who may not, may not.
        (
            &[("authOrig", &["alice"]), ("dLMemSubmitPerms", &["Helpdesk"])],
            [Allowed, Allowed, NotOnList, NotOnList],
        ),
        (
            &[("dLMemSubmitPerms", &["Mail-Submit"]), ("dLMemRejectPerms", &["No-Mail"])],
            [NotOnList, Allowed, Denied, Allowed],
        ),
        (
            &[("authOrig", &["alice", "bob"]), ("unauthOrig", &["bob"])],
            [Allowed, Denied, NotOnList, NotOnList],
        ),
        // By the primary group.
        (&[("dLMemSubmitPerms", &["Domain Users"])], [Allowed; 4]),
    ];
    for (lists, expected) in rows {
        let server = restricted(lists);
        let site = Site::new(&[&server]);
        for (login, expected) in ["alice", "bob", "carol", "erin"].iter().zip(expected) {
            let key = site.key(login).await;
            let found = site.restriction(BOSS, Account(&key)).await;
            assert_eq!(found, *expected, "{login}: {lists:?}");
        }
        let is_list = lists.iter().any(|(name, _)| ["authOrig", "dLMemSubmitPerms"].contains(name));
        let stranger = if is_list { NotOnList } else { Open };
        for author in [Nobody, Stranger] {
            assert_eq!(site.restriction(BOSS, author).await, stranger, "{author:?}: {lists:?}");
        }
    }
}

#[tokio::test]
async fn a_distribution_group_that_holds_the_sender_by_others_counts() {
    let server = restricted(&[("dLMemSubmitPerms", &["Mail-Submit"])]);
    for group in ["Mail-Submit", "Helpdesk", "Helpdesk-2"] {
        // Global, and not for security.
        server.change(group, |group| group.set("groupType", ["2"]));
    }
    let site = Site::new(&[&server]);
    let bob = site.key("bob").await;
    assert_eq!(site.restriction(BOSS, Account(&bob)).await, Allowed);
}

#[tokio::test]
async fn an_address_of_two_objects_is_there_and_who_may_write_to_it_is_unknown() {
    let server = restricted(&[("authOrig", &["alice"])]);
    server.change("bob", |bob| bob.add("proxyAddresses", "smtp:boss@example.org"));
    let site = Site::new(&[&server]);
    let alice = site.key("alice").await;
    for author in [Nobody, Stranger, Account(&alice)] {
        assert_eq!(site.restriction(BOSS, author).await, Unknown, "{author:?}");
    }
}

#[tokio::test]
async fn an_author_the_directory_does_not_know_is_unknown_where_there_are_lists() {
    let server = restricted(&[("unauthOrig", &["alice"])]);
    let site = Site::new(&[&server]);
    for key in ["ldap:00000000-0000-0000-0000-000000000000", "ldap:junk", "file:alice", "login:x"] {
        let (directory, id) = key.split_once(':').expect("a colon");
        let key = AccountKey::object(directory, id);
        assert_eq!(site.restriction(BOSS, Account(&key)).await, Unknown, "{key}");
    }
}

#[tokio::test]
async fn a_search_for_a_recipient_that_fails_is_unavailable() {
    for code in [3, 4, 11, 12, 32, 50, 51, 53] {
        let server = restricted(&[]);
        server.on(When::search(), Deviation::partial(0, code));
        let site = Site::new(&[&server]);
        assert_eq!(site.recipient(BOSS, Nobody).await, Unavailable, "{code}");
        assert_eq!(site.results(), [Error], "{code}");
        server.behave();
        assert_eq!(site.recipient(BOSS, Nobody).await, Found(Open), "{code}");
    }
}

#[tokio::test]
async fn lists_that_cannot_be_read_leave_it_unknown() {
    let server = restricted(&[("dLMemRejectPerms", &["No-Mail"])]);
    let site = Site::new(&[&server]);
    let carol = site.key("carol").await;
    assert_eq!(site.restriction(BOSS, Nobody).await, Open);
    for when in [
        When::search().filter("(objectGUID="),
        When::search().base("CN=No-Mail"),
        When::search().paged(),
    ] {
        for deviation in [Deviation::partial(0, 4), Deviation::result(53, "")] {
            server.on(when.clone(), deviation);
            assert_eq!(site.restriction(BOSS, Account(&carol)).await, Unknown, "{when:?}");
            server.behave();
        }
    }
    assert_eq!(site.restriction(BOSS, Account(&carol)).await, Denied);
}

#[tokio::test]
async fn junk_in_a_list_is_unavailable() {
    for junk in [&b"junk"[..], b"\xff\x00", &[b'x'; 10 << 20]] {
        let server = restricted(&[]);
        server.change("boss", |boss| boss.set("unauthOrig", [junk]));
        let site = Site::new(&[&server]);
        assert_eq!(site.recipient(BOSS, Nobody).await, Unavailable);
    }
}

#[tokio::test]
async fn a_list_of_thousands_is_read_to_its_end() {
    let server = restricted(&[]);
    server.directory(|directory| {
        let mut list: Vec<String> =
            (0..3200).map(|n| format!("CN=x{n},DC=example,DC=org")).collect();
        list.push(directory.dn("alice"));
        directory.change("boss").set("unauthOrig", list);
    });
    let site = Site::new(&[&server]);
    let (alice, bob) = (site.key("alice").await, site.key("bob").await);
    assert_eq!(site.restriction(BOSS, Account(&alice)).await, Denied);
    assert_eq!(site.restriction(BOSS, Account(&bob)).await, Open);
}

#[tokio::test]
async fn a_group_too_deep_to_be_read_leaves_it_unknown() {
    let server = restricted(&[]);
    server.directory(|directory| {
        let mut inner = String::from("alice");
        for level in (0..=101).rev() {
            let name = format!("Level-{level}");
            directory.group(&name, &[&inner]);
            inner = name;
        }
        let top = directory.dn(&inner);
        directory.change("boss").set("dLMemRejectPerms", [top]);
    });
    let site = Site::new(&[&server]);
    let alice = site.key("alice").await;
    assert_eq!(site.restriction(BOSS, Account(&alice)).await, Unknown);
}

#[tokio::test]
async fn a_group_on_a_list_that_cannot_be_seen_leaves_it_unknown() {
    // As by an access rule: rc 0 and nothing. alice is in Mail-Relay, carol in Mail-Submit.
    let cases: &[Row<2>] = &[
        (&[("dLMemRejectPerms", &["No-Mail"])], [Unknown, Unknown]),
        (&[("dLMemSubmitPerms", &["No-Mail"])], [Unknown, Unknown]),
        (&[("dLMemSubmitPerms", &["No-Mail", "Mail-Relay"])], [Allowed, Unknown]),
        (&[("dLMemRejectPerms", &["No-Mail", "Mail-Relay"])], [Denied, Unknown]),
        (
            &[("dLMemRejectPerms", &["No-Mail"]), ("dLMemSubmitPerms", &["Mail-Relay"])],
            [Unknown, NotOnList],
        ),
        (&[("dLMemRejectPerms", &["No-Mail"]), ("authOrig", &["alice"])], [Unknown, NotOnList]),
        (&[("dLMemSubmitPerms", &["No-Mail"]), ("unauthOrig", &["alice"])], [Denied, Unknown]),
    ];
    for (lists, expected) in cases {
        let server = restricted(lists);
        server.on(When::search().base("CN=No-Mail"), Deviation::nothing());
        let site = Site::new(&[&server]);
        for (login, expected) in ["alice", "carol"].iter().zip(expected) {
            let key = site.key(login).await;
            assert_eq!(site.restriction(BOSS, Account(&key)).await, *expected, "{login} {lists:?}");
        }
    }
}

#[tokio::test]
async fn an_author_has_its_token_groups() {
    let server = restricted(&[("dLMemRejectPerms", &["No-Mail"])]);
    // bob is in No-Mail by a group of another domain, of which nothing but tokenGroups tells.
    server.behaviour(|behaviour| behaviour.token_groups = false);
    server.directory(|directory| {
        let sids = ["Domain Users", "No-Mail"]
            .map(|group| directory.change(group).values("objectSid")[0].clone());
        directory.change("bob").set("tokenGroups", sids);
    });
    let site = Site::new(&[&server]);
    let bob = site.key("bob").await;
    assert_eq!(site.restriction(BOSS, Account(&bob)).await, Denied);
    // And whoever has none that can be read may be in it, unless the rule in-chain says No.
    let alice = site.key("alice").await;
    assert_eq!(site.restriction(BOSS, Account(&alice)).await, Open);
    server.behaviour(|behaviour| behaviour.in_chain = InChain::Refused);
    let site = Site::new(&[&server]);
    assert_eq!(site.restriction(BOSS, Account(&alice)).await, Unknown);
}

#[tokio::test]
async fn five_hundred_questions_for_one_author_and_recipient_at_once_are_one_walk() {
    let server = restricted(&[("dLMemRejectPerms", &["No-Mail"])]);
    let site = Site::new(&[&server]);
    let carol = site.key("carol").await;
    let all = join_all((0..500).map(|_| site.restriction(BOSS, Account(&carol)))).await;
    assert!(all.iter().all(|restriction| *restriction == Denied));
    assert_eq!(server.count(&When::search().filter("(objectGUID=")), 1);
}

#[tokio::test]
async fn a_walk_that_takes_longer_than_a_question_waits_is_remembered() {
    let server = restricted(&[("dLMemRejectPerms", &["No-Mail"])]);
    let wait = Duration::from_millis(50);
    let site = Site::with(&[&server], |plan| plan.settings.wait = wait);
    let carol = until("known", async || match site.lookup("carol").await {
        Lookup::Found(holder) => Some(holder.account.key.clone()),
        _ => None,
    })
    .await;
    until("found", async || (site.recipient(BOSS, Nobody).await == Found(Open)).then_some(()))
        .await;
    server.freeze();
    // Nobody has an answer yet, whoever asks and goes away.
    for _ in 0..3 {
        assert_eq!(site.restriction(BOSS, Account(&carol)).await, Unknown);
    }
    server.thaw();
    until("Denied", async || {
        (site.restriction(BOSS, Account(&carol)).await == Denied).then_some(())
    })
    .await;
    assert_eq!(server.count(&When::search().filter("(objectGUID=")), 1);
}

#[tokio::test]
async fn recipients_and_their_lists_are_kept() {
    let server = restricted(&[("dLMemRejectPerms", &["No-Mail"])]);
    let mut site = Site::new(&[&server]);
    site.tend();
    let carol = site.key("carol").await;
    let author: Author<'_> = Account(&carol);
    assert_eq!(site.restriction(BOSS, author).await, Denied);
    assert_eq!(site.recipient("nobody@example.org", Nobody).await, NotFound);
    server.forget();
    site.results();
    for _ in 0..10 {
        assert_eq!(site.restriction(BOSS, author).await, Denied);
        assert_eq!(site.recipient("nobody@example.org", Nobody).await, NotFound);
    }
    assert_eq!(server.count(&When::search()), 0);
    let results = site.results();
    assert!(results.iter().step_by(2).all(|result| *result == Cached), "{results:?}");
    assert!(results.iter().skip(1).step_by(2).all(|result| *result == Negative), "{results:?}");
    // And served while no server answers.
    server.kill();
    site.pass_fresh();
    for _ in 0..3 {
        assert_eq!(site.restriction(BOSS, author).await, Denied);
    }
    assert_eq!(site.results(), [Stale; 3]);
    assert_eq!(site.recipient("nobody@example.org", Nobody).await, Unavailable);
    site.pass(SERVE_STALE);
    assert_eq!(site.recipient(BOSS, author).await, Unavailable);
    server.open();
    server.reaches(&When::bind(), 1).await;
    crate::site::until("well", async || {
        site.pass(Duration::from_secs(1));
        (site.recipient(BOSS, author).await == Found(Denied)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_unknown_recipient_that_comes_is_known_after_a_while() {
    let server = Server::start(people());
    let site = Site::new(&[&server]);
    assert_eq!(site.recipient(BOSS, Nobody).await, NotFound);
    server.directory(|directory| directory.person("boss").dn.clone());
    assert_eq!(site.recipient(BOSS, Nobody).await, NotFound);
    site.pass(NEGATIVE);
    assert_eq!(site.recipient(BOSS, Nobody).await, Found(Open));
    assert_eq!(site.results(), [Negative, Negative, Fresh]);
}
