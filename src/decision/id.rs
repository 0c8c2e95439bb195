//! The id of a decision: stands in the reply, in the log, and is what `explain --id` takes.

use std::fmt;
use std::net::IpAddr;

use siphasher::sip::SipHasher13;

use crate::mail::{Address, Facts, Timestamp};

/// Twelve characters of Crockford's base32 (no I, L, O, U). The id names the question: the same
/// question asked again, as Postfix does after a broken connection, has the same id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DecisionId([u8; 12]);

const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl DecisionId {
    /// The id of this question asked by `mta`. Not secret and no credential, so the key is fixed.
    pub fn of(mta: &str, facts: &Facts) -> Self {
        let envelope = &facts.envelope;
        let (v4, v6);
        let client: &[u8] = match facts.client.address {
            Some(IpAddr::V4(address)) => {
                v4 = address.octets();
                &v4
            }
            Some(IpAddr::V6(address)) => {
                v6 = address.octets();
                &v6
            }
            None => &[],
        };
        Self::from_bits(fingerprint(&[
            b"decision",
            mta.as_bytes(),
            facts.stage.as_str().as_bytes(),
            envelope.instance.as_bytes(),
            envelope.queue_id.as_bytes(),
            client,
            facts.client.name.as_deref().unwrap_or_default().as_bytes(),
            facts.login.as_ref().map_or("", |login| login.folded()).as_bytes(),
            envelope.sender.as_bytes(),
            envelope.recipient.as_ref().map_or(&[], Address::as_bytes),
        ]))
    }

    /// That of a suspension which a person imposed.
    pub fn of_deed(who: &str, account: &str, at: Timestamp) -> Self {
        let at = at.unix_ms().to_le_bytes();
        Self::from_bits(fingerprint(&[b"deed", who.as_bytes(), account.as_bytes(), &at]))
    }

    fn from_bits(bits: u64) -> Self {
        let mut digits = [0; 12];
        for (place, digit) in digits.iter_mut().enumerate() {
            *digit = DIGITS[(bits >> (place * 5) & 31) as usize];
        }
        Self(digits)
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("base32 is ASCII")
    }

    /// All that may be an id in a pasted reply, bounce or log line, the likeliest first: in
    /// brackets, after `id=`, then any word of the right shape.
    pub fn find_all(text: &str) -> Vec<Self> {
        let mut found: Vec<(u8, Self)> = Vec::new();
        let bytes = text.as_bytes();
        let is_word = |b: &u8| b.is_ascii_alphanumeric();
        let mut start = 0;
        while let Some(skip) = bytes[start..].iter().position(is_word) {
            let begin = start + skip;
            let length = bytes[begin..].iter().take_while(|b| is_word(b)).count();
            start = begin + length;
            let Some(id) = Self::parse(&text[begin..start]) else { continue };
            let before = &text[..begin];
            let rank = if before.ends_with('[') && bytes.get(start) == Some(&b']') {
                0
            } else if before.ends_with("id=") || before.ends_with("id=\"") {
                1
            } else {
                2
            };
            if !found.iter().any(|(_, known)| *known == id) {
                found.push((rank, id));
            }
        }
        found.sort_by_key(|(rank, _)| *rank);
        found.into_iter().map(|(_, id)| id).collect()
    }

    /// Exactly an id, in either case.
    pub fn parse(word: &str) -> Option<Self> {
        let upper = word.to_ascii_uppercase();
        let digits: [u8; 12] = upper.as_bytes().try_into().ok()?;
        digits.iter().all(|digit| DIGITS.contains(digit)).then_some(Self(digits))
    }
}

/// A stable hash of a list of parts: equal on every node, machine and release. The key is fixed
/// and public: nothing secret hangs on it.
pub fn fingerprint(parts: &[&[u8]]) -> u64 {
    let mut text = Vec::with_capacity(512);
    for part in parts {
        text.extend_from_slice(&(part.len() as u64).to_le_bytes());
        text.extend_from_slice(part);
    }
    SipHasher13::new_with_keys(0x6761_7465_706f_7374, 0).hash(&text)
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{Protocol, Stage};

    fn question() -> Facts {
        let mut facts = Facts::at_stage(Protocol::PolicyDelegation, Stage::Rcpt);
        facts.envelope.instance = "1f2e.6561.3a.0".into();
        facts.envelope.recipient = Some(Address::from_internal(b"b@far.test"));
        facts
    }

    #[test]
    fn the_same_question_has_the_same_id_on_every_node_and_in_every_release() {
        assert_eq!(DecisionId::of("mx1", &question()).as_str(), "DHJZT79S7EC0");
        assert_ne!(DecisionId::of("mx2", &question()), DecisionId::of("mx1", &question()));
        let mut other = question();
        other.envelope.recipient = Some(Address::from_internal(b"c@far.test"));
        assert_ne!(DecisionId::of("mx1", &other), DecisionId::of("mx1", &question()));
    }

    #[test]
    fn ids_are_found_in_whatever_is_pasted() {
        let find = |text: &str| {
            DecisionId::find_all(text).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(find("0123456789AB"), ["0123456789AB"]);
        assert_eq!(find("0123456789ab"), ["0123456789AB"]);
        let bounce = "554 9C1F2A3B4D5E said: 550 5.7.1 [0ZZZ456789AB] bob has no relay right";
        assert_eq!(find(bounce), ["0ZZZ456789AB", "9C1F2A3B4D5E"]);
        assert_eq!(find("decided id=0ZZZ456789AB stage=rcpt"), ["0ZZZ456789AB"]);
        assert!(
            find("nothing here, 0123456789ABC is too long, ILOU456789AB is no base32").is_empty()
        );
    }
}
