//! What a slow directory said is kept for a while, and its last answer for longer.

use std::path::PathBuf;
use std::time::Duration;

mod answer;
mod entry;
mod flights;
mod guard;
#[cfg(test)]
mod kit;
mod memory;
#[cfg(test)]
mod properties;
pub mod snapshot;
mod upkeep;

pub use answer::{Absent, Fetch, Found, Known, Outcome, Trouble};
pub use entry::is_within;
pub use memory::{Cache, Clock, FLIGHT_LIMIT, Limits};
pub use upkeep::Remembered;

/// `[directory.cache]`, but `on-failure`, which is a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// For this long an answer is given without asking the directory again.
    pub fresh: Duration,
    /// For this long the last answer is given while the directory does not answer.
    pub serve_stale: Duration,
    /// For this long a login or an address counts as unknown without asking again.
    pub negative: Duration,
    /// Logins kept at once.
    pub accounts: usize,
    /// Recipient addresses kept at once.
    pub recipients: usize,
    /// Where the last answers outlive a restart; `None`: nowhere.
    pub snapshot: Option<PathBuf>,
    /// How often the directory is asked for changes; `None`: never.
    pub watch: Option<Duration>,
}
