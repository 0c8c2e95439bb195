//! The rights, senders and groups of a portrait.

use crate::decision::Case;
use crate::decision::entries::Entries;
use crate::decision::portrait::{May, ShownEntry, ShownGroup, ShownRight, ShownSenders, Verdict};
use crate::rights::{
    Finding, Membership, Mode, Right, Ruling, SenderGrant, Source, Subject, Who, said,
};

/// Whoever the portrait is of.
pub(super) struct Sitter<'a> {
    pub case: Case<'a>,
    pub entries: Entries<'a>,
    pub subject: Subject<'a>,
    pub login: &'a str,
}

impl Sitter<'_> {
    fn holds(&self, right: Right) -> Finding {
        self.case.rules.of_login(right, self.subject, false)
    }

    fn mode(&self, right: Right) -> Mode {
        match right {
            Right::Submit => self.case.rules.submit,
            Right::Relay => self.case.rules.relay_mode,
        }
    }

    pub fn may_relay(&self, may_submit: May) -> May {
        let rules = self.case.rules;
        let relay = match Verdict::of(self.holds(Right::Relay)) {
            _ if !rules.judges_rights || rules.relay_mode != Mode::Enforce => May::Yes,
            Verdict::Allowed | Verdict::NotJudged => May::Yes,
            Verdict::Denied | Verdict::NothingAllowsIt => May::No,
            Verdict::NotKnownNow => May::NotNow,
        };
        match (may_submit, relay) {
            (May::No, _) | (_, May::No) => May::No,
            (May::Yes, May::Yes) => May::Yes,
            _ => May::NotNow,
        }
    }

    pub fn right(&self, right: Right, may_submit: May) -> ShownRight {
        let rules = self.case.rules;
        let mut shown = ShownRight {
            right: right.as_str().into(),
            verdict: Verdict::NotJudged,
            mode: self.mode(right).as_str().into(),
            found: "no directory, grant or relay list is configured".into(),
            settled_by: None,
            also: Vec::new(),
            observed: None,
            notes: Vec::new(),
        };
        if !rules.judges_rights {
            return shown;
        }
        let found = self.holds(right);
        shown.verdict = Verdict::of(found);
        shown.found = match found {
            Finding::Allowed(source) | Finding::Denied(source) => self.entries.source(source),
            _ => self.entries.right(found, self.login),
        };
        shown.settled_by = found.source().and_then(|source| self.entries.place(source));
        shown.also = self.also(right, found.source());
        let observed = Verdict::of(rules.of_login(right, self.subject, true));
        shown.observed = Some(observed).filter(|observed| *observed != shown.verdict);
        shown.notes = self.notes(right, found, may_submit);
        shown
    }

    /// Whatever speaks of the right beside what settled it.
    fn also(&self, right: Right, settled: Option<Source>) -> Vec<ShownEntry> {
        let rules = self.case.rules;
        let everybody =
            rules.authenticated.map(|_| (Finding::Allowed(Source::Authenticated), Mode::Enforce));
        let grants = rules.grants.iter().enumerate();
        let grants =
            grants.map(|(index, grant)| (said(right, self.subject, grant, index), grant.mode));
        let shown = everybody.into_iter().chain(grants).filter_map(|(found, mode)| {
            let source = found.source().filter(|source| Some(*source) != settled)?;
            let ruling = match found {
                Finding::Denied(_) | Finding::MaybeDenied(_) => Ruling::Deny,
                _ => Ruling::Allow,
            };
            Some(ShownEntry {
                ruling: ruling.as_str().into(),
                is_known: matches!(found, Finding::Allowed(_) | Finding::Denied(_)),
                mode: mode.as_str().into(),
                what: self.entries.source(source),
                line: self.entries.place(source).unwrap_or_default(),
            })
        });
        shown.collect()
    }

    fn notes(&self, right: Right, found: Finding, may_submit: May) -> Vec<String> {
        let rules = self.case.rules;
        let mut notes = Vec::new();
        if self.mode(right) == Mode::Observe {
            notes
                .push(format!("[{}] mode = \"observe\": nobody is refused for it", right.as_str()));
        }
        if right == Right::Relay {
            if may_submit != May::Yes && Verdict::of(found) == Verdict::Allowed {
                notes.push("of no use while it may not submit".into());
            }
            let is_denied = matches!(found, Finding::Denied(_) | Finding::MaybeDenied(_));
            if Verdict::of(found) != Verdict::Allowed && !is_denied && rules.relay.allows_some() {
                notes.push("from a client that a list of [relay] allows it may relay".into());
            }
        }
        notes
    }

    pub fn senders(&self) -> Vec<ShownSenders> {
        let grants = self.case.rules.sender.grants.iter().enumerate();
        let shown = grants.filter_map(|(index, grant)| {
            let member = self.subject.is(&grant.who);
            (member != Membership::No).then(|| {
                let source = Source::SenderGrant(index as u32);
                ShownSenders {
                    senders: senders(grant),
                    is_known: member == Membership::Yes,
                    what: self.entries.source(source),
                    line: self.entries.place(source).unwrap_or_default(),
                }
            })
        });
        shown.collect()
    }

    pub fn groups(&self) -> Vec<ShownGroup> {
        let names = self.case.rules.groups.names().enumerate();
        let shown = names.map(|(index, name)| ShownGroup {
            group: name.into(),
            member: match self.subject.is(&Who::Group(index)) {
                Membership::Yes => "yes",
                Membership::No => "no",
                Membership::Unknown => "unknown",
            }
            .into(),
            path: self.entries.paths.get(&index).cloned().unwrap_or_default(),
        });
        shown.collect()
    }
}

fn senders(grant: &SenderGrant) -> Vec<String> {
    let addresses = grant.addresses.iter().map(|own| String::from_utf8_lossy(own).into_owned());
    let domains = grant.domains.iter().map(|own| format!("@{}", String::from_utf8_lossy(own)));
    addresses.chain(domains).collect()
}
