//! What a search returns, one by one (RFC 4511, 4.5.2): an entry's attributes with their options,
//! or a reference. ldap3's own reading panics on BER it does not expect, and guesses what is text.

use std::collections::BTreeMap;

use ldap3::ResultEntry;
use ldap3::asn1::{PL, StructureTag, TagClass, Types};

/// A directory object, as far as it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// As the server writes it.
    pub dn: String,
    /// By name in lower case.
    attributes: BTreeMap<String, Attribute>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Attribute {
    values: Vec<Vec<u8>>,
    range: Option<Range>,
}

/// Which of an attribute's values these are, where the server gives them in parts
/// (MS-ADTS 3.1.1.3.1.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub from: u32,
    /// The last of them; `None`: there are no more.
    pub to: Option<u32>,
}

/// One answer to a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Entry(Entry),
    /// URIs of where else to search.
    Reference(Vec<String>),
    /// Belongs to no search, such as an intermediate response.
    Other,
    /// What is wrong with it.
    Malformed(String),
}

/// RFC 4511, 4.5.2.
const SEARCH_RESULT_ENTRY: u64 = 4;
const SEARCH_RESULT_REFERENCE: u64 = 19;

impl Entry {
    pub fn new(dn: String) -> Self {
        Self { dn, ..Self::default() }
    }

    /// Reads one answer.
    pub fn read(answer: ResultEntry) -> Item {
        let answer = answer.0;
        match (answer.class, answer.id) {
            (TagClass::Application, SEARCH_RESULT_ENTRY) => match entry(answer.payload) {
                Ok(entry) => Item::Entry(entry),
                Err(fault) => Item::Malformed(fault),
            },
            (TagClass::Application, SEARCH_RESULT_REFERENCE) => match reference(answer.payload) {
                Some(uris) => Item::Reference(uris),
                None => Item::Malformed("a reference that is no list of URIs".into()),
            },
            _ => Item::Other,
        }
    }

    /// Adds values to the attribute of this description: a name, and options after semicolons
    /// (RFC 4512, 2.5). Only a range is kept of the options.
    pub fn add(&mut self, description: &str, values: Vec<Vec<u8>>) -> Result<(), String> {
        let folded = description.to_ascii_lowercase();
        let (name, options) = folded.split_once(';').unwrap_or((&folded, ""));
        let attribute = self.attributes.entry(name.into()).or_default();
        for range in options.split(';').filter_map(|option| option.strip_prefix("range=")) {
            let range = Range::parse(range).filter(|_| attribute.range.is_none());
            attribute.range = Some(range.ok_or_else(|| {
                format!(
                    "\"{}\": bad range in {}",
                    shortened(self.dn.as_bytes()),
                    shortened(description.as_bytes())
                )
            })?);
        }
        attribute.values.extend(values);
        Ok(())
    }

    /// None for an attribute that the object does not have, or that may not be read.
    pub fn values(&self, attribute: &str) -> &[Vec<u8>] {
        self.find(attribute).map_or(&[], |attribute| &attribute.values)
    }

    /// The values that are UTF-8.
    pub fn texts(&self, attribute: &str) -> impl Iterator<Item = &str> {
        self.values(attribute).iter().filter_map(|value| std::str::from_utf8(value).ok())
    }

    pub fn first_text(&self, attribute: &str) -> Option<&str> {
        self.texts(attribute).next()
    }

    /// The first text of the first of these attributes that has one.
    pub fn first_of<'a>(&self, attributes: impl IntoIterator<Item = &'a String>) -> Option<&str> {
        attributes.into_iter().find_map(|attribute| self.first_text(attribute))
    }

    /// `None`: all values are there.
    pub fn range(&self, attribute: &str) -> Option<Range> {
        self.find(attribute)?.range
    }

    /// What it takes in memory, in bytes: names, values, and what each value costs beside itself.
    pub fn size(&self) -> usize {
        let of_value = |value: &Vec<u8>| size_of::<Vec<u8>>() + value.len();
        let of_attribute = |(name, attribute): (&String, &Attribute)| {
            size_of::<(String, Attribute)>()
                + name.len()
                + attribute.values.iter().map(of_value).sum::<usize>()
        };
        self.dn.len() + self.attributes.iter().map(of_attribute).sum::<usize>()
    }

    fn find(&self, attribute: &str) -> Option<&Attribute> {
        self.attributes.get(&attribute.to_ascii_lowercase())
    }
}

impl Range {
    /// `0-1499`, and `1500-*` for the last.
    fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let from = from.parse().ok()?;
        let to = match to {
            "*" => None,
            to => Some(to.parse().ok().filter(|to| (from..u32::MAX).contains(to))?),
        };
        Some(Self { from, to })
    }

    /// Where the values begin that are still missing.
    pub fn next(self) -> Option<u32> {
        self.to.map(|to| to + 1)
    }
}

/// The beginning of a value, for messages.
pub fn shortened(value: &[u8]) -> String {
    const SHOWN: usize = 64;
    let (shown, dots) = match value.get(..SHOWN) {
        Some(start) if value.len() > SHOWN => (start, ".."),
        _ => (value, ""),
    };
    format!("{}{dots}", String::from_utf8_lossy(shown).escape_debug())
}

fn entry(payload: PL) -> Result<Entry, String> {
    let PL::C(parts) = payload else { return Err("an entry without parts".into()) };
    // What a later version adds behind them is to be ignored (RFC 4511, 4).
    let mut parts = parts.into_iter();
    let dn = parts.next().and_then(text).ok_or("an entry without a DN in UTF-8")?;
    let mut entry = Entry::new(dn);
    let fault = |entry: &Entry, what| format!("\"{}\": {what}", shortened(entry.dn.as_bytes()));
    let attributes = parts.next().and_then(|part| parts_of(part, Types::Sequence));
    for attribute in attributes.ok_or_else(|| fault(&entry, "no list of attributes"))? {
        let (description, values) = partial_attribute(attribute)
            .ok_or_else(|| fault(&entry, "an attribute that is no name with values"))?;
        entry.add(&description, values)?;
    }
    Ok(entry)
}

/// RFC 4511, 4.1.7: a description and a set of values.
fn partial_attribute(attribute: StructureTag) -> Option<(String, Vec<Vec<u8>>)> {
    let mut parts = parts_of(attribute, Types::Sequence)?.into_iter();
    let description = parts.next().and_then(text)?;
    let values = parts_of(parts.next()?, Types::Set)?;
    Some((description, values.into_iter().map(octets).collect::<Option<_>>()?))
}

fn reference(payload: PL) -> Option<Vec<String>> {
    let PL::C(uris) = payload else { return None };
    uris.into_iter().map(text).collect()
}

fn parts_of(tag: StructureTag, kind: Types) -> Option<Vec<StructureTag>> {
    match tag.payload {
        PL::C(parts) if tag.class == TagClass::Universal && tag.id == kind as u64 => Some(parts),
        _ => None,
    }
}

/// Never in parts (RFC 4511, 5.1).
fn octets(tag: StructureTag) -> Option<Vec<u8>> {
    let is_octets = tag.class == TagClass::Universal && tag.id == Types::OctetString as u64;
    match tag.payload {
        PL::P(octets) if is_octets => Some(octets),
        _ => None,
    }
}

fn text(tag: StructureTag) -> Option<String> {
    octets(tag).and_then(|octets| String::from_utf8(octets).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tag(class: TagClass, id: u64, payload: PL) -> StructureTag {
        StructureTag { class, id, payload }
    }

    fn string(bytes: &[u8]) -> StructureTag {
        tag(TagClass::Universal, 4, PL::P(bytes.into()))
    }

    fn sequence(parts: Vec<StructureTag>) -> StructureTag {
        tag(TagClass::Universal, 16, PL::C(parts))
    }

    fn attribute(name: &str, values: &[&[u8]]) -> StructureTag {
        let values = values.iter().map(|value| string(value)).collect();
        sequence(vec![string(name.as_bytes()), tag(TagClass::Universal, 17, PL::C(values))])
    }

    fn read(id: u64, parts: Vec<StructureTag>) -> Item {
        Entry::read(ResultEntry::new(tag(TagClass::Application, id, PL::C(parts))))
    }

    fn entry_of(attributes: Vec<StructureTag>) -> Entry {
        match read(4, vec![string(b"cn=a"), sequence(attributes)]) {
            Item::Entry(entry) => entry,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn attributes_are_found_in_any_case() {
        let entry = entry_of(vec![attribute("sAMAccountName", &[b"alice"])]);
        assert_eq!(entry.dn, "cn=a");
        assert_eq!(entry.first_text("samaccountname"), Some("alice"));
        assert_eq!(entry.values("SAMACCOUNTNAME"), [b"alice"]);
        assert_eq!((entry.values("mail").len(), entry.first_text("mail")), (0, None));
    }

    #[test]
    fn values_that_are_no_text_are_left_out() {
        let entry = entry_of(vec![attribute("x", &[b"\xff\xfe", b"a", b"\x80", b"b"])]);
        assert_eq!(entry.texts("x").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(entry.first_text("x"), Some("a"));
        assert_eq!(entry.values("x").len(), 4);
    }

    #[test]
    fn a_range_says_which_values_are_missing() {
        let entry = entry_of(vec![
            // Active Directory adds the attribute without values beside its range.
            attribute("member", &[]),
            attribute("member;range=0-1499", &[b"cn=x"]),
            attribute("memberOf;Range=1500-*", &[b"cn=y"]),
            attribute("userCertificate;binary", &[b"\x30"]),
            attribute("proxyAddresses;lang-de;range=2-4", &[b"z"]),
        ]);
        assert_eq!(entry.range("member"), Some(Range { from: 0, to: Some(1499) }));
        assert_eq!(entry.range("member").and_then(Range::next), Some(1500));
        assert_eq!(entry.values("member"), [b"cn=x"]);
        assert_eq!(entry.range("memberof"), Some(Range { from: 1500, to: None }));
        assert_eq!(entry.range("memberof").and_then(Range::next), None);
        assert_eq!(
            (entry.values("userCertificate").len(), entry.range("userCertificate")),
            (1, None)
        );
        assert_eq!(entry.range("proxyAddresses").and_then(Range::next), Some(5));
    }

    #[test]
    fn a_range_that_says_nothing_makes_the_entry_malformed() {
        let bad = ["", "0", "-", "a-b", "0-", "5-4", "-1-2", "0-4294967295", "0-4294967296", "*-*"];
        for range in bad {
            let mut entry = Entry::new("cn=a".into());
            let fault = entry.add(&format!("member;range={range}"), Vec::new());
            assert_eq!(fault, Err(format!("\"cn=a\": bad range in member;range={range}")));
        }
        let twice = [attribute("m;range=0-1", &[]), attribute("m;range=2-*", &[])];
        let item = read(4, vec![string(b"cn=a"), sequence(twice.into())]);
        assert_eq!(item, Item::Malformed("\"cn=a\": bad range in m;range=2-*".into()));
    }

    #[test]
    fn references_and_other_messages_are_no_entries() {
        let uris = vec![string(b"ldap://dc2/DC=x"), string(b"ldap://dc3/DC=x")];
        let expected = vec!["ldap://dc2/DC=x".into(), "ldap://dc3/DC=x".into()];
        assert_eq!(read(19, uris), Item::Reference(expected));
        assert_eq!(read(25, Vec::new()), Item::Other);
        let not_ldap = tag(TagClass::Universal, 4, PL::C(Vec::new()));
        assert_eq!(Entry::read(ResultEntry::new(not_ldap)), Item::Other);
    }

    #[test]
    fn odd_ber_is_malformed_with_a_reason() {
        let integer = || tag(TagClass::Universal, 2, PL::P(vec![1]));
        let cases = [
            (vec![], "an entry without a DN in UTF-8"),
            (vec![string(b"cn=\xff"), sequence(vec![])], "an entry without a DN in UTF-8"),
            (vec![integer(), sequence(vec![])], "an entry without a DN in UTF-8"),
            (vec![string(b"cn=a")], "\"cn=a\": no list of attributes"),
            (vec![string(b"cn=a"), string(b"x")], "\"cn=a\": no list of attributes"),
            (
                vec![string(b"cn=a"), sequence(vec![sequence(vec![string(b"x")])])],
                "\"cn=a\": an attribute that is no name with values",
            ),
            (
                vec![string(b"cn=a"), sequence(vec![sequence(vec![string(b"x"), string(b"y")])])],
                "\"cn=a\": an attribute that is no name with values",
            ),
        ];
        for (parts, fault) in cases {
            assert_eq!(read(4, parts), Item::Malformed(fault.into()));
        }
        let primitive = tag(TagClass::Application, 4, PL::P(vec![1]));
        let item = Entry::read(ResultEntry::new(primitive));
        assert_eq!(item, Item::Malformed("an entry without parts".into()));
        let fault = Item::Malformed("a reference that is no list of URIs".into());
        assert_eq!(read(19, vec![integer()]), fault);
    }

    #[test]
    fn what_a_later_version_adds_is_ignored() {
        let item = read(4, vec![string(b"cn=a"), sequence(Vec::new()), string(b"later")]);
        assert_eq!(item, Item::Entry(Entry::new("cn=a".into())));
    }

    #[test]
    fn the_size_counts_every_value_even_an_empty_one() {
        let of = |values: &[&[u8]]| entry_of(vec![attribute("x", values)]).size();
        let empty = of(&[]);
        assert_eq!(of(&[b"12345"]) - of(&[b""]), 5);
        assert_eq!(of(&[b"", b""]) - empty, 2 * (of(&[b""]) - empty));
        assert!(of(&[b""]) > empty && empty > Entry::new("cn=a".into()).size());
        assert!(of(&[&vec![0; 10_000_000]]) > 10_000_000);
    }

    #[test]
    fn a_value_is_shown_without_its_tail_and_its_controls() {
        assert_eq!(shortened(b"a\n\xff"), "a\\n\u{fffd}");
        assert_eq!(shortened(&[b'a'; 64]), "a".repeat(64));
        assert_eq!(shortened(&[b'a'; 65]), format!("{}..", "a".repeat(64)));
    }

    fn any_tag() -> impl Strategy<Value = StructureTag> {
        let class = prop_oneof![
            4 => Just(TagClass::Universal),
            2 => Just(TagClass::Application),
            1 => Just(TagClass::Context),
        ];
        let id = prop_oneof![Just(4_u64), Just(16), Just(17), Just(19), any::<u64>()];
        let leaf = (class.clone(), id.clone(), prop::collection::vec(any::<u8>(), 0..8))
            .prop_map(|(class, id, bytes)| tag(class, id, PL::P(bytes)));
        leaf.prop_recursive(4, 40, 4, move |inner| {
            (class.clone(), id.clone(), prop::collection::vec(inner, 0..4))
                .prop_map(|(class, id, parts)| tag(class, id, PL::C(parts)))
        })
    }

    proptest! {
        #[test]
        fn any_ber_is_read_without_panic(payload in any_tag(), id in prop_oneof![Just(4_u64), Just(19)]) {
            let _ = Entry::read(ResultEntry::new(payload.clone()));
            let _ = Entry::read(ResultEntry::new(StructureTag { class: TagClass::Application, id, ..payload }));
        }

        #[test]
        fn every_value_is_kept_as_it_came(values: Vec<Vec<u8>>, name in "[a-zA-Z][a-zA-Z0-9-]{0,9}(;[a-q]{1,5})?") {
            let slices: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
            let entry = entry_of(vec![attribute(&name, &slices)]);
            let bare = name.split(';').next().expect("a name");
            prop_assert_eq!(entry.values(bare), values);
        }
    }
}
