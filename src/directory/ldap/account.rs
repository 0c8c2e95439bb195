//! From a login to its account: one search, and for Active Directory one read of tokenGroups.

use std::collections::HashSet;
use std::sync::Arc;

use crate::directory::cache::{Absent, Outcome};
use crate::directory::ldap::connection::Search;
use crate::directory::ldap::dn::Dn;
use crate::directory::ldap::entry::Entry;
use crate::directory::ldap::fault::{Fault, one_line};
use crate::directory::ldap::filter::Filter;
use crate::directory::ldap::groups::{Found, GroupSet};
use crate::directory::ldap::resolver::{NO_ATTRIBUTES, Resolver, read_dn};
use crate::directory::ldap::sid::Sid;
use crate::directory::ldap::state::Standing;
use crate::directory::ldap::tree::Evidence;
use crate::mail::{AccountKey, Address, Login, Timestamp};
use crate::rights::{Account, Holder, Membership, Memberships};

/// The directory's name in account keys.
pub(super) const DIRECTORY: &str = "ldap";

/// An account as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub account: Arc<Account>,
    pub dn: Dn,
    pub standing: Standing,
    pub memberships: Memberships,
    /// When the oldest of the groups was read, where that was no longer fresh.
    pub groups_stale_since: Option<Timestamp>,
    /// The groups of the memberships, in their order ([`GroupSet::names`]).
    pub names: Arc<[Box<str>]>,
}

impl Subject {
    /// The account as it is at a moment, since an expiry date passes while the answer is kept; with
    /// its memberships in the order of `groups`, unknown where nobody had asked for one.
    pub fn holder(&self, groups: &[Box<str>], age_ms: u64, at: Timestamp) -> Holder {
        let state = self.standing.state(at);
        let account = if state == self.account.state {
            Arc::clone(&self.account)
        } else {
            Arc::new(Account { state, ..(*self.account).clone() })
        };
        let memberships = if *self.names == *groups {
            self.memberships.clone()
        } else {
            let of = |name: &str| {
                let index = self.names.iter().position(|known| **known == *name);
                index.map_or(Membership::Unknown, |index| self.memberships.of(index))
            };
            Memberships(groups.iter().map(|name| of(name)).collect())
        };
        let groups_age_ms = self.groups_stale_since.map_or(0, |since| at.ms_since(since));
        Holder { account, age_ms: age_ms.max(groups_age_ms), memberships }
    }
}

impl Resolver {
    /// The account behind a login, with its memberships.
    pub async fn account(
        &self,
        login: &Login,
        groups: &GroupSet,
        at: Timestamp,
    ) -> Result<Outcome<Subject>, Fault> {
        let settings = &self.settings;
        let Some(filter) = self.names().account(login) else {
            return Ok(Outcome::Absent(Absent::NotFound));
        };
        let search = Search::below(&settings.base, filter.to_string(), &self.account_attributes());
        let mut found = self.pool.lookup(&search.at_most(2)).await?;
        match (found.pop(), found.is_empty()) {
            (None, _) => Ok(Outcome::Absent(Absent::NotFound)),
            (Some(entry), true) => {
                let evidence = self.evidence(&entry, groups).await?;
                Ok(Outcome::Found(self.subject(&entry, groups, &evidence, at)?))
            }
            (Some(_), false) => Ok(Outcome::Absent(Absent::Ambiguous)),
        }
    }

    /// What an account is made of; no `*`, which costs seconds where memberOf is computed.
    pub(super) fn account_attributes(&self) -> Vec<&str> {
        let schema = &self.settings.schema;
        let mut attributes: Vec<&str> = vec![&schema.id, &schema.member_of];
        for names in [
            &schema.names,
            &schema.login_forms,
            &schema.addresses,
            &schema.disabled,
            &schema.expires,
            &schema.locked,
            &schema.password_set,
            &schema.other_address,
        ] {
            attributes.extend(names.iter().map(|name| &**name));
        }
        if self.is_active_directory() {
            attributes.extend(["objectSid", "primaryGroupID"]);
        }
        attributes.retain(|name| !name.is_empty());
        attributes.sort_unstable();
        attributes.dedup();
        attributes
    }

    pub(super) fn subject(
        &self,
        entry: &Entry,
        groups: &GroupSet,
        evidence: &Evidence,
        at: Timestamp,
    ) -> Result<Subject, Fault> {
        let settings = &self.settings;
        let standing = Standing::read(entry, &settings.schema).map_err(Fault::answer)?;
        let dn = read_dn(entry.dn.as_bytes(), "the DN of an account")?;
        let name = entry.first_of(&settings.schema.names);
        let addresses = self.names().addresses(entry);
        let is_other = |text: &&str| {
            let folded = Address::from_internal(text.as_bytes()).folded();
            !addresses.iter().any(|own| **own == *folded)
        };
        let others = settings.schema.other_address.iter();
        let other = others.flat_map(|name| entry.texts(name)).find(is_other);
        let account = Account {
            key: AccountKey::object(DIRECTORY, &self.id(entry)?),
            name: one_line(name.unwrap_or(&entry.dn)).into(),
            logins: self.names().logins(entry).into(),
            other_address: other.map(Into::into),
            addresses: addresses.into(),
            // Before any expiry; [`Subject::holder`] knows the moment.
            state: standing.state(Timestamp::from_unix_ms(0)),
            dn: Some(entry.dn.as_str().into()),
            password_set: standing.password_set,
        };
        Ok(Subject {
            account: Arc::new(account),
            dn,
            standing,
            memberships: groups.memberships(evidence, self.life, at),
            groups_stale_since: groups.stale_since(self.life, at),
            names: Arc::clone(&groups.names),
        })
    }

    /// The groups of an account, as far as the named ones need them.
    pub(super) async fn evidence(
        &self,
        entry: &Entry,
        groups: &GroupSet,
    ) -> Result<Evidence, Fault> {
        if groups.names.is_empty() {
            return Ok(Evidence { is_complete: true, ..Evidence::default() });
        }
        let mut evidence = Evidence {
            direct: self.direct_groups(entry, groups).await?,
            sids: primary_group(entry).into_iter().collect(),
            is_complete: true,
        };
        if self.is_active_directory() {
            let tokens = self.token_groups(entry).await?;
            if tokens.is_empty() {
                evidence.is_complete = self.confirms_absence(entry, &evidence, groups).await?;
            }
            evidence.sids.extend(tokens);
        }
        Ok(evidence)
    }

    /// The groups that list an account as their member, as far as the named ones need them.
    async fn direct_groups(&self, entry: &Entry, groups: &GroupSet) -> Result<HashSet<Dn>, Fault> {
        let schema = &self.settings.schema;
        if schema.member_of.is_empty() {
            return self.groups_listing(entry).await;
        }
        let mut direct = self.dns(entry, &schema.member_of).await?;
        // memberOf is of DNs, and knows nothing of groups that list logins.
        if groups.list_logins() {
            direct.extend(self.groups_with(self.by_login(entry)).await?);
        }
        Ok(direct)
    }

    /// The groups that list an object, asked of the groups: a memberOf that the server keeps may tell
    /// of those above them too.
    pub(super) async fn groups_listing(&self, entry: &Entry) -> Result<HashSet<Dn>, Fault> {
        let schema = &self.settings.schema;
        let dn = read_dn(entry.dn.as_bytes(), "the DN of an account")?;
        let mut lists: Vec<Filter> =
            schema.members.iter().map(|name| Filter::equal(name, dn.as_str())).collect();
        lists.extend(self.by_login(entry));
        self.groups_with(lists).await
    }

    /// What groups that list an account by a login of its have.
    fn by_login(&self, entry: &Entry) -> Vec<Filter> {
        let lists = self.settings.schema.member_logins.iter();
        let logins = self.member_logins(entry);
        lists
            .flat_map(|name| logins.iter().map(move |login| Filter::equal(name, login.clone())))
            .collect()
    }

    /// The logins by which groups may list an account: all values of the attribute that names it.
    pub(super) fn member_logins<'a>(&self, entry: &'a Entry) -> &'a [Vec<u8>] {
        let mut values = self.settings.schema.names.iter().map(|name| entry.values(name));
        values.find(|values| !values.is_empty()).unwrap_or_default()
    }

    async fn groups_with(&self, lists: Vec<Filter>) -> Result<HashSet<Dn>, Fault> {
        if lists.is_empty() {
            return Ok(HashSet::new());
        }
        let schema = &self.settings.schema;
        let filter = Filter::And(vec![Filter::Raw(schema.group_filter.clone()), Filter::Or(lists)]);
        let search = Search::below(&self.settings.group_base, filter.to_string(), NO_ATTRIBUTES);
        let found = self.pool.lookup(&search).await?;
        found.iter().map(|group| read_dn(group.dn.as_bytes(), "the DN of a group")).collect()
    }

    /// All security groups, nested ones and the primary one included, also of other domains
    /// (MS-ADTS 3.1.1.4.5.19). Empty: the server does not tell, since everybody has a primary group.
    async fn token_groups(&self, entry: &Entry) -> Result<HashSet<Sid>, Fault> {
        let read = self.object(&entry.dn, &Filter::And(Vec::new()), &["tokenGroups"]).await?;
        let read =
            read.ok_or_else(|| Fault::answer(format!("{} went away half read", entry.dn)))?;
        let tokens = self.all_values(&read, "tokenGroups").await?;
        let tokens = tokens.iter().map(|sid| Sid::from_bytes(sid));
        tokens
            .collect::<Option<_>>()
            .ok_or_else(|| Fault::answer(format!("tokenGroups of {} cannot be read", entry.dn)))
    }

    /// Without tokenGroups: whether the account is in none of the named groups beyond those its own
    /// groups show. The rule in-chain must find a group it is known to be in, or its silence is no
    /// answer: many servers do not have the rule and find nothing.
    async fn confirms_absence(
        &self,
        entry: &Entry,
        evidence: &Evidence,
        groups: &GroupSet,
    ) -> Result<bool, Fault> {
        let Some(known) = evidence.direct.iter().next() else { return Ok(false) };
        if self.is_within(entry, std::iter::once(known)).await? != Some(true) {
            return Ok(false);
        }
        let open = groups.found.iter().filter_map(|found| match found {
            Found::Group(group) if group.tree.as_ref().is_some_and(|t| !t.holds(evidence)) => {
                Some(&group.identity.dn)
            }
            _ => None,
        });
        Ok(self.is_within(entry, open).await? == Some(false))
    }

    /// Whether AD finds the object in any of these groups, by whatever path. `None`: it cannot say.
    async fn is_within<'a>(
        &self,
        entry: &Entry,
        groups: impl Iterator<Item = &'a Dn>,
    ) -> Result<Option<bool>, Fault> {
        let member_of = &*self.settings.schema.member_of;
        let any: Vec<Filter> = groups.map(|dn| Filter::in_chain(member_of, dn.as_str())).collect();
        if any.is_empty() {
            return Ok(Some(false));
        }
        let filter = Filter::Or(any);
        match self.object(&entry.dn, &filter, NO_ATTRIBUTES).await {
            Ok(found) => Ok(Some(found.is_some())),
            Err(fault) if fault.is_of_the_server() => Err(fault),
            Err(fault) => {
                tracing::debug!(%fault, "no answer to the rule in-chain");
                Ok(None)
            }
        }
    }
}

/// The group an account has by `primaryGroupID`, which no group lists (MS-ADTS 3.1.1.4.5.19).
pub(super) fn primary_group(entry: &Entry) -> Option<Sid> {
    let own = Sid::from_bytes(entry.values("objectSid").first()?)?;
    Some(own.with_rid(entry.first_text("primaryGroupID")?.parse().ok()?))
}
