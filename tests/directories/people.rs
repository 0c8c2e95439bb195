//! The people that every server has, their groups, and the lists they write to. Each server says
//! them in its own way.

use State::{Disabled, Enabled, Expired, Locked};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    Enabled,
    Disabled,
    Expired,
    Locked,
}

pub struct Person {
    pub login: &'static str,
    pub state: State,
    /// Beside the first.
    pub more_addresses: &'static [&'static str],
}

/// What it is in a group by is said by the group.
const fn person(login: &'static str, state: State) -> Person {
    Person { login, state, more_addresses: &[] }
}

pub const PEOPLE: [Person; 12] = [
    Person { more_addresses: &["alice.liddell@example.org"], ..person("alice", Enabled) },
    Person { more_addresses: &["bob.builder@example.org"], ..person("bob", Enabled) },
    person("carol", Enabled),
    person("dave", Disabled),
    person("erin", Expired),
    person("frank", Locked),
    person("prim1", Enabled),
    person("dup1", Enabled),
    person("dup2", Enabled),
    Person { more_addresses: &["hans.müller@example.org"], ..person("hmueller", Enabled) },
    person("dist1", Enabled),
    // In no group.
    person("nina", Enabled),
];

impl Person {
    /// The first address.
    pub fn mail(&self) -> String {
        match self.login {
            "dup1" | "dup2" => "shared@example.org".into(),
            login => format!("{login}@example.org"),
        }
    }

    /// The addresses as Exchange writes them; the last two are none of SMTP.
    pub fn proxy_addresses(&self) -> Vec<String> {
        let more = self.more_addresses.iter().map(|address| format!("smtp:{address}"));
        let mut all = vec![format!("SMTP:{}", self.mail())];
        all.extend(more);
        all.push(format!("X500:/o=Example/cn={}", self.login));
        all.push(format!("sip:{}@sip.example.org", self.login));
        all
    }

    /// As it stands in the distinguished name, unescaped.
    pub fn common_name(&self) -> &'static str {
        match self.login {
            "hmueller" => r#"Müller, Hans (Ops) *\ #1 "quoted""#,
            login => login,
        }
    }

    pub fn by_login(login: &str) -> &'static Person {
        let found = PEOPLE.iter().find(|person| person.login == login);
        found.unwrap_or_else(|| panic!("nobody has the login {login}"))
    }
}

pub struct Group {
    pub name: &'static str,
    /// Logins.
    pub people: &'static [&'static str],
    pub groups: &'static [&'static str],
}

const fn group(
    name: &'static str,
    people: &'static [&'static str],
    groups: &'static [&'static str],
) -> Group {
    Group { name, people, groups }
}

pub const ODD_GROUP: &str = r"Grp, (odd) \x+é";
/// Where there are any, a distribution group.
pub const DISTRIBUTION_GROUP: &str = "Dist";
/// Where there are any, the primary group of prim1.
pub const PRIMARY_GROUP: &str = "prim-group";

pub const GROUPS: [Group; 15] = [
    group(
        "Mail-Submit",
        &["carol", "dave", "erin", "frank", "dup1", "dup2"],
        &["deep-1", PRIMARY_GROUP, DISTRIBUTION_GROUP],
    ),
    group("Mail-Relay", &["alice"], &[ODD_GROUP]),
    group("No-Mail", &[], &["cyc-a"]),
    group("deep-1", &[], &["deep-2"]),
    group("deep-2", &[], &["deep-3"]),
    group("deep-3", &[], &["deep-4"]),
    group("deep-4", &[], &["deep-5"]),
    group("deep-5", &["bob"], &[]),
    group("cyc-a", &[], &["cyc-b"]),
    group("cyc-b", &["carol"], &["cyc-a"]),
    group(PRIMARY_GROUP, &["prim1"], &[]),
    group(DISTRIBUTION_GROUP, &["dist1"], &[]),
    group(ODD_GROUP, &["hmueller"], &[]),
    group("Press", &["alice", "bob"], &[]),
    group("Empty", &[], &[]),
];

/// A distribution list. Its address is its name in lower case at example.org.
pub struct List {
    pub name: &'static str,
    pub accept_from: &'static [&'static str],
    pub accept_from_groups: &'static [&'static str],
    pub reject_from: &'static [&'static str],
    pub reject_from_groups: &'static [&'static str],
    pub authenticated_only: bool,
}

const OPEN: List = List {
    name: "List-Open",
    accept_from: &[],
    accept_from_groups: &[],
    reject_from: &[],
    reject_from_groups: &[],
    authenticated_only: false,
};

pub const LISTS: [List; 6] = [
    OPEN,
    List { name: "List-Alice", accept_from: &["alice"], ..OPEN },
    List { name: "List-Submit", accept_from_groups: &["Mail-Submit"], ..OPEN },
    List { name: "List-Without-Bob", reject_from: &["bob"], ..OPEN },
    List { name: "List-Without-Relay", reject_from_groups: &["Mail-Relay"], ..OPEN },
    List { name: "List-Inside", authenticated_only: true, ..OPEN },
];

impl List {
    pub fn mail(&self) -> String {
        format!("{}@example.org", self.name.to_lowercase())
    }
}

/// The account that gatepost binds as.
pub const SERVICE: &str = "gatepost";
/// Strong enough for Samba's password rules.
pub const SERVICE_PASSWORD: &str = "Svc-Passw0rd!";
