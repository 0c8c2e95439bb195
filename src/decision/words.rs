//! Findings and their sources in words.

use crate::decision::story::Teller;
use crate::decision::{Because, Check, Outcome};
use crate::mail::visible;
use crate::rights::{AccountState, Finding, Lookup, Restriction, Source, Who};

impl Teller<'_> {
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
        }
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
            Source::Grant(index) => match &rules.grants[index as usize].who {
                Who::User(user) => format!("the grant for user {user}"),
                Who::Group(group) => format!("the grant for group {}", self.group(*group)),
            },
            Source::SenderGrant(index) => match &rules.sender.grants[index as usize].who {
                Who::User(user) => format!("user {user} may send as it"),
                Who::Group(group) => format!("group {} may send as it", self.group(*group)),
            },
            Source::OwnAddress => "an address of the account itself".into(),
            Source::NullSender => "the null sender, which anybody may use".into(),
            Source::Network(index) => {
                format!("the client is in the network {}", rules.relay.networks[index as usize].net)
            }
            Source::Host(index) => {
                format!(
                    "the client's confirmed name matches {}",
                    rules.relay.hosts[index as usize].name
                )
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

    pub(super) fn line(&self, line: usize) -> String {
        format!("{}:{line}", self.rules().file)
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
        Some(match found.source()? {
            Source::Grant(index) => self.line(rules.grants[index as usize].line),
            Source::SenderGrant(index) => self.line(rules.sender.grants[index as usize].line),
            Source::Network(index) => self.line(rules.relay.networks[index as usize].line),
            Source::Host(index) => self.line(rules.relay.hosts[index as usize].line),
            Source::Certificate(index) => {
                self.line(rules.relay.certificates.0[index as usize].line)
            }
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
