//! Everybody in the directory, for `gatepost rights --who` and `gatepost directory export`.

use std::collections::HashMap;
use std::collections::HashSet;

use crate::directory::ListedRecipient;
use crate::directory::ldap::account::primary_group;
use crate::directory::ldap::connection::Search;
use crate::directory::ldap::dn::Dn;
use crate::directory::ldap::entry::Entry;
use crate::directory::ldap::fault::Fault;
use crate::directory::ldap::filter::Filter;
use crate::directory::ldap::groups::{Found, GroupSet};
use crate::directory::ldap::recipient::Recipient;
use crate::directory::ldap::resolver::{Resolver, read_dn};
use crate::directory::ldap::settings::Settings;
use crate::directory::ldap::tree::Evidence;
use crate::mail::Timestamp;
use crate::rights::Holder;

impl Resolver {
    /// All accounts with their memberships. tokenGroups, which must be asked for one by one, is left
    /// out: memberships through other domains do not show.
    pub async fn people(&self, groups: &GroupSet, at: Timestamp) -> Result<Vec<Holder>, Fault> {
        let settings = &self.settings;
        let members = self.members_of_trees(groups).await?;
        let filter = settings.schema.user_filter.clone();
        let search = Search::below(&settings.base, filter, &self.account_attributes());
        let mut people = Vec::new();
        for entry in self.pool.list(&search).await? {
            let evidence = Evidence {
                direct: self.listed_groups(&entry, &members).await?,
                sids: primary_group(&entry).into_iter().collect(),
                is_complete: true,
            };
            people.push(self.subject(&entry, groups, &evidence, at)?.holder(&groups.names, 0, at));
        }
        Ok(people)
    }

    async fn listed_groups(
        &self,
        entry: &Entry,
        members: &HashMap<String, HashSet<Dn>>,
    ) -> Result<HashSet<Dn>, Fault> {
        let dn = read_dn(entry.dn.as_bytes(), "the DN of an account")?;
        let logins = self.member_logins(entry).iter().map(|login| String::from_utf8_lossy(login));
        let keys = logins.chain([dn.as_str().into()]);
        let listing = keys.filter_map(|key| members.get(&*key)).flatten().cloned();
        let mut found: HashSet<Dn> = listing.collect();
        let member_of = &self.settings.schema.member_of;
        if !member_of.is_empty() {
            found.extend(self.dns(entry, member_of).await?);
        }
        Ok(found)
    }

    /// Members by DN, where the server keeps no memberOf, and by login to their groups: every group of
    /// every tree is read once.
    async fn members_of_trees(
        &self,
        groups: &GroupSet,
    ) -> Result<HashMap<String, HashSet<Dn>>, Fault> {
        let schema = &self.settings.schema;
        let by_dn = if schema.member_of.is_empty() { &*schema.members } else { &[] };
        let names: Vec<&str> =
            by_dn.iter().chain(&schema.member_logins).map(|name| &**name).collect();
        let mut members: HashMap<String, HashSet<Dn>> = HashMap::new();
        if names.is_empty() {
            return Ok(members);
        }
        let trees = groups.found.iter().filter_map(|found| match found {
            Found::Group(group) => group.tree.as_ref(),
            _ => None,
        });
        let wanted: HashSet<&Dn> = trees.flat_map(|tree| &tree.dns).collect();
        for group in wanted {
            let any = Filter::And(Vec::new());
            let Some(entry) = self.object(group.as_str(), &any, &names).await? else { continue };
            for name in by_dn {
                for dn in self.dns(&entry, name).await? {
                    members.entry(dn.to_string()).or_default().insert(group.clone());
                }
            }
            for name in &schema.member_logins {
                for login in self.all_values(&entry, name).await? {
                    let login = String::from_utf8_lossy(&login).into_owned();
                    members.entry(login).or_default().insert(group.clone());
                }
            }
        }
        Ok(members)
    }

    /// All recipients: whatever has an address. Groups on their lists are named by DN.
    pub async fn recipients(&self) -> Result<Vec<ListedRecipient>, Fault> {
        let Settings { base, schema, .. } = &*self.settings;
        let logins = self.logins_by_dn().await?;
        let mut attributes = self.recipient_attributes();
        attributes.retain(|name| *name != "1.1");
        let names = schema.addresses.iter().chain(&schema.names).chain(&schema.group_names);
        attributes.extend(names.map(|name| &**name));
        let has_address = schema.addresses.iter().cloned().map(Filter::Present).collect();
        let filter = Filter::And(vec![
            Filter::Raw(schema.recipient_filter.clone()),
            Filter::Or(has_address),
        ]);
        let search = Search::below(base, filter.to_string(), &attributes);
        let mut recipients = Vec::new();
        for entry in self.pool.list(&search).await? {
            let addresses = self.names().addresses(&entry);
            if addresses.is_empty() {
                continue;
            }
            let Recipient { authenticated_only, accept, reject, .. } =
                self.read_recipient(&entry).await?;
            let names = schema.names.iter().chain(&schema.group_names);
            recipients.push(ListedRecipient {
                name: entry.first_of(names).unwrap_or(&entry.dn).into(),
                addresses: addresses.iter().map(|a| String::from_utf8_lossy(a).into()).collect(),
                authenticated_only,
                accept_from: named(&accept.accounts, &logins),
                accept_from_groups: accept.groups.iter().map(Dn::to_string).collect(),
                reject_from: named(&reject.accounts, &logins),
                reject_from_groups: reject.groups.iter().map(Dn::to_string).collect(),
            });
        }
        Ok(recipients)
    }

    async fn logins_by_dn(&self) -> Result<HashMap<Dn, String>, Fault> {
        let Settings { base, schema, .. } = &*self.settings;
        let names: Vec<&str> = schema.names.iter().map(|name| &**name).collect();
        let search = Search::below(base, schema.user_filter.clone(), &names);
        let mut logins = HashMap::new();
        for entry in self.pool.list(&search).await? {
            let dn = read_dn(entry.dn.as_bytes(), "the DN of an account")?;
            logins.insert(dn, entry.first_of(&schema.names).unwrap_or(&entry.dn).into());
        }
        Ok(logins)
    }
}

/// Whoever is no account keeps its DN, so that a list does not become an empty one.
fn named(dns: &HashSet<Dn>, logins: &HashMap<Dn, String>) -> Vec<String> {
    dns.iter().map(|dn| logins.get(dn).cloned().unwrap_or_else(|| dn.to_string())).collect()
}
