//! Whether memberOf, where the server keeps it, tells of those who are in a group: its plug-in may be
//! off, the group older than its overlay, the attribute hidden from the account we bind as.

use crate::directory::ldap::dn::Dn;
use crate::directory::ldap::fault::Fault;
use crate::directory::ldap::filter::Filter;
use crate::directory::ldap::resolver::Resolver;

/// Members looked at until one can be seen; those of other domains, and placeholders, cannot.
const TRIED: usize = 5;

/// What looking at members of a group has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Sight {
    /// There is nobody to look at, or no memberOf to look for.
    #[default]
    Nobody,
    /// This member shows the group.
    Witness(Dn),
    /// A member does not show it.
    Blind,
}

impl Resolver {
    /// Looks at one member of the group: an account where there is one among the first, else a group.
    /// `before`: what the last look has shown. The witness of then is asked again, and while it still
    /// shows the group nobody reads the members, of which there may be 100,000.
    pub(super) async fn sight(&self, group: &Dn, before: Option<&Sight>) -> Result<Sight, Fault> {
        let schema = &self.settings.schema;
        if schema.member_of.is_empty() {
            return Ok(Sight::Nobody);
        }
        if let Some(Sight::Witness(witness)) = before
            && self.shows(witness, &Filter::And(Vec::new()), group).await? == Some(true)
        {
            return Ok(Sight::Witness(witness.clone()));
        }
        let names: Vec<&str> = schema.members.iter().map(|name| &**name).collect();
        let any = Filter::And(Vec::new());
        let Some(entry) = self.object(group.as_str(), &any, &names).await? else {
            return Err(Fault::answer(format!("the group {group} went away")));
        };
        let members = names.iter().flat_map(|name| entry.texts(name)).filter_map(Dn::parse);
        let members: Vec<Dn> = members.filter(|member| member != group).take(TRIED).collect();
        for kind in [&schema.user_filter, &schema.group_filter] {
            let kind = Filter::Raw(kind.clone());
            for member in &members {
                match self.shows(member, &kind, group).await? {
                    Some(true) => return Ok(Sight::Witness(member.clone())),
                    Some(false) => return Ok(Sight::Blind),
                    None => {}
                }
            }
        }
        Ok(Sight::Nobody)
    }

    /// Whether a member of this kind shows the group; `None`: it cannot be seen.
    async fn shows(&self, member: &Dn, kind: &Filter, group: &Dn) -> Result<Option<bool>, Fault> {
        let member_of = &*self.settings.schema.member_of;
        match self.object(member.as_str(), kind, &[member_of]).await {
            Ok(Some(member)) => Ok(Some(self.dns(&member, member_of).await?.contains(group))),
            Ok(None) => Ok(None),
            Err(fault) if fault.is_of_the_question() => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}
