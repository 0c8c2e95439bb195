//! What waits for one lane, as data: in which order it goes out, when it is tried again, and when nobody tries any
//! longer. Kept row by row, so that it outlives the process.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::action::Told;
use crate::mail::Timestamp;
use crate::record::{Notice, Row, Table};

/// The bounds of a queue.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Deliveries that wait; the oldest makes room.
    pub waiting: usize,
    /// Dead letters kept; the oldest makes room.
    pub dead: usize,
    /// The pause after the first failure, doubled with each further one.
    pub first_pause: Duration,
    pub longest_pause: Duration,
    /// Mails that go out one by one within a time; what comes beyond them waits and goes out together.
    pub digest_beyond: usize,
    pub digest_every: Duration,
    /// Events in one mail.
    pub digest_most: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            waiting: 10_000,
            dead: 1_000,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(15 * 60),
            digest_beyond: 5,
            digest_every: Duration::from_secs(15 * 60),
            digest_most: 500,
        }
    }
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Deliver these at once, by their places.
    Send(Vec<u64>),
    /// Nothing before then, unless something is added.
    Wait(Timestamp),
    Idle,
}

/// A delivery as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// The order of arrival.
    place: u64,
    arrived: Timestamp,
    attempts: u32,
    next: Timestamp,
    /// Why the last attempt failed.
    fault: Option<String>,
    is_dead: bool,
    body: Box<str>,
}

/// When a delivery arrived that was kept; `None`: it makes no sense.
pub fn arrived(value: &str) -> Option<Timestamp> {
    serde_json::from_str::<State>(value).ok().map(|state| state.arrived)
}

struct Delivery {
    state: State,
    notice: Notice,
}

pub struct Queue {
    lane: Box<str>,
    limits: Limits,
    give_up_after_ms: u64,
    digests: bool,
    waiting: BTreeMap<u64, Delivery>,
    dead: BTreeMap<u64, Delivery>,
    ids: HashSet<String>,
    under_way: HashSet<u64>,
    /// In a row, of whatever deliveries.
    failures: u32,
    paused_until: Timestamp,
    /// When mails went out of late.
    sent: VecDeque<Timestamp>,
}

impl Queue {
    pub fn new(lane: &str, limits: Limits, give_up_after: Duration, digests: bool) -> Self {
        Self {
            lane: lane.into(),
            limits,
            give_up_after_ms: u64::try_from(give_up_after.as_millis()).unwrap_or(u64::MAX),
            digests,
            waiting: BTreeMap::new(),
            dead: BTreeMap::new(),
            ids: HashSet::new(),
            under_way: HashSet::new(),
            failures: 0,
            paused_until: Timestamp::from_unix_ms(i64::MIN),
            sent: VecDeque::new(),
        }
    }

    /// Takes in what was kept under one of its keys. `false`: it makes no sense.
    pub fn load(&mut self, value: &str) -> bool {
        let Ok(state) = serde_json::from_str::<State>(value) else { return false };
        let Ok(notice) = Notice::read(&state.body) else { return false };
        self.ids.insert(notice.id.clone());
        let kept = if state.is_dead { &mut self.dead } else { &mut self.waiting };
        kept.insert(state.place, Delivery { state, notice });
        true
    }

    /// The first place after all that are taken.
    pub fn next_place(&self) -> u64 {
        let last = |kept: &BTreeMap<u64, Delivery>| {
            kept.last_key_value().map_or(0, |(place, _)| *place + 1)
        };
        last(&self.waiting).max(last(&self.dead))
    }

    /// The row to put before the event is [added](Self::add); `None`: it waits already.
    pub fn row(&self, told: &Told, place: u64, at: Timestamp) -> Option<Row> {
        let is_new = !self.ids.contains(&told.notice.id);
        is_new.then(|| self.put(&told.notice.id, &arrival(told, place, at)))
    }

    /// Adds an event whose row is kept; the rows of others that make room for it.
    pub fn add(&mut self, told: Told, place: u64, at: Timestamp) -> Vec<Row> {
        if !self.ids.insert(told.notice.id.clone()) {
            return Vec::new();
        }
        let state = arrival(&told, place, at);
        self.waiting.insert(place, Delivery { state, notice: told.notice });
        let mut rows = Vec::new();
        if self.waiting.len() > self.limits.waiting {
            let oldest = self.waiting.keys().find(|place| !self.under_way.contains(place)).copied();
            if let Some(oldest) = oldest {
                let fault = "too many deliveries wait";
                rows.extend(self.bury(oldest, fault.into()));
            }
        }
        rows
    }

    /// What to do at `at`. What is to be sent counts as under way until it is [done](Self::done) or has
    /// [failed](Self::failed).
    pub fn next(&mut self, at: Timestamp) -> Next {
        if !self.has_come(self.paused_until, at) && !self.waiting.is_empty() {
            return Next::Wait(self.paused_until);
        }
        let mut earliest = None;
        // In order for each account, so that a release never overtakes its suspension.
        let mut blocked: HashSet<&str> = HashSet::new();
        let mut due: Vec<(Timestamp, u64)> = Vec::new();
        for (place, Delivery { state, notice }) in &self.waiting {
            let account = notice.account.as_deref();
            let is_under_way = self.under_way.contains(place);
            let is_due = !is_under_way && self.has_come(state.next, at);
            if account.is_some_and(|account| blocked.contains(account)) {
                continue;
            }
            if is_due {
                due.push((state.next, *place));
            } else if !is_under_way {
                earliest =
                    Some(earliest.map_or(state.next, |known: Timestamp| known.min(state.next)));
            }
            // A digest takes the later ones of an account along.
            if !(is_due && self.digests) {
                blocked.extend(account);
            }
        }
        if due.is_empty() {
            return earliest.map_or(Next::Idle, Next::Wait);
        }
        let places = if self.digests {
            match self.digest(&due, at) {
                Ok(places) => places,
                Err(until) => return Next::Wait(until),
            }
        } else {
            // What was never tried before what was, so that one that always fails keeps back none.
            due.into_iter().min().map(|(_, place)| vec![place]).unwrap_or_default()
        };
        self.under_way.extend(&places);
        Next::Send(places)
    }

    /// The next one alone or, where so many went out of late, all of them. `Err`: not before then.
    fn digest(&mut self, due: &[(Timestamp, u64)], at: Timestamp) -> Result<Vec<u64>, Timestamp> {
        let every = u64::try_from(self.limits.digest_every.as_millis()).unwrap_or(u64::MAX);
        // A clock that was set back has mails of the future.
        self.sent.retain(|sent| *sent <= at && at.ms_since(*sent) < every);
        if self.sent.len() >= self.limits.digest_beyond {
            return Err(later(self.sent[self.sent.len() - self.limits.digest_beyond], every));
        }
        let room = self.limits.digest_beyond - self.sent.len();
        let most = if due.len() > room { self.limits.digest_most } else { 1 };
        Ok(due.iter().map(|(_, place)| *place).take(most).collect())
    }

    /// The events at these places.
    pub fn told(&self, places: &[u64]) -> Vec<Told> {
        let deliveries = places.iter().filter_map(|place| self.waiting.get(place));
        deliveries
            .map(|one| Told { notice: one.notice.clone(), body: one.state.body.clone() })
            .collect()
    }

    /// These are delivered; the rows to take away.
    pub fn done(&mut self, places: &[u64], at: Timestamp) -> Vec<Row> {
        self.failures = 0;
        if self.digests {
            self.sent.push_back(at);
        }
        let mut rows = Vec::new();
        for place in places {
            self.under_way.remove(place);
            if let Some(delivery) = self.waiting.remove(place) {
                rows.push(self.forget(delivery));
            }
        }
        rows
    }

    /// The attempt failed; the rows to put or take away, and how many of them are dead letters now.
    pub fn failed(&mut self, places: &[u64], fault: &str, at: Timestamp) -> (Vec<Row>, usize) {
        self.failures = self.failures.saturating_add(1);
        self.paused_until = later(at, self.pause_ms(self.failures));
        let (mut rows, mut buried) = (Vec::new(), 0);
        for place in places {
            self.under_way.remove(place);
            let Some(mut delivery) = self.waiting.remove(place) else { continue };
            let state = &mut delivery.state;
            state.attempts = state.attempts.saturating_add(1);
            state.fault = Some(fault.chars().take(500).collect());
            state.next = later(at, self.pause_ms(state.attempts));
            let is_over = at.ms_since(state.arrived) >= self.give_up_after_ms;
            rows.push(self.put(&delivery.notice.id, &delivery.state));
            self.waiting.insert(*place, delivery);
            if is_over {
                rows.pop();
                rows.extend(self.bury(*place, fault.into()));
                buried += 1;
            }
        }
        (rows, buried)
    }

    /// Makes a dead letter of a delivery; of too many the oldest is forgotten.
    fn bury(&mut self, place: u64, fault: String) -> Vec<Row> {
        let Some(mut delivery) = self.waiting.remove(&place) else { return Vec::new() };
        delivery.state.is_dead = true;
        delivery.state.fault.get_or_insert(fault);
        let mut rows = vec![self.put(&delivery.notice.id, &delivery.state)];
        self.dead.insert(place, delivery);
        if self.dead.len() > self.limits.dead
            && let Some((_, oldest)) = self.dead.pop_first()
        {
            rows.push(self.forget(oldest));
        }
        rows
    }

    /// No pause is longer than the longest: one that seems so was begun before the clock was set back.
    fn has_come(&self, moment: Timestamp, at: Timestamp) -> bool {
        moment.ms_since(at) == 0
            || Duration::from_millis(moment.ms_since(at)) > self.limits.longest_pause
    }

    fn pause_ms(&self, failures: u32) -> u64 {
        let doubled =
            self.limits.first_pause.saturating_mul(1 << failures.saturating_sub(1).min(31));
        u64::try_from(doubled.min(self.limits.longest_pause).as_millis()).unwrap_or(u64::MAX)
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub fn dead(&self) -> usize {
        self.dead.len()
    }

    /// Why the last one failed that is not delivered.
    pub fn last_fault(&self) -> Option<&str> {
        let kept = self.waiting.values().chain(self.dead.values());
        let failed = kept.filter(|one| one.state.fault.is_some());
        failed.max_by_key(|one| one.state.next).and_then(|one| one.state.fault.as_deref())
    }

    fn key(&self, id: &str) -> String {
        format!("{}/{id}", self.lane)
    }

    fn put(&self, id: &str, state: &State) -> Row {
        let value = serde_json::to_string(state).expect("text and numbers are JSON");
        Row::put(Table::Deliveries, &self.key(id), value)
    }

    fn forget(&mut self, delivery: Delivery) -> Row {
        self.ids.remove(&delivery.notice.id);
        Row::remove(Table::Deliveries, &self.key(&delivery.notice.id))
    }
}

fn arrival(told: &Told, place: u64, at: Timestamp) -> State {
    let body = told.body.clone();
    State { place, arrived: at, attempts: 0, next: at, fault: None, is_dead: false, body }
}

fn later(at: Timestamp, ms: u64) -> Timestamp {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    Timestamp::from_unix_ms(at.unix_ms().saturating_add(ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::NoticeKind;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_ms(second * 1000)
    }

    fn told(id: &str, account: &str) -> Told {
        let mut notice = Notice::new(id, NoticeKind::Suspended, at(0));
        notice.account = Some(account.into());
        Told::of(notice)
    }

    fn queue(limits: Limits, digests: bool) -> Queue {
        Queue::new("pager", limits, Duration::from_secs(3 * 86_400), digests)
    }

    /// With events of accounts of their own, named by their places.
    fn filled(count: u64, limits: Limits, digests: bool) -> Queue {
        let mut queue = queue(limits, digests);
        for place in 0..count {
            let told = told(&place.to_string(), &place.to_string());
            assert!(queue.row(&told, place, at(0)).is_some());
            queue.add(told, place, at(0));
        }
        queue
    }

    #[test]
    fn what_failed_waits_from_a_second_up_to_a_quarter_of_an_hour() {
        let mut queue = filled(1, Limits::default(), false);
        let mut now = 0;
        for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
            assert_eq!(queue.next(at(now)), Next::Send(vec![0]));
            assert_eq!(queue.next(at(now)), Next::Idle, "it is under way");
            queue.failed(&[0], "it answers 500", at(now));
            assert_eq!(queue.next(at(now)), Next::Wait(at(now + pause)));
            now += pause;
        }
        assert_eq!(queue.last_fault(), Some("it answers 500"));
        assert_eq!(queue.next(at(now - 100_000)), Next::Send(vec![0]), "a clock set back");
    }

    #[test]
    fn one_that_always_fails_keeps_back_no_other() {
        let mut queue = filled(3, Limits::default(), false);
        assert_eq!(queue.next(at(0)), Next::Send(vec![0]));
        queue.failed(&[0], "no", at(0));
        assert_eq!(queue.next(at(0)), Next::Wait(at(1)), "whoever failed may be down");
        assert_eq!(queue.next(at(1)), Next::Send(vec![1]));
        queue.done(&[1], at(1));
        assert_eq!(queue.next(at(1)), Next::Send(vec![2]));
        queue.done(&[2], at(1));
        assert_eq!(queue.next(at(1)), Next::Send(vec![0]));
    }

    #[test]
    fn a_release_never_overtakes_its_suspension() {
        let mut queue = queue(Limits::default(), false);
        for (place, account) in [(0, "alice"), (1, "alice"), (2, "bob")] {
            queue.add(told(&place.to_string(), account), place, at(0));
        }
        assert_eq!(queue.next(at(0)), Next::Send(vec![0]));
        assert_eq!(queue.next(at(0)), Next::Send(vec![2]), "a second one at once");
        assert_eq!(queue.next(at(0)), Next::Idle);
        queue.failed(&[0], "no", at(0));
        queue.done(&[2], at(0));
        assert_eq!(queue.next(at(1)), Next::Send(vec![0]));
        queue.done(&[0], at(1));
        assert_eq!(queue.next(at(1)), Next::Send(vec![1]));
    }

    #[test]
    fn after_three_days_it_is_a_dead_letter() {
        let mut queue = filled(1, Limits::default(), false);
        for (second, dead) in [(0, 0), (3 * 86_400 - 1, 0), (3 * 86_400 + 1, 1)] {
            assert_eq!(queue.next(at(second)), Next::Send(vec![0]));
            assert_eq!(queue.failed(&[0], "no", at(second)).1, dead);
        }
        assert_eq!((queue.waiting(), queue.dead()), (0, 1));
        assert_eq!(queue.next(at(9_999_999)), Next::Idle);
        assert_eq!(queue.row(&told("0", "0"), 1, at(0)), None, "it is known");
    }

    #[test]
    fn both_bounds_hold_and_the_oldest_makes_room() {
        let limits = Limits { waiting: 3, dead: 2, ..Limits::default() };
        let mut queue = filled(3, limits, false);
        for place in 3..6 {
            let told = told(&place.to_string(), "x");
            assert!(!queue.add(told, place, at(0)).is_empty());
        }
        assert_eq!((queue.waiting(), queue.dead()), (3, 2));
        let gone = queue.add(told("6", "x"), 6, at(0));
        let removed: Vec<&str> =
            gone.iter().filter(|row| row.value.is_none()).map(|row| &*row.key).collect();
        assert_eq!(removed, ["pager/1"]);
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let mut queue = filled(2, Limits::default(), false);
        assert_eq!(queue.next(at(0)), Next::Send(vec![0]));
        let (rows, _) = queue.failed(&[0], "no", at(0));
        let mut kept: Vec<Row> = vec![queue.row(&told("9", "9"), 9, at(0)).expect("a row")];
        kept.extend(rows);
        let mut again = super::Queue::new("pager", Limits::default(), Duration::MAX, false);
        for row in &kept {
            assert!(again.load(row.value.as_deref().expect("a value")));
        }
        assert_eq!((again.waiting(), again.next_place(), again.last_fault()), (2, 10, Some("no")));
        assert_eq!(again.next(at(0)), Next::Send(vec![9]));
        assert_eq!(again.told(&[0]), [told("0", "0")]);
        assert!(!again.load("{}"));
    }

    #[test]
    fn beyond_five_mails_in_a_quarter_of_an_hour_one_has_the_rest() {
        let mut queue = filled(5, Limits::default(), true);
        for place in 0..5 {
            assert_eq!(queue.next(at(0)), Next::Send(vec![place]));
            queue.done(&[place], at(0));
        }
        for place in 5..12 {
            queue.add(told(&place.to_string(), "alice"), place, at(1));
        }
        assert_eq!(queue.next(at(1)), Next::Wait(at(900)));
        assert_eq!(queue.next(at(899)), Next::Wait(at(900)));
        assert_eq!(queue.next(at(900)), Next::Send((5..12).collect()));
        let rows = queue.done(&(5..12).collect::<Vec<_>>(), at(900));
        assert_eq!(rows.len(), 7);
        queue.add(told("12", "alice"), 12, at(901));
        assert_eq!(queue.next(at(901)), Next::Send(vec![12]));
    }

    #[test]
    fn one_mail_has_no_more_than_it_may() {
        let limits = Limits { digest_most: 6, ..Limits::default() };
        let mut queue = filled(8, limits, true);
        assert_eq!(queue.next(at(0)), Next::Send((0..6).collect()));
        queue.done(&[0, 1, 2, 3, 4, 5], at(0));
        assert_eq!(queue.next(at(0)), Next::Send(vec![6]));
    }
}
