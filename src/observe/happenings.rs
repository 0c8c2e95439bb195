//! Suspensions, and what else happened to accounts: counted, and a line in the log for each.

use crate::engine::{Census, Happened, Opened};
use crate::mail::Mode;
use crate::observe::Observer;
use crate::suspension::{Cause, State};

impl Observer {
    /// Counts and logs what came of a change.
    pub fn happened(&self, happened: &[Happened]) {
        happened.iter().for_each(|what| self.one_happened(what));
    }

    fn one_happened(&self, what: &Happened) {
        let metrics = &self.metrics.suspension;
        match what {
            Happened::Suspended { login, suspension, messages } => {
                let before = suspension.imposed.unix_ms() - suspension.since.unix_ms();
                metrics.imposed(suspension.test(), suspension.mode, before, *messages);
                let (id, login, mode) = (&*suspension.id, &**login, suspension.mode.as_str());
                let until = suspension.until.map(|until| until.to_string());
                let (by, test) = match &suspension.cause {
                    Cause::Found(finding) => ("detector", Some(finding.test.as_str())),
                    Cause::Person(by) => (&**by, None),
                };
                let found = suspension.finding().map(ToString::to_string);
                // A shadow stops nobody.
                if suspension.mode == Mode::Enforce {
                    tracing::warn!(id, login, mode, by, test, found, until, "suspended");
                } else {
                    tracing::info!(id, login, mode, by, test, found, until, "would be suspended");
                }
            }
            Happened::Ended { login, suspension, ending } => {
                metrics.ended(suspension.test(), suspension.mode, *ending);
                let (id, login, mode) = (&*suspension.id, &**login, suspension.mode.as_str());
                tracing::info!(id, login, mode, ending = ending.as_str(), "a suspension ended");
            }
            Happened::Noticed { login, grade } => {
                tracing::info!(
                    login = &**login,
                    grade = grade.as_str(),
                    "an account is conspicuous"
                );
            }
            Happened::BreakerOpened { mode, suspensions } => {
                if *mode == Mode::Enforce {
                    metrics.set_breaker(true);
                }
                tracing::error!(
                    suspensions,
                    mode = mode.as_str(),
                    "the breaker is open: nobody is suspended until it is reset (gatepost breaker reset)"
                );
            }
        }
    }

    /// How the accounts stand, and the breaker.
    pub fn counted(&self, census: &Census, breaker: Option<&Opened>, now_ms: i64) {
        let metrics = &self.metrics.suspension;
        let of = |state: State| {
            let place = State::ALL.iter().position(|known| *known == state);
            place.map_or(0, |place| census.accounts[place])
        };
        metrics.set_accounts(
            [
                State::Normal,
                State::Watched,
                State::Held,
                State::Suspended,
                State::Probation,
                State::Exempt,
            ]
            .map(of),
        );
        let age = census.oldest.map_or(0, |oldest| now_ms - oldest.unix_ms());
        metrics.set_incidents(of(State::Suspended), age);
        metrics.set_exemptions(census.exemptions);
        metrics.set_breaker(breaker.is_some());
    }
}
