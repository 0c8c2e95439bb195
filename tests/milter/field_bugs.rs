//! Bugs that filters of others had in the field, each with the project and number it was reported
//! under. What concerns sockets, floods and restarts is in tests/daemon and tests/live.

use crate::dialogue::{ALL, Dialogue, FULL, NO, no, not_nobody, told};
use gatepost::mail::Reply;

const ALICE: &str = "DM{auth_authen}|alice|";
const BOB: &str = "DM{auth_authen}|bob|";

/// emersion/go-milter 12, 19, 23: ABORT forgot the client.
#[test]
fn bug_01_abort_keeps_the_client() {
    let mut mta = Dialogue::connected(|_| Reply::NoObjection);
    mta.play(&[ALICE, "M<a@b>|", "R<c@d>|", "A", ALICE, "M<e@f>|"]);
    assert_eq!(mta.asked[2].client.to_string(), "192.0.2.9 (a.example)");
}

/// d--j/go-milter 39: macros of the connection were dropped between messages.
#[test]
fn bug_02_a_message_ends_and_the_macros_of_the_session_stay() {
    let mut mta = Dialogue::connected(|_| Reply::NoObjection);
    mta.play(&["DH{cert_subject}|printer|", "Hx|"]);
    for _ in 0..2 {
        mta.play(&["M<a@b>|", "R<c@d>|", "T", "E", "A"]);
        assert!(mta.asked.last().is_some_and(|facts| facts.client.certificate.is_some()));
    }
}

/// gertvdijk/purepythonmilter 16: what one message was told leaked into the next.
#[test]
fn bug_03_nothing_of_a_message_is_in_the_next() {
    let mut mta = Dialogue::connected(|_| Reply::NoObjection);
    mta.play(&[ALICE, "M<a@b>|SIZE=7|", "DRi|Q1|", "R<c@d>|", "R<e@d>|", "T", "DEi|Q1|", "E"]);
    mta.play(&["M<>|", "R<g@h>|", "T", "E"]);
    let asked: Vec<String> = mta.asked[4..].iter().map(told).collect();
    assert_eq!(asked, ["mail - <> - #0 -", "rcpt - <> g@h #0 -", "end-of-message - <> g@h #1 -"]);
    assert_eq!(mta.asked[4].envelope.size, 0);
    assert_ne!(mta.asked[4].envelope.instance, mta.asked[3].envelope.instance);
}

/// phalaaxx/milter 21: ABORT behind the end of a message.
#[test]
fn bug_04_abort_behind_the_verdict_says_and_changes_nothing() {
    let mut mta = Dialogue::connected(|_| Reply::NoObjection);
    assert_eq!(mta.play(&[ALICE, "M<a@b>|", "R<c@d>|", "T", "E"]), ["c", "c", "c", "a"]);
    let asked = mta.asked.len();
    assert_eq!(mta.play(&["A", "A"]), [] as [&str; 0]);
    assert_eq!(mta.asked.len(), asked);
    assert!(mta.is_at_rest());
}

/// phalaaxx/milter 7, emersion/go-milter 11: no second message, or none after a few.
#[test]
fn bug_05_and_11_a_session_has_as_many_messages_as_it_likes() {
    let mut mta = Dialogue::connected(|_| Reply::NoObjection);
    for _ in 0..1000 {
        let replies = mta.play(&[ALICE, "M<a@b>|", "R<c@d>|", "T", "E", "A"]);
        assert_eq!(replies, ["c", "c", "c", "a"]);
    }
}

/// phalaaxx/milter 16, d--j/go-milter 31: one refused recipient ended it for the others.
#[test]
fn bug_06_a_refused_recipient_is_alone() {
    let mut mta = Dialogue::connected(not_nobody);
    let replies = mta.play(&[ALICE, "M<a@b>|", "R<c@d>|", "R<nobody@d>|", "R<e@d>|", "T", "E"]);
    assert_eq!(replies, ["c", "c", NO, "c", "c", "a"]);
    assert_eq!(mta.last(), "end-of-message alice a@b - #2 -");
}

/// rspamd 1764, crustymonkey/python-libmilter 14: a text and a verdict, two replies for one command.
#[test]
fn bug_07_and_08_a_refusal_is_one_reply() {
    let mut mta = Dialogue::connected(|_| Reply::Refuse(no()));
    for command in ["M<a@b>|", "R<c@d>|", "E"] {
        assert_eq!(mta.play(&[command]), [NO]);
    }
}

/// gertvdijk/purepythonmilter 14: a reply where none was agreed. None is agreed here.
#[test]
fn bug_09_commands_without_a_reply_get_none() {
    let mut mta = Dialogue::connected(|_| Reply::NoObjection);
    assert_eq!(mta.play(&["DM", "A", "DC", "A", "K"]), [] as [&str; 0]);
}

/// mvonbuelow/milterfrom 7: the null sender broke the order of things.
#[test]
fn bug_10_the_null_sender_in_both_spellings() {
    for mail in ["M<>|", "M|"] {
        let mut mta = Dialogue::connected(|_| Reply::NoObjection);
        assert_eq!(mta.play(&[BOB, mail, "R<c@d>|", "T", "E", "A"]), ["c", "c", "c", "a"]);
        assert_eq!(mta.last(), "end-of-message bob <> c@d #1 -");
    }
}

/// rspamd 1672, vstakhov/rmilter 123, sbidy/MacroMilter 6: no reply at the end of a message.
#[test]
fn bug_12_the_end_of_a_message_is_answered_whatever_came_before() {
    for script in [&["E"][..], &["M<a@b>|", "E"], &["T", "E"], &["R<a@b>|", "A", "E"]] {
        let mut mta = Dialogue::connected(|_| Reply::NoObjection);
        assert_eq!(mta.play(script).last().map(String::as_str), Some("a"), "{script:?}");
    }
}

/// jelmer/xandikos 677: the server was told to skip recipients. `a` and `s` would hide the others.
#[test]
fn bug_13_a_recipient_is_never_accepted_for_all_the_others() {
    let mut mta = Dialogue::connected(|facts| match facts.stage.as_str() {
        "rcpt" => Reply::Grant,
        _ => Reply::NoObjection,
    });
    assert_eq!(mta.play(&["M<a@b>|", "R<c@d>|", "R<e@f>|"]), ["c", "c", "c"]);
}

/// rspamd 1708, 1740, 1998, 2005: an empty set, an empty value, an odd list ended the connection.
#[test]
fn bug_14_macros_in_every_poor_shape() {
    let mut mta = Dialogue::connected(|_| Reply::NoObjection);
    for macros in ["DH", "DM{mail_addr}||", "DMi", "DMi|", "DM|", "DM||", "DX", "D|", "DMi|Q"] {
        assert_eq!(mta.play(&[macros]), [] as [&str; 0], "{macros}");
    }
    assert_eq!(mta.play(&["M<a@b>|"]), ["c"]);
}

/// emersion/go-milter 27, MIMEDefang 32: a queue id only late, only early, or never.
#[test]
fn bug_15_a_queue_id_at_any_time_or_never() {
    for (at, expected) in
        [("DMi|Q|", "Q"), ("DRi|Q|", "Q"), ("DTi|Q|", "Q"), ("DEi|Q|", "Q"), ("DE", "-")]
    {
        let mut mta = Dialogue::connected(|_| Reply::NoObjection);
        let stages = [("DM", "M<a@b>|"), ("DR", "R<c@d>|"), ("DT", "T"), ("DE", "E")];
        for (macros, command) in stages {
            let macros = if at.starts_with(macros) { at } else { macros };
            mta.play(&[macros, command]);
        }
        assert_eq!(mta.last(), format!("end-of-message - a@b c@d #1 {expected}"));
    }
}

/// sdgathman/pymilter 50, d--j/go-milter 14: `{client_addr}` and its like are in no default list.
#[test]
fn bug_16_the_client_is_known_without_its_macros() {
    let mut mta = Dialogue::new();
    mta.negotiate(FULL);
    mta.play(&["Ca.example|4|\u{0}192.0.2.9|", "M<a@b>|"]);
    assert_eq!(mta.asked[0].client.to_string(), "192.0.2.9 (a.example)");
}

/// rspamd 5017: `{daemon_name}` was taken for a host name. It is nobody's.
#[test]
fn bug_17_the_name_of_the_daemon_is_no_name_of_a_host() {
    let mut mta = Dialogue::new();
    mta.negotiate(FULL);
    mta.play(&[
        "DC{daemon_name}|printers.example.org|",
        "C[192.0.2.9]|4|\u{0}192.0.2.9|",
        "M<a@b>|",
    ]);
    assert_eq!(mta.asked[0].client.name, None);
}

/// d--j/go-milter 5, roehling/postsrsd 156, MailScanner/v5 344: IPv6 in both servers' spellings.
#[test]
fn bug_18_and_19_clients_with_ipv6() {
    for address in ["2001:db8::9", "IPv6:2001:db8:0:0:0:0:0:9"] {
        let mut mta = Dialogue::new();
        mta.negotiate(FULL);
        mta.play(&[&format!("C[{address}]|6|\u{0}{address}|"), "M<a@b>|"]);
        assert_eq!(mta.asked[0].client.to_string(), "2001:db8::9");
    }
}

/// sdgathman/pymilter 12: bytes that are not UTF-8.
#[test]
fn bug_20_bytes_that_are_no_text() {
    let mut mta = Dialogue::connected(|_| Reply::NoObjection);
    assert_eq!(mta.packet(b'D', b"M{auth_authen}\0al\xffce\0").expect("macros"), [] as [&str; 0]);
    assert_eq!(mta.packet(b'M', b"<j\xf6rg@b>\0").expect("a MAIL"), ["c"]);
    assert_eq!(mta.asked[0].login.as_ref().map(|login| login.raw()), Some("al?ce"));
    assert_eq!(mta.asked[0].envelope.sender.local(), b"j\xf6rg");
    assert_eq!(mta.packet(b'H', b"\xff\xfe\0").expect("a HELO"), ["c"]);
    assert_eq!(mta.packet(b'L', b"Subject\0\xff\0").expect("a header"), ["c"]);
}

/// jcbf/smf-spf 33, OpenDMARC 202 and 333: `%` and a class that does not match made Sendmail say
/// "Command rejected". The reason goes along in one packet that has them right.
#[test]
fn bug_21_and_32_the_reason_reaches_the_client() {
    let mut mta = Dialogue::connected(|_| {
        let enhanced = gatepost::mail::Enhanced { class: 4, subject: 7, detail: 28 };
        let reply = gatepost::mail::SmtpReply::new(450, enhanced, "100% used");
        Reply::Refuse(reply.expect("a reply"))
    });
    assert_eq!(mta.play(&["M<a@b>|"]), ["y450 4.7.28 100%% used|"]);
}

/// MailScanner/v5 618, rspamd 4259 and 2383: a line end in a header, a header in the wrong place. The
/// one header is the id, and it is added at the end.
#[test]
fn bug_22_and_23_the_header_is_one_line_at_the_end() {
    let mut mta = Dialogue::wanting(ALL, |_| Reply::NoObjection);
    mta.negotiate(FULL);
    assert_eq!(mta.play(&["M<a@b>|", "R<c@d>|", "T", "E"])[3..], ["hX-Gatepost|ID|", "a"]);
}

/// fastmail/authentication_milter 117, OpenDKIM 66 and 340: pieces over 64 KiB came in, replies over
/// 1 KiB overflowed a client.
#[test]
fn bug_30_large_pieces_in_and_small_replies_out() {
    let mut mta = Dialogue::connected(|_| {
        let enhanced = gatepost::mail::Enhanced { class: 5, subject: 7, detail: 1 };
        let reply = gatepost::mail::SmtpReply::new(550, enhanced, &"% ".repeat(1000));
        Reply::Refuse(reply.expect("a reply"))
    });
    assert_eq!(mta.packet(b'B', &vec![b'x'; 1 << 20]).expect("a body"), ["c"]);
    let replies = mta.play(&["M<a@b>|"]);
    assert!(replies[0].len() < 1024, "{} bytes", replies[0].len());
}

/// milter-manager 1: a negotiation that failed was answered later.
#[test]
fn bug_31_a_failed_negotiation_is_the_end() {
    for (version, kind) in [(0_u32, "negotiation"), (1, "negotiation")] {
        let mut mta = Dialogue::new();
        let offer = [version, 0x1ff, 0x1f_ffff].map(u32::to_be_bytes).concat();
        assert_eq!(mta.packet(b'O', &offer).map_err(|fault| fault.kind()), Err(kind));
    }
    let mut mta = Dialogue::new();
    assert_eq!(mta.packet(b'O', &[0; 8]).map_err(|fault| fault.kind()), Err("syntax"));
    assert_eq!(Dialogue::new().packet(b'M', b"<a@b>\0").map_err(|f| f.kind()), Err("negotiation"));
    let mut twice = Dialogue::connected(|_| Reply::NoObjection);
    assert_eq!(twice.packet(b'O', &[0; 12]).map_err(|fault| fault.kind()), Err("negotiation"));
}

/// Sendmail lets the command under way pass on any reply but these: no quarantine, no progress, no
/// skip outside the end of a message (its milter.c; with `F=T` too).
#[test]
fn a_hold_before_the_end_of_a_message_cannot_be_written() {
    let mut mta = Dialogue::wanting(ALL, |_| Reply::Hold(no()));
    mta.negotiate(FULL);
    let replies = mta.play(&["M<a@b>|", "R<c@d>|", "T", "E"]);
    assert_eq!(replies, ["c", "c", "c", "hX-Gatepost|ID|", "qno|", "a"]);
    // Where it was not agreed, the message is refused rather than let go.
    let mut mta = Dialogue::wanting(ALL, |_| Reply::Hold(no()));
    mta.negotiate((6, 0x1, 0));
    assert_eq!(mta.play(&["M<a@b>|", "R<c@d>|", "T", "E"])[3..], [NO]);
}

/// QUIT_NC: another SMTP session on the same connection, without a negotiation.
#[test]
fn a_new_session_on_the_old_connection_knows_nothing_of_the_first() {
    let mut mta = Dialogue::connected(|_| Reply::NoObjection);
    mta.play(&["DH{cert_subject}|printer|", "Hx|", ALICE, "M<a@b>|", "R<c@d>|", "K"]);
    assert_eq!(mta.play(&["C[192.0.2.8]|4|\u{0}192.0.2.8|", "Hy|", "M<e@f>|"]), ["c", "c", "c"]);
    assert_eq!(mta.last(), "mail - e@f - #0 -");
    assert_eq!(mta.asked[2].client.to_string(), "192.0.2.8");
    assert_eq!(mta.asked[2].client.certificate, None);
}

/// `{auth_author}` is what the client wrote behind AUTH= (Postfix), or asked to act for.
#[test]
fn a_login_is_never_what_the_client_says_it_is() {
    let mut mta = Dialogue::connected(|_| Reply::NoObjection);
    mta.play(&[
        "DM{auth_author}|ceo|",
        "M<a@b>|AUTH=ceo|",
        "DM{auth_authen}|bob|{auth_author}|ceo|",
        "M<a@b>|",
    ]);
    assert_eq!(mta.asked[0].login, None);
    assert_eq!(mta.asked[1].login.as_ref().map(|login| login.raw()), Some("bob"));
}
