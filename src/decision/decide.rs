//! `decide`: a case in, a decision out.

use crate::decision::checks::Judging;
use crate::decision::id::fingerprint;
use crate::decision::{
    AtEnd, DecisionId, Identity, Known, Listener, Outcome, Reason, ReplyNames, Rules, Trail,
};
use crate::ledger::Charge;
use crate::mail::{AccountKey, Address, Facts, Login, Reply, SmtpReply, Stage, Timestamp};
use crate::record::{Change, Record};
use crate::rights::{Lookup, Mode};

/// Everything one decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    pub listener: &'a Listener,
    pub facts: &'a Facts,
    pub known: &'a Known,
    pub rules: &'a Rules,
}

/// The answer, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub reply: Reply,
    /// The objection that settled it; in observe mode the one that would have.
    pub reason: Option<Reason>,
    /// The listener's mode: in observe the reply is no objection whatever the reason.
    pub mode: Mode,
    pub trail: Trail,
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

/// Judges one question. Pure: the same case gives the same decision.
pub fn decide(case: Case) -> Decision {
    let mut judging = Judging::new(case);
    let settled = judging.run();
    let enforces = case.listener.mode == Mode::Enforce;
    let reply = match settled {
        Err(reason) if enforces => case.refuse(reason),
        Ok(()) if enforces && judging.may_grant() => Reply::Grant,
        _ => Reply::NoObjection,
    };
    Decision { reply, reason: settled.err(), mode: case.listener.mode, trail: judging.trail }
}

/// Judges one question with the account's record in hand and charges the message when it passes.
/// Pure, so that the store may run it twice.
pub fn judge(case: Case, record: &Record, at: Timestamp) -> (Decision, Change) {
    let decision = decide(case);
    let mut change = Change::default();
    if !matches!(decision.reply, Reply::Refuse(_)) {
        let mut record = record.clone();
        if record.usage.charge(case.charge(), at) {
            change.record = Some(record);
        }
    }
    (decision, change)
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

    /// Named by MTA and transaction, so that a repeated question charges nothing. At RCPT each
    /// recipient is a charge of its own.
    fn charge(&self) -> Charge {
        let envelope = &self.facts.envelope;
        let at_rcpt = self.facts.stage == Stage::Rcpt;
        let (mta, instance) = (self.listener.mta.as_bytes(), envelope.instance.as_bytes());
        if at_rcpt {
            // The queue id comes only with the second recipient.
            let recipient = envelope.recipient.as_ref().map_or(&[][..], Address::as_bytes);
            return Charge {
                message: fingerprint(&[b"charge", mta, instance]),
                recipient: Some(fingerprint(&[b"charge", mta, instance, recipient])),
                recipients: 1,
            };
        }
        let message = fingerprint(&[b"charge", mta, instance, envelope.queue_id.as_bytes()]);
        Charge { message, recipient: None, recipients: envelope.recipient_count.max(1) }
    }

    /// A refusal for good at the end of the message may hold it; one for now lets the client try again.
    fn refuse(&self, reason: Reason) -> Reply {
        let refusal = self.fill(reason);
        let is_end = self.facts.stage == Stage::EndOfMessage;
        match self.listener.at_end {
            AtEnd::Quarantine if is_end && !refusal.is_temporary() => Reply::Hold(refusal),
            _ => Reply::Refuse(refusal),
        }
    }

    fn fill(&self, reason: Reason) -> SmtpReply {
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
        self.rules.replies.fill(reason, self.id(), names)
    }
}
