//! Quotas: which limits hold for a login or a client.

mod verdict;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use smallvec::SmallVec;

use crate::decision::{Case, Reason};
use crate::ledger::Counted;
use crate::mail::Mode;
use crate::rights::{Lookup, Membership, Subject, Who};

pub use verdict::{Exceeded, QuotaVerdict, Remaining, Watched, judge_quotas, remaining};

/// Whom a quota is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuotaFor {
    Who(Who),
    Net(IpNet),
    /// Every login.
    Default,
}

/// What becomes of a message that does not fit, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnExceed {
    Hold,
    Defer,
    Reject,
}

impl OnExceed {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Defer => "defer",
            Self::Reject => "reject",
        }
    }

    /// The reason of the refusal; for a hold, of the one where the message cannot be held.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Hold | Self::Defer => Reason::QuotaExceeded,
            Self::Reject => Reason::QuotaRejected,
        }
    }
}

/// So many messages or recipients within a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub counted: Counted,
    /// From 1.
    pub most: u32,
    pub window: Duration,
    /// Line in the configuration, from 1.
    pub line: usize,
}

/// One `[[quota]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    pub whose: QuotaFor,
    pub rates: Vec<Rate>,
    pub on_exceed: OnExceed,
    pub mode: Mode,
    pub line: usize,
}

/// A rate that holds for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub rate: Rate,
    pub on_exceed: OnExceed,
    /// Observe or enforce.
    pub mode: Mode,
    /// Index into [`Quotas::entries`].
    pub quota: usize,
}

/// The limits that hold for one login or client: for each window and thing counted at most one that enforces,
/// and one that would take its place if it did not only observe.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Limits(SmallVec<[Limit; 4]>);

impl Limits {
    pub fn iter(&self) -> impl Iterator<Item = &Limit> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// All quotas of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Quotas {
    entries: Vec<Quota>,
    /// The quotas of users by their login, folded; and by the address that it spells, where that is compared in
    /// another form. Only the configuration's own names are put in.
    users: HashMap<Box<[u8]>, usize, foldhash::fast::RandomState>,
    /// The most that any user has, for a login that may be any of them.
    of_some_user: Vec<Limit>,
    /// The quotas that are for no user.
    others: Vec<usize>,
    /// What is counted, and within which window; each once.
    kinds: Vec<(Counted, Duration)>,
    windows: Vec<Duration>,
}

/// How much a quota has to do with somebody: a later one outweighs an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Default,
    /// By the length of its prefix.
    Net(u8),
    Group,
    User,
}

/// A limit that may hold.
#[derive(Clone, Copy)]
struct Candidate {
    rank: Rank,
    /// `false`: the directory cannot say now.
    is_sure: bool,
    limit: Limit,
}

impl Quotas {
    /// Those that are off count for nothing.
    pub fn new(entries: Vec<Quota>) -> Self {
        let mut quotas = Self { entries, ..Self::default() };
        for (index, quota) in quotas.entries.iter().enumerate() {
            if quota.mode == Mode::Off {
                continue;
            }
            if let QuotaFor::Who(Who::User(login)) = &quota.whose {
                quotas.users.insert(login.folded().as_bytes().into(), index);
                if let Some(address) = login.as_idn_address() {
                    quotas.users.insert(address.folded().to_vec().into(), index);
                }
                quotas.of_some_user.extend(limits(quota, index));
            } else {
                quotas.others.push(index);
            }
            quotas.kinds.extend(quota.rates.iter().map(|rate| (rate.counted, rate.window)));
        }
        quotas
            .of_some_user
            .sort_by_key(|limit| (kind(limit), limit.mode, Reverse(generous(limit))));
        quotas.of_some_user.dedup_by_key(|limit| (kind(limit), limit.mode));
        quotas.kinds.sort_unstable();
        quotas.kinds.dedup();
        quotas.windows = quotas.kinds.iter().map(|(_, window)| *window).collect();
        quotas.windows.sort_unstable();
        quotas.windows.dedup();
        quotas
    }

    /// In the order of the configuration.
    pub fn entries(&self) -> &[Quota] {
        &self.entries
    }

    /// The lengths of all windows. An account is charged in all of them, whatever holds for it now: else what it
    /// used would be forgotten while the directory does not tell its groups.
    pub fn windows(&self) -> &[Duration] {
        &self.windows
    }

    /// The limits of a login, and of a client without one (`subject` is `None`), which only quotas of networks
    /// speak of. `client` is `None` where the address says nothing of who sends, as behind a gateway.
    ///
    /// The most specific limit wins, for each window and thing counted by itself: user, group, the longest prefix of a
    /// network, default; and of several groups the largest. Where the directory cannot say who
    /// somebody is, the largest holds that its answer could give: not knowing refuses no mail.
    pub fn of(&self, subject: Option<Subject>, client: Option<IpAddr>) -> Limits {
        let mut limits = Limits::default();
        let candidates = self.candidates(subject, client);
        for of in &self.kinds {
            limits.0.extend(settle(&candidates, *of, false));
            let observed = settle(&candidates, *of, true);
            limits.0.extend(observed.filter(|limit| limit.mode == Mode::Observe));
        }
        limits
    }

    fn candidates(
        &self,
        subject: Option<Subject>,
        client: Option<IpAddr>,
    ) -> SmallVec<[Candidate; 16]> {
        let mut candidates = SmallVec::new();
        let mut put = |rank, is_sure, quota| {
            let limits = limits(&self.entries[quota], quota);
            candidates.extend(limits.map(|limit| Candidate { rank, is_sure, limit }));
        };
        for quota in subject.iter().flat_map(|subject| self.users_that_are(*subject)) {
            put(Rank::User, true, quota);
        }
        for quota in self.others.iter().copied() {
            match (&self.entries[quota].whose, &subject) {
                (QuotaFor::Who(who @ Who::Group(_)), Some(subject)) => match subject.is(who) {
                    Membership::Yes => put(Rank::Group, true, quota),
                    Membership::Unknown => put(Rank::Group, false, quota),
                    Membership::No => {}
                },
                (QuotaFor::Net(net), _) if client.is_some_and(|client| net.contains(&client)) => {
                    put(Rank::Net(net.prefix_len()), true, quota);
                }
                (QuotaFor::Default, Some(_)) => put(Rank::Default, true, quota),
                _ => {}
            }
        }
        let lookup = subject.and_then(|subject| subject.lookup);
        if matches!(lookup, Some(Lookup::Ambiguous | Lookup::Unavailable)) {
            let some = self.of_some_user.iter().copied();
            candidates.extend(some.map(|limit| Candidate {
                rank: Rank::User,
                is_sure: false,
                limit,
            }));
        }
        candidates
    }

    /// The quotas for a user that name this one, in any of the account's spellings and addresses.
    fn users_that_are(&self, subject: Subject) -> SmallVec<[usize; 2]> {
        let mut found = SmallVec::new();
        if self.users.is_empty() {
            return found;
        }
        let mut look = |name: &[u8]| {
            if let Some(quota) = self.users.get(name)
                && !found.contains(quota)
            {
                found.push(*quota);
            }
        };
        look(subject.login.folded().as_bytes());
        if let Some(account) = subject.lookup.and_then(Lookup::account) {
            account.logins.iter().for_each(|login| look(login.as_bytes()));
            account.addresses.iter().for_each(|address| look(address));
        }
        found
    }
}

impl Case<'_> {
    /// The limits of whom this question is charged to. Behind a gateway the client's address says nothing of him.
    pub fn limits(&self) -> Limits {
        let subject = match (&self.known.author, self.login()) {
            (Some(author), _) => {
                Some(Subject { login: &author.login, lookup: Some(&author.account) })
            }
            (None, Some(login)) => Some(Subject { login, lookup: self.known.account.as_ref() }),
            (None, None) => None,
        };
        let client = self.facts.client.address.filter(|_| self.known.gateway.is_none());
        self.rules.quotas.of(subject, client)
    }
}

fn limits(entry: &Quota, quota: usize) -> impl Iterator<Item = Limit> {
    let Quota { on_exceed, mode, .. } = *entry;
    entry.rates.iter().map(move |rate| Limit { rate: *rate, on_exceed, mode, quota })
}

const fn kind(limit: &Limit) -> (Counted, Duration) {
    (limit.rate.counted, limit.rate.window)
}

/// Orders limits of one kind and rank: the largest, then the mildest.
const fn generous(limit: &Limit) -> (u32, Reverse<OnExceed>) {
    (limit.rate.most, Reverse(limit.on_exceed))
}

/// The limit of one kind that holds: the most specific of those that are sure, or a larger one that is no less
/// specific and may hold. One that may hold by itself alone does not: the answer could be that there is none.
fn settle(candidates: &[Candidate], of: (Counted, Duration), with_observed: bool) -> Option<Limit> {
    let counts = |candidate: &&Candidate| {
        kind(&candidate.limit) == of && (with_observed || candidate.limit.mode == Mode::Enforce)
    };
    let sure = candidates
        .iter()
        .filter(counts)
        .filter(|candidate| candidate.is_sure)
        .max_by_key(|candidate| (candidate.rank, generous(&candidate.limit)))?;
    let perhaps = candidates
        .iter()
        .filter(counts)
        .filter(|candidate| !candidate.is_sure && candidate.rank >= sure.rank)
        .map(|candidate| candidate.limit)
        .max_by_key(generous);
    perhaps.into_iter().chain([sure.limit]).max_by_key(generous)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod properties;
