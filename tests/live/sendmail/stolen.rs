//! A stolen login through Sendmail, which keeps what is held in its queue (quarantine).

use super::lab::{ENFORCING, Lab, Wiring};
use crate::lab::marker;
use crate::process::until;
use crate::stolen;

#[test]
fn a_thief_is_held_from_the_third_message_and_suspended_by_the_sixth() {
    let lab = lab();
    let alice = || lab.submission("alice");
    stolen::live_quietly(&lab.gatepost, lab.mx(), alice, &lab.local, &lab.external);
    let mut others = [alice(), alice()];
    let told = stolen::play(alice(), &lab.external);
    until("Sendmail holds them", || (lab.sendmail.queued("hf").len() == told.held).then_some(()));
    let listed = lab.sendmail.quarantined();
    assert_eq!(listed.matches("QUARANTINE:").count(), told.held, "{listed}");
    for session in &mut others {
        stolen::assert_is_suspended(&session.mail("alice@local.test"), &told);
    }
    stolen::assert_explained(&lab.gatepost, &told);
}

#[test]
fn a_message_to_a_hundred_people_is_held_and_leaks_nothing() {
    let lab = lab();
    let alice = || lab.submission("alice");
    stolen::live_quietly(&lab.gatepost, lab.mx(), alice, &lab.local, &lab.external);
    let marker = marker("hundred");
    stolen::send_to(&mut alice(), &marker, 100).assert_ok();
    until("Sendmail holds it", || (!lab.sendmail.queued("hf").is_empty()).then_some(()));
    assert!(lab.sendmail.queued("qf").is_empty());
    assert!(lab.external.with(&marker).is_empty());
}

/// One that holds what a finding holds in its queue.
pub fn lab() -> Lab {
    let queue = "[[queue]]\nmta = \"sm\"\ntype = \"sendmail\"\nhelper = \"queue.sock\"\n";
    let tables = format!("{}{queue}", stolen::ENFORCING);
    Lab::start_with(&Wiring { keys: "hold = \"queue\"", ..ENFORCING }, &tables)
}
