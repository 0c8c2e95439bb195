//! Quotas as the engine keeps them: at RCPT, for whole messages, and told by explain.

mod common;

use common::{Ask, Site, question, rcpt};
use gatepost::mail::{Facts, Stage};

const LISTEN: &str = "facing = 'submission'\nmode = 'enforce'\nhold = 'queue'";

fn site(quota: &str) -> Site {
    Site::without_directory(
        LISTEN,
        &format!(
            "[detector]\nmode = 'off'\n[relay]\nauthenticated = true\n[[quota]]\ndefault = true\n{quota}"
        ),
    )
}

fn message(number: u32, recipients: u32) -> Facts {
    question(Stage::EndOfMessage)
        .login("alice")
        .sender("alice@here.test")
        .instance(&format!("m{number}"))
        .recipients(recipients)
}

fn answers(site: &Site, sizes: &[u32]) -> Vec<String> {
    sizes.iter().zip(0..).map(|(size, number)| site.ask(message(number, *size))).collect()
}

#[test]
fn a_message_beyond_the_quota_is_deferred_whole_and_not_charged() {
    let site = site("recipients = ['100/1h']");
    let found = answers(&site, &[60, 41, 40, 1]);
    assert_eq!(found, ["pass", "quota-exceeded", "pass", "quota-exceeded"]);
}

#[test]
fn a_first_message_larger_than_the_whole_quota_is_refused() {
    assert_eq!(answers(&site("recipients = ['100/1h']"), &[500, 100]), ["quota-exceeded", "pass"]);
}

#[test]
fn messages_and_recipients_are_limited_each_by_itself() {
    let found = answers(&site("messages = ['2/1h']\nrecipients = ['100/1h']"), &[90, 1, 1]);
    assert_eq!(found, ["pass", "pass", "quota-exceeded"]);
}

#[test]
fn on_exceed_says_what_is_answered() {
    let reply = |quota: &str| {
        let site = site(&format!("messages = ['1/1h']\non-exceed = '{quota}'"));
        site.judge(message(1, 1));
        site.judge(message(2, 1)).decision.action()
    };
    assert_eq!(["defer", "reject", "hold"].map(reply), ["defer", "reject", "hold"]);
}

#[test]
fn a_quota_that_observes_refuses_nothing() {
    let site = site("messages = ['1/1h']\nmode = 'observe'");
    site.judge(message(1, 1));
    let judged = site.judge(message(2, 1));
    assert_eq!(judged.decision.action(), "pass");
    assert!(judged.decision.observed().any(|reason| reason.as_str() == "quota-exceeded"));
}

#[test]
fn it_is_asked_at_rcpt_and_writes_nothing_there() {
    let site = site("recipients = ['2/1h']");
    let recipient = || rcpt("x@far.test").login("alice").instance("m9");
    assert_eq!([(); 3].map(|()| site.ask(recipient())), ["pass", "pass", "pass"]);
    site.judge(message(1, 2));
    assert_eq!(site.ask(recipient().instance("m10")), "quota-exceeded");
}

#[test]
fn a_question_asked_again_is_charged_once() {
    let site = site("messages = ['2/1h']");
    assert_eq!(
        [1, 1, 1, 2, 3].map(|n| site.ask(message(n, 1))).concat(),
        "passpasspasspassquota-exceeded"
    );
}

#[test]
fn what_is_left_is_told() {
    let site = site("recipients = ['100/1h']");
    site.judge(message(1, 60));
    let judged = site.judge(message(2, 25));
    let told = format!("{:?}", judged.decision.quota.as_ref().expect("a quota").remaining);
    assert!(told.contains("used: 60, left: 40"), "{told}");
    assert!(!judged.decision.quota.expect("a quota").verdict.watched.is_empty(), "85 of 100");
}
