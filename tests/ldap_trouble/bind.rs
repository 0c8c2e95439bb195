//! The bind: a wrong password is tried once, or the service account gets locked.

use std::sync::atomic::Ordering;
use std::time::Duration;

use gatepost::directory::meter::LookupResult::{Error, Fresh, Stale};
use gatepost::rights::Lookup;

use crate::ldap_server::people::people;
use crate::ldap_server::{Deviation, Server, When};
use crate::site::{Site, until};

#[tokio::test]
async fn a_password_that_is_refused_is_not_tried_again_until_its_file_changes() {
    let servers = [Server::start(people()), Server::start(people())];
    for server in &servers {
        server.password("new");
    }
    let both = [&servers[0], &servers[1]];
    let mut site = Site::new(&both);
    site.tend();
    for login in ["alice", "bob", "carol", "erin", "alice", "bob"] {
        assert_eq!(site.lookup(login).await, Lookup::Unavailable);
        assert_eq!(site.results(), [Error]);
        // The probes of seconds.
        site.pass(Duration::from_secs(5));
    }
    let binds = || servers.iter().map(|server| server.count(&When::bind())).sum::<usize>();
    assert_eq!(binds(), 1);
    site.folder.write("bind.pw", "new\n");
    site.is_well_again("alice").await;
    assert!(binds() > 1);
}

#[tokio::test]
async fn many_questions_at_once_try_a_wrong_password_but_once() {
    let server = Server::start(people());
    server.password("new");
    let site = Site::with(&[&server], |plan| plan.settings.connections = 16);
    let logins: Vec<String> = (0..200).map(|n| format!("u{n}")).collect();
    let all = futures_util::future::join_all(logins.iter().map(|login| site.lookup(login))).await;
    assert!(all.iter().all(|lookup| *lookup == Lookup::Unavailable));
    assert_eq!(server.count(&When::bind()), 1);
}

#[tokio::test]
async fn a_password_that_was_good_is_tried_but_once_when_it_no_longer_is() {
    let server = Server::start(people());
    let site = Site::with(&[&server], |plan| plan.settings.connections = 16);
    assert_eq!(site.memberships("alice").await, "ynn");
    server.password("new");
    server.close_all();
    server.forget();
    let logins: Vec<String> = (0..200).map(|n| format!("u{n}")).collect();
    let all = futures_util::future::join_all(logins.iter().map(|login| site.lookup(login))).await;
    assert!(all.iter().all(|lookup| *lookup == Lookup::Unavailable));
    assert_eq!(server.count(&When::bind()), 1);
    site.pass_fresh();
    site.results();
    assert_eq!(site.memberships("alice").await, "ynn");
    assert_eq!(site.results(), [Stale]);
}

#[tokio::test]
async fn a_locked_service_account_is_tried_again_after_some_minutes() {
    let server = Server::start(people());
    server.on(When::bind(), Deviation::bind_refused("775"));
    let mut site = Site::new(&[&server]);
    site.tend();
    assert_eq!(site.lookup("alice").await, Lookup::Unavailable);
    assert_eq!(server.count(&When::bind()), 1);
    server.behave();
    site.pass(Duration::from_secs(180));
    site.is_well_again("alice").await;
    assert_eq!(site.memberships("alice").await, "ynn");
}

#[tokio::test]
async fn a_password_that_stays_wrong_is_tried_by_one_server_at_a_time_and_ever_more_seldom() {
    let servers = [Server::start(people()), Server::start(people())];
    for server in &servers {
        server.password("new");
    }
    let mut site = Site::new(&[&servers[0], &servers[1]]);
    site.tend();
    assert_eq!(site.lookup("alice").await, Lookup::Unavailable);
    let binds = || servers.iter().map(|server| server.count(&When::bind())).sum::<usize>();
    let dials = || servers.each_ref().map(|server| server.count(&When::connect()));
    for (after, so_many) in [(174, 1), (5, 1), (5, 2), (350, 2), (5, 2), (5, 3)] {
        let before = dials();
        site.pass(Duration::from_secs(after));
        until("both probed", async || {
            let is_idle = site.meter.under_way.load(Ordering::SeqCst) == 0;
            let is_probed = dials().iter().zip(before).all(|(now, before)| *now > before);
            (is_probed && is_idle).then_some(())
        })
        .await;
        assert_eq!(binds(), so_many, "after {after} s more");
    }
}

#[tokio::test]
async fn a_bind_that_is_not_answered_counts_as_refused() {
    let server = Server::start(people());
    server.on(When::bind(), Deviation::Close);
    let mut site = Site::new(&[&server]);
    site.tend();
    for _ in 0..5 {
        assert_eq!(site.lookup("alice").await, Lookup::Unavailable);
        site.pass(Duration::from_secs(5));
    }
    assert_eq!(server.count(&When::bind()), 1);
    server.behave();
    site.pass(Duration::from_secs(180));
    site.is_well_again("alice").await;
}

#[tokio::test]
async fn a_bind_that_is_cut_off_by_the_end_of_dialling_counts_as_refused() {
    let server = Server::start(people());
    server.on(When::bind(), Deviation::Silence);
    let mut site = Site::new(&[&server]);
    let cut_off = async {
        server.reaches(&When::bind(), 1).await;
        // Nothing moves any more, so that time passes by itself.
        tokio::time::pause();
    };
    assert_eq!(tokio::join!(site.lookup("alice"), cut_off).0, Lookup::Unavailable);
    tokio::time::resume();
    server.is_alone().await;
    server.behave();
    site.tend();
    for _ in 0..5 {
        assert_eq!(site.lookup("alice").await, Lookup::Unavailable);
        site.pass(Duration::from_secs(5));
    }
    assert_eq!(server.count(&When::bind()), 1);
    site.pass(Duration::from_secs(180));
    site.is_well_again("alice").await;
}

#[tokio::test]
async fn a_server_that_is_frozen_is_sent_no_password_and_is_back_at_once() {
    let server = Server::start(people());
    server.freeze();
    let site = Site::with(&[&server], |plan| {
        plan.settings.timeout = Duration::from_millis(400);
        plan.settings.connections = 1;
    });
    assert_eq!(site.lookup("alice").await, Lookup::Unavailable);
    // Until dialling has been given up; nothing moves, so that time passes by itself.
    tokio::time::pause();
    let _ = tokio::time::timeout(Duration::from_secs(20), std::future::pending::<()>()).await;
    tokio::time::resume();
    server.thaw();
    let before = site.now();
    until("back", async || {
        site.pass(Duration::from_millis(1));
        matches!(site.lookup("alice").await, Lookup::Found(_)).then_some(())
    })
    .await;
    assert!(site.now().ms_since(before) < 180_000);
    assert_eq!(server.count(&When::bind()), 2, "one for lookups, one for groups");
}

#[tokio::test]
async fn without_a_password_nobody_binds_and_all_is_well_once_there_is_one() {
    for content in [None, Some(""), Some("\n"), Some("\nsecond line\n")] {
        let server = Server::start(people());
        let mut site = Site::new(&[&server]);
        site.tend();
        match content {
            Some(content) => drop(site.folder.write("bind.pw", content)),
            None => std::fs::remove_file(site.folder.path("bind.pw")).expect("removed"),
        }
        assert_eq!(site.lookup("alice").await, Lookup::Unavailable, "{content:?}");
        assert_eq!(site.results(), [Error], "{content:?}");
        assert_eq!(server.count(&When::bind()), 0, "{content:?}");
        site.folder.write("bind.pw", crate::ldap_server::people::BIND_PASSWORD);
        site.is_well_again("alice").await;
    }
}

#[tokio::test]
async fn a_bind_refused_by_one_server_goes_to_the_next() {
    // 8: it wants TLS. 51: busy. 53: unwilling.
    for code in [1, 8, 13, 51, 52, 53, 80] {
        let servers = [Server::start(people()), Server::start(people())];
        servers[0].on(When::bind(), Deviation::result(code, "not so"));
        let site = Site::new(&[&servers[0], &servers[1]]);
        assert_eq!(site.memberships("alice").await, "ynn", "{code}");
        assert_eq!(site.results(), [Fresh], "{code}");
        assert_eq!(servers[0].count(&When::search()), 0, "{code}");
    }
}

#[tokio::test]
async fn a_bind_refused_by_the_only_server_is_no_answer() {
    for code in [8, 51, 53] {
        let server = Server::start(people());
        server.on(When::bind(), Deviation::result(code, "not so"));
        let mut site = Site::new(&[&server]);
        site.tend();
        assert_eq!(site.lookup("alice").await, Lookup::Unavailable, "{code}");
        assert_eq!(site.results(), [Error], "{code}");
        server.behave();
        site.is_well_again("alice").await;
    }
}

#[tokio::test]
async fn a_bind_that_the_server_forgot_is_made_again() {
    let server = Server::start(people());
    let site = Site::with(&[&server], |plan| plan.settings.connections = 1);
    assert_eq!(site.memberships("alice").await, "ynn");
    // operationsError: "a successful bind must be completed on the connection".
    server.on(When::search().nth(1), Deviation::result(1, "data 0"));
    assert_eq!(site.memberships("bob").await, "nyn");
    assert_eq!(site.results(), [Fresh, Fresh]);
}
