//! One LDAP message as bytes (RFC 4511, 5.1; BER of X.690), looked over before ldap3 reads it: ldap3
//! waits for messages of any length, and its parser calls itself for every nested element.

/// A larger message is refused. A group of 50,000 members with long DNs has 6 MB, and one value of
/// 10 MB passes.
pub(super) const LONGEST: usize = 32 << 20;

/// Elements nested deeper than any message of LDAP has them (an entry has five levels).
const DEEPEST: usize = 32;

/// How a message begins: with its header's length and that of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// More bytes are needed to say.
    Short,
    /// Bytes of tag and length, bytes of content.
    Message(usize, usize),
    Bad(&'static str),
}

/// Reads tag and length of a message.
pub(super) fn head(bytes: &[u8]) -> Head {
    const SEQUENCE: u8 = 0x30;
    match bytes {
        [] => Head::Short,
        [SEQUENCE, rest @ ..] => match length(rest) {
            Length::Short => Head::Short,
            Length::Of(_, content) if content > LONGEST => {
                Head::Bad("it announces a message that is too long")
            }
            Length::Of(header, content) => Head::Message(1 + header, content),
            Length::Bad => Head::Bad("it sends a length that cannot be meant"),
        },
        _ => Head::Bad("what it sends is not LDAP"),
    }
}

/// Whether the content of a message is well formed: an id, an operation, and nothing that reaches
/// beyond what holds it.
pub(super) fn is_message(content: &[u8]) -> bool {
    const INTEGER: u8 = 0x02;
    const APPLICATION: u8 = 0x40;
    let Some((INTEGER, id, rest)) = element(content) else { return false };
    let class = rest.first().map(|tag| tag & 0xc0);
    (1..=4).contains(&id.len()) && class == Some(APPLICATION) && is_nested_well(content)
}

fn is_nested_well(content: &[u8]) -> bool {
    const CONSTRUCTED: u8 = 0x20;
    let mut open: Vec<&[u8]> = vec![content];
    while let Some(rest) = open.pop() {
        if rest.is_empty() {
            continue;
        }
        let Some((tag, inside, after)) = element(rest) else { return false };
        open.push(after);
        if tag & CONSTRUCTED != 0 {
            open.push(inside);
        }
        if open.len() > DEEPEST {
            return false;
        }
    }
    true
}

/// Tag, content, and what follows. LDAP has no tag beyond 30, which would take more bytes.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let Length::Of(header, content) = length(rest) else { return None };
    let (content, after) = rest.get(header..)?.split_at_checked(content)?;
    Some((*tag, content, after))
}

enum Length {
    Short,
    /// Bytes of the length itself, and what it says.
    Of(usize, usize),
    Bad,
}

/// The definite form only (RFC 4511, 5.1).
fn length(bytes: &[u8]) -> Length {
    let Some((first, rest)) = bytes.split_first() else { return Length::Short };
    let octets = match first {
        0..=0x7f => return Length::Of(1, usize::from(*first)),
        0x81..=0x84 => usize::from(first & 0x7f),
        _ => return Length::Bad,
    };
    match rest.get(..octets) {
        None => Length::Short,
        Some(digits) => {
            Length::Of(1 + octets, digits.iter().fold(0, |sum, b| sum << 8 | usize::from(*b)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SearchResultDone with success, id 1.
    const DONE: &[u8] = &[0x02, 1, 1, 0x65, 7, 0x0a, 1, 0, 0x04, 0, 0x04, 0];

    #[test]
    fn a_head_is_read_in_both_forms_of_length() {
        assert_eq!(head(&[0x30, 12]), Head::Message(2, 12));
        assert_eq!(head(&[0x30, 0x82, 1, 0]), Head::Message(4, 256));
        for short in [&[][..], &[0x30], &[0x30, 0x82], &[0x30, 0x84, 0, 0, 0]] {
            assert_eq!(head(short), Head::Short, "{short:?}");
        }
        let at = |length: usize| {
            let digits = u32::try_from(length).expect("fits").to_be_bytes();
            [&[0x30, 0x84][..], &digits].concat()
        };
        assert_eq!(head(&at(LONGEST)), Head::Message(6, LONGEST));
        for bad in [at(LONGEST + 1), at(u32::MAX as usize), vec![0x31, 0], vec![0x30, 0x80]] {
            assert!(matches!(head(&bad), Head::Bad(_)), "{bad:?}");
        }
        assert!(matches!(head(&[0x30, 0x85, 0, 0, 0, 0, 1]), Head::Bad(_)));
        assert!(matches!(head(b"HTTP/1.1 400"), Head::Bad(_)));
    }

    #[test]
    fn an_id_and_an_operation_are_needed() {
        assert!(is_message(DONE));
        for bad in [
            &[][..],
            &[0x02, 1, 1],
            &[0x02, 0, 0x65, 0],
            &[0x02, 5, 1, 1, 1, 1, 1, 0x65, 0],
            &[0x04, 1, 1, 0x65, 0],
            &[0x02, 1, 1, 0x30, 0],
            &[0x02, 1, 1, 0x65, 8, 0x0a, 1, 0, 0x04, 0, 0x04, 0],
            &[0x02, 1, 1, 0x65, 2, 0x04, 1],
            &[0x02, 1, 1, 0x7f, 0x85, 0x01, 0],
        ] {
            assert!(!is_message(bad), "{bad:?}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |levels: usize| {
            let mut inside = Vec::new();
            for _ in 0..levels {
                let length = u16::try_from(inside.len()).expect("short").to_be_bytes();
                inside = [&[0x30, 0x82][..], &length, &inside].concat();
            }
            let length = u16::try_from(inside.len()).expect("short").to_be_bytes();
            [&[0x02, 1, 1, 0x64, 0x82][..], &length, &inside].concat()
        };
        let deepest = (0..100).filter(|levels| is_message(&nested(*levels))).max();
        assert!((8..DEEPEST).contains(&deepest.expect("some pass")), "{deepest:?}");
        assert!(!is_message(&nested(10_000)));
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_is_looked_over_to_its_end(bytes: Vec<u8>) {
            let _ = (head(&bytes), is_message(&bytes));
        }
    }
}
