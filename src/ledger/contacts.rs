//! Whom an account wrote to and who wrote to it: a small table of keyed hashes in sets of eight, the
//! entry longest untouched of a set making room.

use crate::ledger::Hashed;
use crate::ledger::binary::{Reader, Torn, Writer};
use crate::mail::Timestamp;

/// Entries of one set; looked through as a whole.
const WAYS: usize = 8;

/// A new table has room for 16.
const SETS_AT_FIRST: usize = 2;

/// 384 entries: of the 824 senders of email-Eu-core fewer than one in a hundred has more contacts.
const SETS_AT_MOST: usize = 48;

/// Who writes to us must not push out whom we write to.
const SETS_FOR_OTHERS: usize = 16;

const WRITTEN_TO: u32 = 1;
const HAS_WRITTEN: u32 = 2;
/// First written to since the table was last settled.
const LATE: u32 = 4;
const FLAGS: u32 = WRITTEN_TO | HAS_WRITTEN | LATE;

/// What the table says of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Contact {
    /// Hours since this account last wrote to it; `None`: never, or forgotten.
    pub written_to: Option<u16>,
    /// It has written to this account.
    pub has_written: bool,
}

/// An entry is 29 bits of hash with three flags (0: free), and the hour it was last touched.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Contacts {
    tags: Box<[u32]>,
    /// Hours since the Unix epoch, modulo 2^16: seven years, of which half lie in the future and
    /// count as now, so that a clock set back makes nobody a stranger.
    hours: Box<[u16]>,
}

fn hour_of(at: Timestamp) -> u16 {
    // The low 16 bits are what is meant.
    at.unix_ms().div_euclid(3_600_000) as u16
}

fn age(hour: u16, now: u16) -> u16 {
    let age = now.wrapping_sub(hour);
    if age > u16::MAX / 2 { 0 } else { age }
}

/// Never 0 above the flags.
fn tag_of(peer: Hashed) -> u32 {
    (peer.high() & !FLAGS).max(FLAGS + 1)
}

impl Contacts {
    pub fn find(&self, peer: Hashed, at: Timestamp) -> Contact {
        match self.position(tag_of(peer)) {
            None => Contact::default(),
            Some(place) => Contact {
                written_to: (self.tags[place] & WRITTEN_TO != 0)
                    .then(|| age(self.hours[place], hour_of(at))),
                has_written: self.tags[place] & HAS_WRITTEN != 0,
            },
        }
    }

    /// This account wrote to `peer`.
    pub fn write_to(&mut self, peer: Hashed, at: Timestamp) {
        let (tag, hour) = (tag_of(peer), hour_of(at));
        if let Some(place) = self.position(tag) {
            if self.tags[place] & WRITTEN_TO == 0 {
                self.tags[place] |= WRITTEN_TO | LATE;
            }
            self.hours[place] = hour;
        } else if let Some(place) = self.make_room(tag, SETS_AT_MOST, hour) {
            self.put(place, tag | WRITTEN_TO | LATE, hour);
        }
    }

    /// `peer` wrote to this account. Dropped where only one this account wrote to would make room.
    pub fn written_by(&mut self, peer: Hashed, at: Timestamp) {
        let (tag, hour) = (tag_of(peer), hour_of(at));
        if let Some(place) = self.position(tag) {
            self.tags[place] |= HAS_WRITTEN;
            if self.tags[place] & WRITTEN_TO == 0 {
                self.hours[place] = hour;
            }
        } else if let Some(place) = self.make_room(tag, SETS_FOR_OTHERS, hour)
            && self.tags[place] & WRITTEN_TO == 0
        {
            self.put(place, tag | HAS_WRITTEN, hour);
        }
    }

    /// Those first written to so far are contacts for good.
    pub fn settle(&mut self) {
        for tag in &mut self.tags {
            *tag &= !LATE;
        }
    }

    /// Forgets that this account wrote to those it first wrote to since the table was last settled.
    pub fn unsettle(&mut self) {
        for tag in self.tags.iter_mut().filter(|tag| **tag & LATE != 0) {
            *tag = if *tag & HAS_WRITTEN == 0 { 0 } else { *tag & !(LATE | WRITTEN_TO) };
        }
    }

    /// Adds what another table knows; where both know an address, the later hour counts.
    pub fn merge(&mut self, other: &Self, at: Timestamp) {
        let now = hour_of(at);
        for (&entry, &hour) in other.tags.iter().zip(&other.hours).filter(|(tag, _)| **tag != 0) {
            let (tag, flags) = (entry & !FLAGS, entry & FLAGS);
            match self.position(tag) {
                Some(place) => {
                    self.tags[place] |= flags;
                    if age(hour, now) < age(self.hours[place], now) {
                        self.hours[place] = hour;
                    }
                }
                None => {
                    if let Some(place) = self.make_room(tag, SETS_AT_MOST, now) {
                        self.put(place, entry, hour);
                    }
                }
            }
        }
    }

    pub fn len(&self) -> usize {
        self.tags.iter().filter(|tag| **tag != 0).count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// On the heap.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.tags) + size_of_val(&*self.hours)
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.count(self.tags.len() / WAYS);
        for (&tag, &hour) in self.tags.iter().zip(&self.hours).filter(|(tag, _)| **tag != 0) {
            out.u32(tag);
            out.u16(hour);
        }
    }

    pub(super) fn read(from: &mut Reader) -> Result<Self, Torn> {
        let sets = from.count(SETS_AT_MOST)?;
        let mut read = Self::with(sets);
        while !from.is_empty() {
            let (entry, hour) = (from.u32()?, from.u16()?);
            if let Some(place) = read.make_room(entry & !FLAGS, sets, hour) {
                read.put(place, entry, hour);
            }
        }
        Ok(read)
    }

    fn with(sets: usize) -> Self {
        Self { tags: vec![0; sets * WAYS].into(), hours: vec![0; sets * WAYS].into() }
    }

    fn sets(&self) -> usize {
        self.tags.len() / WAYS
    }

    /// By the tag's own high bits, so that a table that grows asks for no hash again, and one twice as
    /// large parts each set in two.
    fn set_of(&self, tag: u32) -> std::ops::Range<usize> {
        let set = ((u64::from(tag) * self.sets() as u64) >> 32) as usize;
        set * WAYS..(set + 1) * WAYS
    }

    fn position(&self, tag: u32) -> Option<usize> {
        if self.tags.is_empty() {
            return None;
        }
        self.set_of(tag).find(|&place| self.tags[place] & !FLAGS == tag & !FLAGS)
    }

    fn put(&mut self, place: usize, entry: u32, hour: u16) {
        self.tags[place] = entry;
        self.hours[place] = hour;
    }

    /// A place in the set of `tag`: a free one, in a table grown up to `sets` where need be; else that of one
    /// never written to, else of any, the longest untouched first.
    fn make_room(&mut self, tag: u32, sets: usize, hour: u16) -> Option<usize> {
        loop {
            if !self.tags.is_empty()
                && let Some(free) = self.set_of(tag).find(|&place| self.tags[place] == 0)
            {
                return Some(free);
            }
            if self.sets() >= sets {
                break;
            }
            self.grow();
        }
        if self.tags.is_empty() {
            return None;
        }
        self.set_of(tag)
            .max_by_key(|&place| (self.tags[place] & WRITTEN_TO == 0, age(self.hours[place], hour)))
    }

    fn grow(&mut self) {
        let sets = (self.sets() * 2).clamp(SETS_AT_FIRST, SETS_AT_MOST);
        let old = std::mem::replace(self, Self::with(sets));
        let mut entries: Vec<_> = old.tags.into_iter().zip(old.hours).collect();
        // The last step is no doubling: in a set that comes out too full the latest stay.
        entries.sort_unstable_by_key(|(_, hour)| std::cmp::Reverse(*hour));
        for (entry, hour) in entries.into_iter().filter(|(entry, _)| *entry != 0) {
            if let Some(place) = self.set_of(entry).find(|&place| self.tags[place] == 0) {
                self.put(place, entry, hour);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u64) -> Hashed {
        // Spread as a hash would.
        Hashed::of((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn hours(hours: i64) -> Timestamp {
        Timestamp::from_unix_ms(1_700_000_000_000 + hours * 3_600_000)
    }

    #[test]
    fn whom_we_wrote_to_is_known_by_the_hour() {
        let mut contacts = Contacts::default();
        assert_eq!(contacts.find(peer(1), hours(0)), Contact::default());
        contacts.write_to(peer(1), hours(0));
        assert_eq!(contacts.find(peer(1), hours(0)).written_to, Some(0));
        assert_eq!(contacts.find(peer(1), hours(25)).written_to, Some(25));
        assert_eq!(contacts.find(peer(2), hours(25)).written_to, None);
    }

    #[test]
    fn who_wrote_to_us_is_no_contact_of_ours() {
        let mut contacts = Contacts::default();
        contacts.written_by(peer(1), hours(0));
        assert_eq!(
            contacts.find(peer(1), hours(0)),
            Contact { written_to: None, has_written: true }
        );
        contacts.write_to(peer(1), hours(1));
        let both = Contact { written_to: Some(0), has_written: true };
        assert_eq!(contacts.find(peer(1), hours(1)), both);
    }

    #[test]
    fn a_clock_set_back_makes_nobody_a_stranger() {
        let mut contacts = Contacts::default();
        contacts.write_to(peer(1), hours(1000));
        assert_eq!(contacts.find(peer(1), hours(0)).written_to, Some(0));
    }

    #[test]
    fn a_full_table_keeps_the_latest_and_stays_bounded() {
        let mut contacts = Contacts::default();
        for number in 0..10_000 {
            contacts.write_to(peer(number), hours(number.try_into().expect("small")));
        }
        assert_eq!((contacts.len(), contacts.bytes()), (384, 384 * 6));
        assert_eq!(contacts.find(peer(9_999), hours(9_999)).written_to, Some(0));
        assert_eq!(contacts.find(peer(0), hours(9_999)).written_to, None);
    }

    #[test]
    fn two_hundred_contacts_are_all_kept() {
        let mut contacts = Contacts::default();
        for number in 0..200 {
            contacts.write_to(peer(number), hours(0));
        }
        let kept = (0..200).filter(|n| contacts.find(peer(*n), hours(0)).written_to.is_some());
        assert!(kept.count() >= 198, "{} entries", contacts.len());
    }

    #[test]
    fn a_flood_of_inbound_mail_pushes_out_no_contact() {
        let mut contacts = Contacts::default();
        for number in 0..100 {
            contacts.write_to(peer(number), hours(0));
        }
        let known = |contacts: &Contacts| {
            (0..100).filter(|n| contacts.find(peer(*n), hours(9)).written_to.is_some()).count()
        };
        let before = known(&contacts);
        for number in 1_000..100_000 {
            contacts.written_by(peer(number), hours(9));
        }
        assert_eq!(known(&contacts), before);
        assert!(contacts.bytes() <= 384 * 6);
    }

    #[test]
    fn what_is_late_can_be_forgotten() {
        let mut contacts = Contacts::default();
        contacts.write_to(peer(1), hours(0));
        contacts.settle();
        contacts.written_by(peer(2), hours(0));
        for number in 1..4 {
            contacts.write_to(peer(number), hours(1));
        }
        contacts.unsettle();
        let written: Vec<_> =
            (1..4).map(|n| contacts.find(peer(n), hours(1)).written_to.is_some()).collect();
        assert_eq!(written, [true, false, false]);
        assert!(contacts.find(peer(2), hours(1)).has_written);
    }

    #[test]
    fn two_tables_are_joined() {
        let (mut one, mut other) = (Contacts::default(), Contacts::default());
        one.write_to(peer(1), hours(0));
        other.write_to(peer(1), hours(5));
        other.written_by(peer(2), hours(5));
        one.merge(&other, hours(6));
        assert_eq!(one.find(peer(1), hours(6)).written_to, Some(1));
        assert!(one.find(peer(2), hours(6)).has_written);
    }
}
