//! A group of the directory that has whoever is suspended, for what gatepost does not guard: webmail, VPN, other
//! mail servers.

use std::path::PathBuf;

use crate::action::Told;
use crate::directory::ldap::settings::{Bind, Settings as Ldap};
use crate::directory::ldap::{Became, Membership};
use crate::mail::{AccountKey, Timestamp};
use crate::record::NoticeKind;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Those of `[directory.ldap]`.
    pub ldap: Box<Ldap>,
    pub bind_dn: String,
    pub password_file: PathBuf,
    /// Its DN.
    pub group: String,
    pub member_attribute: String,
}

pub struct Directory {
    membership: Membership,
}

impl Directory {
    pub fn new(settings: Settings, clock: fn() -> Timestamp) -> Self {
        let Settings { ldap, bind_dn: dn, password_file, group, member_attribute } = settings;
        let ldap = Ldap { bind: Bind::Simple { dn, password_file }, ..*ldap };
        Self { membership: Membership::new(ldap, &group, &member_attribute, clock) }
    }

    /// A suspension puts the account in, its end takes it out, a test looks whether the group is there.
    pub async fn apply(&self, told: &Told) -> Result<(), String> {
        let is_member = match told.notice.event {
            NoticeKind::Suspended | NoticeKind::Escalated => true,
            NoticeKind::Released | NoticeKind::Expired => false,
            NoticeKind::Test => return self.membership.look().await,
            _ => return Ok(()),
        };
        let account = told.notice.account.as_deref().map(AccountKey::stored);
        let Some(account) = account.filter(Membership::knows) else {
            tracing::info!(
                id = told.notice.id,
                "not of an account of the directory: no group changes"
            );
            return Ok(());
        };
        match (self.membership.set(&account, is_member).await?, is_member) {
            (Became::Gone, true) => Err("the directory has no such account".into()),
            _ => Ok(()),
        }
    }
}
