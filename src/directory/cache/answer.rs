//! What a directory answers, and what is then known of a key.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::directory::cache::entry::Entry;

/// A lookup, polled by a task of its own.
pub type Fetch<V> = Pin<Box<dyn Future<Output = Result<Outcome<V>, Trouble>> + Send>>;

/// Why there is no value, as the directory says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    NotFound,
    Ambiguous,
}

/// A good answer of the directory: complete, and sure of itself.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<V> {
    Found(V),
    Absent(Absent),
}

/// The directory gave no good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// In words for the log.
    Fault(String),
    Timeout,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fault(text) => text,
            Self::Timeout => "no answer in time",
        })
    }
}

/// A value, and how long ago the directory was asked for it.
#[derive(Debug, PartialEq, Eq)]
pub struct Found<V> {
    pub value: Arc<V>,
    pub age_ms: u64,
}

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Known<V> {
    Found(Found<V>),
    Absent(Absent),
    Unknown(Trouble),
}

/// How a lookup ended, for all who wait for it.
pub enum Landed<V> {
    Found(Arc<Entry<V>>),
    /// The directory no longer finds it, which is not yet believed.
    Missing(Arc<Entry<V>>),
    Absent(Absent),
    Trouble(Trouble),
}

impl<V> Clone for Landed<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Found(entry) => Self::Found(Arc::clone(entry)),
            Self::Missing(entry) => Self::Missing(Arc::clone(entry)),
            Self::Absent(why) => Self::Absent(*why),
            Self::Trouble(trouble) => Self::Trouble(trouble.clone()),
        }
    }
}

impl<V> Landed<V> {
    /// A lookup that was given up by whoever saw to it.
    pub fn unanswered() -> Self {
        Self::Trouble(Trouble::Fault("the lookup ended without an answer".into()))
    }
}
