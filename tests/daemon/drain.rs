//! The end: whoever was asking is answered, whoever was not is let go, and none waits for ever.

use crate::client::{Client, rcpt, without_id};
use crate::process::{DEADLINE, Program, until};
use crate::site::Site;
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Well below the site's drain of 15 s: what ends by then did not wait for it.
const AT_ONCE: Duration = Duration::from_secs(7);

#[track_caller]
fn assert_ends(gatepost: &mut Program, limit: Duration) {
    assert_eq!(gatepost.wait_for_end(limit).code(), Some(0), "{}", gatepost.log());
}

#[test]
fn idle_connections_are_closed_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let site = Site::new();
        let mut gatepost = site.start();
        let mut clients =
            [site.client(), site.client(), Client::unix(&site.unix()), Client::unix(&site.unix())];
        for client in clients.iter_mut().skip(1) {
            client.ask(&rcpt("bob", "friend@far.test"));
        }
        gatepost.signal(signal);
        clients.iter_mut().for_each(Client::assert_closed);
        assert_ends(&mut gatepost, AT_ONCE);
        assert_eq!(gatepost.logs("stopping: answering what was asked").len(), 1);
        assert!(gatepost.log().ends_with(" stopped"), "{}", gatepost.log());
        assert!(gatepost.logs(" WARN ").is_empty(), "{}", gatepost.log());
    }
}

#[test]
fn a_half_sent_request_is_waited_for_and_answered() {
    for signal in [Signal::TERM, Signal::INT] {
        let site = Site::new();
        let mut gatepost = site.start();
        let (mut half, mut other, mut idle) =
            (site.client(), Client::unix(&site.unix()), site.client());
        let question = rcpt("bob", "friend@far.test");
        let (begin, end) = question.split_at(question.len() - 1);
        half.send(begin);
        other.ask(&question);
        other.send("r");
        gatepost.signal(signal);
        gatepost.wait_for_log("stopping: answering what was asked");
        idle.assert_closed();
        // Impatience and a reload do not shorten it.
        gatepost.signal(signal);
        gatepost.signal(Signal::HUP);
        assert!(half.is_open_after(Duration::from_millis(200)));
        other.send(&question[1..]);
        half.send(end);
        for client in [&mut half, &mut other] {
            let expected = "550 5.7.1 bob has no relay right: mail to far.test is not allowed";
            assert_eq!(without_id(&client.answer()), expected);
            client.assert_closed();
        }
        assert_ends(&mut gatepost, AT_ONCE);
        assert!(gatepost.log().ends_with(" stopped"), "{}", gatepost.log());
    }
}

#[test]
fn nobody_new_comes_in_meanwhile() {
    let site = Site::new();
    let gatepost = site.start();
    let mut half = site.client();
    half.send("request=");
    gatepost.signal(Signal::TERM);
    until("the port is closed", || {
        TcpStream::connect(("127.0.0.1", site.port)).is_err().then_some(())
    });
    until("the sockets are gone", || {
        (!site.unix().exists() && !site.path("control.sock").exists()).then_some(())
    });
    assert!(half.is_open_after(Duration::from_millis(50)));
}

#[test]
fn what_is_never_finished_is_cut_off_at_the_deadline() {
    let site = Site::with(&[("drain = \"15s\"", "drain = \"1s\"")]);
    let mut gatepost = site.start();
    let mut halves = [site.client(), Client::unix(&site.unix())];
    for half in &mut halves {
        half.ask(&rcpt("bob", "friend@far.test"));
        half.send("request=smtpd_access_policy\nprotocol_state=RCPT\n");
    }
    gatepost.signal(Signal::TERM);
    assert!(halves[0].is_open_after(Duration::from_millis(300)), "given its second");
    halves.iter_mut().for_each(Client::assert_closed);
    assert_ends(&mut gatepost, AT_ONCE);
    let told = gatepost.logs("stopped at the drain deadline with connections open");
    assert_eq!(told.len(), 1, "{}", gatepost.log());
    assert!(told[0].contains("connections=2"), "{told:#?}");
}

#[test]
fn without_a_drain_nobody_is_waited_for() {
    let site = Site::with(&[("drain = \"15s\"", "drain = \"0s\"")]);
    let mut gatepost = site.start();
    let mut half = site.client();
    half.send("request=");
    gatepost.signal(Signal::TERM);
    half.assert_closed();
    assert_ends(&mut gatepost, AT_ONCE);
}

#[test]
fn open_connections_of_pages_and_control_do_not_hold_it_up() {
    let site = Site::new();
    let mut gatepost = site.start();
    let mut pages = TcpStream::connect(("127.0.0.1", site.http)).expect("the pages are there");
    let _silent = TcpStream::connect(("127.0.0.1", site.http)).expect("the pages are there");
    let _control = UnixStream::connect(site.path("control.sock")).expect("control is there");
    pages.set_read_timeout(Some(DEADLINE)).expect("a socket takes options");
    pages.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request is taken");
    let mut response = [0; 4096];
    let length = pages.read(&mut response).expect("a page comes");
    assert!(response[..length].starts_with(b"HTTP/1.1 200 OK"));
    gatepost.signal(Signal::TERM);
    assert_ends(&mut gatepost, AT_ONCE);
}
