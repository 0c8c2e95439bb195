//! The people and groups as LDIF (RFC 2849) for slapadd(8): inetOrgPerson (RFC 2798) and groupOfNames (RFC 4519), with
//! memberOf as slapo-memberof(5) keeps it, direct groups only.

use std::collections::HashMap;
use std::fmt::Write;

use crate::common::people::{Group, Person};

pub const BASE: &str = "dc=example,dc=org";
pub const BIND_DN: &str = "cn=gatepost,dc=example,dc=org";
pub const PASSWORD: &str = "secret";

pub fn of(people: &[Person], groups: &[Group]) -> String {
    let mut member_of: HashMap<String, Vec<String>> = HashMap::new();
    for group in groups {
        for member in members(group) {
            member_of.entry(member).or_default().push(group_dn(&group.name));
        }
    }
    let mut ldif = format!(
        "dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n\
         dn: {BIND_DN}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: gatepost\n\
         userPassword: {PASSWORD}\n\n\
         dn: ou=people,{BASE}\nobjectClass: organizationalUnit\nou: people\n\n\
         dn: ou=groups,{BASE}\nobjectClass: organizationalUnit\nou: groups\n"
    );
    for Person { login, addresses: [first, second], .. } in people {
        let dn = person_dn(login);
        let _ = write!(
            ldif,
            "\ndn: {dn}\nobjectClass: inetOrgPerson\nuid: {login}\ncn: {login}\nsn: {login}\n\
             mail: {first}\nmail: {second}\n"
        );
        list(&mut ldif, "memberOf", member_of.get(&dn));
    }
    for group in groups {
        let (dn, name) = (group_dn(&group.name), &group.name);
        let _ = write!(ldif, "\ndn: {dn}\nobjectClass: groupOfNames\ncn: {name}\n");
        list(&mut ldif, "member", Some(&members(group)));
        list(&mut ldif, "memberOf", member_of.get(&dn));
    }
    ldif
}

fn members(group: &Group) -> Vec<String> {
    let people = group.members.iter().map(|login| person_dn(login));
    people.chain(group.groups.iter().map(|name| group_dn(name))).collect()
}

fn list(ldif: &mut String, attribute: &str, values: Option<&Vec<String>>) {
    for value in values.into_iter().flatten() {
        let _ = writeln!(ldif, "{attribute}: {value}");
    }
}

fn person_dn(login: &str) -> String {
    format!("uid={login},ou=people,{BASE}")
}

fn group_dn(name: &str) -> String {
    format!("cn={name},ou=groups,{BASE}")
}
