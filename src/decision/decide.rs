//! `decide`: a case in, a decision out.

use crate::decision::checks::Judging;
use crate::decision::{
    AtEnd, DecisionId, Identity, Known, Listener, Outcome, QuotaVerdict, Reason, Remaining,
    ReplyNames, Rules, Trail,
};
use crate::detector::Inspection;
use crate::mail::{AccountKey, Facts, Login, Mode, Reply, SmtpReply, Stage, Timestamp};
use crate::record::Record;
use crate::rights::Lookup;
use crate::suspension::Suspension;

/// Everything one decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    pub listener: &'a Listener,
    pub facts: &'a Facts,
    pub known: &'a Known,
    pub rules: &'a Rules,
}

/// What quotas say of a message, and what was left before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaTold {
    pub verdict: QuotaVerdict,
    pub remaining: Vec<Remaining>,
}

/// The answer, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub reply: Reply,
    /// The objection that settled it; in observe mode the one that would have.
    pub reason: Option<Reason>,
    /// The listener's mode: in observe the reply is no objection whatever the reason.
    pub mode: Mode,
    pub trail: Trail,
    /// What the detector found, where it was asked.
    pub found: Option<Box<Inspection>>,
    /// What the quotas say, where some hold.
    pub quota: Option<Box<QuotaTold>>,
    /// The suspension that stands, or that this decision imposes.
    pub suspension: Option<Box<Suspension>>,
}

impl Decision {
    /// The word for metrics and logs.
    pub fn action(&self) -> &'static str {
        match &self.reply {
            Reply::NoObjection => "pass",
            Reply::Grant => "grant",
            Reply::Refuse(refusal) if refusal.is_temporary() => "defer",
            Reply::Refuse(_) => "reject",
            Reply::Hold(_) => "hold",
        }
    }

    pub const ACTIONS: [&'static str; 5] = ["pass", "grant", "reject", "defer", "hold"];

    /// Objections of checks that only observe.
    pub fn observed(&self) -> impl Iterator<Item = Reason> {
        self.trail.iter().filter_map(|step| match step.outcome {
            Outcome::WouldObject(reason) => Some(reason),
            _ => None,
        })
    }
}

/// Judges one question. Pure: the same case gives the same decision. `record` is what is kept of the account
/// it is charged to; `None`: nothing, or nobody.
pub fn decide(case: Case, record: Option<&Record>, at: Timestamp) -> Decision {
    let mut judging = Judging::new(case, record, at);
    let settled = judging.run();
    let may_grant = judging.may_grant();
    let quota = judging.quota.take();
    let suspension = record.and_then(|record| record.in_force(at));
    let mut decision = case.decision(settled, judging.trail, may_grant, suspension);
    decision.quota = quota;
    decision
}

impl<'a> Case<'a> {
    /// The id of this question; made when somebody is told it.
    pub fn id(&self) -> DecisionId {
        DecisionId::of(&self.listener.mta, self.facts)
    }

    /// The login as it is looked up: rewritten, where a rewriting matched.
    pub fn login(&self) -> Option<&'a Login> {
        self.known.rewritten.as_ref().or(self.facts.login.as_ref())
    }

    /// The account this question is charged to: the login's, or behind a gateway the author's.
    /// `None`: nobody's.
    pub fn account_key(&self) -> Option<AccountKey> {
        let gateway = self.known.gateway.map(|index| self.rules.gateways[index].identity);
        let (login, lookup) = match (gateway, &self.known.author) {
            (Some(Identity::None), _) | (Some(Identity::Sender), None) => return None,
            (Some(Identity::Sender), Some(author)) => (&author.login, Some(&author.account)),
            _ => (self.login()?, self.known.account.as_ref()),
        };
        Some(match lookup.and_then(Lookup::account) {
            Some(account) => account.key.clone(),
            None => AccountKey::unresolved(login),
        })
    }

    /// The decision that follows from what the checks found.
    pub(super) fn decision(
        self,
        settled: Result<(), Reason>,
        trail: Trail,
        may_grant: bool,
        suspension: Option<&Suspension>,
    ) -> Decision {
        let mode = self.listener.mode;
        let enforces = mode == Mode::Enforce;
        let reply = match settled {
            Err(reason) if enforces => self.refuse(reason, self.told_id(reason, suspension)),
            Ok(()) if enforces && may_grant => Reply::Grant,
            _ => Reply::NoObjection,
        };
        let suspension = suspension.cloned().map(Box::new);
        Decision { reply, reason: settled.err(), mode, trail, found: None, quota: None, suspension }
    }

    /// A decision that would let the mail pass, where what it needed cannot be had.
    pub fn deferred(self, decision: Decision) -> Decision {
        if decision.reason.is_some() {
            return decision;
        }
        let Decision { trail, found, suspension, .. } = decision;
        let deferred = self.decision(Err(Reason::OwnFault), trail, false, suspension.as_deref());
        Decision { found, ..deferred }
    }

    /// A refusal for a suspension bears that one's id.
    fn told_id(&self, reason: Reason, suspension: Option<&Suspension>) -> DecisionId {
        let own = suspension.filter(|_| reason == Reason::AccountSuspended);
        own.and_then(|own| DecisionId::parse(&own.id)).unwrap_or_else(|| self.id())
    }

    /// A refusal for good at the end of the message may hold it; one for now lets the client try again.
    pub(super) fn refuse(&self, reason: Reason, id: DecisionId) -> Reply {
        let refusal = self.fill(reason, id);
        let is_end = self.facts.stage == Stage::EndOfMessage;
        match self.listener.at_end {
            AtEnd::Quarantine if is_end && !refusal.is_temporary() => Reply::Hold(refusal),
            _ => Reply::Refuse(refusal),
        }
    }

    pub(super) fn fill(&self, reason: Reason, id: DecisionId) -> SmtpReply {
        let envelope = &self.facts.envelope;
        let author = self.known.author.as_ref().map(|author| &author.login);
        let login = self.facts.login.as_ref().or(author).map_or("this client", Login::raw);
        let sender = envelope.sender.to_string();
        let recipient = envelope.recipient.as_ref().map(ToString::to_string).unwrap_or_default();
        let domain = match envelope.recipient.as_ref() {
            Some(recipient) if recipient.is_routed() => recipient.to_string(),
            Some(recipient) => {
                String::from_utf8_lossy(recipient.domain().unwrap_or_default()).into_owned()
            }
            None => String::new(),
        };
        let names = ReplyNames { values: [login, &sender, &recipient, &domain] };
        self.rules.replies.fill(reason, id, names)
    }
}
