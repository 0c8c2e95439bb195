//! What every store must keep; each one's tests run this suite.

use std::sync::Arc;

use crate::ledger::{HashKey, Message};
use crate::mail::{AccountKey, Timestamp};
use crate::record::{Change, Event, Record, Row, Table};
use crate::store::{Store, StoreFault};

/// Runs the whole contract on stores made by `fresh`.
pub async fn check<S: Store + 'static>(fresh: impl Fn() -> S) {
    an_unknown_account_has_an_empty_record(&fresh()).await;
    a_change_is_seen_by_the_next_update(&fresh()).await;
    no_change_leaves_the_record(&fresh()).await;
    preview_equals_the_next_update_and_writes_nothing(&fresh()).await;
    records_and_events_are_committed_together(&fresh()).await;
    rows_are_committed_with_the_record(&fresh()).await;
    rows_come_in_the_order_of_their_keys(&fresh()).await;
    updates_of_one_account_never_interleave(Arc::new(fresh())).await;
}

fn key(name: &str) -> AccountKey {
    AccountKey::object("test", name)
}

fn charged(record: &Record, message: u64) -> Record {
    let mut record = record.clone();
    let at = Timestamp::from_unix_ms(1);
    let mut recipients = [0, 1, 2].map(|n: u64| HashKey::default().bytes(&[&n.to_le_bytes()]));
    recipients.sort_unstable();
    let message = Message {
        key: message,
        part: None,
        recipients: &recipients,
        count: 3,
        likeness: None,
        network: None,
    };
    record.advance(at);
    let weight = record.usage.weigh(&message, at);
    record.usage.count(&weight);
    record.usage.take_in(&message, &weight, 0, at);
    record
}

pub async fn charge(store: &dyn Store, account: &str, message: u64) {
    let mut judge = |record: &Record| Change::to(charged(record, message));
    store.update(&key(account), &mut judge).await.expect("updated");
}

async fn read(store: &dyn Store, account: &str) -> Record {
    let mut seen = None;
    let mut judge = |record: &Record| {
        seen = Some(record.clone());
        Change::default()
    };
    store.preview(&key(account), &mut judge).await.expect("previewed");
    seen.expect("the function was run")
}

async fn an_unknown_account_has_an_empty_record(store: &dyn Store) {
    assert_eq!(read(store, "nobody").await, Record::default());
}

async fn a_change_is_seen_by_the_next_update(store: &dyn Store) {
    charge(store, "alice", 1).await;
    charge(store, "alice", 2).await;
    charge(store, "bob", 1).await;
    assert_eq!(read(store, "alice").await.usage.messages, 2);
    assert_eq!(read(store, "bob").await.usage.recipients, 3);
}

async fn no_change_leaves_the_record(store: &dyn Store) {
    charge(store, "alice", 1).await;
    let before = read(store, "alice").await;
    store.update(&key("alice"), &mut |_| Change::default()).await.expect("updated");
    assert_eq!(read(store, "alice").await, before);
}

async fn preview_equals_the_next_update_and_writes_nothing(store: &dyn Store) {
    charge(store, "alice", 1).await;
    let (mut previewed, mut updated) = (None, None);
    let run = |slot: &mut Option<Record>, record: &Record| {
        *slot = Some(charged(record, 2));
        Change {
            record: slot.clone(),
            events: vec![event("e")],
            rows: vec![Row::put(Table::Site, "r", "1")],
        }
    };
    store
        .preview(&key("alice"), &mut |record| run(&mut previewed, record))
        .await
        .expect("previewed");
    assert_eq!(read(store, "alice").await.usage.messages, 1);
    assert!(store.outbox(9).await.expect("read").is_empty());
    assert_eq!(store.row(Table::Site, "r").await, Ok(None));
    store.update(&key("alice"), &mut |record| run(&mut updated, record)).await.expect("updated");
    assert_eq!(previewed, updated);
    assert_eq!(Some(read(store, "alice").await), updated);
}

fn event(id: &str) -> Event {
    Event { id: id.into(), body: "{}".into() }
}

async fn send(store: &dyn Store, account: &str, events: Vec<Event>) -> Result<(), StoreFault> {
    let mut judge =
        |record: &Record| Change { events: events.clone(), ..Change::to(charged(record, 1)) };
    store.update(&key(account), &mut judge).await
}

async fn pending(store: &dyn Store, limit: usize) -> Vec<String> {
    let events = store.outbox(limit).await.expect("read");
    events.iter().map(|event| event.id.to_string()).collect()
}

async fn records_and_events_are_committed_together(store: &dyn Store) {
    send(store, "alice", vec![event("1"), event("2")]).await.expect("committed");
    send(store, "bob", vec![event("3")]).await.expect("committed");
    assert_eq!(pending(store, 9).await, ["1", "2", "3"]);
    assert_eq!(pending(store, 2).await, ["1", "2"]);
    store.settle("2").await.expect("settled");
    store.settle("2").await.expect("settled twice is no fault");
    assert_eq!(pending(store, 9).await, ["1", "3"]);
    assert_eq!(read(store, "bob").await.usage.messages, 1);
}

async fn rows_are_committed_with_the_record(store: &dyn Store) {
    let rows = vec![Row::put(Table::Holds, "mx1/A1", "{}"), Row::remove(Table::Audit, "none")];
    let mut judge =
        |record: &Record| Change { rows: rows.clone(), ..Change::to(charged(record, 1)) };
    store.update(&key("alice"), &mut judge).await.expect("committed");
    assert_eq!(store.row(Table::Holds, "mx1/A1").await, Ok(Some("{}".into())));
    assert_eq!(store.row(Table::Audit, "mx1/A1").await, Ok(None));
    assert_eq!(read(store, "alice").await.usage.messages, 1);
}

async fn rows_come_in_the_order_of_their_keys(store: &dyn Store) {
    let put = |key: &str| Row::put(Table::Audit, key, format!("\"{key}\""));
    store.put(vec![put("b"), put("a/2"), put("a/10"), put("c")]).await.expect("put");
    store.put(vec![Row::remove(Table::Audit, "c")]).await.expect("removed");
    store
        .put(vec![Row::put(Table::Refusals, "b", "1"), Row::put(Table::Accounts, "b", "2")])
        .await
        .expect("put");
    let keys = async |after: &str, limit: usize| -> Vec<String> {
        let rows = store.rows(Table::Audit, after, limit).await.expect("read");
        rows.into_iter().map(|(key, _)| key.into()).collect()
    };
    assert_eq!(keys("", 9).await, ["a/10", "a/2", "b"]);
    assert_eq!(keys("", 2).await, ["a/10", "a/2"]);
    assert_eq!(keys("a/10", 9).await, ["a/2", "b"]);
    assert_eq!(keys("b", 9).await, Vec::<String>::new());
    store.put(vec![Row::put(Table::Audit, "b", "2")]).await.expect("put");
    assert_eq!(store.row(Table::Audit, "b").await, Ok(Some("2".into())));
}

pub async fn fill_outbox(store: &dyn Store, limit: usize) {
    let events = (0..limit).map(|number| event(&number.to_string())).collect();
    send(store, "filler", events).await.expect("committed");
}

pub async fn refuses_when_the_outbox_is_full(store: &dyn Store, limit: usize) {
    let refused = send(store, "alice", vec![event("one too many")]).await;
    assert_eq!(refused, Err(StoreFault::OutboxFull(limit)));
    assert_eq!(read(store, "alice").await, Record::default());
    store.settle("0").await.expect("settled");
    send(store, "alice", vec![event("now")]).await.expect("committed");
}

async fn updates_of_one_account_never_interleave<S: Store + 'static>(store: Arc<S>) {
    let tasks: Vec<_> = (0..8_u64)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for message in 0..200 {
                    charge(&*store, "alice", task * 1000 + message).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    let usage = read(&*store, "alice").await.usage;
    assert_eq!((usage.messages, usage.recipients), (1600, 4800));
}
