//! Filters (RFC 4511, 4.5.1.7): read, written as text (RFC 4515), and held against an entry.

use std::fmt;
use std::fmt::Write;

use super::ber::{Reader, SEQUENCE};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    /// An attribute, how it is compared, and with what.
    Item(String, Compare, Vec<u8>),
    Present(String),
    /// An attribute and the pieces its value has in this order; the first and the last are anchored,
    /// an empty one is not.
    Substrings(String, Vec<Vec<u8>>),
    Extensible {
        rule: String,
        attribute: String,
        value: Vec<u8>,
        dn_attributes: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    Equal,
    AtLeast,
    AtMost,
    Approximately,
}

impl Filter {
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (tag, content) = reader.next()?;
        let mut inner = Reader(content);
        Some(match tag {
            0xa0 => Self::And(all(inner)?),
            0xa1 => Self::Or(all(inner)?),
            0xa2 => Self::Not(Box::new(Self::read(&mut inner)?)),
            0xa3 => Self::Item(inner.text()?, Compare::Equal, inner.bytes()?),
            0xa4 => substrings(inner)?,
            0xa5 => Self::Item(inner.text()?, Compare::AtLeast, inner.bytes()?),
            0xa6 => Self::Item(inner.text()?, Compare::AtMost, inner.bytes()?),
            0x87 => Self::Present(String::from_utf8(content.into()).ok()?),
            0xa8 => Self::Item(inner.text()?, Compare::Approximately, inner.bytes()?),
            0xa9 => {
                let text =
                    |found: Option<&[u8]>| String::from_utf8(found.unwrap_or_default().into()).ok();
                Self::Extensible {
                    rule: text(inner.take(0x81))?,
                    attribute: text(inner.take(0x82))?,
                    value: inner.take(0x83)?.into(),
                    dn_attributes: inner.take(0x84).is_some_and(|byte| byte != [0]),
                }
            }
            _ => return None,
        })
    }

    /// Whether the filter is true of an entry; `item` knows it of a single item, `None` being Undefined
    /// (4.5.1.7).
    pub fn holds(&self, item: &impl Fn(&Self) -> Option<bool>) -> Option<bool> {
        match self {
            Self::And(parts) => joined(parts.iter().map(|part| part.holds(item)), false),
            Self::Or(parts) => joined(parts.iter().map(|part| part.holds(item)), true),
            Self::Not(part) => part.holds(item).map(|holds| !holds),
            _ => item(self),
        }
    }
}

/// `settling` if any part is that, else Undefined if any part is, else the opposite.
fn joined(parts: impl Iterator<Item = Option<bool>>, settling: bool) -> Option<bool> {
    let mut so_far = Some(!settling);
    for part in parts {
        match part {
            Some(holds) if holds == settling => return part,
            Some(_) => {}
            None => so_far = None,
        }
    }
    so_far
}

fn all(mut reader: Reader<'_>) -> Option<Vec<Filter>> {
    let mut parts = Vec::new();
    while !reader.0.is_empty() {
        parts.push(Filter::read(&mut reader)?);
    }
    Some(parts)
}

fn substrings(mut reader: Reader<'_>) -> Option<Filter> {
    let attribute = reader.text()?;
    let mut inner = Reader(reader.take(SEQUENCE)?);
    let (mut pieces, mut last) = (vec![Vec::new()], Vec::new());
    while let Some((tag, piece)) = inner.next() {
        match tag {
            0x80 => pieces[0] = piece.into(),
            0x81 => pieces.push(piece.into()),
            0x82 => last = piece.into(),
            _ => return None,
        }
    }
    pieces.push(last);
    Some(Filter::Substrings(attribute, pieces))
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, sign: char, parts: &[Self]| {
            write!(f, "({sign}")?;
            parts.iter().try_for_each(|part| write!(f, "{part}"))?;
            f.write_char(')')
        };
        match self {
            Self::And(parts) => list(f, '&', parts),
            Self::Or(parts) => list(f, '|', parts),
            Self::Not(part) => write!(f, "(!{part})"),
            Self::Item(attribute, compare, value) => {
                let sign = match compare {
                    Compare::Equal => "=",
                    Compare::AtLeast => ">=",
                    Compare::AtMost => "<=",
                    Compare::Approximately => "~=",
                };
                write!(f, "({attribute}{sign}{})", escaped(value))
            }
            Self::Present(attribute) => write!(f, "({attribute}=*)"),
            Self::Substrings(attribute, pieces) => {
                let pieces: Vec<String> = pieces.iter().map(|piece| escaped(piece)).collect();
                write!(f, "({attribute}={})", pieces.join("*"))
            }
            Self::Extensible { rule, attribute, value, dn_attributes } => {
                let dn = if *dn_attributes { ":dn" } else { "" };
                let rule = if rule.is_empty() { String::new() } else { format!(":{rule}") };
                write!(f, "({attribute}{dn}{rule}:={})", escaped(value))
            }
        }
    }
}

/// A value as RFC 4515 writes it; text stays text.
fn escaped(value: &[u8]) -> String {
    let bytes = |value: &[u8]| value.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    match std::str::from_utf8(value) {
        Err(_) => bytes(value),
        Ok(text) => text
            .chars()
            .map(|c| match c {
                '*' | '(' | ')' | '\\' => format!("\\{:02x}", c as u32),
                c if c.is_control() => bytes(c.to_string().as_bytes()),
                c => c.into(),
            })
            .collect(),
    }
}

#[test]
fn undefined_is_neither_true_nor_false_and_settles_nothing() {
    let part = |name: &str| Filter::Present(name.into());
    let item = |filter: &Filter| match filter {
        Filter::Present(name) if name == "yes" => Some(true),
        Filter::Present(name) if name == "no" => Some(false),
        _ => None,
    };
    let of = |parts: &[&str]| parts.iter().map(|name| part(name)).collect::<Vec<_>>();
    assert_eq!(Filter::And(of(&["yes", "?"])).holds(&item), None);
    assert_eq!(Filter::And(of(&["?", "no"])).holds(&item), Some(false));
    assert_eq!(Filter::Or(of(&["?", "no"])).holds(&item), None);
    assert_eq!(Filter::Or(of(&["?", "yes"])).holds(&item), Some(true));
    assert_eq!(Filter::Not(Box::new(part("?"))).holds(&item), None);
    assert_eq!(Filter::And(vec![]).holds(&item), Some(true));
    assert_eq!(Filter::Or(vec![]).holds(&item), Some(false));
}
