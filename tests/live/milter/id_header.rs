//! `id-header`: what passes bears the id of its decision, where that is asked for.

use crate::door::Door;
use crate::lab::{Lab, marker};
use crate::process::output;
use crate::smtp::Session;
use std::process::Command;

#[test]
fn a_mail_bears_the_id_that_explain_takes() {
    let lab = Lab::shared(Door::Milter);
    let marker = marker("id");
    let recipient = format!("{marker}@far.test");
    let mut alice = Session::open(lab.ports.undelayed).login("alice");
    alice.send("alice@local.test", &recipient, &marker).assert_ok();
    let mail = lab.external.wait_for(&marker);
    let ids: Vec<&str> =
        mail.data.lines().filter_map(|line| line.strip_prefix("X-Gatepost: ")).collect();
    let [id] = ids[..] else { panic!("one id:\n{}", mail.data) };
    assert_eq!(lab.gatepost.end_of_message(&recipient).field("id"), id);

    let mut explain = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    explain.args(["explain", "--id", id, "--control"]).arg(lab.folder.path.join("control.sock"));
    let told = output(&mut explain);
    for words in [id, "alice", &recipient, "end-of-message"] {
        assert!(told.contains(words), "{words:?} in:\n{told}");
    }
}

#[test]
fn without_it_mail_stays_as_it_came() {
    let lab = Lab::shared(Door::Milter);
    let marker = marker("no-id");
    lab.submission("alice").send("alice@local.test", "friend@far.test", &marker).assert_ok();
    let mail = lab.external.wait_for(&marker);
    assert!(!mail.data.contains("X-Gatepost"), "{}", mail.data);
}
