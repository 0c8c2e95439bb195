//! What a change of an account's record sends out with it: the incident, the deed, the index of accounts of note,
//! and an event for whoever acts on it. All are committed with the record, so that no crash falls in between.

use compact_str::CompactString;

use crate::decision::{Decision, Paths, Rules};
use crate::detector::{Inspection, Test};
use crate::engine::Engine;
use crate::ledger::Meter;
use crate::mail::{AccountKey, Mode, Timestamp};
use crate::record::{
    Change, Deed, Envelope, Incident, IncidentEnd, Notice, NoticeKind, Reading, Record, Row, Table,
};
use crate::rights::Account;
use crate::suspension::{Cause, Ending, Exemption, Grade, Suspension};

/// Something that came of a change, for whoever counts.
#[derive(Clone, Debug, PartialEq)]
pub enum Happened {
    Suspended {
        login: CompactString,
        suspension: Suspension,
        /// Messages that went out since the first that counted.
        messages: u32,
    },
    Ended {
        login: CompactString,
        suspension: Suspension,
        ending: Ending,
    },
    Noticed {
        login: CompactString,
        grade: Grade,
    },
    BreakerOpened {
        mode: Mode,
        suspensions: usize,
    },
}

/// Whose record changes.
pub(super) struct About<'a> {
    pub account: &'a AccountKey,
    pub login: &'a str,
    pub holder: Option<&'a Account>,
    pub mta: &'a str,
    pub at: Timestamp,
}

/// Who changes it, and why.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    pub by: &'a str,
    pub note: Option<&'a str>,
    /// Of a suspension that ends.
    pub ending: Ending,
}

/// What no person does.
pub(super) const BY_ITSELF: Said<'static> =
    Said { by: "gatepost", note: None, ending: Ending::Expired };

const DETECTOR: &str = "detector";

impl Engine {
    /// Adds to a change what others hear of it. Run again on another record, it adds the same for that one.
    pub(super) fn tell_change(
        &self,
        about: &About<'_>,
        said: Said<'_>,
        before: &Record,
        by: Option<(&Decision, &Rules)>,
        change: &mut Change,
    ) -> Vec<Happened> {
        let found = by.and_then(|(decision, _)| decision.found.as_deref());
        let Some(after) = change.record.take() else { return Vec::new() };
        let mut told = Told { about, said, change, happened: Vec::new() };
        let (old, new) = (before.suspension.as_deref(), after.suspension.as_deref());
        if old.map(|old| &old.id) != new.map(|new| &new.id) {
            if let Some(old) = old {
                told.end(old);
            }
            if let Some(new) = new {
                let incident = self.evidence(about, said, new, &after, found);
                told.impose(new, incident);
            }
        }
        let exemption = |record: &Record| record.life.as_deref().and_then(|life| life.exemption);
        if let Some(over) = exemption(before).filter(|known| !known.is_in_force(about.at))
            && exemption(&after) != Some(over)
        {
            told.end_exemption(&over);
        }
        let grade = |record: &Record| record.life.as_deref().and_then(|life| life.watch(about.at));
        if let Some((decision, rules)) = by {
            told.warn_of_quota(decision, rules);
        }
        match (grade(before), grade(&after)) {
            (known, Some(watch)) if known.is_none_or(|known| known.grade < watch.grade) => {
                told.notice(watch.grade, found);
            }
            _ => {}
        }
        if before.is_of_note() != after.is_of_note() {
            told.change.rows.push(account_row(about, after.is_of_note()));
        }
        let happened = told.happened;
        change.record = Some(after);
        happened
    }

    fn evidence(
        &self,
        about: &About<'_>,
        said: Said<'_>,
        suspension: &Suspension,
        after: &Record,
        found: Option<&Inspection>,
    ) -> Incident {
        let (by, reason) = match &suspension.cause {
            Cause::Found(finding) => (DETECTOR, format!("{} {finding}", about.login)),
            Cause::Person(who) => (&**who, format!("{who} suspended {}", about.login)),
        };
        let usual = after.usage.scale();
        let reading = |meter: Meter, value: f32| Reading {
            test: Test::Usual(meter).as_str().into(),
            value,
            usual: usual.usual(meter),
        };
        let readings = found.map(|found| {
            Meter::ALL
                .iter()
                .map(|meter| reading(*meter, found.readings[*meter as usize]))
                .collect()
        });
        let samples = self.samples.of(about.account, about.at);
        Incident {
            id: suspension.id.to_string(),
            account: about.account.to_string(),
            login: about.login.into(),
            addresses: about.holder.map(addresses).unwrap_or_default(),
            mta: about.mta.into(),
            mode: suspension.mode.as_str().into(),
            by: by.into(),
            note: said.note.map(Into::into),
            test: suspension.test().map(|test| test.as_str().into()),
            reason,
            since: suspension.since,
            imposed: suspension.imposed,
            until: suspension.until,
            step: suspension.step,
            readings: readings.unwrap_or_default(),
            envelopes: samples.iter().map(Envelope::from).collect(),
            networks: self.samples.networks(about.account, about.at),
        }
    }
}

struct Told<'a, 'b> {
    about: &'a About<'a>,
    said: Said<'a>,
    change: &'b mut Change,
    happened: Vec<Happened>,
}

impl Told<'_, '_> {
    fn impose(&mut self, suspension: &Suspension, incident: Incident) {
        let messages = incident.passed().count() as u32;
        self.change.rows.push(incident.row());
        self.deed(&incident.by, NoticeKind::Suspended.as_str(), suspension, incident.test.clone());
        let mut notice = self.of_suspension(NoticeKind::Suspended, suspension);
        notice.reason = Some(incident.reason.clone());
        notice.by = Some(incident.by.clone());
        self.change.events.push(notice.to_event());
        if suspension.step > 0 {
            notice.id = id(&suspension.id, NoticeKind::Escalated);
            notice.event = NoticeKind::Escalated;
            self.change.events.push(notice.to_event());
        }
        let (login, suspension) = (self.about.login.into(), suspension.clone());
        self.happened.push(Happened::Suspended { login, suspension, messages });
    }

    fn end(&mut self, suspension: &Suspension) {
        let said = self.said;
        if !suspension.is_in_force(self.about.at) {
            // It was over before whatever is said now.
            self.said = BY_ITSELF;
        }
        let Said { by, note, ending } = self.said;
        let end = IncidentEnd {
            at: self.about.at,
            ending: ending.as_str().into(),
            by: by.into(),
            note: note.map(Into::into),
        };
        self.change.rows.push(end.row(&suspension.id));
        let kind = match ending {
            Ending::Expired => NoticeKind::Expired,
            Ending::Released(_) | Ending::Exempted => NoticeKind::Released,
        };
        self.deed(by, kind.as_str(), suspension, Some(ending.as_str().into()));
        let mut notice = self.of_suspension(kind, suspension);
        notice.by = Some(by.into());
        notice.verdict = (ending != Ending::Expired).then(|| ending.as_str().into());
        self.change.events.push(notice.to_event());
        let (login, suspension) = (self.about.login.into(), suspension.clone());
        self.happened.push(Happened::Ended { login, suspension, ending });
        self.said = said;
    }

    /// By itself; a person's deed tells itself.
    fn end_exemption(&mut self, over: &Exemption) {
        let Exemption { until, recipients, used, .. } = over;
        let detail = match recipients {
            Some(most) => format!("until {until}, {used} of {most} recipients"),
            None => format!("until {until}"),
        };
        let deed = Deed {
            account: Some(self.about.account.to_string()),
            login: Some(self.about.login.into()),
            detail: Some(detail),
            ..Deed::new(BY_ITSELF.by, "exemption-ended", self.about.at)
        };
        self.change.rows.push(deed.row());
    }

    fn notice(&mut self, grade: Grade, found: Option<&Inspection>) {
        let kind = match grade {
            Grade::Watched => NoticeKind::Watched,
            Grade::Held => NoticeKind::Held,
        };
        let at = self.about.at;
        let name = format!("{}-{}", self.about.account, at.unix_ms());
        let mut notice = self.notice_of(id(&name, kind), kind);
        notice.mode = found.map(|found| match found.enforced {
            Some(_) => Mode::Enforce,
            None => Mode::Observe,
        });
        let finding = found.and_then(|found| found.enforced.or(found.observed));
        notice.reason = finding.map(|finding| format!("{} {finding}", self.about.login));
        self.change.events.push(notice.to_event());
        self.happened.push(Happened::Noticed { login: self.about.login.into(), grade });
    }

    fn warn_of_quota(&mut self, decision: &Decision, rules: &Rules) {
        let watched = decision.quota.iter().flat_map(|quota| &quota.verdict.watched);
        for watched in watched.filter(|watched| watched.is_new) {
            let kind = NoticeKind::QuotaWarning;
            let used = watched.told(rules, &Paths::new());
            let name = format!("{}-{}-{used}", self.about.account, self.about.at.unix_ms());
            let mut notice = self.notice_of(id(&name, kind), kind);
            notice.reason =
                Some(format!("{} has nearly used up a quota: {used}", self.about.login));
            self.change.events.push(notice.to_event());
        }
    }

    fn of_suspension(&self, kind: NoticeKind, suspension: &Suspension) -> Notice {
        let mut notice = self.notice_of(id(&suspension.id, kind), kind);
        notice.mode = Some(suspension.mode);
        notice.incident = Some(suspension.id.to_string());
        notice.since = Some(suspension.since);
        notice.until = suspension.until;
        notice.note = self.said.note.map(Into::into);
        notice
    }

    fn notice_of(&self, id: String, kind: NoticeKind) -> Notice {
        let mut notice = Notice::new(&id, kind, self.about.at);
        notice.account = Some(self.about.account.to_string());
        notice.login = Some(self.about.login.into());
        notice.other_address =
            self.about.holder.and_then(|account| account.other_address.as_deref().map(Into::into));
        notice.mta = Some(self.about.mta.into()).filter(|mta: &String| !mta.is_empty());
        notice
    }

    fn deed(&mut self, by: &str, what: &str, suspension: &Suspension, detail: Option<String>) {
        let deed = Deed {
            account: Some(self.about.account.to_string()),
            login: Some(self.about.login.into()),
            incident: Some(suspension.id.to_string()),
            detail,
            note: self.said.note.map(Into::into),
            ..Deed::new(by, what, self.about.at)
        };
        self.change.rows.push(deed.row());
    }
}

fn addresses(account: &Account) -> Vec<String> {
    let shown = |address: &[u8]| String::from_utf8_lossy(address).into_owned();
    account.addresses.iter().map(|address| shown(address)).collect()
}

fn id(of: &str, kind: NoticeKind) -> String {
    format!("{of}.{}", kind.as_str())
}

/// In the index of accounts of note, or out of it.
pub(super) fn account_row(about: &About<'_>, is_of_note: bool) -> Row {
    let key = about.account.as_str();
    if !is_of_note {
        return Row::remove(Table::Accounts, key);
    }
    let login = serde_json::to_string(about.login).expect("text is JSON");
    Row::put(Table::Accounts, key, login)
}
