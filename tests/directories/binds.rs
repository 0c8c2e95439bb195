//! A bind password that is wrong, and is put right while gatepost runs.

use crate::gatepost::{FAR, Gatepost};
use crate::people::SERVICE_PASSWORD;
use crate::samba::{LOCKOUT_THRESHOLD, SambaAd, service};
use crate::source::Source;
use crate::{ldif, samba};
use std::thread;
use std::time::Duration;

/// Two of the longest pauses between the probes of a server.
const SOON: Duration = Duration::from_secs(12);

#[test]
fn a_wrong_password_does_not_lock_the_service_account_and_a_right_one_is_taken_up() {
    let controller = SambaAd::start();
    let source = Source::of_samba(&controller);
    let gatepost = Gatepost::start(&Source { password: "wrong".into(), ..source }, "");
    // Far more questions than it takes, some of them at once.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for number in 0..5 * LOCKOUT_THRESHOLD {
                    gatepost.answers(&format!("u{number:05}"), FAR, "451 4.4.3");
                }
            });
        }
    });
    gatepost.answers("alice", FAR, "451 4.4.3");
    assert_eq!(failed_binds(&controller), "1");
    assert!(controller.reader().can_bind(), "not locked");

    gatepost.set_password(SERVICE_PASSWORD);
    gatepost.becomes_within(SOON, "alice", FAR, "DUNNO");
    gatepost.answers("carol", FAR, "550 5.7.1 carol has no submit right");
    assert!(!gatepost.log().contains(SERVICE_PASSWORD));
}

fn failed_binds(controller: &SambaAd) -> String {
    let printed = controller.administrator().read(&service(), &["badPwdCount"]);
    ldif::texts(&printed, "badPwdCount").concat()
}

#[test]
fn a_password_that_is_changed_costs_no_known_login_its_mail() {
    let mut controller = SambaAd::start();
    let gatepost = Gatepost::start(&Source::of_samba(&controller), "fresh = \"1s\"");
    gatepost.answers("alice", FAR, "DUNNO");
    // Twice, since AD goes on taking the last one but one for an hour.
    for password in ["Between-Passw0rd!", "Another-Passw0rd!"] {
        let password = samba::unicode_password(password);
        let change = ldif::replace_values(&service(), "unicodePwd", &[password]);
        controller.administrator().modify(&change);
    }
    // So that every connection has to bind anew.
    controller.server.restart();
    gatepost.answers("bob", FAR, "451 4.4.3");
    for _ in 0..2 * LOCKOUT_THRESHOLD {
        gatepost.answers("alice", FAR, "DUNNO");
        gatepost.answers("prim1", FAR, "451 4.4.3");
    }
    gatepost.set_password("Another-Passw0rd!");
    gatepost.becomes_within(SOON, "bob", FAR, "550 5.7.1 bob has no relay right");
}
