use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::*;
use crate::store::contract;

/// A folder of its own, removed at the end.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("gatepost-store-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new folder");
        Self(path)
    }

    fn store(&self) -> PathBuf {
        self.0.join("store.redb")
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            path: self.store(),
            key: HashKey::new([7; 16]),
            accounts: NonZeroUsize::new(SHARDS).expect("not zero"),
            keep_days: 400,
            clock: || Timestamp::from_unix_ms(0),
            on_commit: Box::new(|_| ()),
        }
    }

    pub(super) fn open(&self) -> Embedded {
        Embedded::open(self.settings()).expect("opened")
    }

    fn refusal(&self) -> String {
        let refused = Embedded::open(self.settings()).err().expect("refused");
        refused.to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(super) fn key(name: &str) -> AccountKey {
    AccountKey::object("test", name)
}

pub(super) async fn messages(store: &Embedded, account: &str) -> Result<u64, StoreFault> {
    let mut seen = 0;
    let mut judge = |record: &Record| {
        seen = record.usage.messages;
        Change::default()
    };
    store.preview(&key(account), &mut judge).await?;
    Ok(seen)
}

pub(super) async fn suspend(store: &Embedded, account: &str) -> Result<(), StoreFault> {
    let mut judge = |record: &Record| Change::to(record.clone().with_suspension());
    store.update(&key(account), &mut judge).await
}

pub(super) async fn is_suspended(store: &Embedded, account: &str) -> bool {
    let mut seen = false;
    let mut judge = |record: &Record| {
        seen = record.suspension.is_some();
        Change::default()
    };
    match store.preview(&key(account), &mut judge).await {
        Ok(()) | Err(StoreFault::NotOnDisk(_)) => seen,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract() {
    let folder = Folder::new();
    let next = AtomicUsize::new(0);
    let fresh = || {
        let path = folder.0.join(next.fetch_add(1, Ordering::Relaxed).to_string());
        Embedded::open(Settings { path, ..folder.settings() }).expect("opened")
    };
    contract::check(fresh).await;
}

#[tokio::test]
async fn a_full_outbox_commits_nothing() {
    let folder = Folder::new();
    let store = folder.open();
    contract::fill_outbox(&store, OUTBOX_LIMIT).await;
    contract::refuses_when_the_outbox_is_full(&store, OUTBOX_LIMIT).await;
}

/// Sixteen fit in memory.
#[tokio::test]
async fn cold_records_are_read_back() {
    let folder = Folder::new();
    let store = folder.open();
    for round in 1..=3 {
        for account in 0..100 {
            contract::charge(&store, &account.to_string(), round).await;
        }
        store.flush().await.expect("flushed");
    }
    for account in 0..100 {
        assert_eq!(messages(&store, &account.to_string()).await, Ok(3));
    }
    drop(store);
    assert_eq!(messages(&folder.open(), "99").await, Ok(3));
}

/// Records leave the memory and come back while others change them.
#[tokio::test(flavor = "multi_thread")]
async fn no_charge_is_lost_between_memory_and_disk() {
    let folder = Folder::new();
    let store = Arc::new(folder.open());
    let tasks: Vec<_> = (0..4_u64)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for message in 0..50 {
                    for account in 0..40 {
                        contract::charge(&*store, &account.to_string(), task << 32 | message).await;
                    }
                    store.flush().await.expect("flushed");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    for account in 0..40 {
        assert_eq!(messages(&store, &account.to_string()).await, Ok(200));
    }
}

#[tokio::test]
async fn events_outlive_the_process_until_they_are_settled() {
    let folder = Folder::new();
    let store = folder.open();
    contract::fill_outbox(&store, 3).await;
    drop(store);
    let store = folder.open();
    store.settle("1").await.expect("settled");
    drop(store);
    let ids = folder.open().outbox(9).await.expect("read");
    assert_eq!(ids.iter().map(|event| &*event.id).collect::<Vec<_>>(), ["0", "2"]);
}

#[tokio::test]
async fn a_backup_is_a_whole_store_of_that_moment() {
    let folder = Folder::new();
    let store = folder.open();
    contract::charge(&store, "alice", 1).await;
    contract::fill_outbox(&store, 2).await;
    let copy = folder.0.join("copy");
    store.put(vec![Row::put(Table::Holds, "mx1/A1", "{}")]).await.expect("put");
    store.backup(&copy).await.expect("copied");
    contract::charge(&store, "alice", 2).await;
    let told = store.backup(&copy).await.expect_err("it exists").to_string();
    assert_eq!(told, format!("the store is unavailable: {} exists", copy.display()));
    let copied = Embedded::open(Settings { path: copy, ..folder.settings() }).expect("opened");
    assert_eq!(copied.row(Table::Holds, "mx1/A1").await, Ok(Some("{}".into())));
    assert_eq!(messages(&copied, "alice").await, Ok(1));
    assert_eq!(copied.outbox(9).await.expect("read").len(), 2);
}

static DAY: AtomicU32 = AtomicU32::new(1000);

#[tokio::test]
async fn what_nobody_touches_expires_but_nothing_that_stands() {
    let folder = Folder::new();
    let clock = || Timestamp::from_unix_ms(i64::from(DAY.load(Ordering::Relaxed)) * 86_400_000);
    let store = Embedded::open(Settings { clock, ..folder.settings() }).expect("opened");
    let on_disk = || -> Vec<String> {
        let database = store.inner.database.read();
        let read = database.as_ref().expect("open").begin_read().expect("read");
        let records = read.open_table(RECORDS).expect("records");
        let all = redb::ReadableTable::iter(&records).expect("read");
        all.map(|entry| entry.expect("read").0.value().to_owned()).collect()
    };
    contract::charge(&store, "old", 1).await;
    suspend(&store, "thief").await.expect("suspended");
    let mut stand = |record: &Record| Change::to(record.clone().with_probation());
    store.update(&key("lately"), &mut stand).await.expect("on probation");
    DAY.store(1400, Ordering::Relaxed);
    contract::charge(&store, "new", 1).await;
    store.flush().await.expect("flushed");
    assert_eq!(on_disk(), ["test:lately", "test:new", "test:old", "test:thief"]);
    DAY.store(1401, Ordering::Relaxed);
    contract::charge(&store, "new", 2).await;
    store.flush().await.expect("flushed");
    assert_eq!(on_disk(), ["test:lately", "test:new", "test:thief"]);
}

#[tokio::test]
async fn one_process_at_a_time() {
    let folder = Folder::new();
    let _store = folder.open();
    assert_eq!(folder.refusal(), "another process has it open");
}

#[test]
fn another_key_is_refused() {
    let folder = Folder::new();
    drop(folder.open());
    let other = Settings { key: HashKey::new([8; 16]), ..folder.settings() };
    let told = Embedded::open(other).err().expect("refused").to_string();
    let (file, given) = (HashKey::new([7; 16]).id(), HashKey::new([8; 16]).id());
    assert_eq!(
        told,
        format!(
            "its records were made under the hash key {file:08x}, and hash-key-file holds {given:08x}"
        )
    );
}

#[test]
fn a_file_of_a_newer_release_is_refused() {
    let folder = Folder::new();
    drop(folder.open());
    let database = Database::open(folder.store()).expect("opened");
    let write = database.begin_write().expect("begun");
    let about = redb::TableDefinition::<&str, u64>::new("about");
    write.open_table(about).expect("there").insert("schema", 4).expect("written");
    write.commit().expect("written");
    drop(database);
    assert_eq!(folder.refusal(), "a newer gatepost wrote it (schema 4, this one knows 3)");
}

#[tokio::test]
async fn a_file_of_the_first_schema_is_led_on() {
    let folder = Folder::new();
    let store = folder.open();
    contract::charge(&store, "alice", 1).await;
    store.flush().await.expect("written");
    drop(store);
    let database = Database::open(folder.store()).expect("opened");
    let write = database.begin_write().expect("begun");
    assert!(write.delete_table(file::ROWS).expect("deleted"));
    let about = redb::TableDefinition::<&str, u64>::new("about");
    write.open_table(about).expect("there").insert("schema", 1).expect("written");
    write.commit().expect("written");
    drop(database);
    let store = folder.open();
    assert_eq!(store.row(Table::Audit, "1").await, Ok(None));
    store.put(vec![Row::put(Table::Audit, "1", "{}")]).await.expect("put");
    assert_eq!(store.row(Table::Audit, "1").await, Ok(Some("{}".into())));
    assert_eq!(store.accounts().await, Ok(1));
}

#[test]
fn what_is_no_store_is_never_begun_anew() {
    let folder = Folder::new();
    for content in ["", "a letter to somebody", &"x".repeat(100_000)] {
        fs::write(folder.store(), content).expect("written");
        let told = folder.refusal();
        assert!(told.starts_with("it is damaged or no store: "), "{told}");
        assert_eq!(fs::read_to_string(folder.store()).expect("still there"), content);
    }
    fs::remove_file(folder.store()).expect("removed");
    fs::create_dir(folder.store()).expect("made");
    assert!(folder.refusal().contains("directory"));
}

#[test]
fn a_folder_that_is_not_there_is_told() {
    let folder = Folder::new();
    let path = folder.0.join("nowhere").join("store.redb");
    let told = Embedded::open(Settings { path, ..folder.settings() }).err().expect("refused");
    assert_eq!(told.to_string(), "No such file or directory (os error 2)");
}

/// Whatever byte is turned over, wherever the file ends: what is read is what was written, or a fault.
#[tokio::test]
async fn a_damaged_file_gives_no_wrong_answer() {
    let folder = Folder::new();
    let store = folder.open();
    for account in 0..60 {
        contract::charge(&store, &account.to_string(), 1).await;
    }
    suspend(&store, "thief").await.expect("suspended");
    drop(store);
    let whole = fs::read(folder.store()).expect("read");
    let mut random = fastrand::Rng::with_seed(1);
    let (mut refused, mut faults) = (0, 0);
    for round in 0..60 {
        let mut bytes = whole.clone();
        if round % 6 == 0 {
            bytes.truncate(random.usize(1..whole.len()));
        } else {
            // Where something is written.
            let place = loop {
                let place = random.usize(..whole.len());
                if whole[place] != 0 {
                    break place;
                }
            };
            bytes[place] ^= 1 << random.u32(..8);
        }
        fs::write(folder.store(), bytes).expect("written");
        let store = match Embedded::open(folder.settings()) {
            Ok(store) => store,
            Err(OpenFault::Broken(_) | OpenFault::Newer { .. } | OpenFault::OtherKey { .. }) => {
                refused += 1;
                continue;
            }
            Err(other) => panic!("{other}"),
        };
        for account in 0..60 {
            match messages(&store, &account.to_string()).await {
                Ok(messages) => assert_eq!(messages, 1, "round {round}, account {account}"),
                Err(_) => faults += 1,
            }
        }
    }
    assert!(refused > 0 && faults > 0, "{refused} refused, {faults} faults");
}

/// A damaged event is left out; the others stand, and the file is still taken.
#[tokio::test]
async fn an_event_that_was_flipped_is_never_acted_on() {
    let folder = Folder::new();
    let store = folder.open();
    contract::fill_outbox(&store, 3).await;
    drop(store);
    let whole = fs::read(folder.store()).expect("read");
    let body = &folder.open().outbox(1).await.expect("read")[0].body.clone();
    let places = memchr::memmem::find_iter(&whole, body.as_bytes());
    let mut bytes = whole.clone();
    for place in places {
        // Neither UTF-8 nor JSON any more.
        bytes[place] = 0xff;
    }
    fs::write(folder.store(), bytes).expect("written");
    let store = folder.open();
    assert!(store.outbox(9).await.expect("read").len() < 3);
    contract::fill_outbox(&store, 1).await;
}

/// Who tries again while the disk is full adds nothing.
#[tokio::test]
async fn a_row_that_is_put_again_waits_once() {
    let folder = Folder::new();
    let store = folder.open();
    for _ in 0..3 {
        let rows = vec![Row::put(Table::Deliveries, "pager/1", "{}")];
        store.inner.put_rows(rows).expect("room");
    }
    let waiting: usize = store.inner.shards.iter().map(|shard| shard.lock().waiting()).sum();
    assert!(waiting <= 1, "{waiting}");
}

#[test]
fn a_look_tells_what_an_open_would() {
    let folder = Folder::new();
    Embedded::look(&folder.store()).expect("it can be made");
    let store = folder.open();
    Embedded::look(&folder.store()).expect("in use, and there");
    drop(store);
    fs::File::options().write(true).open(folder.store()).expect("opened").set_len(0).expect("cut");
    let told = Embedded::look(&folder.store()).expect_err("empty").to_string();
    assert!(told.starts_with("it is damaged or no store: it is empty"), "{told}");
    let nowhere = folder.0.join("nowhere").join("store.redb");
    let told = Embedded::look(&nowhere).expect_err("no folder").to_string();
    assert_eq!(told, "No such file or directory (os error 2)");
}
