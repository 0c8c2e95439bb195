//! What groups that are read together share, so that it is asked for once and not once a group.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::directory::ldap::connection::Search;
use crate::directory::ldap::dn::Dn;
use crate::directory::ldap::entry::Entry;
use crate::directory::ldap::fault::Fault;
use crate::directory::ldap::filter::Filter;
use crate::directory::ldap::groups::AT_ONCE;
use crate::directory::ldap::resolver::{NO_ATTRIBUTES, Resolver, read_dn};
use crate::directory::ldap::tree::Tree;

/// DNs in one filter; Windows AD refuses filters that are much longer.
const DNS_A_FILTER: usize = 50;

/// Some of all groups, or why the server does not tell them.
type Listed = Result<HashSet<Dn>, Fault>;

/// Groups that are members of one, whoever reads them first.
type Within = Arc<OnceCell<Vec<Dn>>>;

/// One reading of groups.
#[derive(Default)]
pub(super) struct Reading {
    /// Every group there is, where the server keeps no memberOf.
    all: Option<Listed>,
    /// The groups that list logins, where it keeps one.
    with_logins: Option<Listed>,
    /// Groups that are members of a group, where the server keeps no memberOf: trees overlap.
    within: Mutex<HashMap<Dn, Within>>,
}

impl Reading {
    /// Whether one of the groups of the tree lists logins beside what memberOf tells. Yes where nobody
    /// can say: then each account is asked for.
    pub fn lists_logins(&self, tree: &Tree) -> bool {
        match &self.with_logins {
            None => false,
            Some(Ok(groups)) => !groups.is_disjoint(&tree.dns),
            Some(Err(_)) => true,
        }
    }
}

impl Resolver {
    /// A fault is one of the server; what is wrong with a question makes its answer unknown.
    pub(super) async fn begin_reading(&self) -> Result<Reading, Fault> {
        let schema = &self.settings.schema;
        let is_group = Filter::Raw(schema.group_filter.clone());
        let mut reading = Reading::default();
        if schema.member_of.is_empty() {
            reading.all = Some(self.groups_that(is_group).await?);
        } else if !schema.member_logins.is_empty() {
            let lists = schema.member_logins.iter().cloned().map(Filter::Present).collect();
            let filter = Filter::And(vec![is_group, Filter::Or(lists)]);
            reading.with_logins = Some(self.groups_that(filter).await?);
        }
        Ok(reading)
    }

    async fn groups_that(&self, filter: Filter) -> Result<Listed, Fault> {
        let search = Search::below(&self.settings.group_base, filter.to_string(), NO_ATTRIBUTES);
        let found = match self.pool.list(&search).await {
            Ok(found) => found,
            Err(fault) if fault.is_of_the_question() => {
                tracing::debug!(%fault, "a list of groups cannot be read");
                return Ok(Err(fault));
            }
            Err(fault) => return Err(fault),
        };
        Ok(found.iter().map(|entry| read_dn(entry.dn.as_bytes(), "the DN of a group")).collect())
    }

    /// The groups that are direct members of one of these.
    pub(super) async fn groups_within(
        &self,
        level: &[Dn],
        reading: &Reading,
    ) -> Result<Vec<Entry>, Fault> {
        let schema = &self.settings.schema;
        if let Some(all) = &reading.all {
            let all = all.as_ref().map_err(Clone::clone)?;
            let within = stream::iter(level.to_vec())
                .map(|group| async move { self.groups_among(&group, all, reading).await })
                .buffered(AT_ONCE)
                .try_collect::<Vec<_>>()
                .await?;
            return Ok(within.into_iter().flatten().collect());
        }
        let attributes = self.group_attributes();
        let mut found = Vec::new();
        for part in level.chunks(DNS_A_FILTER) {
            let within = part.iter().map(|dn| Filter::equal(&schema.member_of, dn.as_str()));
            let filter = Filter::And(vec![
                Filter::Raw(schema.group_filter.clone()),
                Filter::Or(within.collect()),
            ]);
            let search = Search::below(&self.settings.group_base, filter.to_string(), &attributes);
            found.extend(self.pool.list(&search).await?);
        }
        Ok(found)
    }

    /// The members of a group that are groups; read once, whoever asks first.
    async fn groups_among(
        &self,
        group: &Dn,
        all: &HashSet<Dn>,
        reading: &Reading,
    ) -> Result<Vec<Entry>, Fault> {
        let cell = Arc::clone(reading.within.lock().entry(group.clone()).or_default());
        let read = async {
            let members = self.member_dns(group).await?;
            Ok(members.intersection(all).cloned().collect())
        };
        let within = cell.get_or_try_init(|| read).await?;
        Ok(within.iter().map(|dn| Entry::new(dn.to_string())).collect())
    }

    /// The direct members of a group.
    async fn member_dns(&self, group: &Dn) -> Result<HashSet<Dn>, Fault> {
        let schema = &self.settings.schema;
        let names: Vec<&str> = schema.members.iter().map(|name| &**name).collect();
        let Some(entry) = self.object(group.as_str(), &Filter::And(Vec::new()), &names).await?
        else {
            return Err(Fault::answer(format!("the group {group} went away")));
        };
        let mut members = HashSet::new();
        for name in names {
            members.extend(self.dns(&entry, name).await?);
        }
        Ok(members)
    }
}
