//! Sendmail without a milter lets go what gatepost would not: gatepost makes the difference.

use super::lab::{ENFORCING, Lab, Wiring};
use crate::lab::marker;
use crate::process::read;
use crate::smtp::Session;

#[test]
fn without_a_filter_every_login_and_every_client_sends_out() {
    let lab = Lab::start(&Wiring { filter: None, ..ENFORCING });
    for login in ["alice", "bob", "mallory", "alice@local.test"] {
        let (inside, outside) = (marker(login), marker(login));
        let mut session = lab.submission(login);
        session.send("bob@local.test", "carol@local.test", &inside).assert_ok();
        session.send("bob@local.test", "friend@far.test", &outside).assert_ok();
        session.quit();
        assert_eq!(lab.local.wait_for(&inside).recipients, ["carol"]);
        let mail = lab.external.wait_for(&outside);
        assert_eq!(
            (mail.sender.as_str(), mail.recipients[0].as_str()),
            ("bob@local.test", "friend@far.test")
        );
    }
    for client in ["127.0.0.1", "127.8.0.1", "127.9.0.9", "::1"] {
        let marker = marker("client");
        let mut session = Session::open_from(client, lab.mx());
        session.send("scan@local.test", "friend@far.test", &marker).assert_ok();
        lab.external.wait_for(&marker);
    }
    let marker = marker("tls");
    let mut alice = Session::open_tls(lab.login_port(), &lab.folder.path, None).login("alice");
    alice.send("alice@local.test", "friend@far.test", &marker).assert_ok();
    lab.external.wait_for(&marker);
    assert_eq!(Session::open(lab.login_port()).mail("alice@local.test").code, 530);
    assert!(!read(&lab.gatepost.log()).contains("friend@far.test"));
}
