//! What a directory tells of itself while it works, for those who count.

use std::any::Any;

/// How a lookup of an account or a recipient ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupResult {
    /// Asked of the directory just now.
    Fresh,
    /// From the cache.
    Cached,
    /// The directory does not know it, asked now or from the cache.
    Negative,
    /// The directory gave no good answer: the last known one was served.
    Stale,
    /// The directory gave no good answer, and none is known.
    Error,
    /// The directory gave no answer in time, and none is known.
    Timeout,
}

impl LookupResult {
    pub const ALL: [Self; 6] =
        [Self::Fresh, Self::Cached, Self::Negative, Self::Stale, Self::Error, Self::Timeout];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Cached => "cached",
            Self::Negative => "negative",
            Self::Stale => "stale",
            Self::Error => "error",
            Self::Timeout => "timeout",
        }
    }
}

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// TCP, TLS and bind.
    Connect,
    /// Below a base, by a filter.
    Search,
    /// One object by its DN.
    Read,
}

impl Operation {
    pub const ALL: [Self; 3] = [Self::Connect, Self::Search, Self::Read];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Search => "search",
            Self::Read => "read",
        }
    }
}

/// What is kept in a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Accounts,
    Recipients,
    /// Whether an account may write to a recipient that has lists.
    Restrictions,
    /// Logins and addresses that the directory does not know.
    Negatives,
}

impl Kept {
    pub const ALL: [Self; 4] =
        [Self::Accounts, Self::Recipients, Self::Restrictions, Self::Negatives];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Recipients => "recipients",
            Self::Restrictions => "restrictions",
            Self::Negatives => "negatives",
        }
    }
}

/// Told of what a directory does.
pub trait Meter: Send + Sync {
    fn lookup(&self, result: LookupResult);

    /// A request begins; it ends when what is returned is dropped.
    fn request(&self, operation: Operation) -> Box<dyn Any + Send>;

    /// Whether a server answers. `server` comes from the configuration or from DNS, as
    /// `ldaps://host:port`.
    fn server_up(&self, server: &str, up: bool);

    /// How many entries a cache holds.
    fn entries(&self, kept: Kept, number: u64);

    /// The age of an answer that was served beyond its freshness; the oldest of late counts. 0: the
    /// directory answers again.
    fn stale_age_ms(&self, age_ms: u64);
}

/// Counts nothing.
pub struct NoMeter;

impl Meter for NoMeter {
    fn lookup(&self, _: LookupResult) {}

    fn request(&self, _: Operation) -> Box<dyn Any + Send> {
        Box::new(())
    }

    fn server_up(&self, _: &str, _: bool) {}

    fn entries(&self, _: Kept, _: u64) {}

    fn stale_age_ms(&self, _: u64) {}
}
