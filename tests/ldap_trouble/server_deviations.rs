//! The scripted server as it deviates: each deviation, seen by a plain client.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

use ldap3::{LdapError, Scope};

use crate::client::{Client, DEADLINE, soon};
use crate::ldap_server::people::{BASE, BIND_DN, BIND_PASSWORD, people};
use crate::ldap_server::{Deviation, Server, When, garbage};

const PEOPLE: &str = "(sAMAccountType=805306368)";
const ALICE: &str = "(sAMAccountName=alice)";
const BOB: &str = "(sAMAccountName=bob)";

async fn deviating(when: When, deviation: Deviation) -> (Server, Client) {
    let server = Server::start(people());
    server.on(when, deviation);
    let client = Client::bound(&server).await;
    (server, client)
}

/// What a search for alice ends with.
async fn fault(client: &mut Client) -> LdapError {
    let found = client.search(BASE, Scope::Subtree, ALICE, &["cn"]).await;
    found.expect_err("a fault")
}

/// It ends by the connection.
async fn is_cut_off(client: &mut Client) -> bool {
    matches!(fault(client).await, LdapError::EndOfStream | LdapError::OpSend { .. })
}

/// It gets no answer. Short, for it is waited out.
async fn is_left_waiting(client: &mut Client) -> bool {
    client.ldap.with_timeout(Duration::from_millis(50));
    matches!(fault(client).await, LdapError::Timeout { .. })
}

/// What comes until the connection ends.
fn rest(stream: &mut TcpStream) -> Result<Vec<u8>, ErrorKind> {
    stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    let mut read = Vec::new();
    stream.read_to_end(&mut read).map_err(|fault| fault.kind())?;
    Ok(read)
}

#[tokio::test]
async fn a_result_comes_instead_of_the_entries() {
    for code in [8, 12, 32, 51, 53] {
        let (_server, mut client) =
            deviating(When::search(), Deviation::result(code, "because")).await;
        let found = client.below(ALICE, &[]).await;
        assert_eq!((found.code, found.text.as_str()), (code as u32, "because"));
        assert_eq!(found.entries.len(), 0);
    }
    let (_server, mut client) = deviating(When::search(), Deviation::nothing()).await;
    let found = client.below(ALICE, &[]).await;
    assert_eq!((found.code, found.entries.len()), (0, 0));
}

#[tokio::test]
async fn a_bind_is_refused_and_leaves_nobody_bound() {
    let server = Server::start(people());
    server.on(When::bind(), Deviation::bind_refused("775"));
    let mut client = Client::connect(&server).await;
    let refused = client.bind(BIND_DN, BIND_PASSWORD).await;
    assert_eq!(refused.rc, 49);
    assert!(refused.text.contains("data 775"), "{}", refused.text);
    assert_eq!(client.below(ALICE, &[]).await.code, 1);
}

#[tokio::test]
async fn some_of_the_entries_come_before_a_result() {
    let (_server, mut client) = deviating(When::search(), Deviation::partial(2, 4)).await;
    let found = client.below(PEOPLE, &[]).await;
    assert_eq!((found.code, found.names()), (4, vec!["CN=gatepost", "CN=alice"]));
}

#[tokio::test]
async fn a_referral_is_a_result_and_references_go_among_the_entries() {
    let url = "ldap://dc2.example.org/DC=example,DC=org";
    let (_server, mut client) = deviating(When::search(), Deviation::referral(url)).await;
    let found = client.below(PEOPLE, &[]).await;
    assert_eq!((found.code, found.entries.len(), found.referrals), (10, 0, vec![url.to_owned()]));
    let (server, mut client) = deviating(When::search(), Deviation::references(&[url, url])).await;
    server.behaviour(|behaviour| behaviour.partitions = false);
    let found = client.below(PEOPLE, &[]).await;
    assert_eq!((found.code, found.entries.len(), found.references), (0, 5, vec![url.into(); 2]));
}

#[tokio::test]
async fn attributes_are_taken_away_and_put_in() {
    let server = Server::start(people());
    let mut client = Client::bound(&server).await;
    let alice = format!("CN=alice,OU=People,{BASE}");
    server.on(When::search().asking("tokenGroups"), Deviation::without("tokenGroups"));
    assert!(client.object(&alice, &["tokenGroups"]).await.only().attributes.is_empty());
    server.behave();
    assert_eq!(client.object(&alice, &["tokenGroups"]).await.only().attributes.len(), 1);
    let junk: Vec<u8> = (0..=255).collect();
    let big = vec![b'x'; 10 << 20];
    server.on(When::search(), Deviation::with("mail", vec![junk.clone(), big.clone()]));
    let found = client.object(&alice, &["mail"]).await;
    assert!(found.only().values("mail") == [junk, big]);
}

#[tokio::test]
async fn a_slow_answer_comes_drop_by_drop() {
    let drip = Deviation::Drip(Duration::from_millis(1));
    let (_server, mut client) = deviating(When::search(), drip).await;
    let found = client.below(PEOPLE, &["cn"]).await;
    assert_eq!((found.code, found.entries.len()), (0, 5));
}

#[tokio::test]
async fn a_slow_answer_lets_others_pass() {
    let drip = Deviation::Drip(Duration::from_secs(3600));
    let (server, mut client) = deviating(When::search().filter(PEOPLE), drip).await;
    let mut ldap = client.ldap.clone();
    let slow = ldap.streaming_search(BASE, Scope::Subtree, PEOPLE, ["cn"]).await;
    server.reaches(&When::search().filter(PEOPLE), 1).await;
    assert_eq!(client.below(ALICE, &["cn"]).await.names(), ["CN=alice"]);
    drop(slow);
}

#[tokio::test]
async fn an_abandoned_answer_drips_no_more() {
    let server = Server::start(people());
    server.on(When::search(), Deviation::EndlessEntries);
    let mut client = Client::bound(&server).await;
    let mut stream =
        client.ldap.streaming_search(BASE, Scope::Subtree, ALICE, ["cn"]).await.expect("a search");
    for _ in 0..1000 {
        soon(stream.next()).await.expect("an entry").expect("one more entry");
    }
    let id = stream.ldap_handle().last_id();
    soon(client.ldap.abandon(id)).await.expect("an abandon");
    server.behave();
    assert_eq!(client.below(BOB, &["cn"]).await.names(), ["CN=bob"]);
    assert_eq!(server.count(&When::abandon()), 1);
}

#[tokio::test]
async fn pages_without_an_end_are_all_the_first() {
    let (server, mut client) = deviating(When::search().paged(), Deviation::EndlessPages).await;
    let mut cookie = Vec::new();
    for _ in 0..100 {
        let page = client.page(2, &cookie).below(PEOPLE, &["cn"]).await;
        assert_eq!((page.code, page.names()), (0, vec!["CN=gatepost", "CN=alice"]));
        let next = page.cookie.expect("a cookie");
        assert!(!next.is_empty() && next != cookie);
        cookie = next;
    }
    assert_eq!(server.count(&When::search().paged()), 100);
}

#[tokio::test]
async fn an_answer_breaks_off_in_the_middle() {
    let (_server, mut client) = deviating(When::search(), Deviation::HalfThenClose).await;
    assert!(is_cut_off(&mut client).await);
    let (_server, mut client) = deviating(When::search().nth(1), Deviation::HalfThenSilence).await;
    assert!(is_left_waiting(&mut client).await);
    // The connection is there, and of no use any more.
    assert!(is_left_waiting(&mut client).await);
    assert!(!client.driver.is_finished());
}

#[tokio::test]
async fn silence_for_one_request_lets_others_pass() {
    let (server, mut client) = deviating(When::search().filter(ALICE), Deviation::Silence).await;
    assert!(is_left_waiting(&mut client).await);
    assert_eq!(client.below(BOB, &["cn"]).await.names(), ["CN=bob"]);
    assert_eq!(server.count(&When::search().filter("=ALICE)")), 1);
}

#[tokio::test]
async fn a_connection_is_closed_instead_of_an_answer() {
    for deviation in [Deviation::Close, Deviation::Reset] {
        let (_server, mut client) = deviating(When::search(), deviation).await;
        assert!(is_cut_off(&mut client).await);
        soon(client.driver).await.expect("no panic").ok();
    }
}

#[tokio::test]
async fn a_notice_of_disconnection_goes_before_the_end() {
    for as_windows in [false, true] {
        let deviation = Deviation::Notice { code: 52, as_windows };
        let (_server, mut client) = deviating(When::search(), deviation.clone()).await;
        assert!(is_cut_off(&mut client).await);
        let (server, client) = deviating(When::extended(), Deviation::Silence).await;
        server.farewell(deviation);
        soon(client.driver).await.expect("no panic").expect("no fault");
    }
}

#[tokio::test]
async fn garbage_comes_as_it_is() {
    for bytes in [
        garbage::noise(),
        garbage::empty_message(),
        garbage::no_message(),
        garbage::huge_message(),
        garbage::nested(100_000),
        garbage::odd_entry(2),
    ] {
        let server = Server::start(people());
        server.on(When::connect(), Deviation::Bytes(bytes.clone()));
        let mut stream = TcpStream::connect(server.address).expect("a connection");
        stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        let mut read = vec![0; bytes.len()];
        stream.read_exact(&mut read).expect("the garbage");
        assert!(read == bytes);
        server.kill();
        assert_eq!(rest(&mut stream), Ok(vec![]));
    }
}

#[tokio::test]
async fn nested_garbage_is_one_element_of_its_whole_length() {
    let nested = garbage::nested(3);
    assert_eq!(nested, [0x30, 0x84, 0, 0, 0, 12, 0x30, 0x84, 0, 0, 0, 6, 0x30, 0x84, 0, 0, 0, 0]);
}

#[tokio::test]
async fn a_connection_ends_before_it_begins() {
    let server = Server::start(people());
    server.on(When::connect().nth(1), Deviation::Close);
    server.on(When::connect().nth(2), Deviation::Reset);
    server.on(When::connect().nth(3), Deviation::Silence);
    let connect = || TcpStream::connect(server.address).expect("a connection");
    assert_eq!(rest(&mut connect()), Ok(vec![]));
    assert_eq!(rest(&mut connect()), Err(ErrorKind::ConnectionReset));
    let mut silent = connect();
    server.reaches(&When::connect(), 3).await;
    assert_eq!(Client::bound(&server).await.below(ALICE, &[]).await.names(), ["CN=alice"]);
    server.close_all();
    assert_eq!(rest(&mut silent), Ok(vec![]));
}

#[tokio::test]
async fn a_shut_server_refuses_and_keeps_the_connections_it_has() {
    let server = Server::start(people());
    let mut client = Client::bound(&server).await;
    for _ in 0..3 {
        server.shut();
        let refused = TcpStream::connect(server.address).expect_err("a refusal");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(client.below(ALICE, &[]).await.names(), ["CN=alice"]);
        server.open();
        assert_eq!(Client::bound(&server).await.below(ALICE, &[]).await.names(), ["CN=alice"]);
    }
    server.kill();
    assert!(is_cut_off(&mut client).await);
    assert!(TcpStream::connect(server.address).is_err());
}

#[tokio::test]
async fn a_frozen_server_takes_connections_and_answers_when_it_is_thawed() {
    let server = Server::start(people());
    let mut client = Client::bound(&server).await;
    server.freeze();
    TcpStream::connect(server.address).expect("a connection that the kernel takes");
    assert!(is_left_waiting(&mut client).await);
    assert_eq!(server.count(&When::search()), 0);
    server.thaw();
    assert_eq!(client.below(BOB, &[]).await.names(), ["CN=bob"]);
    assert_eq!(server.count(&When::search()), 2);
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = Server::start(people());
    server.behaviour(|behaviour| behaviour.idle = Some(Duration::from_millis(50)));
    let client = Client::bound(&server).await;
    soon(client.driver).await.expect("no panic").expect("no fault");
}

#[tokio::test]
async fn deviations_are_counted_out_and_the_first_that_counts_is_played() {
    let server = Server::start(people());
    let mut client = Client::bound(&server).await;
    let alice = || When::search().filter("=alice)");
    server.on(alice().nth(2), Deviation::result(51, ""));
    server.on(alice().first(3), Deviation::result(52, ""));
    server.on(alice().after(4), Deviation::result(53, ""));
    server.on(When::search().base("OU=PEOPLE").filter("=bob)"), Deviation::result(80, ""));
    let mut codes = Vec::new();
    for _ in 0..6 {
        codes.push(client.below(ALICE, &[]).await.code);
        assert_eq!(client.below(BOB, &[]).await.code, 0);
    }
    assert_eq!(codes, [52, 51, 52, 0, 53, 53]);
    let people = format!("OU=People,{BASE}");
    let found = client.search(&people, Scope::Subtree, BOB, &[] as &[&str]).await;
    assert_eq!(found.expect("an answer").code, 80);
    assert_eq!((server.count(&alice()), server.count(&When::search())), (6, 13));
    let last = server.seen().pop().expect("a request").to_string();
    assert_eq!(last, "1: search \"OU=People,DC=example,DC=org\" Subtree (sAMAccountName=bob) ");
    server.forget();
    assert_eq!(server.count(&When::anything()), 0);
}
