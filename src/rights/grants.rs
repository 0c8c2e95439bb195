//! `[[grant]]` and `[[sender.grant]]`: rights by user and group.

use crate::mail::{Address, FoldedAddress, Login};
use crate::rights::{Finding, Lookup, Membership, Source};

/// What a check does with its objection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Not asked at all.
    Off,
    /// Computed, logged and counted; changes no reply.
    Observe,
    Enforce,
}

impl Mode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ruling {
    Allow,
    Deny,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    Submit,
    Relay,
}

/// Whom an entry speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    User(Login),
    /// Index into [`Groups`](crate::rights::Groups).
    Group(usize),
}

/// One `[[grant]]`. `None`: says nothing of that right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub who: Who,
    pub submit: Option<Ruling>,
    pub relay: Option<Ruling>,
    pub mode: Mode,
    /// Line in the configuration, from 1.
    pub line: usize,
}

impl Grant {
    const fn ruling(&self, right: Right) -> Option<Ruling> {
        match right {
            Right::Submit => self.submit,
            Right::Relay => self.relay,
        }
    }
}

/// One `[[sender.grant]]`: addresses that others than their owner may send as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderGrant {
    pub who: Who,
    /// Folded addresses.
    pub addresses: Vec<FoldedAddress>,
    /// Whole domains, folded.
    pub domains: Vec<Vec<u8>>,
    pub line: usize,
}

/// A login, and what the directory says of it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub login: &'a Login,
    pub lookup: &'a Lookup,
}

impl Subject<'_> {
    fn is(&self, who: &Who) -> Membership {
        match (who, self.lookup) {
            (Who::User(user), _) if user == self.login => Membership::Yes,
            (Who::User(user), Lookup::Found(holder)) if holder.account.answers_to(user) => {
                Membership::Yes
            }
            (Who::Group(index), Lookup::Found(holder)) => holder.memberships.of(*index),
            (_, Lookup::Found(_) | Lookup::NotFound) => Membership::No,
            // It may be an alias of the very user the entry names.
            (_, Lookup::Ambiguous | Lookup::Unavailable) => Membership::Unknown,
        }
    }
}

/// What the grants say of one right. Deny beats allow by whatever path, and the order of entries
/// does not matter. Grants that only observe are left out unless `with_observed`.
pub fn resolve(right: Right, subject: Subject, grants: &[Grant], with_observed: bool) -> Finding {
    let mut settled = Finding::Silent;
    for (index, grant) in grants.iter().enumerate() {
        let Some(ruling) = grant.ruling(right) else { continue };
        let counts = grant.mode == Mode::Enforce || (with_observed && grant.mode == Mode::Observe);
        if !counts {
            continue;
        }
        let source = Source::Grant(index as u32);
        settled = settled.or(match (subject.is(&grant.who), ruling) {
            (Membership::No, _) => continue,
            (Membership::Yes, Ruling::Allow) => Finding::Allowed(source),
            (Membership::Yes, Ruling::Deny) => Finding::Denied(source),
            (Membership::Unknown, Ruling::Allow) => Finding::MaybeAllowed(source),
            (Membership::Unknown, Ruling::Deny) => Finding::MaybeDenied(source),
        });
    }
    settled
}

/// Whether the subject may use this envelope sender: its own addresses, the null sender, or a
/// send-as grant. Extensions count as the address (`alice+lists@x`) where there is a delimiter.
pub fn own_sender(
    subject: Subject,
    sender: &Address,
    grants: &[SenderGrant],
    delimiters: &str,
) -> Finding {
    if sender.is_null() {
        return Finding::Allowed(Source::NullSender);
    }
    let plain = sender.without_extension(delimiters);
    let mut settled = match subject.lookup {
        Lookup::Found(holder) => {
            let account = &holder.account;
            if account.owns(sender) || plain.as_ref().is_some_and(|plain| account.owns(plain)) {
                return Finding::Allowed(Source::OwnAddress);
            }
            Finding::Silent
        }
        Lookup::NotFound => Finding::Silent,
        Lookup::Ambiguous | Lookup::Unavailable => Finding::MaybeAllowed(Source::OwnAddress),
    };
    let (folded, plain) = (sender.folded(), plain.map(|plain| plain.folded()));
    for (index, grant) in grants.iter().enumerate() {
        let named = grant.addresses.iter().any(|a| *a == folded || Some(a) == plain.as_ref())
            || sender.domain().is_some_and(|domain| grant.domains.iter().any(|d| d == domain));
        if !named {
            continue;
        }
        settled = settled.or(match subject.is(&grant.who) {
            Membership::Yes => Finding::Allowed(Source::SenderGrant(index as u32)),
            Membership::Unknown => Finding::MaybeAllowed(Source::SenderGrant(index as u32)),
            Membership::No => continue,
        });
    }
    settled
}
