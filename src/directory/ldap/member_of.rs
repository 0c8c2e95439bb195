//! Whether memberOf, where the server keeps it, tells of those who are in a group: its plug-in may be
//! off, the group older than its overlay, the attribute hidden from the account we bind as.

use crate::directory::ldap::dn::Dn;
use crate::directory::ldap::fault::Fault;
use crate::directory::ldap::filter::Filter;
use crate::directory::ldap::resolver::Resolver;

/// Members looked at until one can be seen; those of other domains, and placeholders, cannot.
const TRIED: usize = 5;

impl Resolver {
    /// Looks at one member of the group: an account where there is one among the first, else a group.
    /// Yes where there is nobody to look at.
    pub(super) async fn member_of_tells(&self, group: &Dn) -> Result<bool, Fault> {
        let schema = &self.settings.schema;
        if schema.member_of.is_empty() {
            return Ok(true);
        }
        let names: Vec<&str> = schema.members.iter().map(|name| &**name).collect();
        let any = Filter::And(Vec::new());
        let Some(entry) = self.object(group.as_str(), &any, &names).await? else {
            return Err(Fault::answer(format!("the group {group} went away")));
        };
        let members = names.iter().flat_map(|name| entry.texts(name)).filter_map(Dn::parse);
        let members: Vec<Dn> = members.filter(|member| member != group).take(TRIED).collect();
        for kind in [&schema.user_filter, &schema.group_filter] {
            for member in &members {
                let kind = Filter::Raw(kind.clone());
                match self.object(member.as_str(), &kind, &[&*schema.member_of]).await {
                    Ok(Some(member)) => {
                        return Ok(self.dns(&member, &schema.member_of).await?.contains(group));
                    }
                    Ok(None) => {}
                    Err(fault) if fault.is_of_the_question() => {}
                    Err(fault) => return Err(fault),
                }
            }
        }
        Ok(true)
    }
}
