//! What Sendmail sends, in its order (8.17 and 8.18), where it differs from Postfix.

use crate::dialogue::{Dialogue, FULL, NO, not_nobody};
use gatepost::mail::Reply;

const CONNECT: [&str; 2] = [
    "DCj|mx.example.org|_|a.example [192.0.2.9]|{daemon_name}|MSA|{if_name}|mx|",
    "Ca.example|4\u{1}\u{2}192.0.2.9|",
];
const ALICE: &str = "DMi|48A1|{auth_type}|PLAIN|{auth_ssf}|0|{auth_authen}|alice|{mail_mailer}|local|{mail_addr}|alice|";

fn connected() -> Dialogue {
    let mut mta = Dialogue::judged(not_nobody);
    mta.negotiate(FULL);
    assert_eq!(mta.play(&CONNECT), ["c"]);
    assert_eq!(mta.play(&["DH", "Ha.example|"]), ["c"]);
    mta
}

/// No macros at DATA, header lines, body; only a message id at the end; no ABORT behind it.
#[test]
fn the_queue_id_comes_at_mail_and_never_again() {
    let mut mta = connected();
    mta.play(&[ALICE, "M<alice@example.org>|", "DR{rcpt_addr}|b@far.test|", "R<b@far.test>|"]);
    assert_eq!(mta.play(&["T", "DE{msg_id}|<1@x>|", "E"]), ["c", "a"]);
    assert_eq!(mta.last(), "end-of-message alice alice@example.org b@far.test #1 48A1");
    // The next message has its own, or none.
    mta.play(&["DM{auth_ssf}|0|{auth_authen}|alice|", "M<a@b>|", "R<c@d>|"]);
    assert_eq!(mta.last(), "rcpt alice a@b c@d #0 -");
}

/// `{mail_addr}` and `{rcpt_addr}` of local users have no domain: addresses come from the commands.
#[test]
fn addresses_come_from_the_commands() {
    let mut mta = connected();
    mta.play(&[ALICE, "M<alice@example.org>|", "DR{rcpt_addr}|bob|", "R<bob@example.org>|"]);
    assert_eq!(mta.last(), "rcpt alice alice@example.org bob@example.org #0 48A1");
}

/// Rejected by Sendmail itself: the macros of the recipient come, the recipient does not.
#[test]
fn macros_of_a_recipient_that_does_not_come() {
    let mut mta = connected();
    mta.play(&[ALICE, "M<a@b>|"]);
    let refused = "DR{rcpt_mailer}|error|{rcpt_host}|5.1.1|{rcpt_addr}|550 5.1.1 User unknown|";
    assert_eq!(mta.play(&[refused, "DR{rcpt_addr}|c|", "R<c@d>|", "T", "E"]), ["c", "c", "a"]);
    assert_eq!(mta.last(), "end-of-message alice a@b c@d #1 48A1");
}

/// MAIL that was rejected is followed by the next MAIL, without an ABORT.
#[test]
fn mail_behind_mail_starts_over() {
    let mut mta = Dialogue::judged(|facts| match facts.envelope.sender.local() {
        b"nobody" => Reply::Refuse(crate::dialogue::no()),
        _ => Reply::NoObjection,
    });
    mta.negotiate(FULL);
    mta.play(&CONNECT);
    assert_eq!(mta.play(&[ALICE, "M<nobody@b>|", "DM{auth_authen}|bob|", "M<b@b>|"]), [NO, "c"]);
    assert_eq!(mta.last(), "mail bob b@b - #0 -");
    mta.play(&["R<c@d>|", "R<e@d>|", "M<f@b>|", "R<g@d>|", "T", "E"]);
    assert_eq!(mta.last(), "end-of-message bob f@b g@d #1 -");
}

/// Everything that is no plain ASCII word is xtext; Postfix writes a login as it is.
#[test]
fn a_login_is_in_xtext() {
    let cases = [
        ("bob+2Bapp", "bob+app"),
        ("a+3Db", "a=b"),
        ("joe@local.test", "joe@local.test"),
        ("x+20y", "x y"),
        ("j+C3+BCrgen", "jürgen"),
        ("EXAMPLE+5Calice", "EXAMPLE\\alice"),
    ];
    for (written, login) in cases {
        let mut mta = connected();
        mta.play(&[&format!("DM{{auth_ssf}}|0|{{auth_authen}}|{written}|"), "M<a@b>|"]);
        assert_eq!(mta.asked[0].login.as_ref().map(|login| login.raw()), Some(login));
    }
    let mut postfix = connected();
    postfix.play(&["DM{auth_authen}|bob+2Bapp|", "M<a@b>|"]);
    assert_eq!(postfix.asked[0].login.as_ref().map(|login| login.raw()), Some("bob+2Bapp"));
}

/// `{verify}` tells what the certificate is worth; the macros are there, empty, without one.
#[test]
fn certificates() {
    let names = "{cert_subject}|/O=Lab/CN=printer+201|{cn_subject}|printer+201|";
    let fingerprint = "{cert_fp}|92:62:95:EB|";
    let cases = [
        (
            format!("DH{{verify}}|OK|{names}{fingerprint}"),
            Some((Some("printer 1"), Some("926295eb"))),
        ),
        (format!("DH{{verify}}|OK|{names}"), Some((Some("printer 1"), None))),
        (format!("DH{{verify}}|FAIL|{names}{fingerprint}"), Some((None, Some("926295eb")))),
        (format!("DH{{verify}}|FAIL|{names}"), None),
        ("DH{verify}|NO|{cert_subject}||{cn_subject}||{cert_fp}||".into(), None),
        ("DH".into(), None),
    ];
    for (macros, expected) in cases {
        let mut mta = connected();
        mta.play(&[&macros, "Hx|", ALICE, "M<a@b>|"]);
        let found = mta.asked[0].client.certificate.as_deref();
        let found = found.map(|c| (c.subject.as_deref(), c.fingerprints[0].as_deref()));
        assert_eq!(found, expected, "{macros}");
    }
}

/// A name from DNS that does not lead back to the address proves nothing.
#[test]
fn only_a_confirmed_name_is_a_name() {
    let cases = [
        ("DC_|a.example [192.0.2.9]|{client_resolve}|OK|", "a.example", Some("a.example")),
        ("DC_|a.example [192.0.2.9]|", "a.example", Some("a.example")),
        ("DC{client_resolve}|FORGED|", "a.example", None),
        ("DC{client_resolve}|TEMP|", "a.example", None),
        ("DC{client_resolve}|FAIL|", "[192.0.2.9]", None),
        ("DC_|a.example [192.0.2.9] (may be forged)|", "a.example", None),
        ("DC", "[192.0.2.9]", None),
        ("DC", "unknown", None),
    ];
    for (macros, host, expected) in cases {
        let mut mta = Dialogue::new();
        mta.negotiate(FULL);
        mta.play(&[macros, &format!("C{host}|4|\u{0}192.0.2.9|"), "M<a@b>|"]);
        assert_eq!(mta.asked[0].client.name.as_deref(), expected, "{macros} {host}");
    }
}

/// `sendmail -bs` on standard input.
#[test]
fn a_client_without_a_network() {
    let mut mta = Dialogue::new();
    mta.negotiate(FULL);
    mta.play(&["DC_|root@localhost|", "Clocalhost|U", "M<root@x>|"]);
    assert!(mta.asked[0].client.is_local);
    // A family unknown for another reason is nobody's trust.
    let mut mta = Dialogue::new();
    mta.negotiate(FULL);
    mta.play(&["Ca.example|U", "M<root@x>|"]);
    assert!(!mta.asked[0].client.is_local);
}

/// The client disconnects in the data: the socket just closes. Nothing waits for more.
#[test]
fn a_bare_close_in_the_data_is_no_fault() {
    let mut mta = connected();
    mta.play(&[ALICE, "M<a@b>|", "R<c@d>|", "T"]);
    assert!(!mta.is_at_rest());
}

/// Sendmail 8.17 queues a recipient before it asks, and takes a refused one off by reading the argument
/// of RCPT as a list: one with a comma it does not find there, and would send it out.
#[test]
fn a_refused_recipient_with_a_comma_refuses_the_message() {
    let mut mta = connected();
    let refused = "R@x,@y:nobody@far.test|";
    assert_eq!(
        mta.play(&[ALICE, "M<a@b>|", refused, "R<c@d>|", "T", "E"])[1..],
        [NO, "c", "c", NO]
    );
    // The next message is judged as ever, and so is one whose comma was let through.
    assert_eq!(mta.play(&[ALICE, "M<a@b>|", "R@x,@y:c@d|", "T", "E"]), ["c", "c", "c", "a"]);
    // ABORT forgets it.
    assert_eq!(
        mta.play(&["M<a@b>|", refused, "A", "M<a@b>|", "R<c@d>|", "E"])[1..],
        [NO, "c", "c", "a"]
    );
}
