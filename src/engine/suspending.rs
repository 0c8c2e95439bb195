//! What people do to accounts: suspend, exempt, forget; and why it may not be done.

use std::fmt;

use crate::decision::{DecisionId, Rules};
use crate::detector::Spares;
use crate::engine::Engine;
use crate::engine::breaker::Opened;
use crate::engine::subject::Subject;
use crate::engine::telling::{Happened, Said};
use crate::mail::{AccountKey, Mode, Timestamp};
use crate::record::{Change, Deed, Notice, NoticeKind, Record, Row, Table};
use crate::store::{Judge, StoreFault};
use crate::suspension::{Ending, Exemption, Suspension};

/// Who suspends, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Suspending<'a> {
    pub by: &'a str,
    pub note: &'a str,
    /// `None`: until it is released.
    pub until: Option<Timestamp>,
}

/// Who spares an account which tests, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Exempting<'a> {
    pub by: &'a str,
    pub note: &'a str,
    pub spares: Spares,
    pub recipients: Option<u32>,
    pub until: Timestamp,
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeedFault {
    NoLogin,
    /// The directory knows no such login.
    Unknown,
    Ambiguous,
    DirectorySilent,
    NotSuspended,
    AlreadySuspended(String),
    NotExempt,
    NothingKept,
    BreakerClosed,
    PasswordUnchanged {
        set: Timestamp,
        since: Timestamp,
    },
    Store(StoreFault),
}

impl fmt::Display for DeedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLogin => {
                f.write_str("is no login; expected one, client:ADDRESS or the id of a suspension")
            }
            Self::Unknown => f.write_str("is not known to the directory"),
            Self::Ambiguous => {
                f.write_str("is ambiguous: several accounts of the directory answer to it")
            }
            Self::DirectorySilent => {
                f.write_str("cannot be looked up now: the directory does not answer")
            }
            Self::NotSuspended => f.write_str("is not suspended"),
            Self::AlreadySuspended(id) => write!(f, "is suspended already, by {id}"),
            Self::NotExempt => f.write_str("has no exemption"),
            Self::NothingKept => f.write_str("has no record: nothing is kept of it"),
            Self::BreakerClosed => f.write_str("is not open"),
            Self::PasswordUnchanged { set, since } => write!(
                f,
                "is not released: its password was last changed at {set}, before the first abusive message at {since}, \
                 so that the thief still has it; have it changed, or say --force"
            ),
            Self::Store(StoreFault::NotOnDisk(why)) => write!(
                f,
                "is changed, but not on disk yet, and would be as before if gatepost ended now: {why}"
            ),
            Self::Store(fault) => write!(f, "is not changed: {fault}"),
        }
    }
}

impl std::error::Error for DeedFault {}

impl From<StoreFault> for DeedFault {
    fn from(fault: StoreFault) -> Self {
        Self::Store(fault)
    }
}

impl Engine {
    /// Suspends an account; tells the suspension. One that stands is left; a shadow gives way.
    pub async fn suspend(
        &self,
        name: &str,
        suspending: &Suspending<'_>,
        commit: bool,
        at: Timestamp,
    ) -> Result<(Suspension, Vec<Happened>), DeedFault> {
        let subject = self.known_subject(name).await?;
        let id = DecisionId::of_deed(suspending.by, subject.account.as_str(), at);
        let suspension = Suspension::by_person(id.as_str(), suspending.by, suspending.until, at);
        let said = Said { by: suspending.by, note: Some(suspending.note), ending: Ending::Expired };
        let mut standing = None;
        let happened = self
            .deed(&subject, said, None, commit, at, |record| {
                standing = record.suspended(at).map(|known| known.id.to_string());
                match standing {
                    Some(_) => false,
                    None => {
                        record.suspend(suspension.clone());
                        true
                    }
                }
            })
            .await?;
        match standing {
            Some(id) => Err(DeedFault::AlreadySuspended(id)),
            None => Ok((suspension, happened)),
        }
    }

    /// Spares an account tests; tells the suspension that ended by it.
    pub async fn exempt(
        &self,
        name: &str,
        exempting: &Exempting<'_>,
        commit: bool,
        at: Timestamp,
    ) -> Result<(Option<Suspension>, Vec<Happened>), DeedFault> {
        let subject = self.known_subject(name).await?;
        let Exempting { by, note, spares, recipients, until } = *exempting;
        let exemption = Exemption { spares, until, recipients, used: 0 };
        let has_probation = self.rules().detector.suspension.has_probation;
        let mut standing = None;
        self.look(&subject.account, |record| standing = record.in_force(at).cloned()).await?;
        let readings = match &standing {
            Some(suspension) => self.readings(suspension).await?,
            None => Vec::new(),
        };
        if commit && standing.is_some_and(|standing| standing.mode == Mode::Enforce) {
            self.keep_holds_of(&subject.account).await?;
        }
        let said = Said { by, note: Some(note), ending: Ending::Exempted };
        let detail = format!("until {until}, {}", spared(exempting));
        let deed = subject.deed("exempted", by, note, Some(detail), at);
        let mut lifted = None;
        let happened = self
            .deed(&subject, said, Some(deed), commit, at, |record| {
                lifted = record.exempt(exemption, &readings, has_probation, at);
                true
            })
            .await?;
        Ok((lifted, happened))
    }

    pub async fn end_exemption(
        &self,
        name: &str,
        by: &str,
        note: &str,
        commit: bool,
        at: Timestamp,
    ) -> Result<Exemption, DeedFault> {
        let subject = self.subject(name).await?;
        let said = Said { by, note: Some(note), ending: Ending::Expired };
        let deed = subject.deed("exemption-ended", by, note, None, at);
        let mut ended = None;
        self.deed(&subject, said, Some(deed), commit, at, |record| {
            ended = record.end_exemption(at);
            ended.is_some()
        })
        .await?;
        ended.ok_or(DeedFault::NotExempt)
    }

    /// Forgets what is known of an account, but for a suspension that stands; tells how many messages had been counted.
    pub async fn forget(
        &self,
        name: &str,
        by: &str,
        note: &str,
        commit: bool,
        at: Timestamp,
    ) -> Result<(u64, Vec<Happened>), DeedFault> {
        let subject = self.subject(name).await?;
        // Of a deed that failed half-way, or of a record that is gone, this may be all that is left.
        let has_more = !self.evident(&subject.account, at).await?.is_empty()
            || self.has_refusals(&subject.account).await?;
        let said = Said { by, note: Some(note), ending: Ending::Expired };
        let deed = subject.deed("forgotten", by, note, None, at);
        let mut nothing = Record::default();
        nothing.advance(at);
        let mut messages = None;
        let happened = self
            .deed(&subject, said, Some(deed), commit, at, |record| {
                let is_kept = *record != nothing || has_more;
                messages = is_kept.then_some(record.usage.messages);
                let suspension = record.suspended(at).cloned().map(Box::new);
                *record = Record { suspension, ..Record::default() };
                is_kept
            })
            .await?;
        let messages = messages.ok_or(DeedFault::NothingKept)?;
        if commit {
            self.samples.forget(&subject.account);
            self.forget_incidents(&subject.account, at).await?;
            self.forget_refusals_of(&subject.account).await?;
        }
        Ok((messages, happened))
    }

    /// Closes the breaker.
    pub async fn reset_breaker(
        &self,
        mode: Mode,
        by: &str,
        note: &str,
        commit: bool,
        at: Timestamp,
    ) -> Result<Opened, DeedFault> {
        let opened = self.breaker.opened(mode).ok_or(DeedFault::BreakerClosed)?;
        if commit {
            let deed = Deed {
                detail: Some(mode.as_str().into()),
                note: Some(note.into()),
                ..Deed::new(by, "breaker-reset", at)
            };
            self.store.put(vec![Row::remove(Table::Site, breaker_key(mode)), deed.row()]).await?;
            self.breaker.reset(mode);
        }
        Ok(opened)
    }

    /// The open breaker; `None`: it is closed.
    pub fn opened_breaker(&self, mode: Mode) -> Option<Opened> {
        self.breaker.opened(mode)
    }

    /// Takes up what an earlier run left.
    pub async fn take_up(&self) -> Result<(), StoreFault> {
        self.take_up_unresolved().await?;
        for mode in [Mode::Enforce, Mode::Observe] {
            let row = self.store.row(Table::Site, breaker_key(mode)).await?;
            if let Some(row) = row {
                // What a later release wrote otherwise is open all the same.
                let unknown = Opened { at: Timestamp::default(), suspensions: 0, accounts: 0 };
                self.breaker.set_open(mode, serde_json::from_str(&row).unwrap_or(unknown));
            }
        }
        Ok(())
    }

    /// The detector has suspended: perhaps once too often.
    pub(super) async fn count_suspensions(
        &self,
        happened: &mut Vec<Happened>,
        rules: &Rules,
        at: Timestamp,
    ) {
        let by_detector = happened.iter().find_map(|what| match what {
            Happened::Suspended { suspension, .. } => suspension.test().map(|_| suspension.mode),
            _ => None,
        });
        let Some(mode) = by_detector.filter(|_| rules.detector.suspension.has_breaker) else {
            return;
        };
        // A store that cannot count them has many.
        let accounts = self.store.accounts().await.unwrap_or(u64::MAX);
        let Some(opened) = self.breaker.count(mode, accounts, at) else { return };
        let deed = Deed {
            detail: Some(mode.as_str().into()),
            ..Deed::new("gatepost", "breaker-opened", at)
        };
        let id = format!("breaker-{}.{}", at.unix_ms(), NoticeKind::BreakerOpened.as_str());
        let mut notice = Notice::new(&id, NoticeKind::BreakerOpened, at);
        notice.mode = Some(mode);
        notice.reason = Some(format!(
            "{} accounts of {} were suspended within 10 minutes: nobody else is until the breaker is reset, and what \
             would have suspended is held",
            opened.suspensions, opened.accounts
        ));
        let value = serde_json::to_string(&opened).expect("numbers are JSON");
        let mut send = |_: &Record| Change {
            record: None,
            events: vec![notice.to_event()],
            rows: vec![Row::put(Table::Site, breaker_key(mode), value.as_str()), deed.row()],
        };
        // It is open in any case; a store that fails has told so already.
        let _ = self.change(&AccountKey::stored("site"), &mut send, true).await;
        happened.push(Happened::BreakerOpened { mode, suspensions: opened.suspensions });
    }

    async fn known_subject(&self, name: &str) -> Result<Subject, DeedFault> {
        let subject = self.subject(name).await?;
        if subject.is_unknown { Err(DeedFault::Unknown) } else { Ok(subject) }
    }

    /// Alters the record, where `alter` says so, and tells of it; a suspension's deeds tell themselves.
    async fn deed(
        &self,
        subject: &Subject,
        said: Said<'_>,
        deed: Option<Deed>,
        commit: bool,
        at: Timestamp,
        mut alter: impl FnMut(&mut Record) -> bool + Send,
    ) -> Result<Vec<Happened>, DeedFault> {
        let has_probation = self.rules().detector.suspension.has_probation;
        let about = subject.about(at);
        let mut happened = Vec::new();
        let mut run = |record: &Record| {
            let mut changed = record.clone();
            changed.expire(has_probation, at);
            changed.advance(at);
            happened.clear();
            if !alter(&mut changed) {
                return Change::default();
            }
            let mut change = Change::to(changed);
            change.rows.extend(deed.iter().map(Deed::row));
            happened = self.tell_change(&about, said, record, None, &mut change);
            change
        };
        self.change(&subject.account, &mut run, commit).await?;
        Ok(happened)
    }

    pub(super) async fn change(
        &self,
        account: &AccountKey,
        judge: Judge<'_>,
        commit: bool,
    ) -> Result<(), StoreFault> {
        if !commit {
            return self.store.preview(account, judge).await;
        }
        match self.store.update(account, judge).await {
            // What is done must not wait for those who are told of it.
            Err(StoreFault::OutboxFull(limit)) => {
                tracing::error!(%account, limit, "the outbox is full: nobody is told of a change");
                let mut mute = |record: &Record| Change { events: Vec::new(), ..judge(record) };
                self.store.update(account, &mut mute).await
            }
            done => done,
        }
    }

    pub(super) async fn look(
        &self,
        account: &AccountKey,
        mut look: impl FnMut(&Record) + Send,
    ) -> Result<(), StoreFault> {
        let mut seen = |record: &Record| {
            look(record);
            Change::default()
        };
        self.store.preview(account, &mut seen).await
    }
}

fn spared(exempting: &Exempting<'_>) -> String {
    let tests = match exempting.spares {
        Spares::Everything => "all tests",
        _ => "the tests of whom its messages go to",
    };
    match exempting.recipients {
        Some(most) => format!("{tests}, for {most} recipients"),
        None => tests.into(),
    }
}

fn breaker_key(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "breaker",
        _ => "shadow-breaker",
    }
}
