//! What is done by itself: suspensions whose time is over end, the accounts are counted, and the groups of those that
//! are suspended are put right.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::daemon::clock;
use crate::daemon::outbox::Outbox;
use crate::engine::{Engine, Standing};
use crate::mail::{AccountKey, Mode, Timestamp};
use crate::observe::Observer;
use crate::record::{Notice, NoticeKind};
use crate::suspension::State;

/// A suspension that is over refuses nothing meanwhile: it is told so much later at most.
const EVERY: Duration = Duration::from_secs(10);

/// A directory that is silent so many times in a row is degraded: three minutes.
const SILENT: u32 = 18;

/// How often what is kept too long is looked for.
const HOUR: Duration = Duration::from_secs(3600);

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
        let mut hourly = interval(HOUR);
        let mut is_failing = false;
        let mut silent_for = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = every.tick() => {}
                _ = hourly.tick() => {
                    if let Err(fault) = self.engine.forget_old(clock::now()).await {
                        tracing::error!(%fault, "what is kept too long stays");
                    }
                    continue;
                }
            }
            let at = clock::now();
            self.watch_directory(&mut silent_for, at).await;
            match self.engine.tend(at).await {
                Ok(census) => {
                    if let (Some(fault), false) = (&census.fault, is_failing) {
                        tracing::error!(%fault, "some accounts cannot be gone through");
                    }
                    is_failing = census.fault.is_some();
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
    /// Tells once that no server of the directory answers any more.
    async fn watch_directory(&self, silent_for: &mut u32, at: Timestamp) {
        if !self.observer.metrics.directory.is_silent() {
            *silent_for = 0;
            return;
        }
        *silent_for = silent_for.saturating_add(1);
        if *silent_for != SILENT {
            return;
        }
        let kind = NoticeKind::DirectoryDegraded;
        let mut notice =
            Notice::new(&format!("directory-{}.{}", at.unix_ms(), kind.as_str()), kind, at);
        notice.reason = Some(
            "no server of the directory answers: people pass by what was known of them, and who is not known is deferred"
                .into(),
        );
        if let Err(fault) = self.engine.announce(&notice).await {
            tracing::error!(%fault, "nobody is told that the directory is silent");
        }
    }
}
