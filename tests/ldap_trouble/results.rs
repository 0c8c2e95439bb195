//! What is made of each result code, of partial answers, and of referrals.

use gatepost::directory::Directory;
use gatepost::directory::meter::LookupResult::{Error, Fresh, Negative};
use gatepost::rights::Lookup;

use crate::ldap_server::people::{BASE, people};
use crate::ldap_server::{Deviation, Server, When};
use crate::site::{Site, locate};

#[tokio::test]
async fn a_result_that_another_server_cannot_better_is_no_answer() {
    for code in [3, 4, 10, 11, 12, 50, 53] {
        let servers = [Server::start(people()), Server::start(people())];
        servers[0].on(locate("alice"), Deviation::result(code, "because"));
        let site = Site::new(&[&servers[0], &servers[1]]);
        assert_eq!(site.lookup("alice").await, Lookup::Unavailable, "{code}");
        assert_eq!(site.results(), [Error], "{code}");
        assert_eq!(servers[1].count(&When::connect()), 0, "{code}");
        assert_eq!(site.memberships("bob").await, "nyn", "{code}");
        servers[0].behave();
        assert_eq!(site.memberships("alice").await, "ynn", "{code}");
        assert_eq!(site.results(), [Fresh, Fresh], "{code}");
    }
}

#[tokio::test]
async fn a_result_that_is_the_servers_own_trouble_sends_the_question_to_the_next() {
    // 32: it has lost the base.
    for code in [1, 32, 51, 52, 80] {
        let servers = [Server::start(people()), Server::start(people())];
        servers[0].on(locate("alice"), Deviation::result(code, "because"));
        let site = Site::new(&[&servers[0], &servers[1]]);
        assert_eq!(site.memberships("alice").await, "ynn", "{code}");
        assert_eq!(site.results(), [Fresh], "{code}");
        assert_eq!(servers[1].count(&locate("alice")), 1, "{code}");
        assert_eq!(site.meter.servers(&[&servers[0], &servers[1]]), "+0+1-0", "{code}");
    }
}

#[tokio::test]
async fn a_lone_server_in_trouble_gives_no_answer_and_is_asked_again() {
    for code in [1, 51, 52, 80] {
        let server = Server::start(people());
        server.on(locate("alice"), Deviation::result(code, "because"));
        let site = Site::new(&[&server]);
        assert_eq!(site.lookup("alice").await, Lookup::Unavailable, "{code}");
        assert_eq!(site.results(), [Error], "{code}");
        server.behave();
        assert_eq!(site.memberships("alice").await, "ynn", "{code}");
    }
}

#[tokio::test]
async fn two_entries_are_ambiguous_however_many_more_there_are() {
    let mut directory = people();
    for login in ["dan", "don", "dun"] {
        directory.person(login).add("proxyAddresses", "smtp:d@example.org");
    }
    let server = Server::start(directory);
    let site = Site::new(&[&server]);
    // The server cuts the three down to two, with rc 4.
    assert_eq!(site.lookup("d@example.org").await, Lookup::Ambiguous);
    server.change("dun", |dun| dun.remove("proxyAddresses"));
    assert_eq!(site.lookup("D@example.org").await, Lookup::Ambiguous);
    assert_eq!(site.results(), [Negative, Negative]);
    assert_eq!(site.memberships("dan").await, "nnn");
}

#[tokio::test]
async fn one_entry_of_an_answer_that_was_cut_off_is_not_taken_for_the_only_one() {
    let mut directory = people();
    for login in ["dan", "don"] {
        directory.person(login).add("proxyAddresses", "smtp:d@example.org");
    }
    let server = Server::start(directory);
    let d = When::search().filter("=smtp:d@example.org)");
    for code in [3, 4, 11] {
        server.behave();
        server.on(d.clone(), Deviation::partial(1, code));
        let site = Site::new(&[&server]);
        assert_eq!(site.lookup("d@example.org").await, Lookup::Unavailable, "{code}");
        assert_eq!(site.results(), [Error], "{code}");
    }
    server.behave();
    server.on(d, Deviation::partial(2, 4));
    let site = Site::new(&[&server]);
    assert_eq!(site.lookup("d@example.org").await, Lookup::Ambiguous);
}

#[tokio::test]
async fn a_server_that_ignores_the_size_limit_is_understood_all_the_same() {
    let mut directory = people();
    for login in ["dan", "don", "dun"] {
        directory.person(login).add("proxyAddresses", "smtp:d@example.org");
    }
    let all = ["dan", "don", "dun"].map(|login| directory.change(login).clone());
    let server = Server::start(directory);
    server.on(
        When::search().filter("=smtp:d@example.org)"),
        Deviation::edit(move |answer| {
            answer.entries = all.to_vec();
            answer.outcome.code = 0;
        }),
    );
    let site = Site::new(&[&server]);
    assert_eq!(site.lookup("d@example.org").await, Lookup::Ambiguous);
}

#[tokio::test]
async fn a_listing_that_is_cut_off_is_a_fault_and_never_a_shorter_list() {
    let server = Server::start(people());
    let site = Site::new(&[&server]);
    let all = site.settled(site.directory.people(&site.groups)).await.expect("people");
    assert_eq!(all.len(), 5);
    let listing = || When::search().filter("sAMAccountType=").paged();
    for code in [1, 3, 4, 11, 51, 53] {
        server.behave();
        server.on(listing(), Deviation::partial(3, code));
        let fault = site.settled(site.directory.people(&site.groups)).await;
        let fault = fault.expect_err("no list");
        assert!(fault.contains(&format!("result {code} (")), "{fault}");
    }
}

#[tokio::test]
async fn a_listing_goes_on_from_page_to_page_and_breaks_off_with_the_third() {
    let server = Server::start(people());
    server.behaviour(|behaviour| behaviour.max_page_size = 2);
    let site = Site::new(&[&server]);
    let all = site.settled(site.directory.people(&site.groups)).await.expect("people");
    let names: Vec<&str> = all.iter().map(|holder| &*holder.account.name).collect();
    assert_eq!(names, ["gatepost", "alice", "bob", "carol", "erin"]);
    let listing = || When::search().filter("sAMAccountType=").paged();
    // The first page once more: it showed that there are others, which need the connection alone.
    assert_eq!(server.count(&listing()), 4);
    server.on(listing().nth(4), Deviation::partial(0, 4));
    site.settled(site.directory.people(&site.groups)).await.expect_err("no list");
}

#[tokio::test]
async fn a_group_whose_nested_groups_do_not_all_come_leaves_its_members_unknown() {
    let server = Server::start(people());
    // Whatever is asked by pages are the groups within groups.
    server.on(When::search().paged().filter("No-Mail"), Deviation::partial(0, 4));
    let site = Site::new(&[&server]);
    assert_eq!(site.memberships("carol").await, "ny?");
    assert_eq!(site.memberships("alice").await, "yn?");
}

#[tokio::test]
async fn a_tree_of_groups_comes_whole_however_small_the_pages_are() {
    let mut directory = people();
    for n in 0..7 {
        let login = format!("u{n}");
        directory.person(&login);
        directory.group(&format!("Branch-{n}"), &[&login]);
    }
    let branches: Vec<String> = (0..7).map(|n| format!("Branch-{n}")).collect();
    let members: Vec<String> = branches.iter().map(|branch| directory.dn(branch)).collect();
    directory.change("Mail-Relay").set("member", members);
    let server = Server::start(directory);
    server.behaviour(|behaviour| behaviour.max_page_size = 3);
    let site = Site::new(&[&server]);
    for n in 0..7 {
        assert_eq!(site.memberships(&format!("u{n}")).await, "ynn");
    }
}

#[tokio::test]
async fn references_to_other_partitions_are_passed_over() {
    let server = Server::start(people());
    let other = Server::start(people());
    let url = format!("ldap://{}/DC=other,DC=org", other.address);
    server.on(When::search(), Deviation::references(&[&url, &url]));
    let site = Site::new(&[&server]);
    assert_eq!(site.memberships("alice").await, "ynn");
    assert_eq!(site.lookup("nobody").await, Lookup::NotFound);
    assert_eq!(other.count(&When::connect()), 0);
}

#[tokio::test]
async fn a_referral_is_named_and_not_followed() {
    let server = Server::start(people());
    let other = Server::start(people());
    let url = format!("ldap://{}/{BASE}", other.address);
    let site = Site::new(&[&server]);
    // As a wrong base gets it.
    server.on(When::search().filter("sAMAccountType="), Deviation::referral(&url));
    assert_eq!(site.lookup("alice").await, Lookup::Unavailable);
    let fault = site.settled(site.directory.people(&site.groups)).await.expect_err("a referral");
    let server_name = format!("ldap://{}", server.address);
    assert_eq!(
        fault,
        format!(
            "{server_name}: result 10 (referral: the base is not of this server; referrals are not \
             followed): ({url})"
        )
    );
    assert_eq!(other.count(&When::connect()), 0);
}

#[tokio::test]
async fn a_base_of_another_domain_is_no_answer_rather_than_nobody() {
    let server = Server::start(people());
    for (refers, code) in [(true, 10), (false, 32)] {
        server.behaviour(|behaviour| behaviour.refers = refers);
        let site = Site::with(&[&server], |plan| {
            plan.settings.base = "DC=other,DC=org".into();
            plan.settings.group_base = "DC=other,DC=org".into();
        });
        assert_eq!(site.lookup("alice").await, Lookup::Unavailable);
        let fault = site.settled(site.directory.people(&site.groups)).await.expect_err("none");
        assert!(fault.contains(&format!("result {code} (")), "{fault}");
    }
}
