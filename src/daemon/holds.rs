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
                done = self.round((self.clock)()) => if let Err(fault) = done {
                    tracing::warn!(%fault, "messages on hold cannot be looked through");
                },
            }
        }
    }

    async fn round(&mut self, at: Timestamp) -> Result<(), StoreFault> {
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
        let ended = self.engine.let_go(&self.helpers, held, LetGo::Release, None).await?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Rules;
    use crate::engine::{HOLD_MS, HoldGrade};
    use crate::ledger::HashKey;
    use crate::observe::LoggedDecisions;
    use crate::queue::{Answer, Handled, Helper, Request};
    use crate::record::{Change, Record};
    use crate::store::{Memory, Store};
    use std::num::NonZeroUsize;
    use std::path::PathBuf;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::UnixListener;
    use tokio::sync::mpsc;

    const DUE: u64 = HOLD_MS + 1_000;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_unix_ms(ms as i64)
    }

    /// A site with one mail server, whose helper says this of each message.
    struct Site {
        store: Arc<Memory>,
        timer: Timer,
        asked: mpsc::UnboundedReceiver<Request>,
        says: mpsc::UnboundedSender<Handled>,
        socket: PathBuf,
    }

    impl Drop for Site {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.socket);
        }
    }

    impl Site {
        fn new(name: &str) -> Self {
            let store = Arc::new(Memory::new(NonZeroUsize::MIN));
            let engine = Engine::new(None, store.clone(), HashKey::default(), Rules::default());
            let observer = Arc::new(Observer::new(LoggedDecisions::None));
            let file = format!("gatepost-holds-{}-{name}.sock", std::process::id());
            let socket = std::env::temp_dir().join(file);
            let _ = std::fs::remove_file(&socket);
            let (asking, asked) = mpsc::unbounded_channel();
            let (says, said) = mpsc::unbounded_channel();
            let listener = UnixListener::bind(&socket).expect("a socket can be bound");
            tokio::spawn(help(listener, asking, said));
            let helpers = Helpers::from([("mx".into(), Helper::new(&socket))]);
            let clock = || Timestamp::from_unix_ms(0);
            let timer = Timer::new(&Arc::new(engine), &observer, &Arc::new(helpers), clock);
            Self { store, timer, asked, says, socket }
        }

        async fn round(&mut self, ms: u64) {
            self.timer.round(at(ms)).await.expect("a store that works");
        }

        /// The verb and the queue ids of the next request; empty when nobody has asked.
        fn asked(&mut self) -> String {
            match self.asked.try_recv() {
                Ok(request) => {
                    let ids: Vec<&str> = request.ids().iter().map(|id| id.as_str()).collect();
                    format!("{} {}", request.verb(), ids.join(" "))
                }
                Err(_) => String::new(),
            }
        }

        async fn left(&self) -> Vec<(String, bool)> {
            let held = self.timer.engine.holds(None).await.expect("a store that works");
            held.iter().map(|one| (one.queue_id.to_string(), one.kept)).collect()
        }

        async fn set_suspended(&self, is_suspended: bool) {
            let account = Held::sample("BFD5198E1F2", HoldGrade::Hold, at(0)).account();
            let mut set = |record: &Record| {
                let mut record = record.clone().with_suspension();
                record.suspension.take_if(|_| !is_suspended);
                Change { record: Some(record), ..Change::default() }
            };
            self.store.update(&account, &mut set).await.expect("a store that works");
        }

        fn ended(&self, outcome: &str) -> bool {
            let text = self.timer.observer.metrics.expose().expect("metrics");
            let text = String::from_utf8(text).expect("metrics are text");
            text.contains(&format!("gatepost_holds_ended_total{{outcome=\"{outcome}\"}} 1"))
        }
    }

    /// Answers each message of each request with the next word, at first that it is done.
    async fn help(
        listener: UnixListener,
        asking: mpsc::UnboundedSender<Request>,
        mut said: mpsc::UnboundedReceiver<Handled>,
    ) {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut line = String::new();
            let read = BufReader::new(&mut stream).read_line(&mut line).await;
            read.expect("a request is read");
            let request: Request = serde_json::from_str(&line).expect("a request");
            let each = request.ids().iter().map(|_| said.try_recv().unwrap_or(Handled::Done));
            let answer = Answer::Done(each.collect());
            asking.send(request).expect("the test listens");
            let line = serde_json::to_string(&answer).expect("JSON") + "\n";
            stream.write_all(line.as_bytes()).await.expect("an answer is taken");
        }
    }

    #[tokio::test]
    async fn a_message_goes_out_after_half_an_hour_and_not_a_round_before() {
        let mut site = Site::new("due");
        Held::sample("BFD5198E1F2", HoldGrade::Hold, at(1_000)).put_in(&*site.store).await;
        Held::sample("C2D9598E3D1", HoldGrade::Quota, at(1_001)).put_in(&*site.store).await;
        site.round(DUE - 1).await;
        assert_eq!(site.asked(), "");
        site.round(DUE).await;
        assert_eq!(site.asked(), "release BFD5198E1F2");
        assert_eq!(site.left().await, [("C2D9598E3D1".into(), false)]);
        assert!(site.ended("released"));
        site.round(DUE + 1).await;
        assert_eq!(site.asked(), "release C2D9598E3D1");
        site.round(DUE + 2).await;
        assert_eq!(site.asked(), "");
    }

    #[tokio::test]
    async fn none_of_suspend_grade_is_ever_released() {
        let mut site = Site::new("grave");
        Held::sample("BFD5198E1F2", HoldGrade::Suspend, at(0)).put_in(&*site.store).await;
        for ms in [DUE, 1_000 * DUE, u64::MAX / 4] {
            site.round(ms).await;
        }
        assert_eq!(site.asked(), "");
        assert_eq!(site.left().await, [("BFD5198E1F2".into(), false)]);
    }

    #[tokio::test]
    async fn a_suspension_that_follows_keeps_it_even_when_it_is_lifted() {
        let mut site = Site::new("kept");
        Held::sample("BFD5198E1F2", HoldGrade::Hold, at(0)).put_in(&*site.store).await;
        site.set_suspended(true).await;
        site.round(10_000).await;
        site.set_suspended(false).await;
        Held::sample("C2D9598E3D1", HoldGrade::Hold, at(20_000)).put_in(&*site.store).await;
        site.round(10 * DUE).await;
        assert_eq!(site.asked(), "release C2D9598E3D1");
        assert_eq!(site.left().await, [("BFD5198E1F2".into(), true)]);
    }

    #[tokio::test]
    async fn one_that_is_gone_is_forgotten() {
        let mut site = Site::new("gone");
        Held::sample("BFD5198E1F2", HoldGrade::Hold, at(0)).put_in(&*site.store).await;
        site.says.send(Handled::Gone).expect("the helper listens");
        site.round(DUE).await;
        assert_eq!(site.left().await, []);
        assert!(site.ended("gone"));
    }

    #[tokio::test]
    async fn a_helper_that_fails_is_asked_again_later_and_later() {
        let mut site = Site::new("failing");
        Held::sample("BFD5198E1F2", HoldGrade::Hold, at(0)).put_in(&*site.store).await;
        for _ in 0..2 {
            site.says.send(Handled::Failed("busy".into())).expect("the helper listens");
        }
        let mut now = DUE;
        for (wait, comes) in [(0, true), (9_999, false), (1, true), (19_999, false), (1, true)] {
            now += wait;
            site.round(now).await;
            assert_eq!(site.asked() == "release BFD5198E1F2", comes, "{now}");
        }
        assert_eq!(site.left().await, []);
    }

    #[tokio::test]
    async fn a_helper_that_is_not_there_keeps_everything() {
        let mut site = Site::new("away");
        std::fs::remove_file(&site.socket).expect("its socket");
        Held::sample("BFD5198E1F2", HoldGrade::Hold, at(0)).put_in(&*site.store).await;
        site.round(DUE).await;
        assert_eq!(site.left().await, [("BFD5198E1F2".into(), false)]);
        assert!(site.ended("failed"));
    }
}
