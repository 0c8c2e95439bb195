//! By what names an account is known: from a login or an address to the filter that finds whose it
//! is, and from an entry to all logins and addresses it has.

use std::collections::HashSet;
use std::hash::Hash;

use crate::directory::ldap::entry::Entry;
use crate::directory::ldap::filter::Filter;
use crate::directory::ldap::schema::Schema;
use crate::directory::ldap::sid::{Sid, guid_bytes, guid_text};
use crate::mail::{Address, Login, LoginForm};

/// How a site's accounts are named.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    pub schema: &'a Schema,
    /// Folded: `alice@REALM` is the login `alice`.
    pub realms: &'a [Box<str>],
    /// Folded: `NAME\alice` is the login `alice`.
    pub netbios: &'a [Box<str>],
}

/// What an attribute holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A name: `alice`.
    Name,
    /// `alice@example.org`: a mail address or a user principal name.
    Address,
    /// `smtp:alice@example.org`; other prefixes, such as `X500:` and `SIP:`, hold other things.
    ProxyAddress,
    /// The 16 bytes of a GUID.
    Guid,
    /// The bytes of a SID.
    Sid,
}

/// In bytes: a path has no more (RFC 5321, 4.5.3.1.3), and no system has longer user names.
const LONGEST: usize = 256;

/// Exchange writes `SMTP:` before the primary address; case makes no difference to a filter.
const SMTP: &str = "smtp:";

impl Names<'_> {
    /// What finds the account that has this login. `None`: no account can have it. More than one
    /// found means that the login is ambiguous.
    pub fn account(&self, login: &Login) -> Option<Filter> {
        let users = self.users(login)?;
        let whole = login.folded();
        let addresses = spellings(&Address::from_internal(whole.as_bytes()));
        let mut clauses = Vec::new();
        for attribute in &self.schema.login_forms {
            let values = match self.form(attribute) {
                Form::Name => users.iter().map(|user| (*user).into()).collect(),
                Form::Address => addresses.clone(),
                Form::ProxyAddress => {
                    addresses.iter().map(|address| proxy_address(address)).collect()
                }
                Form::Guid => guid_bytes(whole).map(Vec::from).into_iter().collect(),
                Form::Sid => Sid::parse(whole).map(|sid| sid.to_bytes()).into_iter().collect(),
            };
            clauses.extend(values.into_iter().map(|value| Filter::equal(attribute, value)));
        }
        one_of(&self.schema.user_filter, clauses)
    }

    /// What finds the recipient that has this address. `None`: nobody can have it.
    pub fn recipient(&self, address: &Address) -> Option<Filter> {
        let addresses = spellings(address);
        let mut clauses = Vec::new();
        for attribute in &self.schema.addresses {
            let spelt = addresses.iter().map(|address| match self.form(attribute) {
                Form::ProxyAddress => proxy_address(address),
                _ => address.clone(),
            });
            clauses.extend(spelt.map(|value| Filter::equal(attribute, value)));
        }
        one_of(&self.schema.recipient_filter, clauses)
    }

    /// Every spelling an account can log in with, folded ([`Login::folded`]).
    pub fn logins(&self, entry: &Entry) -> Vec<Box<str>> {
        let mut logins = Vec::new();
        for attribute in &self.schema.login_forms {
            let form = self.form(attribute);
            for value in entry.values(attribute) {
                let spelt = self.spelt(form, value);
                let spelt = spelt.iter().filter_map(|login| Login::parse(login.as_bytes()));
                let possible = spelt.filter(|login| self.users(login).is_some());
                logins.extend(possible.map(|login| login.folded().into()));
            }
        }
        without_repetition(logins)
    }

    /// Every address of an entry, folded ([`Address::folded`]). What is no address is left out.
    pub fn addresses(&self, entry: &Entry) -> Vec<Box<[u8]>> {
        let mut addresses = Vec::new();
        for attribute in &self.schema.addresses {
            let form = self.form(attribute);
            for value in entry.values(attribute) {
                let bare = match form {
                    Form::ProxyAddress => bare_address(value),
                    _ => Some(value.as_slice()),
                };
                let address = bare.map(Address::from_internal).filter(is_possible_address);
                addresses.extend(address.map(|address| address.folded().as_slice().into()));
            }
        }
        without_repetition(addresses)
    }

    /// What one may write for a value to log in with it.
    fn spelt(&self, form: Form, value: &[u8]) -> Vec<String> {
        match form {
            Form::Name => self.qualified(value),
            Form::Address => addresses_of(value),
            Form::ProxyAddress => bare_address(value).map_or(Vec::new(), addresses_of),
            Form::Guid => guid_text(value).into_iter().collect(),
            Form::Sid => Sid::from_bytes(value).map(|sid| sid.to_string()).into_iter().collect(),
        }
    }

    fn form(&self, attribute: &str) -> Form {
        let is = |name: &str| attribute.eq_ignore_ascii_case(name);
        if is("proxyAddresses") {
            Form::ProxyAddress
        } else if is("objectGUID") {
            Form::Guid
        } else if is("objectSid") {
            Form::Sid
        } else if is("userPrincipalName") || self.schema.addresses.iter().any(|name| is(name)) {
            Form::Address
        } else {
            Form::Name
        }
    }

    /// The names a login may stand for: itself, and the user alone where realm or domain are ours.
    /// `None` for what no account can be called; servers ignore spaces at the ends (RFC 4518,
    /// 2.6.1), so `alice ` would be a second login of alice.
    fn users<'l>(&self, login: &'l Login) -> Option<Vec<&'l str>> {
        let user = match login.form() {
            LoginForm::Domain { domain, user } if has(self.netbios, domain) => Some(user),
            LoginForm::Domain { .. } => return None,
            LoginForm::Qualified { user, realm } if has(self.realms, realm) => Some(user),
            LoginForm::Qualified { .. } | LoginForm::Plain(_) => None,
        };
        let users: Vec<&str> = std::iter::once(login.folded()).chain(user).collect();
        users.iter().all(|user| is_possible(user.as_bytes())).then_some(users)
    }

    /// A name with every realm and NetBIOS name it may carry.
    fn qualified(&self, name: &[u8]) -> Vec<String> {
        let name = std::str::from_utf8(name).ok().filter(|name| is_possible(name.as_bytes()));
        let Some(name) = name else { return Vec::new() };
        let with_realm = self.realms.iter().map(|realm| format!("{name}@{realm}"));
        let with_domain = self.netbios.iter().map(|domain| format!("{domain}\\{name}"));
        std::iter::once(name.into()).chain(with_realm).chain(with_domain).collect()
    }
}

fn has(names: &[Box<str>], name: &str) -> bool {
    names.iter().any(|own| **own == *name)
}

/// Those of `filter` to which one of the clauses applies; nobody where there are none.
fn one_of(filter: &str, clauses: Vec<Filter>) -> Option<Filter> {
    if clauses.is_empty() {
        return None;
    }
    Some(Filter::And(vec![Filter::Raw(filter.into()), Filter::Or(clauses)]))
}

/// Whether a directory can hold it as a name or an address, apart from all others.
fn is_possible(value: &[u8]) -> bool {
    let has_no_control = match std::str::from_utf8(value) {
        Ok(text) => text.trim() == text && !text.chars().any(char::is_control),
        Err(_) => value.trim_ascii() == value && !value.iter().any(u8::is_ascii_control),
    };
    (1..=LONGEST).contains(&value.len()) && has_no_control
}

fn is_possible_address(address: &Address) -> bool {
    address.domain().is_some() && !address.local().is_empty() && is_possible(address.as_bytes())
}

/// An address as directories may hold it, folded: its IDN in ASCII and in Unicode. None of what is
/// no address.
fn spellings(address: &Address) -> Vec<Vec<u8>> {
    if !is_possible_address(address) {
        return Vec::new();
    }
    let folded = address.folded();
    let domain = address.domain().and_then(|domain| std::str::from_utf8(domain).ok());
    let unicode = match domain.map(idna::domain_to_unicode) {
        Some((unicode, Ok(()))) if !unicode.is_ascii() => Some(unicode),
        _ => None,
    };
    let local = &folded[..=memchr::memrchr(b'@', &folded).expect("it has a domain")];
    let unicode = unicode.map(|domain| [local, domain.as_bytes()].concat());
    std::iter::once(folded.to_vec()).chain(unicode).collect()
}

/// The text of an address in all its spellings.
fn addresses_of(value: &[u8]) -> Vec<String> {
    let spellings = spellings(&Address::from_internal(value));
    spellings.into_iter().filter_map(|address| String::from_utf8(address).ok()).collect()
}

fn proxy_address(address: &[u8]) -> Vec<u8> {
    [SMTP.as_bytes(), address].concat()
}

/// The mail address of a value of proxyAddresses, if it is one.
fn bare_address(value: &[u8]) -> Option<&[u8]> {
    let (prefix, address) = value.split_at_checked(SMTP.len())?;
    prefix.eq_ignore_ascii_case(SMTP.as_bytes()).then_some(address)
}

fn without_repetition<T: Eq + Hash + Clone>(mut items: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::new();
    items.retain(|item| seen.insert(item.clone()));
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::ldap::schema::Kind;
    use proptest::prelude::*;

    const GUID: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
    const GUID_TEXT: &str = "04030201-0605-0807-090a-0b0c0d0e0f10";

    /// A site with one realm and one NetBIOS name.
    struct Site {
        schema: Schema,
        realms: [Box<str>; 1],
        netbios: [Box<str>; 1],
    }

    impl Site {
        fn of(kind: Kind, login_forms: &[&str]) -> Self {
            let mut schema = Schema::of(kind);
            schema.login_forms.extend(login_forms.iter().map(|name| (*name).into()));
            Self { schema, realms: ["example.org".into()], netbios: ["example".into()] }
        }

        fn names(&self) -> Names<'_> {
            Names { schema: &self.schema, realms: &self.realms, netbios: &self.netbios }
        }

        fn account(&self, login: &str) -> Option<String> {
            let login = Login::parse(login.as_bytes()).expect("a login");
            self.names().account(&login).map(|filter| filter.to_string())
        }

        fn recipient(&self, address: &[u8]) -> Option<String> {
            let address = Address::from_internal(address);
            self.names().recipient(&address).map(|filter| filter.to_string())
        }
    }

    fn entry(attributes: &[(&str, &[u8])]) -> Entry {
        let mut entry = Entry::new("cn=a".into());
        for (name, value) in attributes {
            entry.add(name, vec![value.to_vec()]).expect("no range");
        }
        entry
    }

    /// As a server compares: without case where the values are text.
    fn matches(filter: &Filter, entry: &Entry) -> bool {
        let folded = |value: &[u8]| match std::str::from_utf8(value) {
            Ok(text) => text.to_lowercase().into_bytes(),
            Err(_) => value.into(),
        };
        match filter {
            Filter::And(parts) => parts.iter().all(|part| matches(part, entry)),
            Filter::Or(parts) => parts.iter().any(|part| matches(part, entry)),
            Filter::Equal(attribute, asked) => {
                entry.values(attribute).iter().any(|value| folded(value) == folded(asked))
            }
            Filter::Raw(_) => true,
            other => panic!("{other:?} finds no account"),
        }
    }

    #[test]
    fn a_plain_login_is_a_name() {
        let unix = Site::of(Kind::Rfc2307bis, &[]);
        let filter = "(&(|(objectClass=inetOrgPerson)(objectClass=posixAccount))(uid=alice))";
        assert_eq!(unix.account("Alice").as_deref(), Some(filter));
    }

    #[test]
    fn a_login_with_an_at_sign_is_an_address_a_principal_name_or_a_user_of_a_realm() {
        let windows = Site::of(Kind::ActiveDirectory, &[]);
        let ours = "(&(sAMAccountType=805306368)(|(sAMAccountName=alice@example.org)\
            (sAMAccountName=alice)(userPrincipalName=alice@example.org)(mail=alice@example.org)\
            (proxyAddresses=smtp:alice@example.org)))";
        assert_eq!(windows.account("alice@EXAMPLE.ORG").as_deref(), Some(ours));
        let far = "(&(sAMAccountType=805306368)(|(sAMAccountName=alice@far.test)\
            (userPrincipalName=alice@far.test)(mail=alice@far.test)\
            (proxyAddresses=smtp:alice@far.test)))";
        assert_eq!(windows.account("alice@far.test").as_deref(), Some(far));
    }

    #[test]
    fn a_login_with_a_domain_is_a_user_of_that_domain() {
        let windows = Site::of(Kind::ActiveDirectory, &[]);
        let filter = r"(&(sAMAccountType=805306368)(|(sAMAccountName=example\5calice)(sAMAccountName=alice)))";
        assert_eq!(windows.account(r"EXAMPLE\alice").as_deref(), Some(filter));
        assert_eq!(windows.account(r"OTHER\alice"), None);
    }

    #[test]
    fn a_guid_and_a_sid_are_asked_for_as_bytes() {
        let windows = Site::of(Kind::ActiveDirectory, &["objectGUID", "objectSid"]);
        let guid = windows.account(&format!("{{{}}}", GUID_TEXT.to_uppercase()));
        let names = Login::parse(b"S-1-5-21-7-500").map(|login| windows.names().account(&login));
        let sid = [&[1, 3, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 7, 0, 0, 0, 0xf4, 1, 0, 0][..]].concat();
        assert!(matches(&names.flatten().expect("a filter"), &entry(&[("objectSid", &sid)])));
        assert!(guid.expect("a filter").contains(r"(objectGUID=\01\02\03\04\05\06\07\08\09\0a"));
        assert!(!windows.account("alice").expect("a filter").contains("object"));
    }

    #[test]
    fn a_hostile_login_is_only_compared() {
        let unix = Site::of(Kind::Rfc2307bis, &[]);
        let filter = unix.account("*)(uid=*").expect("a filter");
        assert!(filter.ends_with(r"(uid=\2a\29\28uid=\2a))"), "{filter}");
        let login = Login::parse(b"*)(uid=*").expect("a login");
        let filter = unix.names().account(&login).expect("a filter");
        assert!(!matches(&filter, &entry(&[("uid", b"alice")])));
        assert!(matches(&filter, &entry(&[("uid", b"*)(uid=*")])));
    }

    #[test]
    fn what_no_account_can_be_called_is_not_asked_for() {
        let windows = Site::of(Kind::ActiveDirectory, &[]);
        let impossible = [
            " alice",
            "alice ",
            "\u{a0}alice",
            "alice\0",
            "al\nice",
            "alice\u{85}",
            r"EXAMPLE\",
            r"EXAMPLE\ alice",
            "alice @example.org",
            r"\alice",
            r"far\alice@example.org",
        ];
        for login in impossible {
            assert_eq!(windows.account(login), None, "{login:?}");
        }
        assert!(windows.account(&"a".repeat(256)).is_some());
        assert_eq!(windows.account(&"a".repeat(257)), None);
        let mut by_mail = Site::of(Kind::Custom, &[]);
        by_mail.schema.login_forms = vec!["mail".into()];
        assert_eq!(by_mail.account("alice"), None);
        assert_eq!(by_mail.account("@example.org"), None);
        assert_eq!(by_mail.account("alice@"), None);
    }

    #[test]
    fn an_idn_is_asked_for_in_both_spellings() {
        let site = Site::of(Kind::Rfc2307bis, &[]);
        let (ascii, unicode) = ("jörg@xn--bcher-kva.example", "jörg@bücher.example");
        for spelling in [ascii, unicode, "JÖRG@BÜCHER.example"] {
            let (login, address) = (site.account(spelling), site.recipient(spelling.as_bytes()));
            let (login, address) = (login.expect("a filter"), address.expect("a filter"));
            let both = format!("(mail={ascii})(mail={unicode})");
            assert!(login.contains(&both) && address.contains(&both), "{login} {address}");
        }
    }

    #[test]
    fn a_recipient_is_looked_for_in_every_address() {
        let windows = Site::of(Kind::ActiveDirectory, &[]);
        let filter = "(&(objectClass=*)(|(mail=a(b)@x.test)(proxyAddresses=smtp:a(b)@x.test)\
            (userPrincipalName=a(b)@x.test)))";
        let filter = filter.replace("a(b)", r"a\28b\29");
        assert_eq!(windows.recipient(b"A(b)@X.test."), Some(filter));
        let unix = Site::of(Kind::Rfc2307bis, &[]);
        let bytes = unix.recipient(b"\xff@x").expect("a filter");
        assert_eq!(bytes, r"(&(objectClass=*)(mail=\ff\40\78))");
        for address in [&b""[..], b"postmaster", b"@x.test", b" a@x.test", b"a\0@x.test"] {
            assert_eq!(windows.recipient(address), None, "{}", address.escape_ascii());
        }
        let of =
            |bytes: usize| windows.recipient(format!("{}@x", "a".repeat(bytes - 2)).as_bytes());
        assert!(of(256).is_some() && of(257).is_none());
    }

    #[test]
    fn every_login_of_an_entry_is_told() {
        let windows = Site::of(Kind::ActiveDirectory, &["objectGUID", "objectSid"]);
        let sid = Sid::parse("S-1-5-21-7-500").expect("a SID").to_bytes();
        let entry = entry(&[
            ("sAMAccountName", b"Alice"),
            ("userPrincipalName", b"alice@corp.test"),
            ("mail", b"Alice.A@example.org"),
            ("proxyAddresses", b"SMTP:alice.a@example.org"),
            ("proxyAddresses", b"smtp:a@example.org"),
            ("proxyAddresses", b"X500:/o=x/cn=alice@example.org"),
            ("objectGUID", &GUID),
            ("objectSid", &sid),
        ]);
        let logins = windows.names().logins(&entry);
        let expected = [
            "alice",
            "alice@example.org",
            r"example\alice",
            "alice@corp.test",
            "alice.a@example.org",
            "a@example.org",
            GUID_TEXT,
            "s-1-5-21-7-500",
        ];
        assert_eq!(logins.iter().map(|login| &**login).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_address_of_an_entry_is_told_and_junk_left_out() {
        let windows = Site::of(Kind::ActiveDirectory, &[]);
        let entry = entry(&[
            ("mail", b"Alice@Example.org"),
            ("mail", b"n/a"),
            ("mail", b"@example.org"),
            ("mail", b"alice@example.org\n"),
            ("mail", "j@bücher.example".as_bytes()),
            ("proxyAddresses", b"smtp:alice@example.org"),
            ("proxyAddresses", b"smtp:b@example.org"),
            ("proxyAddresses", b"c@example.org"),
            ("proxyAddresses", b"SIP:d@example.org"),
            ("userPrincipalName", b"alice@corp.test"),
            ("otherMailbox", b"e@example.org"),
        ]);
        let addresses = windows.names().addresses(&entry);
        let expected =
            ["alice@example.org", "j@xn--bcher-kva.example", "b@example.org", "alice@corp.test"];
        assert_eq!(addresses, expected.map(|address| address.as_bytes().into()));
    }

    #[test]
    fn a_name_that_is_no_possible_login_gives_none() {
        let site = Site::of(Kind::Rfc2307bis, &[]);
        let logins = site.names().logins(&entry(&[
            ("uid", b""),
            ("uid", b"a\0"),
            ("uid", b"\xff"),
            ("uid", br"x\y"),
        ]));
        assert_eq!(logins, [Box::from(r"example\x\y")]);
    }

    proptest! {
        #[test]
        fn whatever_an_entry_is_called_by_finds_it(
            name in "[a-zA-ZäöÜ0-9._@\\\\*() -]{0,12}",
            mail in "[a-zA-Z0-9._@+-]{1,8}@([a-z]{1,5}|bücher|xn--bcher-kva)\\.example",
            guid: [u8; 16],
        ) {
            let site = Site::of(Kind::ActiveDirectory, &["objectGUID"]);
            let proxy = format!("SMTP:{mail}");
            let entry = entry(&[
                ("sAMAccountName", name.as_bytes()),
                ("mail", mail.as_bytes()),
                ("proxyAddresses", proxy.as_bytes()),
                ("objectGUID", &guid),
            ]);
            for login in site.names().logins(&entry) {
                let login = Login::parse(login.as_bytes()).expect("a login");
                let filter = site.names().account(&login).expect("a possible login");
                prop_assert!(matches(&filter, &entry), "{}", login);
            }
            for address in site.names().addresses(&entry) {
                let filter = site.names().recipient(&Address::from_internal(&address));
                prop_assert!(matches(&filter.expect("an address"), &entry));
            }
        }

        #[test]
        fn any_login_and_address_makes_a_filter_that_ldap3_reads_or_none(name: Vec<u8>, at in any::<bool>()) {
            let name = if at { [&name, &b"@example.org"[..]].concat() } else { name };
            let site = Site::of(Kind::ActiveDirectory, &["objectGUID", "objectSid"]);
            let login = Login::parse(&name).and_then(|login| site.names().account(&login));
            let recipient = site.names().recipient(&Address::from_internal(&name));
            for filter in login.into_iter().chain(recipient) {
                prop_assert!(ldap3::parse_filter(filter.to_string()).is_ok());
            }
        }

        #[test]
        fn any_values_are_read_without_panic(values: Vec<Vec<u8>>) {
            let site = Site::of(Kind::ActiveDirectory, &["objectGUID", "objectSid"]);
            let mut entry = Entry::new("cn=a".into());
            for name in &site.schema.login_forms {
                entry.add(name, values.clone()).expect("no range");
            }
            let _ = (site.names().logins(&entry), site.names().addresses(&entry));
        }
    }
}
