//! What is done by itself: suspensions whose time is over end, the accounts are counted, and the groups of those that
//! are suspended are put right.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::daemon::clock;
use crate::daemon::outbox::Outbox;
use crate::engine::{Engine, Standing};
use crate::mail::{AccountKey, Mode};
use crate::observe::Observer;
use crate::suspension::State;

/// A suspension that is over refuses nothing meanwhile: it is told so much later at most.
const EVERY: Duration = Duration::from_secs(10);

/// How often the groups of suspended accounts are put right.
const RECONCILE_EVERY: Duration = Duration::from_secs(300);

/// What others did to those groups, until the daemon stops.
pub async fn reconcile(engine: Arc<Engine>, outbox: Arc<Outbox>, stop: CancellationToken) {
    let mut every = interval(RECONCILE_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while outbox.has_groups() {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = every.tick() => {}
        }
        let reconciling = async {
            let standing = engine.standings(clock::now()).await?;
            let is_suspended = |one: &Standing| one.state == State::Suspended.as_str();
            let suspended = standing.iter().filter(|one| is_suspended(one));
            let suspended: Vec<_> = suspended.map(|one| AccountKey::stored(&one.account)).collect();
            outbox.reconcile(&suspended).await
        };
        if let Err(fault) = reconciling.await {
            tracing::error!(%fault, "the groups of suspended accounts are not reconciled");
        }
    }
}

pub struct Accounts {
    pub engine: Arc<Engine>,
    pub observer: Arc<Observer>,
}

impl Accounts {
    /// Until the daemon stops.
    pub async fn tend(self, stop: CancellationToken) {
        let mut every = interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_failing = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = every.tick() => {}
            }
            let at = clock::now();
            match self.engine.tend(at).await {
                Ok(census) => {
                    is_failing = false;
                    self.observer.happened(&census.happened);
                    let breaker = self.engine.opened_breaker(Mode::Enforce);
                    self.observer.counted(&census, breaker.as_ref(), at.unix_ms());
                }
                Err(fault) if !is_failing => {
                    is_failing = true;
                    tracing::error!(%fault, "accounts cannot be gone through");
                }
                Err(_) => {}
            }
        }
    }
}
