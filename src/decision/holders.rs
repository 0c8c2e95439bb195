//! Everybody who holds a right, and by what, for people: `gatepost rights --who relay`. Told line by
//! line, so that no directory is too large.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::decision::entries::Entries;
use crate::decision::portrait::Verdict;
use crate::decision::{Case, GatewayMatch, Known, Listener, Paths, Rules, decide};
use crate::mail::{Facts, Login, Protocol, Stage, Timestamp};
use crate::rights::{
    Account, CertificateName, Finding, Grant, Holder, Lookup, Mode, Right, Ruling, Source, Subject,
    Who,
};

/// The people of a directory under the rules, asked who holds a right.
pub struct Holders {
    rules: Arc<Rules>,
    right: Right,
    /// Sorted by name. `None`: there is no directory.
    people: Option<Vec<Holder>>,
    at: Timestamp,
}

/// One line of the answer: the head, a line for each person, the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldersLine {
    Head(HoldersHead),
    Person(RightHolder),
    End(HoldersEnd),
}

/// What is said before anybody is named; the fields may grow, none will change its meaning within /1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldersHead {
    /// `gatepost.holders/1`
    pub schema: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// The configuration file.
    pub rules: String,
    /// submit, relay
    pub right: String,
    /// The mode in which the right is judged.
    pub mode: String,
    /// Whether every login holds it that is not denied: then the people are those who do not.
    pub every_login: bool,
    /// What gives or takes the right without the directory.
    pub entries: Vec<HoldersEntry>,
    /// Grants that only observe; they neither give nor take anything.
    pub observed: Vec<HoldersEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldersEntry {
    /// every-login, network, host, certificate, everybody-else, gateway, domain, user, group
    pub kind: String,
    pub what: String,
    /// allow, deny, or except in a list of networks that may not
    pub ruling: String,
    pub line: String,
}

/// Somebody who holds the right, may hold it or, where every login does, does not hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RightHolder {
    pub name: String,
    pub key: String,
    /// One of its logins.
    pub login: String,
    pub verdict: Verdict,
    /// The entry in words.
    pub by: String,
    /// The line of the configuration.
    pub line: Option<String>,
    /// Why a mail of it is refused all the same: a word of docs/replies.md.
    pub hindered_by: Option<String>,
}

/// How many there are. An answer without it ends too early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldersEnd {
    /// In the directory.
    pub people: u64,
    pub allowed: u64,
    pub denied: u64,
    pub not_known_now: u64,
}

impl Holders {
    pub fn new(
        rules: Arc<Rules>,
        right: Right,
        mut people: Option<Vec<Holder>>,
        at: Timestamp,
    ) -> Self {
        let sorted = |holder: &Holder| {
            let account = &holder.account;
            (account.name.to_lowercase(), account.key.clone())
        };
        if let Some(people) = &mut people {
            people.sort_by_cached_key(sorted);
        }
        Self { rules, right, people, at }
    }

    /// Each line is made when it is asked for.
    pub fn lines(self) -> impl Iterator<Item = HoldersLine> + Send + 'static {
        let head = HoldersLine::Head(self.head());
        let Self { rules, right, people, .. } = self;
        let mut people = people.unwrap_or_default().into_iter();
        let (mut end, mut is_over) = (HoldersEnd::default(), false);
        let listener = Listener::of_no_socket();
        std::iter::once(head).chain(std::iter::from_fn(move || {
            for holder in people.by_ref() {
                end.people += 1;
                let Some(person) = Person::of(holder, &rules, &listener) else { continue };
                let found = person.found(right);
                match Verdict::of(found) {
                    Verdict::Allowed => end.allowed += 1,
                    Verdict::Denied => end.denied += 1,
                    Verdict::NotKnownNow => end.not_known_now += 1,
                    Verdict::NothingAllowsIt | Verdict::NotJudged => {}
                }
                if let Some(shown) = person.shown(found) {
                    return Some(HoldersLine::Person(shown));
                }
            }
            let last = (!is_over).then_some(HoldersLine::End(end));
            is_over = true;
            last
        }))
    }

    fn head(&self) -> HoldersHead {
        let rules = &self.rules;
        let (right, mode) = match self.right {
            Right::Submit => (Right::Submit, rules.submit),
            Right::Relay => (Right::Relay, rules.relay_mode),
        };
        HoldersHead {
            schema: "gatepost.holders/1".into(),
            at: self.at.to_string(),
            rules: rules.file.to_string(),
            right: right.as_str().into(),
            mode: mode.as_str().into(),
            every_login: rules.authenticated.is_some(),
            entries: self.entries(),
            observed: self.grants(|grant| grant.mode == Mode::Observe),
        }
    }

    fn entry(&self, kind: &str, what: String, ruling: &str, line: usize) -> HoldersEntry {
        let line = self.words().line(line);
        HoldersEntry { kind: kind.into(), what, ruling: ruling.into(), line }
    }

    fn words(&self) -> Entries<'_> {
        Entries { rules: &self.rules, paths: no_paths() }
    }

    fn entries(&self) -> Vec<HoldersEntry> {
        let rules = &self.rules;
        let every_login = rules
            .authenticated
            .map(|line| self.entry("every-login", "authenticated = true".into(), "allow", line));
        let mut entries: Vec<HoldersEntry> = every_login.into_iter().collect();
        if self.people.is_none() {
            entries.extend(
                self.grants(|grant| {
                    grant.mode == Mode::Enforce && matches!(grant.who, Who::User(_))
                }),
            );
        }
        entries.extend(self.clients());
        match self.right {
            Right::Submit => entries.extend(rules.gateways.iter().filter_map(|gateway| {
                let GatewayMatch::Net(net) = &gateway.who else { return None };
                Some(self.entry("gateway", net.to_string(), "allow", gateway.line))
            })),
            Right::Relay => entries.extend(rules.domains.relayed().map(|name| HoldersEntry {
                kind: "domain".into(),
                what: name.into(),
                ruling: "allow".into(),
                line: format!("{} [domains] relay", rules.file),
            })),
        }
        entries
    }

    /// The lists of `[relay]`, which trust clients without a login.
    fn clients(&self) -> Vec<HoldersEntry> {
        let relay = &self.rules.relay;
        let mut entries = Vec::new();
        for entry in &relay.networks {
            let ruling = entry.ruling.map_or("except", Ruling::as_str);
            entries.push(self.entry("network", entry.net.to_string(), ruling, entry.line));
        }
        for entry in &relay.hosts {
            let ruling = entry.ruling.as_str();
            entries.push(self.entry("host", entry.name.to_string(), ruling, entry.line));
        }
        for entry in &relay.certificates.0 {
            let name = match &entry.name {
                CertificateName::Fingerprint(digits) => digits.to_string(),
                CertificateName::Subject(subject) => format!("subject {subject}"),
            };
            entries.push(self.entry("certificate", name, entry.ruling.as_str(), entry.line));
        }
        if relay.all_except {
            entries.push(HoldersEntry {
                kind: "everybody-else".into(),
                what: "every other client, but not from the Internet".into(),
                ruling: "allow".into(),
                line: self.words().place(Source::EverybodyElse).unwrap_or_default(),
            });
        }
        entries
    }

    fn grants(&self, wanted: impl Fn(&Grant) -> bool) -> Vec<HoldersEntry> {
        let grants = self.rules.grants.iter().filter(|grant| wanted(grant));
        let entries = grants.filter_map(|grant| {
            let ruling = grant.ruling(self.right)?.as_str();
            Some(match &grant.who {
                Who::User(user) => self.entry("user", user.to_string(), ruling, grant.line),
                Who::Group(group) => {
                    let name = self.rules.groups.name(*group).into();
                    self.entry("group", name, ruling, grant.line)
                }
            })
        });
        entries.collect()
    }
}

/// One of the directory's people.
struct Person<'a> {
    facts: Facts,
    known: Known,
    account: Arc<Account>,
    rules: &'a Rules,
    listener: &'a Listener,
}

impl<'a> Person<'a> {
    /// `None`: it has no name to log in with.
    fn of(holder: Holder, rules: &'a Rules, listener: &'a Listener) -> Option<Self> {
        let account = Arc::clone(&holder.account);
        let login = match account.logins.first() {
            Some(login) => Login::parse(login.as_bytes()),
            None => account.addresses.first().and_then(|address| Login::parse(address)),
        };
        let mut facts = Facts::at_stage(Protocol::PolicyDelegation, Stage::Mail);
        facts.login = Some(login?);
        let mut known = Known { account: Some(Lookup::Found(holder)), ..Known::default() };
        known.gateway = rules.gateway(&facts, facts.login.as_ref(), known.account.as_ref());
        Some(Self { facts, known, account, rules, listener })
    }

    fn found(&self, right: Right) -> Finding {
        let subject = self
            .facts
            .login
            .as_ref()
            .map(|login| Subject { login, lookup: self.known.account.as_ref() });
        subject.map_or(Finding::Silent, |subject| self.rules.of_login(right, subject, false))
    }

    /// `None`: it is not named. Where every login holds the right, those are who hold it.
    fn shown(&self, found: Finding) -> Option<RightHolder> {
        let verdict = Verdict::of(found);
        let is_shown = match verdict {
            Verdict::Allowed => self.rules.authenticated.is_none(),
            Verdict::Denied => self.rules.authenticated.is_some(),
            Verdict::NotKnownNow => true,
            Verdict::NothingAllowsIt | Verdict::NotJudged => false,
        };
        let source = found.source().filter(|_| is_shown)?;
        let entries = Entries { rules: self.rules, paths: no_paths() };
        let case = Case {
            listener: self.listener,
            facts: &self.facts,
            known: &self.known,
            rules: self.rules,
        };
        let hindered_by = match verdict {
            Verdict::Allowed => {
                decide(case, None, Timestamp::default()).reason.map(|reason| reason.to_string())
            }
            _ => None,
        };
        Some(RightHolder {
            name: self.account.name.to_string(),
            key: self.account.key.to_string(),
            login: self.facts.login.as_ref().map(Login::to_string).unwrap_or_default(),
            verdict,
            by: entries.source(source),
            line: entries.place(source),
            hindered_by,
        })
    }
}

/// A walk to a group for each of ten thousand people would ask the directory as often.
fn no_paths() -> &'static Paths {
    static NONE: std::sync::LazyLock<Paths> = std::sync::LazyLock::new(Paths::new);
    &NONE
}
