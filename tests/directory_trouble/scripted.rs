//! A directory that plays a part.

use std::future::{pending, ready};
use std::sync::Arc;

use gatepost::directory::{Answer, Author, Directory};
use gatepost::mail::{AccountKey, Address, Login};
use gatepost::rights::{
    Account, AccountState, Groups, Holder, Lookup, Membership, Memberships, RecipientLookup,
    Restriction,
};

/// What the directory makes of every question.
#[derive(Clone, Copy, PartialEq)]
pub enum Play {
    /// The account is found; these are its memberships, in the order in which the rules name the
    /// groups.
    Member(&'static [Membership]),
    Ambiguous,
    Unavailable,
    /// It never answers.
    Hangs,
}

/// Plays one part for logins and one for recipients.
pub struct Scripted {
    pub logins: Play,
    /// `None`: it never answers.
    pub recipients: Option<RecipientLookup>,
}

impl Scripted {
    pub const fn new(logins: Play) -> Self {
        Self { logins, recipients: Some(RecipientLookup::Found(Restriction::Open)) }
    }
}

impl Directory for Scripted {
    fn lookup<'a>(&'a self, login: &'a Login, groups: &'a Groups) -> Answer<'a, Lookup> {
        answer(async move {
            match self.logins {
                Play::Member(memberships) => {
                    assert_eq!(memberships.len(), groups.len(), "one answer for each group");
                    Lookup::Found(Holder {
                        account: Arc::new(account(login)),
                        age_ms: 0,
                        memberships: Memberships(memberships.iter().copied().collect()),
                    })
                }
                Play::Ambiguous => Lookup::Ambiguous,
                Play::Unavailable => Lookup::Unavailable,
                Play::Hangs => pending().await,
            }
        })
    }

    fn recipient<'a>(&'a self, _: &'a Address, _: Author<'a>) -> Answer<'a, RecipientLookup> {
        answer(async move {
            match self.recipients.clone() {
                Some(found) => found,
                None => pending().await,
            }
        })
    }

    fn path<'a>(&'a self, _: &'a AccountKey, _: &'a str) -> Answer<'a, Vec<String>> {
        answer(ready(Vec::new()))
    }
}

fn account(login: &Login) -> Account {
    Account {
        key: AccountKey::object("scripted", login.folded()),
        name: login.raw().into(),
        logins: Box::new([login.folded().into()]),
        addresses: Box::new([]),
        state: AccountState::Enabled,
        dn: None,
        password_set: None,
        other_address: None,
    }
}

/// The one place that knows what an answer is made of.
fn answer<'a, T>(future: impl Future<Output = T> + Send + 'a) -> Answer<'a, T> {
    Answer::Later(Box::pin(future))
}
