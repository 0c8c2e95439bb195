//! What a store tells of itself while it works, for those who count; and a store that tells it.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;

use crate::mail::AccountKey;
use crate::record::{Event, Row, Table};
use crate::store::{Judge, Operation, Rows, Store, StoreFault};

/// What a store is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Update,
    Preview,
    Outbox,
    Settle,
    Row,
    Rows,
    Put,
    Accounts,
    Flush,
    Backup,
}

impl Call {
    pub const ALL: [Self; 10] = [
        Self::Update,
        Self::Preview,
        Self::Outbox,
        Self::Settle,
        Self::Row,
        Self::Rows,
        Self::Put,
        Self::Accounts,
        Self::Flush,
        Self::Backup,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Preview => "preview",
            Self::Outbox => "outbox",
            Self::Settle => "settle",
            Self::Row => "row",
            Self::Rows => "rows",
            Self::Put => "put",
            Self::Accounts => "accounts",
            Self::Flush => "flush",
            Self::Backup => "backup",
        }
    }
}

/// Told of what a store does.
pub trait Meter: Send + Sync {
    /// An operation begins; it is over when what is returned is dropped.
    fn begins(&self, call: Call) -> Box<dyn Any + Send>;

    /// How it came out.
    fn ended(&self, call: Call, fault: Option<&StoreFault>);
}

/// Another store, of which `meter` is told.
pub struct Metered {
    store: Arc<dyn Store>,
    meter: Arc<dyn Meter>,
}

impl Metered {
    pub fn new(store: Arc<dyn Store>, meter: Arc<dyn Meter>) -> Self {
        Self { store, meter }
    }

    /// A store may work before its future is asked, so it is called within the time that is measured.
    fn run<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        operation: impl FnOnce(&'a dyn Store) -> Operation<'a, T> + Send + 'a,
    ) -> Operation<'a, T> {
        Box::pin(async move {
            let time = self.meter.begins(call);
            let outcome = operation(&*self.store).await;
            drop(time);
            self.meter.ended(call, outcome.as_ref().err());
            outcome
        })
    }
}

impl Store for Metered {
    fn update<'a>(&'a self, account: &'a AccountKey, judge: Judge<'a>) -> Operation<'a, ()> {
        self.run(Call::Update, move |store| store.update(account, judge))
    }

    fn preview<'a>(&'a self, account: &'a AccountKey, judge: Judge<'a>) -> Operation<'a, ()> {
        self.run(Call::Preview, move |store| store.preview(account, judge))
    }

    fn kept(&self) -> (u64, u64) {
        self.store.kept()
    }

    fn outbox(&self, limit: usize) -> Operation<'_, Vec<Event>> {
        self.run(Call::Outbox, move |store| store.outbox(limit))
    }

    fn settle<'a>(&'a self, event: &'a str) -> Operation<'a, ()> {
        self.run(Call::Settle, move |store| store.settle(event))
    }

    fn row<'a>(&'a self, table: Table, key: &'a str) -> Operation<'a, Option<Box<str>>> {
        self.run(Call::Row, move |store| store.row(table, key))
    }

    fn rows<'a>(&'a self, table: Table, after: &'a str, limit: usize) -> Operation<'a, Rows> {
        self.run(Call::Rows, move |store| store.rows(table, after, limit))
    }

    fn put(&self, rows: Vec<Row>) -> Operation<'_, ()> {
        self.run(Call::Put, move |store| store.put(rows))
    }

    fn accounts(&self) -> Operation<'_, u64> {
        self.run(Call::Accounts, |store| store.accounts())
    }

    fn flush(&self) -> Operation<'_, ()> {
        self.run(Call::Flush, |store| store.flush())
    }

    fn backup<'a>(&'a self, path: &'a Path) -> Operation<'a, ()> {
        self.run(Call::Backup, move |store| store.backup(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Memory, contract};
    use parking_lot::Mutex;
    use std::num::NonZeroUsize;

    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl Meter for Told {
        fn begins(&self, call: Call) -> Box<dyn Any + Send> {
            self.0.lock().push(format!("{} begins", call.as_str()));
            Box::new(())
        }

        fn ended(&self, call: Call, fault: Option<&StoreFault>) {
            let outcome = fault.map_or("well".into(), ToString::to_string);
            self.0.lock().push(format!("{} ended: {outcome}", call.as_str()));
        }
    }

    fn metered(told: &Arc<Told>) -> Metered {
        let memory = Memory::new(NonZeroUsize::new(1000).expect("not zero"));
        Metered::new(Arc::new(memory), Arc::clone(told) as Arc<dyn Meter>)
    }

    #[tokio::test]
    async fn keeps_the_contract() {
        contract::check(|| metered(&Arc::default())).await;
    }

    #[tokio::test]
    async fn each_operation_is_told_with_its_outcome() {
        let told = Arc::new(Told::default());
        let store = metered(&told);
        contract::charge(&store, "alice", 1).await;
        assert_eq!(store.kept().0, 1);
        assert_eq!(store.row(Table::Site, "nothing").await, Ok(None));
        store.put(Vec::new()).await.expect("put");
        assert_eq!(store.accounts().await, Ok(1));
        store.flush().await.expect("flushed");
        assert!(store.backup(Path::new("/nowhere")).await.is_err());
        let expected = [
            "update begins",
            "update ended: well",
            "row begins",
            "row ended: well",
            "put begins",
            "put ended: well",
            "accounts begins",
            "accounts ended: well",
            "flush begins",
            "flush ended: well",
            "backup begins",
            "backup ended: the store is unavailable: this store keeps nothing that could be copied to /nowhere",
        ];
        assert_eq!(*told.0.lock(), expected);
    }
}
