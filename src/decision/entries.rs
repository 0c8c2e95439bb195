//! The entries of the configuration in words, and where each stands.

use crate::decision::{Paths, Rules};
use crate::rights::{Finding, Source, Who};

/// Tells of entries; `paths` has a way for each group that matters.
#[derive(Clone, Copy)]
pub(super) struct Entries<'a> {
    pub(super) rules: &'a Rules,
    pub(super) paths: &'a Paths,
}

impl Entries<'_> {
    /// What was found of a right of `login`, as a sentence.
    pub(super) fn right(&self, found: Finding, login: &str) -> String {
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
    pub(super) fn source(&self, source: Source) -> String {
        let rules = self.rules;
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

    /// A group, with the way into it where one is known.
    pub(super) fn group(&self, group: usize) -> String {
        let name = self.rules.groups.name(group);
        match self.paths.get(&group) {
            Some(path) if !path.is_empty() => format!("{name} ({})", path.join(" -> ")),
            _ => name.into(),
        }
    }

    pub(super) fn line(&self, line: usize) -> String {
        format!("{}:{line}", self.rules.file)
    }

    /// Where an entry stands. `None`: it stands nowhere, or is switched off.
    pub(super) fn place(&self, source: Source) -> Option<String> {
        let rules = self.rules;
        Some(match source {
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
}
