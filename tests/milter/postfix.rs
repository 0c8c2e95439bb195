//! What Postfix sends, in its order (3.7 and 3.10).

use crate::dialogue::{ALL, Dialogue, FULL, NO, not_nobody, told};
use gatepost::mail::Reply;

const ALICE: &str = "DM{auth_type}|PLAIN|{auth_authen}|alice|{mail_addr}|alice@example.org|";

/// A whole message of alice's; `|` is NUL.
const MESSAGE: [&str; 9] = [
    ALICE,
    "M<alice@example.org>|SIZE=20|",
    "DR{rcpt_mailer}|smtp|{rcpt_host}|far.test|{rcpt_addr}|b@far.test|",
    "R<b@far.test>|",
    "DTi|Q1|",
    "T",
    "DEi|Q1|",
    "E",
    // After every message, an accepted one too.
    "A",
];

#[test]
fn a_message_is_asked_about_at_mail_rcpt_and_its_end() {
    let mut mta = Dialogue::connected(|_| Reply::NoObjection);
    assert_eq!(mta.play(&MESSAGE), ["c", "c", "c", "a"]);
    let asked: Vec<String> = mta.asked.iter().map(told).collect();
    assert_eq!(
        asked,
        [
            "mail alice alice@example.org - #0 -",
            "rcpt alice alice@example.org b@far.test #0 -",
            "end-of-message alice alice@example.org b@far.test #1 Q1",
        ]
    );
    assert_eq!(mta.asked[0].sasl_method, "PLAIN");
    assert_eq!(mta.asked[0].envelope.size, 20);
    assert_eq!(mta.asked[2].client.to_string(), "192.0.2.9 (a.example)");
    let instances: Vec<&str> = mta.asked.iter().map(|facts| &*facts.envelope.instance).collect();
    assert!(instances.iter().all(|instance| *instance == instances[0]), "{instances:?}");
}

#[test]
fn data_is_judged_only_where_it_is_charged() {
    let mut mta = Dialogue::wanting(ALL, |_| Reply::NoObjection);
    mta.negotiate(FULL);
    mta.say("C", "x|4|\u{0}192.0.2.9|");
    assert_eq!(mta.play(&MESSAGE), ["c", "c", "c", "hX-Gatepost|ID|", "a"]);
    assert_eq!(told(&mta.asked[2]), "data alice alice@example.org b@far.test #1 Q1");
}

/// The queue file opens with the first accepted recipient.
#[test]
fn the_queue_id_comes_with_the_second_recipient() {
    let mut mta = Dialogue::connected(|_| Reply::NoObjection);
    mta.play(&[ALICE, "M<a@b>|", "DR{rcpt_addr}|c@d|", "R<c@d>|", "DRi|Q7|", "R<e@f>|", "T", "E"]);
    let ids: Vec<&str> = mta.asked.iter().map(|facts| &*facts.envelope.queue_id).collect();
    assert_eq!(ids, ["", "", "Q7", "Q7"]);
    assert_eq!(mta.last(), "end-of-message alice a@b - #2 Q7");
}

/// RSET: ABORT comes late, with the next MAIL, and twice before QUIT.
#[test]
fn aborts_come_late_and_twice() {
    let mut mta = Dialogue::connected(not_nobody);
    assert_eq!(mta.play(&[ALICE, "M<a@b>|", "R<nobody@b>|", "R<c@d>|"]), ["c", NO, "c"]);
    assert!(!mta.is_at_rest());
    assert_eq!(mta.play(&["A", ALICE, "M<e@b>|", "R<f@b>|", "A", "A"]), ["c", "c"]);
    assert!(mta.is_at_rest());
    assert_eq!(mta.last(), "rcpt alice e@b f@b #0 -");
    assert_eq!(mta.play(&["Q"]), [] as [&str; 0]);
    assert!(mta.has_quit);
}

/// EHLO in a transaction: HELO comes first, the aborts behind it.
#[test]
fn helo_before_abort_forgets_the_transaction_too() {
    let mut mta = Dialogue::connected(|_| Reply::NoObjection);
    mta.play(&[ALICE, "M<a@b>|", "R<c@d>|"]);
    assert_eq!(mta.play(&["DH", "Hx|", "A", "A", "E"]), ["c", "a"]);
    assert_eq!(mta.last(), "end-of-message - <> - #0 -");
}

/// The name in the certificate comes with the second HELO.
#[test]
fn starttls_says_helo_again() {
    let mut mta = Dialogue::connected(|_| Reply::NoObjection);
    mta.play(&["A", "DH{tls_version}|TLSv1.3|{cert_subject}|printer|{cert_issuer}|CA|", "Hx|"]);
    mta.play(&[ALICE, "M<a@b>|"]);
    let certificate = mta.asked[0].client.certificate.as_ref().expect("a certificate");
    assert_eq!(certificate.subject.as_deref(), Some("printer"));
    assert_eq!(certificate.fingerprints, [None, None]);
    // It is the session's, not the message's.
    mta.play(&["A", "DM", "M<a@b>|"]);
    assert!(mta.asked[1].client.certificate.is_some());
    assert!(mta.asked[1].login.is_none());
}

/// Postfix before 3.7.22 to 3.11.6: smtpd_end_of_data_restrictions rejected, no ABORT, no MAIL.
#[test]
fn recipients_behind_data_belong_to_the_same_sender() {
    let mut mta = Dialogue::connected(|_| Reply::NoObjection);
    mta.play(&[ALICE, "M<a@b>|", "R<c@d>|", "T"]);
    assert_eq!(mta.play(&["R<e@f>|", "T", "DEi|Q2|", "E"]), ["c", "c", "a"]);
    assert_eq!(told(&mta.asked[2]), "rcpt alice a@b e@f #0 -");
    // recipient_count goes on growing in policy delegation too.
    assert_eq!(mta.last(), "end-of-message alice a@b - #2 Q2");
}

#[test]
fn recipients_behind_the_verdict_are_a_new_message_of_the_same_sender() {
    let mut mta = Dialogue::connected(|_| Reply::NoObjection);
    mta.play(&[ALICE, "M<a@b>|", "DRi|Q1|", "R<c@d>|", "T", "E"]);
    assert_eq!(mta.play(&["R<e@f>|", "T", "E"]), ["c", "c", "a"]);
    assert_eq!(told(&mta.asked[3]), "rcpt alice a@b e@f #0 -");
    assert_eq!(mta.last(), "end-of-message alice a@b e@f #1 -");
    assert_ne!(mta.asked[2].envelope.instance, mta.asked[5 - 1].envelope.instance);
}

/// The client vanishes while it sends its message.
#[test]
fn an_abort_in_the_data_leaves_nothing() {
    let mut mta = Dialogue::connected(|_| Reply::NoObjection);
    assert_eq!(mta.play(&[ALICE, "M<a@b>|", "R<c@d>|", "T", "A", "A", "Q"]), ["c", "c", "c"]);
    assert!(mta.asked.iter().all(|facts| facts.stage.as_str() != "end-of-message"));
}

/// XCLIENT: goodbye, and another connection; a session accepted or refused at once is closed bare.
#[test]
fn goodbye_comes_at_any_time() {
    let mut mta = Dialogue::new();
    assert_eq!(mta.play(&["Q"]), [] as [&str; 0]);
    assert!(mta.has_quit);
    let mut mta = Dialogue::connected(|_| Reply::NoObjection);
    mta.play(&[ALICE, "M<a@b>|", "Q"]);
    assert!(mta.has_quit);
}

/// sendmail(1): port 0, no brackets, no login, a queue id at once, QUIT without ABORT.
#[test]
fn local_submission_is_known_as_such() {
    let mut mta = Dialogue::new();
    mta.negotiate(FULL);
    assert_eq!(
        mta.play(&["Clocalhost|4|\u{0}127.0.0.1|", "Hlocalhost|", "DMi|Q1|", "Mroot@x|", "Rb@y|"]),
        ["c", "c", "c", "c"]
    );
    assert!(mta.asked.iter().all(|facts| facts.client.is_local));
    assert_eq!(mta.last(), "rcpt - root@x b@y #0 Q1");
    // The null sender is one empty string.
    mta.play(&["M|"]);
    assert!(mta.asked[2].envelope.sender.is_null());
}

#[test]
fn what_comes_by_a_network_is_not_local() {
    for connect in [
        "Clocalhost|4\u{1}\u{2}127.0.0.1|",
        "Clocalhost|4|\u{0}192.0.2.9|",
        "Clocalhost|4||unknown|",
    ] {
        let mut mta = Dialogue::new();
        mta.negotiate(FULL);
        mta.play(&[connect, "M<a@b>|"]);
        assert!(!mta.asked[0].client.is_local, "{connect:?}");
    }
    // Who has logged in is a login, wherever from.
    let mut mta = Dialogue::new();
    mta.negotiate(FULL);
    mta.play(&["Clocalhost|4|\u{0}127.0.0.1|", ALICE, "M<a@b>|"]);
    assert!(!mta.asked[0].client.is_local);
    assert_eq!(mta.last(), "mail alice a@b - #0 -");
}

/// Header lines and pieces of the body have macros of their own, whether they come or not.
#[test]
fn macros_of_header_and_body_are_passed_over() {
    let mut mta = Dialogue::connected(|_| Reply::NoObjection);
    mta.play(&[ALICE, "M<a@b>|", "R<c@d>|", "T"]);
    assert_eq!(mta.play(&["DLi|Q1|", "DNi|Q1|", "DBi|X|", "DU", "DEi|Q1|", "E"]), ["a"]);
    assert_eq!(mta.last(), "end-of-message alice a@b c@d #1 Q1");
}
