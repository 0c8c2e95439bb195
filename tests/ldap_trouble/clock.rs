//! A clock that is set back: nothing waits until it is where it was.

use std::time::Duration;

use gatepost::rights::Lookup;

use crate::ldap_server::people::people;
use crate::ldap_server::{Deviation, Server, When};
use crate::site::Site;

const DAY: Duration = Duration::from_secs(86_400);

fn group_reads() -> When {
    When::search().filter("(sAMAccountName=mail-relay)")
}

#[tokio::test]
async fn groups_that_were_read_in_the_future_are_read_again() {
    let server = Server::start(people());
    let mut site = Site::new(&[&server]);
    assert_eq!(site.memberships("alice").await, "ynn");
    assert_eq!(server.count(&group_reads()), 1);
    site.set_back(DAY);
    site.tend();
    server.reaches(&group_reads(), 2).await;
}

#[tokio::test]
async fn neither_the_probe_nor_the_pause_of_the_groups_waits_for_the_clock() {
    let server = Server::start(people());
    server.on(When::search(), Deviation::result(51, ""));
    let mut site = Site::new(&[&server]);
    site.tend();
    server.reaches(&group_reads(), 1).await;
    for _ in 0..3 {
        assert_eq!(site.lookup("alice").await, Lookup::Unavailable);
    }
    site.set_back(DAY);
    server.behave();
    server.forget();
    // Nobody asks; it looks after itself.
    server.reaches(&group_reads(), 1).await;
    assert_eq!(site.memberships("alice").await, "ynn");
}

#[tokio::test]
async fn a_password_that_was_refused_in_the_future_is_tried_again() {
    let server = Server::start(people());
    server.on(When::bind(), Deviation::bind_refused("775"));
    let mut site = Site::new(&[&server]);
    assert_eq!(site.lookup("alice").await, Lookup::Unavailable);
    server.behave();
    site.set_back(DAY);
    site.tend();
    server.reaches(&When::bind(), 2).await;
}

#[tokio::test]
async fn a_connection_that_was_made_in_the_future_is_made_again() {
    let server = Server::start(people());
    let site = Site::with(&[&server], |plan| plan.settings.connections = 1);
    assert_eq!(site.memberships("alice").await, "ynn");
    let before = server.count(&When::connect());
    site.set_back(Duration::from_millis(1));
    assert!(matches!(site.lookup("bob").await, Lookup::Found(_)));
    assert!(server.count(&When::connect()) > before);
}
