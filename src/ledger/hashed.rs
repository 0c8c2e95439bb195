//! Addresses as the ledger knows them: keyed hashes, equal on every node and in every release
//! (SipHash-1-3, Aumasson and Bernstein 2012), so that no record holds an address.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::mail::Address;

/// The secret under which addresses are hashed; one for all nodes of a site.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct HashKey([u8; 16]);

/// A correspondent's address, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hashed(u64);

impl HashKey {
    pub const fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// Names the key in records without telling it.
    pub fn id(&self) -> u32 {
        // The upper half alone.
        (self.hash(b"gatepost hash key") >> 32) as u32
    }

    /// Case does not count, and `alice+lists@` is `alice@`.
    pub fn address(&self, address: &Address) -> Hashed {
        Hashed(match address.without_extension("+") {
            Some(plain) => self.hash(&plain.folded()),
            None => self.hash(&address.folded()),
        })
    }

    /// Whatever else is to be recognised again.
    pub fn bytes(&self, parts: &[&[u8]]) -> Hashed {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        for part in parts {
            hasher.write(part);
            hasher.write_u8(0xff);
        }
        Hashed(hasher.finish())
    }

    fn hash(&self, bytes: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(bytes);
        hasher.finish()
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HashKey(id {:08x})", self.id())
    }
}

impl Hashed {
    #[cfg(test)]
    pub(super) const fn of(bits: u64) -> Self {
        Self(bits)
    }

    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The upper half.
    pub(super) const fn high(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(address: &str) -> Hashed {
        HashKey::new(*b"0123456789abcdef").address(&Address::from_internal(address.as_bytes()))
    }

    #[test]
    fn one_person_is_one_hash() {
        assert_eq!(hashed("Alice@Example.ORG"), hashed("alice+lists@example.org"));
        assert_ne!(hashed("alice@example.org"), hashed("bob@example.org"));
    }

    /// Records outlive releases: this value must never change.
    #[test]
    fn the_hash_is_the_same_in_every_release() {
        assert_eq!(hashed("alice@example.org").bits(), 2_872_545_660_680_451_404);
    }

    #[test]
    fn another_key_gives_another_hash() {
        let address = Address::from_internal(b"alice@example.org");
        let (one, other) = (HashKey::new([1; 16]), HashKey::new([2; 16]));
        assert_ne!(one.address(&address), other.address(&address));
        assert_ne!(one.id(), other.id());
    }
}
