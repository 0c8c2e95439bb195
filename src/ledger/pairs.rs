//! Which recipients an account addressed together before: two Bloom filters (Bloom, CACM 1970), the
//! older of which goes when the younger is half full. Its bits stand in records, so they are set by
//! our own rule, which no new release of a library can change.

use crate::ledger::Hashed;
use crate::ledger::binary::{Reader, Torn, Writer};

/// The first filter, in words of 64 bits; each next one is twice as large.
const WORDS_AT_FIRST: usize = 4;

/// 4096 bits, which hold 700 pairs at one false answer in sixteen.
const WORDS_AT_MOST: usize = 64;

/// Bits set for one pair.
const PROBES: u32 = 4;

/// Pairs of neighbours in sorted lists of recipients.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Pairs {
    younger: Box<[u64]>,
    older: Box<[u64]>,
}

impl Pairs {
    /// How many neighbours in `recipients`, which are sorted, were never addressed together before.
    pub fn unknown(&self, recipients: &[Hashed]) -> u32 {
        let unknown = recipients.windows(2).filter(|pair| {
            let pair = mix(pair[0], pair[1]);
            !has(&self.younger, pair) && !has(&self.older, pair)
        });
        u32::try_from(unknown.count()).unwrap_or(u32::MAX)
    }

    pub fn insert(&mut self, recipients: &[Hashed]) {
        for pair in recipients.windows(2) {
            self.insert_one(mix(pair[0], pair[1]));
        }
    }

    /// On the heap.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.younger) + size_of_val(&*self.older)
    }

    pub(super) fn write(&self, out: &mut Writer) {
        for filter in [&self.younger, &self.older] {
            out.count(filter.len());
            filter.iter().for_each(|word| out.u64(*word));
        }
    }

    pub(super) fn read(from: &mut Reader) -> Result<Self, Torn> {
        let mut filter = || -> Result<Box<[u64]>, Torn> {
            let words = from.count(WORDS_AT_MOST)?;
            if words != 0 && !words.is_power_of_two() {
                return Err(Torn);
            }
            (0..words).map(|_| from.u64()).collect()
        };
        Ok(Self { younger: filter()?, older: filter()? })
    }

    fn insert_one(&mut self, pair: u64) {
        if has(&self.younger, pair) {
            return;
        }
        let set: u32 = self.younger.iter().map(|word| word.count_ones()).sum();
        if set as usize * 2 >= self.younger.len() * 64 {
            let words = (self.younger.len() * 2).clamp(WORDS_AT_FIRST, WORDS_AT_MOST);
            self.older = std::mem::replace(&mut self.younger, vec![0; words].into());
        }
        for (word, bit) in places(pair, self.younger.len()) {
            self.younger[word] |= bit;
        }
    }
}

/// One number for two recipients in their order, by the finaliser of SplitMix64 (Steele, Lea and Flood,
/// OOPSLA 2014).
fn mix(first: Hashed, second: Hashed) -> u64 {
    let mut mixed = first.bits() ^ second.bits().rotate_left(32);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn has(filter: &[u64], pair: u64) -> bool {
    !filter.is_empty() && places(pair, filter.len()).all(|(word, bit)| filter[word] & bit != 0)
}

/// The bits of a pair in a filter of so many words, a power of two: 16 bits of the pair for each.
fn places(pair: u64, words: usize) -> impl Iterator<Item = (usize, u64)> {
    (0..PROBES).map(move |probe| {
        let bit = (pair >> (16 * probe)) as usize & (words * 64 - 1);
        (bit / 64, 1 << (bit % 64))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(numbers: impl IntoIterator<Item = u64>) -> Vec<Hashed> {
        let hash = |n: u64| Hashed::of((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut list: Vec<_> = numbers.into_iter().map(hash).collect();
        list.sort_unstable();
        list
    }

    #[test]
    fn a_list_written_to_before_is_known() {
        let mut pairs = Pairs::default();
        assert_eq!(pairs.unknown(&list(0..10)), 9);
        pairs.insert(&list(0..10));
        assert_eq!(pairs.unknown(&list(0..10)), 0);
        assert_eq!(pairs.unknown(&list([5])), 0);
        assert!(pairs.unknown(&list(20..40)) >= 17);
    }

    #[test]
    fn endless_lists_stay_within_a_kilobyte() {
        let mut pairs = Pairs::default();
        for start in 0..10_000 {
            pairs.insert(&list(start * 100..start * 100 + 50));
        }
        assert_eq!(pairs.bytes(), 1024);
        assert_eq!(pairs.unknown(&list(999_900..999_950)), 0, "the last list");
        assert!(pairs.unknown(&list(0..50)) > 35, "the first one");
    }
}
