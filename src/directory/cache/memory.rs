//! The memory of a slow directory. An answer is fresh for a while; after that the directory is asked
//! first, and only when it gives no good answer the last one is served, with its age.

use std::hash::BuildHasher;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use moka::ops::compute::Op;
use parking_lot::Mutex;

use crate::directory::cache::answer::{Absent, Fetch, Found, Known, Landed, Outcome, Trouble};
use crate::directory::cache::entry::{Entry, Meanwhile, is_within};
use crate::directory::cache::flights::{Flight, Flights, Seat};
use crate::directory::cache::guard::{Change, Guard};
use crate::directory::meter::{Kept, LookupResult, Meter};
use crate::mail::Timestamp;

/// Lookups under way at once; one waits in a few KiB.
pub const FLIGHT_LIMIT: usize = 10_000;

/// A lookup that nobody can be waiting for any more is given up: Postfix waits 100 s
/// (smtpd_policy_service_timeout).
const LONGEST_FLIGHT: Duration = Duration::from_secs(100);

/// While a directory is in trouble its reason is logged this often.
const TELL_EVERY_MS: u64 = 60_000;

/// What is said of a key that was never known while the guard is tripped.
const NOT_BELIEVED: &str =
    "not found, which is not believed while many that were known are not found";

/// Room for unknown keys even beside a small cache; one has some ten bytes.
const LEAST_ABSENT: u64 = 1_000;

/// moka refuses more than 1000 years.
const LONGEST_LIFE: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Now, by the wall clock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// See [`Settings`](crate::directory::cache::Settings).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub fresh: Duration,
    pub serve_stale: Duration,
    pub negative: Duration,
    /// Entries kept at once; unknown keys have a tenth of it beside.
    pub capacity: usize,
}

/// What the directory said of many keys. To be used within a tokio runtime.
pub struct Cache<V> {
    /// Only what the directory has found, so nobody can choose keys that collide.
    pub(super) entries: moka::sync::Cache<Arc<str>, Arc<Entry<V>>, foldhash::fast::RandomState>,
    /// Apart, so that invented logins never drive out real ones.
    pub(super) absent: moka::sync::Cache<Arc<str>, Gone>,
    /// Changes of the directory that were told.
    pub(super) changes: AtomicU64,
    /// What was asked for before this change is not fresh.
    pub(super) fresh_from: AtomicU64,
    /// What was not found before this change is asked for again.
    pub(super) absent_from: AtomicU64,
    pub(super) fresh_ms: u64,
    pub(super) serve_stale_ms: u64,
    pub(super) clock: Clock,
    negative_ms: u64,
    flights: Arc<Flights<Landed<V>>>,
    guard: Mutex<Guard>,
    kept: Kept,
    meter: Arc<dyn Meter>,
    /// Whether a stale answer was served since the last good one of the directory.
    is_stale: AtomicBool,
    trouble_told: Mutex<Option<Timestamp>>,
}

/// A key without a value.
#[derive(Clone, Copy)]
pub(super) struct Gone {
    why: Absent,
    asked: Timestamp,
    changes: u64,
}

impl<V: Send + Sync + 'static> Cache<V> {
    /// `kept` is the name of the entries in the log.
    pub fn new(kept: Kept, limits: &Limits, clock: Clock, meter: Arc<dyn Meter>) -> Arc<Self> {
        // moka's own clock bounds the memory; whether an answer may be given is decided by `clock`.
        let capacity = u64::try_from(limits.capacity).unwrap_or(u64::MAX);
        let life = limits.serve_stale.max(limits.fresh).min(LONGEST_LIFE);
        let entries = moka::sync::Cache::builder().max_capacity(capacity).time_to_live(life);
        let absent = moka::sync::Cache::builder()
            .max_capacity(LEAST_ABSENT.max(capacity / 10))
            .time_to_live(limits.negative.min(LONGEST_LIFE));
        let negative_ms = whole_ms(limits.negative);
        Arc::new(Self {
            entries: entries.build_with_hasher(foldhash::fast::RandomState::default()),
            absent: absent.build(),
            changes: AtomicU64::default(),
            fresh_from: AtomicU64::default(),
            absent_from: AtomicU64::default(),
            fresh_ms: whole_ms(limits.fresh),
            serve_stale_ms: whole_ms(limits.serve_stale),
            clock,
            negative_ms,
            flights: Flights::new(FLIGHT_LIMIT),
            guard: Mutex::new(Guard::new(negative_ms)),
            kept,
            meter,
            is_stale: AtomicBool::default(),
            trouble_told: Mutex::default(),
        })
    }

    /// What can be answered without waiting; `None`: ask. `is_usable`: whether the value says all
    /// that must be known now; one that does not is good for serving stale alone. `fetch` is called
    /// when the entry is to be refreshed in the background.
    pub fn at_hand(
        self: &Arc<Self>,
        key: &str,
        is_usable: impl Fn(&V) -> bool,
        fetch: impl FnOnce() -> Fetch<V>,
    ) -> Option<Known<V>> {
        let Some(entry) = self.entries.get(key) else {
            return self.gone((self.clock)(), key).map(|why| self.absent(why));
        };
        let now = (self.clock)();
        if self.is_fresh(&entry, now) && is_usable(&entry.value) {
            if now.ms_since(entry.fetched) >= entry.refresh_age_ms
                && entry.begins_refresh(self.negative_ms, now)
            {
                self.refresh(key, fetch);
            }
            return Some(self.found(&entry, LookupResult::Cached, now));
        }
        if !self.is_servable(&entry, now) {
            self.drop_old(key, now);
            return self.gone(now, key).map(|why| self.absent(why));
        }
        match entry.meanwhile(self.negative_ms, || self.flights.is_under_way(key), now) {
            Meanwhile::Ask => return None,
            Meanwhile::Serve => {}
            Meanwhile::ServeAndRetry => self.refresh(key, fetch),
        }
        Some(self.found(&entry, LookupResult::Stale, now))
    }

    /// Asks the directory, or waits with those who did, for at most `wait`. For a key that is not
    /// [at hand](Self::at_hand). The lookup goes on when the caller goes away or waits no longer, and
    /// what it says is remembered.
    pub async fn ask(
        self: &Arc<Self>,
        key: &str,
        wait: Duration,
        is_usable: impl Fn(&V) -> bool,
        fetch: impl FnOnce() -> Fetch<V>,
    ) -> Known<V> {
        let landing = tokio::time::timeout(wait, self.landing(key, &is_usable, fetch));
        let landed = landing.await.unwrap_or(Landed::Trouble(Trouble::Timeout));
        let now = (self.clock)();
        let trouble = match landed {
            Landed::Found(entry) => return self.found(&entry, LookupResult::Fresh, now),
            Landed::Missing(entry) => return self.found(&entry, LookupResult::Stale, now),
            Landed::Absent(why) => return self.absent(why),
            Landed::Trouble(trouble) => trouble,
        };
        if let Some(entry) = self.known(key, now) {
            entry.note_trouble(now);
            return self.found(&entry, LookupResult::Stale, now);
        }
        self.meter.lookup(match trouble {
            Trouble::Fault(_) => LookupResult::Error,
            Trouble::Timeout => LookupResult::Timeout,
        });
        Known::Unknown(trouble)
    }

    async fn landing(
        self: &Arc<Self>,
        key: &str,
        is_usable: &impl Fn(&V) -> bool,
        fetch: impl FnOnce() -> Fetch<V>,
    ) -> Landed<V> {
        let (flight, waiting) = loop {
            match self.flights.take(key) {
                Seat::Begun(flight, waiting) => break (flight, waiting),
                Seat::Joined(waiting) => match waiting.answer().await {
                    // It was for other groups, or from before a change.
                    Some(Landed::Found(entry))
                        if entry.is_expired() || !is_usable(&entry.value) => {}
                    landed => return landed.unwrap_or_else(Landed::unanswered),
                },
                Seat::Full => {
                    let text = "too many lookups under way".into();
                    return Landed::Trouble(Trouble::Fault(text));
                }
            }
        };
        if let Some(landed) = self.landed_before(key, is_usable) {
            flight.land(landed.clone());
            return landed;
        }
        self.begin(flight, fetch);
        waiting.answer().await.unwrap_or_else(Landed::unanswered)
    }

    /// What another lookup has found since the caller looked.
    fn landed_before(&self, key: &str, is_usable: impl Fn(&V) -> bool) -> Option<Landed<V>> {
        let entry = self.entries.get(key);
        let now = (self.clock)();
        match entry.filter(|entry| self.is_fresh(entry, now) || self.is_servable(entry, now)) {
            Some(entry) => {
                let is_good = self.is_fresh(&entry, now) && is_usable(&entry.value);
                is_good.then_some(Landed::Found(entry))
            }
            None => self.gone(now, key).map(Landed::Absent),
        }
    }

    /// Asks in the background, unless that is under way.
    fn refresh(self: &Arc<Self>, key: &str, fetch: impl FnOnce() -> Fetch<V>) {
        if let Seat::Begun(flight, _) = self.flights.take(key) {
            self.begin(flight, fetch);
        }
    }

    /// Asks in a task of its own, so that nobody who goes away ends it.
    fn begin(self: &Arc<Self>, flight: Flight<Landed<V>>, fetch: impl FnOnce() -> Fetch<V>) {
        let (cache, begun) = (Arc::clone(self), (self.clock)());
        let changes = self.changes.load(Ordering::SeqCst);
        let lookup = fetch();
        tokio::spawn(async move {
            let lookup = tokio::time::timeout(LONGEST_FLIGHT, lookup);
            let answer = match AssertUnwindSafe(lookup).catch_unwind().await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(Trouble::Timeout),
                Err(_) => Err(Trouble::Fault("the lookup panicked".into())),
            };
            let landed = cache.remember(flight.key(), answer, changes, begun);
            flight.land(landed);
        });
    }

    /// `begun`: when the lookup began, and `changes`: the changes told by then.
    fn remember(
        &self,
        key: &Arc<str>,
        answer: Result<Outcome<V>, Trouble>,
        changes: u64,
        begun: Timestamp,
    ) -> Landed<V> {
        let now = (self.clock)();
        let known = self.known(key, now);
        match answer {
            Ok(Outcome::Found(value)) => {
                self.is_trusted(known.as_deref(), false, now);
                self.is_well();
                Landed::Found(self.keep(key, Arc::new(value), known.as_deref(), changes, begun))
            }
            Ok(Outcome::Absent(why)) => {
                let is_missing = why == Absent::NotFound;
                let is_trusted = self.is_trusted(known.as_deref(), is_missing, now);
                match known {
                    Some(entry) if is_missing => {
                        let is_said_again = entry.note_missing(self.negative_ms, begun);
                        if !(is_said_again && is_trusted) {
                            return Landed::Missing(entry);
                        }
                    }
                    None if is_missing && !is_trusted => {
                        return Landed::Trouble(Trouble::Fault(NOT_BELIEVED.into()));
                    }
                    _ => {}
                }
                self.is_well();
                self.absent.insert(Arc::clone(key), Gone { why, asked: begun, changes });
                self.entries.invalidate(key);
                Landed::Absent(why)
            }
            Err(trouble) => {
                if let Some(entry) = known {
                    entry.note_trouble(now);
                    self.tell(&trouble, now);
                }
                Landed::Trouble(trouble)
            }
        }
    }

    fn keep(
        &self,
        key: &Arc<str>,
        value: Arc<V>,
        known: Option<&Entry<V>>,
        changes: u64,
        begun: Timestamp,
    ) -> Arc<Entry<V>> {
        let entry = Entry::new(value, begun, changes, self.refresh_age_ms(key));
        let entry = Arc::new(match known {
            Some(known) => entry.replacing(known),
            None => entry,
        });
        self.entries.insert(Arc::clone(key), Arc::clone(&entry));
        self.absent.invalidate(key);
        // Looked at after the entry is in: whoever tells of a change counts it before he looks.
        if self.changes.load(Ordering::SeqCst) != changes {
            entry.expire();
        }
        entry
    }

    /// From 75 to 95 percent of `fresh`, by the key, so that what came together is not refreshed
    /// together.
    pub(super) fn refresh_age_ms(&self, key: &str) -> u64 {
        let jitter = foldhash::fast::FixedState::default().hash_one(key) % 21;
        u64::try_from(u128::from(self.fresh_ms) * u128::from(75 + jitter) / 100).unwrap_or(u64::MAX)
    }

    /// Whether a directory that says so of a key is believed, as the guard has it.
    fn is_trusted(&self, known: Option<&Entry<V>>, is_missing: bool, now: Timestamp) -> bool {
        let mut guard = self.guard.lock();
        if known.is_some_and(|entry| entry.counts(is_missing, now)) {
            guard.count(is_missing, now);
        }
        let kept = self.kept.as_str();
        match guard.look(now) {
            Some(Change::Tripped { asked, missing }) => tracing::error!(
                "the directory does not find {missing} of the last {asked} {kept} it knew: they \
                 keep their last known answer until it does (base, access rights, replication?)"
            ),
            Some(Change::Over) => tracing::info!("the directory finds the {kept} it knew again"),
            None => {}
        }
        !guard.is_tripped()
    }

    /// The directory gave a good answer.
    fn is_well(&self) {
        if self.is_stale.load(Ordering::Relaxed) && self.is_stale.swap(false, Ordering::Relaxed) {
            self.meter.stale_age_ms(0);
        }
    }

    /// Logs a trouble that no caller hears of, since all get the last known answer.
    fn tell(&self, trouble: &Trouble, now: Timestamp) {
        let mut told = self.trouble_told.lock();
        if told.is_none_or(|at| !is_within(at, TELL_EVERY_MS, now)) {
            *told = Some(now);
            let kept = self.kept.as_str();
            tracing::warn!(
                "the last known {kept} are served, the directory being in trouble: {trouble}"
            );
        }
    }

    fn found(&self, entry: &Entry<V>, result: LookupResult, now: Timestamp) -> Known<V> {
        let age_ms = now.ms_since(entry.fetched);
        self.meter.lookup(result);
        if result == LookupResult::Stale {
            self.is_stale.store(true, Ordering::Relaxed);
            self.meter.stale_age_ms(age_ms);
        }
        Known::Found(Found { value: Arc::clone(&entry.value), age_ms })
    }

    fn absent(&self, why: Absent) -> Known<V> {
        self.meter.lookup(LookupResult::Negative);
        Known::Absent(why)
    }

    /// The entry of a key whose last answer may still be served.
    fn known(&self, key: &str, now: Timestamp) -> Option<Arc<Entry<V>>> {
        self.entries.get(key).filter(|entry| self.is_servable(entry, now))
    }

    /// Why a key has no value, as it was said a short time ago by a directory that is believed.
    fn gone(&self, now: Timestamp, key: &str) -> Option<Absent> {
        let gone = self.absent.get(key)?;
        let is_recent = is_within(gone.asked, self.negative_ms, now)
            && gone.changes >= self.absent_from.load(Ordering::SeqCst);
        let is_good =
            is_recent && (gone.why != Absent::NotFound || !self.guard.lock().is_tripped());
        is_good.then_some(gone.why)
    }

    /// A clock that was set back makes an entry old rather than new.
    fn is_fresh(&self, entry: &Entry<V>, now: Timestamp) -> bool {
        entry.fetched <= now
            && now.ms_since(entry.fetched) <= self.fresh_ms
            && !entry.is_expired()
            && entry.changes >= self.fresh_from.load(Ordering::SeqCst)
    }

    pub(super) fn is_servable(&self, entry: &Entry<V>, now: Timestamp) -> bool {
        now.ms_since(entry.fetched) <= self.serve_stale_ms
    }

    fn drop_old(&self, key: &str, now: Timestamp) {
        self.entries.entry(key.into()).and_compute_with(|entry| match entry {
            Some(entry) if !self.is_servable(entry.value(), now) => Op::Remove,
            _ => Op::Nop,
        });
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::cache::Remembered;
    use crate::directory::cache::kit::{
        FRESH, LIMITS, NEGATIVE, SERVE_STALE, Says, WAIT, World, fault, value,
    };

    const NOT_FOUND: Known<u32> = Known::Absent(Absent::NotFound);
    const AMBIGUOUS: Known<u32> = Known::Absent(Absent::Ambiguous);

    fn known() -> (World, u64) {
        let world = World::new(Says::Value(1));
        let refresh_age = world.cache.refresh_age_ms("alice");
        (world, refresh_age)
    }

    /// A world in which the directory gave `alice` and then, when she was stale, this.
    async fn stale(says: Says) -> World {
        let (world, _) = known();
        world.ask("alice").await;
        world.pass(FRESH + 1);
        world.says(says);
        world
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_key_is_asked_for_and_then_at_hand() {
        let (world, _) = known();
        assert_eq!(world.at_hand("alice"), None);
        assert_eq!(world.ask("alice").await, value(1, 0));
        assert_eq!(world.at_hand("alice"), Some(value(1, 0)));
        assert_eq!(world.tally.lookups(), [LookupResult::Fresh, LookupResult::Cached]);
        assert_eq!(world.fetches(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_fresh_up_to_its_age_and_no_longer() {
        for (age, is_at_hand) in [(FRESH - 1, true), (FRESH, true), (FRESH + 1, false)] {
            let (world, _) = known();
            world.ask("alice").await;
            world.pass(age);
            assert_eq!(world.at_hand("alice").is_some(), is_at_hand, "{age} ms");
            world.settle().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_answer_is_not_served_while_the_directory_answers() {
        let world = stale(Says::Value(2)).await;
        assert_eq!(world.look_up("alice").await, value(2, 0));
        assert_eq!(world.at_hand("alice"), Some(value(2, 0)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_set_back_makes_nothing_fresh() {
        let (world, _) = known();
        world.ask("alice").await;
        world.pass(-1);
        assert_eq!(world.at_hand("alice"), None);
        assert_eq!(world.ask("alice").await, value(1, 0));
        assert_eq!(world.at_hand("alice"), Some(value(1, 0)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_age_counts_from_the_begin_of_the_lookup() {
        let world = World::new(Says::Silence);
        let ask = async {
            world.pass(500);
            world.says(Says::Value(1));
        };
        let (known, ()) = tokio::join!(world.ask("alice"), ask);
        assert_eq!(known, value(1, 500));
    }

    #[tokio::test(start_paused = true)]
    async fn a_used_entry_is_refreshed_ahead_from_its_age_on() {
        let (world, refresh_age) = known();
        world.ask("alice").await;
        world.says(Says::Value(2));
        let refresh_age = i64::try_from(refresh_age).expect("below 900 s");
        world.pass(refresh_age - 1);
        assert_eq!(world.at_hand("alice"), Some(value(1, world.cache.refresh_age_ms("alice") - 1)));
        world.settle().await;
        assert_eq!(world.fetches(), 1);
        world.pass(1);
        assert_eq!(world.at_hand("alice"), Some(value(1, world.cache.refresh_age_ms("alice"))));
        world.settle().await;
        assert_eq!(world.fetches(), 2);
        assert_eq!(world.at_hand("alice"), Some(value(2, 0)));
    }

    #[test]
    fn refreshes_ahead_are_spread_over_the_last_quarter_by_key() {
        let (world, _) = known();
        let ages: Vec<u64> =
            (0..1_000).map(|user| world.cache.refresh_age_ms(&format!("user{user}"))).collect();
        assert_eq!(ages.iter().min(), Some(&(900_000 * 75 / 100)));
        assert_eq!(ages.iter().max(), Some(&(900_000 * 95 / 100)));
        assert_eq!(world.cache.refresh_age_ms("user7"), ages[7]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_refresh_ahead_is_under_way_at_a_time() {
        let (world, _) = known();
        world.ask("alice").await;
        world.says(Says::Silence);
        world.pass(FRESH - 10_000);
        for _ in 0..10 {
            world.pass(1_000);
            for _ in 0..10 {
                assert!(world.at_hand("alice").is_some());
            }
            world.settle().await;
        }
        assert_eq!(world.fetches(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refresh_ahead_that_fails_is_tried_again_after_the_pause() {
        let (world, _) = known();
        world.ask("alice").await;
        world.says(Says::Fault);
        world.pass(FRESH - 5_000);
        for (after, fetches) in [(0, 2), (999, 2), (1, 3), (1_999, 3), (1, 4)] {
            world.pass(after);
            world.at_hand("alice").expect("it is fresh");
            world.settle().await;
            assert_eq!(world.fetches(), fetches, "after {after} more");
        }
        assert!(world.tally.lookups()[1..].iter().all(|result| *result == LookupResult::Cached));
    }

    #[tokio::test(start_paused = true)]
    async fn five_hundred_callers_on_a_cold_key_are_one_lookup() {
        let world = World::new(Says::Silence);
        let callers = (0..500).map(|_| world.look_up("alice"));
        let all = futures_util::future::join_all(callers);
        let (answers, ()) = tokio::join!(all, async { world.says(Says::Value(1)) });
        assert!(answers.iter().all(|answer| *answer == value(1, 0)));
        assert_eq!(world.fetches(), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn five_hundred_callers_on_many_threads_are_one_lookup() {
        let world = Arc::new(World::new(Says::Value(1)));
        let callers = (0..500).map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.look_up("alice").await })
        });
        for answer in futures_util::future::join_all(callers).await {
            assert_eq!(answer.expect("no panic"), value(1, 0));
        }
        assert_eq!(world.fetches(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn five_hundred_callers_on_a_stale_key_of_a_directory_in_trouble_are_one_lookup() {
        let world = stale(Says::Fault).await;
        let callers = (0..500).map(|_| world.look_up("alice"));
        let answers = futures_util::future::join_all(callers).await;
        assert!(answers.iter().all(|answer| *answer == value(1, 900_001)));
        assert_eq!(world.fetches(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_for_what_has_just_landed_gets_it_without_another_lookup() {
        for says in [Says::Value(1), Says::NotFound, Says::Ambiguous] {
            let world = World::new(says);
            let first = world.ask("alice").await;
            assert_eq!(world.ask("alice").await, first);
            assert_eq!(world.fetches(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_goes_away_does_not_end_the_lookup() {
        let world = World::new(Says::Silence);
        let caller = tokio::time::timeout(Duration::from_millis(1), world.ask("alice"));
        assert!(caller.await.is_err());
        world.says(Says::Value(1));
        world.settle().await;
        assert_eq!(world.at_hand("alice"), Some(value(1, 0)));
        assert_eq!(world.fetches(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_too_long_for_an_unknown_key_hears_of_it() {
        let world = World::new(Says::Silence);
        assert_eq!(world.ask("alice").await, Known::Unknown(Trouble::Timeout));
        assert_eq!(world.tally.lookups(), [LookupResult::Timeout]);
        assert_eq!(world.at_hand("alice"), None);
        world.says(Says::Value(1));
        world.settle().await;
        assert_eq!(world.at_hand("alice"), Some(value(1, 0)));
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_with_an_unknown_key_is_told_and_not_remembered() {
        let world = World::new(Says::Fault);
        assert_eq!(world.look_up("alice").await, fault());
        assert_eq!(world.tally.lookups(), [LookupResult::Error]);
        world.says(Says::Value(1));
        assert_eq!(world.look_up("alice").await, value(1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_never_ends_is_given_up() {
        let world = World::new(Says::Silence);
        world.ask("alice").await;
        let wait = LONGEST_FLIGHT - WAIT - Duration::from_millis(1);
        let joined = world.cache.ask("alice", wait, |_| true, || world.fetch());
        assert_eq!(joined.await, Known::Unknown(Trouble::Timeout));
        assert!(world.cache.flights.is_under_way("alice"));
        world.cache.ask("alice", Duration::from_millis(2), |_| true, || world.fetch()).await;
        assert!(!world.cache.flights.is_under_way("alice"));
        assert_eq!(world.fetches(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn in_trouble_the_last_answer_is_served_with_its_age() {
        for says in [Says::Fault, Says::Silence, Says::Panic] {
            let world = stale(says).await;
            world.tally.lookups();
            assert_eq!(world.look_up("alice").await, value(1, 900_001), "{says:?}");
            assert_eq!(world.tally.lookups(), [LookupResult::Stale], "{says:?}");
            assert_eq!(world.tally.stale_ages(), [900_001], "{says:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn in_trouble_the_last_answer_is_served_up_to_its_age_and_no_longer() {
        for (age, is_served) in
            [(SERVE_STALE - 1, true), (SERVE_STALE, true), (SERVE_STALE + 1, false)]
        {
            let (world, _) = known();
            world.ask("alice").await;
            world.says(Says::Fault);
            world.pass(age);
            let age_ms = u64::try_from(age).expect("positive");
            let expected = if is_served { value(1, age_ms) } else { fault() };
            assert_eq!(world.look_up("alice").await, expected);
            assert_eq!(world.cache.len(), u64::from(is_served));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_grows_too_old_while_its_caller_waits_is_not_served() {
        for (more, known) in [(0, value(1, 86_400_000)), (1, Known::Unknown(Trouble::Timeout))] {
            let world = World::new(Says::Value(1));
            world.ask("alice").await;
            world.says(Says::Silence);
            world.pass(SERVE_STALE);
            let (served, ()) = tokio::join!(world.ask("alice"), async { world.pass(more) });
            assert_eq!(served, known);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn known_trouble_serves_at_once_only_up_to_the_age() {
        let (world, _) = known();
        world.ask("alice").await;
        world.says(Says::Fault);
        world.pass(SERVE_STALE);
        world.look_up("alice").await;
        assert_eq!(world.at_hand("alice"), Some(value(1, 86_400_000)));
        world.pass(1);
        assert_eq!(world.at_hand("alice"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn known_trouble_is_served_at_once_with_one_attempt_a_pause() {
        let world = stale(Says::Fault).await;
        world.look_up("alice").await;
        let mut seen = Vec::new();
        for ms in (1_000..=30_000).step_by(100) {
            for _ in 0..3 {
                assert!(world.at_hand("alice").is_some(), "after {ms} ms");
            }
            world.settle().await;
            seen.push((ms - 1_000, world.fetches()));
            world.pass(100);
        }
        seen.dedup_by_key(|(_, fetches)| *fetches);
        assert_eq!(seen, [(0, 2), (1_000, 3), (3_000, 4), (7_000, 5), (15_000, 6), (23_000, 7)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_directory_that_is_back_is_noticed_in_the_background() {
        let world = stale(Says::Fault).await;
        world.look_up("alice").await;
        world.tally.stale_ages();
        world.says(Says::Value(2));
        world.pass(1_000);
        assert_eq!(world.at_hand("alice"), Some(value(1, 901_001)));
        world.settle().await;
        assert_eq!(world.at_hand("alice"), Some(value(2, 0)));
        assert_eq!(world.tally.stale_ages(), [901_001, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_in_silence_keeps_nobody_waiting() {
        let world = stale(Says::Silence).await;
        world.look_up("alice").await;
        world.pass(60_000);
        assert_eq!(world.at_hand("alice"), Some(value(1, 960_001)));
        assert_eq!(world.fetches(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_of_long_ago_proves_nothing_of_now() {
        let world = stale(Says::Fault).await;
        world.look_up("alice").await;
        world.says(Says::Value(2));
        world.pass(2_000);
        assert_eq!(world.at_hand("alice"), None);
        assert_eq!(world.ask("alice").await, value(2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_key_is_not_asked_for_again_for_a_while() {
        let rows = [(NEGATIVE - 1, true), (NEGATIVE, false), (NEGATIVE + 1, false)];
        for (says, known) in [(Says::NotFound, NOT_FOUND), (Says::Ambiguous, AMBIGUOUS)] {
            for (age, is_at_hand) in rows {
                let world = World::new(says);
                assert_eq!(world.look_up("mallory").await, known);
                world.pass(age);
                assert_eq!(world.at_hand("mallory").is_some(), is_at_hand, "{age} ms");
                assert!(world.tally.lookups().iter().all(|one| *one == LookupResult::Negative));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_comes_into_being_is_found() {
        let world = World::new(Says::NotFound);
        world.look_up("alice").await;
        world.pass(NEGATIVE);
        world.says(Says::Value(1));
        assert_eq!(world.look_up("alice").await, value(1, 0));
        assert_eq!(world.cache.absent_len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn invented_logins_drive_out_no_real_one_and_are_bounded() {
        let (world, _) = known();
        world.ask("alice").await;
        world.says(Says::NotFound);
        for login in 0..5_000 {
            world.look_up(&format!("invented{login}")).await;
        }
        assert_eq!(world.cache.absent_len(), LEAST_ABSENT);
        assert_eq!(world.cache.len(), 1);
        assert_eq!(world.at_hand("alice"), Some(value(1, 0)));
    }

    #[tokio::test(start_paused = true)]
    async fn entries_are_bounded() {
        for (users, kept) in [(999, 999), (1_000, 1_000), (1_001, 1_000), (5_000, 1_000)] {
            let (world, _) = known();
            for user in 0..users {
                world.ask(&format!("user{user}")).await;
            }
            assert_eq!(world.cache.len(), kept);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_known_key_that_is_not_found_once_is_still_served() {
        let world = stale(Says::NotFound).await;
        assert_eq!(world.look_up("alice").await, value(1, 900_001));
        assert_eq!(world.look_up("alice").await, value(1, 900_001));
        world.pass(NEGATIVE - 1);
        assert_eq!(world.look_up("alice").await, value(1, 960_000));
        assert_eq!(world.fetches(), 2);
        assert_eq!(world.tally.lookups()[1..], [LookupResult::Stale; 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_known_key_that_is_not_found_twice_turns_when_that_is_late_enough() {
        for (after, turns) in [(NEGATIVE - 1, false), (NEGATIVE, true), (NEGATIVE + 1, true)] {
            let world = stale(Says::NotFound).await;
            world.ask("alice").await;
            world.pass(after);
            assert_eq!(world.ask("alice").await == NOT_FOUND, turns, "{after} ms");
            assert_eq!(world.at_hand("alice") == Some(NOT_FOUND), turns, "{after} ms");
            assert_eq!(world.cache.len(), u64::from(!turns));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_known_key_that_is_found_again_begins_anew() {
        let world = stale(Says::NotFound).await;
        world.ask("alice").await;
        world.says(Says::Value(2));
        world.pass(NEGATIVE);
        assert_eq!(world.look_up("alice").await, value(2, 0));
        world.pass(FRESH + 1);
        world.says(Says::NotFound);
        assert_eq!(world.look_up("alice").await, value(2, 900_001));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refresh_ahead_that_does_not_find_changes_nothing_yet() {
        let (world, _) = known();
        world.ask("alice").await;
        world.says(Says::NotFound);
        world.pass(FRESH - 1_000);
        world.at_hand("alice");
        world.settle().await;
        assert_eq!(world.at_hand("alice"), Some(value(1, 899_000)));
        world.pass(NEGATIVE - 1);
        assert_eq!(world.at_hand("alice"), Some(value(1, 958_999)));
        world.pass(1);
        assert_eq!(world.look_up("alice").await, NOT_FOUND);
        assert_eq!(world.fetches(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_too_old_to_be_served_counts_as_unknown() {
        let (world, _) = known();
        world.ask("alice").await;
        world.pass(SERVE_STALE + 1);
        world.says(Says::NotFound);
        assert_eq!(world.look_up("alice").await, NOT_FOUND);
        assert_eq!(world.cache.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_ambiguous_is_so_at_once() {
        let world = stale(Says::Ambiguous).await;
        assert_eq!(world.look_up("alice").await, AMBIGUOUS);
        assert_eq!(world.at_hand("alice"), Some(AMBIGUOUS));
    }

    #[tokio::test(start_paused = true)]
    async fn a_directory_that_suddenly_finds_nobody_turns_nobody() {
        let (world, _) = known();
        let users: Vec<String> = (0..100).map(|user| format!("user{user}")).collect();
        for user in &users {
            world.ask(user).await;
        }
        world.pass(FRESH + 1);
        world.says(Says::NotFound);
        for _ in 0..60 {
            for user in &users {
                assert!(matches!(world.look_up(user).await, Known::Found(_)));
            }
            world.pass(NEGATIVE);
        }
        world.says(Says::Value(2));
        for user in &users {
            assert_eq!(world.look_up(user).await, value(2, 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn five_missing_users_hold_the_turning_and_four_do_not() {
        for (missing, turn) in [(4, true), (5, false), (6, false)] {
            let (world, _) = known();
            let users: Vec<String> = (0..missing).map(|user| format!("user{user}")).collect();
            for user in &users {
                world.ask(user).await;
            }
            world.pass(FRESH + 1);
            world.says(Says::NotFound);
            for user in &users {
                world.look_up(user).await;
            }
            world.pass(NEGATIVE);
            for user in &users {
                assert_eq!(world.look_up(user).await == NOT_FOUND, turn, "{missing} missing");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_found_again_and_again_counts_once() {
        let world = World::new(Says::Value(1));
        world.ask("alice").await;
        for _ in 0..100 {
            world.cache.expire_all();
            world.ask("alice").await;
        }
        let users = ["a", "b", "c", "d", "e"];
        world.cache.put_back(users.map(|key| Remembered {
            key: key.into(),
            fetched: world.now(),
            value: Arc::new(1),
        }));
        world.says(Says::NotFound);
        for user in users {
            world.ask(user).await;
        }
        world.pass(NEGATIVE);
        assert_eq!(world.ask("a").await, value(1, 60_000), "five of six are missing");
    }

    #[tokio::test(start_paused = true)]
    async fn while_many_are_missing_nobody_new_is_taken_for_absent() {
        let world = World::new(Says::Value(1));
        let users = ["a", "b", "c", "d", "e"];
        for user in users {
            world.ask(user).await;
        }
        world.pass(FRESH + 1);
        world.says(Says::NotFound);
        for user in &users[..4] {
            world.ask(user).await;
        }
        assert_eq!(world.ask("dan").await, NOT_FOUND, "four prove nothing");
        assert_eq!(world.at_hand("dan"), Some(NOT_FOUND));
        world.says(Says::Ambiguous);
        world.ask("twins").await;
        world.says(Says::NotFound);
        world.ask("e").await;
        let unknown = Known::Unknown(Trouble::Fault(NOT_BELIEVED.into()));
        let before = world.cache.absent_len();
        for login in ["dan", "stranger", "stranger"] {
            assert_eq!(world.at_hand(login), None, "{login}");
            world.tally.lookups();
            assert_eq!(world.ask(login).await, unknown, "{login}");
            assert_eq!(world.tally.lookups(), [LookupResult::Error], "{login}");
        }
        assert_eq!(world.cache.absent_len(), before, "nothing of it is kept");
        assert_eq!(world.at_hand("twins"), Some(AMBIGUOUS), "two were seen");
        world.says(Says::Value(2));
        assert_eq!(world.ask("newcomer").await, value(2, 0));
        // Those who ask for new logins alone end it as well.
        world.says(Says::NotFound);
        world.pass(599_000);
        assert_eq!(world.ask("stranger").await, unknown);
        world.pass(600_000);
        assert_eq!(world.ask("stranger").await, NOT_FOUND);
    }

    /// What is logged while it lives, a line each.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        fn start(&self) -> tracing::subscriber::DefaultGuard {
            let log = self.clone();
            let subscriber = tracing_subscriber::fmt()
                .without_time()
                .with_target(false)
                .with_ansi(false)
                .with_writer(move || log.clone())
                .finish();
            tracing::subscriber::set_default(subscriber)
        }

        /// Since the last call.
        fn lines(&self) -> Vec<String> {
            let text = String::from_utf8(std::mem::take(&mut self.0.lock())).expect("UTF-8");
            text.lines().map(|line| line.trim().into()).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_trip_and_its_end_are_logged_once() {
        let log = Log::default();
        let _logging = log.start();
        let world = World::new(Says::Value(1));
        let users: Vec<String> = (0..10).map(|user| format!("user{user}")).collect();
        for user in &users {
            world.ask(user).await;
        }
        world.pass(FRESH + 1);
        world.says(Says::NotFound);
        for _ in 0..20 {
            for user in &users {
                world.look_up(user).await;
            }
            world.pass(NEGATIVE);
        }
        assert_eq!(
            log.lines(),
            [
                "ERROR the directory does not find 5 of the last 5 accounts it knew: they keep their \
              last known answer until it does (base, access rights, replication?)"
            ]
        );
        world.says(Says::Value(1));
        for _ in 0..3 {
            for user in &users {
                world.look_up(user).await;
            }
            world.pass(FRESH + 1);
        }
        assert_eq!(log.lines(), ["INFO the directory finds the accounts it knew again"]);
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_that_no_caller_hears_of_is_logged_once_a_minute() {
        let log = Log::default();
        let world = stale(Says::Fault).await;
        let _logging = log.start();
        for (after, lines) in [(0, 1), (59_999, 0), (2_000, 1)] {
            world.pass(after);
            world.look_up("alice").await;
            world.settle().await;
            let told =
                "WARN the last known accounts are served, the directory being in trouble: busy";
            assert_eq!(log.lines(), vec![told; lines], "{after} ms later");
        }
        world.ask("bob").await;
        assert_eq!(log.lines(), [""; 0], "the caller hears of it");
    }

    #[tokio::test(start_paused = true)]
    async fn one_user_asked_for_again_and_again_does_not_trip_the_guard() {
        let world = stale(Says::NotFound).await;
        for _ in 0..10 {
            world.ask("alice").await;
        }
        world.pass(NEGATIVE);
        assert_eq!(world.ask("alice").await, NOT_FOUND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_that_does_not_say_enough_is_not_fresh_but_good_in_trouble() {
        let (world, _) = known();
        world.ask("alice").await;
        let is_usable = |value: &u32| *value == 2;
        assert_eq!(world.cache.at_hand("alice", is_usable, || world.fetch()), None);
        world.says(Says::Fault);
        let ask = world.cache.ask("alice", WAIT, is_usable, || world.fetch());
        assert_eq!(ask.await, value(1, 0));
        assert_eq!(world.cache.at_hand("alice", is_usable, || world.fetch()), Some(value(1, 0)));
        world.pass(1_000);
        world.says(Says::Value(2));
        world.cache.at_hand("alice", is_usable, || world.fetch());
        world.settle().await;
        assert_eq!(world.cache.at_hand("alice", is_usable, || world.fetch()), Some(value(2, 0)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_for_other_groups_is_followed_by_an_own_one() {
        let world = World::new(Says::Silence);
        let is_usable = |value: &u32| *value == 2;
        let other = world.cache.ask(
            "alice",
            WAIT,
            |_| true,
            || {
                Box::pin(async {
                    tokio::task::yield_now().await;
                    Ok(Outcome::Found(1))
                })
            },
        );
        let own = world.cache.ask("alice", WAIT, is_usable, || world.fetch());
        let (other, own, ()) = tokio::join!(other, own, async { world.says(Says::Value(2)) });
        assert_eq!((other, own), (value(1, 0), value(2, 0)));
        assert_eq!(world.fetches(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_that_never_says_enough_is_served_after_one_lookup() {
        let (world, _) = known();
        let ask = world.cache.ask("alice", WAIT, |_| false, || world.fetch());
        assert_eq!(ask.await, value(1, 0));
        assert_eq!(world.fetches(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_in_a_lookup_keeps_nobody_waiting() {
        let world = World::new(Says::Panic);
        let panicked = Known::Unknown(Trouble::Fault("the lookup panicked".into()));
        let both = tokio::join!(world.ask("alice"), world.ask("alice"));
        assert_eq!(both.0, panicked);
        assert_eq!(both.1, panicked);
        world.says(Says::Value(1));
        assert_eq!(world.ask("alice").await, value(1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_before_a_lookup_keeps_nobody_waiting() {
        let (world, _) = known();
        let cache = Arc::clone(&world.cache);
        let broken = tokio::spawn(async move {
            cache.ask("alice", WAIT, |_| true, || panic!("as the test wants it")).await
        });
        assert!(broken.await.is_err());
        assert_eq!(world.ask("alice").await, value(1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn lookups_under_way_are_bounded() {
        let world = stale(Says::Silence).await;
        let flights: Vec<_> =
            (0..FLIGHT_LIMIT).map(|key| world.cache.flights.take(&format!("key{key}"))).collect();
        let text = "too many lookups under way".into();
        assert_eq!(world.ask("bob").await, Known::Unknown(Trouble::Fault(text)));
        assert_eq!(world.ask("alice").await, value(1, 900_001));
        assert_eq!(world.fetches(), 1);
        drop(flights);
        world.says(Says::Value(1));
        assert_eq!(world.ask("bob").await, value(1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_served_stale_where_that_is_not_wanted() {
        let limits = Limits { serve_stale: Duration::ZERO, ..LIMITS };
        let world = World::with_limits(Says::Value(1), limits);
        world.ask("alice").await;
        world.says(Says::Fault);
        world.pass(FRESH);
        assert_eq!(world.at_hand("alice"), Some(value(1, 900_000)));
        world.settle().await;
        world.pass(1);
        assert_eq!(world.look_up("alice").await, fault());
    }

    #[tokio::test(start_paused = true)]
    async fn limits_of_any_size_are_taken() {
        for limit in [Duration::ZERO, Duration::MAX] {
            let limits =
                Limits { fresh: limit, serve_stale: limit, negative: limit, capacity: usize::MAX };
            let world = World::with_limits(Says::Value(1), limits);
            assert_eq!(world.look_up("alice").await, value(1, 0));
        }
    }
}
