//! How an account came to be in a group: a walk upwards from the account, inside the tree of the
//! group. Slow; for people who ask.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::directory::ldap::account::primary_group;
use crate::directory::ldap::connection::Search;
use crate::directory::ldap::dn::Dn;
use crate::directory::ldap::entry::Entry;
use crate::directory::ldap::fault::Fault;
use crate::directory::ldap::filter::Filter;
use crate::directory::ldap::groups::Group;
use crate::directory::ldap::resolver::{Resolver, read_dn};
use crate::mail::AccountKey;

/// Groups looked at on the way.
const STEPS: usize = 500;

impl Resolver {
    /// Names from the account to the group, both included; empty when there is no way, or it leads
    /// through another domain.
    pub async fn path(&self, account: &AccountKey, group: &Group) -> Result<Vec<String>, Fault> {
        let (Some(start), Some(tree)) = (self.entry_of(account).await?, &group.tree) else {
            return Ok(Vec::new());
        };
        let goal = &group.identity.dn;
        let from = read_dn(start.dn.as_bytes(), "the DN of an account")?;
        let mut names = HashMap::from([(from.clone(), self.name_of(&start, false))]);
        let mut came_from: HashMap<Dn, Dn> = HashMap::new();
        let mut queue = VecDeque::from([start]);
        for _ in 0..STEPS {
            let Some(here) = queue.pop_front() else { break };
            let here_dn = read_dn(here.dn.as_bytes(), "a DN")?;
            for above in self.groups_above(&here).await? {
                let dn = read_dn(above.dn.as_bytes(), "the DN of a group")?;
                if names.contains_key(&dn) || !tree.dns.contains(&dn) {
                    continue;
                }
                names.insert(dn.clone(), self.name_of(&above, true));
                came_from.insert(dn.clone(), here_dn.clone());
                if dn == *goal {
                    return Ok(walked(&dn, &came_from, &names));
                }
                queue.push_back(above);
            }
        }
        Ok(Vec::new())
    }

    /// The groups an object is a direct member of, the primary group of AD among them.
    async fn groups_above(&self, entry: &Entry) -> Result<Vec<Entry>, Fault> {
        let attributes = self.group_attributes();
        let mut above = Vec::new();
        // In a fixed order, so that the same way is told each time.
        for dn in BTreeSet::from_iter(self.groups_listing(entry).await?) {
            let is_group = Filter::Raw(self.settings.schema.group_filter.clone());
            above.extend(self.object(dn.as_str(), &is_group, &attributes).await?);
        }
        if let Some(sid) = primary_group(entry) {
            let filter = Filter::equal("objectSid", sid.to_bytes()).to_string();
            let search = Search::below(&self.settings.group_base, filter, &attributes).at_most(1);
            above.extend(self.pool.lookup(&search).await?);
        }
        Ok(above)
    }

    fn name_of(&self, entry: &Entry, is_group: bool) -> String {
        let schema = &self.settings.schema;
        let names = if is_group { &schema.group_names } else { &schema.names };
        entry.first_of(names).unwrap_or(&entry.dn).into()
    }
}

fn walked(goal: &Dn, came_from: &HashMap<Dn, Dn>, names: &HashMap<Dn, String>) -> Vec<String> {
    let mut path = Vec::new();
    let mut here = Some(goal);
    while let Some(dn) = here {
        path.extend(names.get(dn).cloned());
        here = came_from.get(dn);
    }
    path.reverse();
    path
}
