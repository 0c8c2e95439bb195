//! What would have happened: past mail through the engine, at several budgets side by side.

mod known;
mod page;
mod replay;
mod report;
mod run;
mod tally;

pub use known::{Compromise, Known, KnownFault};
pub use replay::{Outcome, Replay, Terms, Verdict};
pub use report::{LEAST_COVERAGE, Names, Report};
pub use run::{Each, Plan, RunFault, Trial, run};
pub use tally::{Person, Suspended, Tally};
