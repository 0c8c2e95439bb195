//! STARTTLS with a client certificate: the MTA knows both, `[relay] certificates` lists one.

use crate::certificates::{LISTED, UNLISTED};
use crate::lab::{Lab, marker};
use crate::smtp::Session;

const OUTSIDE: &str = "friend@far.test";
const NOT_TRUSTED: &str =
    "Unable to relay for friend@far.test: not logged in and not in a relay network";

#[test]
fn the_listed_certificate_sends_out() {
    let lab = Lab::shared();
    for port in [lab.ports.mx, lab.ports.submission] {
        let marker = marker("listed");
        let mut session = Session::open_tls(port, &lab.folder.path, Some(LISTED));
        session.send("scan@local.test", OUTSIDE, &marker).assert_ok();
        session.quit();
        assert_eq!(lab.external.wait_for(&marker).recipients, [OUTSIDE]);
    }
}

#[test]
fn another_certificate_does_not() {
    let lab = Lab::shared();
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

#[test]
fn neither_does_tls_alone() {
    let lab = Lab::shared();
    let marker = marker("bare");
    let mut session = Session::open_tls(lab.ports.mx, &lab.folder.path, None);
    session.send("scan@local.test", OUTSIDE, &marker).assert_refused(550, "5.7.1", NOT_TRUSTED);
    lab.assert_absent(&marker);
}

#[test]
fn a_login_over_tls_is_judged_as_a_login() {
    let lab = Lab::shared();
    let marker = marker("login");
    let mut bob = Session::open_tls(lab.ports.submission, &lab.folder.path, None).login("bob");
    bob.send("bob@local.test", OUTSIDE, &marker).assert_refused(
        550,
        "5.7.1",
        "bob has no relay right: mail to far.test is not allowed",
    );
    lab.assert_absent(&marker);
}
