//! The people as inetOrgPerson and groupOfNames, for servers that are no Active Directory.

use crate::ldif::{self, Entry};
use crate::people::{GROUPS, Group, LISTS, List, PEOPLE, Person, SERVICE, SERVICE_PASSWORD};

pub const BASE: &str = "dc=example,dc=org";

/// The DN of a person: by uid, but for one whose name is worth a DN.
pub fn user(login: &str) -> String {
    match Person::by_login(login).common_name() {
        name if name == login => format!("uid={login},ou=People,{BASE}"),
        name => format!("cn={},ou=People,{BASE}", ldif::escape(name)),
    }
}

pub fn group(name: &str) -> String {
    format!("cn={},ou=Groups,{BASE}", ldif::escape(name))
}

pub fn service() -> String {
    format!("cn={SERVICE},ou=Services,{BASE}")
}

/// The searches that a server logged, but for the root DSE; 389-ds writes them as slapd does.
pub fn searches(log: &str) -> usize {
    let is_search = |line: &&str| line.contains(" SRCH base=\"") && !line.contains(" base=\"\"");
    log.lines().filter(is_search).count()
}

/// All but the suffix, the people and the groups.
pub fn surroundings() -> Vec<Entry> {
    let units = ["People", "Groups", "Services", "Lists"].map(|name| {
        Entry::new(&format!("ou={name},{BASE}"), &["organizationalUnit"]).with("ou", name)
    });
    units.into_iter().chain([account(SERVICE)]).chain(LISTS.iter().map(list)).collect()
}

/// An account of a program, with the one password.
pub fn account(name: &str) -> Entry {
    let dn = format!("cn={name},ou=Services,{BASE}");
    Entry::new(&dn, &["organizationalRole", "simpleSecurityObject"])
        .with("cn", name)
        .with("userPassword", SERVICE_PASSWORD)
}

/// Enabled; `state` adds what makes it something else.
pub fn people(state: impl Fn(&Person, Entry) -> Entry) -> Vec<Entry> {
    PEOPLE.iter().map(|each| state(each, person(each))).collect()
}

fn person(person: &Person) -> Entry {
    const CLASSES: [&str; 2] = ["inetOrgPerson", "gatepostTestRecipient"];
    let entry = Entry::new(&user(person.login), &CLASSES)
        .with("uid", person.login)
        .with("cn", person.common_name())
        .with("sn", person.common_name())
        .with("mail", person.mail())
        .with_all("proxyAddresses", person.proxy_addresses());
    let ascii = person.more_addresses.iter().filter(|address| address.is_ascii());
    let entry = entry.with_all("mailAlternateAddress", ascii);
    match person.login {
        "alice" => entry.with("eduPersonPrincipalName", "a.liddell@idp.example.edu"),
        _ => entry,
    }
}

/// Without members.
pub fn groups() -> Vec<Entry> {
    let groups = GROUPS.iter();
    groups
        .map(|each| Entry::new(&group(each.name), &["groupOfNames"]).with("cn", each.name))
        .collect()
}

/// As DNs. A groupOfNames without a member is illegal (RFC 4519, 3.5), so an empty one has the DN of
/// nobody.
pub fn members(of: &Group) -> Vec<String> {
    let people = of.people.iter().map(|login| user(login));
    let members: Vec<String> = people.chain(of.groups.iter().map(|name| group(name))).collect();
    match members.is_empty() {
        true => vec![format!("cn=nobody,{BASE}")],
        false => members,
    }
}

fn list(list: &List) -> Entry {
    const CLASSES: [&str; 2] = ["groupOfNames", "gatepostTestRecipient"];
    let entry = Entry::new(&format!("cn={},ou=Lists,{BASE}", list.name), &CLASSES)
        .with("cn", list.name)
        .with("member", format!("cn=nobody,{BASE}"))
        .with("mail", list.mail())
        .with("proxyAddresses", format!("SMTP:{}", list.mail()))
        .with_all("authOrig", list.accept_from.iter().map(|login| user(login)))
        .with_all("dLMemSubmitPerms", list.accept_from_groups.iter().map(|name| group(name)))
        .with_all("unauthOrig", list.reject_from.iter().map(|login| user(login)))
        .with_all("dLMemRejectPerms", list.reject_from_groups.iter().map(|name| group(name)));
    match list.authenticated_only {
        true => entry.with("msExchRequireAuthToSendTo", "TRUE"),
        false => entry,
    }
}
