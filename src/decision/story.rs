//! A decision told in sentences, for the help desk: each step, what it looked at, what it found,
//! which line or group settled it, what the mail client sees, and what would change it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::decision::{
    Because, Case, Check, Decision, Facing, GatewayMatch, Outcome, Reason, Rules,
};
use crate::mail::{Login, Reply, Stage, Timestamp};
use crate::rights::{AccountState, Finding, Lookup, Mode, Restriction, Ruling, Source, Who};

/// How the account came to be in a group, by the group's index: from the account to the group.
pub type Paths = HashMap<usize, Vec<String>>;

/// What `gatepost explain` shows; the fields may grow, none will change its meaning within /1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story {
    /// `gatepost.explain/1`
    pub schema: String,
    pub id: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// One line: what comes of the question.
    pub summary: String,
    pub listener: String,
    pub mode: String,
    /// What was asked: names and values in the order of the dialogue.
    pub question: Vec<(String, String)>,
    pub steps: Vec<StoryStep>,
    pub action: String,
    /// `None`: nothing would have been objected.
    pub reason: Option<String>,
    /// What the mail server is told.
    pub answer: String,
    /// What the mail client sees of it.
    pub client_sees: String,
    pub would_change_it: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoryStep {
    /// identity, standing, submit, sender, recipient, relay, mode
    pub step: String,
    /// pass, refuse, would-refuse, would-pass, pass-by-failure, not-asked, info
    pub outcome: String,
    pub found: String,
    /// The configuration line or directory path that settled it.
    pub settled_by: Option<String>,
}

impl Story {
    /// Tells `decision` on `case`, made at `at`; `paths` holds a way for each group that matters.
    pub fn tell(case: Case, decision: &Decision, paths: &Paths, at: Timestamp) -> Self {
        let teller = Teller { case, paths };
        let mut steps = teller.identity();
        steps.extend(decision.trail.iter().map(|step| StoryStep {
            step: step.check.as_str().into(),
            outcome: outcome_word(step.outcome).into(),
            found: teller.found(step.because),
            settled_by: teller.settled_by(step.check, step.because, step.outcome),
        }));
        if matches!(case.facts.stage, Stage::Connect | Stage::Helo | Stage::Etrn) {
            let found = format!("nothing is judged at {}", case.facts.stage);
            steps.push(info("stage", found));
        }
        if decision.mode == Mode::Observe {
            let found = "this listener only observes: it objects to nothing, whatever is found";
            steps.push(info("mode", found.into()));
        }
        Self {
            schema: "gatepost.explain/1".into(),
            id: decision.id.to_string(),
            at: at.to_string(),
            summary: teller.summary(decision),
            listener: format!("{} ({})", case.listener.name, facing_word(case.listener.facing)),
            mode: decision.mode.as_str().into(),
            question: teller.question(),
            steps,
            action: decision.action().into(),
            reason: decision.reason.map(|reason| reason.to_string()),
            answer: match &decision.reply {
                Reply::NoObjection => {
                    "no objection (DUNNO): the mail server's own rules follow".into()
                }
                Reply::Grant => "OK: relaying is permitted".into(),
                Reply::Refuse(refusal) => refusal.to_string(),
            },
            client_sees: teller.client_sees(&decision.reply),
            would_change_it: teller.would_change(decision),
        }
    }
}

fn info(step: &str, found: String) -> StoryStep {
    StoryStep { step: step.into(), outcome: "info".into(), found, settled_by: None }
}

const fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::PassByFailure => "pass-by-failure",
        Outcome::NotAsked => "not-asked",
        Outcome::Objects(_) => "refuse",
        Outcome::WouldObject(_) => "would-refuse",
        Outcome::WouldPass => "would-pass",
    }
}

const fn facing_word(facing: Facing) -> &'static str {
    match facing {
        Facing::Submission => "faces submission",
        Facing::Internet => "faces the Internet",
        Facing::Internal => "faces the internal network",
    }
}

struct Teller<'a> {
    case: Case<'a>,
    paths: &'a Paths,
}

impl Teller<'_> {
    fn rules(&self) -> &Rules {
        self.case.rules
    }

    fn login(&self) -> &str {
        let author = self.case.known.author.as_ref().map(|author| &author.login);
        self.case.facts.login.as_ref().or(author).map_or("this client", Login::raw)
    }

    fn question(&self) -> Vec<(String, String)> {
        let facts = self.case.facts;
        let envelope = &facts.envelope;
        let mut question = vec![
            ("stage".into(), facts.stage.to_string()),
            ("client".into(), facts.client.to_string()),
        ];
        let mut put = |name: &str, value: String| question.push((name.into(), value));
        if let Some(login) = &facts.login {
            put("login", login.to_string());
        }
        if let Some(certificate) = &facts.client.certificate {
            let subject = certificate.subject.as_deref().unwrap_or("no trusted name");
            put("certificate", subject.into());
        }
        if !matches!(facts.stage, Stage::Connect | Stage::Helo | Stage::Etrn | Stage::Vrfy) {
            put("sender", envelope.sender.to_string());
        }
        if let Some(recipient) = &envelope.recipient {
            put("recipient", recipient.to_string());
        }
        if envelope.recipient_count > 0 {
            put("recipients", envelope.recipient_count.to_string());
        }
        question
    }

    fn summary(&self, decision: &Decision) -> String {
        let who = match &self.case.facts.login {
            Some(login) => login.to_string(),
            None => format!("{} (not logged in)", self.case.facts.client),
        };
        match (decision.reason, &decision.reply) {
            (Some(reason), Reply::Refuse(_)) => format!("{who} is refused: {reason}"),
            (Some(reason), _) => {
                format!("{who} passes, but would be refused if this listener enforced: {reason}")
            }
            (None, Reply::Grant) => format!("{who} may relay, and the mail server is told so"),
            (None, _) => match decision.observed().next() {
                Some(reason) => {
                    format!("{who} passes; a check that observes would refuse: {reason}")
                }
                None => format!("{who} passes"),
            },
        }
    }

    /// Who this is taken for, before anything is judged.
    fn identity(&self) -> Vec<StoryStep> {
        let Case { facts, known, rules, .. } = self.case;
        let mut steps = Vec::new();
        if let (Some(raw), Some(login)) = (&facts.login, &known.login) {
            if raw != login {
                let found = format!("{raw} is looked up as {login}, by [[login.rewrite]]");
                steps.push(info("identity", found));
            }
        }
        if let Some(gateway) = known.gateway.map(|index| &rules.gateways[index]) {
            let name = match &gateway.who {
                GatewayMatch::Net(net) => net.to_string(),
                GatewayMatch::Login(login) => login.to_string(),
            };
            let whose = match &known.author {
                Some(author) => format!(
                    "the owner of the sender, {}, is held to account ({})",
                    author.login,
                    account_words(&author.account)
                ),
                None => "nobody in particular is held to account".into(),
            };
            let mut step = info("identity", format!("came through the gateway {name}: {whose}"));
            step.settled_by = Some(self.line(gateway.line));
            steps.push(step);
        }
        let found = match (&known.login, &known.account) {
            (None, _) => "not logged in".into(),
            (Some(login), None) => format!("{login}; no directory is asked"),
            (Some(login), Some(lookup)) => format!("{login} is {}", account_words(lookup)),
        };
        steps.push(info("identity", found));
        steps
    }

    fn found(&self, because: Because) -> String {
        let login = self.login();
        match because {
            Because::RightsNotJudged => "no directory, grant or relay list is configured".into(),
            Because::NoDirectory => "there is no directory to ask".into(),
            Because::ModeOff => "this check is off, or there is no directory to ask".into(),
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
        }
    }

    fn relay(&self, client: Finding, login: Finding, routed: bool) -> String {
        let target = if routed {
            "the recipient's local part names a route to another host, so it counts as external"
                .into()
        } else {
            format!("{} is external", self.recipient_domain())
        };
        let by_login = match (&self.case.known.login, login) {
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
        let login = self.login();
        match found {
            Finding::Silent => format!("nothing gives {login} this right, and silence is no"),
            Finding::Allowed(source) => format!("allowed: {}", self.source(source)),
            Finding::Denied(source) => format!("denied: {}", self.source(source)),
            Finding::MaybeAllowed(source) => {
                format!(
                    "the directory cannot say now whether this allows it: {}",
                    self.source(source)
                )
            }
            Finding::MaybeDenied(source) => {
                format!(
                    "the directory cannot say now whether this denies it: {}",
                    self.source(source)
                )
            }
        }
    }

    /// An entry in words.
    fn source(&self, source: Source) -> String {
        let rules = self.rules();
        match source {
            Source::Grant(index) => match &rules.grants[index].who {
                Who::User(user) => format!("the grant for user {user}"),
                Who::Group(group) => format!("the grant for group {}", self.group(*group)),
            },
            Source::SenderGrant(index) => match &rules.sender.grants[index].who {
                Who::User(user) => format!("user {user} may send as it"),
                Who::Group(group) => format!("group {} may send as it", self.group(*group)),
            },
            Source::OwnAddress => "an address of the account itself".into(),
            Source::NullSender => "the null sender, which anybody may use".into(),
            Source::Network(index) => {
                format!("the client is in the network {}", rules.relay.networks[index].net)
            }
            Source::Host(index) => {
                format!("the client's confirmed name matches {}", rules.relay.hosts[index].name)
            }
            Source::Certificate(_) => "the client's certificate is listed".into(),
            Source::Authenticated => "every login may submit and relay".into(),
            Source::EverybodyElse => {
                "every client may relay except those listed, and this one is not".into()
            }
        }
    }

    fn group(&self, group: usize) -> String {
        let name = self.rules().groups.name(group);
        match self.paths.get(&group) {
            Some(path) if !path.is_empty() => format!("{name} ({})", path.join(" -> ")),
            _ => name.into(),
        }
    }

    fn line(&self, line: usize) -> String {
        format!("{}:{line}", self.rules().file)
    }

    fn settled_by(&self, check: Check, because: Because, outcome: Outcome) -> Option<String> {
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
        Some(match found.source()? {
            Source::Grant(index) => self.line(rules.grants[index].line),
            Source::SenderGrant(index) => self.line(rules.sender.grants[index].line),
            Source::Network(index) => self.line(rules.relay.networks[index].line),
            Source::Host(index) => self.line(rules.relay.hosts[index].line),
            Source::Certificate(index) => self.line(rules.relay.certificates.0[index].line),
            Source::Authenticated => self.line(rules.authenticated?),
            Source::EverybodyElse => {
                format!("{} [relay] networks-are = \"all-except\"", rules.file)
            }
            Source::OwnAddress => "the directory".into(),
            Source::NullSender => return None,
        })
    }

    fn recipient_domain(&self) -> String {
        match &self.case.facts.envelope.recipient {
            Some(recipient) => match recipient.domain() {
                Some(domain) => String::from_utf8_lossy(domain).into_owned(),
                None => format!("{recipient} (without a domain)"),
            },
            None => "the recipient".into(),
        }
    }

    /// Postfix puts its own words before ours at RCPT and MAIL (smtpd_check.c).
    fn client_sees(&self, reply: &Reply) -> String {
        let Reply::Refuse(refusal) = reply else {
            return "no refusal from gatepost".into();
        };
        let facts = self.case.facts;
        let named = match (facts.stage, &facts.envelope.recipient) {
            (Stage::Rcpt | Stage::Vrfy, Some(recipient)) => {
                format!("<{recipient}>: Recipient address rejected: ")
            }
            (Stage::Mail, _) => {
                format!("<{}>: Sender address rejected: ", facts.envelope.sender)
            }
            (stage, _) => {
                let command = if stage == Stage::Data { "DATA" } else { "END-OF-MESSAGE" };
                format!(
                    "<{command}>: {} rejected: ",
                    if stage == Stage::Data { "Data command" } else { "End-of-data" }
                )
            }
        };
        format!("{} {} {named}{}", refusal.code(), refusal.enhanced(), refusal.text())
    }

    fn would_change(&self, decision: &Decision) -> Vec<String> {
        let Some(reason) = decision.reason.or_else(|| decision.observed().next()) else {
            return Vec::new();
        };
        let login = self.login();
        let mut changes = match reason {
            Reason::LoginRequired => vec![
                "log in before sending".into(),
                "or list the client's network, confirmed host name or certificate in [relay]"
                    .into(),
            ],
            Reason::RelayWithoutLogin => vec![
                "log in with an account that holds the relay right".into(),
                "or list the client's network, confirmed host name or certificate in [relay]"
                    .into(),
            ],
            Reason::RelayMissing => self.ways_to("relay", |grant| grant.relay),
            Reason::SubmitMissing => self.ways_to("submit", |grant| grant.submit),
            Reason::RelayDenied | Reason::SubmitDenied => {
                vec![format!(
                    "take {login} out of what denies it, or remove the deny: deny beats any allow"
                )]
            }
            Reason::SenderNotOwned => vec![
                format!("send as one of {login}'s own addresses"),
                format!("or add the address to {login} in the directory, or to a [[sender.grant]]"),
            ],
            Reason::AccountDisabled | Reason::AccountExpired => {
                vec![format!("enable or extend the account {login} in the directory")]
            }
            Reason::AccountLocked => {
                vec![format!("wait until the directory unlocks {login}, or unlock it there")]
            }
            Reason::LoginNotFound => vec![
                format!("add {login} to the directory, or one of its spellings to the account"),
                "or set standing.not-found to \"observe\"".into(),
            ],
            Reason::LoginAmbiguous => {
                vec![format!("make sure that {login} names one account only in the directory")]
            }
            Reason::RecipientUnknown => vec!["check the spelling of the recipient".into()],
            Reason::RecipientAuthenticatedOnly => vec!["log in before sending".into()],
            Reason::RecipientRestricted | Reason::RecipientDenied => {
                vec!["change the recipient's delivery restrictions in the directory".into()]
            }
            Reason::DirectorySilent => vec!["bring the directory back".into()],
            Reason::OwnFault => vec!["read gatepost's log".into()],
        };
        if decision.mode == Mode::Observe {
            changes.insert(0, "nothing is refused here: this listener only observes".into());
        }
        changes
    }

    fn ways_to(
        &self,
        right: &str,
        ruling: impl Fn(&crate::rights::Grant) -> Option<Ruling>,
    ) -> Vec<String> {
        let rules = self.rules();
        let login = self.login();
        let mut ways: Vec<String> = rules
            .grants
            .iter()
            .filter(|grant| ruling(grant) == Some(Ruling::Allow) && grant.mode == Mode::Enforce)
            .filter_map(|grant| match &grant.who {
                Who::Group(group) => Some(format!(
                    "add {login} to the group {} ({})",
                    rules.groups.name(*group),
                    self.line(grant.line)
                )),
                Who::User(_) => None,
            })
            .collect();
        ways.push(format!(
            "{}add a [[grant]] with {right} = \"allow\" for {login}",
            if ways.is_empty() { "" } else { "or " }
        ));
        ways
    }
}

fn account_words(lookup: &Lookup) -> String {
    match lookup {
        Lookup::Found(holder) => {
            let account = &holder.account;
            let age = match holder.age_ms / 1000 {
                0 => String::new(),
                seconds => format!(", known for {seconds} s"),
            };
            format!("the account {} ({}{age})", account.name, account.key)
        }
        Lookup::NotFound => "not in the directory".into(),
        Lookup::Ambiguous => "more than one account in the directory".into(),
        Lookup::Unavailable => "unknown for now: the directory does not answer".into(),
    }
}

const fn state_word(state: AccountState) -> &'static str {
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
