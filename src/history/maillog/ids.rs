//! Which message a queue id stands for, on which host, and until when. Short ids are used again.

use std::collections::HashMap;

use compact_str::CompactString;
use smallvec::SmallVec;

use crate::mail::Timestamp;

/// A message: when its first line was written, and a serial number.
pub(super) type Key = (Timestamp, u64);

/// The index of a host.
pub(super) type Host = u32;

/// Ids kept of messages that came out and are still being delivered. Beyond these, old ones are let go.
const MOST_GONE: usize = 200_000;
/// Postfix gives up after five days (maximal_queue_lifetime), Sendmail as well (Timeout.queuereturn).
pub(super) const LIFETIME_MS: u64 = 5 * 86_400_000;

#[derive(Default)]
pub(super) struct Ids {
    slots: HashMap<CompactString, SmallVec<[Slot; 1]>, foldhash::fast::RandomState>,
    gone: usize,
}

struct Slot {
    host: Host,
    key: Key,
    is_gone: bool,
}

pub(super) enum Found {
    Message(Key),
    /// Its lines are of no more use.
    Gone,
    Nothing,
}

impl Ids {
    pub(super) fn find(&self, host: Host, id: &[u8]) -> Found {
        match self.of(id).iter().find(|slot| slot.host == host) {
            Some(slot) if slot.is_gone => Found::Gone,
            Some(slot) => Found::Message(slot.key),
            None => Found::Nothing,
        }
    }

    /// On any host, this one first.
    pub(super) fn find_anywhere(&self, host: Host, id: &[u8]) -> Option<Key> {
        let here = |slot: &&Slot| !slot.is_gone && slot.host == host;
        let slots = self.of(id);
        let slot = slots.iter().find(here).or_else(|| slots.iter().find(|slot| !slot.is_gone))?;
        Some(slot.key)
    }

    fn of(&self, id: &[u8]) -> &[Slot] {
        let id = std::str::from_utf8(id).unwrap_or_default();
        self.slots.get(id).map_or(&[], |slots| slots)
    }

    pub(super) fn set(&mut self, host: Host, id: &[u8], key: Key) {
        let slots = self.slots.entry(CompactString::from_utf8_lossy(id)).or_default();
        let slot = Slot { host, key, is_gone: false };
        match slots.iter_mut().find(|slot| slot.host == host) {
            Some(old) => {
                self.gone -= usize::from(old.is_gone);
                *old = slot;
            }
            None => slots.push(slot),
        }
    }

    pub(super) fn remove(&mut self, host: Host, id: &[u8]) {
        let Ok(id) = std::str::from_utf8(id) else { return };
        let Some(slots) = self.slots.get_mut(id) else { return };
        slots.retain(|slot| {
            let is_it = slot.host == host;
            self.gone -= usize::from(is_it && slot.is_gone);
            !is_it
        });
        if slots.is_empty() {
            self.slots.remove(id);
        }
    }

    /// The message comes out. With `is_done` no more lines of it will come; else they are let be.
    pub(super) fn leave(&mut self, host: Host, id: &str, key: Key, is_done: bool, now: Timestamp) {
        let Some(slots) = self.slots.get_mut(id) else { return };
        let Some(slot) = slots.iter_mut().find(|slot| slot.host == host && slot.key == key) else {
            return;
        };
        if is_done {
            return self.remove(host, id.as_bytes());
        }
        slot.is_gone = true;
        self.gone += 1;
        if self.gone > MOST_GONE {
            self.forget(|slot| now.ms_since(slot.key.0) > LIFETIME_MS);
            if self.gone > MOST_GONE / 2 {
                self.forget(|_| true);
            }
        }
    }

    fn forget(&mut self, is_old: impl Fn(&Slot) -> bool) {
        self.slots.retain(|_, slots| {
            slots.retain(|slot| {
                let is_forgotten = slot.is_gone && is_old(slot);
                self.gone -= usize::from(is_forgotten);
                !is_forgotten
            });
            !slots.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(serial: u64) -> Key {
        (Timestamp::from_unix_ms(serial as i64), serial)
    }

    #[test]
    fn an_id_is_of_a_host_and_can_be_used_again() {
        let mut ids = Ids::default();
        ids.set(0, b"A", key(1));
        assert!(matches!(ids.find(1, b"A"), Found::Nothing));
        assert_eq!(ids.find_anywhere(1, b"A"), Some(key(1)));
        ids.leave(0, "A", key(1), false, key(2).0);
        assert!(matches!(ids.find(0, b"A"), Found::Gone));
        assert_eq!(ids.find_anywhere(0, b"A"), None);
        ids.set(0, b"A", key(3));
        ids.leave(0, "A", key(1), true, key(4).0);
        assert!(matches!(ids.find(0, b"A"), Found::Message(found) if found == key(3)));
        ids.remove(0, b"A");
        assert!(matches!(ids.find(0, b"A"), Found::Nothing));
        assert_eq!((ids.slots.len(), ids.gone), (0, 0));
    }

    #[test]
    fn ids_of_messages_that_came_out_are_bounded() {
        let mut ids = Ids::default();
        for serial in 0..=MOST_GONE as u64 {
            let id = serial.to_string();
            ids.set(0, id.as_bytes(), key(serial));
            ids.leave(0, &id, key(serial), false, key(serial).0);
            assert!(ids.gone <= MOST_GONE);
        }
        assert_eq!((ids.slots.len(), ids.gone), (0, 0));
    }
}
