//! Several servers: the next one answers for one that does not, and the last known answer is served
//! while none does.

use std::time::Duration;

use gatepost::directory::meter::LookupResult::{Cached, Error, Fresh, Stale, Timeout};
use gatepost::rights::Lookup;

use crate::ldap_server::people::{BASE, people};
use crate::ldap_server::{Deviation, Server, When};
use crate::site::{FRESH, SERVE_STALE, Site, locate, until};

const SHORT: Duration = Duration::from_millis(400);

/// How a server goes, and how it comes back.
type Outage = (&'static str, fn(&Server), fn(&Server));

const OUTAGES: [Outage; 5] = [
    ("refusing", |server| server.kill(), |server| server.open()),
    ("frozen", |server| server.freeze(), |server| server.thaw()),
    (
        "busy",
        |server| server.on(When::search(), Deviation::result(51, "")),
        |server| server.behave(),
    ),
    ("silent", |server| server.on(When::search(), Deviation::Silence), |server| server.behave()),
    ("closing", |server| server.on(When::connect(), Deviation::Close), |server| server.behave()),
];

#[tokio::test]
async fn the_next_server_answers_within_the_same_question() {
    for (name, go, _) in OUTAGES {
        let servers = [Server::start(people()), Server::start(people())];
        go(&servers[0]);
        let site = Site::hasty(&[&servers[0], &servers[1]], SHORT);
        let lookup = site.lookup("alice").await;
        assert!(matches!(lookup, Lookup::Found(_)), "{name}: {lookup:?}");
        assert_eq!(site.results(), [Fresh], "{name}");
        assert_eq!(servers[1].count(&locate("alice")), 1, "{name}");
    }
}

#[tokio::test]
async fn the_next_server_answers_when_the_preferred_one_goes_later() {
    for (name, go, _) in OUTAGES {
        let servers = [Server::start(people()), Server::start(people())];
        let site = Site::hasty(&[&servers[0], &servers[1]], SHORT);
        assert_eq!(site.memberships("alice").await, "ynn", "{name}");
        go(&servers[0]);
        if name == "closing" {
            servers[0].close_all();
        }
        site.pass_fresh();
        assert_eq!(site.memberships("bob").await, "nyn", "{name}");
        assert_eq!(site.memberships("alice").await, "ynn", "{name}");
        assert_eq!(site.results(), [Fresh, Fresh, Fresh], "{name}");
    }
}

#[tokio::test]
async fn the_preferred_server_is_asked_again_once_it_is_back() {
    for (name, go, come) in OUTAGES {
        let servers = [Server::start(people()), Server::start(people())];
        let mut site = Site::hasty(&[&servers[0], &servers[1]], SHORT);
        site.tend();
        go(&servers[0]);
        assert!(matches!(site.lookup("alice").await, Lookup::Found(_)), "{name}");
        come(&servers[0]);
        let told = until("back", async || {
            site.pass(Duration::from_secs(1));
            site.lookup("bob").await;
            servers[0].count(&locate("bob")).ge(&1).then(|| site.meter.servers(&[&servers[0]]))
        })
        .await;
        assert!(told.ends_with("-0+0"), "{name}: {told}");
    }
}

#[tokio::test]
async fn while_no_server_answers_the_last_known_answer_is_served_with_its_age() {
    for (name, go, come) in OUTAGES {
        let servers = [Server::start(people()), Server::start(people())];
        let mut site = Site::hasty(&[&servers[0], &servers[1]], SHORT);
        site.tend();
        assert_eq!(site.memberships("carol").await, "nyy", "{name}");
        for server in &servers {
            go(server);
            if name == "closing" {
                server.close_all();
            }
        }
        site.results();
        // Fresh as long as it would have been anyway.
        site.pass(FRESH / 2);
        assert_eq!(site.holder("carol").await.age_ms, 150_000, "{name}");
        site.pass(FRESH);
        for _ in 0..3 {
            assert_eq!(site.memberships("carol").await, "nyy", "{name}");
            assert_eq!(site.holder("carol").await.age_ms, 450_000, "{name}");
        }
        let results = site.results();
        assert_eq!(results[0], Cached, "{name}");
        assert_eq!(results[1..], [Stale; 6], "{name}");
        assert!(site.meter.stale_ages().iter().all(|age| *age == 450_000), "{name}");
        // Nobody knows of bob.
        assert_eq!(site.lookup("bob").await, Lookup::Unavailable, "{name}");
        assert!(matches!(*site.results(), [Error | Timeout]), "{name}");
        // To the last moment, and no longer.
        site.pass(SERVE_STALE - FRESH - FRESH / 2);
        assert_eq!(site.memberships("carol").await, "nyy", "{name}");
        site.pass(Duration::from_millis(1));
        assert_eq!(site.lookup("carol").await, Lookup::Unavailable, "{name}");
        for server in &servers {
            come(server);
        }
        site.is_well_again("carol").await;
        site.is_well_again("bob").await;
        site.settles("carol", "nyy").await;
    }
}

#[tokio::test]
async fn an_answer_of_before_the_outage_is_replaced_once_a_server_is_back() {
    let server = Server::start(people());
    let mut site = Site::new(&[&server]);
    site.tend();
    assert_eq!(site.memberships("alice").await, "ynn");
    server.kill();
    site.pass_fresh();
    assert_eq!(site.memberships("alice").await, "ynn");
    server.change("alice", |alice| alice.set("userAccountControl", ["514"]));
    server.open();
    site.is_well_again("alice").await;
    let state = site.holder("alice").await.account.state;
    assert_eq!(state, gatepost::rights::AccountState::Disabled);
    assert_eq!(site.meter.stale_ages().last(), Some(&0));
}

#[tokio::test]
async fn three_servers_are_asked_in_their_order() {
    let servers: [Server; 3] = std::array::from_fn(|_| Server::start(people()));
    let all = [&servers[0], &servers[1], &servers[2]];
    servers[0].kill();
    servers[1].kill();
    let site = Site::hasty(&all, SHORT);
    assert_eq!(site.memberships("alice").await, "ynn");
    assert_eq!(servers[2].count(&locate("alice")), 1);
    assert_eq!(site.meter.servers(&all), "+0+1+2-0-1");
}

#[tokio::test]
async fn a_server_that_answers_nobody_twice_is_left_alone_by_questions() {
    let servers = [Server::start(people()), Server::start(people())];
    servers[0].on(When::connect(), Deviation::Silence);
    let site = Site::hasty(&[&servers[0], &servers[1]], SHORT);
    assert_eq!(site.memberships("alice").await, "ynn");
    let before = servers[0].count(&When::connect());
    for login in ["bob", "carol", "erin"] {
        assert!(matches!(site.lookup(login).await, Lookup::Found(_)), "{login}");
    }
    assert_eq!(servers[0].count(&When::connect()), before);
}

#[tokio::test]
async fn groups_named_anew_while_servers_are_silent_leave_time_for_the_last_known_answer() {
    let server = Server::start(people());
    let mut site = Site::with(&[&server], |plan| {
        plan.settings.wait = Duration::from_secs(4);
        plan.settings.timeout = Duration::from_secs(60);
    });
    assert_eq!(site.memberships("carol").await, "nyy");
    server.freeze();
    site.rename_groups(&["No-Mail", "Helpdesk"]);
    // Nothing moves any more, so that time passes by itself, and exactly.
    tokio::time::pause();
    // One wait for the groups and one more for the account would be 8 s.
    let asking = tokio::time::timeout(Duration::from_secs(7), site.memberships("carol"));
    assert_eq!(asking.await.expect("an answer in time"), "y?");
    assert_eq!(site.results(), [Fresh, Stale]);
}

#[tokio::test]
async fn a_connection_that_was_given_up_is_closed_without_a_further_question() {
    for deviation in [Deviation::EndlessEntries, Deviation::Silence] {
        let server = Server::start(people());
        let site = Site::with(&[&server], |plan| {
            plan.settings.timeout = SHORT;
            plan.settings.connections = 1;
        });
        server.on(When::search(), deviation);
        assert_eq!(site.lookup("alice").await, Lookup::Unavailable);
        server.is_alone().await;
    }
}

#[tokio::test]
async fn a_server_that_has_lost_its_database_is_passed_over_until_it_has_it_again() {
    let servers = [Server::start(people()), Server::start(people())];
    let both = [&servers[0], &servers[1]];
    let mut site = Site::new(&both);
    // The rootDSE it still has.
    let database = When::search().base("dc=example");
    servers[0].on(database.clone(), Deviation::result(32, ""));
    assert_eq!(site.memberships("alice").await, "ynn");
    assert_eq!(site.results(), [Fresh]);
    site.tend();
    for login in ["bob", "carol", "erin"] {
        let before = servers[0].count(&database);
        site.pass(Duration::from_secs(5));
        servers[0].reaches(&database, before + 1).await;
        assert!(matches!(site.lookup(login).await, Lookup::Found(_)), "{login}");
    }
    assert_eq!(site.meter.servers(&both), "+0+1-0");
    servers[0].behave();
    until("back", async || {
        site.pass(Duration::from_secs(1));
        site.lookup("a.liddell@example.org").await;
        (site.meter.servers(&both) == "+0").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_that_has_lost_its_groups_is_passed_over_for_them_alone() {
    let servers = [Server::start(people()), Server::start(people())];
    let groups = When::search().base("OU=Groups").filter("objectCategory=group");
    servers[0].on(groups, Deviation::result(32, ""));
    let separate = |plan: &mut crate::site::Plan| {
        plan.settings.base = format!("OU=People,{BASE}");
        plan.settings.group_base = format!("OU=Groups,{BASE}");
    };
    let site = Site::with(&[&servers[0], &servers[1]], separate);
    assert_eq!(site.memberships("alice").await, "ynn");
    assert_eq!(servers[0].count(&locate("alice")), 1);
    let site = Site::with(&[&servers[0]], separate);
    for login in ["alice", "bob", "carol", "erin"] {
        assert_eq!(site.memberships(login).await, "???", "{login}");
    }
}

#[tokio::test]
async fn requests_that_time_out_together_do_not_cut_off_the_only_server() {
    let server = Server::start(people());
    let site = Site::hasty(&[&server], SHORT);
    assert_eq!(site.memberships("alice").await, "ynn");
    server.on(When::search(), Deviation::Silence);
    let logins: Vec<String> = (0..64).map(|n| format!("u{n}")).collect();
    let all = futures_util::future::join_all(logins.iter().map(|login| site.lookup(login))).await;
    assert!(all.iter().all(|lookup| *lookup == Lookup::Unavailable));
    server.behave();
    // Nobody probes.
    assert_eq!(site.memberships("bob").await, "nyn");
}
