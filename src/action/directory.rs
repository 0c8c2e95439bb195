//! A group of the directory that has whoever is suspended, for what gatepost does not guard: webmail, VPN, other
//! mail servers.

use std::path::PathBuf;

use crate::action::Told;
use crate::directory::ldap::settings::{Bind, Settings as Ldap};
use crate::directory::ldap::{Became, Membership};
use crate::mail::{AccountKey, Timestamp};
use crate::record::{Notice, NoticeKind};

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

/// An account, and whether it is in the group.
pub type Member = (AccountKey, bool);

impl Directory {
    pub fn new(settings: Settings, clock: fn() -> Timestamp) -> Self {
        let Settings { ldap, bind_dn: dn, password_file, group, member_attribute } = settings;
        let ldap = Ldap { bind: Bind::Simple { dn, password_file }, ..*ldap };
        Self { membership: Membership::new(ldap, &group, &member_attribute, clock) }
    }

    /// What an event says of whose membership, if anything.
    pub fn member(notice: &Notice) -> Option<Member> {
        let is_member = match notice.event {
            NoticeKind::Suspended | NoticeKind::Escalated => true,
            NoticeKind::Released | NoticeKind::Expired => false,
            _ => return None,
        };
        let account = AccountKey::stored(notice.account.as_deref()?);
        Membership::knows(&account).then_some((account, is_member))
    }

    /// A suspension puts the account in, its end takes it out, a test looks whether the group is there.
    pub async fn apply(&self, told: &Told) -> Result<(), String> {
        if told.notice.event == NoticeKind::Test {
            return self.membership.look().await;
        }
        let Some((account, is_member)) = Self::member(&told.notice) else {
            tracing::info!(id = told.notice.id, "no account of the directory: no group changes");
            return Ok(());
        };
        match (self.membership.set(&account, is_member).await?, is_member) {
            (Became::Gone, true) => Err("the directory has no such account".into()),
            _ => Ok(()),
        }
    }

    /// Puts back in who is suspended and was taken out by others, and takes out who is among `ours`, those that were put
    /// in here, and is suspended no longer. Whom others put in stays. What was set, and why no more of it.
    pub async fn reconcile(
        &self,
        suspended: &[AccountKey],
        ours: &[AccountKey],
    ) -> (Vec<Member>, Result<(), String>) {
        let over = ours.iter().filter(|account| !suspended.contains(account));
        let mut wanted: Vec<Member> = over.map(|account| (account.clone(), false)).collect();
        let known = suspended.iter().filter(|account| Membership::knows(account));
        wanted.extend(known.map(|account| (account.clone(), true)));
        if wanted.is_empty() {
            return (wanted, Ok(()));
        }
        let (set, outcome) = self.membership.set_all(&wanted).await;
        wanted.truncate(set);
        (wanted, outcome)
    }
}
