//! What becomes of the content: a big one arrives whole, one that is never ended counts for nothing,
//! and `id-header` marks it.

use super::lab::{ENFORCING, Lab, Wiring};
use crate::lab::marker;
use crate::process::{read, until};

/// 80 bytes with its line end.
const LINE: &str =
    "The quick brown fox jumps over the lazy dog, again and again, until it sleeps.\r\n";
const BIG_BYTES: usize = 5 << 20;

#[test]
fn a_big_message_arrives_whole() {
    let lab = Lab::shared();
    let marker = marker("big");
    let lines = BIG_BYTES / LINE.len();
    let mut alice = lab.submission("alice");
    alice.mail("alice@local.test").assert_ok();
    alice.rcpt("friend@far.test").assert_ok();
    assert_eq!(alice.command("DATA").code, 354);
    let content = format!("Subject: {marker}\r\n\r\n{}.", LINE.repeat(lines));
    alice.command(&content).assert_ok();
    let mail = lab.external.wait_for(&marker);
    assert_eq!(mail.data.matches("lazy dog").count(), lines);
}

#[test]
fn a_client_that_vanishes_in_its_message_has_sent_nothing() {
    let lab = Lab::start(&ENFORCING);
    let (lost, next) = (marker("lost"), marker("next"));
    for _ in 0..3 {
        let mut alice = lab.submission("alice");
        alice.mail("alice@local.test").assert_ok();
        alice.rcpt("friend@far.test").assert_ok();
        assert_eq!(alice.command("DATA").code, 354);
        alice.write(&format!("Subject: {lost}\r\n\r\n{LINE}"));
    }
    until("Sendmail has missed them", || {
        (read(&lab.sendmail.log).matches("collect: premature EOM").count() == 3).then_some(())
    });
    lab.submission("alice").send("alice@local.test", "friend@far.test", &next).assert_ok();
    lab.external.wait_for(&next);
    lab.assert_absent(&lost);
    let log = read(&lab.gatepost.log());
    let faults: Vec<&str> =
        log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_message_that_passes_bears_the_id_if_asked_for() {
    let lab = Lab::start(&Wiring { keys: "id-header = true", ..ENFORCING });
    let marker = marker("id");
    lab.submission("alice").send("alice@local.test", "friend@far.test", &marker).assert_ok();
    let mail = lab.external.wait_for(&marker);
    let ids: Vec<&str> =
        mail.data.lines().filter_map(|line| line.strip_prefix("X-Gatepost: ")).collect();
    let [id] = ids[..] else { panic!("one id: {}", mail.data) };
    lab.wait_for_decision(&[id, "pass", "end-of-message"]);
}
