//! The checks in their order; the first objection settles the matter.

use crate::decision::{
    Because, Case, Check, Facing, OnFailure, OnGrant, Outcome, QuotaTold, Reason, Step, Trail,
};
use crate::mail::{Mode, Stage, Timestamp};
use crate::record::Record;
use crate::rights::{
    AccountState, DomainClass, Finding, Lookup, RecipientLookup, Restriction, Right, Source,
    Subject, own_sender, resolve,
};
use crate::suspension::Suspension;

/// One run through the checks.
pub(super) struct Judging<'a> {
    pub(super) case: Case<'a>,
    suspension: Option<&'a Suspension>,
    /// What is kept of the account, and when it is asked.
    record: Option<(&'a Record, Timestamp)>,
    pub(super) quota: Option<Box<QuotaTold>>,
    /// Of the recipient's domain; `None` without a recipient.
    class: Option<DomainClass>,
    pub(super) trail: Trail,
    /// The relay right was allowed in so many words.
    granted: bool,
    /// Some check passed only because the directory is silent.
    by_failure: bool,
}

impl<'a> Judging<'a> {
    pub(super) fn new(case: Case<'a>, record: Option<&'a Record>, at: Timestamp) -> Self {
        let recipient = case.facts.envelope.recipient.as_ref();
        let class = recipient.map(|recipient| case.rules.domains.class_of(recipient).0);
        let suspension = record.and_then(|record| record.in_force(at));
        Self {
            case,
            suspension,
            record: record.map(|record| (record, at)),
            quota: None,
            class,
            trail: Trail::new(),
            granted: false,
            by_failure: false,
        }
    }

    pub(super) fn run(&mut self) -> Result<(), Reason> {
        if matches!(self.case.facts.stage, Stage::Connect | Stage::Helo | Stage::Etrn) {
            return Ok(());
        }
        // The machine's own users are the mail server's to judge (Postfix authorized_submit_users): there
        // is neither a login nor a client, and a recipient refused here would stay in the queue.
        if self.case.facts.client.is_local {
            self.not_asked(Check::Submit, Because::LocalSubmission);
            return Ok(());
        }
        self.check_suspension()?;
        self.check_standing()?;
        self.check_submit()?;
        self.check_sender()?;
        self.check_recipient()?;
        self.check_relay()?;
        match self.record {
            // What is charged is judged as a whole message, once.
            Some((record, at)) if self.case.asks_quota() => self.check_quota(record, at),
            _ => Ok(()),
        }
    }

    /// OK is said only at RCPT, only for an explicit allow, never for a pass by failure.
    pub(super) fn may_grant(&self) -> bool {
        self.case.listener.on_grant == OnGrant::Ok
            && self.case.facts.stage == Stage::Rcpt
            && self.granted
            && !self.by_failure
    }

    // --- standing -----------------------------------------------------------------------------

    fn check_suspension(&mut self) -> Result<(), Reason> {
        let Some(suspension) = self.suspension else { return Ok(()) };
        let (mode, reason) = (suspension.mode, Reason::AccountSuspended);
        self.object(Check::Standing, mode, reason, Because::Suspended)
    }

    fn check_standing(&mut self) -> Result<(), Reason> {
        let (known, rules) = (self.case.known, self.case.rules);
        match &known.account {
            None => self.not_asked(
                Check::Standing,
                if self.case.login().is_some() { Because::NoDirectory } else { Because::NoLogin },
            ),
            Some(Lookup::Found(holder)) => {
                let state = holder.account.state;
                self.stands(state, Because::State(state))?;
            }
            Some(Lookup::NotFound) => {
                let mode = rules.standing.not_found;
                self.object(Check::Standing, mode, Reason::LoginNotFound, Because::NotInDirectory)?;
            }
            Some(Lookup::Ambiguous) => self.object(
                Check::Standing,
                Mode::Enforce,
                Reason::LoginAmbiguous,
                Because::AmbiguousInDirectory,
            )?,
            Some(Lookup::Unavailable) => match rules.standing.strictest() {
                Mode::Enforce => self.unanswered(Check::Standing, Because::DirectorySilent)?,
                _ => self.not_asked(Check::Standing, Because::DirectorySilent),
            },
        }
        match known.author.as_ref().map(|author| &author.account) {
            // A disabled object may be a shared mailbox, whose address others may send as.
            Some(Lookup::Found(holder)) if holder.account.state != AccountState::Disabled => {
                let state = holder.account.state;
                self.stands(state, Because::AuthorState(state))
            }
            Some(Lookup::Ambiguous) => self.object(
                Check::Standing,
                Mode::Enforce,
                Reason::LoginAmbiguous,
                Because::AmbiguousInDirectory,
            ),
            Some(Lookup::Unavailable) if rules.standing.strictest() == Mode::Enforce => {
                self.unanswered(Check::Standing, Because::DirectorySilent)
            }
            _ => Ok(()),
        }
    }

    fn stands(&mut self, state: AccountState, because: Because) -> Result<(), Reason> {
        let reason = match state {
            AccountState::Enabled => {
                self.pass(Check::Standing, because);
                return Ok(());
            }
            AccountState::Disabled => Reason::AccountDisabled,
            AccountState::Expired => Reason::AccountExpired,
            AccountState::Locked => Reason::AccountLocked,
        };
        self.object(Check::Standing, self.case.rules.standing_mode(reason), reason, because)
    }

    // --- submit -------------------------------------------------------------------------------

    fn check_submit(&mut self) -> Result<(), Reason> {
        let rules = self.case.rules;
        if !rules.judges_rights {
            self.not_asked(Check::Submit, Because::RightsNotJudged);
            return Ok(());
        }
        let found = self.of_grants(Right::Submit, false);
        if self.case.login().is_none() && found == Finding::Silent {
            if let denied @ Finding::Denied(_) = self.of_grants(Right::Submit, true) {
                let outcome = Outcome::WouldObject(Reason::SubmitDenied);
                self.step(Check::Submit, outcome, Because::Right(denied));
            }
            return self.check_trusted();
        }
        let settled = self.settle(Check::Submit, rules.submit, found, Because::Right(found));
        if rules.has_observed_grants() {
            self.note_observed(Check::Submit, found, self.of_grants(Right::Submit, true));
        }
        settled
    }

    /// Without a login: on a listener that faces submission the client itself must be trusted.
    fn check_trusted(&mut self) -> Result<(), Reason> {
        let Case { listener, facts, known, rules } = self.case;
        if listener.facing != Facing::Submission || facts.stage == Stage::Vrfy {
            self.not_asked(Check::Submit, Because::NoLogin);
            return Ok(());
        }
        match rules.relay.client(&facts.client, true) {
            Finding::Allowed(source) => self.pass(Check::Submit, Because::TrustedClient(source)),
            _ if known.gateway.is_some() => self.pass(Check::Submit, Because::TrustedGateway),
            _ => {
                let because = Because::LoginNeeded;
                self.object(Check::Submit, rules.submit, Reason::LoginRequired, because)?;
            }
        }
        Ok(())
    }

    /// What the grants say of a right of this login. The author behind a gateway may only take it
    /// away.
    fn of_grants(&self, right: Right, with_observed: bool) -> Finding {
        let Case { known, rules, .. } = self.case;
        let login = self.case.login().map_or(Finding::Silent, |login| {
            let subject = Subject { login, lookup: known.account.as_ref() };
            rules.of_login(right, subject, with_observed)
        });
        let author = known.author.as_ref().map_or(Finding::Silent, |author| {
            let subject = Subject { login: &author.login, lookup: Some(&author.account) };
            resolve(right, subject, &rules.grants, with_observed).denials_only()
        });
        login.or(author)
    }

    // --- sender -------------------------------------------------------------------------------

    fn check_sender(&mut self) -> Result<(), Reason> {
        let Case { facts, known, rules, .. } = self.case;
        let Some(login) = self.case.login() else {
            self.not_asked(Check::Sender, Because::NoLogin);
            return Ok(());
        };
        if facts.stage == Stage::Vrfy {
            return Ok(());
        }
        let Some(lookup) = &known.account else {
            self.not_asked(Check::Sender, Because::NoDirectory);
            return Ok(());
        };
        if rules.sender.ownership == Mode::Off {
            self.not_asked(Check::Sender, Because::ModeOff);
            return Ok(());
        }
        if known.gateway.is_some() {
            self.not_asked(Check::Sender, Because::GatewayLogin);
            return Ok(());
        }
        let found = own_sender(
            Subject { login, lookup: Some(lookup) },
            &facts.envelope.sender,
            &rules.sender.grants,
            &rules.domains.recipient_delimiter,
        );
        self.settle(Check::Sender, rules.sender.ownership, found, Because::Sender(found))
    }

    // --- recipient ----------------------------------------------------------------------------

    fn check_recipient(&mut self) -> Result<(), Reason> {
        let Case { facts, known, rules, .. } = self.case;
        let Some(recipient) = &facts.envelope.recipient else {
            let because = Because::NoRecipient(facts.envelope.recipient_count);
            self.not_asked(Check::Recipient, because);
            return Ok(());
        };
        let Some(lookup) = &known.recipient else {
            let because = match self.class {
                Some(class) if class != DomainClass::Local || recipient.domain().is_none() => {
                    Because::Class(class)
                }
                _ => Because::ModeOff,
            };
            self.not_asked(Check::Recipient, because);
            return Ok(());
        };
        let restrictions = rules.recipient.delivery_restrictions;
        match lookup {
            RecipientLookup::NotFound => self.object(
                Check::Recipient,
                rules.recipient.existence,
                Reason::RecipientUnknown,
                Because::RecipientNotFound,
            ),
            // Perhaps the recipient has a list of those who may not write.
            RecipientLookup::Unavailable if restrictions == Mode::Enforce => self.object(
                Check::Recipient,
                restrictions,
                Reason::DirectorySilent,
                Because::DirectorySilent,
            ),
            RecipientLookup::Unavailable => match rules.recipient.existence {
                Mode::Enforce => self.unanswered(Check::Recipient, Because::DirectorySilent),
                _ => {
                    self.not_asked(Check::Recipient, Because::DirectorySilent);
                    Ok(())
                }
            },
            RecipientLookup::Found(restriction) => {
                let because = Because::RecipientFound(*restriction);
                let reason = match restriction {
                    Restriction::Open | Restriction::Allowed => {
                        self.pass(Check::Recipient, because);
                        return Ok(());
                    }
                    Restriction::AuthenticatedOnly => Reason::RecipientAuthenticatedOnly,
                    Restriction::NotOnList => Reason::RecipientRestricted,
                    Restriction::Denied => Reason::RecipientDenied,
                    Restriction::Unknown => Reason::DirectorySilent,
                };
                self.object(Check::Recipient, restrictions, reason, because)
            }
        }
    }

    // --- relay --------------------------------------------------------------------------------

    fn check_relay(&mut self) -> Result<(), Reason> {
        let Case { listener, facts, rules, .. } = self.case;
        let Some(recipient) = &facts.envelope.recipient else {
            let because = Because::NoRecipient(facts.envelope.recipient_count);
            self.not_asked(Check::Relay, because);
            return Ok(());
        };
        if !rules.judges_rights {
            self.not_asked(Check::Relay, Because::RightsNotJudged);
            return Ok(());
        }
        if let Some(class) = self.class.filter(|class| *class != DomainClass::External) {
            self.pass(Check::Relay, Because::Class(class));
            return Ok(());
        }
        let client = rules.relay.client(&facts.client, listener.facing != Facing::Internet);
        let login = self.of_grants(Right::Relay, false);
        let found = client.or(login);
        let because = Because::Relay { client, login, routed: recipient.is_routed() };
        let settled = self.settle(Check::Relay, rules.relay_mode, found, because);
        self.granted = rules.relay_mode == Mode::Enforce
            && matches!(found, Finding::Allowed(source) if source.names_subject());
        if rules.has_observed_grants() {
            let with_observed = client.or(self.of_grants(Right::Relay, true));
            self.note_observed(Check::Relay, found, with_observed);
        }
        settled
    }

    // --- outcomes -----------------------------------------------------------------------------

    /// Turns a finding into pass, refusal or, where the directory is silent, what `on-failure` says.
    fn settle(
        &mut self,
        check: Check,
        mode: Mode,
        found: Finding,
        because: Because,
    ) -> Result<(), Reason> {
        match self.objection(check, found) {
            None => {
                self.pass(check, because);
                Ok(())
            }
            Some(Reason::DirectorySilent) if mode == Mode::Enforce => {
                // A deny is never skipped because the directory is slow.
                match found {
                    Finding::MaybeDenied(_) => {
                        self.object(check, mode, Reason::DirectorySilent, because)
                    }
                    _ => self.unanswered(check, because),
                }
            }
            Some(reason) => self.object(check, mode, reason, because),
        }
    }

    fn objection(&self, check: Check, found: Finding) -> Option<Reason> {
        let by_name =
            self.case.login().is_some() || matches!(found.source(), Some(Source::Grant(_)));
        Some(match found {
            Finding::Allowed(_) => return None,
            Finding::MaybeAllowed(_) | Finding::MaybeDenied(_) => Reason::DirectorySilent,
            Finding::Denied(_) => match check {
                Check::Submit => Reason::SubmitDenied,
                Check::Sender => Reason::SenderNotOwned,
                _ if by_name => Reason::RelayDenied,
                _ => Reason::RelayWithoutLogin,
            },
            Finding::Silent => match check {
                Check::Submit => Reason::SubmitMissing,
                Check::Sender => Reason::SenderNotOwned,
                _ if by_name => Reason::RelayMissing,
                _ => Reason::RelayWithoutLogin,
            },
        })
    }

    /// The directory gave no answer and a check needs one.
    fn unanswered(&mut self, check: Check, because: Because) -> Result<(), Reason> {
        match self.case.rules.on_failure {
            OnFailure::Defer => self.object(check, Mode::Enforce, Reason::DirectorySilent, because),
            OnFailure::Pass => {
                self.by_failure = true;
                self.step(check, Outcome::PassByFailure, because);
                Ok(())
            }
        }
    }

    pub(super) fn object(
        &mut self,
        check: Check,
        mode: Mode,
        reason: Reason,
        because: Because,
    ) -> Result<(), Reason> {
        match mode {
            Mode::Off => self.not_asked(check, Because::ModeOff),
            Mode::Observe => self.step(check, Outcome::WouldObject(reason), because),
            Mode::Enforce => {
                self.step(check, Outcome::Objects(reason), because);
                return Err(reason);
            }
        }
        Ok(())
    }

    /// Says what the grants in observe mode would have changed.
    fn note_observed(&mut self, check: Check, found: Finding, with_observed: Finding) {
        if found == with_observed {
            return;
        }
        let outcome = match (self.objection(check, found), self.objection(check, with_observed)) {
            (None, Some(reason)) => Outcome::WouldObject(reason),
            (Some(_), None) => Outcome::WouldPass,
            _ => return,
        };
        self.step(check, outcome, Because::Right(with_observed));
    }

    fn pass(&mut self, check: Check, because: Because) {
        self.step(check, Outcome::Pass, because);
    }

    fn not_asked(&mut self, check: Check, because: Because) {
        self.step(check, Outcome::NotAsked, because);
    }

    pub(super) fn step(&mut self, check: Check, outcome: Outcome, because: Because) {
        self.trail.push(Step { check, outcome, because });
    }
}
