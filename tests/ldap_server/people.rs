//! A small domain in AD's shape: `example.org` (NetBIOS name EXAMPLE), with the people of
//! config/quickstart-people.toml.

use super::directory::Directory;
use super::entry::Entry;

pub const BASE: &str = "DC=example,DC=org";
pub const BIND_DN: &str = "CN=gatepost,CN=Users,DC=example,DC=org";
pub const BIND_PASSWORD: &str = "correct horse";

/// An objectGUID that reads as text.
pub const UTF8_GUID: &[u8; 16] = b"sixteen letters!";

/// With bytes that are no UTF-8.
const DOMAIN_SID: &str = "S-1-5-21-3623811015-3361044348-30300820";
const DOMAIN_USERS: u32 = 513;

/// FILETIME of 2026-01-01, and the one that means never (MS-ADTS 2.2.16, accountExpires).
const LONG_AGO: &str = "134116992000000000";
const NEVER: &str = "9223372036854775807";

/// alice may relay (Mail-Relay). bob may submit by a group in a group in Mail-Submit. carol is in
/// Mail-Submit, and in No-Mail by a group. erin is disabled.
pub fn people() -> Directory {
    let mut directory = Directory::active_directory();
    directory.person("alice").add("proxyAddresses", "smtp:a.liddell@example.org");
    for login in ["bob", "carol"] {
        directory.person(login);
    }
    directory.person("erin").set("userAccountControl", ["514"]);
    directory.group("Mail-Relay", &["alice"]);
    directory.group("Helpdesk-2", &["bob"]);
    directory.group("Helpdesk", &["Helpdesk-2"]);
    directory.group("Mail-Submit", &["Helpdesk", "carol", "erin"]);
    directory.group("Left-The-House", &["carol"]);
    directory.group("No-Mail", &["Left-The-House"]);
    directory
}

impl Directory {
    /// The domain with its rootDSE, its containers, Domain Users and the account to bind as.
    pub fn active_directory() -> Self {
        let mut directory = Self::new(root());
        directory.next_rid = 1104;
        let domain = directory.insert(BASE);
        domain.set("objectClass", ["top", "domain", "domainDNS"]).set("dc", ["example"]);
        domain.set("objectSid", [sid_bytes(DOMAIN_SID).expect("a SID")]);
        for container in ["CN=Users", "OU=People", "OU=Groups"] {
            let class =
                if container.starts_with("CN") { "container" } else { "organizationalUnit" };
            directory.insert(&format!("{container},{BASE}")).set("objectClass", ["top", class]);
        }
        let users = directory.insert(&format!("CN=Domain Users,CN=Users,{BASE}"));
        be_group(users, "Domain Users", DOMAIN_USERS);
        let service = directory.insert(BIND_DN);
        be_person(service, "gatepost", 1103);
        directory
    }

    /// Login, mail and proxyAddresses follow from the name; an ordinary account that is enabled.
    pub fn person(&mut self, login: &str) -> &mut Entry {
        let rid = self.rid();
        let person = self.insert(&format!("CN={login},OU=People,{BASE}"));
        be_person(person, login, rid);
        let mail = format!("{login}@example.org");
        person.set("mail", [mail.as_str()]);
        person
            .set("proxyAddresses", [format!("SMTP:{mail}"), format!("X500:/o=Example/cn={login}")])
    }

    /// A global security group. Members by DN or sAMAccountName; they exist.
    pub fn group(&mut self, name: &str, members: &[&str]) -> &mut Entry {
        let members: Vec<String> = members.iter().map(|member| self.dn(member)).collect();
        let rid = self.rid();
        let group = self.insert(&format!("CN={name},OU=Groups,{BASE}"));
        be_group(group, name, rid);
        group.set("member", members)
    }

    fn rid(&mut self) -> u32 {
        self.next_rid += 1;
        self.next_rid
    }
}

fn root() -> Entry {
    let mut root = Entry::new("");
    root.set("objectClass", ["top"])
        .set("defaultNamingContext", [BASE])
        .set("rootDomainNamingContext", [BASE])
        .set("namingContexts", [BASE.into(), format!("CN=Configuration,{BASE}")])
        .set("supportedLDAPVersion", ["3"])
        .set("supportedControl", [super::message::PAGED_RESULTS])
        .set("supportedExtension", [super::message::START_TLS])
        .set("supportedCapabilities", ["1.2.840.113556.1.4.800"])
        .set("dnsHostName", ["dc1.example.org"])
        .set("dsServiceName", [format!("CN=NTDS Settings,CN=DC1,CN=Servers,{BASE}")])
        .set("isSynchronized", ["TRUE"])
        .set("isGlobalCatalogReady", ["TRUE"])
        .set("highestCommittedUSN", ["0"]);
    root
}

fn be_object(entry: &mut Entry, name: &str, rid: u32) {
    let dn = entry.dn.clone();
    entry
        .set("cn", [name])
        .set("name", [name])
        .set("sAMAccountName", [name])
        .set("distinguishedName", [dn])
        .set("objectSid", [sid_bytes(&format!("{DOMAIN_SID}-{rid}")).expect("a SID")])
        .set("objectGUID", [guid(rid)]);
}

fn be_person(entry: &mut Entry, login: &str, rid: u32) {
    be_object(entry, login, rid);
    entry
        .set("objectClass", ["top", "person", "organizationalPerson", "user"])
        .set("objectCategory", [format!("CN=Person,CN=Schema,CN=Configuration,{BASE}")])
        .set("sAMAccountType", ["805306368"])
        .set("userPrincipalName", [format!("{login}@example.org")])
        .set("userAccountControl", ["512"])
        .set("msDS-User-Account-Control-Computed", ["0"])
        .set("accountExpires", [NEVER])
        .set("pwdLastSet", [LONG_AGO])
        .set("lockoutTime", ["0"])
        .set("primaryGroupID", [DOMAIN_USERS.to_string()]);
}

fn be_group(entry: &mut Entry, name: &str, rid: u32) {
    be_object(entry, name, rid);
    entry
        .set("objectClass", ["top", "group"])
        .set("objectCategory", [format!("CN=Group,CN=Schema,CN=Configuration,{BASE}")])
        .set("sAMAccountType", ["268435456"])
        .set("groupType", ["-2147483646"]);
}

/// One of its own for each rid, and no UTF-8.
fn guid(rid: u32) -> Vec<u8> {
    let mut guid = vec![0xff; 12];
    guid.extend(rid.to_be_bytes());
    guid
}

/// A SID as AD keeps it (MS-DTYP 2.4.2.2); `None`: this is no SID.
pub fn sid_bytes(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.strip_prefix("S-1-")?.split('-');
    let authority: u64 = parts.next()?.parse().ok()?;
    let parts: Vec<u32> = parts.map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let mut bytes = vec![1, u8::try_from(parts.len()).ok()?];
    bytes.extend_from_slice(&authority.to_be_bytes()[2..]);
    bytes.extend(parts.iter().flat_map(|part| part.to_le_bytes()));
    Some(bytes)
}

#[test]
fn neither_sids_nor_guids_of_people_are_text_but_for_the_one_that_is_meant_to_be() {
    let sid = sid_bytes("S-1-5-21-3623811015-3361044348-30300820-1105").expect("a SID");
    assert_eq!(sid[..8], [1, 5, 0, 0, 0, 0, 0, 5]);
    assert_eq!(sid[24..], 1105_u32.to_le_bytes());
    assert!(std::str::from_utf8(&sid).is_err() && std::str::from_utf8(&guid(1105)).is_err());
    assert!(std::str::from_utf8(UTF8_GUID).is_ok());
    assert_eq!(sid_bytes("S-1-x"), None);
}
