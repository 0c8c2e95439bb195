//! `[[grant]]` and `[[sender.grant]]`: rights by user and group.

use crate::mail::{Address, FoldedAddress, Login, Mode};
use crate::rights::{Finding, Lookup, Membership, Source};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ruling {
    Allow,
    Deny,
}

impl Ruling {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    Submit,
    Relay,
}

impl Right {
    pub const ALL: [Right; 2] = [Right::Submit, Right::Relay];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Relay => "relay",
        }
    }
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
    pub const fn ruling(&self, right: Right) -> Option<Ruling> {
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
    /// Whole domains, folded; with a leading dot everything below one.
    pub domains: Vec<Vec<u8>>,
    pub line: usize,
}

impl SenderGrant {
    fn has_domain(&self, domain: &[u8]) -> bool {
        self.domains.iter().any(|own| match own.first() {
            Some(b'.') => domain.ends_with(own),
            _ => own == domain,
        })
    }
}

/// A login, and what the directory says of it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub login: &'a Login,
    /// `None`: there is no directory, so that a login is what it says it is.
    pub lookup: Option<&'a Lookup>,
}

impl Subject<'_> {
    /// Whether an entry speaks of it.
    pub fn is(&self, who: &Who) -> Membership {
        match (who, self.lookup) {
            (Who::User(user), _) if user == self.login => Membership::Yes,
            (Who::User(user), Some(Lookup::Found(holder))) if holder.account.answers_to(user) => {
                Membership::Yes
            }
            (Who::Group(index), Some(Lookup::Found(holder))) => holder.memberships.of(*index),
            (_, None | Some(Lookup::Found(_) | Lookup::NotFound)) => Membership::No,
            // It may be an alias of the very user the entry names.
            (_, Some(Lookup::Ambiguous | Lookup::Unavailable)) => Membership::Unknown,
        }
    }
}

/// What the grants say of one right. Deny beats allow by whatever path, and the order of entries
/// does not matter. Grants that only observe are left out unless `with_observed`.
pub fn resolve(right: Right, subject: Subject, grants: &[Grant], with_observed: bool) -> Finding {
    let mut settled = Finding::Silent;
    for (index, grant) in grants.iter().enumerate() {
        let counts = grant.mode == Mode::Enforce || (with_observed && grant.mode == Mode::Observe);
        if counts {
            settled = settled.or(said(right, subject, grant, index));
        }
    }
    settled
}

/// What one grant by itself says of a right; `index` is its place among the grants.
pub fn said(right: Right, subject: Subject, grant: &Grant, index: usize) -> Finding {
    let Some(ruling) = grant.ruling(right) else { return Finding::Silent };
    // A login that the directory does not know holds no right, whatever it is called.
    if ruling == Ruling::Allow && subject.lookup == Some(&Lookup::NotFound) {
        return Finding::Silent;
    }
    let source = Source::Grant(index as u32);
    match (subject.is(&grant.who), ruling) {
        (Membership::No, _) => Finding::Silent,
        (Membership::Yes, Ruling::Allow) => Finding::Allowed(source),
        (Membership::Yes, Ruling::Deny) => Finding::Denied(source),
        (Membership::Unknown, Ruling::Allow) => Finding::MaybeAllowed(source),
        (Membership::Unknown, Ruling::Deny) => Finding::MaybeDenied(source),
    }
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
        Some(Lookup::Found(holder)) => {
            let account = &holder.account;
            if account.owns(sender) || plain.as_ref().is_some_and(|plain| account.owns(plain)) {
                return Finding::Allowed(Source::OwnAddress);
            }
            Finding::Silent
        }
        None | Some(Lookup::NotFound) => Finding::Silent,
        Some(Lookup::Ambiguous | Lookup::Unavailable) => Finding::MaybeAllowed(Source::OwnAddress),
    };
    let (folded, plain) = (sender.folded(), plain.map(|plain| plain.folded()));
    for (index, grant) in grants.iter().enumerate() {
        let named = grant.addresses.iter().any(|a| *a == folded || Some(a) == plain.as_ref())
            || sender.domain().is_some_and(|domain| grant.has_domain(domain));
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
