//! What becomes of mail while the store fails: `[store] on-failure`.

mod common;

use std::path::Path;
use std::sync::{Arc, Mutex};

use common::{Ask, SUBMISSION, at, config, question, read, word};
use gatepost::engine::{Engine, Happened};
use gatepost::ledger::HashKey;
use gatepost::mail::{AccountKey, Stage};
use gatepost::record::{Event, Record, Row, Table};
use gatepost::store::{Judge, Operation, Store, StoreFault};

/// Fails before it judges, or after: what changed then stands in memory.
struct Broken {
    judges: bool,
    kept: Mutex<Record>,
}

impl Broken {
    fn fail(&self, judge: Judge<'_>) -> Operation<'static, ()> {
        if self.judges {
            let mut kept = self.kept.lock().expect("whole");
            if let Some(changed) = judge(&kept).record {
                *kept = changed;
            }
        }
        let fault = self.fault();
        Box::pin(async { Err(fault) })
    }

    /// What was judged stands in memory.
    fn fault(&self) -> StoreFault {
        let fault = if self.judges { StoreFault::NotOnDisk } else { StoreFault::Unavailable };
        fault("broken".into())
    }
}

impl Store for Broken {
    fn update<'a>(&'a self, _: &'a AccountKey, judge: Judge<'a>) -> Operation<'a, ()> {
        self.fail(judge)
    }
    fn preview<'a>(&'a self, _: &'a AccountKey, judge: Judge<'a>) -> Operation<'a, ()> {
        self.fail(judge)
    }
    fn kept(&self) -> (u64, u64) {
        (0, 0)
    }
    fn outbox(&self, _: usize) -> Operation<'_, Vec<Event>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn row<'a>(&'a self, _: Table, _: &'a str) -> Operation<'a, Option<Box<str>>> {
        Box::pin(async { Err(StoreFault::Unavailable("broken".into())) })
    }
    fn rows<'a>(
        &'a self,
        _: Table,
        _: &'a str,
        _: usize,
    ) -> Operation<'a, Vec<(Box<str>, Box<str>)>> {
        Box::pin(async { Err(StoreFault::Unavailable("broken".into())) })
    }
    fn put(&self, _: Vec<Row>) -> Operation<'_, ()> {
        Box::pin(async { Err(StoreFault::Unavailable("broken".into())) })
    }
    fn accounts(&self) -> Operation<'_, u64> {
        Box::pin(async { Err(StoreFault::Unavailable("broken".into())) })
    }
    fn settle<'a>(&'a self, _: &'a str) -> Operation<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// What the last of so many messages to hundreds is answered.
async fn ask(on_failure: &str, judges: bool, messages: u32) -> String {
    let rules = format!(
        "[domains]\nlocal = ['example.org']\n[detector]\nmode = 'enforce'\n[store]\non-failure = '{on_failure}'"
    );
    let config = read(&config(SUBMISSION, &rules), Path::new("/"));
    let listener = Arc::clone(&config.startup.listen[0].listener);
    let store = Arc::new(Broken { judges, kept: Mutex::default() });
    let fault = store.fault();
    let engine = Engine::new(None, store, HashKey::default(), config.rules);
    let mut last = String::new();
    for message in 0..messages {
        let facts = question(Stage::EndOfMessage).login("alice").recipients(300);
        let judged = engine.judge(&listener, facts.instance(&message.to_string()), at()).await;
        assert_eq!(judged.store_fault.as_ref(), Some(&fault));
        last = word(&judged);
        // What stands in memory is counted: the breaker must not miss it.
        let suspended = |what: &Happened| matches!(what, Happened::Suspended { .. });
        assert_eq!(judged.happened.iter().any(suspended), last == "account-suspended");
    }
    last
}

#[tokio::test]
async fn mail_passes_by_its_rights_or_is_deferred() {
    for judges in [false, true] {
        assert_eq!(ask("pass-rights-only", judges, 1).await, "pass");
        assert_eq!(ask("defer", judges, 1).await, "own-fault");
    }
}

/// The finding was made; that it is not on disk is no reason to let the thief go on.
#[tokio::test]
async fn a_suspension_that_was_reached_stands() {
    for on_failure in ["pass-rights-only", "defer"] {
        assert_eq!(ask(on_failure, true, 2).await, "account-suspended");
    }
}
