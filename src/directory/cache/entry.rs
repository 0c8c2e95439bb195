//! One answer that is remembered, and what befell it since: a directory in trouble, or one that no
//! longer finds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::directory::cache::guard;
use crate::mail::Timestamp;

/// After a failure the directory is left alone for this long; the pool dials again after 1 s as well.
pub const FIRST_PAUSE_MS: u64 = 1_000;

/// Pauses double up to here: a directory that is back is noticed within seconds.
pub const LONGEST_PAUSE_MS: u64 = 8_000;

/// An answer with its age.
pub struct Entry<V> {
    pub value: Arc<V>,
    /// When the lookup began: what changed in the directory since may be missing in it.
    pub fetched: Timestamp,
    /// How many changes were known when the lookup began.
    pub changes: u64,
    /// The age from which on a use of it starts a refresh ahead.
    pub refresh_age_ms: u64,
    is_expired: AtomicBool,
    notes: Mutex<Notes>,
}

/// What is done with an entry that is not fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// The directory must be asked first.
    Ask,
    /// It is served without waiting.
    Serve,
    /// It is served without waiting, and the directory asked in the background.
    ServeAndRetry,
}

#[derive(Clone, Copy, Default)]
struct Notes {
    /// When a refresh in the background began.
    attempt: Option<Timestamp>,
    pause: Option<Pause>,
    missing: Option<Missing>,
    counted: Option<Counted>,
}

/// Do not ask again before.
#[derive(Clone, Copy)]
struct Pause {
    since: Timestamp,
    length_ms: u64,
}

/// The directory answers, and does not find it.
#[derive(Clone, Copy)]
struct Missing {
    since: Timestamp,
    last: Timestamp,
}

/// What the guard was told of it.
#[derive(Clone, Copy)]
struct Counted {
    at: Timestamp,
    is_missing: bool,
}

impl<V> Entry<V> {
    pub fn new(value: Arc<V>, fetched: Timestamp, changes: u64, refresh_age_ms: u64) -> Self {
        let (is_expired, notes) = Default::default();
        Self { value, fetched, changes, refresh_age_ms, is_expired, notes }
    }

    /// It takes the place of `old`: the guard counts a key once, not an answer.
    pub fn replacing(self, old: &Self) -> Self {
        self.notes.lock().counted = old.notes.lock().counted;
        self
    }

    pub fn expire(&self) {
        self.is_expired.store(true, Ordering::Release);
    }

    pub fn is_expired(&self) -> bool {
        self.is_expired.load(Ordering::Acquire)
    }

    /// Whether a refresh ahead begins now. Call it when the age for it is reached.
    pub fn begins_refresh(&self, negative_ms: u64, now: Timestamp) -> bool {
        let mut notes = self.notes.lock();
        !notes.is_paused(now) && !notes.is_missing(negative_ms, now) && notes.begins_attempt(now)
    }

    /// What is done with it while it is not fresh. A trouble that nobody saw going on for longer
    /// than its last pause proves nothing of now: then the directory is asked first.
    pub fn meanwhile(
        &self,
        negative_ms: u64,
        is_asked: impl FnOnce() -> bool,
        now: Timestamp,
    ) -> Meanwhile {
        let mut notes = self.notes.lock();
        if notes.is_missing(negative_ms, now) || notes.is_paused(now) {
            return Meanwhile::Serve;
        }
        let Some(pause) = notes.pause else { return Meanwhile::Ask };
        if is_within(pause.since, 2 * pause.length_ms, now) {
            match notes.begins_attempt(now) {
                true => Meanwhile::ServeAndRetry,
                false => Meanwhile::Serve,
            }
        } else if is_asked() {
            Meanwhile::Serve
        } else {
            Meanwhile::Ask
        }
    }

    /// The directory gave no good answer. During a pause this is the same trouble, told again.
    pub fn note_trouble(&self, now: Timestamp) {
        let mut notes = self.notes.lock();
        if notes.is_paused(now) {
            return;
        }
        let length_ms = match notes.pause {
            Some(pause) => (2 * pause.length_ms).min(LONGEST_PAUSE_MS),
            None => FIRST_PAUSE_MS,
        };
        notes.pause = Some(Pause { since: now, length_ms });
    }

    /// The directory does not find it. Whether it said so before, at least `negative_ms` ago.
    pub fn note_missing(&self, negative_ms: u64, now: Timestamp) -> bool {
        let mut notes = self.notes.lock();
        notes.pause = None;
        let before = notes.missing.map(|missing| missing.since);
        let since = before.filter(|since| *since <= now).unwrap_or(now);
        notes.missing = Some(Missing { since, last: now });
        before.is_some() && now.ms_since(since) >= negative_ms
    }

    /// Whether the guard is to count it: once in the guard's window, or when the answer turned.
    pub fn counts(&self, is_missing: bool, now: Timestamp) -> bool {
        let counted = &mut self.notes.lock().counted;
        let is_known = |counted: &Counted| {
            counted.is_missing == is_missing && is_within(counted.at, guard::WINDOW_MS, now)
        };
        if counted.as_ref().is_some_and(is_known) {
            return false;
        }
        *counted = Some(Counted { at: now, is_missing });
        true
    }
}

impl Notes {
    fn is_paused(&self, now: Timestamp) -> bool {
        self.pause.is_some_and(|pause| is_within(pause.since, pause.length_ms, now))
    }

    /// Whether the directory did not find it so recently that it need not be asked again.
    fn is_missing(&self, negative_ms: u64, now: Timestamp) -> bool {
        self.missing.is_some_and(|missing| is_within(missing.last, negative_ms, now))
    }

    fn begins_attempt(&mut self, now: Timestamp) -> bool {
        if self.attempt.is_some_and(|begun| is_within(begun, FIRST_PAUSE_MS, now)) {
            return false;
        }
        self.attempt = Some(now);
        true
    }
}

/// Whether `ms` from `since` on are not over. A clock that is set back ends every wait.
pub fn is_within(since: Timestamp, ms: u64, now: Timestamp) -> bool {
    since <= now && now.ms_since(since) < ms
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEGATIVE: u64 = 60_000;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    fn entry() -> Entry<()> {
        Entry::new(Arc::new(()), at(0), 0, 0)
    }

    fn meanwhile(entry: &Entry<()>, ms: i64) -> Meanwhile {
        entry.meanwhile(NEGATIVE, || false, at(ms))
    }

    #[test]
    fn without_trouble_the_directory_is_asked_first() {
        assert_eq!(meanwhile(&entry(), 0), Meanwhile::Ask);
    }

    #[test]
    fn a_pause_ends_after_one_second_and_trouble_is_forgotten_after_another() {
        let entry = entry();
        entry.note_trouble(at(0));
        assert_eq!(meanwhile(&entry, 0), Meanwhile::Serve);
        assert_eq!(meanwhile(&entry, 999), Meanwhile::Serve);
        assert_eq!(meanwhile(&entry, 1_000), Meanwhile::ServeAndRetry);
        assert_eq!(meanwhile(&entry, 1_001), Meanwhile::Serve);
        assert_eq!(meanwhile(&entry, 1_999), Meanwhile::Serve);
        assert_eq!(meanwhile(&entry, 2_000), Meanwhile::Ask);
    }

    #[test]
    fn trouble_is_not_forgotten_while_the_directory_is_being_asked() {
        let entry = entry();
        entry.note_trouble(at(0));
        assert_eq!(entry.meanwhile(NEGATIVE, || true, at(2_000)), Meanwhile::Serve);
    }

    #[test]
    fn pauses_double_to_eight_seconds() {
        let entry = entry();
        let mut now = 0;
        for pause in [1_000, 2_000, 4_000, 8_000, 8_000] {
            entry.note_trouble(at(now));
            assert_eq!(meanwhile(&entry, now + pause - 1), Meanwhile::Serve, "{pause}");
            assert_eq!(meanwhile(&entry, now + pause), Meanwhile::ServeAndRetry, "{pause}");
            now += pause;
        }
    }

    #[test]
    fn trouble_told_again_during_a_pause_neither_doubles_nor_prolongs_it() {
        let entry = entry();
        entry.note_trouble(at(0));
        entry.note_trouble(at(0));
        entry.note_trouble(at(999));
        assert_eq!(meanwhile(&entry, 1_000), Meanwhile::ServeAndRetry);
    }

    #[test]
    fn a_clock_set_back_ends_a_pause() {
        let entry = entry();
        entry.note_trouble(at(10_000));
        assert_eq!(meanwhile(&entry, 9_999), Meanwhile::Ask);
    }

    #[test]
    fn refreshes_begin_a_second_apart() {
        let entry = entry();
        let begins = |ms| entry.begins_refresh(NEGATIVE, at(ms));
        assert_eq!([begins(0), begins(0), begins(999), begins(1_000)], [true, false, false, true]);
    }

    #[test]
    fn no_refresh_begins_during_a_pause() {
        let entry = entry();
        entry.note_trouble(at(0));
        assert!(!entry.begins_refresh(NEGATIVE, at(999)));
        assert!(entry.begins_refresh(NEGATIVE, at(1_000)));
    }

    #[test]
    fn what_was_not_found_is_served_unasked_until_it_may_turn() {
        let entry = entry();
        assert!(!entry.note_missing(NEGATIVE, at(0)));
        assert_eq!(meanwhile(&entry, 59_999), Meanwhile::Serve);
        assert!(!entry.begins_refresh(NEGATIVE, at(59_999)));
        assert_eq!(meanwhile(&entry, 60_000), Meanwhile::Ask);
        assert!(entry.begins_refresh(NEGATIVE, at(60_000)));
    }

    #[test]
    fn not_found_turns_when_it_is_said_again_late_enough() {
        for (again, turns) in [(0, false), (59_999, false), (60_000, true), (60_001, true)] {
            let entry = entry();
            assert!(!entry.note_missing(NEGATIVE, at(0)));
            assert_eq!(entry.note_missing(NEGATIVE, at(again)), turns, "after {again} ms");
        }
    }

    #[test]
    fn not_found_said_early_again_does_not_begin_anew() {
        let entry = entry();
        entry.note_missing(NEGATIVE, at(0));
        entry.note_missing(NEGATIVE, at(30_000));
        assert!(entry.note_missing(NEGATIVE, at(60_000)));
    }

    #[test]
    fn not_found_with_a_clock_set_back_begins_anew() {
        let entry = entry();
        entry.note_missing(NEGATIVE, at(100_000));
        assert!(!entry.note_missing(NEGATIVE, at(0)));
        assert!(!entry.note_missing(NEGATIVE, at(59_999)));
        assert!(entry.note_missing(NEGATIVE, at(60_000)));
    }

    #[test]
    fn not_found_is_an_answer_and_ends_the_trouble() {
        let entry = entry();
        entry.note_trouble(at(0));
        entry.note_missing(0, at(0));
        assert_eq!(entry.meanwhile(0, || false, at(0)), Meanwhile::Ask);
    }

    #[test]
    fn the_guard_counts_a_key_once_a_window_and_when_it_turns() {
        let window = i64::try_from(guard::WINDOW_MS).expect("ten minutes");
        let entry = entry();
        assert!(entry.counts(false, at(0)));
        assert!(!entry.counts(false, at(window - 1)));
        assert!(entry.counts(false, at(window)));
        assert!(entry.counts(true, at(window)));
        assert!(!entry.counts(true, at(window + 1)));
        let next = Entry::new(Arc::new(()), at(window), 0, 0).replacing(&entry);
        assert!(!next.counts(true, at(window + 1)));
    }
}
