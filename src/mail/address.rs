//! Envelope addresses. The internal form of policy delegation (unquoted, no brackets) and the raw
//! form of SMTP and milter (RFC 5321 4.1.2, 4.1.1.3) parse to the same value.

use std::fmt;

use smallvec::SmallVec;

/// An envelope address: the null sender, an unqualified local part, or `local@domain`.
///
/// The domain is lower-cased, without a trailing dot, and in ASCII where it was an IDN
/// (RFC 5890); the local part keeps its bytes, which need not be UTF-8.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Address {
    text: Text,
    /// Where the `@` before the domain stands; `None` when there is no domain.
    at: Option<usize>,
}

/// The bytes of an address; most fit in place.
type Text = SmallVec<[u8; 40]>;

/// An address as directories are asked for it.
pub type FoldedAddress = Text;

/// Why a raw SMTP path is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressFault {
    UnbalancedQuote,
    UnbalancedBracket,
    TextAfterBracket,
    EmptyRoute,
}

impl fmt::Display for AddressFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnbalancedQuote => "a quoted local part has no closing quote",
            Self::UnbalancedBracket => "'<' has no '>'",
            Self::TextAfterBracket => "text follows '>'",
            Self::EmptyRoute => "a source route has no ':' and address",
        })
    }
}

impl std::error::Error for AddressFault {}

impl Address {
    /// Reads the internal form Postfix uses in policy delegation: no brackets, no quotes, no
    /// source route; the domain follows the last `@` (`a@b@far.test` has the local part `a@b`).
    pub fn from_internal(text: &[u8]) -> Self {
        match memchr::memrchr(b'@', text) {
            Some(at) => Self::from_parts(&text[..at], &text[at + 1..]),
            None => Self { text: Text::from_slice(text), at: None },
        }
    }

    /// Reads the raw form of a MAIL or RCPT argument without its ESMTP parameters: `<a@b>`, `a@b`,
    /// `<@r1,@r2:a@b>`, `<"quoted part"@b>`, `<>`.
    pub fn from_path(path: &[u8]) -> Result<Self, AddressFault> {
        let inner = strip_route(strip_brackets(path.trim_ascii())?)?;
        let (text, at) = unquote(inner)?;
        Ok(match at {
            Some(at) => Self::from_parts(&text[..at], &text[at + 1..]),
            None => Self { text: Text::from_slice(&text), at: None },
        })
    }

    fn from_parts(local: &[u8], domain: &[u8]) -> Self {
        let end = domain.iter().rposition(|&b| b != b'.').map_or(0, |last| last + 1);
        let domain = &domain[..end];
        if domain.is_empty() {
            return Self { text: Text::from_slice(local), at: None };
        }
        let mut text = Text::with_capacity(local.len() + 1 + domain.len());
        text.extend_from_slice(local);
        text.push(b'@');
        match std::str::from_utf8(domain) {
            Ok(domain) if !domain.is_ascii() => {
                text.extend_from_slice(fold_domain(domain).as_bytes());
            }
            _ => {
                text.extend_from_slice(domain);
                text[local.len()..].make_ascii_lowercase();
            }
        }
        Self { text, at: Some(local.len()) }
    }

    /// The null sender `<>` of bounces.
    pub fn is_null(&self) -> bool {
        self.text.is_empty()
    }

    /// `local@domain` as it is compared, empty for the null sender.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    pub fn local(&self) -> &[u8] {
        &self.text[..self.at.unwrap_or(self.text.len())]
    }

    /// Lower-cased; `None` for the null sender and for unqualified addresses (`postmaster`).
    pub fn domain(&self) -> Option<&[u8]> {
        self.at.map(|at| &self.text[at + 1..])
    }

    /// Whether the local part itself names a route (`user%far`, `far!user`, `user@far`), which
    /// Postfix and Sendmail follow once they have stripped a domain of their own
    /// (Postfix `allow_percent_hack`, `swap_bangpath`, `resolve_dequoted_address`).
    pub fn is_routed(&self) -> bool {
        self.local().iter().any(|b| matches!(b, b'%' | b'!' | b'@'))
    }

    /// The form under which directories are asked: everything lower-cased, since AD and every
    /// common LDAP schema compare mail addresses without case. Bytes that are not UTF-8 stay.
    pub fn folded(&self) -> FoldedAddress {
        fold_bytes(&self.text)
    }

    /// The address without its extension: `alice+lists@x` is `alice@x` for the delimiter `+`.
    /// `None` where there is no extension. A leading delimiter starts none.
    pub fn without_extension(&self, delimiters: &str) -> Option<Self> {
        let local = self.local();
        let cut = local.iter().skip(1).position(|b| delimiters.as_bytes().contains(b))? + 1;
        Some(match self.domain() {
            Some(domain) => Self::from_parts(&local[..cut], domain),
            None => Self { text: Text::from_slice(&local[..cut]), at: None },
        })
    }
}

/// A domain as it is compared: lower case, no trailing dot, IDN in ASCII (RFC 5891); a name that
/// IDNA refuses is only lower-cased.
pub fn fold_domain(domain: &str) -> String {
    let domain = domain.trim_end_matches('.');
    if domain.is_ascii() {
        return domain.to_ascii_lowercase();
    }
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_lowercase())
}

fn fold_bytes(text: &[u8]) -> Text {
    match std::str::from_utf8(text) {
        Ok(text) if !text.is_ascii() => Text::from_vec(text.to_lowercase().into_bytes()),
        _ => {
            let mut folded = Text::from_slice(text);
            folded.make_ascii_lowercase();
            folded
        }
    }
}

fn strip_brackets(path: &[u8]) -> Result<&[u8], AddressFault> {
    let Some(inner) = path.strip_prefix(b"<") else { return Ok(path) };
    match closing_bracket(inner) {
        Some(end) if end + 1 == inner.len() => Ok(inner[..end].trim_ascii()),
        Some(_) => Err(AddressFault::TextAfterBracket),
        None => Err(AddressFault::UnbalancedBracket),
    }
}

/// The first `>` outside quotes.
fn closing_bracket(text: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// `@r1,@r2:a@b` is `a@b`: source routes are stripped (RFC 5321 appendix C).
fn strip_route(path: &[u8]) -> Result<&[u8], AddressFault> {
    if !path.starts_with(b"@") {
        return Ok(path);
    }
    match memchr::memchr(b':', path) {
        Some(colon) if colon + 1 < path.len() => Ok(path[colon + 1..].trim_ascii()),
        _ => Err(AddressFault::EmptyRoute),
    }
}

/// Removes quotes, backslashes and comments; returns the text and where the domain's `@` stands.
/// Tab and CR in a local part become a space, as Postfix's internal form has them.
fn unquote(path: &[u8]) -> Result<(Vec<u8>, Option<usize>), AddressFault> {
    let mut text = Vec::with_capacity(path.len());
    let mut at = None;
    let (mut quoted, mut escaped, mut comments) = (false, false, 0_u32);
    for &byte in path {
        let byte = if matches!(byte, b'\t' | b'\r') { b' ' } else { byte };
        match byte {
            _ if escaped => {
                escaped = false;
                if comments == 0 {
                    text.push(byte);
                }
            }
            b'\\' => escaped = true,
            b'"' if comments == 0 => quoted = !quoted,
            b'(' if !quoted => comments += 1,
            b')' if !quoted && comments > 0 => comments -= 1,
            _ if comments > 0 => {}
            b'@' if !quoted => {
                at = Some(text.len());
                text.push(byte);
            }
            _ => text.push(byte),
        }
    }
    if quoted || escaped { Err(AddressFault::UnbalancedQuote) } else { Ok((text, at)) }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_null() {
            return f.write_str("<>");
        }
        for chunk in self.text.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() {
                    write!(f, "{}", c.escape_default())?
                } else {
                    write!(f, "{c}")?
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_parse_to_the_same_value() {
        // (raw form of SMTP and milter, internal form of policy delegation), as both were seen from
        // Postfix 3.7 and Sendmail 8.17.
        let pairs: &[(&[u8], &[u8])] = &[
            (b"<>", b""),
            (b"", b""),
            (b"<alice@Example.ORG>", b"alice@Example.ORG"),
            (b"alice@example.org", b"alice@example.org"),
            (b" <alice@example.org> ", b"alice@example.org"),
            (b"<@a.test,@b.test:user@far.test>", b"user@far.test"),
            (b"<\"quoted user\"@local.test>", b"quoted user@local.test"),
            (b"<\"a@b\"@far.test>", b"a@b@far.test"),
            (b"<\"a\\\"b\"@far.test>", b"a\"b@far.test"),
            (b"<\"with\tTab\"@far.test>", b"with Tab@far.test"),
            (b"<a\\b@far.test>", b"ab@far.test"),
            (b"<\"a>b\"@far.test>", b"a>b@far.test"),
            (b"<user(comment (nested))@far.test>", b"user@far.test"),
            (b"<postmaster>", b"postmaster"),
            (b"<u@far.test.>", b"u@far.test."),
            (b"<u@[192.0.2.1]>", b"u@[192.0.2.1]"),
            ("<jörg@example.org>".as_bytes(), "jörg@example.org".as_bytes()),
            (b"<j\xf6rg@example.org>", b"j\xf6rg@example.org"),
        ];
        for (raw, internal) in pairs {
            let parsed = Address::from_path(raw).expect("a path");
            assert_eq!(parsed, Address::from_internal(internal), "{}", internal.escape_ascii());
        }
    }

    #[test]
    fn the_domain_follows_the_last_at_sign_and_is_folded() {
        let address = Address::from_internal(b"a@b@Far.Test.");
        assert_eq!((address.local(), address.domain()), (&b"a@b"[..], Some(&b"far.test"[..])));
        assert_eq!(Address::from_internal(b"bare").domain(), None);
        assert_eq!(Address::from_internal(b"bare@").domain(), None);
        assert_eq!(Address::from_internal(b"@x.test").local(), b"");
    }

    #[test]
    fn an_idn_equals_its_ascii_form() {
        let unicode = Address::from_internal("u@Bücher.example".as_bytes());
        assert_eq!(unicode, Address::from_internal(b"u@xn--bcher-kva.example"));
    }

    #[test]
    fn broken_paths_say_why() {
        let cases: &[(&[u8], AddressFault)] = &[
            (b"<\"a@b>", AddressFault::UnbalancedBracket),
            (b"\"a@b", AddressFault::UnbalancedQuote),
            (b"<a@b", AddressFault::UnbalancedBracket),
            (b"<a@b> x", AddressFault::TextAfterBracket),
            (b"<@a.test>", AddressFault::EmptyRoute),
            (b"<@a.test:>", AddressFault::EmptyRoute),
        ];
        for (path, fault) in cases {
            assert_eq!(Address::from_path(path), Err(*fault), "{}", path.escape_ascii());
        }
    }

    #[test]
    fn a_local_part_that_names_a_route_is_seen() {
        for text in ["user%far@x", "far!user@x", "user@far@x", "user%far"] {
            assert!(Address::from_internal(text.as_bytes()).is_routed(), "{text}");
        }
        assert!(!Address::from_internal(b"user+tag.x=y@far").is_routed());
    }

    #[test]
    fn an_extension_is_cut_at_the_first_delimiter_but_not_at_the_start() {
        let cut = |text: &str| {
            Address::from_internal(text.as_bytes()).without_extension("+-").map(|a| a.to_string())
        };
        assert_eq!(cut("alice+a+b@x"), Some("alice@x".into()));
        assert_eq!(cut("alice-a+b@x"), Some("alice@x".into()));
        assert_eq!(cut("+a@x"), None);
        assert_eq!(cut("alice@x"), None);
    }

    #[test]
    fn shown_without_control_bytes() {
        let address = Address::from_internal(b"a\x01\xff\n@x");
        assert_eq!(address.to_string(), "a\\u{1}\\xff\\n@x");
        assert_eq!(Address::default().to_string(), "<>");
    }

    proptest! {
        #[test]
        fn any_bytes_parse_without_panic_and_folding_is_stable(bytes: Vec<u8>) {
            let address = Address::from_internal(&bytes);
            // `a@b@` has no domain; what is left of it is no internal form of its own.
            prop_assume!(address.domain().is_some() || !address.local().contains(&b'@'));
            let again = Address::from_internal(&address.folded());
            prop_assert_eq!(again.folded(), address.folded());
            let _ = Address::from_path(&bytes).map(|a| a.to_string());
        }

        #[test]
        fn plain_addresses_agree_in_both_forms(local in "[a-z0-9.+_=-]{1,20}", domain in "[A-Za-z0-9.-]{1,20}") {
            let text = format!("{local}@{domain}");
            let bracketed = format!("<{text}>");
            prop_assert_eq!(
                Address::from_path(bracketed.as_bytes()).expect("a path"),
                Address::from_internal(text.as_bytes())
            );
        }
    }
}
