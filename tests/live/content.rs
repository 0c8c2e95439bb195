//! How a message comes: big, in chunks (BDAT, RFC 3030), with its commands in one write (PIPELINING,
//! RFC 2920), or not to its end.

use crate::door::{Door, at_both_doors};
use crate::lab::{Lab, marker};
use crate::process::{read, until};
use crate::reply::Reply;
use crate::smtp::{END_OF_MESSAGE, Session};

at_both_doors! {
    a_big_message_arrives_whole
    a_message_in_chunks_is_judged_once
    chunks_of_a_refused_message_are_refused
    commands_in_one_write_are_answered_one_by_one
    a_client_that_vanishes_in_its_message_has_sent_nothing
}

/// 80 bytes with its line end.
const LINE: &str =
    "The quick brown fox jumps over the lazy dog, again and again, until it sleeps.\r\n";
const BIG_BYTES: usize = 5 << 20;

const REFUSED: &str = "bob has no relay right: mail to far.test is not allowed";

fn a_big_message_arrives_whole(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("big");
    let lines = BIG_BYTES / LINE.len();
    let mut alice = lab.submission("alice");
    alice.mail("alice@local.test").assert_ok();
    alice.rcpt("friend@far.test").assert_ok();
    assert_eq!(alice.command("DATA").code, 354);
    alice.write(&format!("Subject: {marker}\r\n\r\n{}.\r\n", LINE.repeat(lines)));
    alice.reply_to(END_OF_MESSAGE).assert_ok();
    let mail = lab.external.wait_for(&marker);
    assert_eq!(mail.data.matches("lazy dog").count(), lines);
}

fn a_message_in_chunks_is_judged_once(door: Door) {
    let lab = Lab::shared(door);
    let mut alice = lab.submission("alice");
    for chunk_bytes in [1000, 40, 3] {
        let marker = marker("chunks");
        let recipient = format!("{marker}@far.test");
        alice.mail("alice@local.test").assert_ok();
        alice.rcpt(&recipient).assert_ok();
        let text = format!("Subject: {marker}\r\n\r\nThe body\r\n.\r\nof {marker}.\r\n");
        for chunk in text.as_bytes().chunks(chunk_bytes) {
            let chunk = std::str::from_utf8(chunk).expect("ASCII");
            bdat(&mut alice, chunk, "").assert_ok();
        }
        bdat(&mut alice, "", " LAST").assert_ok();
        let mail = lab.external.wait_for(&marker);
        assert!(mail.data.ends_with(&format!("The body\n.\nof {marker}.\n")), "{}", mail.data);
        let decided = lab.gatepost.end_of_message(&recipient);
        assert_eq!((decided.field("action"), decided.field("recipients")), ("pass", "1"));
    }
    let marker = marker("chunk");
    alice.mail("alice@local.test").assert_ok();
    alice.rcpt("friend@far.test").assert_ok();
    bdat(&mut alice, &format!("Subject: {marker}\r\n\r\nIn one.\r\n"), " LAST").assert_ok();
    lab.external.wait_for(&marker);
}

fn chunks_of_a_refused_message_are_refused(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("chunks");
    let mut bob = lab.submission("bob");
    for last in ["", " LAST"] {
        bob.mail("bob@local.test").assert_ok();
        bob.rcpt("friend@far.test").assert_refused(550, "5.7.1", REFUSED);
        let reply = bdat(&mut bob, &format!("Subject: {marker}\r\n\r\nx\r\n"), last);
        assert!(!reply.is_ok(), "{reply}");
        bob.rset().assert_ok();
    }
    lab.assert_absent(&marker);
}

fn bdat(session: &mut Session, chunk: &str, last: &str) -> Reply {
    session.write(&format!("BDAT {}{last}\r\n{chunk}", chunk.len()));
    session.reply_to("BDAT")
}

fn commands_in_one_write_are_answered_one_by_one(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("pipelined");
    let recipient = format!("{marker}@local.test");
    let mut bob = lab.submission("bob");
    bob.write(&format!(
        "MAIL FROM:<bob@local.test>\r\nRCPT TO:<{recipient}>\r\nRCPT TO:<friend@far.test>\r\nDATA\r\n"
    ));
    bob.reply_to("MAIL").assert_ok();
    bob.reply_to("RCPT").assert_ok();
    bob.reply_to("RCPT").assert_refused(550, "5.7.1", REFUSED);
    assert_eq!(bob.reply_to("DATA").code, 354);
    // The next message is behind this one's end, and is refused where the door has it.
    bob.write(&format!(
        "Subject: {marker}\r\n\r\nx\r\n.\r\nMAIL FROM:<carol@local.test>\r\nRCPT TO:<{recipient}>\r\nDATA\r\nRSET\r\n"
    ));
    bob.reply_to(END_OF_MESSAGE).assert_ok();
    let replies = ["MAIL", "RCPT", "DATA"].map(|verb| bob.reply_to(verb));
    let refused = replies.iter().find(|reply| !reply.is_ok()).expect("one is refused");
    refused.assert_sender_refused(553, "5.7.1", "bob may not send as carol@local.test");
    assert!(!replies[2].is_ok() && replies[2].code != 354, "{}", replies[2]);
    bob.reply_to("RSET").assert_ok();
    bob.quit();
    assert_eq!(lab.local.wait_for(&marker).recipients, [recipient.as_str()]);
    assert_eq!(lab.gatepost.end_of_message(&recipient).field("recipients"), "1");
}

fn a_client_that_vanishes_in_its_message_has_sent_nothing(door: Door) {
    let lab = Lab::start(door);
    let (lost, next) = (marker("lost"), marker("next"));
    for content in ["", "Subject: ", &format!("Subject: {lost}\r\n\r\n{LINE}")] {
        let mut alice = lab.submission("alice");
        alice.mail("alice@local.test").assert_ok();
        alice.rcpt("friend@far.test").assert_ok();
        assert_eq!(alice.command("DATA").code, 354);
        alice.write(content);
    }
    until("Postfix has missed them", || {
        (read(&lab.postfix.log).matches("lost connection after DATA").count() == 3).then_some(())
    });
    let recipient = format!("{next}@far.test");
    lab.submission("alice").send("alice@local.test", &recipient, &next).assert_ok();
    lab.external.wait_for(&next);
    lab.assert_absent(&lost);
    lab.gatepost.end_of_message(&recipient);
    // Charged is a message at its end, and there is one.
    let ends = lab.gatepost.decisions();
    let ends = ends.iter().filter(|decided| decided.field("stage") == "end-of-message");
    assert_eq!(ends.count(), 1);
    let log = read(&lab.gatepost.log());
    let (_, since_ready) = log.split_once(" ready ").expect("it is ready");
    assert!(!since_ready.contains("WARN") && !since_ready.contains("ERROR"), "{since_ready}");
}
