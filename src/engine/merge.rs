//! A login that the directory could not resolve is charged under its spelling. Once it resolves, what was
//! counted there goes to its account, so that no alias escapes while the directory is down.

use std::num::NonZeroUsize;

use compact_str::CompactString;
use lru::LruCache;
use parking_lot::Mutex;

use crate::decision::Case;
use crate::engine::Engine;
use crate::engine::telling::{About, account_row};
use crate::mail::{AccountKey, Login, Timestamp};
use crate::record::{Change, Record, Row, Table};
use crate::rights::Lookup;
use crate::store::StoreFault;

/// Logins that were charged unresolved.
const LOGINS: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

/// Rows read at once.
const PAGE: usize = 500;

/// Those that are waiting to resolve.
pub struct Unresolved(Mutex<LruCache<CompactString, ()>>);

impl Default for Unresolved {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(LOGINS)))
    }
}

impl Engine {
    /// Remembers an unresolved login, or brings what it sent to the account it resolves to.
    pub(super) async fn resolve(&self, case: Case<'_>, account: &AccountKey, at: Timestamp) {
        let (login, lookup) = match &case.known.author {
            Some(author) => (Some(&author.login), Some(&author.account)),
            None => (case.login(), case.known.account.as_ref()),
        };
        let (Some(login), Some(lookup)) = (login, lookup) else { return };
        match lookup {
            Lookup::Found(_) => {
                let was_waiting = self.unresolved.0.lock().pop(login.folded()).is_some();
                if was_waiting {
                    self.move_usage(login, account, at).await;
                }
            }
            Lookup::Unavailable | Lookup::Ambiguous => {
                self.unresolved.0.lock().push(login.folded().into(), ());
            }
            Lookup::NotFound => {}
        }
    }

    /// Logins that something stands against under their spelling, as an earlier run left them.
    pub(super) async fn take_up_unresolved(&self) -> Result<(), StoreFault> {
        let prefix = AccountKey::UNRESOLVED;
        let mut after: Box<str> = prefix.into();
        loop {
            let page = self.store.rows(Table::Accounts, &after, PAGE).await?;
            let names = page.iter().map_while(|(account, _)| account.strip_prefix(prefix));
            let mut waiting = self.unresolved.0.lock();
            let found = names.map(|name| waiting.push(name.into(), ())).count();
            drop(waiting);
            match page.into_iter().last() {
                Some((last, _)) if found == PAGE => after = last,
                _ => return Ok(()),
            }
        }
    }

    /// A store that fails costs what was counted meanwhile.
    async fn move_usage(&self, login: &Login, account: &AccountKey, at: Timestamp) {
        let unresolved = AccountKey::unresolved(login);
        let mut found = None;
        let mut take = |record: &Record| {
            found = Some(record.clone());
            let row = Row::remove(Table::Accounts, unresolved.as_str());
            let rows = if record.is_of_note() { vec![row] } else { Vec::new() };
            Change { rows, ..Change::to(Record::default()) }
        };
        let taken = self.store.update(&unresolved, &mut take).await;
        let (Ok(()), Some(found)) = (taken, found) else { return };
        let of = |account| About { account, login: login.raw(), holder: None, mta: "", at };
        let mut merge = |record: &Record| {
            let mut record = record.clone();
            record.merge(&found, at);
            let rows = vec![account_row(&of(account), record.is_of_note())];
            Change { rows, ..Change::to(record) }
        };
        let _ = self.store.update(account, &mut merge).await;
    }
}
