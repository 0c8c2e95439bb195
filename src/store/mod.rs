//! The port to the store: one record for each account, changed in one atomic step. The store runs
//! the function it is given; it holds no limit and no verdict.

#[cfg(test)]
pub mod contract;
pub mod embedded;
mod memory;
mod pages;
pub mod meter;

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;

use crate::mail::AccountKey;
use crate::record::{Change, Event, Record, Row, Table};

pub use embedded::Embedded;
pub use memory::Memory;
pub use meter::Metered;
pub use pages::{PAGE, Pages};

/// An operation under way.
pub type Operation<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreFault>> + Send + 'a>>;

/// Keys and values, in the order of the keys.
pub type Rows = Vec<(Box<str>, Box<str>)>;

/// What is run on a record. Pure: a store that loses a race runs it again on the newer record.
pub type Judge<'a> = &'a mut (dyn FnMut(&Record) -> Change + Send);

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// The outbox holds this many events that nobody took; nothing was committed.
    OutboxFull(usize),
    /// The store cannot be reached or written; nothing was changed.
    Unavailable(String),
    /// It was changed in memory alone, and is written when the store can be; lost if the process ends before.
    NotOnDisk(String),
}

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutboxFull(limit) => write!(f, "the outbox is full with {limit} events"),
            Self::Unavailable(why) => write!(f, "the store is unavailable: {why}"),
            Self::NotOnDisk(why) => write!(f, "the store is not on disk: {why}"),
        }
    }
}

impl std::error::Error for StoreFault {}

/// A store of records and of the events that changes of them send out.
pub trait Store: Send + Sync {
    /// Runs `judge` on the account's record (an empty one for an unknown account) with no other
    /// update of that account in between, and commits the new record and its events together. What another one
    /// found out and still commits is waited for: nobody is told of it sooner than it lasts.
    fn update<'a>(&'a self, account: &'a AccountKey, judge: Judge<'a>) -> Operation<'a, ()>;

    /// Runs `judge` on the record as `update` would, waits like it, and drops the outcome.
    fn preview<'a>(&'a self, account: &'a AccountKey, judge: Judge<'a>) -> Operation<'a, ()>;

    /// Accounts whose records are in memory, and the bytes of these records.
    fn kept(&self) -> (u64, u64);

    /// Up to `limit` events that were committed and not yet settled, the oldest first.
    fn outbox(&self, limit: usize) -> Operation<'_, Vec<Event>>;

    /// Forgets an event that was acted on. One that is unknown or already settled is no fault.
    fn settle<'a>(&'a self, event: &'a str) -> Operation<'a, ()>;

    /// One value kept beside the records.
    fn row<'a>(&'a self, table: Table, key: &'a str) -> Operation<'a, Option<Box<str>>>;

    /// Up to `limit` rows whose keys come after `after`, in the order of their bytes. Not for a hot path.
    fn rows<'a>(&'a self, table: Table, after: &'a str, limit: usize) -> Operation<'a, Rows>;

    /// Puts rows in place and takes others away, all in one commit. Two changes of one row that are under way at once
    /// are the caller's to avoid.
    fn put(&self, rows: Vec<Row>) -> Operation<'_, ()>;

    /// Accounts that something is known of, in memory or not.
    fn accounts(&self) -> Operation<'_, u64>;

    /// Until all that has changed so far is on disk.
    fn flush(&self) -> Operation<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Writes a copy of one moment to `path`, where nothing may be yet.
    fn backup<'a>(&'a self, path: &'a Path) -> Operation<'a, ()> {
        let why = format!("this store keeps nothing that could be copied to {}", path.display());
        Box::pin(async { Err(StoreFault::Unavailable(why)) })
    }
}
