//! The queue helper with real queues: what it does to messages of Postfix and Sendmail, and what it refuses.

use crate::door::Door;
use crate::helper::{DONE, GONE, Helper, answered, postfix};
use crate::lab::{Lab, Wiring, marker};
use crate::process::{output, program, read, until};
use crate::sendmail::lab as sendmail_lab;
use std::process::Command;

#[test]
fn messages_of_postfix_are_held_released_requeued_and_dropped() {
    let lab = deferring();
    let helper = Helper::start(&lab.folder.path, &postfix(&lab.folder.path));
    let [one, two] = [queued(&lab), queued(&lab)];
    let [one, two] = [one.as_str(), two.as_str()];
    let none = "ABCDEF123456";
    assert_eq!(helper.tell("hold", &[one, none, two]), answered(&[DONE, GONE, DONE]));
    assert_eq!(lab.postfix.held().len(), 2);
    // Again, it is as was asked.
    assert_eq!(helper.tell("hold", &[one]), answered(&[DONE]));
    assert_eq!(helper.tell("release", &[one]), answered(&[DONE]));
    assert_eq!(helper.tell("release", &[one]), answered(&[DONE]));
    assert_eq!(lab.postfix.held().len(), 1);
    let listed = helper.ask(r#"{"verb":"list","sender":"Alice@local.test"}"#);
    assert!(listed.contains(one) && listed.contains(two), "{listed}");
    let listed = helper.ask(r#"{"verb":"list","sender":"bob@local.test"}"#);
    assert_eq!(listed, r#"{"listed":[]}"#);
    assert_eq!(helper.tell("requeue", &[two]), answered(&[DONE]));
    assert_eq!(helper.tell("drop", &[one, none]), answered(&[DONE, GONE]));
    assert_eq!(helper.tell("drop", &[one]), answered(&[GONE]));
    assert!(!list(&lab).contains(one), "{}", list(&lab));
    until("what was done is logged", || {
        let log = read(&helper.process.log);
        log.contains("verb=\"drop\" done=1 gone=1 failed=0").then_some(())
    });
}

#[test]
fn what_is_no_request_reaches_no_program() {
    let lab = deferring();
    let helper = Helper::start(&lab.folder.path, &postfix(&lab.folder.path));
    let one = queued(&lab);
    for ids in [
        "ALL",
        "-",
        "-d",
        "--help",
        "../hold/x",
        "BFD5198E1F2;reboot",
        "$(reboot)",
        "BFD5198E1F2\\nALL",
        "6AR2TZYY007342",
        "",
    ] {
        let answer = helper.tell("drop", &[&one, ids]);
        assert!(answer.starts_with("{\"refused\":"), "{ids}: {answer}");
    }
    for line in [
        "",
        "drop",
        "{}",
        "[]",
        r#"{"verb":"drop"}"#,
        r#"{"verb":"drop","ids":[]}"#,
        r#"{"verb":"flush","ids":["BFD5198E1F2"]}"#,
        r#"{"verb":"drop","ids":["BFD5198E1F2"],"config":"/tmp"}"#,
        r#"{"verb":"kick","login":"alice"}"#,
        "\u{0}",
    ] {
        let answer = helper.ask(line);
        assert!(answer.starts_with("{\"refused\":"), "{line:?}: {answer}");
    }
    let many = |count| vec!["ABCDEF123456"; count];
    assert_eq!(helper.tell("drop", &many(1000)), answered(&vec![GONE; 1000]));
    let refused = r#"{"refused":"1001 queue ids; expected 1 to 1000"}"#;
    assert_eq!(helper.tell("drop", &many(1001)), refused);
    let refused = helper.ask(&"x".repeat(1 << 20));
    assert!(refused.contains("bytes"), "{refused}");
    assert!(list(&lab).contains(&one), "{}", list(&lab));
}

#[test]
fn another_user_is_not_heard() {
    let lab = deferring();
    let helper = Helper::start_for(&lab.folder.path, "nobody", &postfix(&lab.folder.path));
    let one = queued(&lab);
    let refused = r#"{"refused":"the user 0 may not ask (allow-user)"}"#;
    assert_eq!(helper.tell("drop", &[&one]), refused);
    assert!(list(&lab).contains(&one), "{}", list(&lab));
}

#[test]
fn a_postfix_that_cannot_be_asked_is_a_failure_and_no_message_counts_as_gone() {
    let lab = deferring();
    let broken = "[postfix]\nconfig-directory = \"/nonexistent\"\n";
    let helper = Helper::start(&lab.folder.path, broken);
    let answer = helper.tell("drop", &["ABCDEF123456"]);
    assert!(answer.contains("\"outcome\":\"failed\""), "{answer}");
    assert!(answer.contains("/nonexistent"), "{answer}");
}

#[test]
fn logins_are_kicked_at_dovecot() {
    let lab = deferring();
    let file = lab.folder.path.join("dovecot/dovecot.conf");
    let tables = format!("[dovecot]\nconfig-file = \"{}\"\n", file.display());
    let helper = Helper::start(&lab.folder.path, &tables);
    let kick = |login: &str| helper.ask(&format!("{{\"verb\":\"kick\",\"login\":\"{login}\"}}"));
    // Nobody is connected to this Dovecot, which only checks passwords.
    assert_eq!(kick("alice"), answered(&[GONE]));
    for hostile in ["*", "a*", "-a", "10.0.0.0/8", "127.0.0.1", "0", "al ice", "a\\u0000"] {
        let answer = kick(hostile);
        assert!(answer.starts_with("{\"refused\":"), "{hostile}: {answer}");
    }
    assert!(helper.tell("drop", &["ABCDEF123456"]).contains("no [postfix]"));
}

#[test]
fn messages_of_sendmail_are_held_released_and_dropped() {
    let lab = sendmail_lab::Lab::start(&sendmail_lab::ENFORCING);
    let helper = Helper::start_free(&lab.folder.path, &lab.sendmail.helped(&lab.folder.path));
    // Written into the queue, and tried by nobody.
    let [one, two] = [lab.sendmail.queue_mail(), lab.sendmail.queue_mail()];
    let [one, two] = [one.as_str(), two.as_str()];
    let none = "6AR2TZYY007342";
    assert_eq!(helper.tell("hold", &[one, none, two]), answered(&[DONE, GONE, DONE]));
    assert_eq!(lab.sendmail.queued("hf").len(), 2);
    assert!(lab.sendmail.quarantined().contains("held by gatepost"));
    assert_eq!(helper.tell("hold", &[one]), answered(&[DONE]));
    assert_eq!(helper.tell("release", &[one]), answered(&[DONE]));
    assert_eq!(helper.tell("release", &[one]), answered(&[DONE]));
    assert_eq!(lab.sendmail.queued("hf").len(), 1);
    assert_eq!(lab.sendmail.queued("qf").len(), 1);
    assert_eq!(helper.tell("drop", &[one, two, none]), answered(&[DONE, DONE, GONE]));
    assert!(lab.sendmail.queue_is_empty(), "{:?}", lab.sendmail.queued(""));
    assert!(helper.tell("requeue", &[one]).starts_with("{\"refused\":"));
    assert!(helper.tell("drop", &["ABCDEF123456"]).starts_with("{\"refused\":"));
}

/// One whose mail to elsewhere waits.
fn deferring() -> Lab {
    Lab::start_wired(Door::Policy, |folder, ports, main_cf| {
        // Nobody listens there.
        let main_cf = main_cf + "relayhost = [127.0.0.1]:9\n";
        Wiring::of(Door::Policy, folder, ports, main_cf)
    })
}

/// The queue id of a message that waits.
fn queued(lab: &Lab) -> String {
    let marker = marker("queued");
    let mut alice = lab.submission("alice");
    let reply = alice.send("alice@local.test", &format!("{marker}@far.test"), &marker);
    reply.assert_ok();
    let (_, id) = reply.text.rsplit_once(' ').expect("queued as ID");
    id.to_owned()
}

fn list(lab: &Lab) -> String {
    let mut postqueue = Command::new(program("postqueue", "postfix"));
    output(postqueue.arg("-c").arg(lab.folder.path.join("conf")).arg("-j"))
}
