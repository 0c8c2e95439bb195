//! The port to the directory: what is known of a login and of a recipient. An adapter translates;
//! it holds no policy and never fails open: not knowing is an answer of its own.

pub mod cache;
mod export;
pub mod file;
pub mod ldap;
pub mod meter;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::mail::{AccountKey, Address, Login};
use crate::rights::{Groups, Holder, Lookup, RecipientLookup};

pub use export::{Export, export};
pub use file::FileDirectory;
pub use ldap::LdapDirectory;

/// An answer, at hand or under way.
pub enum Answer<'a, T> {
    /// From memory: nothing is allocated and no timer started for it.
    Now(T),
    Later(BoxFuture<'a, T>),
}

impl<T> Answer<'_, T> {
    /// As long as the directory takes.
    pub async fn wait(self) -> T {
        match self {
            Self::Now(answer) => answer,
            Self::Later(answer) => answer.await,
        }
    }
}

/// Who writes to a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author<'a> {
    /// Did not log in.
    Nobody,
    /// Logged in, and the directory does not know the login.
    Stranger,
    Account(&'a AccountKey),
}

/// A directory. Every method gives an answer within the directory's own budget; whoever cannot says
/// `Unavailable` or `Unknown`.
pub trait Directory: Send + Sync {
    /// The account behind a login in any of its forms, and its membership of `groups`, nested ones
    /// included.
    fn lookup<'a>(&'a self, login: &'a Login, groups: &'a Groups) -> Answer<'a, Lookup>;

    /// Whether a recipient of a local domain exists, and whether `author` may write to it.
    fn recipient<'a>(
        &'a self,
        recipient: &'a Address,
        author: Author<'a>,
    ) -> Answer<'a, RecipientLookup>;

    /// The accounts behind these logins, one for each: `None` where there is none or more than one, or
    /// nobody can say. For what is kept of an account and never for its rights, and slow.
    fn owners<'a>(
        &'a self,
        logins: &'a [Login],
        groups: &'a Groups,
    ) -> Answer<'a, Vec<Option<AccountKey>>> {
        Answer::Later(Box::pin(async move {
            let mut owners = Vec::with_capacity(logins.len());
            for login in logins {
                let found = self.lookup(login, groups).wait().await;
                owners.push(found.account().map(|account| account.key.clone()));
            }
            owners
        }))
    }

    /// How the account came to be in the group: names from the account to the group, both included.
    /// Empty when it is no member, or when nobody can say. Slow; for `explain` only.
    fn path<'a>(&'a self, account: &'a AccountKey, group: &'a str) -> Answer<'a, Vec<String>>;

    /// Reads again what it was made from, where it has such a source and that has changed; `again`:
    /// also what was refused the last time. `Ok(true)`: it was read. A fault keeps the old content,
    /// and so does the loss of one of `groups`: a deny must not vanish with a group that somebody
    /// renamed.
    fn refresh(&self, _groups: &Groups, _again: bool) -> Result<bool, String> {
        Ok(false)
    }

    /// What it remembers of a login counts no longer where it can be asked for: a person has just changed something.
    fn look_again(&self, _login: &Login) {}

    /// What it does by itself while the daemon runs, until `stop`; `None`: nothing.
    fn tend(&self, _stop: CancellationToken) -> Option<BoxFuture<'static, ()>> {
        None
    }

    /// Everybody it knows, with their membership of `groups`. Slow; for people who ask.
    fn people<'a>(&'a self, _groups: &'a Groups) -> Answer<'a, Result<Vec<Holder>, String>> {
        Answer::Now(Err("this directory cannot list its people".into()))
    }

    /// Every recipient it knows: accounts with an address, each with all its addresses, and whatever
    /// else has one. Slow; for people who ask.
    fn recipients<'a>(&'a self) -> Answer<'a, Result<Vec<ListedRecipient>, String>> {
        Answer::Now(Ok(Vec::new()))
    }

    /// Tries out whatever it depends on. Slow; for `gatepost check --online`.
    fn examine<'a>(&'a self, _groups: &'a Groups) -> Answer<'a, Vec<Examined>> {
        Answer::Now(Vec::new())
    }
}

/// A recipient of a listing. What names nobody stays on its lists: an empty list of those who may
/// write means everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedRecipient {
    pub name: String,
    /// Folded ([`Address::folded`]).
    pub addresses: Vec<Box<str>>,
    /// Takes mail from logged-in senders only.
    pub authenticated_only: bool,
    /// Logins of those who alone may write.
    pub accept_from: Vec<String>,
    /// Groups, by the names [`Groups`] may have, whose members alone may write.
    pub accept_from_groups: Vec<String>,
    /// Logins of those who may not write, whatever the other lists say.
    pub reject_from: Vec<String>,
    pub reject_from_groups: Vec<String>,
}

/// One thing that was tried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// A server, a group, or a part of the directory.
    pub name: String,
    pub what: String,
    pub verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    /// It works, but perhaps not as it was meant.
    Warning,
    /// It does not work.
    Fault,
}

impl Examined {
    pub fn good(name: &str, what: impl Into<String>) -> Self {
        Self { name: name.into(), what: what.into(), verdict: Verdict::Good }
    }

    pub fn warning(name: &str, what: impl Into<String>) -> Self {
        Self { name: name.into(), what: what.into(), verdict: Verdict::Warning }
    }

    pub fn fault(name: &str, what: impl Into<String>) -> Self {
        Self { name: name.into(), what: what.into(), verdict: Verdict::Fault }
    }
}
