//! What is done by itself: suspensions whose time is over end, and the accounts are counted.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::daemon::clock;
use crate::engine::Engine;
use crate::mail::Mode;
use crate::observe::Observer;

/// A suspension that is over refuses nothing meanwhile: it is told so much later at most.
const EVERY: Duration = Duration::from_secs(10);

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
