//! Values in filters (RFC 4515, 3) and in DNs (RFC 4514, 2.4). Both write a byte that would mean
//! something else there as a backslash and two hex digits.

use std::fmt::Write;

/// As an assertion value; bytes that are no text, all in hex.
pub(super) fn in_filter(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) => without_controls(&ldap3::ldap_escape(text)),
        Err(_) => hex_pairs(value),
    }
}

/// As an attribute value; bytes that are no text, all in hex.
pub(super) fn in_dn(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) => without_controls(&ldap3::dn_escape(text)),
        Err(_) => hex_pairs(value),
    }
}

/// Control characters may stand for themselves in both; in hex they break no line of a log.
fn without_controls(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => escaped += &hex_pairs(c.encode_utf8(&mut [0; 4]).as_bytes()),
            false => escaped.push(c),
        }
    }
    escaped
}

fn hex_pairs(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(3 * bytes.len()), |mut text, byte| {
        write!(text, "\\{byte:02x}").expect("a String takes what is written");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_means_something_is_escaped_and_the_rest_is_not() {
        assert_eq!(in_filter(b"*)(uid=*\\\0"), r"\2a\29\28uid=\2a\5c\00");
        assert_eq!(in_filter("Jörg, x+y".as_bytes()), "Jörg, x+y");
        assert_eq!(in_dn(b"a,b+c=d\"e;f<g>h\\*"), r"a\2cb\2bc\3dd\22e\3bf\3cg\3eh\5c*");
        assert_eq!(in_dn(b"#a#"), r"\23a#");
    }

    #[test]
    fn control_characters_and_bytes_are_hex() {
        for escape in [in_filter, in_dn] {
            assert_eq!(escape(b"a\r\nb\x7f"), r"a\0d\0ab\7f");
            assert_eq!(escape("\u{85}".as_bytes()), r"\c2\85");
            assert_eq!(escape(b"a\xff"), r"\61\ff");
        }
    }

    proptest! {
        #[test]
        fn nothing_escaped_breaks_a_line(value: Vec<u8>) {
            prop_assert!(!in_filter(&value).chars().any(char::is_control));
            prop_assert!(!in_dn(&value).chars().any(char::is_control));
        }
    }
}
