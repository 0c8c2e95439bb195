//! Samba AD.

use super::assert_survives;
use crate::client::Bind;
use crate::ldif;
use crate::people::PEOPLE;
use crate::samba::{
    BASE, LOCKOUT_THRESHOLD, NETBIOS, SambaAd, USERS, group, object_sid, sid, user,
};

#[test]
fn a_domain_controller_survives() {
    let mut controller = SambaAd::start();
    let reader = controller.reader();
    assert_survives(&mut controller.server, &reader, &user("alice"));
}

#[test]
fn the_domain_has_its_people_groups_and_lists() {
    let controller = SambaAd::start();
    let reader = controller.reader();
    let all = |filter: &str| {
        let printed = reader.search(BASE, "sub", filter, &["sAMAccountName"]).expect("a search");
        ldif::texts(&printed, "sAMAccountName").len()
    };
    assert_eq!(all("(&(sAMAccountType=805306368)(mail=*))"), PEOPLE.len() + USERS);
    assert_eq!(all(&format!("(memberOf={})", group("all-staff"))), USERS);
    assert_eq!(all("(&(objectClass=user)(mail=shared@example.org))"), 2);
    assert_eq!(all("(proxyAddresses=smtp:hans.müller@example.org)"), 1);
    assert_eq!(all("(&(objectClass=group)(authOrig=*))"), 1);

    let tokens = |login: &str| -> Vec<String> {
        let printed = reader.read(&user(login), &["tokenGroups"]);
        ldif::values(&printed, "tokenGroups").iter().map(|bytes| sid(bytes)).collect()
    };
    let submit = object_sid(&reader, &group("Mail-Submit"));
    assert!(tokens("bob").contains(&submit), "nested");
    assert!(tokens("prim1").contains(&submit), "by the primary group");
    assert!(!tokens("dist1").contains(&submit), "not by a distribution group");
    assert!(tokens("carol").contains(&object_sid(&reader, &group("No-Mail"))), "in a cycle");
    let odd = object_sid(&reader, &group(crate::people::ODD_GROUP));
    assert!(tokens("hmueller").contains(&odd), "by an odd DN");

    let computed = |login: &str| {
        const NAME: &str = "msDS-User-Account-Control-Computed";
        ldif::texts(&reader.read(&user(login), &[NAME]), NAME).concat()
    };
    assert_eq!(computed("frank"), "16", "locked");
    assert_eq!(computed("alice"), "0");
}

#[test]
fn two_controllers_have_the_same_objects_and_certificates_of_their_own() {
    let controllers = [SambaAd::start(), SambaAd::start()];
    let ids = controllers.each_ref().map(|controller| {
        ldif::values(&controller.reader().read(&user("alice"), &["objectGUID"]), "objectGUID")
    });
    assert_eq!(ids[0].len(), 1);
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn a_bind_needs_tls_and_the_right_password() {
    let controller = SambaAd::start();
    let mut plain = controller.reader();
    plain.url = format!("ldap://{}", controller.address);
    let complaint = plain.search(BASE, "base", "(objectClass=*)", &[]).expect_err("no TLS");
    assert!(complaint.contains("Strong(er) authentication required (8)"), "{complaint}");
    plain.starttls = true;
    assert!(plain.can_bind());

    let mut reader = controller.reader();
    for name in ["gatepost@ad.example.org".to_string(), format!("{NETBIOS}\\gatepost")] {
        let Bind::Simple { dn, .. } = &mut reader.bind else { panic!("a simple bind") };
        *dn = name;
        assert!(reader.can_bind());
    }
    let Bind::Simple { password, .. } = &mut reader.bind else { panic!("a simple bind") };
    let right = std::mem::replace(password, "wrong".into());
    for _ in 0..LOCKOUT_THRESHOLD {
        assert!(!reader.can_bind());
    }
    let Bind::Simple { password, .. } = &mut reader.bind else { panic!("a simple bind") };
    *password = right;
    assert!(!reader.can_bind(), "locked by so many wrong ones");
}

#[test]
fn a_change_is_seen_at_once() {
    let controller = SambaAd::start();
    let change = ldif::add_values(&group("No-Mail"), "member", &[user("alice")]);
    controller.administrator().modify(&change);
    let printed = controller.reader().read(&user("alice"), &["memberOf"]);
    assert!(ldif::texts(&printed, "memberOf").contains(&group("No-Mail")), "{printed}");
}
