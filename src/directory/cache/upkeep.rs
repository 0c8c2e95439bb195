//! What happens to the whole memory: changes of the directory, its size, and a restart.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::directory::cache::entry::Entry;
use crate::directory::cache::memory::Cache;
use crate::mail::Timestamp;

/// An entry as it outlives a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered<V> {
    pub key: Arc<str>,
    /// When the directory was asked.
    pub fetched: Timestamp,
    pub value: Arc<V>,
}

impl<V: Send + Sync + 'static> Cache<V> {
    /// Nothing that was asked for before now is fresh: a group changed.
    pub fn expire_all(&self) {
        let change = self.changes.fetch_add(1, Ordering::SeqCst) + 1;
        self.fresh_from.fetch_max(change, Ordering::SeqCst);
    }

    /// Entries for which `is` holds are no longer fresh, and neither is what lookups under way will
    /// find: an object changed. Returns how many entries those are. Looks at every entry.
    pub fn expire(&self, is: impl Fn(&V) -> bool) -> usize {
        self.changes.fetch_add(1, Ordering::SeqCst);
        let changed = self.entries.iter().filter(|(_, entry)| is(&entry.value));
        changed.map(|(_, entry)| entry.expire()).count()
    }

    /// One entry is no longer fresh, and neither is what lookups under way will find.
    pub fn expire_one(&self, key: &str) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        if let Some(entry) = self.entries.get(key) {
            entry.expire();
        }
    }

    /// What the directory did not know, or knew twice, is asked for again: an object came, changed
    /// its names, or went.
    pub fn forget_absent(&self) {
        let change = self.changes.fetch_add(1, Ordering::SeqCst) + 1;
        self.absent_from.fetch_max(change, Ordering::SeqCst);
    }

    /// How many entries are kept. Tidies up first, so it is for a page or a timer.
    pub fn len(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.entries.entry_count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys are kept of which the directory knows nothing. As [`len`](Self::len).
    pub fn absent_len(&self) -> u64 {
        self.absent.run_pending_tasks();
        self.absent.entry_count()
    }

    /// Every entry that may still be served, in no order.
    pub fn remembered(&self) -> Vec<Remembered<V>> {
        let now = (self.clock)();
        let servable = self.entries.iter().filter(|(_, entry)| self.is_servable(entry, now));
        let remembered = servable.map(|(key, entry)| Remembered {
            key: Arc::clone(&key),
            fetched: entry.fetched,
            value: Arc::clone(&entry.value),
        });
        remembered.collect()
    }

    /// Takes what outlived a restart, except for keys that are known by now. Nothing of it is fresh:
    /// what changed in the directory meanwhile, nobody saw.
    pub fn put_back(&self, remembered: impl IntoIterator<Item = Remembered<V>>) {
        for Remembered { key, fetched, value } in remembered {
            let refresh_age_ms = self.refresh_age_ms(&key);
            self.entries.entry(key).or_insert_with(|| {
                let entry = Entry::new(value, fetched, 0, refresh_age_ms);
                entry.expire();
                Arc::new(entry)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::cache::kit::{SERVE_STALE, Says, WAIT, World, fault, value};

    #[tokio::test(start_paused = true)]
    async fn after_a_change_of_a_group_nothing_is_fresh() {
        let world = World::new(Says::Value(1));
        world.ask("alice").await;
        world.ask("bob").await;
        world.cache.expire_all();
        assert_eq!((world.at_hand("alice"), world.at_hand("bob")), (None, None));
        world.says(Says::Value(2));
        assert_eq!(world.ask("alice").await, value(2, 0));
        assert_eq!(world.at_hand("alice"), Some(value(2, 0)));
        world.says(Says::Fault);
        assert_eq!(world.ask("bob").await, value(1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_change_of_an_object_it_alone_is_not_fresh() {
        let world = World::new(Says::Value(1));
        world.ask("alice").await;
        world.says(Says::Value(2));
        world.ask("bob").await;
        assert_eq!(world.cache.expire(|value| *value == 1), 1);
        assert_eq!((world.at_hand("alice"), world.at_hand("bob")), (None, Some(value(2, 0))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_from_before_a_change_gives_nothing_fresh() {
        type Tell = fn(&Cache<u32>);
        let tells: [Tell; 2] =
            [|cache| cache.expire_all(), |cache| assert_eq!(cache.expire(|_| false), 0)];
        for tell in tells {
            let world = World::new(Says::Silence);
            let change = async {
                tell(&world.cache);
                world.says(Says::Value(1));
            };
            let (known, ()) = tokio::join!(world.ask("alice"), change);
            assert_eq!(known, value(1, 0));
            assert_eq!(world.at_hand("alice"), None);
            assert_eq!(world.ask("alice").await, value(1, 0));
            assert_eq!(world.at_hand("alice"), Some(value(1, 0)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_joins_a_lookup_from_before_a_change_gets_one_from_after() {
        let world = World::new(Says::Silence);
        let first = world.ask("alice");
        let second = async {
            world.cache.expire_all();
            world.cache.ask("alice", WAIT, |_| true, || world.fetch()).await
        };
        let (first, second, ()) = tokio::join!(first, second, async { world.says(Says::Value(1)) });
        assert_eq!((first, second), (value(1, 0), value(1, 0)));
        assert_eq!(world.fetches(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_absent_is_asked_for_again_when_an_object_came() {
        let world = World::new(Says::NotFound);
        world.ask("alice").await;
        assert!(world.at_hand("alice").is_some());
        world.cache.expire_all();
        assert!(world.at_hand("alice").is_some());
        world.cache.forget_absent();
        assert_eq!(world.at_hand("alice"), None);
        world.ask("alice").await;
        assert!(world.at_hand("alice").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_looked_up_before_an_object_came_is_asked_for_again() {
        let world = World::new(Says::Silence);
        let change = async {
            world.cache.forget_absent();
            world.says(Says::NotFound);
        };
        tokio::join!(world.ask("alice"), change);
        assert_eq!(world.at_hand("alice"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_during_trouble_serves_what_was_known() {
        let before = World::new(Says::Value(1));
        before.ask("alice").await;
        let remembered = before.cache.remembered();
        let alice = Remembered { key: "alice".into(), fetched: before.now(), value: Arc::new(1) };
        assert_eq!(remembered, [alice]);

        let after = World::new(Says::Fault);
        after.cache.put_back(remembered);
        after.pass(5);
        assert_eq!(after.at_hand("alice"), None, "what changed meanwhile, nobody saw");
        assert_eq!(after.ask("alice").await, value(1, 5));
        assert_eq!(after.at_hand("alice"), Some(value(1, 5)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_put_back_is_asked_for_and_fresh_again() {
        let world = World::new(Says::Value(2));
        let value_of =
            |key: &str| Remembered { key: key.into(), fetched: world.now(), value: Arc::new(1) };
        world.cache.put_back([value_of("alice")]);
        assert_eq!(world.look_up("alice").await, value(2, 0));
        world.cache.put_back([value_of("alice")]);
        assert_eq!(world.at_hand("alice"), Some(value(2, 0)), "what is known is newer");
        world.says(Says::NotFound);
        world.cache.put_back([value_of("bob")]);
        assert_eq!(world.look_up("bob").await, value(1, 0), "it is known");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_old_is_neither_remembered_nor_served_when_put_back() {
        for (age, is_kept) in
            [(SERVE_STALE - 1, true), (SERVE_STALE, true), (SERVE_STALE + 1, false)]
        {
            let world = World::new(Says::Value(1));
            world.ask("alice").await;
            let remembered = world.cache.remembered();
            world.pass(age);
            assert_eq!(world.cache.remembered().len(), usize::from(is_kept));
            let after = World::new(Says::Fault);
            after.cache.put_back(remembered);
            after.pass(age);
            assert_eq!(after.look_up("alice").await != fault(), is_kept);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_size_is_known() {
        let world = World::new(Says::Value(1));
        assert!(world.cache.is_empty());
        world.ask("alice").await;
        world.ask("bob").await;
        world.says(Says::NotFound);
        world.ask("carol").await;
        assert_eq!((world.cache.len(), world.cache.absent_len()), (2, 1));
    }
}
