//! The objects and how they are searched. What an object has by way of others (memberOf, tokenGroups)
//! is computed when it is asked for.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use super::behaviour::{Behaviour, InChain};
use super::dn::{Dn, folded};
use super::entry::{Entry, is_asked_for};
use super::filter::{Compare, Filter};
use super::message::{Scope, Search};
use super::people::sid_bytes;

/// LDAP_MATCHING_RULE_BIT_AND and _OR (MS-ADTS 3.1.1.3.4.4).
const BIT_AND: &str = "1.2.840.113556.1.4.803";
const BIT_OR: &str = "1.2.840.113556.1.4.804";
const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";

/// groupType's bit of security groups (MS-ADTS 2.2.12).
const SECURITY_ENABLED: u32 = 0x8000_0000;

/// Attributes with the syntax of a DN.
const DNS: [&str; 8] = [
    "member",
    "memberOf",
    "distinguishedName",
    "authOrig",
    "unauthOrig",
    "dLMemSubmitPerms",
    "dLMemRejectPerms",
    "uniqueMember",
];

#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// The rootDSE first; after it as they came in.
    entries: Vec<Entry>,
    /// Counts changes, as highestCommittedUSN does.
    changes: u64,
    links: OnceCell<Links>,
    pub(super) next_rid: u32,
}

/// What follows from all entries together. Indices are those of `entries`.
#[derive(Clone, Debug, Default)]
struct Links {
    dns: Vec<Dn>,
    by_dn: HashMap<Dn, usize>,
    /// The groups that list an object.
    groups: HashMap<Dn, Vec<usize>>,
}

impl Directory {
    /// With this rootDSE alone.
    pub fn new(root: Entry) -> Self {
        Self { entries: vec![root], ..Self::default() }
    }

    /// A new object, to be given its attributes.
    pub fn insert(&mut self, dn: &str) -> &mut Entry {
        self.entries.push(Entry::new(dn));
        self.touched(self.entries.len() - 1)
    }

    /// An object by its DN or by its sAMAccountName, to be changed.
    pub fn change(&mut self, who: &str) -> &mut Entry {
        let index = self.find(who).unwrap_or_else(|| panic!("there is no {who}"));
        self.touched(index)
    }

    /// Gives an object another DN. Who has it as a member has the new DN then, and is not changed by
    /// that: AD keeps links by the object.
    pub fn rename(&mut self, who: &str, dn: &str) {
        let index = self.find(who).unwrap_or_else(|| panic!("there is no {who}"));
        let old = std::mem::replace(&mut self.entries[index].dn, dn.into());
        for entry in &mut self.entries {
            let members = entry.values("member").to_vec();
            if members.iter().any(|member| *member == old.as_bytes()) {
                let new = members.into_iter().map(|member| {
                    if member == old.as_bytes() { dn.as_bytes().to_vec() } else { member }
                });
                entry.set("member", new);
            }
        }
        self.touched(index);
    }

    pub fn remove(&mut self, who: &str) {
        let index = self.find(who).unwrap_or_else(|| panic!("there is no {who}"));
        self.entries.remove(index);
        self.touched(0);
    }

    /// The DN of an object.
    pub fn dn(&self, who: &str) -> String {
        let index = self.find(who).unwrap_or_else(|| panic!("there is no {who}"));
        self.entries[index].dn.clone()
    }

    /// Counts a change of it.
    fn touched(&mut self, index: usize) -> &mut Entry {
        self.links = OnceCell::new();
        self.changes += 1;
        let changes = self.changes.to_string();
        self.entries[0].set("highestCommittedUSN", [changes.as_str()]);
        if index > 0 {
            self.entries[index].set("uSNChanged", [changes]);
        }
        &mut self.entries[index]
    }

    fn links(&self) -> &Links {
        self.links.get_or_init(|| {
            let parse = |text: &str| Dn::parse(text).unwrap_or_else(|| panic!("a DN: {text}"));
            let mut links = Links::default();
            for (index, entry) in self.entries.iter().enumerate() {
                let dn = parse(&entry.dn);
                let other = links.by_dn.insert(dn.clone(), index);
                assert!(other.is_none(), "{} is there twice", entry.dn);
                links.dns.push(dn);
                for member in entry.values("member") {
                    // Junk among the members is nobody.
                    let member = std::str::from_utf8(member).ok().and_then(Dn::parse);
                    if let Some(member) = member {
                        links.groups.entry(member).or_default().push(index);
                    }
                }
            }
            links
        })
    }

    fn find(&self, who: &str) -> Option<usize> {
        if who.is_empty() {
            return Some(0);
        }
        match Dn::parse(who) {
            Some(dn) => self.links().by_dn.get(&dn).copied(),
            None => self.with_value("sAMAccountName", who.as_bytes()),
        }
    }

    /// The object a search begins at: by DN, `<GUID=..>` or `<SID=..>` (MS-ADTS 3.1.1.3.1.2.4).
    pub fn base(&self, base: &str) -> Option<usize> {
        let of = |prefix: &str| base.strip_prefix(prefix)?.strip_suffix('>');
        if let Some(hex) = of("<GUID=") {
            let bytes: Option<Vec<u8>> = (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok())
                .collect();
            return self.with_value("objectGUID", &bytes?);
        }
        if let Some(sid) = of("<SID=") {
            return self.with_value("objectSid", &sid_bytes(sid)?);
        }
        self.links().by_dn.get(&Dn::parse(base)?).copied()
    }

    fn with_value(&self, name: &str, value: &[u8]) -> Option<usize> {
        let has = |known: &Vec<u8>| known.eq_ignore_ascii_case(value);
        self.entries.iter().position(|entry| entry.values(name).iter().any(has))
    }

    /// The naming contexts the rootDSE names.
    pub fn contexts(&self) -> Vec<Dn> {
        let values = self.entries[0].values("namingContexts").iter();
        values.filter_map(|value| Dn::parse(std::str::from_utf8(value).ok()?)).collect()
    }

    /// The entries in the scope that match, each with what `behaviour` computes.
    pub fn search(&self, search: &Search, base: usize, behaviour: &Behaviour) -> Vec<Entry> {
        let links = self.links();
        let is_in_scope = |index: usize| match search.scope {
            Scope::Base => index == base,
            // The rootDSE is the root of everything and in no subtree (RFC 4512, 5.1).
            _ if index == 0 || !links.dns[index].is_within(&links.dns[base]) => false,
            Scope::One => links.dns[index].depth_below(&links.dns[base]) == 1,
            Scope::Subtree => true,
        };
        let indices = (0..self.entries.len()).filter(|index| is_in_scope(*index));
        let found = indices.filter(|index| {
            search.filter.holds(&|item| self.holds(item, *index, behaviour)) == Some(true)
        });
        found.map(|index| self.computed(index, &search.attributes, behaviour)).collect()
    }

    /// With memberOf and tokenGroups.
    fn computed(&self, index: usize, asked: &[String], behaviour: &Behaviour) -> Entry {
        let mut entry = self.entries[index].clone();
        if behaviour.member_of {
            entry.set("memberOf", self.names(&self.direct_groups(index)));
        }
        if behaviour.token_groups && is_asked_for(asked, "tokenGroups") {
            let groups = self.token_groups(index);
            let sids = groups.iter().flat_map(|group| self.entries[*group].values("objectSid"));
            entry.set("tokenGroups", sids.cloned());
        }
        entry
    }

    fn names(&self, indices: &[usize]) -> Vec<String> {
        indices.iter().map(|index| self.entries[*index].dn.clone()).collect()
    }

    fn direct_groups(&self, index: usize) -> Vec<usize> {
        let links = self.links();
        links.groups.get(&links.dns[index]).cloned().unwrap_or_default()
    }

    /// Security groups by way of security groups, and the primary one (MS-ADTS 3.1.1.4.5.19).
    fn token_groups(&self, index: usize) -> Vec<usize> {
        let entry = &self.entries[index];
        let sid = entry.values("objectSid").first();
        let rid = entry.text("primaryGroupID").and_then(|rid| rid.parse::<u32>().ok());
        let primary = sid.zip(rid).and_then(|(sid, rid)| {
            let domain = &sid[..sid.len().checked_sub(4)?];
            self.with_value("objectSid", &[domain, &rid.to_le_bytes()].concat())
        });
        let from = self.direct_groups(index).into_iter().chain(primary);
        self.above(from, |group| {
            let kind = self.entries[group].text("groupType");
            let kind = kind.and_then(|kind| kind.parse::<i32>().ok()).unwrap_or(0);
            kind as u32 & SECURITY_ENABLED != 0
        })
    }

    /// These groups and all that they are nested in, where they count.
    fn above(
        &self,
        from: impl IntoIterator<Item = usize>,
        counts: impl Fn(usize) -> bool,
    ) -> Vec<usize> {
        let (mut seen, mut found) = (HashSet::new(), Vec::new());
        let mut open: Vec<usize> = from.into_iter().collect();
        while let Some(group) = open.pop() {
            if counts(group) && seen.insert(group) {
                found.push(group);
                open.extend(self.direct_groups(group));
            }
        }
        found
    }

    /// Whether an item of a filter is true of an entry; `None`: Undefined.
    fn holds(&self, item: &Filter, index: usize, behaviour: &Behaviour) -> Option<bool> {
        let entry = &self.entries[index];
        let values = |name: &str| {
            if name.eq_ignore_ascii_case("memberOf") && behaviour.member_of {
                let names = self.names(&self.direct_groups(index));
                return names.into_iter().map(String::into_bytes).collect();
            }
            entry.values(name).to_vec()
        };
        Some(match item {
            Filter::Present(name) => {
                name.eq_ignore_ascii_case("objectClass") || !values(name).is_empty()
            }
            Filter::Item(name, compare, asserted) => values(name)
                .iter()
                .any(|value| compared(name, value, *compare, asserted, behaviour)),
            Filter::Substrings(name, pieces) => {
                values(name).iter().any(|value| has_pieces(value, pieces, behaviour))
            }
            Filter::Extensible { rule, attribute, value, .. } => match rule.as_str() {
                IN_CHAIN if behaviour.in_chain == InChain::Works => {
                    self.is_in_chain(attribute, index, value)
                }
                BIT_AND | BIT_OR => {
                    let mask = number(value)? as u32;
                    let bits = values(attribute).first().and_then(|value| number(value));
                    let bits = bits.unwrap_or(0) as u32 & mask;
                    if rule == BIT_AND { bits == mask } else { bits != 0 }
                }
                _ => return None,
            },
            Filter::And(_) | Filter::Or(_) | Filter::Not(_) => return None,
        })
    }

    /// memberOf upwards, member downwards, through groups of every kind and not through the primary
    /// one.
    fn is_in_chain(&self, attribute: &str, index: usize, value: &[u8]) -> bool {
        let Some(other) = std::str::from_utf8(value).ok().and_then(|text| self.base(text)) else {
            return false;
        };
        let (member, group) =
            if attribute.eq_ignore_ascii_case("member") { (other, index) } else { (index, other) };
        self.above(self.direct_groups(member), |_| true).contains(&group)
    }
}

fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn compared(
    name: &str,
    value: &[u8],
    compare: Compare,
    asserted: &[u8],
    behaviour: &Behaviour,
) -> bool {
    if let Some(sid) = std::str::from_utf8(asserted).ok().and_then(sid_bytes) {
        return value == sid;
    }
    let (Ok(text), Ok(other)) = (std::str::from_utf8(value), std::str::from_utf8(asserted)) else {
        return value == asserted;
    };
    if let (Compare::AtLeast | Compare::AtMost, Some(number), Some(other)) =
        (compare, number(value), number(asserted))
    {
        return in_order(&number, compare, &other);
    }
    if DNS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return Dn::parse(text).is_some_and(|dn| Dn::parse(other) == Some(dn));
    }
    let plainly = behaviour.accents_fold;
    if name.eq_ignore_ascii_case("objectCategory") && !other.contains('=') {
        // By the name of the class as well (MS-ADTS 3.1.1.3.1.3.1).
        return Dn::parse(text).is_some_and(|dn| dn.name() == folded(other, plainly));
    }
    in_order(&folded(text, plainly), compare, &folded(other, plainly))
}

fn in_order<T: PartialOrd>(value: &T, compare: Compare, other: &T) -> bool {
    match compare {
        Compare::Equal | Compare::Approximately => value == other,
        Compare::AtLeast => value >= other,
        Compare::AtMost => value <= other,
    }
}

fn has_pieces(value: &[u8], pieces: &[Vec<u8>], behaviour: &Behaviour) -> bool {
    // A piece may begin and end within a word, so its spaces count.
    let fold = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let words = text.split(' ').map(|word| folded(word, behaviour.accents_fold));
        words.collect::<Vec<_>>().join(" ")
    };
    let value = fold(value);
    let [first, middle @ .., last] = pieces else { return false };
    let Some(mut rest) = value.strip_prefix(&fold(first)) else { return false };
    for piece in middle {
        let piece = fold(piece);
        match rest.find(&piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(&fold(last))
}
