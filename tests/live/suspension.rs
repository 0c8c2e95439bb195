//! A suspension from its thief to the end, in real mail: who is stopped, who is told, what the help desk sees and does,
//! what becomes of the owner and of the messages on hold; and a false alarm, which does not come back.

pub mod open;
mod told;

use crate::desk::Desk;
use crate::door::{Door, at_both_doors};
use crate::helper::{Helper, postfix};
use crate::hook::{Hook, OK};
use crate::lab::{Lab, marker};
use crate::process::until;
use crate::prometheus::Monitoring;
use crate::stolen::{self, Told};
use open::Open;
use serde_json::Value;
use told::{Everybody, acting};

at_both_doors! {
    a_thief_is_suspended_told_of_and_released_and_his_mail_is_dropped
}

fn a_thief_is_suspended_told_of_and_released_and_his_mail_is_dropped(door: Door) {
    let hook = Hook::open(OK);
    let lab = stolen::lab_with(door, |folder, ports, configuration| {
        acting(folder, ports, &(configuration + stolen::ENFORCING), &hook)
    });
    let _helper = Helper::start(&lab.folder.path, &postfix(&lab.folder.path));
    let monitoring = Monitoring::start(&lab.folder.path, lab.ports.http);
    let desk = Desk::of(&lab.gatepost);
    let everybody = Everybody { hook: &hook, mail: &lab.local, folder: &lab.folder.path };
    live_quietly(&lab);
    // Before anything happens, or the rule would not see that something did.
    monitoring.wait_for("sum(gatepost_suspensions_total{mode=\"enforce\"}) == 0");

    let mut open = Open::at_each_question(|| lab.submission("alice"));
    let told = stolen::play(lab.submission("alice"), &lab.external);
    until("they lie in the queue", || (lab.postfix.held().len() == told.held).then_some(()));
    open.are_stopped_at_their_next_question(&told);

    everybody.hears("suspended", &told);
    let call = monitoring.wait_for_alert("GatepostAccountSuspended");
    assert_eq!(call.receiver, "helpdesk");
    assert!(!call.alert.to_string().contains("alice"), "{}", call.alert);
    the_help_desk_sees(&desk, &lab, &told);

    let released =
        desk.does(&["release", "alice", "--verdict", "true-positive", "--note", "ticket 4711"]);
    assert!(released.starts_with(&format!("alice is released: suspended by {}", told.id)));
    assert!(released.contains("\n  on probation until 20"), "{released}");
    open.go_on(&lab.external);
    let shown = desk.does(&["accounts", "show", "alice"]);
    assert!(shown.starts_with("alice is on probation until 20"), "{shown}");
    assert_eq!(desk.looks(&["suspensions", "list"]), Value::Array(Vec::new()));
    let explained = desk.reads(&["explain", "--id", &told.id], 1);
    let (begin, end) =
        explained.lines().next().expect("a line").split_once(" at 20").expect("a time");
    assert_eq!(begin, format!("alice was suspended by {}; released as true-positive", told.id));
    assert!(end.ends_with(": ticket 4711"), "{explained}");
    monitoring.wait_for("gatepost_releases_total{mode=\"enforce\",verdict=\"true-positive\"} == 1");

    // What told of the release would have told of the suspension again before.
    let ids = everybody.hears("released", &told);
    everybody.heard_nothing_else(&ids);
    his_mail_is_dropped(&desk, &lab, &told);
    let audit = desk.does(&["audit", "--login", "alice"]);
    for (what, note) in [("released", "ticket 4711"), ("hold-dropped", "a thief, ticket 4711")] {
        let is_kept = |line: &str| line.contains(what) && line.trim_end().ends_with(note);
        assert!(audit.lines().any(is_kept), "{what}: {audit}");
    }
}

fn the_help_desk_sees(desk: &Desk, lab: &Lab, told: &Told) {
    let listed = desk.looks(&["suspensions", "list"]);
    let [one] = &listed.as_array().expect("a list")[..] else { panic!("one: {listed}") };
    assert_eq!((&one["id"], &one["login"]), (&told.id.as_str().into(), &"alice".into()));
    assert_eq!((&one["mode"], &one["by"]), (&"enforce".into(), &"detector".into()));
    stolen::assert_explained(&lab.gatepost, told);
    let held = desk.looks(&["hold", "list", "--login", "alice"]);
    assert_eq!(held.as_array().map(Vec::len), Some(told.held), "{held}");
    let shown = desk.does(&["accounts", "show", "alice"]);
    let by = format!("by {}\n", told.id);
    assert!(shown.starts_with("alice is suspended until") && shown.contains(&by), "{shown}");
}

fn his_mail_is_dropped(desk: &Desk, lab: &Lab, told: &Told) {
    assert_eq!(lab.postfix.held().len(), told.held, "the release lets none go");
    let note = ["--note", "a thief, ticket 4711"];
    let dropped = desk.does(&[&["hold", "drop", "--login", "alice"], &note[..]].concat());
    assert!(dropped.ends_with(&format!(": {} dropped\n", told.held)), "{dropped}");
    assert_eq!(desk.looks(&["hold", "list"]), Value::Array(Vec::new()));
    assert!(lab.postfix.held().is_empty());
    for marker in &told.markers[2..] {
        lab.assert_absent(marker);
    }
}

#[test]
fn a_false_alarm_does_not_come_back_on_the_same_behaviour() {
    let lab = stolen::lab(Door::Policy, stolen::ENFORCING);
    let _helper = Helper::start(&lab.folder.path, &postfix(&lab.folder.path));
    let desk = Desk::of(&lab.gatepost);
    live_quietly(&lab);
    // The owner herself, who writes to six people that she never wrote to.
    let told = stolen::play(lab.submission("alice"), &lab.external);
    let note = ["--note", "invitations, ticket 4712"];
    let release = ["release", &told.id, "--verdict", "false-positive"];
    desk.does(&[&release, &note[..]].concat());
    desk.does(&[&["hold", "release", "--login", "alice"], &note[..]].concat());
    // She sends what was refused, and then as many as before, to others.
    let refused = &told.markers[2 + told.held..];
    let others: Vec<String> = told.markers.iter().map(|_| marker("invited")).collect();
    let mut alice = lab.submission("alice");
    for marker in refused.iter().chain(&others) {
        alice.send("alice@local.test", &format!("{marker}@far.test"), marker).assert_ok();
    }
    for marker in told.markers.iter().chain(&others) {
        lab.external.wait_for(marker);
    }
    assert!(lab.postfix.held().is_empty());
    assert_eq!(desk.looks(&["suspensions", "list"]), Value::Array(Vec::new()));
}

fn live_quietly(lab: &Lab) {
    let alice = || lab.submission("alice");
    stolen::live_quietly(&lab.gatepost, lab.ports.mx, alice, &lab.local, &lab.external);
}
