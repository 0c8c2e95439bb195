//! How an account is written into the snapshot.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::directory::ldap::account::{DIRECTORY, Subject};
use crate::directory::ldap::dn::Dn;
use crate::directory::ldap::state::Standing;
use crate::mail::{AccountKey, Timestamp};
use crate::rights::{Account, Membership, Memberships};

/// An account without what all accounts share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptAccount {
    id: String,
    dn: Dn,
    /// As the server writes it.
    shown_dn: Option<Box<str>>,
    name: Box<str>,
    logins: Box<[Box<str>]>,
    addresses: Box<[Box<str>]>,
    standing: Standing,
    /// `y`, `n` and `?`, one for each group of the snapshot.
    memberships: String,
}

impl KeptAccount {
    /// `None`: it speaks of other groups than the snapshot does.
    pub fn of(subject: &Subject, names: &[Box<str>]) -> Option<Self> {
        if *subject.names != *names {
            return None;
        }
        let account = &subject.account;
        let text = |address: &[u8]| String::from_utf8_lossy(address).into();
        Some(Self {
            id: account.key.as_str().split_once(':')?.1.into(),
            dn: subject.dn.clone(),
            shown_dn: account.dn.clone(),
            name: account.name.clone(),
            logins: account.logins.clone(),
            addresses: account.addresses.iter().map(|address| text(address)).collect(),
            standing: subject.standing,
            memberships: subject
                .memberships
                .0
                .iter()
                .map(|membership| letter(*membership))
                .collect(),
        })
    }

    pub fn into_subject(self, names: &Arc<[Box<str>]>) -> Subject {
        let account = Account {
            key: AccountKey::object(DIRECTORY, &self.id),
            name: self.name,
            logins: self.logins,
            addresses: self.addresses.into_iter().map(|a| a.as_bytes().into()).collect(),
            state: self.standing.state(Timestamp::from_unix_ms(0)),
            dn: self.shown_dn,
            password_set: self.standing.password_set,
        };
        Subject {
            account: Arc::new(account),
            dn: self.dn,
            standing: self.standing,
            memberships: Memberships(self.memberships.chars().map(membership).collect()),
            names: Arc::clone(names),
        }
    }
}

const fn letter(membership: Membership) -> char {
    match membership {
        Membership::Yes => 'y',
        Membership::No => 'n',
        Membership::Unknown => '?',
    }
}

const fn membership(letter: char) -> Membership {
    match letter {
        'y' => Membership::Yes,
        'n' => Membership::No,
        _ => Membership::Unknown,
    }
}
