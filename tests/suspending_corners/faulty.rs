//! A directory that falls silent, one that knows everybody, and a store that cannot reach one account.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use gatepost::directory::{Answer, Author, Directory, FileDirectory};
use gatepost::mail::{AccountKey, Address, Login};
use gatepost::record::{Event, Row, Table};
use gatepost::rights::{
    Account, AccountState, Groups, Holder, Lookup, Memberships, RecipientLookup, Restriction,
};
use gatepost::store::{Judge, Memory, Operation, Rows, Store, StoreFault};

/// A directory file that does not answer while it is silent.
pub struct Flaky {
    file: FileDirectory,
    is_silent: Arc<AtomicBool>,
}

impl Flaky {
    pub fn new(file: FileDirectory, is_silent: &Arc<AtomicBool>) -> Self {
        Self { file, is_silent: Arc::clone(is_silent) }
    }
}

impl Directory for Flaky {
    fn lookup<'a>(&'a self, login: &'a Login, groups: &'a Groups) -> Answer<'a, Lookup> {
        match self.is_silent.load(Ordering::Relaxed) {
            true => Answer::Now(Lookup::Unavailable),
            false => self.file.lookup(login, groups),
        }
    }

    fn recipient<'a>(&'a self, to: &'a Address, author: Author<'a>) -> Answer<'a, RecipientLookup> {
        self.file.recipient(to, author)
    }

    fn path<'a>(&'a self, account: &'a AccountKey, group: &'a str) -> Answer<'a, Vec<String>> {
        self.file.path(account, group)
    }
}

/// Whoever is asked for is there.
pub struct Everybody;

impl Directory for Everybody {
    fn lookup<'a>(&'a self, login: &'a Login, _: &'a Groups) -> Answer<'a, Lookup> {
        let account = Account {
            key: AccountKey::object("file", login.folded()),
            name: login.raw().into(),
            logins: Box::new([login.folded().into()]),
            addresses: Box::new([]),
            state: AccountState::Enabled,
            dn: None,
            password_set: None,
            other_address: None,
        };
        Answer::Now(Lookup::Found(Holder {
            account: Arc::new(account),
            age_ms: 0,
            memberships: Memberships::default(),
        }))
    }

    fn recipient<'a>(&'a self, _: &'a Address, _: Author<'a>) -> Answer<'a, RecipientLookup> {
        Answer::Now(RecipientLookup::Found(Restriction::Open))
    }

    fn path<'a>(&'a self, _: &'a AccountKey, _: &'a str) -> Answer<'a, Vec<String>> {
        Answer::Now(Vec::new())
    }
}

/// Keeps everything in memory, and reaches all accounts but one.
pub struct Faulty {
    memory: Memory,
    failing: Mutex<String>,
}

impl Default for Faulty {
    fn default() -> Self {
        Self { memory: Memory::unbounded(), failing: Mutex::default() }
    }
}

impl Faulty {
    /// From now on the account of this key; of the empty one nobody.
    pub fn fail(&self, account: &str) {
        *self.failing.lock().expect("whole") = account.into();
    }

    fn is_failing(&self, account: &AccountKey) -> bool {
        *self.failing.lock().expect("whole") == account.as_str()
    }
}

fn broken<'a>() -> Operation<'a, ()> {
    Box::pin(async { Err(StoreFault::Unavailable("broken".into())) })
}

impl Store for Faulty {
    fn update<'a>(&'a self, account: &'a AccountKey, judge: Judge<'a>) -> Operation<'a, ()> {
        if self.is_failing(account) { broken() } else { self.memory.update(account, judge) }
    }
    fn preview<'a>(&'a self, account: &'a AccountKey, judge: Judge<'a>) -> Operation<'a, ()> {
        if self.is_failing(account) { broken() } else { self.memory.preview(account, judge) }
    }
    fn kept(&self) -> (u64, u64) {
        self.memory.kept()
    }
    fn outbox(&self, limit: usize) -> Operation<'_, Vec<Event>> {
        self.memory.outbox(limit)
    }
    fn settle<'a>(&'a self, event: &'a str) -> Operation<'a, ()> {
        self.memory.settle(event)
    }
    fn row<'a>(&'a self, table: Table, key: &'a str) -> Operation<'a, Option<Box<str>>> {
        self.memory.row(table, key)
    }
    fn rows<'a>(&'a self, table: Table, after: &'a str, limit: usize) -> Operation<'a, Rows> {
        self.memory.rows(table, after, limit)
    }
    fn put(&self, rows: Vec<Row>) -> Operation<'_, ()> {
        self.memory.put(rows)
    }
    fn accounts(&self) -> Operation<'_, u64> {
        self.memory.accounts()
    }
}
