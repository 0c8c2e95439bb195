//! What a directory knows of a login and of a recipient.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::mail::{AccountKey, Address, Login, Timestamp};

/// The directory object a login stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub key: AccountKey,
    /// As people know it: a login, a display name or a DN.
    pub name: Box<str>,
    /// Every spelling it may log in with, folded ([`Login::folded`]).
    pub logins: Box<[Box<str>]>,
    /// Its own addresses, folded ([`Address::folded`]).
    pub addresses: Box<[Box<[u8]>]>,
    pub state: AccountState,
    /// Where the directory keeps it (RFC 4514), if it has such places.
    pub dn: Option<Box<str>>,
    /// When its password was last set, where the directory tells.
    pub password_set: Option<Timestamp>,
    /// Where its owner reads mail elsewhere, where the directory tells; none of its own addresses.
    pub other_address: Option<Box<str>>,
}

impl Account {
    /// Whether `login` is one of its spellings or addresses.
    pub fn answers_to(&self, login: &Login) -> bool {
        let is_address = |folded: &[u8]| self.addresses.iter().any(|own| **own == *folded);
        self.logins.iter().any(|own| **own == *login.folded())
            || is_address(login.folded().as_bytes())
            || login.as_idn_address().is_some_and(|address| is_address(&address.folded()))
    }

    pub fn owns(&self, address: &Address) -> bool {
        let folded = address.folded();
        self.addresses.iter().any(|own| **own == *folded)
    }
}

/// Whether the directory would let it log in at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccountState {
    Enabled,
    Disabled,
    Expired,
    /// Locked for some minutes, often by somebody who guesses passwords.
    Locked,
}

/// The groups the rules name, in the order in which [`Memberships`] speaks of them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Groups {
    names: Vec<Box<str>>,
    folded: Vec<Box<str>>,
}

impl Groups {
    /// The place of the group with this name (without regard to case), added when it is new.
    pub fn index(&mut self, name: &str) -> usize {
        let folded = name.to_lowercase();
        match self.folded.iter().position(|known| **known == *folded) {
            Some(index) => index,
            None => {
                self.names.push(name.into());
                self.folded.push(folded.into());
                self.names.len() - 1
            }
        }
    }

    /// As the configuration writes it.
    pub fn name(&self, index: usize) -> &str {
        self.names.get(index).map_or("?", |name| name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    pub fn folded(&self) -> &[Box<str>] {
        &self.folded
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// Whether an account is in a group, by whatever path. Unknown is not No.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Membership {
    Yes,
    No,
    Unknown,
}

/// One answer for each group of [`Groups`], in its order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Memberships(pub SmallVec<[Membership; 16]>);

impl Memberships {
    /// Unknown for a group that nobody asked about.
    pub fn of(&self, index: usize) -> Membership {
        self.0.get(index).copied().unwrap_or(Membership::Unknown)
    }
}

/// An account that was found, with what is known of its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub account: Arc<Account>,
    /// How long ago the directory said so; 0 for an answer of now.
    pub age_ms: u64,
    pub memberships: Memberships,
}

/// A directory's answer about a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    Found(Holder),
    NotFound,
    /// Several objects answer to the name; none of them is taken.
    Ambiguous,
    /// The directory gave no answer, and none is remembered.
    Unavailable,
}

impl Lookup {
    pub fn account(&self) -> Option<&Arc<Account>> {
        match self {
            Self::Found(holder) => Some(&holder.account),
            _ => None,
        }
    }
}

/// A directory's answer about a recipient, asked for a certain author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientLookup {
    Found(Restriction),
    NotFound,
    Unavailable,
}

/// Who may write to a recipient, told for the author in question (AD: authOrig, unauthOrig,
/// dLMemSubmitPerms, dLMemRejectPerms, msExchRequireAuthToSendTo).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restriction {
    /// Anybody may.
    Open,
    /// There is a list, and the author is on it.
    Allowed,
    /// Takes mail from logged-in senders only, and there is no login.
    AuthenticatedOnly,
    /// There is a list of those who may, and the author is not on it.
    NotOnList,
    /// The author is on the list of those who may not.
    Denied,
    /// The directory could not say.
    Unknown,
}
