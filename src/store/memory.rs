//! The store of a single process that may forget everything at its end.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};

use lru::LruCache;
use parking_lot::Mutex;

use crate::mail::AccountKey;
use crate::record::{Change, Event, Record, Row, Table};
use crate::store::{Judge, Operation, Rows, Store, StoreFault};

/// Enough that two cores rarely meet on one lock.
const SHARDS: usize = 16;

/// Events that nobody takes must not fill the memory; an event has some hundred bytes.
pub const OUTBOX_LIMIT: usize = 10_000;

type RowKey = (Table, Box<str>);

/// Records in shards, each under a lock of its own; the account longest untouched goes first when a
/// shard is full.
pub struct Memory {
    shards: Vec<Mutex<LruCache<AccountKey, Record>>>,
    outbox: Mutex<VecDeque<Event>>,
    rows: Mutex<BTreeMap<RowKey, Box<str>>>,
    /// Records and their bytes.
    accounts: AtomicU64,
    bytes: AtomicU64,
}

impl Memory {
    /// Keeps at least `accounts` records.
    pub fn new(accounts: NonZeroUsize) -> Self {
        let each = accounts.div_ceil(NonZeroUsize::new(SHARDS).expect("not zero"));
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(LruCache::new(each))).collect(),
            outbox: Mutex::default(),
            rows: Mutex::default(),
            accounts: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// All records, in the order of their keys.
    pub fn records(&self) -> Vec<(AccountKey, Record)> {
        let shards = self.shards.iter();
        let each = shards.flat_map(|shard| {
            let shard = shard.lock();
            shard
                .iter()
                .map(|(account, record)| (account.clone(), record.clone()))
                .collect::<Vec<_>>()
        });
        let mut records: Vec<_> = each.collect();
        records.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        records
    }

    /// Keeps everything, for a process that ends when it has read its input.
    pub fn unbounded() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(LruCache::unbounded())).collect(),
            outbox: Mutex::default(),
            rows: Mutex::default(),
            accounts: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    fn shard(&self, account: &AccountKey) -> &Mutex<LruCache<AccountKey, Record>> {
        let sum = account
            .as_str()
            .bytes()
            .fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        &self.shards[sum % SHARDS]
    }

    fn update_now(&self, account: &AccountKey, judge: Judge<'_>) -> Result<(), StoreFault> {
        let mut shard = self.shard(account).lock();
        let Change { record, events, rows } = match shard.get(account) {
            Some(record) => judge(record),
            None => judge(&Record::default()),
        };
        if !events.is_empty() {
            let mut outbox = self.outbox.lock();
            if outbox.len() + events.len() > OUTBOX_LIMIT {
                return Err(StoreFault::OutboxFull(OUTBOX_LIMIT));
            }
            outbox.extend(events);
        }
        self.put_rows(rows);
        if let Some(record) = record {
            self.put_record(&mut shard, account.clone(), record);
        }
        Ok(())
    }

    fn put_record(
        &self,
        shard: &mut LruCache<AccountKey, Record>,
        account: AccountKey,
        record: Record,
    ) {
        self.bytes.fetch_add(record.bytes() as u64, Ordering::Relaxed);
        match shard.push(account, record) {
            None => {
                self.accounts.fetch_add(1, Ordering::Relaxed);
            }
            // The old record of this account, or that of one that makes room.
            Some((_, old)) => {
                self.bytes.fetch_sub(old.bytes() as u64, Ordering::Relaxed);
            }
        }
    }

    fn put_rows(&self, rows: Vec<Row>) {
        if rows.is_empty() {
            return;
        }
        let mut kept = self.rows.lock();
        for Row { table, key, value } in rows {
            match value {
                Some(value) => kept.insert((table, key), value),
                None => kept.remove(&(table, key)),
            };
        }
    }

    fn preview_now(&self, account: &AccountKey, judge: Judge<'_>) {
        match self.shard(account).lock().peek(account) {
            Some(record) => judge(record),
            None => judge(&Record::default()),
        };
    }
}

impl Store for Memory {
    fn update<'a>(&'a self, account: &'a AccountKey, judge: Judge<'a>) -> Operation<'a, ()> {
        Box::pin(async move { self.update_now(account, judge) })
    }

    fn preview<'a>(&'a self, account: &'a AccountKey, judge: Judge<'a>) -> Operation<'a, ()> {
        Box::pin(async move {
            self.preview_now(account, judge);
            Ok(())
        })
    }

    fn kept(&self) -> (u64, u64) {
        (self.accounts.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    fn row<'a>(&'a self, table: Table, key: &'a str) -> Operation<'a, Option<Box<str>>> {
        Box::pin(async move { Ok(self.rows.lock().get(&(table, key.into())).cloned()) })
    }

    fn rows<'a>(&'a self, table: Table, after: &'a str, limit: usize) -> Operation<'a, Rows> {
        Box::pin(async move {
            let kept = self.rows.lock();
            let from = (Bound::Excluded((table, after.into())), Bound::Unbounded);
            let of_table = kept.range(from).take_while(|((of, _), _)| *of == table);
            Ok(of_table.take(limit).map(|((_, key), value)| (key.clone(), value.clone())).collect())
        })
    }

    fn put(&self, rows: Vec<Row>) -> Operation<'_, ()> {
        Box::pin(async move {
            self.put_rows(rows);
            Ok(())
        })
    }

    fn accounts(&self) -> Operation<'_, u64> {
        Box::pin(async move { Ok(self.accounts.load(Ordering::Relaxed)) })
    }

    fn outbox(&self, limit: usize) -> Operation<'_, Vec<Event>> {
        Box::pin(async move { Ok(self.outbox.lock().iter().take(limit).cloned().collect()) })
    }

    fn settle<'a>(&'a self, event: &'a str) -> Operation<'a, ()> {
        Box::pin(async move {
            self.outbox.lock().retain(|pending| *pending.id != *event);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract;

    fn memory() -> Memory {
        Memory::new(NonZeroUsize::new(1000).expect("not zero"))
    }

    #[tokio::test]
    async fn keeps_the_contract() {
        contract::check(memory).await;
    }

    #[tokio::test]
    async fn a_full_outbox_commits_nothing() {
        let store = memory();
        contract::fill_outbox(&store, OUTBOX_LIMIT).await;
        contract::refuses_when_the_outbox_is_full(&store, OUTBOX_LIMIT).await;
    }

    #[tokio::test]
    async fn the_account_longest_untouched_goes_first() {
        let store = Memory::new(NonZeroUsize::new(SHARDS).expect("not zero"));
        for account in 0..100 * SHARDS {
            contract::charge(&store, &format!("a{account}"), 1).await;
        }
        let kept: usize = store.shards.iter().map(|shard| shard.lock().len()).sum();
        assert_eq!(kept, SHARDS);
        let (accounts, bytes) = store.kept();
        assert_eq!(accounts, SHARDS as u64);
        assert!(bytes / accounts < 2048, "{bytes} bytes");
    }
}
