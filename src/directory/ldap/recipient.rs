//! From an address to its recipient, and whether an author may write to it.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::directory::cache::{Absent, Outcome};
use crate::directory::ldap::account::DIRECTORY;
use crate::directory::ldap::connection::Search;
use crate::directory::ldap::dates::true_like;
use crate::directory::ldap::dn::Dn;
use crate::directory::ldap::entry::Entry;
use crate::directory::ldap::fault::Fault;
use crate::directory::ldap::filter::Filter;
use crate::directory::ldap::groups::{AT_ONCE, Found, Group, GroupSet, Identity};
use crate::directory::ldap::reading::Reading;
use crate::directory::ldap::resolver::{Resolver, read_dn};
use crate::directory::ldap::settings::Settings;
use crate::mail::{AccountKey, Address, Timestamp};
use crate::rights::{Membership, Restriction};

/// A recipient as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Recipient {
    pub authenticated_only: bool,
    pub accept: Parties,
    pub reject: Parties,
    /// More than one object has the address: whose restrictions hold is not known.
    pub is_ambiguous: bool,
}

/// Who may write, or may not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parties {
    pub accounts: HashSet<Dn>,
    pub groups: HashSet<Dn>,
}

impl Parties {
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.groups.is_empty()
    }
}

impl Recipient {
    /// The answer for whoever has no account here; `None`: it hangs on who the author is.
    pub fn for_stranger(&self, has_login: bool) -> Restriction {
        if self.is_ambiguous {
            Restriction::Unknown
        } else if self.authenticated_only && !has_login {
            Restriction::AuthenticatedOnly
        } else if self.accept.is_empty() {
            Restriction::Open
        } else {
            Restriction::NotOnList
        }
    }

    /// Whether the answer is the same for every account.
    pub fn is_open_to_accounts(&self) -> bool {
        self.accept.is_empty() && self.reject.is_empty()
    }
}

impl Resolver {
    /// The recipient with this address.
    pub async fn recipient(&self, address: &Address) -> Result<Outcome<Recipient>, Fault> {
        let Some(filter) = self.names().recipient(address) else {
            return Ok(Outcome::Absent(Absent::NotFound));
        };
        let attributes = self.recipient_attributes();
        let search = Search::below(&self.settings.base, filter.to_string(), &attributes);
        let mut found = self.pool.lookup(&search.at_most(2)).await?;
        let Some(entry) = found.pop() else { return Ok(Outcome::Absent(Absent::NotFound)) };
        if !found.is_empty() {
            return Ok(Outcome::Found(Recipient { is_ambiguous: true, ..Recipient::default() }));
        }
        Ok(Outcome::Found(self.read_recipient(&entry).await?))
    }

    pub(super) fn recipient_attributes(&self) -> Vec<&str> {
        let schema = &self.settings.schema;
        let mut attributes = vec![
            &*schema.authenticated_only,
            &*schema.accept_from,
            &*schema.accept_from_groups,
            &*schema.reject_from,
            &*schema.reject_from_groups,
        ];
        attributes.retain(|name| !name.is_empty());
        if attributes.is_empty() {
            attributes.push("1.1");
        }
        attributes
    }

    pub(super) async fn read_recipient(&self, entry: &Entry) -> Result<Recipient, Fault> {
        let schema = &self.settings.schema;
        Ok(Recipient {
            authenticated_only: match entry.first_text(&schema.authenticated_only) {
                None => false,
                Some(text) => true_like(text).map_err(|_| {
                    let name = &schema.authenticated_only;
                    Fault::answer(format!("{name} of {} is neither true nor false", entry.dn))
                })?,
            },
            accept: Parties {
                accounts: self.dns(entry, &schema.accept_from).await?,
                groups: self.dns(entry, &schema.accept_from_groups).await?,
            },
            reject: Parties {
                accounts: self.dns(entry, &schema.reject_from).await?,
                groups: self.dns(entry, &schema.reject_from_groups).await?,
            },
            is_ambiguous: false,
        })
    }

    /// Whether an account may write to a recipient that has lists. Costs a few searches. A fault where
    /// something cannot be read; unknown where a group on a list is not to be seen.
    pub async fn restriction(
        &self,
        recipient: &Recipient,
        author: &AccountKey,
        at: Timestamp,
    ) -> Result<Restriction, Fault> {
        if recipient.is_ambiguous {
            return Ok(Restriction::Unknown);
        }
        let Some(author) = self.entry_of(author).await? else { return Ok(Restriction::Unknown) };
        let dn = read_dn(author.dn.as_bytes(), "the DN of an account")?;
        let Recipient { accept, reject, .. } = recipient;
        let groups = self.groups_on_lists(accept.groups.union(&reject.groups), at).await?;
        let evidence = self.evidence(&author, &groups).await?;
        let memberships = groups.memberships(&evidence, self.life, at);
        let is_among = |parties: &Parties| match parties.accounts.contains(&dn) {
            true => Membership::Yes,
            false => {
                let listed = groups.found.iter().zip(&memberships.0);
                let listed = listed.filter(|(found, _)| {
                    found.identity().is_some_and(|identity| parties.groups.contains(&identity.dn))
                });
                any(listed.map(|(_, membership)| *membership))
            }
        };
        let is_denied = is_among(reject);
        let is_allowed = if accept.is_empty() { Membership::Yes } else { is_among(accept) };
        Ok(match (is_denied, is_allowed) {
            (Membership::Yes, _) => Restriction::Denied,
            (_, Membership::No) => Restriction::NotOnList,
            (Membership::Unknown, _) | (_, Membership::Unknown) => Restriction::Unknown,
            _ if accept.is_empty() => Restriction::Open,
            _ => Restriction::Allowed,
        })
    }

    /// The groups on lists, as those of the rules are read; their names are their DNs.
    async fn groups_on_lists(
        &self,
        groups: impl Iterator<Item = &Dn>,
        at: Timestamp,
    ) -> Result<GroupSet, Fault> {
        let groups: Vec<Dn> = groups.cloned().collect();
        let reading = match groups.is_empty() {
            true => Reading::default(),
            false => self.begin_reading().await?,
        };
        let reading = &reading;
        let names = groups.iter().map(|dn| dn.as_str().into()).collect();
        let found = stream::iter(groups)
            .map(|dn| async move { self.group_on_list(dn, reading, at).await })
            .buffered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        Ok(GroupSet { names, found: found.into(), read_at: at, is_whole: true })
    }

    async fn group_on_list(
        &self,
        dn: Dn,
        reading: &Reading,
        at: Timestamp,
    ) -> Result<Found, Fault> {
        let identity = Identity { id: dn.to_string(), dn };
        let is_group = Filter::Raw(self.settings.schema.group_filter.clone());
        let top = self.object(identity.dn.as_str(), &is_group, &self.group_attributes()).await?;
        Ok(match top {
            Some(top) => {
                let tree = Some(Arc::new(self.tree(&top, None, reading, at).await?));
                Found::Group(Group { identity, tree })
            }
            // It is on the list: we may not see it, or it is gone.
            None => Found::Vanished(identity),
        })
    }

    /// The entry behind a key of this directory.
    pub(super) async fn entry_of(&self, key: &AccountKey) -> Result<Option<Entry>, Fault> {
        let Some(id) = key.as_str().strip_prefix(DIRECTORY).and_then(|k| k.strip_prefix(':'))
        else {
            return Ok(None);
        };
        let Settings { base, schema, .. } = &*self.settings;
        self.by_id(id, base, &schema.user_filter, &self.account_attributes()).await
    }
}

/// Whether it is a member of any of them.
fn any(memberships: impl Iterator<Item = Membership>) -> Membership {
    memberships.fold(Membership::No, |known, one| match (known, one) {
        (Membership::Yes, _) | (_, Membership::Yes) => Membership::Yes,
        (Membership::Unknown, _) | (_, Membership::Unknown) => Membership::Unknown,
        _ => Membership::No,
    })
}
