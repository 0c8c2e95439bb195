//! At most one lookup a key at a time: whoever asks for a key that is under way waits for its answer.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

/// Lookups under way.
pub struct Flights<A> {
    under_way: Mutex<HashMap<Arc<str>, watch::Receiver<Option<A>>>>,
    limit: usize,
}

/// How a caller gets its answer.
pub enum Seat<A> {
    /// The caller's own; it sees to the lookup.
    Begun(Flight<A>, Waiting<A>),
    /// Somebody else sees to it.
    Joined(Waiting<A>),
    /// There are too many.
    Full,
}

/// A lookup under way. Dropped without an answer, as by a panic, it leaves nobody waiting.
pub struct Flight<A> {
    flights: Arc<Flights<A>>,
    key: Arc<str>,
    answer: watch::Sender<Option<A>>,
}

/// Waits for a lookup; may be dropped without harm to it.
pub struct Waiting<A>(watch::Receiver<Option<A>>);

impl<A> Flights<A> {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { under_way: Mutex::default(), limit })
    }

    pub fn take(self: &Arc<Self>, key: &str) -> Seat<A> {
        let mut under_way = self.under_way.lock();
        if let Some(receiver) = under_way.get(key) {
            return Seat::Joined(Waiting(receiver.clone()));
        }
        if under_way.len() >= self.limit {
            return Seat::Full;
        }
        let key: Arc<str> = key.into();
        let (answer, receiver) = watch::channel(None);
        under_way.insert(Arc::clone(&key), receiver.clone());
        Seat::Begun(Flight { flights: Arc::clone(self), key, answer }, Waiting(receiver))
    }

    pub fn is_under_way(&self, key: &str) -> bool {
        self.under_way.lock().contains_key(key)
    }
}

impl<A> Flight<A> {
    pub fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// What the answer says must be remembered before: who comes later looks there.
    pub fn land(self, answer: A) {
        self.answer.send_replace(Some(answer));
    }
}

impl<A> Drop for Flight<A> {
    fn drop(&mut self) {
        self.flights.under_way.lock().remove(&self.key);
    }
}

impl<A: Clone> Waiting<A> {
    /// `None`: the lookup ended without an answer.
    pub async fn answer(mut self) -> Option<A> {
        let answer = self.0.wait_for(Option::is_some).await.ok()?;
        answer.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(flights: &Arc<Flights<u32>>, key: &str) -> (Flight<u32>, Waiting<u32>) {
        match flights.take(key) {
            Seat::Begun(flight, waiting) => (flight, waiting),
            Seat::Joined(_) => panic!("{key} is under way"),
            Seat::Full => panic!("too many"),
        }
    }

    fn joined(flights: &Arc<Flights<u32>>, key: &str) -> Waiting<u32> {
        match flights.take(key) {
            Seat::Joined(waiting) => waiting,
            Seat::Begun(..) | Seat::Full => panic!("{key} is not under way"),
        }
    }

    #[tokio::test]
    async fn all_who_wait_for_a_key_get_the_one_answer() {
        let flights = Flights::new(10);
        let (flight, first) = begun(&flights, "alice");
        let second = joined(&flights, "alice");
        assert!(flights.is_under_way("alice"));
        flight.land(7);
        assert_eq!((first.answer().await, second.answer().await), (Some(7), Some(7)));
        assert!(!flights.is_under_way("alice"));
    }

    #[tokio::test]
    async fn keys_do_not_wait_for_each_other() {
        let flights = Flights::new(10);
        let (_alice, _) = begun(&flights, "alice");
        let (bob, waiting) = begun(&flights, "bob");
        bob.land(1);
        assert_eq!(waiting.answer().await, Some(1));
    }

    #[tokio::test]
    async fn a_lookup_that_is_dropped_leaves_nobody_waiting() {
        let flights = Flights::new(10);
        let (flight, first) = begun(&flights, "alice");
        let second = joined(&flights, "alice");
        drop(flight);
        assert_eq!((first.answer().await, second.answer().await), (None, None));
        begun(&flights, "alice");
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_ends_nothing() {
        let flights = Flights::new(10);
        let (flight, first) = begun(&flights, "alice");
        drop(first);
        let second = joined(&flights, "alice");
        flight.land(7);
        assert_eq!(second.answer().await, Some(7));
    }

    #[test]
    fn beyond_the_limit_none_begins_and_those_under_way_can_be_joined() {
        let flights = Flights::new(2);
        let one = begun(&flights, "one");
        let _two = begun(&flights, "two");
        assert!(matches!(flights.take("three"), Seat::Full));
        joined(&flights, "one");
        drop(one);
        begun(&flights, "three");
    }
}
