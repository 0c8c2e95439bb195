//! The ways of an account: suspended, released, on probation, exempt, noticed. Each change of a record goes one of
//! [`State::may_become`]'s ways.

use crate::ledger::Meter;
use crate::mail::{Mode, Timestamp};
use crate::record::Record;
use crate::suspension::{
    Ending, Exemption, Grade, Life, PROBATION_MS, Probation, State, Suspension, Verdict,
};

impl Record {
    /// How the account stands. A shadow counts for nothing: it changes no reply.
    pub fn state(&self, at: Timestamp) -> State {
        let life = self.life.as_deref();
        if self.suspended(at).is_some() {
            State::Suspended
        } else if life.is_some_and(|life| life.exemption(at).is_some()) {
            State::Exempt
        } else if life.is_some_and(|life| life.on_probation(at).is_some()) {
            State::Probation
        } else {
            match life.and_then(|life| life.watch(at)).map(|watch| watch.grade) {
                Some(Grade::Held) => State::Held,
                Some(Grade::Watched) => State::Watched,
                None => State::Normal,
            }
        }
    }

    /// The suspension that stands at `at`, or the shadow of one.
    pub fn in_force(&self, at: Timestamp) -> Option<&Suspension> {
        self.suspension.as_deref().filter(|suspension| suspension.is_in_force(at))
    }

    /// The suspension that stands and refuses.
    pub fn suspended(&self, at: Timestamp) -> Option<&Suspension> {
        self.in_force(at).filter(|suspension| suspension.mode == Mode::Enforce)
    }

    /// Something stands for or against the account, or will run out.
    pub fn is_of_note(&self) -> bool {
        let life = self.life.as_deref();
        self.suspension.is_some()
            || life.is_some_and(|life| {
                life.probation.is_some() || life.exemption.is_some() || life.watch.is_some()
            })
    }

    /// How often the account was suspended shortly before.
    pub fn step(&self, at: Timestamp) -> u8 {
        self.life.as_deref().map_or(0, |life| life.step(at))
    }

    pub fn suspend(&mut self, suspension: Suspension) {
        if suspension.mode == Mode::Enforce {
            self.alter(|life| (life.watch, life.probation) = (None, None));
        }
        self.suspension = Some(Box::new(suspension));
    }

    /// Ends the suspension, whether it still stands or its time is over. What was sent before is forgiven, and what a
    /// thief taught forgotten; `readings` of a false alarm are usual from now on. The end of a shadow forgives
    /// nothing, since what only observes may change no reply.
    pub fn lift(
        &mut self,
        ending: Ending,
        readings: &[(Meter, f32)],
        has_probation: bool,
        at: Timestamp,
    ) -> Option<Suspension> {
        let lifted = *self.suspension.take()?;
        let is_shadow = lifted.mode == Mode::Observe;
        if is_shadow && ending == Ending::Expired {
            return Some(lifted);
        }
        if ending == Ending::Released(Verdict::TruePositive) {
            self.usage.unlearn();
        } else {
            self.usage.forgive();
        }
        if ending.is_false_alarm() {
            for (meter, height) in readings {
                self.usage.learn_false_alarm(*meter, *height);
            }
        }
        self.alter(|life| {
            life.watch = None;
            if !ending.is_false_alarm() && !is_shadow {
                life.count_repeat(at);
            }
            if has_probation && !is_shadow {
                let until = Timestamp::from_unix_ms(at.unix_ms().saturating_add(PROBATION_MS));
                life.probation = Some(Probation { until, is_strict: !ending.is_false_alarm() });
            }
        });
        Some(lifted)
    }

    /// Spares tests from now on. A suspension that stands is lifted by it.
    pub fn exempt(
        &mut self,
        exemption: Exemption,
        readings: &[(Meter, f32)],
        has_probation: bool,
        at: Timestamp,
    ) -> Option<Suspension> {
        self.alter(|life| life.exemption = Some(exemption));
        self.lift(Ending::Exempted, readings, has_probation, at)
    }

    /// The exemption that was in force, and is no more.
    pub fn end_exemption(&mut self, at: Timestamp) -> Option<Exemption> {
        let ended = self.life.as_deref()?.exemption(at).copied();
        self.alter(|life| life.exemption = None);
        ended
    }

    /// Ends a suspension whose time is over.
    pub fn expire(&mut self, has_probation: bool, at: Timestamp) -> Option<Suspension> {
        self.suspension.as_ref().filter(|suspension| !suspension.is_in_force(at))?;
        self.lift(Ending::Expired, &[], has_probation, at)
    }

    /// Adds how the same account stands under another key. Of two suspensions the own one goes on, unless it is a
    /// shadow and the other refuses. Added twice it is as added once.
    pub fn merge_standing(&mut self, other: &Self, at: Timestamp) {
        let refuses = self.suspended(at).is_some();
        if !refuses && (self.in_force(at).is_none() || other.suspended(at).is_some()) {
            let others = other.in_force(at).cloned().map(Box::new);
            self.suspension = others.or(self.suspension.take());
        }
        if let Some(others) = &other.life {
            self.alter(|life| {
                life.settle(at);
                life.merge(others);
            });
        }
    }

    /// True where it is news.
    pub fn notice(&mut self, grade: Grade, at: Timestamp) -> bool {
        let mut is_news = false;
        self.alter(|life| is_news = life.notice(grade, at));
        is_news
    }

    /// So many recipients were sent to on an exemption that counts them.
    pub fn use_exemption(&mut self, recipients: u32) {
        let counts = |life: &Life| life.exemption.is_some_and(|known| known.recipients.is_some());
        if self.life.as_deref().is_some_and(counts) {
            self.alter(|life| {
                if let Some(exemption) = &mut life.exemption {
                    exemption.used = exemption.used.saturating_add(recipients);
                }
            });
        }
    }

    pub(super) fn settle_life(&mut self, at: Timestamp) {
        if self.life.is_some() {
            self.alter(|life| life.settle(at));
        }
    }

    fn alter(&mut self, change: impl FnOnce(&mut Life)) {
        let mut life = self.life.take().unwrap_or_default();
        change(&mut life);
        self.life = Some(life).filter(|life| **life != Life::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::Spares;
    use crate::suspension::{State, WATCH_MS};

    const HOUR: i64 = 3_600_000;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    fn suspension(at: Timestamp, lasts: Option<i64>) -> Suspension {
        let until = lasts.map(|lasts| Timestamp::from_unix_ms(at.unix_ms() + lasts));
        Suspension::by_person("0123456789AB", "carol", until, at)
    }

    fn exemption(until: i64) -> Exemption {
        Exemption { spares: Spares::Everything, until: at(until), recipients: None, used: 0 }
    }

    /// A record that stands so at 0, and for at least an hour.
    fn standing(state: State) -> Record {
        let mut record = Record::default();
        match state {
            State::Normal => {}
            State::Watched => assert!(record.notice(Grade::Watched, at(0))),
            State::Held => assert!(record.notice(Grade::Held, at(0))),
            State::Probation => {
                record.suspend(suspension(at(-9), None));
                record.lift(Ending::Released(Verdict::TruePositive), &[], true, at(0));
            }
            State::Exempt => {
                record.exempt(exemption(2 * HOUR), &[], true, at(0));
            }
            State::Suspended => record.suspend(suspension(at(0), None)),
        }
        assert_eq!(record.state(at(0)), state);
        record
    }

    type Happening = (&'static str, fn(&mut Record, i64));

    /// What may happen to a record, at a moment.
    fn happenings() -> Vec<Happening> {
        vec![
            ("watched", |record, ms| _ = record.notice(Grade::Watched, at(ms))),
            ("held", |record, ms| _ = record.notice(Grade::Held, at(ms))),
            ("suspended", |record, ms| record.suspend(suspension(at(ms), Some(HOUR)))),
            ("released as stolen", |record, ms| {
                record.lift(Ending::Released(Verdict::TruePositive), &[], true, at(ms));
            }),
            ("released as false", |record, ms| {
                record.lift(Ending::Released(Verdict::FalsePositive), &[], true, at(ms));
            }),
            ("exempt", |record, ms| _ = record.exempt(exemption(ms + HOUR), &[], true, at(ms))),
            ("exempt no more", |record, ms| _ = record.end_exemption(at(ms))),
        ]
    }

    /// Where one happening at once leads from each state. A message is not judged while its account is suspended, so it
    /// is neither noticed then; what is noticed of an exempt account shows when the exemption ends.
    #[test]
    fn every_way_there_is() {
        use State::{Exempt, Held, Normal, Probation, Suspended, Watched};
        let expected = [
            (Normal, [Watched, Held, Suspended, Normal, Normal, Exempt, Normal]),
            (Watched, [Watched, Held, Suspended, Watched, Watched, Exempt, Watched]),
            (Held, [Held, Held, Suspended, Held, Held, Exempt, Held]),
            (Probation, [Probation, Probation, Suspended, Probation, Probation, Exempt, Probation]),
            (Exempt, [Exempt, Exempt, Suspended, Exempt, Exempt, Exempt, Normal]),
            (Suspended, [Suspended, Suspended, Suspended, Probation, Probation, Exempt, Suspended]),
        ];
        for (from, to) in expected {
            for ((what, happen), to) in happenings().into_iter().zip(to) {
                let mut record = standing(from);
                happen(&mut record, 1);
                assert_eq!(record.state(at(1)), to, "{from:?}, then {what}");
                assert!(from == to || from.may_become(to), "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn each_pair_is_allowed_or_forbidden_as_the_life_cycle_says() {
        use State::{Held, Normal, Probation, Suspended, Watched};
        let forbidden = [
            (Normal, Probation),
            (Watched, Probation),
            (Held, Probation),
            (Held, Watched),
            (Suspended, Normal),
            (Suspended, Watched),
            (Suspended, Held),
        ];
        for from in State::ALL {
            for to in State::ALL {
                let expected = from == to || !forbidden.contains(&(from, to));
                assert_eq!(from == to || from.may_become(to), expected, "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn each_state_is_left_with_time() {
        let later = |state, ms: i64| {
            let mut record = standing(state);
            record.expire(true, at(ms));
            record.advance(at(ms));
            record.state(at(ms))
        };
        assert_eq!(later(State::Watched, WATCH_MS - 1), State::Watched);
        assert_eq!(later(State::Watched, WATCH_MS), State::Normal);
        assert_eq!(later(State::Held, WATCH_MS), State::Normal);
        assert_eq!(later(State::Probation, PROBATION_MS - 1), State::Probation);
        assert_eq!(later(State::Probation, PROBATION_MS), State::Normal);
        assert_eq!(later(State::Exempt, 2 * HOUR), State::Normal);
        assert_eq!(later(State::Suspended, i64::MAX), State::Suspended);
        let mut record = Record::default();
        record.suspend(suspension(at(0), Some(HOUR)));
        assert_eq!(record.expire(true, at(HOUR - 1)), None);
        assert!(record.expire(true, at(HOUR)).is_some());
        assert_eq!(record.state(at(HOUR)), State::Probation);
    }

    #[test]
    fn only_a_release_as_stolen_or_an_expiry_makes_the_next_one_last_longer() {
        for (ending, step, is_strict) in [
            (Ending::Released(Verdict::TruePositive), 1, true),
            (Ending::Expired, 1, true),
            (Ending::Released(Verdict::FalsePositive), 0, false),
            (Ending::Released(Verdict::AuthorisedBulk), 0, false),
            (Ending::Exempted, 0, false),
        ] {
            let mut record = standing(State::Suspended);
            assert!(record.lift(ending, &[], true, at(5)).is_some());
            assert_eq!(record.step(at(6)), step, "{ending:?}");
            let life = record.life.expect("a probation");
            let probation = life.on_probation(at(6)).expect("no immunity");
            assert_eq!(probation.is_strict, is_strict, "{ending:?}");
        }
    }

    proptest::proptest! {
        /// Whatever happens in whatever order: no state is reached by a forbidden way.
        #[test]
        fn no_forbidden_way_is_ever_gone(
            steps in proptest::collection::vec((0_usize..7, 0_i64..3 * WATCH_MS), 1..40)
        ) {
            let (mut record, mut now) = (Record::default(), 0);
            for (which, wait) in steps {
                // Time alone: what is over ends one by one.
                let before = record.state(at(now));
                now += wait;
                record.expire(true, at(now));
                record.advance(at(now));
                let waited = record.state(at(now));
                let ended = before == State::Exempt || before == State::Suspended;
                proptest::prop_assert!(before == waited || ended || before.may_become(waited));
                let is_judged = waited != State::Suspended;
                if is_judged || which >= 2 {
                    happenings()[which].1(&mut record, now);
                }
                let after = record.state(at(now));
                proptest::prop_assert!(waited == after || waited.may_become(after), "{:?} {:?}", waited, after);
            }
        }
    }
}
