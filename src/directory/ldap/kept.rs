//! How accounts and groups are written into the snapshot, and taken from it.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use crate::directory::cache::Remembered;
use crate::directory::cache::snapshot::{self, Snapshot, SnapshotFault};
use crate::directory::ldap::Inner;
use crate::directory::ldap::account::{DIRECTORY, Subject};
use crate::directory::ldap::dn::Dn;
use crate::directory::ldap::groups::{Found, Group, GroupSet, Identity};
use crate::directory::ldap::recipient::Recipient;
use crate::directory::ldap::settings::Settings;
use crate::directory::ldap::state::Standing;
use crate::mail::{AccountKey, Timestamp};
use crate::rights::{Account, Membership, Memberships};

/// An account without what all accounts share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptAccount {
    id: String,
    dn: Dn,
    /// As the server writes it.
    shown_dn: Option<Box<str>>,
    name: Box<str>,
    logins: Box<[Box<str>]>,
    addresses: Box<[Box<str>]>,
    standing: Standing,
    /// `y`, `n` and `?`, one for each group of the snapshot.
    memberships: String,
    #[serde(default)]
    other_address: Option<Box<str>>,
}

impl KeptAccount {
    /// `None`: it speaks of other groups than the snapshot does.
    pub fn of(subject: &Subject, names: &[Box<str>]) -> Option<Self> {
        if *subject.names != *names {
            return None;
        }
        let account = &subject.account;
        let text = |address: &[u8]| String::from_utf8_lossy(address).into();
        Some(Self {
            id: account.key.as_str().split_once(':')?.1.into(),
            dn: subject.dn.clone(),
            shown_dn: account.dn.clone(),
            name: account.name.clone(),
            logins: account.logins.clone(),
            addresses: account.addresses.iter().map(|address| text(address)).collect(),
            standing: subject.standing,
            memberships: subject
                .memberships
                .0
                .iter()
                .map(|membership| letter(*membership))
                .collect(),
            other_address: account.other_address.clone(),
        })
    }

    pub fn subject(&self, names: &Arc<[Box<str>]>) -> Subject {
        let account = Account {
            key: AccountKey::object(DIRECTORY, &self.id),
            name: self.name.clone(),
            logins: self.logins.clone(),
            addresses: self.addresses.iter().map(|a| a.as_bytes().into()).collect(),
            state: self.standing.state(Timestamp::from_unix_ms(0)),
            dn: self.shown_dn.clone(),
            password_set: self.standing.password_set,
            other_address: self.other_address.clone(),
        };
        Subject {
            account: Arc::new(account),
            dn: self.dn.clone(),
            standing: self.standing,
            memberships: Memberships(self.memberships.chars().map(membership).collect()),
            // Whatever is taken from a snapshot is told with its age.
            groups_stale_since: None,
            names: Arc::clone(names),
        }
    }
}

/// A group of the rules: its name, and what it was last.
type KeptGroup = (Box<str>, Option<Identity>);

type Kept = Snapshot<Vec<KeptGroup>, KeptAccount, Recipient>;

impl Inner {
    /// Takes up what the last process left. A snapshot that cannot be believed is left alone: the
    /// directory will be asked.
    pub(super) fn take_up_snapshot(&self) {
        let Some(path) = &self.cache.snapshot else { return };
        let at = (self.clock)();
        let kept: Kept = match snapshot::read(path, &self.identity(), self.cache.serve_stale, at) {
            Ok(Some(kept)) => kept,
            Ok(None) => return,
            Err(fault) => {
                let cause = fault.source().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(%fault, cause, "no answers are taken from the snapshot");
                return;
            }
        };
        let names: Arc<[Box<str>]> = kept.groups.iter().map(|(name, _)| name.clone()).collect();
        let found = kept.groups.into_iter().map(|(_, identity)| match identity {
            // Who is nested in it, nobody knows yet.
            Some(identity) => Found::Group(Group { identity, tree: None }),
            None => Found::Absent,
        });
        let set = GroupSet {
            names,
            found: found.collect(),
            read_at: Timestamp::default(),
            is_whole: false,
        };
        let accounts = kept.accounts.len();
        self.accounts.put_back(kept.accounts.into_iter().map(|remembered| Remembered {
            key: remembered.key,
            fetched: remembered.fetched,
            value: Arc::new(remembered.value.subject(&set.names)),
        }));
        self.recipients.put_back(kept.recipients);
        self.groups.store(Arc::new(set));
        tracing::info!(accounts, written = %kept.written, "the answers of before are known, should the directory not answer");
    }

    /// Writes down what is known, off the runtime's threads.
    pub(super) async fn write_snapshot(self: &Arc<Self>) {
        if self.cache.snapshot.is_none() {
            return;
        }
        let inner = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || inner.write_snapshot_now()).await;
        let was_told = match written {
            Ok(Ok(())) => false,
            Ok(Err(fault)) => {
                let cause = fault.source().map(ToString::to_string).unwrap_or_default();
                if !self.is_snapshot_lost.load(Ordering::Relaxed) {
                    tracing::warn!(%fault, cause, "answers are not kept for a restart");
                }
                true
            }
            // The process ends.
            Err(_) => return,
        };
        self.is_snapshot_lost.store(was_told, Ordering::Relaxed);
    }

    fn write_snapshot_now(&self) -> Result<(), SnapshotFault> {
        let Some(path) = &self.cache.snapshot else { return Ok(()) };
        let set = self.groups.load_full();
        let identities = set.found.iter().map(|found| found.identity().cloned());
        let accounts = self.accounts.remembered().into_iter().filter_map(|remembered| {
            Some(Remembered {
                key: remembered.key,
                fetched: match remembered.value.groups_stale_since {
                    Some(since) => since.min(remembered.fetched),
                    None => remembered.fetched,
                },
                value: Arc::new(KeptAccount::of(&remembered.value, &set.names)?),
            })
        });
        let kept = Snapshot {
            written: (self.clock)(),
            groups: set.names.iter().cloned().zip(identities).collect::<Vec<KeptGroup>>(),
            accounts: accounts.collect(),
            recipients: self.recipients.remembered(),
        };
        snapshot::write(path, &self.identity(), &kept)
    }

    /// What tells this directory from another: which servers answer for it does not matter.
    fn identity(&self) -> String {
        let Settings { base, group_base, schema, .. } = &*self.settings;
        format!("{base}\n{group_base}\n{}\n{}", schema.kind.as_str(), schema.id)
    }
}

const fn letter(membership: Membership) -> char {
    match membership {
        Membership::Yes => 'y',
        Membership::No => 'n',
        Membership::Unknown => '?',
    }
}

const fn membership(letter: char) -> Membership {
    match letter {
        'y' => Membership::Yes,
        'n' => Membership::No,
        _ => Membership::Unknown,
    }
}
