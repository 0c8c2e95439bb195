//! 389 Directory Server.

use super::{assert_survives, names};
use crate::ds389::Ds389;
use crate::inet::{BASE, group, user};
use crate::ldif;
use crate::people::{GROUPS, PEOPLE};

#[test]
fn a_server_survives() {
    let mut ds389 = Ds389::start();
    let reader = ds389.reader();
    assert_survives(&mut ds389.server, &reader, &user("alice"));
}

#[test]
fn the_directory_has_its_people_and_transitive_groups() {
    let ds389 = Ds389::start();
    let reader = ds389.reader();
    let count = |filter: &str| {
        let printed = reader.search(BASE, "sub", filter, &["nsUniqueId"]).expect("a search");
        ldif::texts(&printed, "nsUniqueId").len()
    };
    assert_eq!(count("(objectClass=inetOrgPerson)"), PEOPLE.len());
    assert_eq!(count("(&(objectClass=groupOfNames)(!(mail=*)))"), GROUPS.len());
    assert_eq!(count("(mail=shared@example.org)"), 2);
    assert_eq!(count("(krbPrincipalExpiration<=20200101000000Z)"), 1);
    assert_eq!(count("(nsAccountLock=true)"), 1);
    assert_eq!(count("(accountUnlockTime=*)"), 1);
    assert_eq!(count(&format!("(unauthOrig={})", user("bob"))), 1);

    let member_of =
        |login: &str| ldif::texts(&reader.read(&user(login), &["memberOf"]), "memberOf");
    assert_eq!(
        names(&member_of("bob")),
        ["deep-1", "deep-2", "deep-3", "deep-4", "deep-5", "mail-submit", "press"]
    );
    assert_eq!(names(&member_of("carol")), ["cyc-a", "cyc-b", "mail-submit", "no-mail"]);
    assert_eq!(member_of("hmueller").len(), 2);
}

#[test]
fn a_group_may_change_while_the_server_runs() {
    let ds389 = Ds389::start();
    ds389.manager().modify(&ldif::add_values(&group("cyc-a"), "member", &[user("alice")]));
    let printed = ds389.reader().read(&user("alice"), &["memberOf"]);
    assert!(ldif::texts(&printed, "memberOf").contains(&group("No-Mail")), "{printed}");
}

#[test]
fn a_bind_needs_tls() {
    let ds389 = Ds389::start();
    let mut plain = ds389.reader();
    plain.url = format!("ldap://127.0.0.1:{}", ds389.ldap);
    let complaint = plain.search(BASE, "base", "(objectClass=*)", &[]).expect_err("no TLS");
    assert!(complaint.contains("Confidentiality required (13)"), "{complaint}");
    plain.starttls = true;
    assert!(plain.can_bind());
}

#[test]
fn searches_are_counted() {
    let ds389 = Ds389::start();
    let before = ds389.searches();
    ds389.reader().read(&user("alice"), &["mail"]);
    assert_eq!(ds389.searches() - before, 1);
}
