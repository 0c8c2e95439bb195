//! Security identifiers (MS-DTYP 2.4.2) and GUIDs (MS-DTYP 2.3.4), as bytes and as text.

use std::fmt;

use smallvec::SmallVec;

/// A security identifier of Windows: an authority and one to fifteen sub-identifiers, the last of
/// which is relative to a domain (RID).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sid {
    /// 48 bits.
    authority: u64,
    /// Never empty.
    subs: SmallVec<[u32; 5]>,
}

/// MS-DTYP 2.4.2.2, SubAuthorityCount.
const MOST_SUBS: usize = 15;

impl Sid {
    /// `objectSid`, a value of `tokenGroups`; `None` unless every byte belongs to it.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&[1, count, a, b, c, d, e, f], subs) = bytes.split_first_chunk()? else { return None };
        let (subs, []) = subs.as_chunks() else { return None };
        let authority = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        let subs: SmallVec<_> = subs.iter().map(|sub| u32::from_le_bytes(*sub)).collect();
        Self::of(authority, subs).filter(|sid| sid.subs.len() == usize::from(count))
    }

    /// `S-1-5-21-..` in any case; an authority of 2^32 and more is in hex (MS-DTYP 2.4.2.1).
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (s, revision, authority) = (parts.next()?, parts.next()?, parts.next()?);
        let authority = match authority.get(..2) {
            Some("0x" | "0X") => number(&authority[2..], 16)?,
            _ => number(authority, 10)?,
        };
        let sub = |part| number(part, 10).and_then(|sub| u32::try_from(sub).ok());
        let subs = parts.take(MOST_SUBS + 1).map(sub).collect::<Option<_>>()?;
        Self::of(authority, subs).filter(|_| s.eq_ignore_ascii_case("s") && revision == "1")
    }

    fn of(authority: u64, subs: SmallVec<[u32; 5]>) -> Option<Self> {
        let is_sid = authority < 1 << 48 && (1..=MOST_SUBS).contains(&subs.len());
        is_sid.then_some(Self { authority, subs })
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.authority.to_be_bytes().to_vec();
        // The two bytes that 48 bits leave unused are those of revision and count.
        bytes[0] = 1;
        bytes[1] = u8::try_from(self.subs.len()).expect("fifteen at most");
        bytes.extend(self.subs.iter().flat_map(|sub| sub.to_le_bytes()));
        bytes
    }

    /// Another one of the same domain: the group that `primaryGroupID` names.
    pub fn with_rid(&self, rid: u32) -> Self {
        let mut other = self.clone();
        *other.subs.last_mut().expect("never empty") = rid;
        other
    }
}

/// Digits only, which `from_str_radix` alone does not ask for.
fn number(digits: &str, radix: u32) -> Option<u64> {
    let has_only_digits = digits.chars().all(|c| c.is_digit(radix));
    u64::from_str_radix(digits, radix).ok().filter(|_| has_only_digits)
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u32::try_from(self.authority) {
            Ok(authority) => write!(f, "S-1-{authority}")?,
            Err(_) => write!(f, "S-1-0x{:012x}", self.authority)?,
        }
        self.subs.iter().try_for_each(|sub| write!(f, "-{sub}"))
    }
}

/// The order in which a GUID's bytes are printed: its first three numbers are little-endian
/// (MS-DTYP 2.3.4.2, 2.3.4.3).
const PRINTED: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

/// `objectGUID` as Windows prints it, in lower case; `None` unless there are 16 bytes.
pub fn guid_text(bytes: &[u8]) -> Option<String> {
    let bytes: &[u8; 16] = bytes.try_into().ok()?;
    let hex: String = PRINTED.iter().map(|&at| format!("{:02x}", bytes[at])).collect();
    Some([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

/// The bytes of a GUID in text, in any case, with or without braces.
pub fn guid_bytes(text: &str) -> Option<[u8; 16]> {
    let bare = text.strip_prefix('{').map_or(Some(text), |text| text.strip_suffix('}'))?;
    let hex: String = bare.split('-').collect();
    let printed = number_of_guid(&hex)?.to_be_bytes();
    let mut bytes = [0; 16];
    for (byte, &at) in printed.iter().zip(&PRINTED) {
        bytes[at] = *byte;
    }
    // The hyphens stand where they are printed, and nowhere else.
    guid_text(&bytes).filter(|guid| guid.eq_ignore_ascii_case(bare)).map(|_| bytes)
}

fn number_of_guid(hex: &str) -> Option<u128> {
    u128::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Domain Admins of a domain.
    const ADMINS: &[u8] = &[
        1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 0x15, 0xcd, 0x5b, 0x07, 0xb1, 0x68, 0xde, 0x3a, 0xff,
        0xff, 0xff, 0xff, 0x00, 0x02, 0x00, 0x00,
    ];
    const ADMINS_TEXT: &str = "S-1-5-21-123456789-987654321-4294967295-512";

    #[test]
    fn a_sid_is_read_and_written_in_both_forms() {
        let sid = Sid::from_bytes(ADMINS).expect("a SID");
        assert_eq!(sid.to_string(), ADMINS_TEXT);
        assert_eq!(Sid::parse(ADMINS_TEXT), Some(sid.clone()));
        assert_eq!(Sid::parse(&ADMINS_TEXT.to_lowercase()), Some(sid.clone()));
        assert_eq!(sid.to_bytes(), ADMINS);
    }

    #[test]
    fn an_authority_beyond_32_bits_is_in_hex() {
        let sid = Sid::parse("S-1-0xFFFFFFFFFFFF-1").expect("a SID");
        assert_eq!(sid.to_bytes(), [1, 1, 255, 255, 255, 255, 255, 255, 1, 0, 0, 0]);
        assert_eq!(sid.to_string(), "S-1-0xffffffffffff-1");
        assert_eq!(Sid::parse("S-1-0x1000000000000-1"), None);
        assert_eq!(Sid::parse("S-1-4294967295-1").expect("a SID").to_string(), "S-1-4294967295-1");
    }

    #[test]
    fn the_primary_group_is_another_rid_of_the_domain() {
        let sid = Sid::from_bytes(ADMINS).expect("a SID");
        assert_eq!(sid.with_rid(513).to_string(), ADMINS_TEXT.replace("-512", "-513"));
    }

    #[test]
    fn what_is_no_sid_is_refused() {
        let cases: [&[u8]; 7] = [
            b"",
            &ADMINS[..8],
            &ADMINS[..27],
            &[ADMINS, &[0]].concat(),
            &[&[2], &ADMINS[1..]].concat(),
            &[&[1, 4], &ADMINS[2..]].concat(),
            &[1, 0, 0, 0, 0, 0, 0, 5],
        ];
        for bytes in cases {
            assert_eq!(Sid::from_bytes(bytes), None, "{bytes:?}");
        }
        let cases = [
            "",
            "S",
            "S-1",
            "S-1-5",
            "S-1-5-",
            "S-2-5-1",
            "S-1-5-4294967296",
            "S-1-5-+1",
            "S-1-5--1",
            "X-1-5-1",
            "S-1-5-1 ",
            "S-1-0x-1",
            "S-1--1",
            "alice",
        ];
        for text in cases {
            assert_eq!(Sid::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_sid_has_fifteen_sub_identifiers_at_most() {
        let bytes = |count: u8| {
            [vec![1, count, 0, 0, 0, 0, 0, 5], vec![7; 4 * usize::from(count)]].concat()
        };
        let text = |count| format!("S-1-5{}", "-7".repeat(count));
        for (count, is_sid) in [(0, false), (1, true), (14, true), (15, true), (16, false)] {
            assert_eq!(Sid::from_bytes(&bytes(count)).is_some(), is_sid, "{count}");
            assert_eq!(Sid::parse(&text(count.into())).is_some(), is_sid, "{count}");
        }
    }

    #[test]
    fn a_guid_is_printed_with_its_first_numbers_turned() {
        let bytes: [u8; 16] = std::array::from_fn(|at| u8::try_from(at).expect("below 16") * 17);
        let text = "33221100-5544-7766-8899-aabbccddeeff";
        assert_eq!(guid_text(&bytes).as_deref(), Some(text));
        for spelling in [text.into(), text.to_uppercase(), format!("{{{text}}}")] {
            assert_eq!(guid_bytes(&spelling), Some(bytes), "{spelling}");
        }
    }

    #[test]
    fn what_is_no_guid_is_refused() {
        assert_eq!((guid_text(&[0; 15]), guid_text(&[0; 17])), (None, None));
        let cases = [
            "",
            "alice",
            "33221100-5544-7766-8899-aabbccddeef",
            "33221100-5544-7766-8899-aabbccddeeff0",
            "332211005544-7766-8899-aabbccddeeff",
            "33221100554477668899aabbccddeeff",
            "3322110-05544-7766-8899-aabbccddeeff",
            "33221100-5544-7766-8899-aabbccddeefg",
            "+3221100-5544-7766-8899-aabbccddeeff",
            "{33221100-5544-7766-8899-aabbccddeeff",
            "33221100-5544-7766-8899-aabbccddeeff}",
        ];
        for text in cases {
            assert_eq!(guid_bytes(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_sid_survives_both_forms(
            authority in 0_u64..1 << 48,
            subs in prop::collection::vec(any::<u32>(), 1..=15),
        ) {
            let sid = Sid::of(authority, subs.into()).expect("a SID");
            prop_assert_eq!(Sid::from_bytes(&sid.to_bytes()), Some(sid.clone()));
            prop_assert_eq!(Sid::parse(&sid.to_string()), Some(sid));
        }

        #[test]
        fn bytes_that_are_a_sid_are_written_again(
            bytes in prop::collection::vec(prop_oneof![0_u8..4, any::<u8>()], 0..40),
        ) {
            if let Some(sid) = Sid::from_bytes(&bytes) {
                prop_assert_eq!(sid.to_bytes(), bytes);
            }
        }

        #[test]
        fn every_guid_survives(bytes: [u8; 16]) {
            prop_assert_eq!(guid_bytes(&guid_text(&bytes).expect("16 bytes")), Some(bytes));
        }

        #[test]
        fn any_text_is_read_without_panic(text: String) {
            let _ = (Sid::parse(&text), guid_bytes(&text));
        }
    }
}
