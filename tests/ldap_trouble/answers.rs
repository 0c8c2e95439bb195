//! Answers that are slow, endless, huge, broken off or no answers at all: bounded in time and in
//! memory, never taken for something they are not, and over when the server is well again.

use std::time::Duration;

use futures_util::future::join_all;
use gatepost::directory::Directory;
use gatepost::directory::meter::LookupResult::{self, Cached, Error, Fresh, Stale, Timeout};
use gatepost::rights::Lookup;

use crate::ldap_server::people::people;
use crate::ldap_server::{Authority, Behaviour, Deviation, Server, When, garbage};
use crate::site::{Site, locate, until};

/// For what is waited out; two of them fit into what a question waits.
const SHORT: Duration = Duration::from_millis(400);

/// What is answered while each search gets this, before and after alice is known, and that all is
/// well afterwards.
async fn trouble(deviation: Deviation, result: &[LookupResult]) {
    let server = Server::start(people());
    let mut site = Site::hasty(&[&server], SHORT);
    site.tend();
    site.is_well_again("alice").await;
    server.on(When::search(), deviation);
    assert_eq!(site.lookup("bob").await, Lookup::Unavailable);
    let results = site.results();
    assert!(results.len() == 1 && result.contains(&results[0]), "{results:?}");
    site.pass_fresh();
    assert_eq!(site.memberships("alice").await, "ynn");
    assert_eq!(site.results(), [Stale]);
    server.behave();
    site.is_well_again("alice").await;
    // Another connection may not have been found out yet.
    site.is_well_again("bob").await;
    site.settles("bob", "nyn").await;
}

#[tokio::test]
async fn an_answer_drop_by_drop() {
    trouble(Deviation::Drip(Duration::from_secs(3600)), &[Timeout]).await;
}

#[tokio::test]
async fn an_answer_that_comes_drop_by_drop_and_in_time_is_an_answer() {
    let server = Server::start(people());
    server.on(When::search(), Deviation::Drip(Duration::from_millis(1)));
    let site = Site::new(&[&server]);
    assert_eq!(site.memberships("alice").await, "ynn");
}

#[tokio::test]
async fn entries_without_an_end() {
    trouble(Deviation::EndlessEntries, &[Timeout, Error]).await;
}

#[tokio::test]
async fn half_an_answer_and_the_end() {
    trouble(Deviation::HalfThenClose, &[Error]).await;
}

#[tokio::test]
async fn half_an_answer_and_silence() {
    trouble(Deviation::HalfThenSilence, &[Timeout]).await;
}

#[tokio::test]
async fn silence() {
    trouble(Deviation::Silence, &[Timeout]).await;
}

#[tokio::test]
async fn the_end() {
    trouble(Deviation::Close, &[Error]).await;
    trouble(Deviation::Reset, &[Error]).await;
}

#[tokio::test]
async fn a_notice_of_disconnection() {
    for as_windows in [false, true] {
        trouble(Deviation::Notice { code: 52, as_windows }, &[Error]).await;
    }
}

#[tokio::test]
async fn garbage_of_no_protocol() {
    trouble(Deviation::Bytes(garbage::noise()), &[Error]).await;
}

#[tokio::test]
async fn a_message_without_anything() {
    trouble(Deviation::Bytes(garbage::empty_message()), &[Error]).await;
}

#[tokio::test]
async fn what_is_no_message() {
    trouble(Deviation::Bytes(garbage::no_message()), &[Error]).await;
}

#[tokio::test]
async fn a_message_of_4_gb() {
    trouble(Deviation::Bytes(garbage::huge_message()), &[Error]).await;
}

#[tokio::test]
async fn elements_within_elements() {
    // Not deep enough to be the end of a stack, and deeper than LDAP is.
    trouble(Deviation::Bytes(garbage::nested(100)), &[Error]).await;
    trouble(Deviation::Bytes(garbage::nested(1_000_000)), &[Error]).await;
}

#[tokio::test]
async fn an_entry_that_is_none() {
    // Message ids count up, so one of these is that of the search.
    let odd: Vec<u8> = (1..200).flat_map(garbage::odd_entry).collect();
    trouble(Deviation::Bytes(odd), &[Error, Timeout]).await;
}

#[tokio::test]
async fn garbage_before_the_first_request() {
    for bytes in [garbage::noise(), garbage::huge_message(), garbage::nested(1_000_000)] {
        let server = Server::start(people());
        let mut site = Site::hasty(&[&server], SHORT);
        site.tend();
        server.on(When::connect(), Deviation::Bytes(bytes));
        assert_eq!(site.lookup("alice").await, Lookup::Unavailable);
        assert_eq!(site.results(), [Error]);
        server.behave();
        site.is_well_again("alice").await;
    }
}

#[tokio::test]
async fn the_end_before_the_first_request() {
    for deviation in [Deviation::Close, Deviation::Reset] {
        let server = Server::start(people());
        let mut site = Site::hasty(&[&server], SHORT);
        site.tend();
        server.on(When::connect(), deviation);
        assert_eq!(site.lookup("alice").await, Lookup::Unavailable);
        assert_eq!(site.results(), [Error]);
        server.behave();
        site.is_well_again("alice").await;
    }
}

#[tokio::test]
async fn a_bind_that_is_never_answered() {
    let server = Server::start(people());
    let mut site = Site::hasty(&[&server], SHORT);
    site.tend();
    server.on(When::bind(), Deviation::Silence);
    assert_eq!(site.lookup("alice").await, Lookup::Unavailable);
    // The groups have waited it out, and the account needs not.
    assert!(matches!(*site.results(), [Timeout | Error]));
    server.behave();
    site.is_well_again("alice").await;
}

#[tokio::test]
async fn tls_that_is_never_answered() {
    let authority = Authority::new();
    for starttls in [false, true] {
        let server = Server::start(people());
        let config = authority.server(&["127.0.0.1"]);
        if starttls {
            server.starttls(config)
        } else {
            server.ldaps(config)
        }
        let folder = crate::site::Folder::new();
        let ca_file = folder.write("ca.pem", &authority.pem);
        let mut site = Site::with(&[&server], |plan| {
            plan.settings.timeout = SHORT;
            plan.settings.tls.ca_file = Some(ca_file);
            plan.settings.tls.starttls = starttls;
            let gatepost::directory::ldap::settings::Servers::Listed(servers) =
                &mut plan.settings.servers
            else {
                unreachable!("it is a list");
            };
            servers[0].ldaps = !starttls;
        });
        site.tend();
        for deviation in [Deviation::Silence, Deviation::Bytes(garbage::noise())] {
            server.on(When::connect(), deviation.clone());
            server.on(When::extended(), deviation);
            let lookup = site.lookup("alice").await;
            assert_eq!(lookup, Lookup::Unavailable, "StartTLS: {starttls}");
            site.results();
            server.behave();
            site.is_well_again("bob").await;
            server.close_all();
        }
        site.results();
        // A frozen one takes the connection and not a byte.
        server.freeze();
        server.close_all();
        assert_eq!(site.lookup("alice").await, Lookup::Unavailable);
        assert!(matches!(*site.results(), [Timeout | Error]));
        server.thaw();
        site.is_well_again("alice").await;
    }
}

#[tokio::test]
async fn values_of_ten_megabytes_are_left_out_where_nothing_can_be_so_long() {
    let big = vec![b'x'; 10 << 20];
    for attribute in ["mail", "proxyAddresses", "userPrincipalName"] {
        let server = Server::start(people());
        server.change("alice", |alice| alice.add(attribute, big.clone()));
        let site = Site::new(&[&server]);
        let account = site.holder("alice").await.account;
        assert!(account.addresses.iter().all(|address| address.len() < 100), "{attribute}");
        assert!(account.logins.iter().all(|login| login.len() < 100), "{attribute}");
    }
}

#[tokio::test]
async fn a_name_of_ten_megabytes_is_not_kept() {
    let server = Server::start(people());
    let big = vec![b'x'; 10 << 20];
    server.on(locate("alice@example.org"), Deviation::with("sAMAccountName", vec![big]));
    let site = Site::new(&[&server]);
    match site.lookup("alice@example.org").await {
        Lookup::Found(holder) => assert!(holder.account.name.len() < 1000),
        other => assert_eq!(other, Lookup::Unavailable),
    }
}

#[tokio::test]
async fn values_of_ten_megabytes_where_they_count_are_no_answer() {
    let big = vec![b'x'; 10 << 20];
    for attribute in ["userAccountControl", "objectGUID", "memberOf"] {
        let server = Server::start(people());
        server.on(locate("alice"), Deviation::with(attribute, vec![big.clone()]));
        let site = Site::new(&[&server]);
        assert_eq!(site.lookup("alice").await, Lookup::Unavailable, "{attribute}");
        assert_eq!(site.results(), [Error], "{attribute}");
        assert_eq!(site.memberships("bob").await, "nyn");
    }
}

#[tokio::test]
async fn more_than_64_mb_of_one_answer_are_no_answer() {
    let server = Server::start(people());
    // Each message is within what a message may have.
    let big = vec![vec![b'x'; 10 << 20]; 3];
    for person in ["alice", "bob", "carol"] {
        let big = big.clone();
        server.change(person, |person| person.set("mail", big));
    }
    let site = Site::new(&[&server]);
    let fault = site.settled(site.directory.people(&site.groups)).await.expect_err("too much");
    assert!(fault.contains("an answer of more than 67108864 bytes"), "{fault}");
    assert_eq!(site.memberships("erin").await, "nyn");
}

#[tokio::test]
async fn a_listing_whose_pages_have_no_end_ends() {
    let server = Server::start(people());
    server.change("alice", |alice| alice.set("mail", [vec![b'x'; 4 << 20]]));
    server.on(When::search().filter("sAMAccountType=").paged(), Deviation::EndlessPages);
    let site = Site::new(&[&server]);
    let fault = site.settled(site.directory.people(&site.groups)).await.expect_err("too much");
    assert!(fault.contains("an answer of more than 67108864 bytes"), "{fault}");
}

#[tokio::test]
async fn groups_whose_pages_have_no_end_hold_up_no_question() {
    let server = Server::start(people());
    let mut site = Site::with(&[&server], |plan| plan.settings.wait = SHORT);
    server.on(When::search().paged(), Deviation::EndlessPages);
    site.tend();
    assert_eq!(site.lookup("alice").await, Lookup::Unavailable);
    server.behave();
    site.comes("alice", "ynn").await;
}

#[tokio::test]
async fn connections_the_server_closes_for_being_idle_cost_no_error() {
    let server = Server::start(people());
    server.behaviour(|behaviour: &mut Behaviour| behaviour.idle = Some(Duration::from_millis(30)));
    let site = Site::new(&[&server]);
    for round in 0..5 {
        for login in ["alice", "bob", "carol", "erin", "nobody"] {
            let lookup = site.lookup(login).await;
            assert_ne!(lookup, Lookup::Unavailable, "{login} in round {round}");
        }
        site.pass_fresh();
        // Until the server has closed them all.
        server.is_alone().await;
    }
    assert!(!site.results().iter().any(|result| matches!(result, Error | Timeout | Stale)));
}

#[tokio::test]
async fn connections_closed_out_of_the_blue_cost_no_error() {
    let server = Server::start(people());
    let site = Site::new(&[&server]);
    for farewell in [
        Deviation::Close,
        Deviation::Reset,
        Deviation::Notice { code: 52, as_windows: true },
        Deviation::Bytes(garbage::noise()),
    ] {
        assert_eq!(site.memberships("alice").await, "ynn");
        site.pass_fresh();
        server.farewell(farewell);
        assert_eq!(site.memberships("alice").await, "ynn");
        assert!(matches!(*site.results(), [Fresh | Cached, Fresh]));
    }
}

#[tokio::test]
async fn a_reset_in_the_middle_of_many_questions_costs_none_of_them_its_answer() {
    let mut directory = people();
    for n in 0..40 {
        directory.person(&format!("u{n}"));
    }
    let server = Server::start(directory);
    let mut site = Site::with(&[&server], |plan| plan.settings.connections = 1);
    site.tend();
    assert_eq!(site.memberships("alice").await, "ynn");
    site.results();
    server.on(When::search().filter("(sAMAccountName=u20)").nth(1), Deviation::Reset);
    let logins: Vec<String> = (0..40).map(|n| format!("u{n}")).collect();
    let all = join_all(logins.iter().map(|login| site.lookup(login))).await;
    for (login, lookup) in logins.iter().zip(&all) {
        assert!(matches!(lookup, Lookup::Found(_)), "{login}: {lookup:?}");
    }
    assert_eq!(site.results(), [Fresh; 40]);
    // The groups may just be read beside.
    let under_way = || site.meter.under_way.load(std::sync::atomic::Ordering::SeqCst);
    until("nothing under way", async || (under_way() == 0).then_some(())).await;
}

#[tokio::test]
async fn a_certificate_is_told_with_whose_it_is_and_who_signed_it() {
    let authority = Authority::new();
    let server = Server::start(people());
    server.starttls(authority.server(&["127.0.0.1"]));
    let folder = crate::site::Folder::new();
    let ca_file = folder.write("ca.pem", &authority.pem);
    let site = Site::with(&[&server], |plan| {
        plan.settings.tls.ca_file = Some(ca_file);
        plan.settings.tls.starttls = true;
    });
    let told = site.settled(site.directory.examine(&site.groups)).await;
    let told = told.iter().find(|told| told.what.starts_with("TLS")).expect("a certificate");
    // The name that rcgen gives where none is asked for.
    let whose = "TLS: certificate of CN=rcgen self signed cert, by CN=";
    assert!(told.what.starts_with(whose), "{}", told.what);
}
