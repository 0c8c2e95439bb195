//! A stop and a reload seen from open milter connections: each SMTP session may end as it began,
//! within the drain; a connection closed under it would cost its client the next message.

use crate::client::without_id;
use crate::mta::{
    ABORT, DATA, END_OF_MESSAGE, Mta, NO_RELAY, QUIT, connect, helo, mail, offer, rcpt,
};
use crate::process::{DEADLINE, Program, until};
use crate::site::Site;
use rustix::process::Signal;
use std::net::TcpStream;
use std::time::Duration;

/// Well below the site's drain of 15 s: what ends by then did not wait for it.
const AT_ONCE: Duration = Duration::from_secs(7);

/// Signals, and waits until nobody new is let in.
#[track_caller]
fn stop(gatepost: &Program, site: &Site, signal: Signal) {
    gatepost.signal(signal);
    gatepost.wait_for_log("stopping: answering what was asked");
    until("the port is closed", || {
        TcpStream::connect(("127.0.0.1", site.port)).is_err().then_some(())
    });
    until("the socket is gone", || (!site.unix().exists()).then_some(()));
}

#[test]
fn sessions_go_on_after_a_stop_and_their_end_is_the_end() {
    for signal in [Signal::TERM, Signal::INT] {
        let site = Site::of_milter(&[]);
        let mut gatepost = site.start();
        let (mut between, mut within) =
            (Mta::tcp(&site).greeted(), Mta::unix(&site.unix()).greeted());
        let (mut fresh, mut negotiated) = (Mta::tcp(&site), Mta::unix(&site.unix()));
        between.assert_alice_sends();
        assert_eq!(within.ask(mail("bob")), "c");
        assert_eq!(within.ask(rcpt("alice@example.org")), "c");
        assert!(negotiated.ask(offer()).starts_with('O'));
        stop(&gatepost, &site, signal);

        // In the transaction, and for messages to come.
        assert_eq!(without_id(&within.ask(rcpt("friend@far.test"))), NO_RELAY);
        assert_eq!(within.ask(DATA), "c");
        assert_eq!(within.ask(END_OF_MESSAGE), "a");
        for mta in [&mut between, &mut within] {
            mta.send(ABORT);
            mta.assert_alice_sends();
            mta.assert_alice_sends();
        }
        // In the midst of a packet, a second signal and a reload change nothing.
        let (begin, end) = (&mail("bob")[..30], &mail("bob")[30..]);
        between.send(begin);
        gatepost.signal(signal);
        gatepost.signal(Signal::HUP);
        assert!(between.0.is_open_after(Duration::from_millis(200)));
        assert_eq!(between.ask(end), "c");
        // An SMTP session that had only just been let in.
        fresh = fresh.greeted();
        fresh.assert_alice_sends();
        assert_eq!(negotiated.ask(connect()), "c");
        assert_eq!(negotiated.ask(helo()), "c");
        negotiated.assert_alice_sends();

        for mta in [&mut between, &mut within, &mut fresh] {
            mta.send(QUIT);
            mta.0.assert_closed();
        }
        assert!(
            negotiated.0.is_open_after(Duration::from_millis(200)),
            "the last session is waited for"
        );
        assert!(!gatepost.log().ends_with(" stopped"), "{}", gatepost.log());
        drop(negotiated);
        assert_eq!(gatepost.wait_for_end(AT_ONCE).code(), Some(0));
        assert!(gatepost.log().ends_with(" stopped"), "{}", gatepost.log());
        assert!(gatepost.logs(" WARN ").is_empty(), "{}", gatepost.log());
    }
}

#[test]
fn without_a_session_the_end_comes_at_once() {
    let site = Site::of_milter(&[]);
    let mut gatepost = site.start();
    let mut mta = Mta::tcp(&site).greeted();
    mta.assert_alice_sends();
    mta.send(QUIT);
    mta.0.assert_closed();
    gatepost.signal(Signal::TERM);
    assert_eq!(gatepost.wait_for_end(AT_ONCE).code(), Some(0));
}

#[test]
fn sessions_that_do_not_end_are_cut_off_at_the_deadline() {
    let site = Site::of_milter(&[("drain = \"15s\"", "drain = \"2s\"")]);
    let mut gatepost = site.start();
    let mut idle = Mta::tcp(&site).greeted();
    let mut between = Mta::unix(&site.unix()).greeted();
    between.assert_alice_sends();
    let mut within = Mta::tcp(&site).greeted();
    assert_eq!(within.ask(mail("bob")), "c");
    let mut half = Mta::tcp(&site).greeted();
    half.send(&mail("bob")[..7]);
    gatepost.signal(Signal::TERM);
    gatepost.wait_for_log("stopping: answering what was asked");
    assert_eq!(without_id(&within.ask(rcpt("friend@far.test"))), NO_RELAY);
    between.assert_alice_sends();
    for mta in [&mut idle, &mut between, &mut within, &mut half] {
        mta.0.assert_closed();
    }
    assert_eq!(gatepost.wait_for_end(DEADLINE).code(), Some(0));
    let told = gatepost.logs("stopped at the drain deadline with connections open");
    assert_eq!(told.len(), 1, "{}", gatepost.log());
    assert!(told[0].contains("connections=4"), "{told:#?}");
    assert!(!site.unix().exists());
}

#[test]
fn a_reload_cuts_nothing_and_the_next_question_is_judged_by_the_new_rules() {
    const SUBMIT: &str = "group = \"Mail-Submit\"\nsubmit = \"allow\"\n";
    let site = Site::of_milter(&[]);
    let gatepost = site.start();
    let mut sessions = [Mta::tcp(&site).greeted(), Mta::unix(&site.unix()).greeted()];
    for mta in &mut sessions {
        assert_eq!(mta.ask(mail("bob")), "c");
        assert_eq!(without_id(&mta.ask(rcpt("friend@far.test"))), NO_RELAY);
    }
    site.change("gatepost.toml", SUBMIT, &format!("{SUBMIT}relay = \"allow\"\n"));
    gatepost.signal(Signal::HUP);
    gatepost.wait_for_log("configuration reloaded");
    for mta in &mut sessions {
        assert_eq!(mta.ask(rcpt("friend@far.test")), "c", "in the same transaction");
        assert_eq!(mta.ask(END_OF_MESSAGE), "a");
    }
    // The people are taken up as well, for the verdict on the whole message too.
    sessions.iter_mut().for_each(|mta| assert_eq!(mta.ask(mail("bob")), "c"));
    sessions.iter_mut().for_each(|mta| assert_eq!(mta.ask(rcpt("friend@far.test")), "c"));
    site.change("people.toml", "members = [\"bob\", \"carol\",", "members = [\"carol\",");
    gatepost.signal(Signal::HUP);
    gatepost.wait_for_log("directory file reloaded");
    for mta in &mut sessions {
        assert_eq!(mta.ask(DATA), "c");
        let refusal = without_id(&mta.ask(END_OF_MESSAGE));
        assert_eq!(refusal, "y550 5.7.1 bob has no submit right");
        mta.assert_alice_sends();
    }
    assert!(gatepost.logs("connection closed").is_empty(), "{}", gatepost.log());
}
