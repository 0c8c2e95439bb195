//! The detector on small lives of accounts.

use super::*;
use crate::ledger::{HashKey, Hashed, Message};
use crate::mail::Address;
use proptest::prelude::*;

const DAY: i64 = 86_400;

fn settings(budget: Budget) -> Settings {
    Settings {
        mode: Mode::Enforce,
        hold: Mode::Enforce,
        networks: Mode::Enforce,
        budget,
        tests: Vec::new(),
    }
}

fn people(names: impl IntoIterator<Item = u32>) -> Vec<Hashed> {
    let key = HashKey::default();
    let hash = |n: u32| key.address(&Address::from_internal(format!("p{n}@x.test").as_bytes()));
    let mut hashes: Vec<_> = names.into_iter().map(hash).collect();
    hashes.sort_unstable();
    hashes
}

/// One account and what was found at each of its messages.
struct Life {
    usage: Usage,
    settings: Settings,
    class: Class,
    terms: Terms,
    key: u64,
}

impl Life {
    fn new() -> Self {
        let (usage, settings) = (Usage::default(), settings(Budget::One));
        Self { usage, settings, class: Class::Person, terms: Terms::default(), key: 0 }
    }

    /// Three messages a day to one of ten friends, for so many days.
    fn quiet(mut self, days: i64) -> Self {
        for day in 0..days {
            for hour in [9, 13, 16] {
                let friend = people([(day * 3 + hour) as u32 % 10]);
                assert_eq!(self.send(&friend, day * DAY + hour * 3600).enforced, None);
            }
        }
        self
    }

    fn send(&mut self, to: &[Hashed], seconds: i64) -> Inspection {
        let at = Timestamp::from_unix_ms(1_700_006_400_000 + seconds * 1000);
        self.key += 1;
        let count = to.len() as u32;
        let key = self.key;
        let message =
            Message { key, part: None, recipients: to, count, likeness: None, network: None };
        self.usage.advance(at);
        let weight = self.usage.weigh(&message, at);
        let before = self.usage.counters().clone();
        self.usage.count(&weight);
        let found = inspect(&self.settings, self.class, self.terms, &self.usage, &weight);
        if found.enforced.is_some_and(|finding| finding.severity == Severity::Suspend) {
            self.usage.set_counters(before);
        } else {
            self.usage.take_in(&message, &weight, 0, at);
        }
        found
    }
}

fn severity(found: Inspection) -> Option<Severity> {
    found.enforced.map(|finding| finding.severity)
}

#[test]
fn a_thief_is_held_from_the_third_and_suspended_by_the_sixth_message() {
    let mut life = Life::new().quiet(30);
    let found: Vec<_> =
        (0..6).map(|n| severity(life.send(&people([1000 + n]), 31 * DAY + i64::from(n)))).collect();
    assert_eq!(found[..2], [None, None]);
    assert_eq!(found[2], Some(Severity::Hold));
    assert_eq!(found[5], Some(Severity::Suspend));
}

#[test]
fn messages_of_a_hundred_recipients_leak_nothing() {
    let mut life = Life::new().quiet(30);
    let first = life.send(&people(1000..1100), 31 * DAY);
    assert_eq!(severity(first), Some(Severity::Hold));
    let later: Vec<_> = (1..6)
        .map(|n| {
            severity(
                life.send(&people(1000 + n * 100..1100 + n * 100), 31 * DAY + 20 * i64::from(n)),
            )
        })
        .collect();
    assert!(later.iter().all(Option::is_some));
    assert!(later.contains(&Some(Severity::Suspend)));
}

#[test]
fn an_announcement_to_all_staff_never_suspends() {
    for size in [50, 200, 500, 501, 5000] {
        let mut life = Life::new().quiet(30);
        let found = life.send(&people(0..size), 31 * DAY);
        assert_ne!(severity(found), Some(Severity::Suspend), "{size}");
    }
    let mut life = Life::new();
    life.settings.hold = Mode::Off;
    let only_giants = |size| {
        let mut life = Life::new();
        life.class = Class::Person;
        life.send(&people(0..size), 0).enforced.map(|finding| finding.test)
    };
    assert_ne!(only_giants(500), Some(Test::Giant));
    assert!(only_giants(501).is_some());
}

#[test]
fn a_bulk_sender_is_asked_no_test_of_its_recipients() {
    let mut life = Life::new();
    life.class = Class::Bulk;
    for message in 0..30_u32 {
        let found =
            life.send(&people(message * 100..message * 100 + 100), i64::from(message) * 3600);
        assert_eq!(found.enforced, None);
    }
}

#[test]
fn the_ceiling_rises_with_nobody() {
    let mut life = Life::new();
    life.settings.tests = Meter::ALL.map(|meter| (Test::Usual(meter), Mode::Off)).to_vec();
    let mut suspended = 0;
    for n in 0..60_u32 {
        let found = life.send(&people([n]), i64::from(n));
        suspended = if found.enforced.is_some() { n + 1 } else { suspended };
    }
    assert_eq!(suspended, 60);
}

#[test]
fn recipients_that_do_not_exist_are_evidence() {
    let mut life = Life::new().quiet(30);
    life.settings.tests = vec![(Test::UnknownRecipients, Mode::Enforce)];
    let at = Timestamp::from_unix_ms(1_700_006_400_000 + 31 * DAY * 1000);
    let found: Vec<_> = (0..5)
        .map(|_| {
            life.usage.advance(at);
            life.usage.count_unknown(1, at);
            severity(inspect(
                &life.settings,
                Class::Person,
                Terms::default(),
                &life.usage,
                &Weight::default(),
            ))
        })
        .collect();
    assert_eq!(found, [None, None, None, None, Some(Severity::Suspend)]);
}

#[test]
fn a_sentence_says_what_was_seen_and_what_is_usual() {
    let mut life = Life::new().quiet(30);
    let finding = (0..6)
        .find_map(|n| life.send(&people([1000 + n]), 31 * DAY + i64::from(n)).enforced)
        .expect("held");
    assert_eq!(
        finding.to_string(),
        "wrote 3 messages to somebody new within 2 minutes; usual for it are at most 1"
    );
}

#[test]
fn every_test_has_a_word_and_a_code_of_its_own() {
    for test in Test::ALL {
        assert_eq!(Test::parse(test.as_str()), Some(test));
        assert_eq!(Test::from_code(test.code()), Some(test));
    }
    assert_eq!(Test::from_code(20), None);
}

proptest! {
    /// A test that observes, or is off, changes nothing of what is enforced but by not being there.
    #[test]
    fn an_observing_test_finds_nothing_that_counts(
        sizes in prop::collection::vec((1_u32..60, 0_i64..5000), 1..30),
        observing in 0_usize..Test::ALL.len(),
    ) {
        let test = Test::ALL[observing];
        let mut life = Life::new();
        life.settings.tests = vec![(test, Mode::Observe)];
        let (mut seconds, mut next) = (0, 0);
        for (size, pause) in sizes {
            seconds += pause;
            let found = life.send(&people(next..next + size), seconds);
            next += size;
            prop_assert!(found.enforced.is_none_or(|finding| finding.test != test));
            prop_assert!(found.observed.is_none_or(|finding| finding.mode == Mode::Observe));
        }
        life.settings.mode = Mode::Observe;
        life.settings.hold = Mode::Observe;
        let found = life.send(&people(90_000..90_600), seconds + 1);
        prop_assert_eq!(found.enforced, None);
        prop_assert!(found.observed.is_some());
    }

    /// A larger budget never finds less.
    #[test]
    fn a_larger_budget_finds_more(sizes in prop::collection::vec((1_u32..30, 0_i64..900), 1..30)) {
        let mut lives: Vec<_> = Budget::ALL
            .into_iter()
            .map(|budget| { let mut life = Life::new(); life.settings = settings(budget); life })
            .collect();
        let (mut seconds, mut next) = (0, 0);
        for (size, pause) in sizes {
            seconds += pause;
            let to = people(next..next + size);
            next += size;
            let found: Vec<_> =
                lives.iter_mut().map(|life| severity(life.send(&to, seconds))).collect();
            prop_assert!(found.windows(2).all(|pair| pair[0] <= pair[1]));
            if found.contains(&Some(Severity::Suspend)) {
                break;
            }
        }
    }
}
