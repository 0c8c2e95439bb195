//! Questions and answers on the wire: each question one answer, whole and of its own.

use crate::client::{Client, id_of, rcpt, request, without_id};
use crate::page::{metric, wait_for_metric};
use crate::site::Site;

const STATES: [&str; 9] =
    ["CONNECT", "HELO", "EHLO", "MAIL", "RCPT", "DATA", "END-OF-MESSAGE", "VRFY", "ETRN"];
const NO_RELAY: &str = "550 5.7.1 bob has no relay right: mail to far.test is not allowed";

/// Each login with what it is told about mail to a stranger.
const EVERYBODY: [(&str, &str); 7] = [
    ("alice", "DUNNO"),
    ("bob", NO_RELAY),
    ("ALICE@example.org", "DUNNO"),
    ("carol", "550 5.7.1 carol has no submit right"),
    ("erin", "550 5.7.13 The account erin is disabled"),
    ("frank", "450 4.7.13 The account frank is locked for now, try again later"),
    ("", "530 5.7.0 Authentication required"),
];

#[test]
fn every_protocol_state_is_answered_on_tcp_and_on_a_unix_socket() {
    let site = Site::new();
    let _gatepost = site.start();
    for mut client in [site.client(), Client::unix(&site.unix())] {
        for state in STATES {
            let question = [
                "client_address=192.0.2.9",
                "sender=alice@example.org",
                "recipient=friend@far.test",
                "recipient_count=1",
                "sasl_username=alice",
            ];
            assert_eq!(client.ask(&request(state, &question)), "DUNNO", "{state}");
            assert_eq!(
                client.ask(&request(state, &[])).split(' ').next(),
                match state {
                    "CONNECT" | "HELO" | "EHLO" | "ETRN" | "VRFY" => Some("DUNNO"),
                    _ => Some("530"),
                }
            );
        }
        assert_eq!(without_id(&client.ask(&rcpt("bob", "friend@far.test"))), NO_RELAY);
    }
    for stage in ["connect", "mail", "data", "end-of-message", "vrfy", "etrn"] {
        let sample = format!("gatepost_requests_total{{protocol=\"policy\",stage=\"{stage}\"}}");
        wait_for_metric(site.http, &sample, 4);
    }
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let site = Site::new();
    let _gatepost = site.start();
    for mut client in [site.client(), Client::unix(&site.unix())] {
        for byte in rcpt("bob", "friend@far.test").into_bytes() {
            client.send([byte]);
        }
        assert_eq!(without_id(&client.answer()), NO_RELAY);
    }
}

#[test]
fn two_requests_in_one_write_have_two_answers_in_their_order() {
    let site = Site::new();
    let _gatepost = site.start();
    let mut client = site.client();
    let alone = client.ask(&rcpt("bob", "friend@far.test"));
    let (alice, bob) = (rcpt("alice", "friend@far.test"), rcpt("bob", "friend@far.test"));
    client.send(format!("{bob}{alice}{bob}"));
    let expected = format!("action={alone}\n\naction=DUNNO\n\naction={alone}\n\n");
    assert_eq!(client.bytes(expected.len()), expected.as_bytes());
    // Nothing more has come: the next answer is the next question's.
    assert_eq!(client.ask(&rcpt("alice", "bob@example.org")), "DUNNO");
}

#[test]
fn a_second_request_may_be_half_in_the_write_of_the_first() {
    let site = Site::new();
    let _gatepost = site.start();
    let mut client = site.client();
    let (alice, bob) = (rcpt("alice", "friend@far.test"), rcpt("bob", "friend@far.test"));
    let (begin, end) = bob.split_at(bob.len() / 2);
    client.send(alice + begin);
    assert_eq!(client.answer(), "DUNNO");
    client.send(end);
    assert_eq!(without_id(&client.answer()), NO_RELAY);
}

#[test]
fn the_same_question_has_the_same_answer_and_id() {
    let site = Site::new();
    let question = rcpt("bob", "friend@far.test");
    let first = {
        let _gatepost = site.start();
        let mut client = site.client();
        let first = client.ask(&question);
        assert_eq!(client.ask(&question), first);
        assert_eq!(site.client().ask(&question), first);
        let others = [
            rcpt("bob", "another@far.test"),
            rcpt("carol", "friend@far.test"),
            question.replace("instance=1f2e", "instance=1f2f"),
            question.replace("192.0.2.9", "192.0.2.10"),
            question.replace("RCPT", "MAIL"),
        ];
        let mut ids = vec![id_of(&first).to_string()];
        for other in others {
            let id = id_of(&client.ask(&other)).to_string();
            assert!(!ids.contains(&id), "{other}");
            ids.push(id);
        }
        first
    };
    let _again = site.start();
    assert_eq!(site.client().ask(&question), first, "after a restart");
}

#[test]
fn nothing_of_one_question_is_left_for_the_next() {
    let site = Site::new();
    let _gatepost = site.start();
    let mut client = site.client();
    for round in 0..100 {
        for (login, expected) in EVERYBODY {
            let answer = client.ask(&rcpt(login, "friend@far.test"));
            assert_eq!(without_id(&answer), expected, "{login:?} in round {round}");
        }
        // Absent altogether, not just empty, after a request that had everything.
        let answer = client.ask(&request("RCPT", &["recipient=friend@far.test"]));
        assert_eq!(without_id(&answer), "530 5.7.0 Authentication required");
    }
}

#[test]
fn three_hundred_connections_are_served_at_once() {
    const CONNECTIONS: usize = 300;
    let site = Site::new();
    let _gatepost = site.start();
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| site.client()).collect();
    for (client, (login, _)) in clients.iter_mut().zip(EVERYBODY.iter().cycle()) {
        client.send(rcpt(login, "friend@far.test"));
    }
    for (client, (login, expected)) in clients.iter_mut().zip(EVERYBODY.iter().cycle()) {
        assert_eq!(without_id(&client.answer()), *expected, "{login:?}");
    }
    let open = "gatepost_connections{protocol=\"policy\"}";
    assert_eq!(metric(site.http, open), CONNECTIONS as i64);
    drop(clients);
    wait_for_metric(site.http, open, 0);
}

#[test]
fn ok_is_said_only_where_the_listener_grants() {
    let granting = "mode = \"enforce\" # beside the first\non-grant = \"ok\"";
    let site = Site::with(&[("mode = \"enforce\" # beside the first", granting)]);
    let _gatepost = site.start();
    let mut client = Client::unix(&site.unix());
    assert_eq!(client.ask(&rcpt("alice", "friend@far.test")), "OK");
    assert_eq!(client.ask(&rcpt("bob", "alice@example.org")), "DUNNO");
    assert_eq!(without_id(&client.ask(&rcpt("bob", "friend@far.test"))), NO_RELAY);
    assert_eq!(site.client().ask(&rcpt("alice", "friend@far.test")), "DUNNO");
}
