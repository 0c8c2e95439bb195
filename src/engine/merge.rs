//! A login that the directory could not resolve is charged under its spelling. Once it resolves, what was
//! counted there goes to its account, so that no alias escapes while the directory is down.

use std::num::NonZeroUsize;

use compact_str::CompactString;
use lru::LruCache;
use parking_lot::Mutex;

use crate::decision::Case;
use crate::engine::Engine;
use crate::mail::{AccountKey, Login, Timestamp};
use crate::record::{Change, Record};
use crate::rights::Lookup;

/// Logins that were charged unresolved.
const LOGINS: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

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

    /// A store that fails costs what was counted meanwhile.
    async fn move_usage(&self, login: &Login, account: &AccountKey, at: Timestamp) {
        let mut found = None;
        let mut take = |record: &Record| {
            found = Some(record.clone());
            Change::to(Record::default())
        };
        let taken = self.store.update(&AccountKey::unresolved(login), &mut take).await;
        let (Ok(()), Some(found)) = (taken, found) else { return };
        let mut merge = |record: &Record| {
            let mut record = record.clone();
            record.merge(&found, at);
            Change::to(record)
        };
        let _ = self.store.update(account, &mut merge).await;
    }
}
