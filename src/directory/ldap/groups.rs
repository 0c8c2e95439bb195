//! The groups the configuration names, each with all groups nested in it. They are few and are read
//! ahead, so that a lookup needs no walk: an account is a member where one of its own groups is in
//! the tree of the named one.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::directory::ldap::connection::Search;
use crate::directory::ldap::dn::Dn;
use crate::directory::ldap::entry::Entry;
use crate::directory::ldap::fault::Fault;
use crate::directory::ldap::filter::Filter;
use crate::directory::ldap::reading::Reading;
use crate::directory::ldap::resolver::{Resolver, read_dn};
use crate::directory::ldap::settings::Settings;
use crate::directory::ldap::sid::Sid;
use crate::directory::ldap::tree::{Evidence, Lifetime, Tree};
use crate::mail::Timestamp;
use crate::rights::{Groups, Membership, Memberships};

/// A tree beyond this is a fault, not a shorter tree. AD sites go to ten levels.
const DEEPEST: usize = 100;
const LARGEST: usize = 50_000;

/// Groups read at once.
pub(super) const AT_ONCE: usize = 4;

/// The groups of the rules, as the directory has them.
#[derive(Debug, Default)]
pub(super) struct GroupSet {
    /// As the rules name them, folded, in their order. A set read again has the same allocation.
    pub names: Arc<[Box<str>]>,
    pub found: Box<[Found]>,
    pub read_at: Timestamp,
    /// Every group was read to its end.
    pub is_whole: bool,
}

/// What became of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Group(Group),
    /// The directory knows no such group: nobody is a member.
    Absent,
    /// It was there once, and is gone: nobody can say who is a member.
    Vanished(Identity),
    /// More than one group bears the name. With the one that bore it alone before.
    Ambiguous(Option<Identity>),
    /// Whether there is such a group cannot be told.
    Unreadable(Fault),
}

/// What a group keeps when it is renamed or moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub id: String,
    pub dn: Dn,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub identity: Identity,
    /// As it was last read to its end; `None`: it never was.
    pub tree: Option<Arc<Tree>>,
}

impl Found {
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Group(group) => Some(&group.identity),
            Self::Vanished(identity) => Some(identity),
            Self::Ambiguous(before) => before.as_ref(),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }

    fn tree(&self) -> Option<&Tree> {
        match self {
            Self::Group(group) => group.tree.as_deref(),
            _ => None,
        }
    }
}

impl Group {
    /// A tree that is no longer fresh says who is a member, and no longer who is none: somebody may
    /// have been let in since.
    fn membership(&self, evidence: &Evidence, life: Lifetime, at: Timestamp) -> Membership {
        let tree = self.tree.as_ref().filter(|tree| life.is_servable(tree.read_at, at));
        match tree {
            Some(tree) if tree.holds(evidence) => Membership::Yes,
            Some(tree) if tree.is_blind() => Membership::Unknown,
            Some(tree) if evidence.is_complete && life.is_fresh(tree.read_at, at) => Membership::No,
            None if evidence.direct.contains(&self.identity.dn) => Membership::Yes,
            _ => Membership::Unknown,
        }
    }
}

impl GroupSet {
    /// Whether the directory was asked for these; else it is what a snapshot left, or nothing.
    pub fn is_read(&self) -> bool {
        self.read_at != Timestamp::default()
    }

    pub fn is_of(&self, groups: &Groups) -> bool {
        *self.names == *groups.folded()
    }

    pub fn find(&self, folded: &str) -> Option<&Found> {
        let index = self.names.iter().position(|name| **name == *folded)?;
        self.found.get(index)
    }

    /// Whether all that is read of these groups was read of late.
    pub fn is_fresh(&self, life: Lifetime, at: Timestamp) -> bool {
        self.is_read() && life.is_fresh(self.read_at, at)
    }

    pub fn memberships(&self, evidence: &Evidence, life: Lifetime, at: Timestamp) -> Memberships {
        let membership = |found: &Found| match found {
            Found::Group(group) => group.membership(evidence, life, at),
            Found::Absent if life.is_fresh(self.read_at, at) => Membership::No,
            _ => Membership::Unknown,
        };
        Memberships(self.found.iter().map(membership).collect())
    }

    /// Whether an account may be in one of them by its login alone.
    pub fn list_logins(&self) -> bool {
        self.found.iter().any(|found| match found {
            Found::Group(group) => group.tree.as_ref().is_none_or(|tree| tree.lists_logins),
            _ => false,
        })
    }

    /// Since when nobody has seen what the groups are; `None`: all are fresh.
    pub fn stale_since(&self, life: Lifetime, at: Timestamp) -> Option<Timestamp> {
        let read = self.found.iter().filter_map(|found| Some(found.tree()?.read_at));
        let read = read.chain((!self.found.is_empty()).then_some(self.read_at));
        read.filter(|read_at| !life.is_fresh(*read_at, at)).min()
    }

    /// Whether answers that rest on `before`, which had the same groups, are to be asked for again.
    pub fn overturns(&self, before: &Self, life: Lifetime, at: Timestamp) -> bool {
        let is_renewed = |(found, before): (&Found, &Found)| match (found.tree(), before.tree()) {
            (Some(now), Some(then)) => {
                now.read_at != then.read_at && !life.is_fresh(then.read_at, at)
            }
            _ => false,
        };
        self.found != before.found
            || !before.is_fresh(life, at)
            || self.found.iter().zip(&before.found).any(is_renewed)
    }
}

impl Resolver {
    /// Reads the groups with these names (folded, as [`Groups::folded`]). `before`: what was known of
    /// them, so that a renamed group is found again and a lost one is missed. A fault is one of the
    /// server; what is wrong with one name makes that one unknown.
    pub async fn group_set(
        &self,
        names: &[Box<str>],
        before: &GroupSet,
        at: Timestamp,
    ) -> Result<GroupSet, Fault> {
        let reading = match names.is_empty() {
            true => Reading::default(),
            false => self.begin_reading().await?,
        };
        let reading = &reading;
        let read = stream::iter(names.iter().cloned())
            .map(|name| async move {
                let before = before.find(&name);
                match self.named(&name, before, reading, at).await {
                    Err(fault) if fault.is_of_the_question() => {
                        Ok((kept(&name, before, fault), false))
                    }
                    read => read,
                }
            })
            .buffered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        let is_whole = read.iter().all(|(_, is_whole)| *is_whole);
        let found = read.into_iter().map(|(found, _)| found).collect();
        let names = if *before.names == *names { Arc::clone(&before.names) } else { names.into() };
        Ok(GroupSet { names, found, read_at: at, is_whole })
    }

    /// What becomes of one name, and whether it was read to its end.
    async fn named(
        &self,
        name: &str,
        before: Option<&Found>,
        reading: &Reading,
        at: Timestamp,
    ) -> Result<(Found, bool), Fault> {
        let mut entries = self.groups_named(name).await?;
        if entries.len() > 1 {
            tracing::error!(group = ?name, "more than one group has this name: whoever may be a member is not known; name it by its DN");
            return Ok((Found::Ambiguous(before.and_then(Found::identity).cloned()), true));
        }
        if let (true, Some(known)) = (entries.is_empty(), before.and_then(Found::identity)) {
            match self.group_by_id(&known.id).await? {
                Some(entry) => {
                    tracing::warn!(group = ?name, now = ?entry.dn, "a group that the configuration names has another name now; it still counts until the next start");
                    entries.push(entry);
                }
                None => {
                    tracing::error!(group = ?name, "a group that the configuration names is gone from the directory: whoever may be a member is not known");
                    return Ok((Found::Vanished(known.clone()), true));
                }
            }
        }
        let Some(entry) = entries.pop() else {
            if !matches!(before, Some(Found::Absent)) {
                tracing::warn!(group = ?name, "the configuration names a group that the directory does not have: it has no members");
            }
            return Ok((Found::Absent, true));
        };
        let identity = Identity {
            id: self.id(&entry)?,
            dn: read_dn(entry.dn.as_bytes(), "the DN of a group")?,
        };
        let known = match before {
            Some(Found::Group(group)) if group.identity.id == identity.id => group.tree.clone(),
            _ => None,
        };
        let read = match self.tree(&entry, known.as_deref(), reading, at).await {
            Ok(tree) => Some(Arc::new(tree)),
            Err(fault) if !fault.is_of_the_question() => return Err(fault),
            Err(fault) => {
                tracing::error!(group = ?name, %fault, "a group cannot be read to its end: what is known of it stays, and once that is old whoever else may be a member is not known");
                None
            }
        };
        if read.as_ref().is_some_and(|tree| tree.is_blind())
            && before.and_then(Found::tree).is_none_or(|tree| !tree.is_blind())
        {
            tracing::error!(group = ?name, attribute = self.settings.schema.member_of, "members of a group that the configuration names do not show it: whoever is not seen in it may be a member all the same");
        }
        let is_whole = read.is_some();
        Ok((Found::Group(Group { identity, tree: read.or(known) }), is_whole))
    }

    /// The groups with this name, DN or SID: at most two, since two are too many.
    pub async fn groups_named(&self, name: &str) -> Result<Vec<Entry>, Fault> {
        let schema = &self.settings.schema;
        let is_group = Filter::Raw(schema.group_filter.clone());
        let attributes = self.group_attributes();
        if name.contains('=')
            && let Some(dn) = Dn::parse(name)
        {
            let found = self.object(dn.as_str(), &is_group, &attributes).await?;
            return Ok(found.into_iter().collect());
        }
        let called = match Sid::parse(name) {
            Some(sid) => Filter::equal("objectSid", sid.to_bytes()),
            None => Filter::Or(
                schema.group_names.iter().map(|attribute| Filter::equal(attribute, name)).collect(),
            ),
        };
        let filter = Filter::And(vec![is_group, called]).to_string();
        let search = Search::below(&self.settings.group_base, filter, &attributes).at_most(2);
        self.pool.lookup(&search).await
    }

    async fn group_by_id(&self, id: &str) -> Result<Option<Entry>, Fault> {
        let Settings { group_base, schema, .. } = &*self.settings;
        self.by_id(id, group_base, &schema.group_filter, &self.group_attributes()).await
    }

    pub(super) fn group_attributes(&self) -> Vec<&str> {
        let schema = &self.settings.schema;
        let mut attributes: Vec<&str> = schema.group_names.iter().map(|name| &**name).collect();
        attributes.push(&schema.id);
        if self.is_active_directory() {
            attributes.push("objectSid");
        }
        attributes.retain(|name| !name.is_empty());
        attributes
    }

    /// The group and all nested in it, level by level. `before`: as it was read the last time.
    pub(super) async fn tree(
        &self,
        top: &Entry,
        before: Option<&Tree>,
        reading: &Reading,
        at: Timestamp,
    ) -> Result<Tree, Fault> {
        let mut tree = Tree { read_at: at, ..Tree::default() };
        let top_dn = self.enter(&mut tree, top)?;
        let mut level = vec![top_dn.ok_or_else(|| Fault::answer("a tree without a top"))?];
        tree.sight = self.sight(&level[0], before.map(|tree| &tree.sight)).await?;
        for _ in 0..=DEEPEST {
            let mut below = Vec::new();
            for entry in self.groups_within(&level, reading).await? {
                below.extend(self.enter(&mut tree, &entry)?);
            }
            if tree.dns.len() > LARGEST {
                return Err(Fault::answer(format!(
                    "more than {LARGEST} groups are nested in {}",
                    top.dn
                )));
            }
            if below.is_empty() {
                tree.lists_logins = reading.lists_logins(&tree);
                return Ok(tree);
            }
            level = below;
        }
        Err(Fault::answer(format!("groups are nested more than {DEEPEST} deep in {}", top.dn)))
    }

    /// The DN of a group that was not in the tree.
    fn enter(&self, tree: &mut Tree, entry: &Entry) -> Result<Option<Dn>, Fault> {
        let dn = read_dn(entry.dn.as_bytes(), "the DN of a group")?;
        if let Some(sid) = entry.values("objectSid").first().and_then(|sid| Sid::from_bytes(sid)) {
            tree.sids.insert(sid);
        }
        Ok(tree.dns.insert(dn.clone()).then_some(dn))
    }
}

/// What stays of a name that cannot be read.
fn kept(name: &str, before: Option<&Found>, fault: Fault) -> Found {
    match before {
        Some(known @ (Found::Group(_) | Found::Vanished(_) | Found::Ambiguous(_))) => {
            tracing::error!(group = ?name, %fault, "a group that the configuration names cannot be read again: what is known of it stays, and once that is old whoever else may be a member is not known");
            known.clone()
        }
        _ => {
            tracing::error!(group = ?name, %fault, "a group that the configuration names cannot be read: whoever may be a member is not known");
            Found::Unreadable(fault)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::time::Duration;

    /// What a group read at 1000 says to somebody at a moment, with answers fresh for 20 s and served
    /// for 60 s.
    fn says(found: Found, is_member: bool, at: i64) -> Membership {
        let life = Lifetime::of(Duration::from_secs(20), Duration::from_secs(60));
        let set = GroupSet {
            names: ["g".into()].into(),
            found: [found].into(),
            read_at: Timestamp::from_unix_ms(1000),
            is_whole: true,
        };
        let mut evidence = Evidence { is_complete: true, ..Evidence::default() };
        evidence.direct.extend(is_member.then(|| dn("cn=nested")));
        set.memberships(&evidence, life, Timestamp::from_unix_ms(at)).of(0)
    }

    fn dn(text: &str) -> Dn {
        Dn::parse(text).expect("a DN")
    }

    fn group() -> Found {
        let dns = HashSet::from([dn("cn=g"), dn("cn=nested")]);
        let tree = Tree { dns, read_at: Timestamp::from_unix_ms(1000), ..Tree::default() };
        let identity = Identity { id: "g".into(), dn: dn("cn=g") };
        Found::Group(Group { identity, tree: Some(Arc::new(tree)) })
    }

    use Membership::{No, Unknown, Yes};

    #[test]
    fn a_tree_says_no_while_it_is_fresh_and_yes_while_it_may_be_served() {
        // A clock that was set back makes it old.
        let cases = [
            (999, Unknown, Yes),
            (1000, No, Yes),
            (20_999, No, Yes),
            (21_000, No, Yes),
            (21_001, Unknown, Yes),
            (60_999, Unknown, Yes),
            (61_000, Unknown, Yes),
            (61_001, Unknown, Unknown),
        ];
        for (at, stranger, member) in cases {
            assert_eq!(
                (says(group(), false, at), says(group(), true, at)),
                (stranger, member),
                "{at}"
            );
        }
    }

    #[test]
    fn that_there_is_no_such_group_is_known_for_as_long() {
        for (at, known) in [(20_999, No), (21_000, No), (21_001, Unknown)] {
            assert_eq!(says(Found::Absent, false, at), known, "{at}");
        }
    }

    #[test]
    fn a_freshness_that_is_shorter_than_reading_takes_is_lengthened() {
        let life = Lifetime::of(Duration::from_secs(1), Duration::from_secs(1));
        let [read, at] = [0, 10_000].map(Timestamp::from_unix_ms);
        assert!(life.is_fresh(read, at) && life.is_servable(read, at));
        let later = Timestamp::from_unix_ms(10_001);
        assert!(!life.is_fresh(read, later) && !life.is_servable(read, later));
    }
}
