//! What the tree of a group says of an account, and for how long.

use std::collections::HashSet;
use std::time::Duration;

use crate::directory::ldap::dn::Dn;
use crate::directory::ldap::member_of::Sight;
use crate::directory::ldap::sid::Sid;
use crate::mail::Timestamp;

/// Groups are looked at once a second, and reading them takes its time: where answers are fresh for
/// less than this, groups must not become unknown in between.
const LEAST_FRESH: Duration = Duration::from_secs(10);

/// How long what was read of a group counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetime {
    fresh: Duration,
    serve_stale: Duration,
}

/// A group and all groups nested in it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub dns: HashSet<Dn>,
    /// AD only.
    pub sids: HashSet<Sid>,
    pub read_at: Timestamp,
    /// Where memberOf does not tell of its members, who is not seen in it may be in it all the same.
    pub sight: Sight,
    /// One of its groups lists logins, of which memberOf knows nothing; or nobody can say.
    pub lists_logins: bool,
}

/// What is known of an account's groups.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// Groups that list it, by DN.
    pub direct: HashSet<Dn>,
    /// Groups that count it by SID: the primary group, and tokenGroups.
    pub sids: HashSet<Sid>,
    /// Nothing is missing, so that what does not appear is a No.
    pub is_complete: bool,
}

impl Lifetime {
    pub fn of(fresh: Duration, serve_stale: Duration) -> Self {
        Self { fresh: fresh.max(LEAST_FRESH), serve_stale }
    }

    /// A clock that was set back makes it old rather than new.
    pub fn is_fresh(self, read_at: Timestamp, at: Timestamp) -> bool {
        read_at <= at && Duration::from_millis(at.ms_since(read_at)) <= self.fresh
    }

    pub fn is_servable(self, read_at: Timestamp, at: Timestamp) -> bool {
        Duration::from_millis(at.ms_since(read_at)) <= self.serve_stale.max(self.fresh)
    }
}

/// By what it says, whenever it was read.
impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        let said = |tree: &Self| (tree.is_blind(), tree.lists_logins);
        self.dns == other.dns && self.sids == other.sids && said(self) == said(other)
    }
}

impl Eq for Tree {}

impl Tree {
    pub fn is_blind(&self) -> bool {
        self.sight == Sight::Blind
    }

    pub fn holds(&self, evidence: &Evidence) -> bool {
        evidence.direct.iter().any(|dn| self.dns.contains(dn))
            || evidence.sids.iter().any(|sid| self.sids.contains(sid))
    }
}
