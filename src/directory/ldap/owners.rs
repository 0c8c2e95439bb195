//! Whose an address is, for what is kept of accounts: many are asked for by one search, since nobody waits.

use std::collections::HashMap;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use crate::directory::cache;
use crate::directory::cache::is_within;
use crate::directory::ldap::Inner;
use crate::directory::ldap::account::DIRECTORY;
use crate::directory::ldap::connection::Search;
use crate::directory::ldap::fault::Fault;
use crate::directory::ldap::filter::Filter;
use crate::directory::ldap::resolver::Resolver;
use crate::mail::{AccountKey, Login, Timestamp};

/// Logins in one search, each with two or three names; Windows AD refuses filters that are much longer.
const A_SEARCH: usize = 50;

/// Answers kept; one has some 150 bytes.
const MOST: usize = 50_000;

/// The owners that were asked for.
pub(super) struct Owners {
    /// By folded login.
    known: Mutex<LruCache<Box<str>, Owner>>,
    /// Whoever asks holds it.
    asking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone)]
struct Owner {
    /// `None`: there is none, or more than one.
    key: Option<AccountKey>,
    asked: Timestamp,
}

impl Default for Owners {
    fn default() -> Self {
        // A bounded one takes all its room at once.
        Self { known: Mutex::new(LruCache::unbounded()), asking: Arc::default() }
    }
}

impl Owners {
    /// `None`: ask. That nobody owns it is believed no longer than of a login.
    fn known(
        &self,
        login: &Login,
        cache: &cache::Settings,
        at: Timestamp,
    ) -> Option<Option<AccountKey>> {
        let mut owners = self.known.lock();
        let Owner { key, asked } = owners.get(login.folded())?;
        let life = if key.is_some() { cache.fresh } else { cache.negative };
        is_within(*asked, life.as_millis() as u64, at).then(|| key.clone())
    }

    fn keep(&self, login: &str, owner: Owner) {
        let mut owners = self.known.lock();
        owners.push(login.into(), owner);
        while owners.len() > MOST {
            owners.pop_lru();
        }
    }
}

impl Inner {
    /// One for each login. Who cannot be asked for now is told as nobody, and asked for the next time.
    pub(super) async fn owners(self: &Arc<Self>, logins: &[Login]) -> Vec<Option<AccountKey>> {
        let at = (self.clock)();
        let known = |login: &Login| self.owners.known(login, &self.cache, at);
        let mut wanted: Vec<Login> =
            logins.iter().filter(|login| known(login).is_none()).cloned().collect();
        wanted.sort_unstable_by(|one, other| one.folded().cmp(other.folded()));
        wanted.dedup_by(|one, other| one.folded() == other.folded());
        if !wanted.is_empty()
            && let Ok(asking) = Arc::clone(&self.owners.asking).try_lock_owned()
        {
            let inner = Arc::clone(self);
            // Goes on when nobody waits any more: to end a search costs its connection.
            let asked = tokio::spawn(async move {
                inner.ask_owners(&wanted, at).await;
                drop(asking);
            });
            let _ = asked.await;
        }
        logins.iter().map(|login| known(login).flatten()).collect()
    }

    async fn ask_owners(&self, logins: &[Login], at: Timestamp) {
        for part in logins.chunks(A_SEARCH) {
            match self.resolver.owners(part).await {
                Ok(found) => {
                    for login in part {
                        let key = found.get(login.folded()).cloned().flatten();
                        self.owners.keep(login.folded(), Owner { key, asked: at });
                    }
                }
                Err(fault) => {
                    tracing::debug!(%fault, "whose some addresses are cannot be told");
                    return;
                }
            }
        }
    }
}

impl Resolver {
    /// The accounts that have one of these logins, by all logins they have; `None`: two have it.
    async fn owners(
        &self,
        logins: &[Login],
    ) -> Result<HashMap<Box<str>, Option<AccountKey>>, Fault> {
        let names = self.names();
        let filters: Vec<Filter> = logins.iter().filter_map(|login| names.account(login)).collect();
        let mut owners = HashMap::new();
        if filters.is_empty() {
            return Ok(owners);
        }
        let schema = &self.settings.schema;
        let mut attributes: Vec<&str> = schema.login_forms.iter().map(|name| &**name).collect();
        attributes.push(&schema.id);
        attributes.retain(|name| !name.is_empty());
        let filter = Filter::Or(filters).to_string();
        let search = Search::below(&self.settings.base, filter, &attributes);
        for entry in self.pool.list(&search).await? {
            let key = AccountKey::object(DIRECTORY, &self.id(&entry)?);
            for login in names.logins(&entry) {
                owners.entry(login).and_modify(|known| *known = None).or_insert(Some(key.clone()));
            }
        }
        Ok(owners)
    }
}
