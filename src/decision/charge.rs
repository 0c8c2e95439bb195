//! Is this login still its owner? A whole message judged with the record of its account in hand, and
//! charged to it, in one step.

use crate::decision::checks::Judging;
use crate::decision::{
    Because, Case, Check, Decision, DecisionId, Hold, Outcome, QuotaTold, QuotaVerdict, Reason,
    Step, Trail,
};
use crate::detector::{Class, Finding, Inspection, Severity, Terms, inspect};
use crate::ledger::{Counter, Hashed, Message, Weight};
use crate::mail::{Mode, Reply, Timestamp};
use crate::record::{Change, Record};
use crate::rights::{Membership, Subject, Who};
use crate::suspension::{Grade, Suspension};

/// What is charged, and to what kind of account.
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    pub message: Message<'a>,
    pub class: Class,
    /// The envelope sender of a client without a login, where it is one of ours.
    pub sender: Option<Hashed>,
    pub breakers: Breakers,
}

/// Whether so many accounts were suspended that no more are, of those that enforce and of the shadows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Breakers {
    pub enforce_open: bool,
    pub observe_open: bool,
}

impl Breakers {
    const fn is_open(self, mode: Mode) -> bool {
        match mode {
            Mode::Enforce => self.enforce_open,
            _ => self.observe_open,
        }
    }
}

/// How a message was answered, as the record keeps it.
const PASSED: u8 = 0;
const HELD: u8 = 1;
const HELD_BY_QUOTA: u8 = 2;

/// Judges one message with the account's record in hand, and charges it when it passes or is held. Pure, so
/// that the store may run it twice.
pub fn judge(case: Case, charge: &Charge, record: &Record, at: Timestamp) -> (Decision, Change) {
    let mut record = record.clone();
    record.expire(case.rules.detector.suspension.has_probation, at);
    record.advance(at);
    let mut judging = Judging::new(case, Some(&record), at);
    let settled = judging.run();
    let may_grant = judging.may_grant();
    let trail = judging.trail;
    let Err(reason) = settled else {
        return Charging { case, charge, record, trail, quota: None, at }.run(may_grant);
    };
    if case.listener.mode == Mode::Enforce {
        let decision = case.decision(Err(reason), trail, false, record.in_force(at));
        return (decision, Change::default());
    }
    // Whoever observes lets it through all the same.
    let (mut decision, change) =
        Charging { case, charge, record, trail, quota: None, at }.run(false);
    decision.reason = Some(reason);
    (decision, change)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Pass,
    Hold(Reason),
    Refuse(Reason),
}

impl Verdict {
    /// Of two the severer: a suspension, a refusal for good, one for now, a hold.
    fn max(self, other: Self) -> Self {
        let rank = |verdict| match verdict {
            Self::Pass => 0,
            Self::Hold(_) => 1,
            Self::Refuse(Reason::AccountSuspended) => 4,
            Self::Refuse(reason) if reason.is_passing() => 2,
            Self::Refuse(_) => 3,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

/// Messages and recipients as quotas count them; a further recipient of one message is none.
fn counted(weight: &Weight) -> (u32, u32) {
    let is_message = weight.is_retry || weight.increments.of(Counter::Messages2m) > 0.0;
    (u32::from(is_message), weight.count)
}

struct Charging<'a> {
    case: Case<'a>,
    charge: &'a Charge<'a>,
    record: Record,
    trail: Trail,
    quota: Option<QuotaTold>,
    at: Timestamp,
}

impl Charging<'_> {
    fn run(mut self, may_grant: bool) -> (Decision, Change) {
        let (verdict, inspection) = self.verdict();
        let Self { case, record, trail, quota, at, .. } = self;
        let suspension = record.in_force(at);
        let mut decision = match verdict {
            Verdict::Pass => case.decision(Ok(()), trail, may_grant, suspension),
            Verdict::Refuse(reason) => case.decision(Err(reason), trail, false, suspension),
            Verdict::Hold(reason) => case.held(reason, trail, suspension),
        };
        decision.found = Some(Box::new(inspection));
        decision.quota = quota.map(Box::new);
        (decision, Change::to(record))
    }

    fn verdict(&mut self) -> (Verdict, Inspection) {
        let message = &self.charge.message;
        if let Some(answer) = self.record.usage.answer(message) {
            return (self.repeat(answer), self.inspect(&Weight::default()));
        }
        if let Some(sender) = self.charge.sender {
            self.record.usage.sent_as(sender);
        }
        let usage = &mut self.record.usage;
        let weight = usage.weigh(message, self.at);
        let before = usage.counters().clone();
        usage.count(&weight);
        let inspection = self.inspect(&weight);
        let is_shadowed = self.record.suspension.is_some();
        // Told once: the shadow stands for the rest of it.
        let is_told = |finding: &Finding| is_shadowed && finding.severity == Severity::Suspend;
        if let Some(observed) = inspection.observed.filter(|finding| !is_told(finding)) {
            let reason = reason_of(observed.severity);
            self.step(Outcome::WouldObject(reason), Because::ObservedFound);
        }
        let mode = self.case.listener.mode;
        let enforces = mode == Mode::Enforce;
        let at = self.at;
        let by_quota = self.by_quota(&weight);
        let by_detector = match inspection.enforced {
            Some(_) if is_shadowed && !enforces => Verdict::Pass,
            None if self.case.rules.detector.settings.mode == Mode::Off => {
                self.step(Outcome::NotAsked, Because::ModeOff);
                Verdict::Pass
            }
            None => {
                self.step(Outcome::Pass, Because::Usual { watched: inspection.is_watched() });
                Verdict::Pass
            }
            Some(finding) if self.may_impose(&finding, mode) => {
                self.step(Outcome::Objects(Reason::AccountSuspended), Because::Found);
                self.impose(finding, mode);
                Verdict::Refuse(Reason::AccountSuspended)
            }
            Some(finding) => self.hold(&finding, enforces),
        };
        let is_suspended = by_detector == Verdict::Refuse(Reason::AccountSuspended);
        if let Some(observed) = inspection.observed
            && observed.severity == Severity::Suspend
            && !is_suspended
            && !is_shadowed
            && self.may_impose(&observed, Mode::Observe)
        {
            self.impose(observed, Mode::Observe);
        }
        // The severest counts; what only observes is charged as it went.
        let verdict = by_detector.max(by_quota);
        if !matches!(verdict, Verdict::Refuse(_)) || !enforces {
            self.charge_quota(&weight);
        }
        self.notice(verdict, &inspection, enforces);
        let usage = &mut self.record.usage;
        match verdict {
            // Refused whole, it is neither counted nor learnt.
            Verdict::Refuse(
                Reason::AccountSuspended | Reason::QuotaExceeded | Reason::QuotaRejected,
            ) if enforces => usage.set_counters(before),
            Verdict::Refuse(Reason::Suspected) if enforces => {
                usage.take_deferred(message, &weight, HELD, at);
            }
            Verdict::Hold(reason) if enforces => {
                let by_quota = reason != Reason::Suspected;
                let answer = if by_quota { HELD_BY_QUOTA } else { HELD };
                usage.take_in(message, &weight, answer, at);
            }
            _ => usage.take_in(message, &weight, PASSED, at),
        }
        if !(matches!(verdict, Verdict::Refuse(_)) && enforces) {
            self.record.use_exemption(weight.count);
        }
        (verdict, inspection)
    }

    /// A message that comes again counts again here: something after us may have taken it.
    fn by_quota(&mut self, weight: &Weight) -> Verdict {
        let (messages, recipients) = counted(weight);
        self.quota = self.case.quota(&self.record, messages, recipients, self.at);
        let Some(quota) = &self.quota else { return Verdict::Pass };
        let (exceeded, observed) = (quota.verdict.exceeded, quota.verdict.observed);
        if let Some(observed) = observed {
            let outcome = Outcome::WouldObject(observed.limit.on_exceed.reason());
            self.step_of(Check::Quota, outcome, Because::QuotaObserved);
        }
        let Some(exceeded) = exceeded else {
            self.step_of(Check::Quota, Outcome::Pass, Because::QuotaLeft);
            return Verdict::Pass;
        };
        let reason = exceeded.limit.on_exceed.reason();
        if exceeded.refuses() {
            self.step_of(Check::Quota, Outcome::Objects(reason), Because::QuotaExceeded);
            return Verdict::Refuse(reason);
        }
        if self.case.listener.hold == Hold::Pass {
            self.step_of(Check::Quota, Outcome::WouldObject(reason), Because::QuotaExceeded);
            return Verdict::Pass;
        }
        self.step_of(Check::Quota, Outcome::Objects(reason), Because::QuotaExceeded);
        self.hold_here(reason)
    }

    fn charge_quota(&mut self, weight: &Weight) {
        let quotas = &self.case.rules.quotas;
        if quotas.windows().is_empty() {
            return;
        }
        let (messages, recipients) = counted(weight);
        let none = QuotaVerdict::default();
        let verdict = self.quota.as_ref().map_or(&none, |quota| &quota.verdict);
        quotas.charge(verdict, &mut self.record.windows, messages, recipients, self.at);
    }

    fn inspect(&self, weight: &Weight) -> Inspection {
        let settings = &self.case.rules.detector.settings;
        let usage = &self.record.usage;
        if self.charge.class == Class::Client && usage.is_suspected_gateway() {
            return Inspection::default();
        }
        let life = self.record.life.as_deref();
        let terms = life.map_or_else(Terms::default, |life| life.terms(weight.count, self.at));
        inspect(settings, self.charge.class, terms, usage, weight)
    }

    /// Asked again, as Postfix does after a broken connection.
    fn repeat(&mut self, answer: u8) -> Verdict {
        if answer == PASSED {
            self.step(Outcome::Pass, Because::AnsweredBefore);
            return Verdict::Pass;
        }
        let (check, reason) = match answer {
            HELD_BY_QUOTA => (Check::Quota, Reason::QuotaExceeded),
            _ => (Check::Detector, Reason::Suspected),
        };
        self.step_of(check, Outcome::Objects(reason), Because::AnsweredBefore);
        self.hold_here(reason)
    }

    /// A finding that would have suspended, did the breaker not stand open, must not pass: the breaker is no door.
    fn hold(&mut self, finding: &Finding, enforces: bool) -> Verdict {
        let is_stopped = finding.severity == Severity::Suspend && !self.never_suspends();
        if is_stopped && enforces && self.case.listener.hold == Hold::Pass {
            self.step(Outcome::Objects(Reason::Suspected), Because::BreakerOpen);
            return Verdict::Refuse(Reason::Suspected);
        }
        if self.case.listener.hold == Hold::Pass || !enforces {
            let because = if enforces { Because::CannotHold } else { Because::Found };
            self.step(Outcome::WouldObject(Reason::Suspected), because);
            return Verdict::Pass;
        }
        let because = if is_stopped { Because::BreakerOpen } else { Because::Found };
        self.step(Outcome::Objects(Reason::Suspected), because);
        self.hold_here(Reason::Suspected)
    }

    fn hold_here(&self, reason: Reason) -> Verdict {
        match self.case.listener.hold {
            Hold::Pass => Verdict::Pass,
            Hold::Queue => Verdict::Hold(reason),
            Hold::Defer => Verdict::Refuse(reason),
        }
    }

    fn impose(&mut self, finding: Finding, mode: Mode) {
        let id = match self.case.facts.envelope.has_name() {
            // Asked once more it would have the id of a suspension that is over.
            false => DecisionId::of_deed(self.case.id().as_str(), &self.case.listener.mta, self.at),
            true => self.case.id(),
        };
        let settings = &self.case.rules.detector.suspension;
        let step = if settings.escalates { self.record.step(self.at) } else { 0 };
        let suspension = Suspension::impose(id.as_str(), finding, mode, settings, step, self.at);
        self.record.suspend(suspension);
    }

    fn may_impose(&self, finding: &Finding, mode: Mode) -> bool {
        finding.severity == Severity::Suspend
            && !self.never_suspends()
            && !self.charge.breakers.is_open(mode)
    }

    /// Whatever is found and does not suspend is noticed; what only observes holds nothing.
    fn notice(&mut self, verdict: Verdict, inspection: &Inspection, enforces: bool) {
        let is_held = matches!(
            verdict,
            Verdict::Hold(Reason::Suspected) | Verdict::Refuse(Reason::Suspected)
        );
        let is_found = inspection.enforced.is_some() || inspection.is_watched();
        if is_held && enforces {
            self.record.notice(Grade::Held, self.at);
        } else if is_found && self.record.suspended(self.at).is_none() {
            self.record.notice(Grade::Watched, self.at);
        }
    }

    fn never_suspends(&self) -> bool {
        self.case.is_one_of(&self.case.rules.detector.never_suspend)
    }

    fn step(&mut self, outcome: Outcome, because: Because) {
        self.step_of(Check::Detector, outcome, because);
    }

    fn step_of(&mut self, check: Check, outcome: Outcome, because: Because) {
        self.trail.push(Step { check, outcome, because });
    }
}

const fn reason_of(severity: Severity) -> Reason {
    match severity {
        Severity::Hold => Reason::Suspected,
        Severity::Suspend => Reason::AccountSuspended,
    }
}

impl Case<'_> {
    /// Whether the account is surely one of these.
    pub fn is_one_of(&self, list: &[Who]) -> bool {
        let author = self.known.author.as_ref();
        let (login, lookup) = match (author, self.login()) {
            (Some(author), _) => (&author.login, Some(&author.account)),
            (None, Some(login)) => (login, self.known.account.as_ref()),
            (None, None) => return false,
        };
        let subject = Subject { login, lookup };
        list.iter().any(|who| subject.is(who) == Membership::Yes)
    }

    fn held(self, reason: Reason, trail: Trail, suspension: Option<&Suspension>) -> Decision {
        let mut decision = self.decision(Err(reason), trail, false, suspension);
        if let Reply::Refuse(refusal) = decision.reply {
            decision.reply = Reply::Hold(refusal);
        }
        decision
    }
}
