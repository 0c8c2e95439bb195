//! Search filters, built from typed values and written as RFC 4515 has them. A value is escaped as
//! it is written, so that whatever it holds is compared and nothing else.

use std::fmt;

use crate::directory::ldap::escape;

/// A filter (RFC 4511, 4.5.1.7). Attribute names come from the configuration (see [`is_attribute`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    Equal(String, Vec<u8>),
    AtLeast(String, Vec<u8>),
    /// A DN that the attribute holds, or that is reached through it in any number of steps;
    /// Active Directory only.
    InChain(String, Vec<u8>),
    Present(String),
    /// Of none: everything.
    And(Vec<Self>),
    /// Of none: nothing.
    Or(Vec<Self>),
    /// As the configuration has it (see [`is_filter`]).
    Raw(String),
}

/// LDAP_MATCHING_RULE_TRANSITIVE_EVAL (MS-ADTS 3.1.1.3.4.4.3).
const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";

impl Filter {
    pub fn equal(attribute: &str, value: impl Into<Vec<u8>>) -> Self {
        Self::Equal(attribute.into(), value.into())
    }

    pub fn at_least(attribute: &str, value: impl Into<Vec<u8>>) -> Self {
        Self::AtLeast(attribute.into(), value.into())
    }

    pub fn in_chain(attribute: &str, dn: impl Into<Vec<u8>>) -> Self {
        Self::InChain(attribute.into(), dn.into())
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal(attribute, value) => {
                write!(f, "({attribute}={})", escape::in_filter(value))
            }
            Self::AtLeast(attribute, value) => {
                write!(f, "({attribute}>={})", escape::in_filter(value))
            }
            Self::InChain(attribute, dn) => {
                write!(f, "({attribute}:{IN_CHAIN}:={})", escape::in_filter(dn))
            }
            Self::Present(attribute) => write!(f, "({attribute}=*)"),
            // Every object has a class. RFC 4526's `(&)` and `(|)` are not known everywhere.
            Self::And(parts) if parts.is_empty() => f.write_str("(objectClass=*)"),
            Self::Or(parts) if parts.is_empty() => f.write_str("(!(objectClass=*))"),
            Self::And(parts) => write_set(f, '&', parts),
            Self::Or(parts) => write_set(f, '|', parts),
            Self::Raw(text) => f.write_str(text),
        }
    }
}

fn write_set(f: &mut fmt::Formatter<'_>, operator: char, parts: &[Filter]) -> fmt::Result {
    if let [part] = parts {
        return write!(f, "{part}");
    }
    write!(f, "({operator}")?;
    parts.iter().try_for_each(|part| write!(f, "{part}"))?;
    f.write_str(")")
}

/// Whether the text is a filter that may stand in another one: in parentheses, which ldap3 does not
/// ask for.
pub fn is_filter(text: &str) -> bool {
    text.starts_with('(') && ldap3::parse_filter(text).is_ok()
}

/// Whether the text is an attribute's name or OID (RFC 4512, 1.4), without options.
pub fn is_attribute(text: &str) -> bool {
    let is_arc = |arc: &str| {
        arc == "0"
            || arc.starts_with(|c| matches!(c, '1'..='9'))
                && arc.bytes().all(|b| b.is_ascii_digit())
    };
    let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    is_name || text.split('.').all(is_arc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ldap3::asn1::{ASNTag, PL, StructureTag, TagClass, Types};
    use proptest::prelude::*;

    fn of(class: TagClass, id: u64, payload: PL) -> StructureTag {
        StructureTag { class, id, payload }
    }

    fn string(bytes: &[u8]) -> StructureTag {
        of(TagClass::Universal, Types::OctetString as u64, PL::P(bytes.into()))
    }

    /// What is to be sent for a filter (RFC 4511, 4.5.1).
    fn ber(filter: &Filter) -> StructureTag {
        let context = |id, parts| of(TagClass::Context, id, PL::C(parts));
        let all = |parts: &[Filter]| parts.iter().map(ber).collect();
        let anything = || of(TagClass::Context, 7, PL::P(b"objectClass".into()));
        match filter {
            Filter::And(parts) | Filter::Or(parts) if parts.len() == 1 => ber(&parts[0]),
            Filter::And(parts) if parts.is_empty() => anything(),
            Filter::Or(parts) if parts.is_empty() => context(2, vec![anything()]),
            Filter::And(parts) => context(0, all(parts)),
            Filter::Or(parts) => context(1, all(parts)),
            Filter::Equal(name, value) => context(3, vec![string(name.as_bytes()), string(value)]),
            Filter::AtLeast(name, value) => {
                context(5, vec![string(name.as_bytes()), string(value)])
            }
            Filter::Present(name) => of(TagClass::Context, 7, PL::P(name.as_bytes().into())),
            Filter::InChain(name, dn) => {
                let part = |id, bytes: &[u8]| of(TagClass::Context, id, PL::P(bytes.into()));
                context(
                    9,
                    vec![part(1, IN_CHAIN.as_bytes()), part(2, name.as_bytes()), part(3, dn)],
                )
            }
            Filter::Raw(text) => parsed(text),
        }
    }

    fn parsed(text: &str) -> StructureTag {
        ldap3::parse_filter(text).expect("a filter").into_structure()
    }

    fn any_filter() -> impl Strategy<Value = Filter> {
        let name = "[a-zA-Z][a-zA-Z0-9-]{0,10}";
        let value = || {
            prop_oneof![
                any::<String>().prop_map(String::into_bytes),
                "[*()\\\\&|!=<>~:a0\0]{0,12}".prop_map(String::into_bytes),
                any::<Vec<u8>>(),
            ]
        };
        let leaf = prop_oneof![
            (name, value()).prop_map(|(name, value)| Filter::Equal(name, value)),
            (name, value()).prop_map(|(name, value)| Filter::AtLeast(name, value)),
            (name, value()).prop_map(|(name, value)| Filter::InChain(name, value)),
            name.prop_map(Filter::Present),
            Just(Filter::Raw("(sAMAccountType=805306368)".into())),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            let several = prop::collection::vec(inner.clone(), 0..4);
            prop_oneof![several.clone().prop_map(Filter::And), several.prop_map(Filter::Or),]
        })
    }

    #[test]
    fn written_as_rfc_4515_has_it() {
        let (a, b) = (Filter::equal("uid", "a"), Filter::equal("uid", "b"));
        let cases = [
            (a.clone(), "(uid=a)"),
            (Filter::at_least("uSNChanged", "12"), "(uSNChanged>=12)"),
            (Filter::Present("mail".into()), "(mail=*)"),
            (
                Filter::in_chain("memberOf", "cn=a (b),dc=x"),
                r"(memberOf:1.2.840.113556.1.4.1941:=cn=a \28b\29,dc=x)",
            ),
            (Filter::And(vec![a.clone(), b.clone()]), "(&(uid=a)(uid=b))"),
            (Filter::Or(vec![a.clone(), b]), "(|(uid=a)(uid=b))"),
            (Filter::Or(vec![a.clone()]), "(uid=a)"),
            (Filter::And(vec![a.clone()]), "(uid=a)"),
            (Filter::And(Vec::new()), "(objectClass=*)"),
            (Filter::Or(Vec::new()), "(!(objectClass=*))"),
            (Filter::equal("objectGUID", [0xff, b'a']), r"(objectGUID=\ff\61)"),
            (Filter::equal("uid", "*)(uid=*"), r"(uid=\2a\29\28uid=\2a)"),
        ];
        for (filter, written) in cases {
            assert_eq!(filter.to_string(), written);
            assert_eq!(parsed(written), ber(&filter));
        }
    }

    #[test]
    fn a_filter_of_the_configuration_is_in_parentheses() {
        for text in ["(uid=*)", "(&(a=b)(!(c=d)))", "(memberOf:1.2.840.113556.1.4.1941:=cn=x)"] {
            assert!(is_filter(text), "{text}");
        }
        for text in ["", "uid=a", "(uid=a", "(uid=a))", "(uid=a)(uid=b)", "(uid)", " (uid=a)"] {
            assert!(!is_filter(text), "{text}");
        }
    }

    #[test]
    fn an_attribute_is_a_name_or_an_oid() {
        for text in ["uid", "msDS-User-Account-Control-Computed", "2.5.4.0", "a1"] {
            assert!(is_attribute(text), "{text}");
        }
        for text in
            ["", "1a", "a.b", "2.", "2..5", "-a", "a b", "cn;binary", "a=b", "ä", "2.+5", "2.05"]
        {
            assert!(!is_attribute(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_sent_is_exactly_what_was_built(filter in any_filter()) {
            prop_assert_eq!(parsed(&filter.to_string()), ber(&filter));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "[a-z()*=&|!\\\\:.0-9]{0,20}") {
            let _ = (is_filter(&text), is_attribute(&text));
        }
    }
}
