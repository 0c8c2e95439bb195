//! What a killed daemon left on disk beside what it was asked for and what it had answered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use gatepost::mail::{AccountKey, Login, Timestamp};
use gatepost::record::{Change, Deed as Audited, Incident, IncidentEnd, Notice, Record, Table};
use gatepost::store::{Embedded, Store};
use serde_json::Value;

use crate::deeds::{Deed, What};
use crate::questions::Asked;

/// As the documents promise.
const BEHIND_AT_MOST: Duration = Duration::from_secs(1);

/// All runs of one site so far.
#[derive(Default)]
pub struct Site {
    /// Messages of the quiet logins, as they were kept.
    pub messages: BTreeMap<String, u64>,
    /// By id: the login of each suspension that was answered for.
    suspended: BTreeMap<String, String>,
    ended: BTreeSet<String>,
    exempted: BTreeSet<String>,
    /// Logins that may be suspended, released and exempt, since somebody asked for it.
    may: BTreeSet<(&'static str, String)>,
    /// Thieves caught and not released, with the suspension.
    pub caught: Vec<(String, String)>,
    pub figures: Figures,
}

/// That there was something to compare.
#[derive(Debug, Default)]
pub struct Figures {
    pub thieves: usize,
    pub suspended: usize,
    pub ended: usize,
    pub exempted: usize,
    /// Answers older than a second.
    pub old: usize,
    /// Suspensions on disk of which nobody had heard.
    pub unheard: usize,
}

/// What the tables hold.
struct Kept {
    incidents: BTreeMap<String, Incident>,
    ends: BTreeMap<String, IncidentEnd>,
    audit: Vec<Audited>,
    /// Ids, in the outbox or on their way to the action.
    events: BTreeSet<String>,
}

impl Site {
    pub async fn compare(&mut self, store: &Embedded, asked: &Asked, killed: Instant) {
        self.note(asked);
        let kept = Kept::read(store).await;
        self.nothing_is_lost(&kept);
        self.nothing_is_invented(&kept);
        kept.is_whole();
        self.usage_is_near(store, asked, killed).await;
        for (login, thief) in &asked.thieves {
            let record = record(store, login).await;
            let standing = record.suspension.as_ref().map(|suspension| suspension.id.to_string());
            match (thief.suspensions.first(), standing) {
                (Some(named), standing) => assert_eq!(standing.as_ref(), Some(named), "{login}"),
                (None, Some(unheard)) => {
                    assert!(thief.giants > 1, "{login} was never suspended");
                    self.figures.unheard += 1;
                    self.caught.push((unheard, login.clone()));
                }
                (None, None) => {}
            }
        }
        for (login, last) in last_deeds(&asked.deeds) {
            let record = record(store, login).await;
            let standing = record.suspension.as_ref().map(|suspension| suspension.id.to_string());
            match last.what {
                // What was under way may have come to disk, or not.
                _ if !last.is_answered => {}
                What::Suspend => assert_eq!(standing, last.id, "{login}"),
                What::Release => {
                    assert_eq!(standing, None, "{login}");
                    let life = record.life.as_deref().expect("a life");
                    assert!(life.probation.is_some(), "{login}");
                }
                What::Exempt => {
                    assert_eq!(standing, None, "{login}");
                    let life = record.life.as_deref().expect("a life");
                    assert!(life.exemption.is_some(), "{login}");
                }
            }
        }
        self.figures.suspended = self.suspended.len();
        self.figures.ended = self.ended.len();
        self.figures.exempted = self.exempted.len();
    }

    fn note(&mut self, asked: &Asked) {
        for (login, thief) in &asked.thieves {
            if thief.giants > 1 {
                self.may.insert(("suspended", login.clone()));
            }
            assert!(thief.suspensions.len() <= 1, "{login}: {:?}", thief.suspensions);
            for id in &thief.suspensions {
                self.suspended.insert(id.clone(), login.clone());
                self.caught.push((id.clone(), login.clone()));
                self.figures.thieves += 1;
            }
        }
        for Deed { what, login, id, is_answered } in &asked.deeds {
            self.may.insert(match what {
                What::Suspend => ("suspended", login.clone()),
                What::Release => ("released", login.clone()),
                What::Exempt => ("exempted", login.clone()),
            });
            let id = id.clone().filter(|_| *is_answered);
            match (what, id) {
                (What::Suspend, Some(id)) => _ = self.suspended.insert(id, login.clone()),
                (What::Release | What::Exempt, Some(id)) => _ = self.ended.insert(id),
                _ => {}
            }
            if *what == What::Exempt && *is_answered {
                self.exempted.insert(login.clone());
            }
        }
        // Whether a release that nobody answered was done is not known.
        let released: BTreeSet<&String> = asked
            .deeds
            .iter()
            .filter(|deed| deed.what == What::Release)
            .map(|deed| &deed.login)
            .collect();
        self.caught.retain(|(_, login)| !released.contains(login));
    }

    fn nothing_is_lost(&self, kept: &Kept) {
        for (id, login) in &self.suspended {
            let incident = kept.incidents.get(id);
            assert_eq!(incident.map(|incident| &incident.login), Some(login), "{id}");
        }
        for id in &self.ended {
            assert!(kept.ends.contains_key(id), "the end of {id}");
        }
        let exempted = kept.audit.iter().filter(|deed| deed.what == "exempted");
        let exempted: BTreeSet<String> = exempted.filter_map(|deed| deed.login.clone()).collect();
        let lost: Vec<_> = self.exempted.difference(&exempted).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }

    /// Each was asked for; and once alone, so that no login may have two.
    fn nothing_is_invented(&self, kept: &Kept) {
        let mut seen = BTreeSet::new();
        for deed in &kept.audit {
            let (what, login) = (deed.what.as_str(), deed.login.clone().unwrap_or_default());
            let may = |what| self.may.contains(&(what, login.clone()));
            let is_asked = match what {
                "suspended" => may("suspended"),
                "released" => may("released") || may("exempted"),
                "exempted" => may("exempted"),
                _ => false,
            };
            assert!(is_asked && seen.insert((what, login.clone())), "{deed:?}");
        }
    }

    async fn usage_is_near(&mut self, store: &Embedded, asked: &Asked, killed: Instant) {
        for (login, quiet) in &asked.quiet {
            let base = self.messages.get(login).copied().unwrap_or_default();
            let is_due = |at: &&Instant| killed.duration_since(**at) > BEHIND_AT_MOST;
            let due = quiet.answered.iter().filter(is_due).count();
            self.figures.old += due;
            let kept = record(store, login).await.usage.messages;
            let expected = base + due as u64..=base + quiet.asked;
            assert!(expected.contains(&kept), "{login} has {kept}, not {expected:?}");
            self.messages.insert(login.clone(), kept);
        }
    }
}

impl Kept {
    async fn read(store: &Embedded) -> Self {
        let (mut incidents, mut ends) = (BTreeMap::new(), BTreeMap::new());
        for (key, value) in rows(store, Table::Incidents).await {
            match key.strip_suffix("/end") {
                Some(id) => _ = ends.insert(id.into(), IncidentEnd::read(&value).expect("an end")),
                None => {
                    incidents.insert(key, Incident::read(&value).expect("an incident"));
                }
            }
        }
        let audit = rows(store, Table::Audit).await;
        let audit = audit.iter().map(|(_, value)| Audited::read(value).expect("a deed")).collect();
        let mut events = BTreeSet::new();
        for (_, value) in rows(store, Table::Deliveries).await {
            let delivery: Value = serde_json::from_str(&value).expect("a delivery");
            let body = delivery["body"].as_str().expect("a body");
            assert!(events.insert(Notice::read(body).expect("an event").id), "{body} twice");
        }
        let outbox = store.outbox(usize::MAX).await.expect("read");
        events.extend(outbox.into_iter().map(|event| event.id.to_string()));
        Self { incidents, ends, audit, events }
    }

    /// Record, incident, audit and event came to disk together or not at all.
    fn is_whole(&self) {
        let audited = |what: &str| -> BTreeSet<&str> {
            let deeds = self.audit.iter().filter(|deed| deed.what == what);
            deeds.filter_map(|deed| deed.incident.as_deref()).collect()
        };
        let sent = |what: &str| -> BTreeSet<&str> {
            self.events.iter().filter_map(|id| id.strip_suffix(what)).collect()
        };
        let incidents: BTreeSet<&str> = self.incidents.keys().map(String::as_str).collect();
        let ends: BTreeSet<&str> = self.ends.keys().map(String::as_str).collect();
        assert_eq!(audited("suspended"), incidents);
        assert_eq!(sent(".suspended"), incidents);
        assert_eq!(audited("released"), ends);
        assert_eq!(sent(".released"), ends);
    }
}

/// The last deed of each login.
fn last_deeds(deeds: &[Deed]) -> BTreeMap<&str, &Deed> {
    deeds.iter().map(|deed| (deed.login.as_str(), deed)).collect()
}

pub async fn rows(store: &Embedded, table: Table) -> Vec<(String, String)> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = store.rows(table, &after, 500).await.expect("read");
        let Some((last, _)) = page.last() else { return all };
        after = last.to_string();
        all.extend(page.into_iter().map(|(key, value)| (key.into(), value.into())));
    }
}

pub fn account(login: &str) -> AccountKey {
    AccountKey::unresolved(&Login::parse(login.as_bytes()).expect("a login"))
}

pub async fn record(store: &Embedded, login: &str) -> Record {
    let mut found = Record::default();
    let mut read = |record: &Record| {
        found = record.clone();
        Change::default()
    };
    store.preview(&account(login), &mut read).await.expect("read");
    found.advance(Timestamp::default());
    found
}
