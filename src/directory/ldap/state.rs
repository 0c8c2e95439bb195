use crate::directory::ldap::dates;
use crate::directory::ldap::entry::Entry;
use crate::directory::ldap::schema::Schema;
use crate::mail::Timestamp;
use crate::rights::AccountState;
use serde::{Deserialize, Serialize};
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub password_set: Option<Timestamp>,
    disabled: bool,
    locked: bool,
    expires: Option<Timestamp>,
}
impl Standing {
    pub fn read(e: &Entry, s: &Schema) -> Result<Self, String> {
        let num = |n: &str| e.first_text(n).and_then(|t| t.parse::<i64>().ok()).unwrap_or(0);
        let disabled = s.disabled.iter().any(|n| num(n) & 2 != 0);
        let locked = s.locked.iter().any(|n| {
            if n.starts_with("msDS") { num(n) & 16 != 0 } else { e.first_text(n).is_some() }
        });
        let expires = s
            .expires
            .iter()
            .filter_map(|n| e.first_text(n))
            .find_map(|t| dates::by_form(t).ok().flatten());
        Ok(Self { password_set: None, disabled, locked, expires })
    }
    pub fn state(&self, at: Timestamp) -> AccountState {
        if self.disabled {
            AccountState::Disabled
        } else if self.expires.is_some_and(|e| at >= e) {
            AccountState::Expired
        } else if self.locked {
            AccountState::Locked
        } else {
            AccountState::Enabled
        }
    }
}
