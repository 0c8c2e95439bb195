//! A directory that says what a test tells it, and a cache before it.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::directory::cache::{Absent, Cache, Fetch, Known, Limits, Outcome, Trouble};
use crate::directory::meter::{Kept, LookupResult, Meter, Operation};
use crate::mail::Timestamp;

pub const FRESH: i64 = 900_000;
pub const SERVE_STALE: i64 = 86_400_000;
pub const NEGATIVE: i64 = 60_000;
pub const WAIT: Duration = Duration::from_secs(2);

pub const LIMITS: Limits = Limits {
    fresh: Duration::from_secs(900),
    serve_stale: Duration::from_secs(86_400),
    negative: Duration::from_secs(60),
    capacity: 1_000,
};

/// What the directory says of every key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    Value(u32),
    NotFound,
    Ambiguous,
    Fault,
    /// Nothing, until it says something else.
    Silence,
    Panic,
}

/// A cache, its directory and its clock.
pub struct World {
    pub cache: Arc<Cache<u32>>,
    pub tally: Arc<Tally>,
    now: Arc<AtomicI64>,
    says: watch::Sender<Says>,
    fetches: Arc<AtomicUsize>,
    answers: Arc<Mutex<Vec<Answer>>>,
}

/// What the directory said, and when it was asked.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub asked: Timestamp,
    /// Which of the lookups this was, from 1.
    pub lookup: usize,
    pub said: Says,
}

impl World {
    pub fn new(says: Says) -> Self {
        Self::with_limits(says, LIMITS)
    }

    pub fn with_limits(says: Says, limits: Limits) -> Self {
        let now = Arc::new(AtomicI64::new(1_790_000_000_000));
        let tally = Arc::new(Tally::default());
        let clock = Arc::clone(&now);
        let clock = Arc::new(move || Timestamp::from_unix_ms(clock.load(Ordering::SeqCst)));
        let cache = Cache::new(Kept::Accounts, &limits, clock, Arc::clone(&tally) as _);
        let (fetches, answers) = Default::default();
        Self { cache, tally, now, says: watch::Sender::new(says), fetches, answers }
    }

    /// From now on, also to lookups that wait in silence.
    pub fn says(&self, says: Says) {
        self.says.send_replace(says);
    }

    pub fn pass(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.now.load(Ordering::SeqCst))
    }

    /// How often the directory was asked.
    pub fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    /// All that the directory said.
    pub fn answers(&self) -> Vec<Answer> {
        self.answers.lock().clone()
    }

    pub fn fetch(&self) -> Fetch<u32> {
        let (mut says, asked) = (self.says.subscribe(), self.now());
        let (fetches, answers) = (Arc::clone(&self.fetches), Arc::clone(&self.answers));
        Box::pin(async move {
            let lookup = fetches.fetch_add(1, Ordering::SeqCst) + 1;
            let said = *says.wait_for(|says| *says != Says::Silence).await.expect("it is kept");
            answers.lock().push(Answer { asked, lookup, said });
            match said {
                Says::Value(value) => Ok(Outcome::Found(value)),
                Says::NotFound => Ok(Outcome::Absent(Absent::NotFound)),
                Says::Ambiguous => Ok(Outcome::Absent(Absent::Ambiguous)),
                Says::Fault => Err(Trouble::Fault("busy".into())),
                Says::Silence => unreachable!("waited for more"),
                Says::Panic => panic!("as the test wants it"),
            }
        })
    }

    pub fn at_hand(&self, key: &str) -> Option<Known<u32>> {
        self.cache.at_hand(key, |_| true, || self.fetch())
    }

    pub async fn ask(&self, key: &str) -> Known<u32> {
        self.cache.ask(key, WAIT, |_| true, || self.fetch()).await
    }

    /// As a question of a mail server does.
    pub async fn look_up(&self, key: &str) -> Known<u32> {
        match self.at_hand(key) {
            Some(known) => known,
            None => self.ask(key).await,
        }
    }

    /// Lets lookups in the background end. They are on this thread and wait for nothing but a
    /// directory that is silent.
    pub async fn settle(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

/// A value with its age.
pub fn value(value: u32, age_ms: u64) -> Known<u32> {
    Known::Found(crate::directory::cache::Found { value: Arc::new(value), age_ms })
}

pub fn fault() -> Known<u32> {
    Known::Unknown(Trouble::Fault("busy".into()))
}

/// Remembers what it was told.
#[derive(Default)]
pub struct Tally {
    lookups: Mutex<Vec<LookupResult>>,
    ages: Mutex<Vec<u64>>,
}

impl Tally {
    /// Since the last call.
    pub fn lookups(&self) -> Vec<LookupResult> {
        std::mem::take(&mut self.lookups.lock())
    }

    /// Since the last call.
    pub fn stale_ages(&self) -> Vec<u64> {
        std::mem::take(&mut self.ages.lock())
    }
}

impl Meter for Tally {
    fn lookup(&self, result: LookupResult) {
        self.lookups.lock().push(result);
    }

    fn request(&self, _: Operation) -> Box<dyn Any + Send> {
        Box::new(())
    }

    fn server_up(&self, _: &str, _: bool) {}

    fn entries(&self, _: Kept, _: u64) {}

    fn stale_age_ms(&self, age_ms: u64) {
        self.ages.lock().push(age_ms);
    }
}
