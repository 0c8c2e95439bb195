//! A suspension beside Sendmail: what is open is stopped, its owner goes on after the release, and what lies in
//! quarantine is dropped.

use super::stolen::lab;
use crate::desk::Desk;
use crate::helper::Helper;
use crate::process::until;
use crate::stolen;
use crate::suspension::open::Open;

#[test]
fn open_sessions_are_stopped_until_the_release_and_quarantined_mail_is_dropped() {
    let lab = lab();
    let _helper = Helper::start_free(&lab.folder.path, &lab.sendmail.helped(&lab.folder.path));
    let desk = Desk::of(&lab.gatepost);
    let alice = || lab.submission("alice");
    stolen::live_quietly(&lab.gatepost, lab.mx(), alice, &lab.local, &lab.external);
    let mut open = Open::at_each_question(alice);
    let told = stolen::play(alice(), &lab.external);
    until("Sendmail holds them", || (lab.sendmail.queued("hf").len() == told.held).then_some(()));
    open.are_stopped_at_their_next_question(&told);
    let note = ["--note", "ticket 4711"];
    desk.does(&[&["release", &told.id, "--verdict", "true-positive"], &note[..]].concat());
    open.go_on(&lab.external);
    assert_eq!(lab.sendmail.queued("hf").len(), told.held, "the release lets none go");
    let dropped = desk.does(&[&["hold", "drop", "--login", "alice"], &note[..]].concat());
    assert!(dropped.ends_with(&format!(": {} dropped\n", told.held)), "{dropped}");
    for marker in &told.markers[2..] {
        lab.assert_absent(marker);
    }
}
