//! The watch: a change of the directory counts within seconds, long before answers are no longer
//! fresh.

use crate::client::Client;
use crate::ds389::Ds389;
use crate::gatepost::{FAR, Gatepost};
use crate::ldif::{add_values, delete_values, replace_values};
use crate::openldap::{Groups, OpenLdap, Settings};
use crate::samba::SambaAd;
use crate::source::Source;
use crate::{inet, samba};
use std::time::Duration;

const WATCHING: &str = "fresh = \"5m\"\nwatch = \"1s\"";
const PROMISED: Duration = Duration::from_secs(10);

#[test]
fn samba() {
    let controller = SambaAd::start();
    let gatepost = Gatepost::start(&Source::of_samba(&controller), WATCHING);
    let disable = |login: &str| {
        // MS-ADTS 2.2.16: a normal account, disabled.
        replace_values(&samba::user(login), "userAccountControl", &["514"])
    };
    follows(&gatepost, &controller.administrator(), samba::user, samba::group, disable);
}

#[test]
fn openldap() {
    for groups in [Groups::Plain, Groups::MemberOf, Groups::Dynlist] {
        let openldap = OpenLdap::start(&Settings { groups, ..Settings::default() });
        let gatepost = Gatepost::start(&Source::of_openldap(&openldap, groups), WATCHING);
        let disable = |login: &str| add_values(&inet::user(login), "nsAccountLock", &["TRUE"]);
        follows(&gatepost, &openldap.manager(), inet::user, inet::group, disable);
    }
}

#[test]
fn ds389() {
    let server = Ds389::start();
    let gatepost = Gatepost::start(&Source::of_ds389(&server), WATCHING);
    let disable = |login: &str| add_values(&inet::user(login), "nsAccountLock", &["true"]);
    follows(&gatepost, &server.manager(), inet::user, inet::group, disable);
}

fn follows(
    gatepost: &Gatepost,
    administrator: &Client,
    user: fn(&str) -> String,
    group: fn(&str) -> String,
    disable: impl Fn(&str) -> String,
) {
    gatepost.answers("alice", FAR, "DUNNO");
    gatepost.answers("bob", "nina@example.org", "DUNNO");
    gatepost.answers("prim1", "nina@example.org", "DUNNO");
    gatepost.answers("newcomer", FAR, "550 5.7.1 newcomer is not known");
    // It knows from where on it follows.
    let polled = || {
        gatepost.metric("directory_request_duration_seconds_count{operation=\"read\"}")
            + gatepost.metric("directory_request_duration_seconds_count{operation=\"search\"}")
    };
    let before = polled();
    gatepost
        .wait_for_metric("directory_cache_entries{kept=\"accounts\"}", |_| polled() > before + 2.0);

    // Into the deny group itself, and out again.
    let alice = [user("alice")];
    administrator.modify(&add_values(&group("No-Mail"), "member", &alice));
    gatepost.becomes_within(PROMISED, "alice", FAR, "550 5.7.1 alice has no submit right");
    administrator.modify(&delete_values(&group("No-Mail"), "member", &alice));
    gatepost.becomes_within(PROMISED, "alice", FAR, "DUNNO");

    // Into a group below it; and a group into it.
    administrator.modify(&add_values(&group("cyc-b"), "member", &[user("bob")]));
    gatepost.becomes_within(PROMISED, "bob", "nina@example.org", "550 5.7.1 bob has no submit");
    administrator.modify(&add_values(&group("No-Mail"), "member", &[group("Mail-Relay")]));
    gatepost.becomes_within(PROMISED, "alice", FAR, "550 5.7.1 alice has no submit right");

    administrator.modify(&disable("prim1"));
    gatepost.becomes_within(PROMISED, "prim1", "nina@example.org", "550 5.7.13 The account prim1");
}
