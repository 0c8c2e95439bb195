//! A login that the directory could not resolve is charged under its spelling. Once it resolves, what was
//! counted there goes to its account, so that no alias escapes while the directory is down.

use std::num::NonZeroUsize;

use compact_str::CompactString;
use lru::LruCache;
use parking_lot::Mutex;

use crate::decision::Case;
use crate::engine::Engine;
use crate::engine::holds::Held;
use crate::engine::telling::{About, BY_ITSELF, Happened, account_row};
use crate::mail::{AccountKey, Login, Timestamp};
use crate::record::{Change, Incident, Record, Row, Table};
use crate::rights::Lookup;
use crate::store::{Pages, StoreFault};

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
    pub(super) async fn resolve(
        &self,
        case: Case<'_>,
        account: &AccountKey,
        at: Timestamp,
    ) -> Vec<Happened> {
        let (login, lookup) = match &case.known.author {
            Some(author) => (Some(&author.login), Some(&author.account)),
            None => (case.login(), case.known.account.as_ref()),
        };
        let (Some(login), Some(lookup)) = (login, lookup) else { return Vec::new() };
        match lookup {
            Lookup::Found(_) if self.unresolved.0.lock().contains(login.folded()) => {
                // It waits until all is done: whoever asks meanwhile must not pass by a suspension, and what a store
                // that fails has left is brought over by the next question.
                match self.move_record(login, account, at).await {
                    Ok(happened) => {
                        self.unresolved.0.lock().pop(login.folded());
                        return happened;
                    }
                    Err(fault) => {
                        tracing::warn!(%account, %fault, "what was kept under a login stays there");
                    }
                }
            }
            Lookup::Unavailable | Lookup::Ambiguous => {
                self.unresolved.0.lock().push(login.folded().into(), ());
            }
            Lookup::Found(_) | Lookup::NotFound => {}
        }
        Vec::new()
    }

    /// Logins that something stands against under their spelling, as an earlier run left them.
    pub(super) async fn take_up_unresolved(&self) -> Result<(), StoreFault> {
        let prefix = AccountKey::UNRESOLVED;
        let mut pages = Pages::after(&*self.store, Table::Accounts, prefix);
        while let Some(page) = pages.next().await? {
            let names = page.iter().map_while(|(account, _)| account.strip_prefix(prefix));
            let mut waiting = self.unresolved.0.lock();
            let found = names.map(|name| waiting.push(name.into(), ())).count();
            drop(waiting);
            if found < page.len() {
                break;
            }
        }
        Ok(())
    }

    /// Brings what is kept under a spelling to its account: first what stands, so that a fault or a crash in between
    /// loses no suspension, then what was counted, which may be lost.
    async fn move_record(
        &self,
        login: &Login,
        account: &AccountKey,
        at: Timestamp,
    ) -> Result<Vec<Happened>, StoreFault> {
        let unresolved = AccountKey::unresolved(login);
        let of = |account| About { account, login: login.raw(), holder: None, mta: "", at };
        let mut found = Record::default();
        self.look(&unresolved, |record| found = record.clone()).await?;
        if found == Record::default() {
            return Ok(Vec::new());
        }
        let (carried, mut happened) = self.join(&found, &unresolved, &of(account)).await?;
        let mut taken = None;
        let mut ended = Vec::new();
        let mut take = |record: &Record| {
            (taken, ended) = (None, Vec::new());
            // Suspended in this very moment: what stands is brought over first.
            if id_of(record) != id_of(&found) {
                return Change::default();
            }
            taken = Some(record.clone());
            let suspension = record.suspension.clone().filter(|_| !carried);
            let before = Record { suspension, ..record.clone() };
            let mut change = Change::to(Record::default());
            ended = self.tell_change(&of(&unresolved), BY_ITSELF, &before, None, &mut change);
            if record.is_of_note() {
                change.rows.push(account_row(&of(&unresolved), false));
            }
            change
        };
        self.change(&unresolved, &mut take, true).await?;
        happened.append(&mut ended);
        let Some(taken) = taken else {
            return Err(StoreFault::Unavailable("it was suspended meanwhile".into()));
        };
        let mut add = |record: &Record| {
            let mut record = record.clone();
            record.merge_usage(&taken, at);
            Change::to(record)
        };
        // A store that fails costs what was counted meanwhile.
        let _ = self.store.update(account, &mut add).await;
        Ok(happened)
    }

    /// Adds what stands in `found`, and the messages on hold with it; whether its suspension goes on there.
    async fn join(
        &self,
        found: &Record,
        unresolved: &AccountKey,
        about: &About<'_>,
    ) -> Result<(bool, Vec<Happened>), StoreFault> {
        let at = about.at;
        let has_probation = self.rules().detector.suspension.has_probation;
        let holds = self.moved_holds(unresolved, about.account).await?;
        let incident = self.moved_incident(found, about.account).await?;
        if found.suspension.is_none() && found.life.is_none() && holds.is_empty() {
            return Ok((false, Vec::new()));
        }
        let mut settled = found.clone();
        settled.expire(has_probation, at);
        let (mut carried, mut happened) = (false, Vec::new());
        let mut join = |record: &Record| {
            let mut own = record.clone();
            own.expire(has_probation, at);
            let mut joined = own.clone();
            joined.merge_standing(&settled, at);
            carried = id_of(&settled).is_some() && id_of(&joined) == id_of(&settled);
            // What goes on was told when it was imposed; what was noticed as well.
            let suspension = own.suspension.take().filter(|own| Some(&*own.id) == id_of(&joined));
            let mut change = Change::to(Record { suspension, ..joined.clone() });
            let before = Record { life: joined.life.clone(), ..record.clone() };
            happened = self.tell_change(about, BY_ITSELF, &before, None, &mut change);
            change.rows.push(account_row(about, joined.is_of_note()));
            change.rows.extend(holds.iter().chain(incident.iter().filter(|_| carried)).cloned());
            change.record = Some(joined);
            change
        };
        self.change(about.account, &mut join, true).await?;
        Ok((carried, happened))
    }

    /// Else the timer would let them go though the account is suspended.
    async fn moved_holds(
        &self,
        from: &AccountKey,
        to: &AccountKey,
    ) -> Result<Vec<Row>, StoreFault> {
        let held = self.holds(Some(from)).await?;
        Ok(held.into_iter().map(|one| Held { account: to.as_str().into(), ..one }.row()).collect())
    }

    /// Else its id would name an account that is not suspended.
    async fn moved_incident(
        &self,
        found: &Record,
        to: &AccountKey,
    ) -> Result<Option<Row>, StoreFault> {
        let Some(id) = id_of(found) else { return Ok(None) };
        let row = self.store.row(Table::Incidents, id).await?;
        let incident = row.as_deref().and_then(Incident::read);
        Ok(incident.map(|incident| Incident { account: to.to_string(), ..incident }.row()))
    }
}

/// That of the suspension.
fn id_of(record: &Record) -> Option<&str> {
    record.suspension.as_deref().map(|suspension| &*suspension.id)
}
