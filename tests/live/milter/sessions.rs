//! A session of Postfix is one connection. What it begins anew is told late: ABORT waits for the next
//! event after RSET, and comes behind HELO after EHLO.

use crate::door::{Door, Port};
use crate::lab::{Lab, Wiring, marker};
use crate::ports::free_ports;
use crate::postfix::{SOCKET, milters, restriction, service};
use crate::smtp::Session;

const REFUSED: &str = "bob has no relay right: mail to far.test is not allowed";

#[test]
fn a_transaction_begun_anew_takes_nothing_along() {
    let lab = Lab::shared(Door::Milter);
    let mut bob = lab.submission("bob");
    for again in ["RSET", "EHLO client.example.net", "HELO client.example.net"] {
        let (forgotten, kept) = (marker("forgotten"), marker("kept"));
        let recipient = format!("{kept}@local.test");
        bob.mail("bob@local.test").assert_ok();
        bob.rcpt("alice@local.test").assert_ok();
        bob.rcpt("carol@local.test").assert_ok();
        bob.command(again).assert_ok();
        assert_eq!(bob.rcpt("alice@local.test").code, 503, "{again}");
        assert!(!bob.data(&forgotten).is_ok(), "{again}");

        bob.mail("carol@local.test").assert_sender_refused(
            553,
            "5.7.1",
            "bob may not send as carol@local.test",
        );
        bob.mail("bob@local.test").assert_ok();
        bob.rcpt("friend@far.test").assert_refused(550, "5.7.1", REFUSED);
        bob.rcpt(&recipient).assert_ok();
        bob.data(&kept).assert_ok();
        assert_eq!(lab.local.wait_for(&kept).recipients, [recipient.as_str()], "{again}");
        assert_eq!(lab.gatepost.end_of_message(&recipient).field("recipients"), "1", "{again}");
        lab.assert_absent(&forgotten);
    }
}

/// Only a recipient that passed counts, and the end of a message begins nothing of its own.
#[test]
fn the_end_of_a_message_counts_who_passed() {
    let lab = Lab::shared(Door::Milter);
    let mut bob = lab.submission("bob");
    for _ in 0..3 {
        let marker = marker("counted");
        let recipient = format!("{marker}@local.test");
        bob.mail("bob@local.test").assert_ok();
        bob.rcpt("friend@far.test").assert_refused(550, "5.7.1", REFUSED);
        bob.rcpt(&recipient).assert_ok();
        bob.rcpt("other@far.test").assert_refused(550, "5.7.1", REFUSED);
        bob.data(&marker).assert_ok();
        assert_eq!(bob.rcpt("alice@local.test").code, 503);
        assert_eq!(lab.local.wait_for(&marker).recipients, [recipient.as_str()]);
        assert_eq!(lab.gatepost.end_of_message(&recipient).field("recipients"), "1");
    }
}

/// Postfix before 3.7.22, 3.8.20, 3.9.14, 3.10.13 and 3.11.6 takes further recipients without a MAIL
/// after smtpd_end_of_data_restrictions has rejected, and tells the milter neither MAIL nor ABORT.
#[test]
fn what_follows_a_message_rejected_at_its_end_is_its_senders() {
    let [number] = free_ports();
    let port = Port { number, door: Door::Milter };
    let lab = Lab::start_wired(Door::Milter, |folder, ports, main_cf| {
        let mut wiring = Wiring::of(Door::Milter, folder, ports, main_cf);
        wiring.services += &service(port, "n", "smtpd_sasl_auth_enable=yes");
        wiring.services += &milters(&format!("unix:{SOCKET}"));
        wiring.services += &restriction("end_of_data", "reject");
        wiring
    });
    let marker = marker("rejected");
    let mut bob = Session::open(port).login("bob");
    bob.mail("bob@local.test").assert_ok();
    bob.rcpt("alice@local.test").assert_ok();
    assert_eq!(bob.data(&marker).code, 554);
    let outside = bob.rcpt("friend@far.test");
    if outside.code != 503 {
        outside.assert_refused(550, "5.7.1", REFUSED);
        bob.rcpt("carol@local.test").assert_ok();
        assert_eq!(bob.data(&marker).code, 554);
    }
    bob.rset().assert_ok();
    bob.mail("carol@local.test").assert_sender_refused(
        553,
        "5.7.1",
        "bob may not send as carol@local.test",
    );
    bob.quit();
    lab.assert_absent(&marker);
    let ends = lab.gatepost.decisions();
    assert!(ends.iter().all(|decided| decided.field("stage") != "end-of-message"), "{ends:#?}");
}

/// An SMTP line has 512 bytes (RFC 5321 4.5.3.1.5).
#[test]
fn a_long_refusal_comes_in_several_lines() {
    let words = "No, and no again, 100% no. ".repeat(9);
    let lab = Lab::start_wired(Door::Milter, |folder, ports, main_cf| {
        let mut wiring = Wiring::of(Door::Milter, folder, ports, main_cf);
        wiring.gatepost += &format!("[replies]\nrelay-missing = \"550 5.7.1 {words}{{login}}\"\n");
        wiring
    });
    let reply = lab.submission("bob").send("bob@local.test", "friend@far.test", &marker("long"));
    assert_eq!(reply.code, 550, "{reply}");
    assert_eq!(reply.lines.len(), 2, "{:#?}", reply.lines);
    let texts = reply.lines.iter().map(|line| {
        assert!(line.len() < 250, "{line}");
        line.strip_prefix("5.7.1 ").unwrap_or_else(|| panic!("its code: {line}"))
    });
    let said = texts.collect::<Vec<_>>().join(" ");
    assert!(said.starts_with('[') && said.ends_with(&format!("] {words}bob")), "{said}");
}
