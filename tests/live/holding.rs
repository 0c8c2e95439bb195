//! What a thief's messages on hold come to: dropped they are gone, released they go out, and the command line says
//! so; in Postfix by policy delegation and by milter, and in Sendmail.

use crate::door::{Door, at_both_doors};
use crate::gatepost::Gatepost;
use crate::helper::{Helper, postfix};
use crate::process::until;
use crate::sendmail;
use crate::sink::Sink;
use crate::stolen::{self, ENFORCING, Told};
use std::process::{Command, Output};

at_both_doors! {
    what_is_released_goes_out_and_what_is_dropped_is_gone
}

fn what_is_released_goes_out_and_what_is_dropped_is_gone(door: Door) {
    let lab = stolen::lab(door, ENFORCING);
    let helper = Helper::start(&lab.folder.path, &postfix(&lab.folder.path));
    let alice = || lab.submission("alice");
    stolen::live_quietly(&lab.gatepost, lab.ports.mx, alice, &lab.local, &lab.external);
    let told = stolen::play(alice(), &lab.external);
    until("they lie in the queue", || (lab.postfix.held().len() == told.held).then_some(()));
    settle(&lab.gatepost, &told, || {});
    assert!(lab.postfix.held().is_empty());
    arrive(&lab.external, &told);
    lab.assert_absent(&told.markers[2]);
    drop(helper);
}

#[test]
fn what_is_still_in_the_queue_is_held_and_dropped_with_the_suspension() {
    let lab = stolen::lab(Door::Policy, ENFORCING);
    let helper = Helper::start(&lab.folder.path, &postfix(&lab.folder.path));
    let alice = || lab.submission("alice");
    stolen::live_quietly(&lab.gatepost, lab.ports.mx, alice, &lab.local, &lab.external);
    let told = stolen::play(alice(), &lab.external);
    until("they lie in the queue", || (lab.postfix.held().len() == told.held).then_some(()));
    let queue = |how: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        let control = lab.gatepost.people().with_file_name("control.sock");
        command.args(["suspensions", "queue", "alice", "--note", "a thief"]).args(how);
        let done = command.arg("--control").arg(control).output().expect("gatepost runs");
        assert_eq!(done.status.code(), Some(0), "{done:?}");
        String::from_utf8(done.stdout).expect("text")
    };
    assert!(queue(&["--hold", "--dry-run"]).contains("kept until a person decides"));
    // What went out is gone.
    let words = format!(" messages: {} held, ", told.held);
    let said = queue(&["--hold"]);
    assert!(said.contains(&words) && said.ends_with(" gone\n"), "{said}");
    let held = list(&lab.gatepost);
    assert!(held.iter().all(|one| one["released_at"].is_null()), "{held:?}");
    assert!(queue(&["--drop"]).contains(&format!("{} dropped", told.held)));
    assert!(lab.postfix.held().is_empty());
    assert!(list(&lab.gatepost).is_empty());
    drop(helper);
}

#[test]
fn so_it_is_in_sendmail() {
    let lab = sendmail::stolen::lab();
    let helper = Helper::start_free(&lab.folder.path, &lab.sendmail.helped(&lab.folder.path));
    let alice = || lab.submission("alice");
    stolen::live_quietly(&lab.gatepost, lab.mx(), alice, &lab.local, &lab.external);
    let told = stolen::play(alice(), &lab.external);
    until("Sendmail holds them", || (lab.sendmail.queued("hf").len() == told.held).then_some(()));
    settle(&lab.gatepost, &told, || lab.sendmail.run_queue());
    assert!(lab.sendmail.queued("hf").is_empty());
    arrive(&lab.external, &told);
    lab.assert_absent(&told.markers[2]);
    drop(helper);
}

#[test]
fn without_its_helper_a_message_stays_on_hold_and_the_command_says_so() {
    let lab = stolen::lab(Door::Policy, ENFORCING);
    let alice = || lab.submission("alice");
    stolen::live_quietly(&lab.gatepost, lab.ports.mx, alice, &lab.local, &lab.external);
    let told = stolen::play(alice(), &lab.external);
    let done = hold(&lab.gatepost, &["drop", "--login", "alice", "--note", "n"]);
    assert_eq!(done.status.code(), Some(75), "{done:?}");
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(text.contains("the queue helper at") && text.contains("queue.sock"), "{text}");
    assert!(text.contains(&format!("{} messages: {0} failed", told.held)), "{text}");
    assert_eq!(list(&lab.gatepost).len(), told.held);
    assert_eq!(lab.postfix.held().len(), told.held);
}

/// The first message on hold is dropped, the others are released.
fn settle(gatepost: &Gatepost, told: &Told, then: impl FnOnce()) {
    let held = list(gatepost);
    assert_eq!(held.len(), told.held, "{held:?}");
    for one in &held {
        assert_eq!(one["login"], "alice");
        assert_eq!(one["grade"], "hold");
        assert_eq!(one["outcome"], serde_json::Value::Null);
    }
    let first = held[0]["queue_id"].as_str().expect("a queue id");
    let dropping = ["drop", "--id", first, "--note", "a thief's"];
    let done = hold(gatepost, &[&dropping[..], &["--dry-run"]].concat());
    assert!(String::from_utf8_lossy(&done.stdout).contains("would be dropped"), "{done:?}");
    assert_eq!(list(gatepost).len(), told.held, "a dry run changes nothing");
    for (id, code, words) in
        [(first, 0, "1 message: 1 dropped"), (first, 4, "no such message is on hold")]
    {
        let done = hold(gatepost, &["drop", "--id", id, "--note", "a thief's"]);
        assert_eq!(done.status.code(), Some(code), "{done:?}");
        let said = [&done.stdout[..], &done.stderr].concat();
        assert!(String::from_utf8_lossy(&said).contains(words), "{done:?}");
    }
    let done = hold(gatepost, &["release", "--login", "ALICE@local.test", "--note", "hers"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(list(gatepost).is_empty());
    let done = hold(gatepost, &["release", "--login", "alice", "--note", ""]);
    assert_eq!(done.status.code(), Some(2), "{done:?}");
    then();
}

/// All of them that were on hold, but the first.
fn arrive(external: &Sink, told: &Told) {
    for marker in &told.markers[3..2 + told.held] {
        external.wait_for(marker);
    }
}

fn list(gatepost: &Gatepost) -> Vec<serde_json::Value> {
    let done = hold(gatepost, &["list", "--login", "alice", "--output", "json"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    serde_json::from_slice(&done.stdout).expect("a list of JSON")
}

fn hold(gatepost: &Gatepost, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    let control = gatepost.people().with_file_name("control.sock");
    command.arg("hold").args(arguments).arg("--control").arg(control);
    command.output().expect("gatepost runs")
}
