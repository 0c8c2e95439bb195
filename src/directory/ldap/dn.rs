//! Distinguished names as they are compared: all spellings that RFC 4514 has for one DN, and those
//! that differ in case or spaces (RFC 4518, 2.2 and 2.6.1), become one text.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::directory::ldap::escape;
use crate::directory::ldap::filter::is_attribute;

/// A DN, equal to every other spelling of itself. Servers compare more loosely still: Unicode
/// normalisation (RFC 4518, 2.3) and attributes named by OID are left as they were written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Dn(Box<str>);

/// In bytes, as written and as kept; real DNs have hundreds.
const LONGEST: usize = 8 * 1024;

impl Dn {
    /// `None`: no DN, or a longer one than 8 KiB. The empty text is the root.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let dn = match text.trim() {
            "" => String::new(),
            _ => split(text, ',').map(relative).collect::<Option<Vec<_>>>()?.join(","),
        };
        (dn.len() <= LONGEST).then(|| Self(dn.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Dn {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("expected a DN (RFC 4514) of 8 KiB at most")
    }
}

/// The parts between separators that no backslash precedes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_escaped = false;
    text.split(move |c| {
        let is_separator = c == separator && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_separator
    })
}

/// An RDN. The order of its parts has no meaning.
fn relative(rdn: &str) -> Option<String> {
    let mut parts = split(rdn, '+').map(type_and_value).collect::<Option<Vec<_>>>()?;
    parts.sort_unstable();
    Some(parts.join("+"))
}

fn type_and_value(part: &str) -> Option<String> {
    let (attribute, value) = part.split_once('=')?;
    let attribute = attribute.trim();
    let value = match value.trim().strip_prefix('#') {
        Some(ber) => hex_string(ber)?,
        None => folded(unescape(value)?),
    };
    is_attribute(attribute).then(|| format!("{}={value}", attribute.to_ascii_lowercase()))
}

/// BER in hex stays so: what text it stands for, its attribute's syntax knows.
fn hex_string(ber: &str) -> Option<String> {
    let is_hex = ber.bytes().all(|digit| digit.is_ascii_hexdigit());
    (is_hex && !ber.is_empty() && ber.len().is_multiple_of(2))
        .then(|| format!("#{}", ber.to_ascii_lowercase()))
}

fn folded(value: Vec<u8>) -> String {
    match String::from_utf8(value) {
        Ok(text) => {
            let words: Vec<&str> = text.split_whitespace().collect();
            escape::in_dn(words.join(" ").to_lowercase().as_bytes())
        }
        Err(binary) => escape::in_dn(binary.as_bytes()),
    }
}

fn unescape(value: &str) -> Option<Vec<u8>> {
    let mut bytes = value.bytes();
    let mut unescaped = Vec::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        unescaped.push(match byte {
            b'\\' => match bytes.next()? {
                special
                @ (b' ' | b'"' | b'#' | b'+' | b',' | b';' | b'<' | b'=' | b'>' | b'\\') => special,
                high => hex_digit(high)? << 4 | hex_digit(bytes.next()?)?,
            },
            b'"' | b';' | b'<' | b'>' | 0 => return None,
            byte => byte,
        });
    }
    Some(unescaped)
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dn(text: &str) -> Dn {
        Dn::parse(text).expect("a DN")
    }

    #[test]
    fn spellings_of_one_dn_are_equal() {
        let cases: [&[&str]; 6] = [
            // OpenLDAP writes `\2C`, Windows and Samba `\,`.
            &[r"CN=M\C3\BCller\, Hans,OU=x", r"cn=Müller\2c  hans, ou=X"],
            &["cn=a+uid=b,dc=x", "UID=B+CN=A,DC=X", "uid = b + cn = a , dc = x"],
            &[r"cn=\ a\ ,dc=x", "cn=a,dc=x", r"cn=\20\20a,dc=x"],
            &["cn=#04024869,dc=x", "CN=#04024869 , DC=X"],
            &["cn=a\u{a0}\tb", r"cn=a\0Ab", "cn=a b"],
            &["", " "],
        ];
        for spellings in cases {
            for spelling in spellings {
                assert_eq!(dn(spelling), dn(spellings[0]), "{spelling}");
            }
        }
    }

    #[test]
    fn written_in_one_form() {
        let cases = [
            (r"CN=Müller\, Hans (Ops) *\\ \#1,OU=x", r"cn=müller\2c hans (ops) *\5c #1,ou=x"),
            (r"CN=\#1+SN=a\=b=c", r"cn=\231+sn=a\3db\3dc"),
            ("2.5.4.3=x", "2.5.4.3=x"),
            // The conflict object of a domain controller.
            (r"CN=a\0ACNF:01,DC=x", "cn=a cnf:01,dc=x"),
            (r"cn=a\ffb", r"cn=\61\ff\62"),
            ("cn=,dc=x", "cn=,dc=x"),
        ];
        for (text, written) in cases {
            assert_eq!(dn(text).to_string(), written, "{text}");
            assert_eq!(dn(written).as_str(), written);
        }
    }

    #[test]
    fn different_dns_differ() {
        let pairs = [
            ("cn=a,cn=b", "cn=b,cn=a"),
            (r"cn=a\,cn=b", "cn=a,cn=b"),
            (r"cn=a\+sn=b", "cn=a+sn=b"),
            (r"cn=\#04024869", "cn=#04024869"),
            ("cn=bjorn", "cn=björn"),
            (r"cn=\\ff", r"cn=\ff"),
        ];
        for (one, other) in pairs {
            assert_ne!(dn(one), dn(other));
        }
    }

    #[test]
    fn what_is_no_dn_is_refused() {
        let cases = [
            "alice",
            "cn=a,",
            ",cn=a",
            "cn=a,,dc=x",
            "=a",
            "c n=a",
            "cn=a\\",
            r"cn=a\2",
            r"cn=a\zz",
            r"cn=\*",
            "cn=#",
            "cn=#0",
            "cn=#0g",
            "cn=\"a\"",
            "cn=a;dc=x",
            "cn=<a>",
            "cn=a\0",
            "cn=a+",
            "<GUID=01>;cn=a",
        ];
        for text in cases {
            assert_eq!(Dn::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_dn_has_8_kib_at_most() {
        let of = |bytes: usize| format!("cn={}", "a".repeat(bytes - 3));
        assert!(Dn::parse(&of(8191)).is_some());
        assert!(Dn::parse(&of(8192)).is_some());
        assert_eq!(Dn::parse(&of(8193)), None);
        assert_eq!(Dn::parse(&format!("cn={}", "=".repeat(4096))), None, "as it is kept");
    }

    #[test]
    fn kept_in_a_file_as_text() {
        let json = serde_json::to_string(&dn(r"CN=a\,b")).expect("JSON");
        assert_eq!(json, r#""cn=a\\2cb""#);
        assert_eq!(serde_json::from_str::<Dn>(&json).expect("a DN"), dn(r"cn=a\,b"));
        assert!(serde_json::from_str::<Dn>(r#""alice""#).is_err());
    }

    /// As some server might: each character plain, after a backslash, or in hex.
    fn spelt(value: &str, style: &[u8]) -> String {
        let special = |c| " \"#+,;<=>\\".contains(c);
        let spell = |(c, style): (char, &u8)| match style % 3 {
            0 if !special(c) && c != '\0' => c.to_string(),
            1 if special(c) => format!("\\{c}"),
            _ => c.to_string().bytes().map(|byte| format!("\\{byte:02X}")).collect(),
        };
        value.chars().zip(style.iter().cycle()).map(spell).collect()
    }

    proptest! {
        #[test]
        fn any_text_parses_without_panic_and_its_form_is_stable(text in ".{0,60}|[cn=,+\\\\#0-9a\" ]{0,30}") {
            if let Some(dn) = Dn::parse(&text) {
                prop_assert_eq!(Dn::parse(dn.as_str()), Some(dn.clone()));
            }
        }

        #[test]
        fn however_a_value_is_spelt_the_dn_is_the_same(
            value in any::<String>(),
            style in prop::collection::vec(any::<u8>(), 1..20),
        ) {
            let plain = Dn::parse(&format!("cn={},dc=x", spelt(&value, &[1])));
            let other = Dn::parse(&format!("CN={},DC=X", spelt(&value.to_lowercase(), &style)));
            prop_assert!(plain.is_some());
            prop_assert_eq!(plain, other);
        }

        #[test]
        fn no_value_reaches_beyond_its_rdn(value in any::<String>()) {
            let dn = dn(&format!("cn={},dc=x", spelt(&value, &[2])));
            prop_assert_eq!(dn.as_str().split(',').count(), 2);
            prop_assert!(!dn.as_str().contains('+'));
        }
    }
}
