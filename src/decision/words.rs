//! Findings and their sources in words.

use crate::decision::entries::Entries;
use crate::decision::story::Teller;
use crate::decision::{Because, Check, Exceeded, Outcome, QuotaVerdict};
use crate::detector;
use crate::mail::{Mode, visible};
use crate::rights::{AccountState, Finding, Lookup, Restriction, Source};
use crate::suspension::Cause;

impl<'a> Teller<'a> {
    pub(super) fn entries(&self) -> Entries<'a> {
        Entries { rules: self.case.rules, paths: self.paths }
    }

    pub(super) fn found(&self, because: Because) -> String {
        let login = self.login();
        match because {
            Because::RightsNotJudged => "no directory, grant or relay list is configured".into(),
            Because::NoDirectory => "there is no directory to ask".into(),
            Because::ModeOff => "this check is off, or there is no directory to ask".into(),
            Because::LocalSubmission => {
                "handed in on the mail server itself (sendmail(1)), whose users are its own to judge"
                    .into()
            }
            Because::NoLogin => "no login to judge".into(),
            Because::NoRecipient(0) => "no recipient yet at this stage".into(),
            Because::NoRecipient(count) => {
                format!("{count} recipients were judged one by one at RCPT")
            }
            Because::GatewayLogin => "a gateway sends for others".into(),
            Because::State(state) => format!("the account is {}", state_word(state)),
            Because::AuthorState(state) => {
                format!("the sender's account is {}", state_word(state))
            }
            Because::NotInDirectory => format!("the directory does not know {login}"),
            Because::AmbiguousInDirectory => {
                format!("{login} names more than one account in the directory")
            }
            Because::DirectorySilent => {
                "the directory does not answer, and nothing is remembered".into()
            }
            Because::LoginNeeded => {
                "this listener needs a login or a trusted client, and there is neither".into()
            }
            Because::TrustedClient(source) => format!("no login, but {}", self.source(source)),
            Because::TrustedGateway => "no login, but a gateway".into(),
            Because::Right(found) => self.right(found),
            Because::Sender(found) => {
                let sender = &self.case.facts.envelope.sender;
                match found {
                    Finding::Allowed(source) => format!("{sender}: {}", self.source(source)),
                    Finding::MaybeAllowed(_) | Finding::MaybeDenied(_) => {
                        format!("{sender}: the directory cannot say now whose address it is")
                    }
                    _ => {
                        format!("{sender} is neither {login}'s own address nor granted to send as")
                    }
                }
            }
            Because::Class(class) => {
                let domain = self.recipient_domain();
                match class.as_str() {
                    "local" => format!("{domain} is local, which needs no relay right"),
                    "shared" => format!(
                        "{domain} is shared with another system, which needs no relay right"
                    ),
                    "relay" => format!(
                        "{domain} is a relay domain: mail for it is let through whoever sends it"
                    ),
                    _ => format!("{domain} is external"),
                }
            }
            Because::RecipientFound(restriction) => restriction_words(restriction).into(),
            Because::RecipientNotFound => "the directory does not know this recipient".into(),
            Because::Relay { client, login, routed } => self.relay(client, login, routed),
            Because::QuotaLeft => self.quota_left(),
            Because::QuotaExceeded => self.quota_exceeded(|verdict| verdict.exceeded),
            Because::QuotaObserved => self.quota_exceeded(|verdict| verdict.observed),
            Because::Suspended => self.suspended(),
            Because::Found => self.detected(self.decision.found.as_ref().and_then(|f| f.enforced)),
            Because::ObservedFound => {
                self.detected(self.decision.found.as_ref().and_then(|found| found.observed))
            }
            Because::CannotHold => format!(
                "{}; this listener cannot hold",
                self.detected(self.decision.found.as_ref().and_then(|found| found.enforced))
            ),
            Because::BreakerOpen => format!(
                "{}; nobody is suspended while the breaker is open",
                self.detected(self.decision.found.as_ref().and_then(|found| found.enforced))
            ),
            Because::AnsweredBefore => "asked before, and answered as before".into(),
            Because::Usual { watched: false } => "sends as it uses to".into(),
            Because::Usual { watched: true } => match self.nearest() {
                Some(nearest) => format!("sends as it uses to, but is watched: {nearest}"),
                None => "sends as it uses to".into(),
            },
        }
    }

    fn quota_left(&self) -> String {
        let Some(quota) = &self.decision.quota else { return "a quota has room".into() };
        let told = quota.remaining.iter().map(|left| left.told(self.rules(), self.paths));
        let told = told.collect::<Vec<_>>().join("; ");
        if quota.verdict.watched.is_empty() { told } else { format!("{told}; nearly used up") }
    }

    fn quota_exceeded(&self, which: fn(&QuotaVerdict) -> Option<Exceeded>) -> String {
        let exceeded = self.decision.quota.as_ref().and_then(|quota| which(&quota.verdict));
        exceeded
            .map_or_else(|| "a quota has no room".into(), |it| it.told(self.rules(), self.paths))
    }

    fn suspended(&self) -> String {
        let Some(suspension) = &self.decision.suspension else { return "suspended".into() };
        let until = suspension
            .until
            .map_or_else(|| "until it is released".into(), |until| format!("until {until}"));
        format!(
            "{} by {} since {}, {until}: {}",
            if suspension.mode == Mode::Enforce { "suspended" } else { "would be suspended" },
            suspension.id,
            suspension.imposed,
            self.cause(&suspension.cause),
        )
    }

    fn cause(&self, cause: &Cause) -> String {
        match cause {
            Cause::Found(finding) => self.detected(Some(*finding)),
            Cause::Person(who) => format!("{who} suspended {}", self.login()),
        }
    }

    fn detected(&self, found: Option<detector::Finding>) -> String {
        match found {
            Some(found) => {
                format!(
                    "{} {found} (test {}, {}); the first message of it came at {}",
                    self.login(),
                    found.test,
                    found.severity.as_str(),
                    found.since
                )
            }
            None => "held before".into(),
        }
    }

    /// The test nearest to its limit.
    fn nearest(&self) -> Option<String> {
        let (test, share) = self.decision.found.as_ref()?.nearest?;
        Some(format!("the test {test} is at {:.0} % of its limit", share * 100.0))
    }

    fn relay(&self, client: Finding, login: Finding, routed: bool) -> String {
        let target = if routed {
            "the recipient's local part names a route to another host, so it counts as external"
                .into()
        } else {
            format!("{} is external", self.recipient_domain())
        };
        let by_login = match (self.case.login(), login) {
            (None, Finding::Silent) => "not logged in".into(),
            _ => self.right(login),
        };
        let by_client = match client {
            Finding::Silent => format!("the client {} is in no relay list", self.case.facts.client),
            Finding::Allowed(source) => format!("the client may relay: {}", self.source(source)),
            _ => format!(
                "the client is denied: {}",
                client.source().map_or_else(String::new, |source| self.source(source))
            ),
        };
        format!("{target}; {by_login}; {by_client}")
    }

    fn right(&self, found: Finding) -> String {
        self.entries().right(found, &self.login())
    }

    fn source(&self, source: Source) -> String {
        self.entries().source(source)
    }

    pub(super) fn line(&self, line: usize) -> String {
        self.entries().line(line)
    }

    pub(super) fn settled_by(
        &self,
        check: Check,
        because: Because,
        outcome: Outcome,
    ) -> Option<String> {
        let rules = self.rules();
        let found = match because {
            Because::Right(found) | Because::Sender(found) => found,
            Because::TrustedClient(source) => Finding::Allowed(source),
            Because::Relay { client, login, .. } => client.or(login),
            Because::Class(_) if check == Check::Relay => {
                let recipient = self.case.facts.envelope.recipient.as_ref()?;
                let entry = rules.domains.class_of(recipient).1?;
                return Some(format!("{} [domains] {entry}", rules.file));
            }
            _ if outcome == Outcome::PassByFailure => {
                return Some(format!("{} [directory.cache] on-failure = \"pass\"", rules.file));
            }
            _ => return None,
        };
        self.entries().place(found.source()?)
    }

    fn recipient_domain(&self) -> String {
        match &self.case.facts.envelope.recipient {
            Some(recipient) => match recipient.domain() {
                Some(domain) => visible(&String::from_utf8_lossy(domain)),
                None => format!("{recipient} (without a domain)"),
            },
            None => "the recipient".into(),
        }
    }
}

pub(super) fn account_words(lookup: &Lookup) -> String {
    match lookup {
        Lookup::Found(holder) => {
            let account = &holder.account;
            let age = match holder.age_ms / 1000 {
                0 => String::new(),
                seconds => format!(", known for {seconds} s"),
            };
            let password =
                account.password_set.map_or_else(String::new, |at| format!(", password set {at}"));
            format!("the account {} ({}{age}{password})", account.name, account.key)
        }
        Lookup::NotFound => "not in the directory".into(),
        Lookup::Ambiguous => "more than one account in the directory".into(),
        Lookup::Unavailable => "unknown for now: the directory does not answer".into(),
    }
}

pub(super) const fn state_word(state: AccountState) -> &'static str {
    match state {
        AccountState::Enabled => "enabled",
        AccountState::Disabled => "disabled",
        AccountState::Expired => "expired",
        AccountState::Locked => "locked for now",
    }
}

const fn restriction_words(restriction: Restriction) -> &'static str {
    match restriction {
        Restriction::Open => "the recipient exists and takes mail from anybody",
        Restriction::Allowed => "the recipient takes mail from a list, and the author is on it",
        Restriction::AuthenticatedOnly => "the recipient takes mail from logged-in senders only",
        Restriction::NotOnList => {
            "the recipient takes mail from a list, and the author is not on it"
        }
        Restriction::Denied => "the recipient's list of unwanted authors names this one",
        Restriction::Unknown => "the directory cannot say now who may write to the recipient",
    }
}
