//! What one question is judged by: the listener it came to, the rules, and what is known.

use ipnet::IpNet;
use regex::Regex;

use crate::decision::{Quotas, Reason, Replies};
use crate::detector;
use crate::mail::{Facts, Login, Protocol, Stage};
use crate::rights::{
    Domains, Finding, Grant, Groups, Lookup, Mode, RecipientLookup, RelayList, Right, SenderGrant,
    Source, Subject, Who, resolve,
};
use crate::suspension;

/// Which way a listener faces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facing {
    /// People and devices hand mail in: a login or a trusted client is needed.
    Submission,
    /// Mail for us comes in from anywhere.
    Internet,
    /// Our own servers and networks; mail for our domains needs no login.
    Internal,
}

/// What an explicit allow of the relay right is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnGrant {
    Dunno,
    Ok,
}

/// The stage at which a message is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChargeAt {
    EndOfMessage,
    Data,
    Rcpt,
    Never,
}

/// What becomes of a message that a finding holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It cannot be held here: it passes, and the account is watched.
    Pass,
    /// The MTA keeps it in its queue (HOLD, quarantine).
    Queue,
    /// The client is told to come again later.
    Defer,
}

/// What becomes of a whole message that is refused for good only at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtEnd {
    Refuse,
    /// It is taken and held in the MTA's queue, for a person to release or delete.
    Quarantine,
}

impl ChargeAt {
    pub fn is(self, stage: Stage) -> bool {
        matches!(
            (self, stage),
            (Self::EndOfMessage, Stage::EndOfMessage)
                | (Self::Data, Stage::Data)
                | (Self::Rcpt, Stage::Rcpt)
        )
    }
}

/// What a listener adds to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its socket, as configured.
    pub name: Box<str>,
    /// The MTA that asks here; part of every key, so that two nodes of one MTA agree.
    pub mta: Box<str>,
    pub protocol: Protocol,
    pub facing: Facing,
    /// Observe answers no objection to everything.
    pub mode: Mode,
    pub on_grant: OnGrant,
    pub charge_at: ChargeAt,
    pub at_end: AtEnd,
    pub hold: Hold,
}

impl Listener {
    /// The listener by which people look at rights: it has no socket, faces submission and enforces.
    pub fn of_no_socket() -> Self {
        Self {
            name: "none".into(),
            mta: "none".into(),
            protocol: Protocol::PolicyDelegation,
            facing: Facing::Submission,
            mode: Mode::Enforce,
            on_grant: OnGrant::Dunno,
            charge_at: ChargeAt::Never,
            at_end: AtEnd::Refuse,
            hold: Hold::Pass,
        }
    }
}

/// `[standing]`: what is done about accounts the directory would not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub disabled: Mode,
    pub expired: Mode,
    pub locked: Mode,
    pub not_found: Mode,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            disabled: Mode::Observe,
            expired: Mode::Observe,
            locked: Mode::Observe,
            not_found: Mode::Observe,
        }
    }
}

impl Standing {
    /// The strictest of the four.
    pub fn strictest(self) -> Mode {
        self.disabled.max(self.expired).max(self.locked).max(self.not_found)
    }
}

/// What a missing answer of the directory means for what was never known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    Defer,
    /// Only that one check passes, and never one that a deny may settle.
    Pass,
}

/// `[sender]`
#[derive(Clone, Debug)]
pub struct SenderRules {
    pub ownership: Mode,
    pub grants: Vec<SenderGrant>,
}

/// `[recipient]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecipientRules {
    pub existence: Mode,
    pub delivery_restrictions: Mode,
}

/// `[detector]` and `[suspension]`
#[derive(Clone, Debug, Default)]
pub struct DetectorRules {
    pub settings: detector::Settings,
    /// Whom no test of recipients is asked of.
    pub bulk: Vec<Who>,
    /// Who is held at most.
    pub never_suspend: Vec<Who>,
    pub suspension: suspension::Settings,
}

/// `[privacy]`: how long what is kept beside the records stays, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Whom a suspended account wrote to, after its suspension ended.
    pub evidence_ms: i64,
    /// Deeds, and suspensions that have ended.
    pub audit_ms: i64,
    pub refusals_ms: i64,
}

const DAY_MS: i64 = 24 * 3_600_000;

impl Default for Retention {
    fn default() -> Self {
        Self { evidence_ms: 90 * DAY_MS, audit_ms: 365 * DAY_MS, refusals_ms: 30 * DAY_MS }
    }
}

/// One `[[gateway]]`: hides the login of those who send through it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    pub who: GatewayMatch,
    pub identity: Identity,
    pub line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayMatch {
    Net(IpNet),
    Login(Login),
}

/// Who it is that sends through a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The owner of the envelope sender: weak evidence, which may take a right but never gives one.
    Sender,
    /// The login it passes on by XCLIENT.
    Xclient,
    /// Nobody in particular.
    None,
}

/// One `[[login.rewrite]]`.
#[derive(Clone, Debug)]
pub struct Rewrite {
    pub pattern: Regex,
    pub to: Box<str>,
    pub line: usize,
}

/// The live part of the configuration.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The configuration file, for `explain`.
    pub file: Box<str>,
    /// Whether rights are judged at all: there is a directory, a grant or a relay list.
    pub judges_rights: bool,
    pub groups: Groups,
    pub standing: Standing,
    pub submit: Mode,
    pub grants: Vec<Grant>,
    pub sender: SenderRules,
    pub recipient: RecipientRules,
    pub domains: Domains,
    pub relay_mode: Mode,
    pub relay: RelayList,
    /// `[relay] authenticated = true`, with its line.
    pub authenticated: Option<usize>,
    pub gateways: Vec<Gateway>,
    pub rewrites: Vec<Rewrite>,
    pub replies: Replies,
    pub on_failure: OnFailure,
    /// What becomes of a question that the store cannot answer. Pass: the rights alone are judged.
    pub store_on_failure: OnFailure,
    pub detector: DetectorRules,
    pub quotas: Quotas,
    pub privacy: Retention,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            file: Box::default(),
            judges_rights: false,
            groups: Groups::default(),
            standing: Standing::default(),
            submit: Mode::Enforce,
            grants: Vec::new(),
            sender: SenderRules { ownership: Mode::Observe, grants: Vec::new() },
            recipient: RecipientRules {
                existence: Mode::Observe,
                delivery_restrictions: Mode::Off,
            },
            domains: Domains::default(),
            relay_mode: Mode::Enforce,
            relay: RelayList::default(),
            authenticated: None,
            gateways: Vec::new(),
            rewrites: Vec::new(),
            replies: Replies::default(),
            on_failure: OnFailure::Defer,
            store_on_failure: OnFailure::Pass,
            detector: DetectorRules::default(),
            quotas: Quotas::default(),
            privacy: Retention::default(),
        }
    }
}

impl Rules {
    /// The login to look up: the first rewriting that matches, else the login itself.
    pub fn rewrite(&self, login: &Login) -> Option<Login> {
        self.rewrites.iter().find_map(|rewrite| {
            let captures = rewrite.pattern.captures(login.raw())?;
            let mut name = String::new();
            captures.expand(&rewrite.to, &mut name);
            Login::parse(name.as_bytes())
        })
    }

    /// The gateway this question came through: by its login in any spelling, or by its network, which
    /// speaks only for mail without a login of its own.
    pub fn gateway(
        &self,
        facts: &Facts,
        login: Option<&Login>,
        account: Option<&Lookup>,
    ) -> Option<usize> {
        let account = account.and_then(Lookup::account);
        self.gateways.iter().position(|gateway| match &gateway.who {
            GatewayMatch::Login(own) => {
                login == Some(own) || account.is_some_and(|account| account.answers_to(own))
            }
            GatewayMatch::Net(net) => {
                facts.login.is_none()
                    && facts.client.address.is_some_and(|address| net.contains(&address))
            }
        })
    }

    /// What `[relay] authenticated` and the grants say of a right of a login.
    pub(super) fn of_login(&self, right: Right, subject: Subject, with_observed: bool) -> Finding {
        let everybody = match self.authenticated {
            Some(_) => Finding::Allowed(Source::Authenticated),
            None => Finding::Silent,
        };
        everybody.or(resolve(right, subject, &self.grants, with_observed))
    }

    pub(super) fn has_observed_grants(&self) -> bool {
        self.grants.iter().any(|grant| grant.mode == Mode::Observe)
    }

    /// The mode in which `reason` is held against a login's standing.
    pub(super) fn standing_mode(&self, reason: Reason) -> Mode {
        match reason {
            Reason::AccountDisabled => self.standing.disabled,
            Reason::AccountExpired => self.standing.expired,
            Reason::AccountLocked => self.standing.locked,
            Reason::LoginNotFound => self.standing.not_found,
            _ => Mode::Enforce,
        }
    }
}

/// What was looked up for one question. `None`: not asked, since nothing needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The login to look up, where a rewriting matched.
    pub rewritten: Option<Login>,
    pub account: Option<Lookup>,
    /// Index into [`Rules::gateways`].
    pub gateway: Option<usize>,
    pub author: Option<KnownAuthor>,
    pub recipient: Option<RecipientLookup>,
}

/// The owner of the envelope sender, behind a gateway that names nobody better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownAuthor {
    pub login: Login,
    pub account: Lookup,
}
