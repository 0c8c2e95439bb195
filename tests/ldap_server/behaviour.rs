//! How the server is in general, as against what a script has it do once. As Windows AD by default.

use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Entries a search gets at most without paging, and a page has at most (MaxPageSize).
    pub max_page_size: usize,
    /// Values of one attribute that come at once (MaxValRange).
    pub max_val_range: usize,
    /// `björn` equals `bjorn`, and full-width letters equal others.
    pub accents_fold: bool,
    pub in_chain: InChain,
    /// memberOf is computed; else an entry has the one it was given, if any.
    pub member_of: bool,
    /// tokenGroups is computed; else an entry has the one it was given, if any. Absent on Windows AD
    /// where whoever asks may not read it (KB 331951).
    pub token_groups: bool,
    /// What a base of another domain gets is a referral (rc 10) and not rc 32.
    pub refers: bool,
    /// A search below the naming context ends with references to the other partitions.
    pub partitions: bool,
    /// A search needs a bind first, except that of the rootDSE.
    pub needs_bind: bool,
    /// A connection on which nothing is asked is closed (MaxConnIdleTime).
    pub idle: Option<Duration>,
}

/// What becomes of the rule LDAP_MATCHING_RULE_IN_CHAIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InChain {
    Works,
    /// rc 12, as 389-ds says.
    Refused,
    /// rc 0 and no entries, as OpenLDAP says.
    FindsNothing,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            max_page_size: 1000,
            max_val_range: 1500,
            accents_fold: true,
            in_chain: InChain::Works,
            member_of: true,
            token_groups: true,
            refers: true,
            partitions: true,
            needs_bind: true,
            idle: None,
        }
    }
}
