//! What is done without a question: suspensions end when their time is over, and what is kept too long goes.

use std::path::Path;

use crate::engine::Engine;
use crate::engine::telling::{About, BY_ITSELF, Happened};
use crate::mail::{AccountKey, Timestamp};
use crate::record::{Change, Deed, Notice, Record, Table};
use crate::store::{Pages, StoreFault};
use crate::suspension::State;

/// Accounts of note, read at once.
const PAGE: usize = 500;

/// How the accounts stand.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Census {
    /// In the order of [`State::ALL`].
    pub accounts: [u64; State::ALL.len()],
    /// The oldest suspension that waits for a person.
    pub oldest: Option<Timestamp>,
    pub exemptions: u64,
    /// What ended meanwhile.
    pub happened: Vec<Happened>,
    /// Why some were passed over.
    pub fault: Option<StoreFault>,
}

impl Engine {
    /// As it was counted last; `None`: not yet.
    pub fn census(&self) -> Option<Census> {
        self.census.lock().clone()
    }

    /// Events that no action has taken yet, up to a page of them.
    pub async fn outbox_length(&self) -> Result<usize, StoreFault> {
        Ok(self.store.outbox(PAGE).await?.len())
    }

    /// Sends out an event that is of no account.
    pub async fn announce(&self, notice: &Notice) -> Result<(), StoreFault> {
        let mut send = |_: &Record| Change { events: vec![notice.to_event()], ..Change::default() };
        self.store.update(&AccountKey::stored("site"), &mut send).await
    }

    /// A copy of the store, of one moment.
    pub async fn backup(&self, path: &Path, by: &str, at: Timestamp) -> Result<(), StoreFault> {
        let deed = Deed { detail: Some(path.display().to_string()), ..Deed::new(by, "backup", at) };
        self.store.backup(path).await?;
        self.store.put(vec![deed.row()]).await
    }

    /// Goes through the accounts of note, ends what is over, and counts the others.
    pub async fn tend(&self, at: Timestamp) -> Result<Census, StoreFault> {
        let fault = self.write_refusals().await.err();
        let mut census = Census { fault, ..Census::default() };
        let mut noted = 0;
        let mut pages = Pages::of(&*self.store, Table::Accounts);
        while let Some(page) = pages.next().await? {
            for (account, login) in &page {
                let login: String = serde_json::from_str(login).unwrap_or_default();
                let account = AccountKey::stored(account);
                // One that cannot be read must not keep the others from their ends.
                let tended = self.tend_account(&account, &login, at, &mut census).await;
                census.fault = census.fault.or(tended.err());
                noted += 1;
            }
        }
        let all = self.store.accounts().await?;
        census.accounts[State::Normal as usize] += all.saturating_sub(noted);
        *self.census.lock() = Some(Census { happened: Vec::new(), ..census.clone() });
        Ok(census)
    }

    async fn tend_account(
        &self,
        account: &AccountKey,
        login: &str,
        at: Timestamp,
        census: &mut Census,
    ) -> Result<(), StoreFault> {
        let has_probation = self.rules().detector.suspension.has_probation;
        let settled = |record: &Record| {
            let mut settled = record.clone();
            settled.expire(has_probation, at);
            settled.advance(at);
            settled
        };
        let mut is_over = false;
        self.look(account, |record| {
            let settled = settled(record);
            let exemption =
                |record: &Record| record.life.as_deref().and_then(|life| life.exemption);
            is_over = settled.suspension != record.suspension
                || exemption(&settled) != exemption(record)
                || settled.is_of_note() != record.is_of_note();
            census.accounts[settled.state(at) as usize] += 1;
            let life = settled.life.as_deref();
            census.exemptions += u64::from(life.is_some_and(|life| life.exemption.is_some()));
            if let Some(suspension) = settled.suspended(at) {
                let oldest =
                    census.oldest.map_or(suspension.imposed, |known| known.min(suspension.imposed));
                census.oldest = Some(oldest);
            }
        })
        .await?;
        if !is_over {
            return Ok(());
        }
        let about = About { account, login, holder: None, mta: "", at };
        let mut happened = Vec::new();
        let mut settle = |record: &Record| {
            let mut change = Change::to(settled(record));
            happened = self.tell_change(&about, BY_ITSELF, record, None, &mut change);
            change
        };
        let settled = self.change(account, &mut settle, true).await;
        // Also where it is not on disk yet: it stands in memory.
        census.happened.append(&mut happened);
        settled
    }
}
