//! What the directory does by itself while it runs: ask failed servers whether they are back, read
//! the groups again, follow changes, and keep the snapshot.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::directory::cache::is_within;
use crate::directory::ldap::Inner;
use crate::directory::ldap::fault::Fault;
use crate::directory::ldap::groups::Found;
use crate::directory::ldap::watch::{Changes, Watch};
use crate::directory::meter::Kept;

/// How often failed servers are looked at; each has a pause of its own.
const PROBE: Duration = Duration::from_millis(250);

/// How often DNS is asked for servers; a record of a domain controller lives 600 s.
const DISCOVER: Duration = Duration::from_secs(300);

/// How often the groups are looked at; they are read again at half their freshness, or when the rules
/// name others.
const GROUPS: Duration = Duration::from_secs(1);

/// After a fault in reading the groups, before they are read again.
pub(super) const GROUPS_PAUSE: Duration = Duration::from_secs(5);

/// One that could not be read to its end is tried again; a large one must not keep the server busy.
const GROUPS_RETRY: Duration = Duration::from_secs(30);

const SNAPSHOT: Duration = Duration::from_secs(60);

impl Inner {
    pub(super) async fn tend(self: Arc<Self>, stop: CancellationToken) {
        let tending = async {
            tokio::join!(
                self.discover(),
                self.probe(),
                self.read_groups_again(),
                self.follow(),
                self.keep(),
            )
        };
        let _ = stop.run_until_cancelled(tending).await;
        self.write_snapshot().await;
    }

    async fn discover(&self) {
        let mut tick = ticks(DISCOVER);
        loop {
            tick.tick().await;
            self.find_servers().await;
        }
    }

    async fn probe(&self) {
        let mut tick = ticks(PROBE);
        loop {
            tick.tick().await;
            self.resolver.pool.probe().await;
        }
    }

    async fn read_groups_again(&self) {
        let mut tick = ticks(GROUPS);
        let mut failed_at = None;
        loop {
            tick.tick().await;
            self.count_entries();
            let at = (self.clock)();
            let is_paused = failed_at
                .is_some_and(|failed| is_within(failed, GROUPS_PAUSE.as_millis() as u64, at));
            if is_paused || !self.are_groups_due() {
                continue;
            }
            match self.read_due_groups().await {
                Ok(()) => failed_at = None,
                Err(fault) => {
                    if failed_at.replace(at).is_none() {
                        tracing::warn!(%fault, "the groups of the configuration cannot be read; what is known of them stays");
                    }
                }
            }
        }
    }

    fn are_groups_due(&self) -> bool {
        let (wanted, set) = (self.wanted.load(), self.groups.load());
        let half = self.cache.fresh / 2;
        let most = if set.is_whole { half } else { half.min(GROUPS_RETRY) };
        let is_old = || !is_within(set.read_at, most.as_millis() as u64, (self.clock)());
        !set.is_of(&wanted) || (!wanted.is_empty() && (self.is_outdated() || is_old()))
    }

    /// Reads the groups, unless a question that could not wait just did.
    async fn read_due_groups(&self) -> Result<(), Fault> {
        let _reading = self.reading.lock().await;
        if !self.are_groups_due() {
            return Ok(());
        }
        let wanted = self.wanted.load_full();
        self.read_groups(&wanted).await
    }

    async fn follow(&self) {
        let Some(every) = self.cache.watch else { return };
        let (mut tick, mut watch, mut is_lost) = (ticks(every), Watch::default(), false);
        loop {
            tick.tick().await;
            match watch.poll(&self.resolver, (self.clock)()).await {
                Ok(changes) => {
                    is_lost = false;
                    self.take_up_changes(&changes).await;
                }
                Err(fault) if !is_lost => {
                    is_lost = true;
                    tracing::warn!(%fault, "changes of the directory cannot be followed for now");
                }
                Err(_) => {}
            }
        }
    }

    async fn take_up_changes(&self, changes: &Changes) {
        let set = self.groups.load_full();
        let touches_groups = set.found.iter().any(|found| match found {
            Found::Group(group) => {
                group.tree.as_ref().is_none_or(|tree| !tree.dns.is_disjoint(&changes.dns))
            }
            // Any change may be the one that brings it.
            _ => !changes.dns.is_empty(),
        });
        if touches_groups || changes.is_of_groups || changes.is_gap {
            self.changes_told.fetch_add(1, Ordering::SeqCst);
            if let Err(fault) = self.read_due_groups().await {
                tracing::warn!(%fault, "a group has changed and cannot be read; what is known of it stays until it can");
            }
        }
        if changes.is_gap || !changes.dns.is_empty() {
            // It may be the login that was not known, or no longer ambiguous.
            self.accounts.forget_absent();
            self.recipients.forget_absent();
        }
        if touches_groups || changes.is_gap {
            self.accounts.expire_all();
            self.recipients.expire_all();
            self.restrictions.expire_all();
        } else if !changes.ids.is_empty() {
            self.accounts.expire(|subject| {
                let key = subject.account.key.as_str();
                key.split_once(':').is_some_and(|(_, id)| changes.ids.contains(id))
            });
            self.recipients.expire_all();
            self.restrictions.expire_all();
        }
    }

    async fn keep(self: &Arc<Self>) {
        let mut tick = ticks(SNAPSHOT);
        // The first tick is now, when there is nothing new to write.
        tick.tick().await;
        loop {
            tick.tick().await;
            self.write_snapshot().await;
        }
    }

    /// How much is kept, for those who count.
    fn count_entries(&self) {
        self.meter.entries(Kept::Accounts, self.accounts.len());
        self.meter.entries(Kept::Recipients, self.recipients.len());
        self.meter.entries(Kept::Restrictions, self.restrictions.len());
        let negatives = self.accounts.absent_len() + self.recipients.absent_len();
        self.meter.entries(Kept::Negatives, negatives);
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(every);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}
