//! Who a login is and what it holds, told for the help desk: its account, each right with the entry
//! that gives or takes it, the senders it may use, its groups.

mod sitter;

use serde::{Deserialize, Serialize};

use crate::decision::portrait::sitter::Sitter;
use crate::decision::story::{StoryStep, Teller};
use crate::decision::words::state_word;
use crate::decision::{Case, Check, Decision, Outcome, Paths, decide};
use crate::mail::Timestamp;
use crate::record::Record;
use crate::rights::{Finding, Holder, Lookup, Right, Subject};

/// What `gatepost rights LOGIN` shows; the fields may grow, none will change its meaning within /1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portrait {
    /// `gatepost.rights/1`
    pub schema: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// The configuration file.
    pub rules: String,
    pub login: String,
    /// One line: whether it may submit and relay.
    pub summary: String,
    pub found: Found,
    /// Whether a mail of it is taken at all, where its listener enforces.
    pub may_submit: May,
    /// Whether one to an external recipient is, from a client that no relay list names.
    pub may_relay: May,
    /// Why it may not submit: a word of docs/replies.md.
    pub reason: Option<String>,
    /// Who this is taken for, and the standing.
    pub steps: Vec<StoryStep>,
    pub account: Option<ShownAccount>,
    /// The submit right and the relay right.
    pub rights: Vec<ShownRight>,
    /// The mode of `[sender] ownership`.
    pub sender_ownership: String,
    /// What it may send as beside its own addresses and the null sender.
    pub senders: Vec<ShownSenders>,
    /// Every group the configuration names.
    pub groups: Vec<ShownGroup>,
}

/// What came of the login in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    Found,
    NotFound,
    Ambiguous,
    Unavailable,
    NoDirectory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum May {
    Yes,
    No,
    /// It is not known now, or passes by itself.
    NotNow,
}

/// What became of a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Allowed,
    Denied,
    NothingAllowsIt,
    NotKnownNow,
    /// There is no directory, no grant and no relay list.
    NotJudged,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownAccount {
    pub name: String,
    pub key: String,
    /// RFC 4514.
    pub dn: Option<String>,
    /// enabled, disabled, expired, locked for now
    pub state: String,
    /// RFC 3339, UTC.
    pub password_set: Option<String>,
    pub logins: Vec<String>,
    pub addresses: Vec<String>,
    /// How long ago the directory said all this; 0: just now.
    pub age_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownRight {
    /// submit, relay
    pub right: String,
    pub verdict: Verdict,
    /// The mode in which the right is judged.
    pub mode: String,
    /// The entry in words, or why there is none.
    pub found: String,
    /// The line of the configuration that settled it.
    pub settled_by: Option<String>,
    /// Entries that speak of it beside the one that settled it.
    pub also: Vec<ShownEntry>,
    /// The verdict if the grants that only observe counted, where that is another one.
    pub observed: Option<Verdict>,
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownEntry {
    /// allow, deny
    pub ruling: String,
    /// `false`: the directory cannot say now whether the entry speaks of this login.
    pub is_known: bool,
    pub mode: String,
    pub what: String,
    pub line: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownSenders {
    /// Addresses; `@example.org` is all of a domain, `@.example.org` all of those below it.
    pub senders: Vec<String>,
    pub is_known: bool,
    pub what: String,
    pub line: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownGroup {
    pub group: String,
    /// yes, no, unknown
    pub member: String,
    /// From the account to the group; empty when it is no member, or when nobody can say.
    pub path: Vec<String>,
}

impl Portrait {
    /// Tells of the login of `case`, a question at MAIL from the null sender on
    /// [`Listener::of_no_socket`](crate::decision::Listener::of_no_socket). `None`: it has no login.
    /// `record`: what is kept of its account.
    pub fn tell(case: Case, paths: &Paths, record: Option<&Record>, at: Timestamp) -> Option<Self> {
        let subject = Subject { login: case.login()?, lookup: case.known.account.as_ref() };
        let decision = decide(case, record, at);
        let teller = Teller { case, paths, decision: &decision };
        let (login, found) = (teller.login(), Found::of(subject.lookup));
        let may_submit = May::of(&decision);
        let holder = match subject.lookup {
            Some(Lookup::Found(holder)) => Some(holder),
            _ => None,
        };
        let sitter = Sitter { case, entries: teller.entries(), subject, login: &login };
        let may_relay = sitter.may_relay(may_submit);
        let rights = Right::ALL.map(|right| sitter.right(right, may_submit));
        Some(Self {
            schema: "gatepost.rights/1".into(),
            at: at.to_string(),
            rules: case.rules.file.to_string(),
            summary: summary(&login, found, &decision, may_submit, may_relay),
            found,
            may_submit,
            may_relay,
            reason: decision.reason.map(|reason| reason.to_string()),
            steps: teller.identity().into_iter().chain(standing(&teller, &decision)).collect(),
            account: holder.map(ShownAccount::of),
            rights: rights.into(),
            sender_ownership: case.rules.sender.ownership.as_str().into(),
            senders: sitter.senders(),
            groups: sitter.groups(),
            login,
        })
    }
}

impl Found {
    fn of(lookup: Option<&Lookup>) -> Self {
        match lookup {
            None => Self::NoDirectory,
            Some(Lookup::Found(_)) => Self::Found,
            Some(Lookup::NotFound) => Self::NotFound,
            Some(Lookup::Ambiguous) => Self::Ambiguous,
            Some(Lookup::Unavailable) => Self::Unavailable,
        }
    }
}

impl May {
    fn of(decision: &Decision) -> Self {
        let by_failure = |outcome| matches!(outcome, Outcome::PassByFailure);
        match decision.reason {
            Some(reason) if reason.is_passing() => Self::NotNow,
            Some(_) => Self::No,
            None if decision.trail.iter().any(|step| by_failure(step.outcome)) => Self::NotNow,
            None => Self::Yes,
        }
    }
}

impl Verdict {
    pub(super) const fn of(found: Finding) -> Self {
        match found {
            Finding::Allowed(_) => Self::Allowed,
            Finding::Denied(_) => Self::Denied,
            Finding::Silent => Self::NothingAllowsIt,
            Finding::MaybeAllowed(_) | Finding::MaybeDenied(_) => Self::NotKnownNow,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::NothingAllowsIt => "nothing allows it",
            Self::NotKnownNow => "not known now",
            Self::NotJudged => "not judged",
        }
    }
}

impl ShownAccount {
    fn of(holder: &Holder) -> Self {
        let account = &holder.account;
        let address = |address: &[u8]| String::from_utf8_lossy(address).into_owned();
        Self {
            name: account.name.to_string(),
            key: account.key.to_string(),
            dn: account.dn.as_ref().map(ToString::to_string),
            state: state_word(account.state).into(),
            password_set: account.password_set.map(|set| set.to_string()),
            logins: account.logins.iter().map(ToString::to_string).collect(),
            addresses: account.addresses.iter().map(|own| address(own)).collect(),
            age_ms: holder.age_ms,
        }
    }
}

fn standing(teller: &Teller, decision: &Decision) -> Vec<StoryStep> {
    let steps = decision.trail.iter().filter(|step| step.check == Check::Standing);
    steps.map(|step| teller.step(step)).collect()
}

/// Whether it was found, and what it may.
fn summary(login: &str, found: Found, decision: &Decision, submit: May, relay: May) -> String {
    let who = match found {
        Found::Found | Found::NoDirectory => login.into(),
        Found::NotFound => format!("the directory does not know {login}; it"),
        Found::Ambiguous => format!("{login} names more than one account in the directory; it"),
        Found::Unavailable => {
            format!("the directory does not answer, and nothing is remembered of {login}, which")
        }
    };
    match (submit, decision.reason, relay) {
        (May::Yes, _, May::Yes) => format!("{who} may submit and relay"),
        (May::Yes, _, May::No) => format!("{who} may submit, but not relay"),
        (May::Yes, _, May::NotNow) => {
            format!("{who} may submit; whether it may relay is not known now")
        }
        (May::No, Some(reason), _) => format!("{who} may not submit: {reason}"),
        (_, Some(reason), _) => format!("{who} may not submit for now: {reason}"),
        (_, None, _) => {
            format!("{who} passes by on-failure = \"pass\": whether it may submit is not known now")
        }
    }
}
