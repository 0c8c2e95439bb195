//! Rights that change between the envelope and the end of the message: the whole is judged again
//! there, and what is refused then is told so, or held by Sendmail when gatepost is to quarantine.

use super::lab::{ENFORCING, Lab, Wiring};
use crate::gatepost::edit;
use crate::lab::marker;
use crate::process::{read, until};
use crate::smtp::Session;
use rustix::process::Signal;

#[test]
fn a_right_lost_before_the_end_of_the_message_is_missed_there() {
    let lab = Lab::start(&ENFORCING);
    let marker = marker("late");
    let mut bob = half_sent(&lab);
    let reply = bob.data(&marker);
    reply.assert_refused(550, "5.7.13", "The account bob is disabled");
    bob.quit();
    lab.assert_absent(&marker);
}

#[test]
fn if_told_to_sendmail_holds_it() {
    let lab = Lab::start(&Wiring { keys: "at-end-of-message = \"quarantine\"", ..ENFORCING });
    let marker = marker("held");
    let mut bob = half_sent(&lab);
    bob.data(&marker).assert_ok();
    bob.quit();
    let held = until("Sendmail holds it", || lab.sendmail.queued("hf").pop());
    let envelope = read(&held);
    let reason = envelope.lines().find_map(|line| line.strip_prefix('q'));
    let reason = reason.unwrap_or_else(|| panic!("a reason:\n{envelope}"));
    let (id, said) = reason.split_once("] ").expect("an id in brackets");
    assert_eq!(said, "The account bob is disabled");
    lab.wait_for_decision(&[id.trim_start_matches('['), "account-disabled"]);
    let listed = lab.sendmail.quarantined();
    assert!(listed.contains(reason) && listed.contains("<bob@local.test>"), "{listed}");
    assert!(lab.sendmail.queued("qf").is_empty());
    for sink in [&lab.local, &lab.external] {
        assert!(sink.with(&marker).is_empty());
    }
}

/// bob's mail to alice with its envelope accepted; then bob is disabled.
fn half_sent(lab: &Lab) -> Session {
    let mut bob = lab.submission("bob");
    let mut probe = lab.submission("bob");
    bob.mail("bob@local.test").assert_ok();
    bob.rcpt("alice@local.test").assert_ok();
    let account = "addresses = [\"bob@local.test\"]\n";
    edit(&lab.gatepost.people(), account, &format!("{account}state = \"disabled\"\n"));
    lab.gatepost.signal(Signal::HUP);
    until("bob is disabled", || {
        let refused = !probe.mail("bob@local.test").is_ok();
        probe.rset().assert_ok();
        refused.then_some(())
    });
    bob
}
