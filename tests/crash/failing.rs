//! The store fails under a running daemon: mail goes on as `on-failure` says, it is told once, nothing is begun anew.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::client::{Control, Policy, suspension};
use crate::compare;
use crate::process::{Process, until};
use crate::site::{Site, kill, stop};

const FAILS: &str = "the store cannot be written; what changes waits in memory";
const AGAIN: &str = "the store is written again";

/// Takes all the room there is.
fn fill(site: &Site) -> PathBuf {
    let filler = site.path("store/filler");
    let mut file = fs::File::create(&filler).expect("a file");
    for piece in [vec![1_u8; 4_096], vec![1]] {
        while std::io::Write::write_all(&mut file, &piece).is_ok() {}
    }
    filler
}

/// So much that what a store file has in reserve is used up.
fn send_until_it_fails(policy: &mut Policy, daemon: &Process) {
    let mut number = 0;
    until("the store fails", || {
        for _ in 0..200 {
            number += 1;
            let login = format!("many-{number}");
            policy.ask(&format!("full.{number}"), &login, 1).expect("answered");
        }
        daemon.written().contains(FAILS).then_some(())
    });
}

/// Even with `defer`: what changes has room in memory, and what stands on disk is read.
#[tokio::test]
async fn a_full_disk_stops_no_mail_and_forgets_nothing() {
    let site = Site::on_tmpfs("defer", "size=2m");
    let deed = |login: &str| json!({ "login": login, "note": "because", "dry_run": false });
    let daemon = site.start();
    let mut policy = Policy::connect(&site);
    let mut control = Control::connect(&site);
    policy.ask("before", "alice", 1).expect("answered");
    control.told("/suspend", &deed("dora"));
    let filler = fill(&site);
    send_until_it_fails(&mut policy, &daemon);
    assert!(daemon.written().contains("No space left on device"), "{}", daemon.written());

    // A thief is caught all the same. Between a commit that fails and the file's return nothing can be read.
    let mut messages = 0;
    until("the thief is refused", || {
        messages += 1;
        let answer = policy.ask(&format!("full.thief.{messages}"), "thief", 300);
        suspension(&answer.expect("answered")).map(drop)
    });
    let stands = policy.ask("full.thief.last", "thief", 1).expect("answered");
    assert!(suspension(&stands).is_some(), "{stands}");
    until("erin's mail passes", || {
        let answer = policy.ask("full.erin", "erin", 1).expect("answered");
        (answer == "DUNNO").then_some(())
    });
    let (status, told) = control.post("/suspend", &deed("alice")).expect("it runs");
    assert_eq!(status, 503, "{told}");
    assert!(told.starts_with("alice is changed, but not on disk yet, and "), "{told}");
    assert_eq!(daemon.written().matches(FAILS).count(), 1, "told once");

    fs::remove_file(filler).expect("room");
    until("it is written again", || daemon.written().contains(AGAIN).then_some(()));
    let stands = policy.ask("after", "dora", 1).expect("answered");
    assert!(suspension(&stands).is_some(), "{stands}");
    control.told("/suspend", &deed("erin"));
    kill(daemon);
    let store = site.open();
    for login in ["thief", "dora", "alice", "erin"] {
        assert!(compare::record(&store, login).await.suspension.is_some(), "{login}");
    }
}

/// It starts, says that it cannot write, and refuses whom it refused before; more of them than memory holds.
#[test]
fn a_start_on_a_full_disk() {
    let site = Site::on_tmpfs("pass-rights-only", "size=2m");
    let text = fs::read_to_string(site.path("gatepost.toml")).expect("read");
    let few = text.replace("accounts = 100000", "accounts = 16");
    fs::write(site.path("gatepost.toml"), few).expect("written");
    let daemon = site.start();
    let mut control = Control::connect(&site);
    for number in 0..100 {
        let login = format!("dora-{number}");
        control.told("/suspend", &json!({ "login": login, "note": "because", "dry_run": false }));
    }
    kill(daemon);
    fill(&site);
    let daemon = site.start();
    let mut policy = Policy::connect(&site);
    send_until_it_fails(&mut policy, &daemon);
    for number in 0..100 {
        let login = format!("dora-{number}");
        // Between a commit that fails and the file's return nothing can be read.
        until("the suspension counts", || {
            let answer = policy.ask(&format!("first.{number}"), &login, 1);
            suspension(&answer.expect("answered")).map(drop)
        });
    }
}

/// Whatever becomes of the file: what is answered is right or as `on-failure` says, and the next start takes no
/// file for a new store.
fn ruined(on_failure: &str, ruin: impl Fn(&Site), why: &str) -> Site {
    let site = Site::with(on_failure, 16);
    let daemon = site.start();
    let mut control = Control::connect(&site);
    for number in 0..40 {
        let login = format!("dora-{number}");
        control.told("/suspend", &json!({ "login": login, "note": "because", "dry_run": false }));
    }
    ruin(&site);
    until("it is noticed", || daemon.written().contains(FAILS).then_some(()));
    assert!(daemon.written().contains(why), "{}", daemon.written());
    let mut policy = Policy::connect(&site);
    for number in 0..40 {
        let answer = policy.ask(&format!("ruined.{number}"), &format!("dora-{number}"), 1);
        let answer = answer.expect("answered");
        let is_as_configured = match on_failure {
            "defer" => answer.starts_with("451 4.3.0 "),
            _ => answer == "DUNNO",
        };
        assert!(is_as_configured || suspension(&answer).is_some(), "{answer}");
    }
    let (status, told) = stop(daemon);
    assert!(status.success() && told.contains("what was counted last is lost"), "{told}");
    site
}

#[test]
fn a_file_that_is_cut_meanwhile() {
    for bytes in [0, 4_096, 20_000] {
        let cut = |site: &Site| {
            let file = fs::File::options().write(true).open(site.store()).expect("there");
            file.set_len(bytes).expect("cut");
        };
        let site = ruined("defer", cut, "it was cut from ");
        let told = site.refusal();
        assert!(told.contains("it is damaged or no store: "), "{bytes}: {told}");
    }
}

#[test]
fn a_file_that_is_taken_away_meanwhile() {
    let away = |site: &Site| fs::rename(site.store(), site.path("away")).expect("moved");
    let site = ruined("pass-rights-only", away, "No such file or directory");
    assert!(!site.store().exists(), "none is made in its place");
    fs::rename(site.path("away"), site.store()).expect("put back");
    let daemon = site.start();
    let answer = Policy::connect(&site).ask("back", "dora-7", 1).expect("answered");
    assert!(suspension(&answer).is_some(), "{answer}");

    fs::rename(site.store(), site.path("away")).expect("moved");
    until("it is noticed", || daemon.written().contains(FAILS).then_some(()));
    fs::rename(site.path("away"), site.store()).expect("put back");
    until("it is written again", || daemon.written().contains(AGAIN).then_some(()));
    let deed = json!({ "login": "erin", "note": "because", "dry_run": false });
    Control::connect(&site).told("/suspend", &deed);
    kill(daemon);
}

#[test]
fn a_file_that_is_replaced_meanwhile() {
    let replaced = |site: &Site| {
        fs::copy(site.store(), site.path("copy")).expect("copied");
        fs::rename(site.path("copy"), site.store()).expect("moved");
    };
    ruined(
        "defer",
        replaced,
        "another file stands in its place since gatepost began; restart gatepost",
    );
}
