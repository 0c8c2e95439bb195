//! The records in memory: those that are on disk, those that have changed since, and those on their way.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use crate::mail::AccountKey;
use crate::record::{Event, Record, Row, Table};

/// What one commit writes of a shard; whole or not at all.
#[derive(Clone, Default)]
pub struct Batch {
    pub records: HashMap<AccountKey, Record>,
    /// Those of them that nobody may be told of before they are on disk.
    awaited: HashSet<AccountKey>,
    /// With their place in the outbox.
    pub events: Vec<(u64, Event)>,
    /// The last of one key counts: who tries again while the disk fails adds nothing.
    pub rows: BTreeMap<(Table, Box<str>), Option<Box<str>>>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.events.is_empty() && self.rows.is_empty()
    }
}

/// Some of all accounts. A record is in the newest of the three that has it.
pub struct Shard {
    changed: Batch,
    writing: Arc<Batch>,
    /// As they are on disk; the one longest untouched makes room.
    clean: LruCache<AccountKey, Record>,
    /// Batches that came to disk: a record read from it before the last of them may be old.
    landed: u64,
}

impl Shard {
    pub fn new(clean: NonZeroUsize) -> Self {
        Self {
            changed: Batch::default(),
            writing: Arc::default(),
            clean: LruCache::new(clean),
            landed: 0,
        }
    }

    /// `None`: it is on disk, or nowhere.
    pub fn record(&mut self, account: &AccountKey) -> Option<&Record> {
        let changed = self.changed.records.get(account);
        changed.or_else(|| self.writing.records.get(account)).or_else(|| self.clean.get(account))
    }

    /// Records in memory, and their bytes.
    pub fn kept(&self) -> (u64, u64) {
        let clean = self.clean.iter().map(|(_, record)| record);
        let all = clean.chain(self.changed.records.values()).chain(self.writing.records.values());
        all.fold((0, 0), |(count, bytes), record| (count + 1, bytes + record.bytes() as u64))
    }

    pub const fn landed(&self) -> u64 {
        self.landed
    }

    /// Changed records and rows that wait for the disk.
    pub fn waiting(&self) -> usize {
        self.changed.records.len() + self.changed.rows.len()
    }

    pub fn has_changed(&self, account: &AccountKey) -> bool {
        self.changed.records.contains_key(account)
    }

    pub fn change(&mut self, account: &AccountKey, record: Record) {
        self.clean.pop(account);
        self.changed.records.insert(account.clone(), record);
    }

    /// Whoever asks about the account from now on waits until its change is on disk.
    pub fn wait_for(&mut self, account: &AccountKey) {
        self.changed.awaited.insert(account.clone());
    }

    pub fn is_awaited(&self, account: &AccountKey) -> bool {
        self.changed.awaited.contains(account) || self.writing.awaited.contains(account)
    }

    pub fn send(&mut self, events: impl IntoIterator<Item = (u64, Event)>) {
        self.changed.events.extend(events);
    }

    pub fn put(&mut self, rows: Vec<Row>) {
        self.changed.rows.extend(rows.into_iter().map(|row| ((row.table, row.key), row.value)));
    }

    /// What was read from disk.
    pub fn keep(&mut self, account: &AccountKey, record: Record) {
        self.clean.put(account.clone(), record);
    }

    /// All that has changed sets out for the disk.
    pub fn set_out(&mut self) -> Arc<Batch> {
        self.writing = Arc::new(std::mem::take(&mut self.changed));
        Arc::clone(&self.writing)
    }

    pub fn land(&mut self) {
        for (account, record) in Arc::unwrap_or_clone(std::mem::take(&mut self.writing)).records {
            if !self.changed.records.contains_key(&account) {
                self.clean.put(account, record);
            }
        }
        self.landed += 1;
    }

    /// It has not come to disk, and waits for the next time.
    pub fn turn_back(&mut self) {
        let mut back = Arc::unwrap_or_clone(std::mem::take(&mut self.writing));
        let later = std::mem::take(&mut self.changed);
        back.records.extend(later.records);
        back.awaited.extend(later.awaited);
        back.events.extend(later.events);
        back.rows.extend(later.rows);
        self.changed = back;
    }
}
