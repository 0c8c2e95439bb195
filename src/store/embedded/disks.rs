//! The embedded store on disks that are full, or slow.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{join_all, poll_immediate};
use redb::backends::FileBackend;
use redb::{Builder, DatabaseError, StorageBackend};

use super::tests::{Folder, is_suspended, key, messages, suspend};
use super::*;
use crate::store::contract;

static IS_FULL: AtomicBool = AtomicBool::new(false);

/// A disk that can be full.
#[derive(Debug)]
struct Disk(FileBackend);

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        room()?;
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        room()?;
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        room()?;
        self.0.write(offset, data)
    }
}

fn room() -> io::Result<()> {
    if IS_FULL.load(Ordering::Relaxed) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    Ok(())
}

fn open_on_disk(builder: &Builder, path: &Path) -> Result<Database, DatabaseError> {
    let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
    builder.create_with_backend(Disk(FileBackend::new(file)?))
}

#[tokio::test]
async fn a_full_disk_costs_what_must_be_on_it_and_loses_nothing_in_memory() {
    let folder = Folder::new();
    let (told, mut landed) = tokio::sync::mpsc::unbounded_channel();
    let on_commit = Box::new(move |has_landed| _ = told.send(has_landed));
    let settings = Settings { on_commit, ..folder.settings() };
    let store = Embedded::open_by(settings, open_on_disk).expect("opened");
    contract::charge(&store, "alice", 1).await;
    store.flush().await.expect("flushed");
    IS_FULL.store(true, Ordering::Relaxed);
    contract::charge(&store, "alice", 2).await;
    let told = suspend(&store, "thief").await;
    assert!(matches!(told, Err(StoreFault::NotOnDisk(_))), "{told:?}");
    while landed.recv().await.expect("told") {}
    assert!(is_suspended(&store, "thief").await, "it stands in memory");
    contract::charge(&store, "alice", 3).await;
    assert_eq!(messages(&store, "alice").await, Ok(3));
    messages(&store, "carol").await.expect_err("nobody knows");
    IS_FULL.store(false, Ordering::Relaxed);
    let mut rounds = store.inner.rounds.subscribe();
    rounds.wait_for(|rounds| !rounds.is_failing()).await.expect("written again");
    drop(store);
    let store = folder.open();
    assert!(is_suspended(&store, "thief").await);
    assert_eq!(messages(&store, "alice").await, Ok(3));
}

static GATE: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

/// A disk that takes its time.
#[derive(Debug)]
struct Slow(FileBackend);

impl StorageBackend for Slow {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        drop(GATE.lock());
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

fn open_on_slow_disk(builder: &Builder, path: &Path) -> Result<Database, DatabaseError> {
    let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
    builder.create_with_backend(Slow(FileBackend::new(file)?))
}

/// Else a mail server would be told of a suspension that a crash takes back.
#[tokio::test]
async fn nobody_hears_of_a_suspension_that_is_not_on_disk() {
    let folder = Folder::new();
    let store = Embedded::open_by(folder.settings(), open_on_slow_disk).expect("opened");
    contract::charge(&store, "thief", 1).await;
    contract::charge(&store, "alice", 1).await;
    let slow = GATE.lock();
    let thief = key("thief");
    let mut impose = |record: &Record| Change::to(record.clone().with_suspension());
    let mut look = |record: &Record| {
        assert!(record.suspension.is_some());
        Change::default()
    };
    let mut count = |record: &Record| Change::to(record.clone());
    let mut under_way: Vec<Operation<'_, ()>> = Vec::new();
    under_way.push(store.update(&thief, &mut impose));
    for first in &mut under_way {
        assert!(poll_immediate(first.as_mut()).await.is_none());
    }
    under_way.push(store.preview(&thief, &mut look));
    under_way.push(store.update(&thief, &mut count));
    for later in &mut under_way[1..] {
        assert!(poll_immediate(later.as_mut()).await.is_none(), "it waits for the disk");
    }
    assert_eq!(messages(&store, "alice").await, Ok(1), "others do not wait");
    drop(slow);
    assert!(join_all(under_way).await.iter().all(Result::is_ok));
    assert!(is_suspended(&store, "thief").await);
}
