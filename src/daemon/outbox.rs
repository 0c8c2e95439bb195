//! From the store's outbox to the actions: each event becomes a row for every action that wants it, and each action
//! delivers its rows by itself until it works. No question waits for any of it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::action::directory::Directory;
use crate::action::{Action, Kind, Lane, Limits, Next, Queue, Settings, Told, arrived, lanes};
use crate::admin::{Actions, Tried, Waits};
use crate::mail::{AccountKey, Timestamp};
use crate::observe::{ActionMetrics, ActionResult};
use crate::record::{Event, Notice, NoticeKind, Row, Table};
use crate::store::{Pages, Store, StoreFault};

/// How often the outbox is looked into; the store calls nobody.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// After a fault of the store.
const AGAIN: Duration = Duration::from_secs(1);

/// Events taken in at once.
const AT_ONCE: usize = 100;

/// How long deliveries are kept for an action that the configuration no longer has, and may have again.
const STRAYS_MS: u64 = 30 * 86_400_000;

/// The outbox and all that is behind it.
pub struct Outbox {
    store: Arc<dyn Store>,
    metrics: Arc<ActionMetrics>,
    clock: fn() -> Timestamp,
    desks: Vec<Arc<Desk>>,
}

/// A lane with what waits for it.
struct Desk {
    lane: Lane,
    queue: Mutex<Queue>,
    /// Something was added.
    added: Notify,
}

impl Outbox {
    /// Reads what was on its way when the last run ended.
    pub async fn open(
        store: Arc<dyn Store>,
        actions: &[Settings],
        limits: Limits,
        metrics: Arc<ActionMetrics>,
        clock: fn() -> Timestamp,
    ) -> Result<Self, StoreFault> {
        let desks = actions.iter().flat_map(|action| lanes(action, clock)).map(|lane| {
            let queue = Queue::new(&lane.name, limits, lane.give_up_after, lane.digests);
            Arc::new(Desk { lane, queue: Mutex::new(queue), added: Notify::new() })
        });
        let outbox = Self { desks: desks.collect(), store, metrics, clock };
        outbox.load().await?;
        outbox.count();
        Ok(outbox)
    }

    async fn load(&self) -> Result<(), StoreFault> {
        let (mut strays, mut old) = (0_usize, Vec::new());
        let at = (self.clock)();
        let mut pages = Pages::of(&*self.store, Table::Deliveries);
        while let Some(rows) = pages.next().await? {
            for (key, value) in &rows {
                let lane = key.split('/').next().unwrap_or_default();
                match self.desks.iter().find(|desk| *desk.lane.name == *lane) {
                    None if arrived(value).is_some_and(|then| at.ms_since(then) > STRAYS_MS) => {
                        old.push(Row::remove(Table::Deliveries, key));
                    }
                    None => strays += 1,
                    Some(desk) => {
                        if !desk.queue.lock().load(value) {
                            tracing::error!(%key, "a delivery makes no sense and is left alone");
                        }
                    }
                }
            }
        }
        self.put(old).await?;
        if strays > 0 {
            tracing::warn!(
                deliveries = strays,
                "deliveries wait for actions that the configuration no longer has"
            );
        }
        Ok(())
    }

    /// Takes in events and delivers them until told to stop; what is under way then comes to its end.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut lanes = JoinSet::new();
        for desk in &self.desks {
            lanes.spawn(Arc::clone(&self).deliver(Arc::clone(desk), stop.clone()));
        }
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = look.tick() => {}
            }
            if let Err(fault) = self.take_in().await {
                tracing::error!(%fault, "events stay in the outbox");
                let _ = tokio::time::timeout(AGAIN, stop.cancelled()).await;
            }
        }
        while lanes.join_next().await.is_some() {}
    }

    /// Fans out what is in the outbox.
    async fn take_in(&self) -> Result<(), StoreFault> {
        loop {
            let events = self.store.outbox(AT_ONCE).await?;
            self.metrics.outbox(events.len());
            if events.is_empty() {
                return Ok(());
            }
            let at = (self.clock)();
            let told: Vec<Told> = events.iter().filter_map(read).collect();
            let mut fanned: Vec<(&Arc<Desk>, u64, &Told)> = Vec::new();
            let mut rows = Vec::new();
            for desk in &self.desks {
                let queue = desk.queue.lock();
                let mut place = queue.next_place();
                for one in told.iter().filter(|told| desk.lane.takes(&told.notice)) {
                    if let Some(row) = queue.row(one, place, at) {
                        rows.push(row);
                        fanned.push((desk, place, one));
                        place += 1;
                    }
                }
            }
            self.put(rows).await?;
            // Once every row is on disk, and before any is acted on: a row that is gone after a crash was delivered.
            for event in &events {
                self.store.settle(&event.id).await?;
            }
            let mut crowded = Vec::new();
            for (desk, place, one) in fanned {
                let gone = desk.queue.lock().add(one.clone(), place, at);
                if !gone.is_empty() {
                    self.metrics.done(desk.lane.kind, ActionResult::Dead, at);
                    tracing::error!(
                        action = &*desk.lane.name,
                        "too many deliveries wait: the oldest is given up"
                    );
                }
                crowded.extend(gone);
                desk.added.notify_one();
            }
            self.put(crowded).await?;
            self.count();
            if events.len() < AT_ONCE {
                self.metrics.outbox(0);
                return Ok(());
            }
        }
    }

    async fn put(&self, rows: Vec<Row>) -> Result<(), StoreFault> {
        if rows.is_empty() { Ok(()) } else { self.store.put(rows).await }
    }

    /// One lane, until told to stop.
    async fn deliver(self: Arc<Self>, desk: Arc<Desk>, stop: CancellationToken) {
        let mut under_way = JoinSet::new();
        while !stop.is_cancelled() {
            let at = (self.clock)();
            let is_free = under_way.len() < desk.lane.at_once;
            let next = if is_free { desk.queue.lock().next(at) } else { Next::Idle };
            let pause = match next {
                Next::Send(places) => {
                    under_way.spawn(act(Arc::clone(&desk), places, at));
                    continue;
                }
                Next::Wait(until) => Some(Duration::from_millis(until.ms_since(at))),
                Next::Idle => None,
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = desk.added.notified() => {}
                Some(done) = under_way.join_next() => self.note(&desk, done, &stop).await,
                () = passed(pause) => {}
            }
        }
        while let Some(done) = under_way.join_next().await {
            self.note(&desk, done, &stop).await;
        }
    }

    /// Keeps what came of a delivery.
    async fn note(
        &self,
        desk: &Desk,
        done: Result<(Vec<u64>, Result<(), String>), tokio::task::JoinError>,
        stop: &CancellationToken,
    ) {
        // The task catches what happens in it; it is dropped with the whole lane only.
        let Ok((places, outcome)) = done else { return };
        let at = (self.clock)();
        let action = &*desk.lane.name;
        let rows = match outcome {
            Ok(()) => {
                let rows = {
                    let mut queue = desk.queue.lock();
                    let told = queue.told(&places);
                    let mut rows = queue.done(&places, at);
                    rows.extend(told.iter().filter_map(|told| desk.member_row(told)));
                    rows
                };
                self.keep(rows, stop).await;
                // From here on nothing does it again.
                tracing::info!(action, events = places.len(), "an action is done");
                self.metrics.done(desk.lane.kind, ActionResult::Ok, at);
                self.count();
                return;
            }
            Err(why) => {
                tracing::warn!(action, why, "an action failed, and is tried again");
                self.metrics.done(desk.lane.kind, ActionResult::Error, at);
                let (rows, buried) = desk.queue.lock().failed(&places, &why, at);
                for _ in 0..buried {
                    self.metrics.done(desk.lane.kind, ActionResult::Dead, at);
                    tracing::error!(action, why, "an event could not be delivered and is given up");
                }
                rows
            }
        };
        self.count();
        if let Err(fault) = self.put(rows).await {
            tracing::error!(%fault, action, "that an action failed is not kept");
        }
    }

    /// Until the store takes it: what is not taken away would be done again by the next run.
    async fn keep(&self, rows: Vec<Row>, stop: &CancellationToken) {
        while let Err(fault) = self.put(rows.clone()).await {
            tracing::error!(%fault, "that an action is done is not kept yet");
            if tokio::time::timeout(AGAIN, stop.cancelled()).await.is_ok() {
                return;
            }
        }
    }

    /// Whether an action keeps a group.
    pub fn has_groups(&self) -> bool {
        self.desks.iter().any(|desk| desk.lane.kind == Kind::Directory)
    }

    /// Makes the groups of suspended accounts what they should be, whatever others did to them. `suspended`: whom a
    /// suspension refuses now.
    pub async fn reconcile(&self, suspended: &[AccountKey]) -> Result<(), StoreFault> {
        for desk in &self.desks {
            let Action::Directory(directory) = &desk.lane.action else { continue };
            let prefix = member_key(&desk.lane.name, "");
            let ours = self.members(&prefix).await?;
            let (set, outcome) = directory.reconcile(suspended, &ours).await;
            let rows = set.into_iter().filter_map(|(account, is_member)| {
                let is_new = is_member != ours.contains(&account);
                is_new.then(|| member_row(&desk.lane.name, &account, is_member))
            });
            self.put(rows.collect()).await?;
            if let Err(why) = outcome {
                let action = &*desk.lane.name;
                tracing::warn!(action, why, "the group is not reconciled, and is tried again");
                self.metrics.done(desk.lane.kind, ActionResult::Error, (self.clock)());
            }
        }
        Ok(())
    }

    /// Whom an action has put into its group.
    async fn members(&self, prefix: &str) -> Result<Vec<AccountKey>, StoreFault> {
        let mut members = Vec::new();
        let mut pages = Pages::after(&*self.store, Table::Site, prefix);
        while let Some(rows) = pages.next().await? {
            for (key, _) in rows {
                let Some(account) = key.strip_prefix(prefix) else { return Ok(members) };
                members.push(AccountKey::stored(account));
            }
        }
        Ok(members)
    }

    fn count(&self) {
        for kind in Kind::ALL {
            let of_kind = self.desks.iter().filter(|desk| desk.lane.kind == kind);
            let (waiting, dead) = of_kind.fold((0, 0), |(waiting, dead), desk| {
                let queue = desk.queue.lock();
                (waiting + queue.waiting(), dead + queue.dead())
            });
            self.metrics.kept(kind, waiting, dead);
        }
    }

    /// Does each action, or the one of this name, once with an event that says it is a test.
    pub async fn try_out(&self, action: Option<String>) -> Vec<Tried> {
        let at = (self.clock)();
        let mut notice = Notice::new(&format!("test-{}", at.unix_ms()), NoticeKind::Test, at);
        notice.reason = Some("gatepost notify-test".into());
        let told = [Told::of(notice)];
        let mut trials = Vec::new();
        for desk in &self.desks {
            let is_asked = action.as_deref().is_none_or(|name| *desk.lane.action_name == *name);
            if is_asked && desk.lane.is_tested() {
                trials.push(desk);
            }
        }
        let trials = trials.into_iter().map(|desk| async {
            let fault = desk.lane.action.act(&told, at).await.err();
            Tried { fault, waits: desk.waits() }
        });
        futures_util::future::join_all(trials).await
    }
}

impl Desk {
    fn waits(&self) -> Waits {
        let queue = self.queue.lock();
        Waits {
            action: self.lane.name.to_string(),
            kind: self.lane.kind.as_str().into(),
            waiting: queue.waiting(),
            dead: queue.dead(),
            last_fault: queue.last_fault().map(Into::into),
        }
    }

    /// Whom an action has put into its group, or taken out.
    fn member_row(&self, told: &Told) -> Option<Row> {
        let Action::Directory(_) = &self.lane.action else { return None };
        let (account, is_member) = Directory::member(&told.notice)?;
        Some(member_row(&self.lane.name, &account, is_member))
    }
}

fn member_row(lane: &str, account: &AccountKey, is_member: bool) -> Row {
    let key = member_key(lane, account.as_str());
    match is_member {
        true => Row::put(Table::Site, &key, "true"),
        false => Row::remove(Table::Site, &key),
    }
}

fn member_key(lane: &str, account: &str) -> String {
    format!("member/{lane}/{account}")
}

impl Actions for Outbox {
    fn waits(&self) -> Vec<Waits> {
        self.desks.iter().map(|desk| desk.waits()).collect()
    }

    fn try_out(&self, action: Option<String>) -> futures_util::future::BoxFuture<'_, Vec<Tried>> {
        Box::pin(self.try_out(action))
    }
}

/// Acts in a task of its own, so that a fault of ours is a failure like any other.
async fn act(desk: Arc<Desk>, places: Vec<u64>, at: Timestamp) -> (Vec<u64>, Result<(), String>) {
    let told = desk.queue.lock().told(&places);
    let acting = tokio::spawn(async move { desk.lane.action.act(&told, at).await });
    let outcome = AbortOnDropHandle::new(acting).await;
    let outcome =
        outcome.unwrap_or_else(|fault| Err(format!("a fault of gatepost's own: {fault}")));
    (places, outcome)
}

/// What an event tells. One that tells nothing is logged whole, since nobody can act on it.
fn read(event: &Event) -> Option<Told> {
    match Notice::read(&event.body) {
        Ok(notice) => Some(Told { notice, body: event.body.clone() }),
        Err(fault) => {
            tracing::error!(id = &*event.id, body = &*event.body, %fault, "an event cannot be read");
            None
        }
    }
}

/// `None`: never.
async fn passed(pause: Option<Duration>) {
    match pause {
        Some(pause) => {
            let _ = tokio::time::timeout(pause, std::future::pending::<()>()).await;
        }
        None => std::future::pending().await,
    }
}
