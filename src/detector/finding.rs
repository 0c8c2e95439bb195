//! A finding, and the sentence by which a help desk understands it.

use std::fmt;

use crate::detector::tests::{CEILING, GIANT, Severity, Test};
use crate::ledger::Meter;
use crate::mail::{Mode, Timestamp};

/// An account is not as it used to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    pub test: Test,
    pub severity: Severity,
    /// Observe: it is told and counted, and changes no reply.
    pub mode: Mode,
    /// What was counted, this message included; decayed, so not always whole.
    pub value: f32,
    /// The usual peak of a day; for `unknown-recipients` the usual share.
    pub usual: f32,
    /// From where on it is a finding.
    pub limit: f32,
    /// The first message of what was counted.
    pub since: Timestamp,
}

impl Finding {
    /// How far beyond its limit: 1 is just there.
    pub fn height(&self) -> f32 {
        self.value / self.limit
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = whole(self.value);
        match self.test {
            Test::Usual(meter) => {
                let (what, within) = words(meter);
                match what {
                    What::Counted(what) => {
                        write!(f, "{}{within}", what.replace("{}", &value.to_string()))?;
                    }
                    What::Told(what) => write!(f, "{what}{within}")?,
                }
                if let What::Told(_) = what {
                    let times = whole(self.value / self.usual);
                    write!(f, ", {times} times as much as is usual for it at its peak")
                } else {
                    write!(f, "; usual for it are at most {}", whole(self.usual))
                }
            }
            Test::Ceiling => write!(
                f,
                "wrote {value} messages to somebody new within a day; nobody who is honest writes {}",
                whole(CEILING)
            ),
            Test::Giant => write!(f, "wrote one message to {value} recipients, more than {GIANT}"),
            Test::UnknownRecipients => write!(
                f,
                "wrote to {value} recipients that do not exist within 15 minutes; usual for it are \
                 {} in a hundred",
                whole(self.usual * 100.0)
            ),
        }
    }
}

enum What {
    /// A count to fill in.
    Counted(&'static str),
    /// No count that would say anything to a person.
    Told(&'static str),
}

fn words(meter: Meter) -> (What, &'static str) {
    use What::{Counted, Told};
    match meter {
        Meter::Messages2m => (Counted("sent {} messages"), " within 2 minutes"),
        Meter::Messages2h => (Counted("sent {} messages"), " within 2 hours"),
        Meter::Novel2m => (Counted("wrote {} messages to somebody new"), " within 2 minutes"),
        Meter::Novel2h => (Counted("wrote {} messages to somebody new"), " within 2 hours"),
        Meter::Novel1d => (Counted("wrote {} messages to somebody new"), " within a day"),
        Meter::Distant15m => {
            (Counted("wrote to {} recipients it had not just written to"), " within 15 minutes")
        }
        Meter::Distant1d => (
            Counted("wrote to {} recipients it had not written to the day before"),
            " within a day",
        ),
        Meter::Distant1dRest => (
            Counted("wrote to {} recipients it had not written to the day before"),
            " within a day, the largest message not counted",
        ),
        Meter::Strangers2h => {
            (Counted("wrote to {} people it never wrote to before"), " within 2 hours")
        }
        Meter::New7dRest => (
            Counted("wrote to {} people it never wrote to before"),
            " within 7 days, the largest message not counted",
        ),
        Meter::Breadth2h => {
            (Told("wrote messages to several people it never wrote to before"), " within 2 hours")
        }
        Meter::Breadth2hRest => (
            Told("wrote one message after the other to several people it never wrote to before"),
            " within 2 hours",
        ),
        Meter::Mixture15m => (
            Told("wrote to people together whom it never addressed together before"),
            " within 15 minutes",
        ),
        Meter::Mixture15mRest => (
            Told(
                "wrote one message after the other to people together whom it never addressed \
                 together before",
            ),
            " within 15 minutes",
        ),
        Meter::Blend15m => (
            Counted("wrote {} messages, each to many people it never addressed together before"),
            " within 15 minutes",
        ),
        Meter::Scatter15mRest => (
            Counted("wrote to {} people in mixtures it never addressed before"),
            " within 15 minutes, the largest message not counted",
        ),
        Meter::Networks1h => (Counted("sent from {} networks"), " within an hour"),
    }
}

/// A message or two are never shown as fractions.
fn whole(value: f32) -> u32 {
    // Bounded by what a counter can hold.
    value.round().max(1.0) as u32
}
