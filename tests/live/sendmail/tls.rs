//! STARTTLS: a login after it, and client certificates, of which `[relay] certificates` lists one
//! (confCERT_FINGERPRINT_ALGORITHM makes Sendmail say the fingerprint).

use super::lab::Lab;
use crate::certificates::{LISTED, UNLISTED};
use crate::lab::marker;
use crate::smtp::Session;

const OUTSIDE: &str = "friend@far.test";
const NOT_TRUSTED: &str =
    "Unable to relay for friend@far.test: not logged in and not in a relay network";

#[test]
fn a_login_over_tls_is_judged_as_a_login() {
    let lab = Lab::shared();
    let (out, kept) = (marker("alice"), marker("bob"));
    let login = |name| Session::open_tls(lab.login_port(), &lab.folder.path, None).login(name);
    login("alice").send("alice@local.test", OUTSIDE, &out).assert_ok();
    login("bob").send("bob@local.test", OUTSIDE, &kept).assert_refused(
        550,
        "5.7.1",
        "bob has no relay right: mail to far.test is not allowed",
    );
    login("mallory").mail("mallory@local.test").refusal(550, "5.7.1");
    lab.external.wait_for(&out);
    lab.assert_absent(&kept);
}

#[test]
fn the_listed_certificate_sends_out() {
    let lab = Lab::shared();
    let marker = marker("listed");
    let mut session = Session::open_tls(lab.mx(), &lab.folder.path, Some(LISTED));
    session.send("scan@local.test", OUTSIDE, &marker).assert_ok();
    session.quit();
    assert_eq!(lab.external.wait_for(&marker).recipients, [OUTSIDE]);
}

#[test]
fn another_certificate_or_none_does_not() {
    let lab = Lab::shared();
    for certificate in [Some(UNLISTED), None] {
        let marker = marker("unlisted");
        let mut session = Session::open_tls(lab.mx(), &lab.folder.path, certificate);
        session.send("scan@local.test", OUTSIDE, &marker).assert_refused(550, "5.7.1", NOT_TRUSTED);
        lab.assert_absent(&marker);
    }
}
