//! Refusals that `explain` finds long after they are forgotten in memory: of each account and reason how many, and the
//! last of them by id. Written behind, a few hundred at a time, so that a flood of refusals is no flood of writes.

use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::decision::Reason;
use crate::engine::{Engine, Judged};
use crate::mail::{AccountKey, Login, Reply, Timestamp, rfc_3339};
use crate::record::{Row, Table};
use crate::store::{Pages, Store, StoreFault};

/// Accounts and clients, each with a reason, at hand.
const AT_HAND: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

/// Ids of each; the last ones.
const IDS: usize = 16;

/// Written at once.
const WRITTEN: usize = 500;

/// Refusals of one account for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The account's key, or the client's address.
    pub account: String,
    pub reason: String,
    #[serde(with = "rfc_3339")]
    pub first: Timestamp,
    #[serde(with = "rfc_3339")]
    pub last: Timestamp,
    pub count: u64,
    /// The latest last.
    pub told: Vec<ToldRefusal>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldRefusal {
    pub id: String,
    #[serde(with = "rfc_3339")]
    pub at: Timestamp,
    pub mta: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    pub sender: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// The reply.
    pub answer: String,
}

struct Counted {
    refused: Refused,
    /// Since it was last written.
    is_new: bool,
    /// What the store knew before is in it.
    is_merged: bool,
}

pub(super) struct Refusals(Mutex<LruCache<(Box<str>, Reason), Counted>>);

impl Default for Refusals {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(AT_HAND)))
    }
}

impl Refused {
    fn key(&self) -> String {
        key(&self.reason, &self.account)
    }

    fn add(&mut self, told: ToldRefusal) {
        self.last = self.last.max(told.at);
        self.count += 1;
        self.told.retain(|known| known.id != told.id);
        self.told.push(told);
        self.trim();
    }

    /// What was counted in an earlier run comes before.
    fn follow(&mut self, earlier: Self) {
        self.first = self.first.min(earlier.first);
        self.count += earlier.count;
        let own = std::mem::take(&mut self.told);
        self.told = earlier.told;
        self.told.retain(|known| own.iter().all(|one| one.id != known.id));
        self.told.extend(own);
        self.trim();
    }

    fn trim(&mut self) {
        let over = self.told.len().saturating_sub(IDS);
        self.told.drain(..over);
    }
}

fn key(reason: &str, account: &str) -> String {
    format!("{reason}|{account}")
}

impl Refusals {
    fn count(&self, account: &str, reason: Reason, told: ToldRefusal) {
        let mut all = self.0.lock();
        let counted = all.get_or_insert_mut((account.into(), reason), || Counted {
            refused: Refused {
                account: account.into(),
                reason: reason.as_str().into(),
                first: told.at,
                last: told.at,
                count: 0,
                told: Vec::new(),
            },
            is_new: true,
            is_merged: false,
        });
        counted.refused.add(told);
        counted.is_new = true;
    }

    fn find(&self, id: &str) -> Option<Refused> {
        let all = self.0.lock();
        let mut refused = all.iter().map(|(_, counted)| &counted.refused);
        refused.find(|refused| refused.told.iter().any(|told| told.id == id)).cloned()
    }

    /// Takes out some that are to be written, those first that wait longest: a flood must not keep them from it.
    /// `true`: what the store knows of it is not in it yet.
    fn due(&self) -> Vec<(Refused, bool)> {
        let mut all = self.0.lock();
        let new = all.iter_mut().rev().filter(|(_, counted)| counted.is_new).take(WRITTEN);
        new.map(|(_, counted)| {
            counted.is_new = false;
            (counted.refused.clone(), !counted.is_merged)
        })
        .collect()
    }

    fn merge(&self, earlier: Refused) -> Option<Refused> {
        let mut all = self.0.lock();
        let reason = Reason::ALL.into_iter().find(|one| one.as_str() == earlier.reason)?;
        let counted = all.peek_mut(&(earlier.account.as_str().into(), reason))?;
        counted.is_merged = true;
        counted.refused.follow(earlier);
        Some(counted.refused.clone())
    }

    fn with(&self, refused: &Refused, change: impl FnOnce(&mut Counted)) {
        let mut all = self.0.lock();
        let reason = Reason::ALL.into_iter().find(|one| one.as_str() == refused.reason);
        let key = reason.map(|reason| (refused.account.as_str().into(), reason));
        if let Some(counted) = key.and_then(|key| all.peek_mut(&key)) {
            change(counted);
        }
    }

    fn forget(&self, account: &str) {
        let mut all = self.0.lock();
        for reason in Reason::ALL {
            all.pop(&(account.into(), reason));
        }
    }

    fn knows(&self, account: &str) -> bool {
        let all = self.0.lock();
        Reason::ALL.into_iter().any(|reason| all.contains(&(account.into(), reason)))
    }
}

impl Engine {
    /// Remembers a refusal. One for a suspension bears the suspension's id, which the incident tells.
    pub(super) fn remember_refusal(&self, judged: &Judged) {
        let (Some(reason), Reply::Refuse(reply) | Reply::Hold(reply)) =
            (judged.decision.reason, &judged.decision.reply)
        else {
            return;
        };
        if reason == Reason::AccountSuspended {
            return;
        }
        let facts = &judged.facts;
        let client = facts.client.address.map(|address| address.to_string());
        let key = judged.case().account_key();
        let account =
            key.as_ref().map_or_else(|| client.as_deref().unwrap_or("-"), |key| key.as_str());
        let told = ToldRefusal {
            id: judged.case().id().to_string(),
            at: judged.at,
            mta: judged.listener.mta.to_string(),
            login: facts.login.as_ref().map(|login| Login::raw(login).into()),
            client: client.clone(),
            sender: facts.envelope.sender.to_string(),
            recipient: facts.envelope.recipient.as_ref().map(ToString::to_string),
            answer: reply.to_string(),
        };
        self.refusals.count(account, reason, told);
    }

    /// The refusals among which that of this id is.
    pub async fn refusal(&self, id: &str) -> Result<Option<Refused>, StoreFault> {
        if let Some(found) = self.refusals.find(id) {
            return Ok(Some(found));
        }
        let mut pages = Pages::of(&*self.store, Table::Refusals);
        while let Some(page) = pages.next().await? {
            for (_, value) in &page {
                let Ok(refused) = serde_json::from_str::<Refused>(value) else { continue };
                if refused.told.iter().any(|told| told.id == id) {
                    return Ok(Some(refused));
                }
            }
        }
        Ok(None)
    }

    /// Writes what was refused since the last time, or some of it.
    pub(super) async fn write_refusals(&self) -> Result<(), StoreFault> {
        let due = self.refusals.due();
        let mut rows = Vec::new();
        for (refused, is_first) in &due {
            let mut merged = None;
            if *is_first {
                match earlier(&*self.store, refused).await {
                    Ok(Some(earlier)) => merged = self.refusals.merge(earlier),
                    Ok(None) => self.refusals.with(refused, |counted| counted.is_merged = true),
                    // With the next one: a damaged row must not keep all others from the disk.
                    Err(_) => continue,
                }
            }
            let refused = merged.as_ref().unwrap_or(refused);
            let value = serde_json::to_string(refused).expect("text and numbers are JSON");
            rows.push(Row::put(Table::Refusals, &refused.key(), value));
        }
        if rows.is_empty() {
            return Ok(());
        }
        let written = self.store.put(rows).await;
        if written.is_err() {
            let again = due.iter();
            again.for_each(|(one, _)| self.refusals.with(one, |counted| counted.is_new = true));
        }
        written
    }

    /// Whether something was refused to an account.
    pub(super) async fn has_refusals(&self, account: &AccountKey) -> Result<bool, StoreFault> {
        let is_at_hand = self.refusals.knows(account.as_str());
        Ok(is_at_hand || !self.refusals_of(account).await?.is_empty())
    }

    /// What takes them away.
    async fn refusals_of(&self, account: &AccountKey) -> Result<Vec<Row>, StoreFault> {
        let mut rows = Vec::new();
        for reason in Reason::ALL {
            let key = key(reason.as_str(), account.as_str());
            if self.store.row(Table::Refusals, &key).await?.is_some() {
                rows.push(Row::remove(Table::Refusals, &key));
            }
        }
        Ok(rows)
    }

    pub(super) async fn forget_refusals_of(&self, account: &AccountKey) -> Result<(), StoreFault> {
        self.refusals.forget(account.as_str());
        let rows = self.refusals_of(account).await?;
        if rows.is_empty() { Ok(()) } else { self.store.put(rows).await }
    }
}

async fn earlier(store: &dyn Store, refused: &Refused) -> Result<Option<Refused>, StoreFault> {
    let row = store.row(Table::Refusals, &refused.key()).await?;
    Ok(row.and_then(|row| serde_json::from_str(&row).ok()))
}
