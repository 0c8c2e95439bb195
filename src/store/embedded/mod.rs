//! The store of a single process that outlives it: records in one redb file. What matters is on disk before it
//! is answered for; the rest is written behind, within a second.

mod backup;
mod file;
mod outbox;
mod rows;
mod shard;
mod writer;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::{fs, io, thread};

use nix::unistd::{AccessFlags, access};
use parking_lot::{Condvar, Mutex, RwLock};
use redb::{Database, ReadableDatabase};
use tokio::sync::watch;

use crate::ledger::HashKey;
use crate::mail::{AccountKey, Timestamp};
use crate::record::{Change, Event, Record, Row, Table};
use crate::store::{Judge, Operation, Rows, Store, StoreFault};

use file::{File, Opener, Place, RECORDS};
use outbox::Outbox;
use shard::Shard;
use writer::{Asked, Rounds};

pub use file::OpenFault;

/// As in memory.
const SHARDS: usize = 16;

/// Changed records and rows that wait for the disk; beyond them a change waits too. With 1 KB each, 64 MB.
const WAITING: usize = 65_536;

/// As in memory.
pub const OUTBOX_LIMIT: usize = 10_000;

/// What is configured, and what the store is given to work with.
pub struct Settings {
    pub path: PathBuf,
    /// That of all records; the file remembers which.
    pub key: HashKey,
    /// Records kept in memory.
    pub accounts: NonZeroUsize,
    /// Records untouched for so many days are removed.
    pub keep_days: u32,
    pub clock: fn() -> Timestamp,
    /// Told of every commit, whether it came to disk.
    pub on_commit: Box<dyn Fn(bool) + Send + Sync>,
}

/// Records in a file, some of them in memory too.
pub struct Embedded {
    inner: Arc<Inner>,
    writer: Option<JoinHandle<()>>,
}

struct Inner {
    shards: Vec<Mutex<Shard>>,
    outbox: Mutex<Outbox>,
    file: File,
    /// `None`: it failed, and is opened again.
    database: RwLock<Option<Database>>,
    asked: Mutex<Asked>,
    wake: Condvar,
    rounds: watch::Sender<Rounds>,
    keep_days: u32,
    clock: fn() -> Timestamp,
    on_commit: Box<dyn Fn(bool) + Send + Sync>,
}

/// How far a change has come.
enum Step {
    Done,
    /// It must be on disk first.
    Commit,
    /// Too much waits for the disk.
    Full,
    /// The record has to be read; so many batches had landed by then.
    Read {
        landed: u64,
    },
}

/// A record read from disk, `None` where there is none, after so many batches had landed.
struct Loaded {
    landed: u64,
    record: Option<Record>,
}

impl Embedded {
    /// Opens the file, or makes one where there is none. Blocks while the file is looked at.
    pub fn open(settings: Settings) -> Result<Self, OpenFault> {
        Self::open_by(settings, file::open_database)
    }

    fn open_by(settings: Settings, opener: Opener) -> Result<Self, OpenFault> {
        let Settings { path, key, accounts, keep_days, clock, on_commit } = settings;
        let file = File { path, key, opener };
        let database = file.open()?;
        let outbox = file.outbox(&database)?;
        let place = Place::of(&file.path)?;
        let each = accounts.div_ceil(NonZeroUsize::new(SHARDS).expect("not zero"));
        let inner = Arc::new(Inner {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(each))).collect(),
            outbox: Mutex::new(outbox),
            file,
            database: RwLock::new(Some(database)),
            asked: Mutex::default(),
            wake: Condvar::new(),
            rounds: watch::Sender::default(),
            keep_days,
            clock,
            on_commit,
        });
        let writing = Arc::clone(&inner);
        let writer =
            thread::Builder::new().name("store".into()).spawn(move || writing.write(place))?;
        Ok(Self { inner, writer: Some(writer) })
    }

    /// Whether a store could be there, without opening it: another process may have it.
    pub fn look(path: &Path) -> Result<(), OpenFault> {
        let read_and_write = AccessFlags::R_OK | AccessFlags::W_OK;
        match fs::metadata(path) {
            Ok(about) if !about.is_file() => Err(OpenFault::Broken("it is no file".into())),
            Ok(about) if about.len() == 0 => Err(OpenFault::Broken("it is empty".into())),
            Ok(_) => Ok(access(path, read_and_write).map_err(io::Error::from)?),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                let folder = path.parent().unwrap_or(Path::new("/"));
                Ok(access(folder, AccessFlags::W_OK | AccessFlags::X_OK)
                    .map_err(io::Error::from)?)
            }
            Err(fault) => Err(fault.into()),
        }
    }

    async fn update_now(&self, account: &AccountKey, judge: Judge<'_>) -> Result<(), StoreFault> {
        let mut loaded = None;
        loop {
            match self.inner.step(account, judge, loaded.take())? {
                Step::Done => return Ok(()),
                Step::Commit => return self.inner.commit().await.map_err(not_on_disk),
                Step::Full => self.inner.commit().await?,
                Step::Read { landed } => loaded = Some(self.load(account, landed).await?),
            }
        }
    }

    async fn preview_now(&self, account: &AccountKey, judge: Judge<'_>) -> Result<(), StoreFault> {
        let mut loaded: Option<Loaded> = None;
        loop {
            let landed = {
                let mut shard = self.inner.shard(account).lock();
                let landed = shard.landed();
                match (shard.record(account), loaded.take()) {
                    (Some(record), _) => {
                        judge(record);
                        if !shard.is_awaited(account) {
                            return Ok(());
                        }
                        None
                    }
                    (None, Some(read)) if read.landed == landed => {
                        let record = read.record.unwrap_or_default();
                        judge(&record);
                        if record != Record::default() {
                            shard.keep(account, record);
                        }
                        return Ok(());
                    }
                    _ => Some(landed),
                }
            };
            let Some(landed) = landed else {
                return self.inner.commit().await.map_err(not_on_disk);
            };
            loaded = Some(self.load(account, landed).await?);
        }
    }

    async fn load(&self, account: &AccountKey, landed: u64) -> Result<Loaded, StoreFault> {
        let account = account.clone();
        let record = self.reading(move |inner| inner.read(&account)).await?;
        Ok(Loaded { landed, record })
    }

    async fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Inner) -> Result<T, StoreFault> + Send + 'static,
    ) -> Result<T, StoreFault> {
        let inner = Arc::clone(&self.inner);
        let read = tokio::task::spawn_blocking(move || read(&inner)).await;
        // redb may panic on a damaged page.
        read.unwrap_or_else(|_| Err(unavailable("its file cannot be read")))
    }
}

impl Inner {
    fn shard(&self, account: &AccountKey) -> &Mutex<Shard> {
        self.shard_of(account.as_str())
    }

    fn shard_of(&self, key: &str) -> &Mutex<Shard> {
        let sum = key
            .bytes()
            .fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        &self.shards[sum % SHARDS]
    }

    /// One try to change a record, under its shard's lock.
    fn step(
        &self,
        account: &AccountKey,
        judge: Judge<'_>,
        loaded: Option<Loaded>,
    ) -> Result<Step, StoreFault> {
        let mut shard = self.shard(account).lock();
        if is_full(&shard) && !shard.has_changed(account) {
            return Ok(Step::Full);
        }
        let landed = shard.landed();
        let read;
        let (record, is_read) = match shard.record(account) {
            Some(record) => (record, false),
            None => match loaded {
                Some(loaded) if loaded.landed == landed => {
                    read = loaded.record.unwrap_or_default();
                    (&read, true)
                }
                _ => return Ok(Step::Read { landed }),
            },
        };
        let Change { record: changed, events, rows } = judge(record);
        let matters = !events.is_empty()
            || !rows.is_empty()
            || changed.as_ref().is_some_and(|changed| changed.suspension != record.suspension);
        let unchanged =
            (is_read && changed.is_none() && *record != Record::default()).then(|| record.clone());
        if !events.is_empty() {
            let mut outbox = self.outbox.lock();
            if outbox.len() + events.len() > OUTBOX_LIMIT {
                return Err(StoreFault::OutboxFull(OUTBOX_LIMIT));
            }
            shard.send(outbox.number(events));
        }
        shard.put(rows);
        if let Some(record) = changed {
            shard.change(account, record);
            if matters {
                shard.wait_for(account);
            }
        } else if let Some(record) = unchanged {
            shard.keep(account, record);
        }
        Ok(if matters || shard.is_awaited(account) { Step::Commit } else { Step::Done })
    }

    fn read(&self, account: &AccountKey) -> Result<Option<Record>, StoreFault> {
        let database = self.database.read();
        let Some(database) = &*database else { return Err(unavailable("its file failed")) };
        // Without the transaction at hand a page that is read could be freed: redb asserts that none is.
        let packed = || -> Result<_, redb::Error> {
            Ok(database.begin_read()?.open_table(RECORDS)?.get_owned(account.as_str())?)
        };
        let Some(packed) = packed().map_err(unavailable)? else { return Ok(None) };
        match self.file.unpack(account.as_str(), packed.value()) {
            Some((_, record)) => Ok(Some(record)),
            None => {
                tracing::error!(%account, "a record of the store is damaged; put a backup in the store's place");
                Err(unavailable("a record is damaged"))
            }
        }
    }
}

fn is_full(shard: &Shard) -> bool {
    shard.waiting() >= WAITING / SHARDS
}

/// Of a commit that failed after something was changed.
fn not_on_disk(fault: StoreFault) -> StoreFault {
    match fault {
        StoreFault::Unavailable(why) => StoreFault::NotOnDisk(why),
        other => other,
    }
}

fn unavailable(why: impl ToString) -> StoreFault {
    StoreFault::Unavailable(why.to_string())
}

impl Store for Embedded {
    fn update<'a>(&'a self, account: &'a AccountKey, judge: Judge<'a>) -> Operation<'a, ()> {
        Box::pin(self.update_now(account, judge))
    }

    fn preview<'a>(&'a self, account: &'a AccountKey, judge: Judge<'a>) -> Operation<'a, ()> {
        Box::pin(self.preview_now(account, judge))
    }

    fn kept(&self) -> (u64, u64) {
        let each = self.inner.shards.iter().map(|shard| shard.lock().kept());
        each.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    }

    fn outbox(&self, limit: usize) -> Operation<'_, Vec<Event>> {
        let events = self.inner.outbox.lock().committed.values().take(limit).cloned().collect();
        Box::pin(async move { Ok(events) })
    }

    fn row<'a>(&'a self, table: Table, key: &'a str) -> Operation<'a, Option<Box<str>>> {
        let key = key.to_owned();
        Box::pin(self.reading(move |inner| inner.read_row(table, &key)))
    }

    fn rows<'a>(&'a self, table: Table, after: &'a str, limit: usize) -> Operation<'a, Rows> {
        let after = after.to_owned();
        Box::pin(self.reading(move |inner| inner.read_rows(table, &after, limit)))
    }

    fn put(&self, rows: Vec<Row>) -> Operation<'_, ()> {
        Box::pin(async move {
            let mut rows = rows;
            while let Err(back) = self.inner.put_rows(rows) {
                self.inner.commit().await?;
                rows = back;
            }
            self.inner.commit().await.map_err(not_on_disk)
        })
    }

    fn accounts(&self) -> Operation<'_, u64> {
        Box::pin(self.reading(Inner::count))
    }

    fn settle<'a>(&'a self, event: &'a str) -> Operation<'a, ()> {
        self.inner.outbox.lock().settle(event);
        Box::pin(async { Ok(()) })
    }

    fn flush(&self) -> Operation<'_, ()> {
        Box::pin(self.inner.commit())
    }

    fn backup<'a>(&'a self, path: &'a Path) -> Operation<'a, ()> {
        Box::pin(async move {
            self.inner.commit().await?;
            let (inner, path) = (Arc::clone(&self.inner), path.to_path_buf());
            let copied = tokio::task::spawn_blocking(move || inner.copy_to(&path)).await;
            copied.unwrap_or_else(|_| Err(unavailable("its file cannot be read")))
        })
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.inner.stop();
        if let Some(writer) = self.writer.take() {
            // It has caught its own panics.
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
mod disks;
#[cfg(test)]
mod tests;
