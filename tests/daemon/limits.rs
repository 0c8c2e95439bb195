//! What a listener puts up with: so many connections, these peers, and silence for so long.

use crate::client::{Client, rcpt};
use crate::page::{metric, wait_for_metric};
use crate::process::until;
use crate::site::Site;
use std::net::TcpStream;
use std::time::Duration;

const LIMIT: &str = "gatepost_connections_rejected_total{protocol=\"policy\",reason=\"limit\"}";
const PEER: &str = "gatepost_connections_rejected_total{protocol=\"policy\",reason=\"peer\"}";
const OPEN: &str = "gatepost_connections{protocol=\"policy\"}";

fn passes(client: &mut Client) {
    assert_eq!(client.ask(&rcpt("alice", "friend@far.test")), "DUNNO");
}

#[test]
fn connections_over_the_limit_are_turned_away_and_counted() {
    let site = Site::with(&[("max-connections = 1000", "max-connections = 3")]);
    let gatepost = site.start();
    let mut clients: Vec<Client> = (0..3).map(|_| site.client()).collect();
    clients.iter_mut().for_each(passes);
    for surplus in 1..=2 {
        site.client().assert_closed();
        wait_for_metric(site.http, LIMIT, surplus);
    }
    assert_eq!(metric(site.http, OPEN), 3);
    assert_eq!(metric(site.http, PEER), 0);
    let told = gatepost.wait_for_logs("connection closed at once", 2);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[0].contains(" WARN ") && told[0].contains("why=Limit"), "{told:#?}");
    // The limit is the listener's own, and those within it are served on.
    passes(&mut Client::unix(&site.unix()));
    clients.iter_mut().for_each(passes);
    clients.pop();
    wait_for_metric(site.http, OPEN, 2);
    passes(&mut site.client());
}

#[test]
fn peers_that_may_not_ask_are_turned_away_and_counted() {
    let allow = "max-connections = 1000\nallow-from = [\"127.0.0.8/31\"]";
    let site = Site::with(&[("max-connections = 1000", allow)]);
    let gatepost = site.start();
    for (number, peer) in [[127, 0, 0, 1], [127, 0, 0, 7], [127, 0, 0, 10]].into_iter().enumerate()
    {
        Client::tcp_from(peer, site.port).assert_closed();
        wait_for_metric(site.http, PEER, number as i64 + 1);
    }
    passes(&mut Client::tcp_from([127, 0, 0, 8], site.port));
    passes(&mut Client::tcp_from([127, 0, 0, 9], site.port));
    passes(&mut Client::unix(&site.unix()));
    assert_eq!((metric(site.http, PEER), metric(site.http, LIMIT)), (3, 0));
    let told = gatepost.wait_for_logs("connection closed at once", 3);
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told[2].contains("peer=\"127.0.0.10:") && told[2].contains("why=Peer"), "{told:#?}");
}

#[test]
fn only_loopback_may_ask_by_default() {
    let site = Site::new();
    let _gatepost = site.start();
    passes(&mut Client::tcp_from([127, 0, 0, 1], site.port));
    Client::tcp_from([127, 0, 0, 9], site.port).assert_closed();
}

#[test]
fn an_idle_connection_is_closed_and_an_active_one_stays() {
    let idle = "max-connections = 1000\nidle-timeout = \"1s\"";
    let site = Site::with(&[("max-connections = 1000", idle)]);
    let gatepost = site.start();
    let (mut active, mut silent, mut once) = (site.client(), site.client(), site.client());
    passes(&mut once);
    for idle in [&mut silent, &mut once] {
        until("the idle connection is closed", || {
            passes(&mut active);
            (!idle.is_open_after(Duration::from_millis(50))).then_some(())
        });
    }
    passes(&mut active);
    assert_eq!(gatepost.wait_for_logs("end=Idle", 2).len(), 2);
    // Silence is no fault of the request's.
    assert!(gatepost.logs("connection closed without an answer").is_empty());
    // It is this listener's alone; the other has the default.
    assert!(Client::unix(&site.unix()).is_open_after(Duration::from_millis(50)));
}

#[test]
fn by_default_a_silent_connection_is_kept() {
    let site = Site::new();
    let gatepost = site.start();
    let (mut silent, mut once) = (site.client(), Client::unix(&site.unix()));
    passes(&mut once);
    assert!(silent.is_open_after(Duration::from_secs(3)));
    assert!(once.is_open_after(Duration::from_millis(1)));
    passes(&mut silent);
    passes(&mut once);
    assert!(gatepost.logs("connection closed").is_empty());
}

#[test]
fn pages_take_no_descriptors_from_mail_servers() {
    let site = Site::new();
    let gatepost = site.start();
    let folder = format!("/proc/{}/fd", gatepost.pid());
    let descriptors = || std::fs::read_dir(&folder).expect("a process has descriptors").count();
    let before = descriptors();
    let connect = |_| TcpStream::connect(("127.0.0.1", site.http)).expect("taken by the backlog");
    let idle: Vec<TcpStream> = (0..100).map(connect).collect();
    until("64 are accepted", || (descriptors() >= before + 64).then_some(()));
    for _ in 0..100 {
        passes(&mut site.client());
    }
    assert!(descriptors() <= before + 64 + 5, "{} of {before}", descriptors());
    drop(idle);
    wait_for_metric(site.http, OPEN, 0);
}
