//! milter_protocol: the versions that Postfix can be told to speak. 2 has no DATA, 2 to 4 choose no
//! macros.

use crate::certificates::LISTED;
use crate::door::{Door, Port};
use crate::lab::{Lab, Wiring, marker};
use crate::ports::free_ports;
use crate::postfix::{SOCKET, milters, service};
use crate::smtp::Session;

const VERSIONS: [u8; 4] = [2, 3, 4, 6];

#[test]
fn every_version_lets_pass_and_refuses() {
    let ports = free_ports().map(|number| Port { number, door: Door::Milter });
    let lab = lab(ports);
    for (version, port) in VERSIONS.into_iter().zip(ports) {
        let marker = marker(&format!("version-{version}"));
        let recipient = format!("{marker}@local.test");
        let mut bob = Session::open(port).login("bob");
        bob.mail("carol@local.test").assert_sender_refused(
            553,
            "5.7.1",
            "bob may not send as carol@local.test",
        );
        bob.mail("bob@local.test").assert_ok();
        bob.rcpt("friend@far.test").assert_refused(
            550,
            "5.7.1",
            "bob has no relay right: mail to far.test is not allowed",
        );
        bob.rcpt(&recipient).assert_ok();
        bob.data(&marker).assert_ok();
        assert_eq!(lab.local.wait_for(&marker).recipients, [recipient.as_str()]);
        assert_eq!(lab.gatepost.end_of_message(&recipient).field("recipients"), "1");

        Session::open_as(port, "ADDR=203.0.113.45")
            .send("friend@far.test", "alice@local.test", &marker)
            .assert_sender_refused(530, "5.7.0", "Authentication required");
        let mut printer = Session::open_tls(port, &lab.folder.path, Some(LISTED));
        printer.send("scan@local.test", "friend@far.test", &marker).assert_ok();
        lab.external.wait_for(&marker);
    }
}

fn lab(ports: [Port; VERSIONS.len()]) -> Lab {
    Lab::start_wired(Door::Milter, |folder, own, main_cf| {
        let mut wiring = Wiring::of(Door::Milter, folder, own, main_cf);
        for (version, port) in VERSIONS.into_iter().zip(ports) {
            wiring.services += &service(port, "n", "smtpd_sasl_auth_enable=yes");
            wiring.services += &milters(&format!("unix:{SOCKET}"));
            wiring.services += &format!("  -o milter_protocol={version}\n");
        }
        wiring
    })
}
