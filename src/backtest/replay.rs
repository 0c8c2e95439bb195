//! Past mail through the very engine of the daemon, at the time it was sent.

use std::collections::HashSet;
use std::sync::Arc;

use compact_str::format_compact;

use crate::decision::{ChargeAt, Decision, Facing, Hold, Listener, Reason, Rules};
use crate::detector::{Budget, Inspection, Test};
use crate::directory::Directory;
use crate::engine::{Engine, Mark};
use crate::history::{Message, Outcome as Taken};
use crate::ledger::HashKey;
use crate::mail::{Address, Facts, Mode, Protocol, Reply, Stage, Timestamp};
use crate::store::{Memory, Store};
use crate::suspension::{self, Suspension};

/// What a message would have been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Pass,
    Hold,
    /// Refused, and its account suspended by it.
    Suspend,
    Defer,
    Reject,
}

impl Verdict {
    pub const ALL: [Verdict; 5] =
        [Verdict::Pass, Verdict::Hold, Verdict::Suspend, Verdict::Defer, Verdict::Reject];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Hold => "hold",
            Self::Suspend => "suspend",
            Self::Defer => "defer",
            Self::Reject => "reject",
        }
    }
}

/// What came of one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub verdict: Verdict,
    pub reason: Option<Reason>,
    /// The test of the finding that held or suspended.
    pub test: Option<Test>,
    pub found: Option<Box<Inspection>>,
    pub suspension: Option<Box<Suspension>>,
}

/// How past mail is judged.
pub struct Terms {
    /// `None`: everybody may send everywhere, the detector and hold enforce.
    pub rules: Option<Rules>,
    pub directory: Option<Arc<dyn Directory>>,
    /// `None`: that of the rules.
    pub budget: Option<Budget>,
    /// A suspension ends by itself after so many milliseconds, and forgives. `None`: never.
    pub lift_after_ms: Option<i64>,
}

/// One site as it would have been.
pub struct Replay {
    engine: Engine,
    listener: Arc<Listener>,
    /// Each recipient is asked about, as at RCPT: there are rights to judge.
    asks_rights: bool,
    /// Domains of which somebody logged in; mail for them has local recipients. Where the rules name them,
    /// those.
    ours: HashSet<Box<[u8]>>,
    judged: u64,
}

impl Replay {
    pub fn new(terms: Terms) -> Self {
        let has_rules = terms.rules.is_some();
        let mut rules = terms.rules.unwrap_or_default();
        let asks_rights = rules.judges_rights;
        let settings = &mut rules.detector.settings;
        if has_rules {
            settings.mode = enforced(settings.mode);
            settings.hold = enforced(settings.hold);
        } else {
            (settings.mode, settings.hold) = (Mode::Enforce, Mode::Enforce);
            settings.networks = Mode::Off;
        }
        settings.budget = terms.budget.unwrap_or(settings.budget);
        rules.detector.suspension = suspension::Settings::each_alone(terms.lift_after_ms);
        let store = Arc::new(Memory::unbounded());
        Self {
            engine: Engine::new(terms.directory, store, HashKey::default(), rules),
            listener: Arc::new(listener()),
            asks_rights,
            ours: HashSet::new(),
            judged: 0,
        }
    }

    /// A site that learns whom everybody writes to, and judges nothing.
    pub fn learning(terms: Terms, key: HashKey) -> (Self, Arc<Memory>) {
        let mut rules = terms.rules.unwrap_or_default();
        rules.detector.settings.mode = Mode::Off;
        let store = Arc::new(Memory::unbounded());
        let replay = Self {
            engine: Engine::new(terms.directory, Arc::clone(&store) as Arc<dyn Store>, key, rules),
            listener: Arc::new(Listener { mode: Mode::Observe, ..listener() }),
            // What was accepted then is learnt, whatever the rights are now.
            asks_rights: false,
            ours: HashSet::new(),
            judged: 0,
        };
        (replay, store)
    }

    /// Judges the next message; one that was refused in its time is evidence and no message.
    pub async fn judge(&mut self, message: &Message) -> Outcome {
        self.judged += 1;
        let at = message.at;
        let mut facts = Facts::at_stage(Protocol::PolicyDelegation, Stage::EndOfMessage);
        facts.client.address = message.client;
        facts.login = message.login.clone();
        facts.envelope.sender = message.sender.clone();
        facts.envelope.size = message.size;
        // Of its own, whatever the source calls it.
        facts.envelope.instance = format_compact!("{:x}", self.judged);
        let unknown = message.unknown_recipients;
        if unknown > 0 {
            self.engine.count_unknown_recipients(&facts, unknown, at).await;
        }
        if message.outcome == Taken::Refused {
            return Outcome::refused_then();
        }
        let mut recipients = message.recipients.clone();
        if self.asks_rights {
            let asked = recipients.len();
            let mut refused = None;
            let mut taken = Vec::with_capacity(asked);
            for recipient in recipients {
                match self.ask(&facts, &recipient, at).await {
                    Some(outcome) => refused = Some(outcome),
                    None => taken.push(recipient),
                }
            }
            if let (true, Some(outcome)) = (taken.is_empty(), refused) {
                return outcome;
            }
            recipients = taken;
        }
        facts.envelope.recipient_count = u32::try_from(recipients.len()).unwrap_or(u32::MAX);
        if let [only] = &*recipients {
            facts.envelope.recipient = Some(only.clone());
        }
        let judged = self.engine.judge_message(&self.listener, facts, &recipients, at).await;
        let outcome = Outcome::of(judged.decision, at);
        if matches!(outcome.verdict, Verdict::Pass | Verdict::Hold) {
            self.mark(message, recipients).await;
        }
        outcome
    }

    /// The judgement at RCPT, where it refuses.
    async fn ask(&self, facts: &Facts, recipient: &Address, at: Timestamp) -> Option<Outcome> {
        let mut facts = facts.clone();
        facts.stage = Stage::Rcpt;
        facts.envelope.recipient = Some(recipient.clone());
        let judged = self.engine.judge(&self.listener, facts, at).await;
        let refuses = matches!(judged.decision.reply, Reply::Refuse(_));
        refuses.then(|| Outcome::of(judged.decision, at))
    }

    async fn mark(&mut self, message: &Message, recipients: Vec<Address>) {
        if message.sender.is_null() {
            return;
        }
        if message.login.is_some()
            && let Some(domain) = message.sender.domain()
            && !self.ours.contains(domain)
        {
            self.ours.insert(domain.into());
        }
        let ours = &self.ours;
        let is_ours =
            |address: &Address| address.domain().is_none_or(|domain| ours.contains(domain));
        let recipients: Vec<_> = recipients.into_iter().filter(is_ours).collect();
        if !recipients.is_empty() {
            let sender = self.engine.key().address(&message.sender);
            self.engine.mark(Mark { sender, recipients, at: message.at }).await;
        }
    }
}

impl Outcome {
    fn refused_then() -> Self {
        Self { verdict: Verdict::Reject, reason: None, test: None, found: None, suspension: None }
    }

    fn of(decision: Decision, at: Timestamp) -> Self {
        let Decision { reply, reason, found, suspension, .. } = decision;
        let imposed = reason == Some(Reason::AccountSuspended)
            && found.is_some()
            && suspension.as_ref().is_none_or(|suspension| suspension.imposed == at);
        let verdict = match reply {
            Reply::NoObjection | Reply::Grant => Verdict::Pass,
            Reply::Hold(_) => Verdict::Hold,
            Reply::Refuse(_) if imposed => Verdict::Suspend,
            Reply::Refuse(refusal) if refusal.is_temporary() => Verdict::Defer,
            Reply::Refuse(_) => Verdict::Reject,
        };
        let finding = found.as_ref().and_then(|found| found.enforced);
        let test = match verdict {
            Verdict::Hold | Verdict::Suspend => finding.map(|finding| finding.test),
            _ => None,
        };
        Self { verdict, reason, test, found, suspension }
    }
}

/// What only observes is tried out as if it enforced.
fn enforced(mode: Mode) -> Mode {
    if mode == Mode::Off { Mode::Off } else { Mode::Enforce }
}

fn listener() -> Listener {
    Listener {
        name: "backtest".into(),
        mta: "backtest".into(),
        facing: Facing::Internal,
        charge_at: ChargeAt::EndOfMessage,
        hold: Hold::Queue,
        ..Listener::of_no_socket()
    }
}
