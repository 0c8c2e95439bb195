//! OpenLDAP.

use super::{assert_survives, names};
use crate::client::Bind;
use crate::inet::{self, BASE, group, user};
use crate::ldif;
use crate::openldap::{GROUPS_OF_USERS, Groups, OpenLdap, STAFF, Seed, Settings, USERS};
use crate::people::{GROUPS, ODD_GROUP, PEOPLE};

#[test]
fn a_server_survives() {
    let mut openldap = OpenLdap::start(&Settings::default());
    let reader = openldap.reader();
    assert_survives(&mut openldap.server, &reader, &user("alice"));
}

#[test]
fn the_overlays_say_member_of_each_in_its_way() {
    let member_of = |groups: Groups, login: &str| {
        let openldap = OpenLdap::start(&Settings { groups, ..Settings::default() });
        ldif::texts(&openldap.reader().read(&user(login), &["memberOf"]), "memberOf")
    };
    assert!(member_of(Groups::Plain, "bob").is_empty());
    assert_eq!(names(&member_of(Groups::MemberOf, "bob")), ["deep-5", "press"]);
    assert_eq!(
        names(&member_of(Groups::Dynlist, "bob")),
        ["deep-1", "deep-2", "deep-3", "deep-4", "deep-5", "mail-submit", "press"]
    );
    assert_eq!(
        names(&member_of(Groups::Dynlist, "carol")),
        ["cyc-a", "cyc-b", "mail-submit", "no-mail"]
    );
    assert_eq!(member_of(Groups::MemberOf, "hmueller").len(), 1);
}

#[test]
fn the_overlay_memberof_goes_on_from_what_was_loaded() {
    let settings = Settings { groups: Groups::MemberOf, ..Settings::default() };
    let openldap = OpenLdap::start(&settings);
    let read = || {
        let printed = openldap.reader().read(&user("bob"), &["memberOf"]);
        ldif::texts(&printed, "memberOf")
    };
    let (add, delete) = (ldif::add_values::<String>, ldif::delete_values::<String>);
    openldap.manager().modify(&add(&group("No-Mail"), "member", &[user("bob")]));
    openldap.manager().modify(&delete(&group("Press"), "member", &[user("bob")]));
    assert_eq!(names(&read()), ["deep-5", "no-mail"]);
}

#[test]
fn the_directory_has_its_people_groups_and_lists() {
    let openldap = OpenLdap::start(&Settings::default());
    let reader = openldap.reader();
    let count = |filter: &str| {
        let printed = reader.search(BASE, "sub", filter, &["entryUUID"]).expect("a search");
        ldif::texts(&printed, "entryUUID").len()
    };
    assert_eq!(count("(objectClass=inetOrgPerson)"), PEOPLE.len());
    assert_eq!(count("(&(objectClass=groupOfNames)(!(mail=*)))"), GROUPS.len());
    assert_eq!(count("(mail=shared@example.org)"), 2);
    assert_eq!(count("(proxyAddresses=SMTP:hans.müller@example.org)"), 1);
    assert_eq!(count("(eduPersonPrincipalName=a.liddell@idp.example.edu)"), 1);
    assert_eq!(count("(mailAlternateAddress=alice.liddell@example.org)"), 1);
    assert_eq!(count(&format!("(dLMemSubmitPerms={})", group("Mail-Submit"))), 1);
    assert_eq!(count("(msExchRequireAuthToSendTo=TRUE)"), 1);
    assert_eq!(count("(pwdAccountLockedTime=*)"), 1);
    assert_eq!(count("(shadowExpire=18000)"), 1);
    let members = ldif::texts(&reader.read(&group(ODD_GROUP), &["member"]), "member");
    assert_eq!(members.len(), 1);
    // The server may escape another way.
    assert!(members[0].starts_with("cn=Müller") && members[0].ends_with(BASE), "{members:?}");
}

#[test]
fn a_big_directory_is_one_of_ten_thousand() {
    let settings = Settings { seed: Seed::Big, groups: Groups::Dynlist, ..Settings::default() };
    let openldap = OpenLdap::start(&settings);
    let reader = openldap.reader();
    let find = |filter: &str, attribute: &str| {
        let printed = reader.search(BASE, "sub", filter, &[attribute]).expect("a search");
        ldif::texts(&printed, attribute).len()
    };
    assert_eq!(find("(uid=u*)", "uid"), USERS);
    assert_eq!(find("(cn=g0*)", "cn"), GROUPS_OF_USERS);
    assert_eq!(find("(cn=all-staff)", "member"), STAFF);
    assert_eq!(find("(uid=u00000)", "memberOf"), 6);
    assert_eq!(find("(uid=u09999)", "memberOf"), 5);

    let limited = openldap.limited().search(BASE, "sub", "(uid=u*)", &["uid"]);
    let complaint = limited.expect_err("more than 500");
    assert!(complaint.contains("Size limit exceeded (4)"), "{complaint}");
}

#[test]
fn a_bind_needs_tls_unless_told_otherwise() {
    let openldap = OpenLdap::start(&Settings::default());
    let mut plain = openldap.reader();
    plain.url = format!("ldap://127.0.0.1:{}", openldap.ldap);
    let complaint = plain.search(BASE, "base", "(objectClass=*)", &[]).expect_err("no TLS");
    assert!(complaint.contains("Confidentiality required (13)"), "{complaint}");
    plain.starttls = true;
    assert!(plain.can_bind());

    let trusting = OpenLdap::start(&Settings { insists_on_tls: false, ..Settings::default() });
    let mut plain = trusting.reader();
    plain.url = format!("ldap://127.0.0.1:{}", trusting.ldap);
    assert!(plain.can_bind());
}

#[test]
fn a_client_certificate_is_the_service_account() {
    let openldap = OpenLdap::start(&Settings::default());
    let mut reader = openldap.reader();
    reader.bind = Bind::External;
    assert_eq!(ldif::texts(&reader.read(&user("alice"), &["mail"]), "mail"), super::ALICE);
    let log = openldap.server.written();
    assert!(
        log.to_lowercase()
            .contains(&format!("bind dn=\"{}\" mech=external", inet::service().to_lowercase())),
        "{log}"
    );
}

#[test]
fn searches_are_counted() {
    let openldap = OpenLdap::start(&Settings::default());
    assert_eq!(openldap.searches(), 0);
    openldap.reader().read(&user("alice"), &["mail"]);
    openldap.reader().read(&user("bob"), &["mail"]);
    assert_eq!(openldap.searches(), 2);
}
