//! Who did what, when and why. Append-only: one row each, in the order of time.

use serde::{Deserialize, Serialize};

use crate::ledger::HashKey;
use crate::mail::{Timestamp, rfc_3339};
use crate::record::{Row, Table};

/// One deed. What is `None` is left out.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Deed {
    #[serde(with = "rfc_3339")]
    pub at: Timestamp,
    /// `detector`, `gatepost` where time was over, or the person.
    pub by: String,
    /// suspended, released, expired, exempted, exemption-ended, breaker-opened, breaker-reset, hold-released, ...
    pub what: String,
    /// The account's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// The id of the suspension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// Further words: a verdict, an end, a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Deed {
    pub fn new(by: &str, what: &str, at: Timestamp) -> Self {
        Self { at, by: by.into(), what: what.into(), ..Self::default() }
    }

    pub fn row(&self) -> Row {
        let value = serde_json::to_string(self).expect("text and numbers are JSON");
        let whose = self.account.as_deref().or(self.detail.as_deref()).unwrap_or_default();
        // So that no other of the same moment is written over.
        let own = HashKey::default().bytes(&[value.as_bytes()]).bits();
        let key = format!("{}-{}-{whose}-{own:016x}", Self::from(self.at), self.what);
        Row::put(Table::Audit, &key, value)
    }

    pub fn read(value: &str) -> Option<Self> {
        serde_json::from_str(value).ok()
    }

    /// Where the deeds of `at` and later begin.
    pub fn from(at: Timestamp) -> String {
        format!("{:015}", at.unix_ms().max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_deeds_of_one_moment_none_is_written_over() {
        let deed = |detail: &str| Deed {
            account: Some("file:alice".into()),
            detail: Some(detail.into()),
            ..Deed::new("carol", "hold-released", Timestamp::from_unix_ms(5_000))
        };
        assert_ne!(deed("mx1: BFD5198E1F2").row().key, deed("mx2: C2D9598E3D1").row().key);
        assert_eq!(deed("mx1: BFD5198E1F2").row(), deed("mx1: BFD5198E1F2").row());
        assert!(*deed("").row().key > *Deed::from(Timestamp::from_unix_ms(5_000)));
    }
}
