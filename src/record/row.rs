//! What is kept beside the records: small values under a key, in a few tables, each of which has its owner.

/// What a row is of. The codes are those of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// What is told of a suspension, by its id.
    Incidents = 1,
    /// Accounts with something that stands or runs out, by account.
    Accounts = 2,
    /// Messages on hold, by MTA and queue id.
    Holds = 3,
    /// Events on their way to an action, by action and event.
    Deliveries = 4,
    /// Who did what, when and why, by time.
    Audit = 5,
    /// What was refused, by account and reason.
    Refusals = 6,
    /// Of the site as a whole, by name.
    Site = 7,
}

impl Table {
    pub const ALL: [Self; 7] = [
        Self::Incidents,
        Self::Accounts,
        Self::Holds,
        Self::Deliveries,
        Self::Audit,
        Self::Refusals,
        Self::Site,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Incidents => "incidents",
            Self::Accounts => "accounts",
            Self::Holds => "holds",
            Self::Deliveries => "deliveries",
            Self::Audit => "audit",
            Self::Refusals => "refusals",
            Self::Site => "site",
        }
    }
}

/// One value to put in place, or to take away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub table: Table,
    pub key: Box<str>,
    /// JSON; `None`: the row is removed.
    pub value: Option<Box<str>>,
}

impl Row {
    pub fn put(table: Table, key: &str, value: impl Into<Box<str>>) -> Self {
        Self { table, key: key.into(), value: Some(value.into()) }
    }

    /// One that is not there is no fault.
    pub fn remove(table: Table, key: &str) -> Self {
        Self { table, key: key.into(), value: None }
    }
}
