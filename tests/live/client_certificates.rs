//! STARTTLS with a client certificate: the MTA knows two, `[relay] certificates` lists one, by its
//! fingerprint or, for a milter, by its name.

use crate::certificates::{FORGED, LISTED, UNLISTED};
use crate::door::{Door, at_both_doors};
use crate::lab::{Lab, marker};
use crate::smtp::{Session, plain};

const OUTSIDE: &str = "friend@far.test";
const NOT_TRUSTED: &str =
    "Unable to relay for friend@far.test: not logged in and not in a relay network";

at_both_doors! {
    the_listed_certificate_sends_out
    another_certificate_does_not
    nor_does_one_that_only_says_the_same_name
    neither_does_tls_alone
    a_login_over_tls_is_judged_as_a_login
    what_was_said_before_tls_is_forgotten
}

fn the_listed_certificate_sends_out(door: Door) {
    let lab = Lab::shared(door);
    for port in [lab.ports.mx, lab.ports.submission] {
        let marker = marker("listed");
        let mut session = Session::open_tls(port, &lab.folder.path, Some(LISTED));
        session.send("scan@local.test", OUTSIDE, &marker).assert_ok();
        session.quit();
        assert_eq!(lab.external.wait_for(&marker).recipients, [OUTSIDE]);
    }
}

fn another_certificate_does_not(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("unlisted");
    let mut session = Session::open_tls(lab.ports.mx, &lab.folder.path, Some(UNLISTED));
    session.send("scan@local.test", OUTSIDE, &marker).assert_refused(550, "5.7.1", NOT_TRUSTED);
    let mut session = Session::open_tls(lab.ports.submission, &lab.folder.path, Some(UNLISTED));
    session.send("scan@local.test", OUTSIDE, &marker).assert_refused(
        530,
        "5.7.0",
        "Authentication required",
    );
    lab.assert_absent(&marker);
}

fn nor_does_one_that_only_says_the_same_name(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("forged");
    let mut session = Session::open_tls(lab.ports.mx, &lab.folder.path, Some(FORGED));
    session.send("scan@local.test", OUTSIDE, &marker).assert_refused(550, "5.7.1", NOT_TRUSTED);
    lab.assert_absent(&marker);
}

fn neither_does_tls_alone(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("bare");
    let mut session = Session::open_tls(lab.ports.mx, &lab.folder.path, None);
    session.send("scan@local.test", OUTSIDE, &marker).assert_refused(550, "5.7.1", NOT_TRUSTED);
    lab.assert_absent(&marker);
}

fn a_login_over_tls_is_judged_as_a_login(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("login");
    let mut bob = Session::open_tls(lab.ports.submission, &lab.folder.path, None).login("bob");
    bob.send("bob@local.test", OUTSIDE, &marker).assert_refused(
        550,
        "5.7.1",
        "bob has no relay right: mail to far.test is not allowed",
    );
    lab.assert_absent(&marker);
}

/// RFC 3207 4.2. Postfix tells a milter ABORT, and HELO once more.
fn what_was_said_before_tls_is_forgotten(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("before");
    let folder = &lab.folder.path;
    let begun = ["EHLO plain", "MAIL FROM:<a@far.test>", "RCPT TO:<alice@local.test>"];
    let mut session = Session::open_tls_after(&begun, lab.ports.mx, folder, Some(LISTED));
    assert_eq!(session.rcpt("carol@local.test").code, 503);
    assert!(!session.data(&marker).is_ok());
    session.send("scan@local.test", OUTSIDE, &marker).assert_ok();
    assert_eq!(lab.external.wait_for(&marker).recipients, [OUTSIDE]);

    let login = format!("AUTH PLAIN {}", plain("alice"));
    let begun = ["EHLO plain", &login];
    let mut session = Session::open_tls_after(&begun, lab.ports.submission, folder, None);
    session.send("alice@local.test", OUTSIDE, &marker).assert_sender_refused(
        530,
        "5.7.0",
        "Authentication required",
    );
}
