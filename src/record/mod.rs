//! The record kept for one account, and what a change of it commits.

use crate::ledger::Usage;

/// Everything the store keeps of one account.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Record {
    pub usage: Usage,
}

/// Something that must be acted on at least once, committed together with the record that caused it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Names the event for good, so that acting on it twice can be noticed.
    pub id: Box<str>,
    /// What happened; JSON.
    pub body: Box<str>,
}

/// The outcome of judging one question on one record.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Change {
    /// `None`: the record stays as it is.
    pub record: Option<Record>,
    pub events: Vec<Event>,
}
