//! The SASL login as the mail server reports it, and the account it stands for: two types, since
//! one account may log in under many spellings.

use std::fmt;
use std::sync::Arc;

use compact_str::CompactString;

use crate::mail::Address;

/// A SASL login (Postfix `sasl_username`, milter `{auth_authen}`), never empty.
///
/// Two logins are the same when they differ in case only: AD, LDAP and Dovecot's default compare
/// them so.
#[derive(Clone)]
pub struct Login {
    raw: CompactString,
    folded: CompactString,
}

/// What a login's spelling says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginForm<'a> {
    /// `alice`
    Plain(&'a str),
    /// `alice@example.org`: a realm, a user principal name or a mail address.
    Qualified { user: &'a str, realm: &'a str },
    /// `EXAMPLE\alice`
    Domain { domain: &'a str, user: &'a str },
}

impl Login {
    /// `None` for the empty name, which means: did not log in. Bytes that are not UTF-8 become `?`,
    /// as Postfix itself writes names it cannot print.
    pub fn parse(name: &[u8]) -> Option<Self> {
        if name.is_empty() {
            return None;
        }
        let raw: CompactString = match std::str::from_utf8(name) {
            Ok(name) => name.into(),
            Err(_) => {
                String::from_utf8_lossy(name).replace(char::REPLACEMENT_CHARACTER, "?").into()
            }
        };
        let mut folded = raw.clone();
        if raw.is_ascii() {
            folded.make_ascii_lowercase();
        } else {
            folded = raw.to_lowercase();
        }
        Some(Self { raw, folded })
    }

    /// As the client typed it; for logs and incidents.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// As it is compared: lower case.
    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// The address it spells, where its domain is an IDN and so is compared in another form.
    pub fn as_idn_address(&self) -> Option<Address> {
        if self.folded.is_ascii() || !self.folded.contains('@') {
            return None;
        }
        Some(Address::from_internal(self.folded.as_bytes()))
    }

    /// The parts of the folded spelling. A domain before a backslash wins over one after an `@`.
    pub fn form(&self) -> LoginForm<'_> {
        if let Some((domain, user)) = self.folded.split_once('\\') {
            return LoginForm::Domain { domain, user };
        }
        match self.folded.rsplit_once('@') {
            Some((user, realm)) if !user.is_empty() && !realm.is_empty() => {
                LoginForm::Qualified { user, realm }
            }
            _ => LoginForm::Plain(&self.folded),
        }
    }
}

impl PartialEq for Login {
    fn eq(&self, other: &Self) -> bool {
        self.folded == other.folded
    }
}

impl Eq for Login {}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.raw.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({self})")
    }
}

/// The key under which an account's usage is kept: the directory's name and its stable id for the
/// object, so that every login form and alias shares one record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey(Arc<str>);

impl AccountKey {
    /// `directory` is the directory's own name, `id` its stable id (objectGUID, entryUUID, else DN).
    pub fn object(directory: &str, id: &str) -> Self {
        Self(format!("{directory}:{id}").into())
    }

    /// Begins the key of such a login.
    pub const UNRESOLVED: &str = "login:";

    /// For a login that no directory resolves now.
    pub fn unresolved(login: &Login) -> Self {
        Self(format!("{}{}", Self::UNRESOLVED, login.folded()).into())
    }

    /// For a client that relays without a login: its address, network or certificate.
    pub fn client(name: &str) -> Self {
        Self(format!("client:{name}").into())
    }

    /// As [`as_str`](Self::as_str) told it before.
    pub fn stored(key: &str) -> Self {
        Self(key.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(name: &str) -> Login {
        Login::parse(name.as_bytes()).expect("a login")
    }

    #[test]
    fn every_form_is_read() {
        let cases = [
            ("alice", LoginForm::Plain("alice")),
            ("Alice@Example.ORG", LoginForm::Qualified { user: "alice", realm: "example.org" }),
            ("EXAMPLE\\alice", LoginForm::Domain { domain: "example", user: "alice" }),
            ("EX\\alice@x", LoginForm::Domain { domain: "ex", user: "alice@x" }),
            ("@x", LoginForm::Plain("@x")),
            ("alice@", LoginForm::Plain("alice@")),
        ];
        for (text, form) in cases {
            assert_eq!(login(text).form(), form, "{text}");
        }
    }

    #[test]
    fn case_makes_no_second_login_but_the_spelling_is_kept() {
        assert_eq!(login("ALICE"), login("alice"));
        assert_eq!(login("Jörg"), login("JÖRG"));
        assert_eq!(login("ALICE").raw(), "ALICE");
        assert_ne!(login("alice"), login("alice@x"));
    }

    #[test]
    fn the_empty_name_is_no_login_and_bad_bytes_are_question_marks() {
        assert!(Login::parse(b"").is_none());
        assert_eq!(Login::parse(b"al\xffce").expect("a login").raw(), "al?ce");
    }

    #[test]
    fn an_account_key_names_its_origin() {
        assert_eq!(AccountKey::object("file", "alice").as_str(), "file:alice");
        assert_eq!(AccountKey::unresolved(&login("Bob")).as_str(), "login:bob");
    }
}
