//! Queue ids of Postfix (global/mail_queue.h) and of Sendmail (queue.c, assign_queueid), and logins as doveadm-kick(1)
//! takes them: nothing else is ever handed to a program.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Of the longest queue id: a long one of Postfix with an inode of 64 bits.
pub const ID_BYTES: usize = 32;

/// Dovecot takes longer ones; no directory has one.
const LOGIN_BYTES: usize = 255;

/// Whose queue it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailServer {
    Postfix,
    Sendmail,
}

/// The name of a message in the queue of a mail server, of its grammar and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QueueId(Box<str>);

impl QueueId {
    pub fn parse(text: &str) -> Option<Self> {
        let is_known = [MailServer::Postfix, MailServer::Sendmail].iter().any(|of| of.names(text));
        is_known.then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this mail server gives such ids.
    pub fn is_of(&self, server: MailServer) -> bool {
        server.names(&self.0)
    }
}

impl MailServer {
    fn names(self, text: &str) -> bool {
        match self {
            Self::Postfix => is_short(text) || is_long(text),
            Self::Sendmail => is_of_sendmail(text),
        }
    }
}

/// Five digits of microseconds and the inode, in capital hexadecimal.
fn is_short(text: &str) -> bool {
    (6..=21).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b))
}

/// Seconds in six or more characters, microseconds in four, `z`, the inode; without vowels.
fn is_long(text: &str) -> bool {
    let is_digit = |b: u8| b.is_ascii_alphanumeric() && !b"AEIOUaeiou".contains(&b);
    (12..=ID_BYTES).contains(&text.len())
        && text.bytes().all(is_digit)
        && text[10..text.len() - 1].contains('z')
}

/// Eight characters of time and number, and the process id in six or more digits.
fn is_of_sendmail(text: &str) -> bool {
    (14..=15).contains(&text.len())
        && text.bytes().take(8).all(|b| b.is_ascii_alphanumeric())
        && text.bytes().skip(8).all(|b| b.is_ascii_digit())
}

/// A login that `doveadm kick` takes for that login alone: no pattern, no network, no option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Kickable(Box<str>);

impl Kickable {
    /// `*` and `?` are patterns, `/` makes a network, `|` divides, `\` escapes, and what looks like an address is one
    /// (doveadm-who.c).
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |c: char| c.is_alphanumeric() || "._-@+=#$&'!^{}~%".contains(c);
        let begins = text.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_');
        let is_number = text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            || text.starts_with("0x")
            || text.parse::<IpAddr>().is_ok();
        (begins && !is_number && text.len() <= LOGIN_BYTES && text.chars().all(is_plain))
            .then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A word that the helper would not take.
#[derive(Debug, PartialEq, Eq)]
pub enum WordFault {
    QueueId(String),
    Login(String),
}

impl fmt::Display for WordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueId(text) => write!(f, "{text:?} is no queue id of Postfix or Sendmail"),
            Self::Login(text) => {
                write!(f, "{text:?} is no login that doveadm takes for that login alone")
            }
        }
    }
}

impl std::error::Error for WordFault {}

impl TryFrom<String> for QueueId {
    type Error = WordFault;

    fn try_from(text: String) -> Result<Self, WordFault> {
        Self::parse(&text).ok_or(WordFault::QueueId(text))
    }
}

impl From<QueueId> for String {
    fn from(id: QueueId) -> Self {
        id.0.into()
    }
}

impl TryFrom<String> for Kickable {
    type Error = WordFault;

    fn try_from(text: String) -> Result<Self, WordFault> {
        Self::parse(&text).ok_or(WordFault::Login(text))
    }
}

impl From<Kickable> for String {
    fn from(login: Kickable) -> Self {
        login.0.into()
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_of_both_mail_servers_are_known() {
        for (text, server) in [
            ("BFD5198E1F2", MailServer::Postfix),
            ("C3CD21F3E90", MailServer::Postfix),
            ("3Pt2mN2VXxznjll", MailServer::Postfix),
            ("6AR2TZYY007342", MailServer::Sendmail),
            ("6AR2TZYY4194304", MailServer::Sendmail),
        ] {
            assert!(QueueId::parse(text).expect(text).is_of(server), "{text}");
        }
        assert!(!QueueId::parse("3Pt2mN2VXxznjll").expect("one").is_of(MailServer::Sendmail));
        assert!(!QueueId::parse("6AR2TZYY007342").expect("one").is_of(MailServer::Postfix));
    }

    #[test]
    fn nothing_else_is_an_id() {
        for text in [
            "",
            "-",
            "ALL",
            "BFD51",
            "bfd5198e1f2",
            "BFD5198E1F2 ",
            "BFD5198E1F2\n",
            "-BFD5198E1F2",
            "../hold/BFD5198E1F2",
            "BFD5198E1F2/..",
            "3Pt2mN2VXxznjll\0",
            "3Pt2mN2VXxAnjll",
            "6AR2TZYY00734",
            "6AR2TZYY-07342",
            "BFD5198E1F2BFD5198E1F2",
        ] {
            assert_eq!(QueueId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_login_that_may_mean_more_than_itself_is_none() {
        for login in ["alice", "alice@local.test", "j.doe", "_x", "müller", "s12345", "10.0.0.x"] {
            assert!(Kickable::parse(login).is_some(), "{login}");
        }
        for login in [
            "",
            "-a",
            "*",
            "al?ce",
            "a b",
            "a\n",
            "a\u{7f}",
            "10.0.0.0/8",
            "10.0.0.1",
            "12345",
            "0x7f000001",
            "::1",
            "fe80",
            "DOMAIN\\alice",
            "a|b",
            ".",
        ] {
            assert_eq!(Kickable::parse(login).is_some(), login == "fe80", "{login:?}");
        }
        assert!(Kickable::parse(&"a".repeat(LOGIN_BYTES)).is_some());
        assert!(Kickable::parse(&"a".repeat(LOGIN_BYTES + 1)).is_none());
    }

    proptest! {
        #[test]
        fn an_id_is_ascii_letters_and_digits_whatever_is_read(text: String) {
            if let Some(id) = QueueId::parse(&text) {
                prop_assert!(id.as_str().bytes().all(|b| b.is_ascii_alphanumeric()));
                prop_assert!(id.as_str().len() <= ID_BYTES);
            }
        }
    }
}
