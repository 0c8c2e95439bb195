//! Lifting a suspension: what is forgiven, forgotten and learnt.

mod common;

use common::{Ask, Site, at, question};
use gatepost::engine::DeedFault;
use gatepost::mail::{Facts, Stage, Timestamp};
use gatepost::suspension::Verdict;

const LISTEN: &str = "facing = 'submission'\nmode = 'enforce'\nhold = 'pass'";
const RULES: &str = "[relay]\nauthenticated = true\n[detector]\nmode = 'enforce'\n";

fn message(number: u32, begin: i64) -> Facts {
    question(Stage::EndOfMessage)
        .login("alice")
        .sender("alice@here.test")
        .recipient(&format!("stranger{number}@far.test"))
        .instance(&format!("{begin}.{number}"))
        .recipients(1)
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(at().unix_ms() + seconds * 1000)
}

/// Sends a message a second, each to somebody new; the number that passed before the first refusal.
fn send(site: &Site, first: u32, count: u32, begin: i64) -> u32 {
    let passes = |number: &u32| {
        let when = later(begin + i64::from(*number - first));
        site.judge_at(message(*number, begin), when).decision.action() == "pass"
    };
    (first..first + count).take_while(passes).count() as u32
}

fn suspended() -> (Site, u32) {
    let site = Site::without_directory(LISTEN, RULES);
    let passed = send(&site, 0, 20, 0);
    assert!((4..=6).contains(&passed), "{passed}");
    (site, passed)
}

#[test]
fn a_released_account_sends_at_once() {
    let (site, _) = suspended();
    assert_eq!(send(&site, 100, 1, 60), 0);
    let id = site.release("alice", Verdict::TruePositive, true, later(61)).expect("lifted");
    assert_eq!(id.len(), 12);
    assert_eq!(send(&site, 101, 1, 62), 1);
}

#[test]
fn a_dry_run_changes_nothing() {
    let (site, _) = suspended();
    assert!(site.release("alice", Verdict::TruePositive, false, later(60)).is_ok());
    assert_eq!(send(&site, 100, 1, 61), 0);
}

#[test]
fn a_false_alarm_does_not_come_back_on_the_same_behaviour() {
    let (site, passed) = suspended();
    site.release("alice", Verdict::FalsePositive, true, later(60)).expect("lifted");
    assert!(send(&site, 100, 20, 61) > passed + 5);
}

#[test]
fn a_thief_who_comes_back_is_stopped_sooner_than_before() {
    let (site, passed) = suspended();
    site.release("alice", Verdict::TruePositive, true, later(60)).expect("lifted");
    // The account is on probation.
    assert!(send(&site, 100, 20, 61) < passed);
    // Whom he wrote to the first time is no contact of hers.
    site.release("alice", Verdict::TruePositive, true, later(120)).expect("lifted");
    assert_eq!(send(&site, 0, 20, 200_000), passed);
}

#[test]
fn nobody_else_can_be_released() {
    let (site, _) = suspended();
    for login in ["bob", "alic"] {
        let lifted = site.release(login, Verdict::FalsePositive, true, later(60));
        assert_eq!(lifted, Err(DeedFault::NotSuspended));
    }
    site.release("ALICE", Verdict::FalsePositive, true, later(60)).expect("any spelling");
}
