//! Gather, decide, record: the one engine behind every door.

mod accounts;
mod breaker;
mod charge;
mod gather;
mod holds;
mod incidents;
mod marks;
mod merge;
mod queues;
mod refusals;
mod release;
mod retention;
mod rights;
mod rounds;
mod samples;
mod subject;
mod suspending;
mod telling;
mod tending;
mod wiring;

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::decision::{
    Because, Case, Decision, Known, Listener, Paths, Reason, Rules, Story, decide,
};
use crate::directory::Directory;
use crate::ledger::HashKey;
use crate::mail::{AccountKey, Address, Facts, Stage, Timestamp};
use crate::rights::{DomainClass, Finding, Lookup, Source, Who};
use crate::store::{Store, StoreFault};

use charge::{is_accepted, transaction};
use gather::within_budget;
use rounds::{Round, Rounds};

pub use accounts::{FromNetwork, ShownAccount, ShownExemption, Standing};
pub use breaker::Opened;
pub use charge::Charged;
pub use holds::{HOLD_MS, Held, HoldEnd, HoldGrade, is_untracked};
pub use incidents::Told;
pub use marks::Mark;
pub use queues::{Ended, Helpers, LetGo, Settler};
pub use refusals::{Refused, ToldRefusal};
pub use release::{Release, Released};
pub use samples::{SAMPLES, Sample};
pub use suspending::{DeedFault, Exempting, Suspending};
pub use telling::Happened;
pub use tending::Census;
pub use wiring::WiringFault;

use breaker::Breaker;
use charge::Outcome;
use merge::Unresolved;
use refusals::Refusals;
use samples::Samples;
use wiring::Wiring;

/// Answers questions by the rules of the moment.
pub struct Engine {
    /// `None`: there is none, and nothing that needs one is judged.
    directory: Option<Arc<dyn Directory>>,
    store: Arc<dyn Store>,
    key: HashKey,
    rules: ArcSwap<Rules>,
    rounds: Rounds,
    samples: Samples,
    unresolved: Unresolved,
    wiring: Wiring,
    breaker: Breaker,
    refusals: Refusals,
    census: Mutex<Option<Census>>,
    marks: mpsc::Sender<Mark>,
    /// Until somebody keeps marking.
    waiting: Mutex<Option<mpsc::Receiver<Mark>>>,
}

/// A decision with all it rests on, enough to tell its story later.
#[derive(Clone)]
pub struct Judged {
    pub listener: Arc<Listener>,
    pub facts: Facts,
    pub known: Known,
    pub rules: Arc<Rules>,
    pub decision: Decision,
    pub at: Timestamp,
    /// Whom it was charged to; `None`: nobody, or not at this stage.
    pub charged: Option<Charged>,
    /// The mail server does not ask as it should.
    pub wiring: Option<WiringFault>,
    /// The store did not take the charge.
    pub store_fault: Option<StoreFault>,
    /// What came of it for the account.
    pub happened: Vec<Happened>,
}

impl Judged {
    pub fn case(&self) -> Case<'_> {
        Case {
            listener: &self.listener,
            facts: &self.facts,
            known: &self.known,
            rules: &self.rules,
        }
    }
}

impl Engine {
    /// `key`: that of all records in `store`.
    pub fn new(
        directory: Option<Arc<dyn Directory>>,
        store: Arc<dyn Store>,
        key: HashKey,
        rules: Rules,
    ) -> Self {
        let (marks, waiting) = mpsc::channel(marks::WAITING);
        Self {
            directory,
            store,
            key,
            rules: ArcSwap::from_pointee(rules),
            rounds: Rounds::default(),
            samples: Samples::default(),
            unresolved: Unresolved::default(),
            wiring: Wiring::default(),
            breaker: Breaker::default(),
            refusals: Refusals::default(),
            census: Mutex::default(),
            marks,
            waiting: Mutex::new(Some(waiting)),
        }
    }

    /// The envelopes an account sent last.
    pub fn samples(&self, account: &AccountKey, at: Timestamp) -> Vec<Sample> {
        self.samples.of(account, at)
    }

    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// The next question is judged by `rules`; one under way keeps the old ones.
    pub fn set_rules(&self, rules: Rules) {
        self.rules.store(Arc::new(rules));
    }

    /// Judges a question, and charges it where the listener says so.
    pub async fn judge(&self, listener: &Arc<Listener>, facts: Facts, at: Timestamp) -> Judged {
        self.run(listener, facts, at, true).await
    }

    /// Judges a whole message of which all recipients are known, and were passed at RCPT; each message under
    /// an instance of its own.
    pub async fn judge_message(
        &self,
        listener: &Arc<Listener>,
        facts: Facts,
        recipients: &[Address],
        at: Timestamp,
    ) -> Judged {
        let rules = self.rules();
        let is_external = |to: &Address| rules.domains.class_of(to).0 == DomainClass::External;
        let round = Round::of(recipients, &self.key, recipients.iter().any(is_external));
        self.run_round(listener, facts, Some(round), at, true).await
    }

    /// So many recipients of this sender's were refused as unknown.
    pub async fn count_unknown_recipients(&self, facts: &Facts, count: u32, at: Timestamp) {
        let rules = self.rules();
        let known = self.gather(facts, &rules).await;
        let listener = Listener::of_no_socket();
        let case = Case { listener: &listener, facts, known: &known, rules: &rules };
        if let Some(account) = case.account_key() {
            self.count_unknown(&account, count, at).await;
        }
    }

    /// Accounts at hand, and the bytes of their records.
    pub fn kept(&self) -> (u64, u64) {
        self.store.kept()
    }

    /// Under which addresses are hashed.
    pub const fn key(&self) -> &HashKey {
        &self.key
    }

    /// As [`judge`](Self::judge) would, leaving no trace.
    pub async fn preview(&self, listener: &Arc<Listener>, facts: Facts, at: Timestamp) -> Judged {
        self.run(listener, facts, at, false).await
    }

    async fn run(
        &self,
        listener: &Arc<Listener>,
        facts: Facts,
        at: Timestamp,
        commit: bool,
    ) -> Judged {
        self.run_round(listener, facts, None, at, commit).await
    }

    /// `round`: the message, where it is not one of those remembered.
    async fn run_round(
        &self,
        listener: &Arc<Listener>,
        facts: Facts,
        round: Option<Round>,
        at: Timestamp,
        commit: bool,
    ) -> Judged {
        let rules = self.rules();
        let known = self.gather(&facts, &rules).await;
        let case = Case { listener, facts: &facts, known: &known, rules: &rules };
        let round = round.unwrap_or_else(|| self.round(case, commit, at));
        let charged = match facts.stage {
            Stage::Connect | Stage::Helo | Stage::Vrfy | Stage::Etrn => None,
            _ if facts.client.is_local => None,
            _ => self.charged(case, &round),
        };
        let mut happened = Vec::new();
        if let (true, Some(charged)) = (commit, &charged) {
            happened = self.resolve(case, &charged.account, at).await;
        }
        let Outcome { decision, store_fault, happened: judged } = match &charged {
            Some(charged) => self.judge_account(case, &round, charged, commit, at).await,
            None => Outcome {
                decision: decide(case, None, at),
                store_fault: None,
                happened: Vec::new(),
            },
        };
        happened.extend(judged);
        let mut wiring = None;
        if commit {
            wiring = self.note(case, &decision, at).await;
            if listener.charge_at.is(facts.stage) {
                wiring = self.wiring.charged(listener, unseen(&facts, &round));
            }
            if listener.charge_at.is(facts.stage) && is_accepted(&decision.reply) {
                self.accepted(case, &round, charged.as_ref(), at);
            }
        }
        let charged = charged.filter(|_| listener.charge_at.is(facts.stage));
        let listener = Arc::clone(listener);
        let judged = Judged {
            listener,
            facts,
            known,
            rules,
            decision,
            at,
            charged,
            wiring,
            store_fault,
            happened,
        };
        if commit {
            self.remember_refusal(&judged);
        }
        judged
    }

    /// The message the question is about.
    fn round(&self, case: Case<'_>, commit: bool, at: Timestamp) -> Round {
        let stage = case.facts.stage;
        let Some(key) = transaction(case.listener, case.facts) else { return Round::default() };
        match stage {
            Stage::Rcpt => self.rounds.at_rcpt(key, at),
            Stage::Data | Stage::EndOfMessage => self.rounds.at_end(key, commit, at),
            _ => Round::default(),
        }
    }

    /// Remembers a recipient that was passed, and one that nobody knows.
    async fn note(
        &self,
        case: Case<'_>,
        decision: &Decision,
        at: Timestamp,
    ) -> Option<WiringFault> {
        let recipient = case.facts.envelope.recipient.as_ref()?;
        if case.facts.stage != Stage::Rcpt {
            return None;
        }
        let transaction = transaction(case.listener, case.facts);
        let hashed = self.key.address(recipient);
        let mut reasons = decision.reason.into_iter().chain(decision.observed());
        if reasons.any(|reason| reason == Reason::RecipientUnknown)
            && let Some(account) = case.account_key()
            && transaction.is_none_or(|key| self.rounds.is_first_unknown(key, hashed, at))
        {
            self.count_unknown(&account, 1, at).await;
        }
        if decision.quota.as_ref().is_some_and(|quota| quota.verdict.is_refused())
            && let Some(account) = case.account_key()
        {
            self.settle_quota(&account, at).await;
        }
        if is_accepted(&decision.reply)
            && let Some(key) = transaction
        {
            let class = case.rules.domains.class_of(recipient).0;
            let is_external = class == DomainClass::External;
            if self.rounds.pass(key, recipient, hashed, is_external, at) {
                return self.wiring.begins(case.listener);
            }
        }
        None
    }

    /// Tells the story of a decision, with the paths of the groups that settled it.
    pub async fn tell(&self, judged: &Judged) -> Story {
        let mut paths = Paths::new();
        let account = match (&judged.known.author, &judged.known.account) {
            (_, Some(Lookup::Found(holder))) => Some(&holder.account.key),
            (Some(author), _) => author.account.account().map(|account| &account.key),
            _ => None,
        };
        if let (Some(account), Some(directory)) = (account, self.directory.as_deref()) {
            for group in groups_of(judged) {
                let name = judged.rules.groups.name(group);
                let path = within_budget(directory.path(account, name), Vec::new()).await;
                paths.insert(group, path);
            }
        }
        Story::tell(judged.case(), &judged.decision, &paths, judged.at)
    }
}

/// Recipients of a whole message that nobody asked about at RCPT; the only one of a message names itself.
fn unseen(facts: &Facts, round: &Round) -> u32 {
    if facts.stage == Stage::Rcpt || facts.envelope.recipient.is_some() {
        return 0;
    }
    let seen = u32::try_from(round.recipients.len()).unwrap_or(u32::MAX);
    facts.envelope.recipient_count.saturating_sub(seen)
}

/// The groups the trail speaks of.
fn groups_of(judged: &Judged) -> Vec<usize> {
    let rules = &judged.rules;
    let found = judged.decision.trail.iter().flat_map(|step| match step.because {
        Because::Right(found) | Because::Sender(found) => [found, Finding::Silent],
        Because::Relay { client, login, .. } => [client, login],
        _ => [Finding::Silent; 2],
    });
    let who = found.filter_map(|found| match found.source()? {
        Source::Grant(index) => Some(&rules.grants[index as usize].who),
        Source::SenderGrant(index) => Some(&rules.sender.grants[index as usize].who),
        _ => None,
    });
    who.filter_map(|who| match who {
        Who::Group(group) => Some(*group),
        Who::User(_) => None,
    })
    .collect()
}
