//! The timer of messages on hold: after half an hour each is released by itself, unless a suspension has followed or
//! its finding was one that suspends. It runs beside the mail and delays no verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Held, Helpers, HoldEnd, LetGo};
use crate::mail::{AccountKey, Timestamp};
use crate::observe::Observer;
use crate::store::StoreFault;

const EVERY: Duration = Duration::from_secs(10);

/// A helper that failed is asked again after this, then after twice as long, up to the longest.
const BACKOFF_MS: i64 = 10_000;
const BACKOFF_AT_MOST_MS: i64 = 10 * 60_000;

/// Messages of one mail server released at a time; the rest waits for the next round.
const AT_ONCE: usize = 1_000;

/// What the timer works with.
pub struct Timer {
    pub engine: Arc<Engine>,
    pub observer: Arc<Observer>,
    pub helpers: Arc<Helpers>,
    pub clock: fn() -> Timestamp,
    failing: BTreeMap<String, Failing>,
}

/// A mail server whose helper failed.
struct Failing {
    times: u32,
    /// Not asked before.
    until: Timestamp,
}

impl Timer {
    pub fn new(
        engine: &Arc<Engine>,
        observer: &Arc<Observer>,
        helpers: &Arc<Helpers>,
        clock: fn() -> Timestamp,
    ) -> Self {
        let (engine, observer) = (Arc::clone(engine), Arc::clone(observer));
        let (helpers, failing) = (Arc::clone(helpers), BTreeMap::new());
        Self { engine, observer, helpers, clock, failing }
    }

    /// Until the daemon stops.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = every.tick() => {}
            }
            // A round that is under way when the daemon stops is cut off: what was done then is found gone later.
            tokio::select! {
                () = stop.cancelled() => return,
                done = self.round() => if let Err(fault) = done {
                    tracing::warn!(%fault, "messages on hold cannot be looked through");
                },
            }
        }
    }

    async fn round(&mut self) -> Result<(), StoreFault> {
        let at = (self.clock)();
        let held = self.engine.holds(None).await?;
        self.observer.metrics.holds.set(held.iter().map(|one| one.grade));
        let held = self.keep(held, at).await?;
        let mut due: BTreeMap<String, Vec<Held>> = BTreeMap::new();
        for one in held.into_iter().filter(|one| one.is_due(at)) {
            let is_off = |failing: &Failing| at < failing.until;
            if self.failing.get(&one.mta).is_some_and(is_off) {
                continue;
            }
            let of_mta = due.entry(one.mta.clone()).or_default();
            if of_mta.len() < AT_ONCE {
                of_mta.push(one);
            }
        }
        for (mta, held) in due {
            self.release(&mta, held, at).await?;
        }
        Ok(())
    }

    /// Leaves those whose accounts are not suspended, and marks the others as a person's to settle.
    async fn keep(&self, held: Vec<Held>, at: Timestamp) -> Result<Vec<Held>, StoreFault> {
        let accounts: BTreeSet<&str> =
            held.iter().filter(|one| one.may_be_due()).map(|one| &*one.account).collect();
        let mut suspended = BTreeSet::new();
        for account in accounts {
            if self.engine.is_suspended(&AccountKey::stored(account), at).await? {
                suspended.insert(account.to_string());
            }
        }
        let is_suspended = |one: &Held| one.may_be_due() && suspended.contains(&one.account);
        let (kept, free): (Vec<Held>, Vec<Held>) = held.into_iter().partition(is_suspended);
        if !kept.is_empty() {
            self.engine.keep_holds(&kept).await?;
        }
        Ok(free)
    }

    async fn release(
        &mut self,
        mta: &str,
        held: Vec<Held>,
        at: Timestamp,
    ) -> Result<(), StoreFault> {
        let ended = self.engine.let_go(&self.helpers, held, LetGo::Release).await?;
        let mut failed = None;
        for one in &ended {
            self.observer.metrics.holds.ended(one.end);
            let (queue_id, login) = (one.held.queue_id.as_str(), &*one.held.login);
            match one.end {
                HoldEnd::Failed => failed = Some(&one.why),
                end => tracing::info!(
                    id = &*one.held.id,
                    mta,
                    queue_id,
                    login,
                    outcome = end.as_str(),
                    "a message on hold has waited long enough"
                ),
            }
        }
        let Some(why) = failed else {
            self.failing.remove(mta);
            return Ok(());
        };
        let failing = self.failing.entry(mta.into()).or_insert(Failing { times: 0, until: at });
        let wait = BACKOFF_MS.saturating_mul(1 << failing.times.min(10)).min(BACKOFF_AT_MOST_MS);
        failing.times += 1;
        failing.until = Timestamp::from_unix_ms(at.unix_ms().saturating_add(wait));
        tracing::warn!(mta, why, again_in_s = wait / 1000, "messages on hold are not released");
        Ok(())
    }
}
