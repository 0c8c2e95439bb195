//! From an address to its recipient, and whether an author may write to it.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::directory::cache::{Absent, Outcome};
use crate::directory::ldap::account::{DIRECTORY, primary_group};
use crate::directory::ldap::connection::Search;
use crate::directory::ldap::dates::true_like;
use crate::directory::ldap::dn::Dn;
use crate::directory::ldap::entry::Entry;
use crate::directory::ldap::fault::Fault;
use crate::directory::ldap::filter::Filter;
use crate::directory::ldap::groups::Evidence;
use crate::directory::ldap::resolver::{Resolver, read_dn};
use crate::directory::ldap::settings::Settings;
use crate::mail::{AccountKey, Address, Timestamp};
use crate::rights::Restriction;

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

    /// Whether an account may write to a recipient that has lists. Costs a few searches.
    pub async fn restriction(
        &self,
        recipient: &Recipient,
        author: &AccountKey,
        at: Timestamp,
    ) -> Result<Restriction, Fault> {
        if recipient.is_ambiguous {
            return Ok(Restriction::Unknown);
        }
        let Some(author) = self.author(author).await? else { return Ok(Restriction::Unknown) };
        if self.is_among(&author, &recipient.reject, at).await? {
            return Ok(Restriction::Denied);
        }
        if recipient.accept.is_empty() {
            return Ok(Restriction::Open);
        }
        Ok(match self.is_among(&author, &recipient.accept, at).await? {
            true => Restriction::Allowed,
            false => Restriction::NotOnList,
        })
    }

    async fn is_among(
        &self,
        author: &Author,
        parties: &Parties,
        at: Timestamp,
    ) -> Result<bool, Fault> {
        if parties.accounts.contains(&author.dn) {
            return Ok(true);
        }
        if parties.groups.is_empty() {
            return Ok(false);
        }
        if parties.groups.iter().any(|group| author.evidence.direct.contains(group)) {
            return Ok(true);
        }
        let keeps_member_of = !self.settings.schema.member_of.is_empty();
        let all = if keeps_member_of { None } else { Some(self.all_groups().await?) };
        let is_group = Filter::Raw(self.settings.schema.group_filter.clone());
        for group in &parties.groups {
            let found = self.object(group.as_str(), &is_group, &self.group_attributes()).await?;
            let Some(top) = found else { continue };
            if self.tree(&top, all.as_ref(), at).await?.holds(&author.evidence) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The author with its groups.
    async fn author(&self, key: &AccountKey) -> Result<Option<Author>, Fault> {
        let Some(entry) = self.entry_of(key).await? else { return Ok(None) };
        let evidence = Evidence {
            direct: self.direct_groups(&entry).await?,
            sids: primary_group(&entry).into_iter().collect(),
            is_complete: true,
        };
        let dn = read_dn(entry.dn.as_bytes(), "the DN of an account")?;
        Ok(Some(Author { dn, evidence }))
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

/// An account that writes.
struct Author {
    dn: Dn,
    evidence: Evidence,
}
