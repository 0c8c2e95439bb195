//! Text as mail servers write it, for both codecs.

use compact_str::CompactString;

/// Undoes xtext (RFC 3461 4): `+20` is a space. What is no valid escape stays as it is.
pub(super) fn decode_xtext(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let escape = (byte == b'+')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escape {
            Some(escaped) => {
                decoded.push(escaped);
                rest = &tail[2..];
            }
            None => decoded.push(byte),
        }
    }
    decoded
}

/// A fingerprint, `AB:CD:..`, as hex digits in lower case; `None` when there are no digits.
pub(super) fn fold_fingerprint(text: &[u8]) -> Option<Box<str>> {
    let digits = text.iter().filter(|byte| byte.is_ascii_hexdigit());
    let digits: String = digits.map(|byte| char::from(byte.to_ascii_lowercase())).collect();
    (!digits.is_empty()).then(|| digits.into())
}

/// What is not UTF-8 becomes U+FFFD.
pub(super) fn lossy(text: &[u8]) -> CompactString {
    match std::str::from_utf8(text) {
        Ok(text) => CompactString::new(text),
        Err(_) => CompactString::from_utf8_lossy(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xtext_is_undone_and_a_lone_plus_stays() {
        assert_eq!(decode_xtext(b"a+20b+3Dc"), b"a b=c");
        assert_eq!(decode_xtext(b"a+b+2"), b"a+b+2");
        assert_eq!(decode_xtext(b"+++41"), b"++A");
    }
}
