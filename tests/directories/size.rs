//! Directories that are not small.

use crate::client::Bind;
use crate::gatepost::{FAR, Gatepost, check_online};
use crate::openldap::{Groups, OpenLdap, STAFF, Seed, Settings};
use crate::samba::USERS;
use crate::shared;
use crate::source::{Source, simple};

/// Relay for all staff.
const STAFF_RELAY: &str =
    "[[grant]]\ngroup = \"all-staff\"\nsubmit = \"allow\"\nrelay = \"allow\"\n";

/// More than it costs to read the groups of the rules, which may come in between.
const GROUPS_READ: usize = 50;

#[test]
fn ten_thousand_accounts_and_a_group_of_five_thousand() {
    // A subtree search by memberOf is slow where it is computed, so without that.
    let openldap = OpenLdap::start(&Settings { seed: Seed::Big, ..Settings::default() });
    let mut gatepost =
        Gatepost::prepare(&Source::of_openldap(&openldap, Groups::Plain), "", STAFF_RELAY);
    gatepost.run();
    // The first who ask may be deferred while the groups are read.
    gatepost.becomes("alice", FAR, "DUNNO");
    let logins =
        |step: usize| (0..2 * STAFF).step_by(step).map(|number| (number, format!("u{number:05}")));
    let ask_all = || {
        for (number, login) in logins(25) {
            let expected = if number < STAFF {
                "DUNNO".into()
            } else {
                format!("550 5.7.1 {login} has no submit")
            };
            gatepost.answers(&login, FAR, &expected);
        }
    };
    let before = openldap.searches();
    ask_all();
    let asked = openldap.searches() - before;
    // One for the account, one for its groups.
    let count = logins(25).count();
    assert!(
        (2 * count..=2 * count + GROUPS_READ).contains(&asked),
        "{asked} searches for {count} logins"
    );
    ask_all();
    let again = openldap.searches() - before - asked;
    // Nothing but the groups of the rules may have been read again.
    assert!(again < GROUPS_READ, "{again} searches for what was known");
    for number in [0, STAFF - 1] {
        let told = gatepost.explain(&format!("u{number:05}"), FAR)["steps"].to_string();
        assert!(told.contains(&format!("u{number:05} -> all-staff")), "{told}");
    }
}

#[test]
fn everybody_of_a_domain() {
    let controller = shared::samba();
    let mut gatepost = Gatepost::prepare(&Source::of_samba(controller), "", STAFF_RELAY);
    gatepost.run();
    gatepost.becomes("alice", FAR, "DUNNO");
    for number in 0..USERS {
        gatepost.answers(&format!("u{number:05}@ad.example.org"), FAR, "DUNNO");
    }
    gatepost.answers("bob", FAR, "550 5.7.1 bob has no relay right");
}

#[test]
fn a_list_of_groups_that_the_server_cuts_short_is_not_taken_for_all_of_them() {
    let openldap = OpenLdap::start(&Settings { seed: Seed::Big, ..Settings::default() });
    let Bind::Simple { dn, .. } = openldap.limited().bind else { panic!("a simple bind") };
    let source = Source { bind: simple(&dn), ..Source::of_openldap(&openldap, Groups::Plain) };
    let gatepost = Gatepost::start(&source, "");
    for login in ["alice", "carol", "nina"] {
        gatepost.answers(login, FAR, "451 4.4.3");
    }
    let (code, told) = check_online(&gatepost.configuration());
    assert_eq!(code, Some(1), "{told}");
}
