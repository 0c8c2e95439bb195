//! Distinguished names (RFC 4514), for comparing; and how text is compared.

/// Attribute and value of each component, folded and without escapes, the most special one first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Dn(Vec<(String, String)>);

impl Dn {
    /// `None`: this is no DN.
    pub fn parse(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self::default());
        }
        split(text).into_iter().map(component).collect::<Option<_>>().map(Self)
    }

    /// Whether this is `base` or below it.
    pub fn is_within(&self, base: &Self) -> bool {
        self.0.ends_with(&base.0)
    }

    /// How many components this has more than `base`.
    pub fn depth_below(&self, base: &Self) -> usize {
        self.0.len() - base.0.len()
    }

    /// The value of the first component.
    pub fn name(&self) -> &str {
        self.0.first().map_or("", |(_, value)| value)
    }

    /// The DNS name its `dc` components make.
    pub fn domain(&self) -> String {
        let labels = self.0.iter().filter(|(attribute, _)| attribute == "dc");
        labels.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(".")
    }
}

/// Cut at each comma that is not escaped.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut is_escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        if c == ',' && !is_escaped {
            parts.push(&text[from..at]);
            from = at + 1;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    parts.push(&text[from..]);
    parts
}

fn component(text: &str) -> Option<(String, String)> {
    let (attribute, value) = text.split_once('=')?;
    let value = value.trim_start().as_bytes();
    let (mut plain, mut at) = (Vec::new(), 0);
    while at < value.len() {
        let hex = || std::str::from_utf8(value.get(at + 1..at + 3)?).ok();
        let byte = |hex: &str| u8::from_str_radix(hex, 16).ok();
        match value[at] {
            b'\\' => match hex().and_then(byte) {
                Some(byte) => {
                    plain.push(byte);
                    at += 3;
                }
                None => {
                    plain.push(*value.get(at + 1)?);
                    at += 2;
                }
            },
            byte => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    let plain = String::from_utf8(plain).ok()?;
    Some((attribute.trim().to_lowercase(), folded(&plain, false)))
}

/// Without case, and with insignificant spaces out of the way (RFC 4518, 2.6.1); `plainly`: also
/// without accents and width, as Windows AD compares.
pub fn folded(text: &str, plainly: bool) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ").to_lowercase();
    if plainly { text.chars().map(plain).collect() } else { text }
}

/// Of Latin-1 and the full-width letters only: tests need no more.
fn plain(c: char) -> char {
    match c {
        'à'..='å' => 'a',
        'ç' => 'c',
        'è'..='ë' => 'e',
        'ì'..='ï' => 'i',
        'ñ' => 'n',
        'ò'..='ö' | 'ø' => 'o',
        'ù'..='ü' => 'u',
        'ý' | 'ÿ' => 'y',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        c => c,
    }
}

#[test]
fn a_dn_is_the_same_in_every_spelling() {
    let dn = |text| Dn::parse(text).expect("a DN");
    let one = dn(r"CN=Müller\, Hans  (Ops) *\\ \#1,OU=People,DC=example,DC=org");
    assert_eq!(one, dn(r"cn=m\c3\bcller\2c hans (ops) *\5c \231, ou=people, dc=example, dc=org"));
    assert_eq!(one.name(), r"müller, hans (ops) *\ #1");
    let base = dn("dc=Example,dc=org");
    assert!(one.is_within(&base) && !base.is_within(&one) && base.is_within(&Dn::default()));
    assert_eq!((one.depth_below(&base), base.domain()), (2, "example.org".into()));
    assert_eq!(Dn::parse("alice"), None);
    assert_eq!(folded(" Bj\u{f6}rn  \u{ff35}\u{ff31} ", true), "bjorn uq");
}
