//! Is this login still its owner? Its counters against its own usual peaks, its limits, and what
//! follows: a pure function of the ledger.

mod finding;
mod tests;

use crate::ledger::{Counter, Meter, Usage, Weight};
use crate::mail::{Mode, Timestamp};

pub use finding::Finding;
pub use tests::{
    Budget, CEILING, GIANT, HELD_DAYS_PER_1000, Limit, Severity, Test, holds_at, suspends_at,
};

use tests::{UNKNOWN, UNKNOWN_PRIOR};

/// The decay within a burst must not rob the floor of its last message.
const FLOOR_TOLERANCE: f32 = 0.05;

/// From this share of a limit on an account is watched.
pub const WATCHED: f32 = 0.8;

/// `[detector]`
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Of findings that suspend; off: nothing is tested at all.
    pub mode: Mode,
    /// Of findings that hold.
    pub hold: Mode,
    /// At most this, for clients without a login.
    pub networks: Mode,
    pub budget: Budget,
    /// At most this, for single tests.
    pub tests: Vec<(Test, Mode)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::Observe,
            hold: Mode::Observe,
            networks: Mode::Observe,
            budget: Budget::default(),
            tests: Vec::new(),
        }
    }
}

/// Whose counters they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Person,
    /// Sends to many by trade: no test of its recipients is asked.
    Bulk,
    /// A client that relays without a login.
    Client,
}

impl Class {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Bulk => "bulk",
            Self::Client => "client",
        }
    }
}

impl Settings {
    /// How far a test of this severity may go.
    pub fn mode_of(&self, test: Test, severity: Severity, class: Class) -> Mode {
        if self.mode == Mode::Off || (class == Class::Bulk && test.is_of_recipients()) {
            return Mode::Off;
        }
        let unless_set = if test.is_unmeasured() { Mode::Observe } else { Mode::Enforce };
        let own = self.tests.iter().find(|(set, _)| *set == test).map_or(unless_set, |set| set.1);
        let by_severity = match severity {
            Severity::Hold => self.hold,
            Severity::Suspend => self.mode,
        };
        let by_class = if class == Class::Client { self.networks } else { Mode::Enforce };
        own.min(by_severity).min(by_class)
    }
}

/// On what terms an account is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// Its limits are so many times the usual ones.
    pub strictness: f32,
    pub spares: Spares,
}

impl Default for Terms {
    fn default() -> Self {
        Self { strictness: 1.0, spares: Spares::Nothing }
    }
}

/// Which tests are not asked of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spares {
    Nothing,
    /// Those that count whom its messages go to.
    Recipients,
    Everything,
}

/// Below this no probation lowers a limit: who answers two letters is no thief.
const LOWEST: f32 = 3.0;

impl Terms {
    const fn spares(self, test: Test) -> bool {
        match self.spares {
            Spares::Nothing => false,
            Spares::Recipients => test.is_of_recipients(),
            Spares::Everything => true,
        }
    }

    fn limit(self, usual: f32) -> f32 {
        (usual * self.strictness).max(LOWEST.min(usual))
    }
}

/// What the tests found.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Inspection {
    /// The severest that counts, of several the highest above its limit.
    pub enforced: Option<Finding>,
    /// The severest that only observes.
    pub observed: Option<Finding>,
    /// The test that suspends which is nearest to its limit, and the share of it that is reached.
    pub nearest: Option<(Test, f32)>,
    /// What each meter reads, in the order of [`Meter::ALL`].
    pub readings: [f32; Meter::ALL.len()],
}

impl Inspection {
    /// Above 80 % of a limit that suspends.
    pub fn is_watched(&self) -> bool {
        self.nearest.is_some_and(|(_, share)| share >= WATCHED)
    }

    fn take(&mut self, finding: Finding) {
        let place = match finding.mode {
            Mode::Off => return,
            Mode::Observe => &mut self.observed,
            Mode::Enforce => &mut self.enforced,
        };
        let rank = |finding: &Finding| (finding.severity, finding.height());
        if place.is_none_or(|known| rank(&known) < rank(&finding)) {
            *place = Some(finding);
        }
    }
}

/// Tests an account whose counters stand as if the message of this weight had been sent.
pub fn inspect(
    settings: &Settings,
    class: Class,
    terms: Terms,
    usage: &Usage,
    weight: &Weight,
) -> Inspection {
    let mut found = Inspection::default();
    if settings.mode == Mode::Off {
        return found;
    }
    let mut inspecting = Inspecting { settings, class, terms, usage, found: &mut found };
    for meter in Meter::ALL {
        inspecting.found.readings[meter as usize] = meter.read(usage.counters());
        if let Some(limit) = suspends_at(meter, settings.budget) {
            inspecting.compare(meter, Severity::Suspend, limit);
        }
        if let Some(limit) = holds_at(meter) {
            inspecting.compare(meter, Severity::Hold, limit);
        }
    }
    inspecting.check_ceiling();
    inspecting.check_giant(weight);
    inspecting.check_unknown();
    found
}

struct Inspecting<'a> {
    settings: &'a Settings,
    class: Class,
    terms: Terms,
    usage: &'a Usage,
    found: &'a mut Inspection,
}

impl Inspecting<'_> {
    fn compare(&mut self, meter: Meter, severity: Severity, limit: Limit) {
        let test = Test::Usual(meter);
        let mode = self.mode_of(test, severity);
        if mode == Mode::Off {
            return;
        }
        let (value, usual) = (meter.read(self.usage.counters()), self.usage.scale().usual(meter));
        // Of a login seen on few days nobody knows yet whom it writes to. It can be held, which is soon over.
        let doubt = match severity {
            Severity::Suspend if meter.is_of_new_recipients() => self.usage.scale().doubt(),
            _ => 1.0,
        };
        let limit = (limit.ratio * usual * doubt).max(limit.floor - FLOOR_TOLERANCE);
        let limit = self.terms.limit(limit);
        let share = value / limit;
        if severity == Severity::Suspend && self.found.nearest.is_none_or(|(_, most)| most < share)
        {
            self.found.nearest = Some((test, share));
        }
        if share >= 1.0 {
            let since = self.since(meter.counter());
            self.found.take(Finding { test, severity, mode, value, usual, limit, since });
        }
    }

    /// No learning raises it.
    fn check_ceiling(&mut self) {
        let mode = self.mode_of(Test::Ceiling, Severity::Suspend);
        let value = self.usage.counters().of(Counter::Novel1d);
        let usual = self.usage.scale().usual(Meter::Novel1d);
        if value >= CEILING - FLOOR_TOLERANCE {
            let (test, severity) = (Test::Ceiling, Severity::Suspend);
            let since = self.since(Counter::Novel1d);
            self.found.take(Finding { test, severity, mode, value, usual, limit: CEILING, since });
        }
    }

    fn check_giant(&mut self, weight: &Weight) {
        if weight.count > GIANT && !weight.is_retry {
            self.found.take(Finding {
                test: Test::Giant,
                severity: Severity::Hold,
                mode: self.mode_of(Test::Giant, Severity::Hold),
                value: weight.count as f32,
                usual: self.usage.scale().usual(Meter::Distant15m),
                limit: GIANT as f32,
                since: self.since(Counter::Messages2m),
            });
        }
    }

    /// Addresses that do not exist are what a thief's list is full of, and hardly ever an owner's.
    fn check_unknown(&mut self) {
        let counters = self.usage.counters();
        let value = counters.of(Counter::Unknown15m);
        let share = value / (value + counters.of(Counter::Accepted15m)).max(1.0);
        let usual = (counters.of(Counter::Unknown30d) - value + UNKNOWN_PRIOR.0)
            / (counters.of(Counter::Unknown30d) - value
                + counters.of(Counter::Accepted30d)
                + UNKNOWN_PRIOR.1);
        if value >= UNKNOWN.floor - FLOOR_TOLERANCE && share >= (UNKNOWN.ratio * usual).min(0.9) {
            let (test, severity) = (Test::UnknownRecipients, Severity::Suspend);
            let mode = self.mode_of(test, severity);
            let since = self.since(Counter::Unknown15m);
            self.found.take(Finding {
                test,
                severity,
                mode,
                value,
                usual,
                limit: UNKNOWN.floor,
                since,
            });
        }
    }

    fn mode_of(&self, test: Test, severity: Severity) -> Mode {
        if self.terms.spares(test) {
            return Mode::Off;
        }
        self.settings.mode_of(test, severity, self.class)
    }

    fn since(&self, counter: Counter) -> Timestamp {
        self.usage.counters().since(counter)
    }
}

#[cfg(test)]
mod unit;
