//! A decision told in sentences, for the help desk: each step, what it looked at, what it found,
//! which line or group settled it, what the mail client sees, and what would change it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::decision::words::account_words;
use crate::decision::{Case, Decision, Facing, GatewayMatch, Outcome, Reason, Rules, Step};
use crate::mail::{Login, Protocol, Reply, Stage, Timestamp, visible};
use crate::rights::{Grant, Mode, Ruling, Who};

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
        let teller = Teller { case, paths, decision };
        let mut steps = teller.identity();
        steps.extend(decision.trail.iter().map(|step| teller.step(step)));
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
            id: case.id().to_string(),
            at: at.to_string(),
            summary: teller.summary(),
            listener: format!("{} ({})", case.listener.name, facing_word(case.listener.facing)),
            mode: decision.mode.as_str().into(),
            question: teller.question(),
            steps,
            action: decision.action().into(),
            reason: decision.reason.map(|reason| reason.to_string()),
            answer: match &decision.reply {
                Reply::NoObjection => {
                    let word = match case.listener.protocol {
                        Protocol::PolicyDelegation => "DUNNO",
                        Protocol::Milter => "continue",
                    };
                    format!("no objection ({word}): the mail server's own rules follow")
                }
                Reply::Grant => "OK: relaying is permitted".into(),
                Reply::Refuse(refusal) => refusal.to_string(),
                Reply::Hold(refusal) => format!("hold: {}", refusal.text()),
            },
            client_sees: teller.client_sees(&decision.reply),
            would_change_it: teller.would_change(),
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

/// Tells of one case.
pub(super) struct Teller<'a> {
    pub(super) case: Case<'a>,
    pub(super) paths: &'a Paths,
    pub(super) decision: &'a Decision,
}

impl Teller<'_> {
    pub(super) fn rules(&self) -> &Rules {
        self.case.rules
    }

    pub(super) fn login(&self) -> String {
        let author = self.case.known.author.as_ref().map(|author| &author.login);
        self.case
            .facts
            .login
            .as_ref()
            .or(author)
            .map_or_else(|| "this client".into(), Login::to_string)
    }

    pub(super) fn step(&self, step: &Step) -> StoryStep {
        StoryStep {
            step: step.check.as_str().into(),
            outcome: outcome_word(step.outcome).into(),
            found: self.found(step.because),
            settled_by: self.settled_by(step.check, step.because, step.outcome),
        }
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
            put("certificate", visible(subject));
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

    fn summary(&self) -> String {
        let decision = self.decision;
        let who = match &self.case.facts.login {
            Some(login) => login.to_string(),
            None => format!("{} (not logged in)", self.case.facts.client),
        };
        match (decision.reason, &decision.reply) {
            (Some(reason), Reply::Refuse(_)) => format!("{who} is refused: {reason}"),
            (Some(reason), Reply::Hold(_)) => format!("{who}'s message is held: {reason}"),
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
    pub(super) fn identity(&self) -> Vec<StoryStep> {
        let Case { facts, known, rules, .. } = self.case;
        let mut steps = Vec::new();
        if let (Some(raw), Some(login)) = (&facts.login, &known.rewritten) {
            let found = format!("{raw} is looked up as {login}, by [[login.rewrite]]");
            steps.push(info("identity", found));
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
        let found = match (self.case.login(), &known.account) {
            (None, _) => "not logged in".into(),
            (Some(login), None) => format!("{login}; no directory is asked"),
            (Some(login), Some(lookup)) => format!("{login} is {}", account_words(lookup)),
        };
        steps.push(info("identity", found));
        steps
    }

    /// Asked by policy delegation, Postfix puts its own words before ours (smtpd_check.c); asked by
    /// milter it does not.
    fn client_sees(&self, reply: &Reply) -> String {
        let refusal = match reply {
            Reply::Refuse(refusal) => refusal,
            Reply::Hold(_) => return "the message is accepted".into(),
            Reply::NoObjection | Reply::Grant => return "no refusal from gatepost".into(),
        };
        let facts = self.case.facts;
        if self.case.listener.protocol == Protocol::Milter {
            return refusal.to_string();
        }
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

    fn would_change(&self) -> Vec<String> {
        let decision = self.decision;
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
            Reason::AccountSuspended => {
                vec![format!(
                    "have {login}'s password changed, then gatepost release {login} --verdict ... --note ..."
                )]
            }
            Reason::Suspected => vec![
                format!("ask {login} whether this mail is its own"),
                "or name it in [detector] bulk, if it writes to many by trade".into(),
            ],
            Reason::QuotaExceeded | Reason::QuotaRejected => vec![
                "wait until the quota is free again".into(),
                format!(
                    "or give {login} a larger one: a [[quota]] for a user outweighs all others"
                ),
            ],
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

    fn ways_to(&self, right: &str, ruling: impl Fn(&Grant) -> Option<Ruling>) -> Vec<String> {
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
