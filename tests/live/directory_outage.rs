//! The domain controller frozen and killed under a running Postfix: mail of those who are known flows
//! on, and that of others waits.

use crate::door::Door;
use crate::gatepost::edited;
use crate::lab::{Lab, Wiring, marker};
use crate::people::SERVICE_PASSWORD;
use crate::samba::{BASE, SambaAd, service};
use rustix::process::Signal;
use std::fs;
use std::path::Path;

const FILE: &str = "type = \"file\"\n[directory.file]\npath = \"people.toml\"\n";
const FAR: &str = "friend@far.test";
const SILENT: &str = "The directory does not answer, try again later";
const BOB: &str = "bob has no relay right: mail to far.test is not allowed";
const CAROL: &str = "carol has no submit right";

#[test]
fn mail_of_known_users_flows_while_the_domain_controller_is_frozen_or_gone() {
    let mut controller = SambaAd::start();
    let lab = Lab::start_wired(Door::Policy, |folder, ports, main_cf| {
        let wiring = Wiring::of(Door::Policy, folder, ports, main_cf);
        let gatepost = edited(&wiring.gatepost, FILE, &by_ldap(folder, &controller));
        // alice is in this group alone.
        let relay = "group = \"Mail-Relay\"\n";
        let gatepost = edited(&gatepost, relay, &format!("{relay}submit = \"allow\"\n"));
        Wiring { gatepost, ..wiring }
    });
    let [mut alice, mut bob, mut carol] =
        ["alice", "bob", "carol"].map(|login| lab.submission(login));
    let mut erin = lab.submission("erin");
    for freezes in [true, false] {
        let before = marker("before");
        alice.send("alice@example.org", FAR, &before).assert_ok();
        lab.external.wait_for(&before);
        let stopped = marker("stopped");
        bob.send("bob@example.org", FAR, &stopped).assert_refused(550, "5.7.1", BOB);
        carol.send("carol@example.org", FAR, &stopped).assert_refused(550, "5.7.1", CAROL);

        if freezes {
            controller.server.freeze()
        } else {
            controller.server.stop(Signal::KILL)
        }
        // More than are at once on their way to the directory, each with a marker of its own.
        for number in 0..20 {
            let during = marker(&format!("during{number}"));
            alice.send("alice@example.org", FAR, &during).assert_ok();
            assert_eq!(lab.external.wait_for(&during).recipients, [FAR]);
            bob.send("bob@example.org", FAR, &stopped).assert_refused(550, "5.7.1", BOB);
            carol.send("carol@example.org", FAR, &stopped).assert_refused(550, "5.7.1", CAROL);
        }
        if freezes {
            erin.send("erin@example.org", FAR, &stopped).assert_refused(451, "4.4.3", SILENT);
        }
        lab.assert_absent(&stopped);
        if freezes { controller.server.thaw() } else { controller.server.run() }
    }
    crate::process::until("the directory is asked again", || {
        let reply = erin.send("erin@example.org", FAR, &marker("erin"));
        (reply.code == 550).then_some(())
    });
}

/// `[directory]` from its second line on. An answer is fresh for a second, and the outage longer.
fn by_ldap(folder: &Path, controller: &SambaAd) -> String {
    fs::write(folder.join("bind.pw"), SERVICE_PASSWORD).expect("a file can be written");
    let (url, authority) = (controller.url(), controller.server.folder().join("ca.pem"));
    format!(
        r#"type = "ldap"
[directory.cache]
fresh = "1s"
snapshot = "off"
[directory.ldap]
servers = ["{url}"]
schema = "active-directory"
base = "{BASE}"
tls.ca-file = "{}"
bind.dn = "{}"
bind.password-file = "bind.pw"
"#,
        authority.display(),
        service()
    )
}
