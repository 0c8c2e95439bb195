//! Asks the directory what has changed, so that an answer is dropped within seconds of a change and
//! not at the end of its freshness. An accelerator only: what it misses, freshness finds.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::directory::ldap::connection::Search;
use crate::directory::ldap::dn::Dn;
use crate::directory::ldap::entry::Entry;
use crate::directory::ldap::fault::Fault;
use crate::directory::ldap::filter::Filter;
use crate::directory::ldap::resolver::{Resolver, read_dn};
use crate::directory::ldap::server::{Patience, Server};
use crate::directory::ldap::settings::Settings;
use crate::mail::Timestamp;

/// Servers without change numbers stamp each change by their own clock, in whole seconds; one that is
/// this far behind ours is still followed.
const SKEW: Duration = Duration::from_secs(600);

/// What has changed since the last time.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub dns: HashSet<Dn>,
    /// Stable ids.
    pub ids: HashSet<String>,
    /// A group is among them: renamed or moved, it may be one that is known by another DN.
    pub is_of_groups: bool,
    /// What has changed cannot be told: nobody has counted yet, another server answers now, which counts
    /// by itself, or an entry cannot be read.
    pub is_gap: bool,
}

/// How far the changes are known.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The server and, on AD, the database it counts by.
    counted_by: String,
    /// AD: the next change number (uSNChanged).
    next: u64,
    /// Elsewhere: the newest modifyTimestamp, and how often each object was seen with it.
    newest: String,
    had_newest: HashMap<String, u8>,
}

impl Watch {
    /// Asks the server that lookups go to.
    pub async fn poll(&mut self, resolver: &Resolver, at: Timestamp) -> Result<Changes, Fault> {
        let Some(server) = resolver.pool.preferred() else {
            return Err(Fault::answer("no server answers"));
        };
        if resolver.is_active_directory() {
            self.by_number(resolver, &server).await
        } else {
            self.by_time(resolver, &server, at).await
        }
    }

    /// AD counts every change of an object by a number of the server's own (MS-ADTS 3.1.1.1.9).
    async fn by_number(
        &mut self,
        resolver: &Resolver,
        server: &Arc<Server>,
    ) -> Result<Changes, Fault> {
        let root = Search::object("", &["highestCommittedUSN", "dsServiceName"]);
        let root = resolver.pool.search_at(server, &root, Patience::Long).await?.pop();
        let root = root.ok_or_else(|| Fault::answer("no rootDSE"))?;
        let highest = root.first_text("highestCommittedUSN").and_then(|n| n.parse::<u64>().ok());
        let highest = highest.ok_or_else(|| Fault::answer("no highestCommittedUSN"))?;
        let by = format!("{} {}", server.name, root.first_text("dsServiceName").unwrap_or(""));
        // A number that went back: the database was restored.
        if by != self.counted_by || highest + 1 < self.next {
            (self.counted_by, self.next) = (by, highest + 1);
            // Even the first time: what was read before may have changed since.
            return Ok(Changes { is_gap: true, ..Changes::default() });
        }
        if highest < self.next {
            return Ok(Changes::default());
        }
        let since = Filter::at_least("uSNChanged", self.next.to_string());
        let changes = changed(resolver, server, since, &[]).await?;
        self.next = highest + 1;
        Ok(summed(resolver, &changes))
    }

    async fn by_time(
        &mut self,
        resolver: &Resolver,
        server: &Arc<Server>,
        at: Timestamp,
    ) -> Result<Changes, Fault> {
        let is_gap = !self.counted_by.is_empty() && self.counted_by != server.name;
        if self.counted_by != server.name {
            self.counted_by.clone_from(&server.name);
            self.newest = generalized_time(at, SKEW);
            self.had_newest.clear();
        }
        let since = Filter::at_least("modifyTimestamp", &*self.newest);
        let found = changed(resolver, server, since, &["modifyTimestamp"]).await?;
        let mut newest = self.newest.clone();
        for Changed { entry, .. } in &found {
            let stamp = entry.first_text("modifyTimestamp").unwrap_or("");
            if stamp > &*newest {
                newest = stamp.into();
            }
        }
        // An object may change twice within a second: the second sight of it counts as well, for by
        // then that second is over.
        let is_fresh = |Changed { entry, .. }: &&Changed| {
            entry.first_text("modifyTimestamp").unwrap_or("") > &*self.newest
                || self.had_newest.get(&entry.dn).is_none_or(|n| *n < 2)
        };
        let mut changes = summed(resolver, found.iter().filter(is_fresh));
        changes.is_gap |= is_gap;
        if newest != self.newest {
            self.newest = newest;
            self.had_newest.clear();
        }
        for Changed { entry, .. } in &found {
            if entry.first_text("modifyTimestamp") == Some(&*self.newest) {
                let seen = self.had_newest.entry(entry.dn.clone()).or_default();
                *seen = seen.saturating_add(1);
            }
        }
        Ok(changes)
    }
}

struct Changed {
    entry: Entry,
    is_group: bool,
}

/// The accounts, groups and recipients that have changed, each once.
async fn changed(
    resolver: &Resolver,
    server: &Arc<Server>,
    since: Filter,
    more: &[&str],
) -> Result<Vec<Changed>, Fault> {
    let Settings { base, group_base, schema, .. } = &*resolver.settings;
    let mut attributes: Vec<&str> = vec![&schema.id];
    attributes.extend(more);
    attributes.retain(|name| !name.is_empty());
    let has_address = schema.addresses.iter().cloned().map(Filter::Present).collect();
    let recipients =
        Filter::And(vec![Filter::Raw(schema.recipient_filter.clone()), Filter::Or(has_address)]);
    let accounts = Filter::Or(vec![Filter::Raw(schema.user_filter.clone()), recipients]);
    let groups = Filter::Raw(schema.group_filter.clone());
    let mut found = HashMap::new();
    for (base, kind, is_group) in [(base, accounts, false), (group_base, groups, true)] {
        let filter = Filter::And(vec![since.clone(), kind]).to_string();
        let search = Search::below(base, filter, &attributes);
        for entry in resolver.pool.search_at(server, &search, Patience::Long).await? {
            let changed = Changed { entry, is_group };
            // A group with an address is a recipient as well.
            found
                .entry(changed.entry.dn.clone())
                .and_modify(|known: &mut Changed| known.is_group |= is_group)
                .or_insert(changed);
        }
    }
    Ok(found.into_values().collect())
}

/// An entry that cannot be read may be anybody's, and is not sent again: it makes a gap.
fn summed<'a>(resolver: &Resolver, all: impl IntoIterator<Item = &'a Changed>) -> Changes {
    let mut changes = Changes::default();
    for Changed { entry, is_group } in all {
        changes.is_of_groups |= is_group;
        match (read_dn(entry.dn.as_bytes(), "the DN of a changed object"), resolver.id(entry)) {
            (Ok(dn), Ok(id)) => {
                changes.dns.insert(dn);
                changes.ids.insert(id);
            }
            _ => changes.is_gap = true,
        }
    }
    changes
}

/// RFC 4517, 3.3.13, of so long ago.
fn generalized_time(at: Timestamp, ago: Duration) -> String {
    let ms = at.unix_ms() - ago.as_millis() as i64;
    let moment = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    moment.strftime("%Y%m%d%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_poll_looks_ten_minutes_back() {
        let at = Timestamp::from_unix_ms(1_790_000_000_123);
        assert_eq!(generalized_time(at, SKEW), "20260921140320Z");
    }
}
