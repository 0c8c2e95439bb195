//! Mails to a relay, which may be down.

use gatepost::record::NoticeKind;

use crate::outbox::{Site, notice, suspended};
use crate::sink::{Protocol, Sink};

const DONE: &str = "gatepost_actions_total{kind=\"mail\",result=\"ok\"}";
const FAILED: &str = "gatepost_actions_total{kind=\"mail\",result=\"error\"}";

fn mail(port: u16, more: &str) -> String {
    format!(
        "[[action]]\nname = \"postmaster\"\ntype = \"mail\"\nserver = \"127.0.0.1:{port}\"\ntls = \"none\"\n\
         from = \"gatepost@example.org\"\n{more}\n"
    )
}

const TO: &str = "to = [\"postmaster@example.org\", \"security@example.org\"]";

#[test]
fn a_mail_is_from_the_null_sender_and_marked() {
    let sink = Sink::open(Protocol::Smtp);
    let site = Site::new(&mail(sink.port(), TO));
    site.send(&[suspended("e1")]);
    let mail = sink.wait_for("event.e1@mx1.example.org");
    assert_eq!(mail.sender, "");
    assert_eq!(mail.recipients, ["postmaster@example.org", "security@example.org"]);
    for line in [
        "Subject: [gatepost] alice is suspended",
        "Auto-Submitted: auto-generated",
        "X-Gatepost-Event: e1",
        "References: <incident.0123456789AB@mx1.example.org>",
    ] {
        assert!(
            mail.data.lines().any(|found| found.trim_end() == line),
            "{line} in\n{}",
            mail.data
        );
    }
    site.wait_until_nothing_is_kept();
    assert_eq!(sink.count(), 1);
}

#[test]
fn a_relay_that_was_down_gets_each_mail_once() {
    let sink = Sink::open(Protocol::Smtp);
    let port = sink.port();
    drop(sink);
    let site = Site::new(&mail(port, TO));
    site.send(&[suspended("e1"), suspended("e2")]);
    site.wait_for_metric(FAILED, 4);
    assert_eq!(site.kept(), ["postmaster/e1", "postmaster/e2"]);
    let sink = Sink::open_at(Protocol::Smtp, port);
    site.wait_until_nothing_is_kept();
    site.wait_for_metric(DONE, 2);
    assert_eq!(sink.count(), 2);
    for id in ["event.e1@", "event.e2@"] {
        assert_eq!(sink.with(id).len(), 1);
    }
}

#[test]
fn many_events_become_one_mail() {
    let sink = Sink::open(Protocol::Smtp);
    let site = Site::new(&mail(sink.port(), TO));
    let events: Vec<_> = (0..40).map(|number| suspended(&format!("e{number:02}"))).collect();
    site.send(&events);
    site.wait_until_nothing_is_kept();
    assert!(sink.count() <= 5, "{} mails", sink.count());
    assert_eq!(sink.with("Subject: [gatepost] ").len(), sink.count());
    assert!(!sink.with(" events").is_empty());
}

#[test]
fn the_owner_is_told_at_the_other_address_and_only_where_there_is_one() {
    let sink = Sink::open(Protocol::Smtp);
    let site = Site::new(&mail(sink.port(), "to-person = true\nhelp = \"Please call 4711.\""));
    let mut told = suspended("e1");
    told.other_address = Some("alice@home.test".into());
    let mut watched = notice("e3", NoticeKind::Watched);
    watched.other_address = Some("alice@home.test".into());
    site.send(&[told, suspended("e2"), watched]);
    let mail = sink.wait_for("alice@home.test");
    assert!(mail.data.contains("Please call 4711."), "{}", mail.data);
    assert!(!mail.data.contains("strangers"), "{}", mail.data);
    site.wait_until_nothing_is_kept();
    assert_eq!(sink.count(), 1);
}
