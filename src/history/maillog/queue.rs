//! The messages whose lines are not all in, and those that wait for earlier ones; they come out in the order
//! they came to the mail server.
//!
//! A message waits until the log has gone on for ten minutes and every recipient was tried, or it left the
//! queue; at most five days, and at most while 200,000 later ones wait behind it.

use std::collections::{BTreeMap, HashMap};

use compact_str::CompactString;

use crate::history::Message;
use crate::history::maillog::coverage::Coverage;
use crate::history::maillog::entry::{Entry, Fate, Origin};
use crate::history::maillog::ids::{Found, Host, Ids, Key, LIFETIME_MS};
use crate::mail::Timestamp;

const MOST_WAITING: usize = 200_000;
/// A message that was tried for everybody may still be a copy that another one will claim.
const SETTLED_MS: u64 = 10 * 60_000;
/// The same of one that has left the queue: the clocks of hosts differ by less.
const LEFT_MS: u64 = 60_000;
/// Longer no client takes for one message: smtpd_timeout is 5 minutes for each step.
const OPEN_MS: u64 = 3_600_000;
/// A copy is handed on within this time.
const HANDED_ON_MS: u64 = 3_600_000;
/// Ids that were told by a host of which no line was seen.
const MOST_ANNOUNCED: usize = 10_000;

#[derive(Default)]
pub(super) struct Queue {
    entries: BTreeMap<Key, Entry>,
    ids: Ids,
    /// Messages by Message-ID, for filters that hand them back without telling the new id.
    message_ids: HashMap<(Host, CompactString), Key, foldhash::fast::RandomState>,
    /// Ids at the next hop that no line has named yet, since when.
    announced: HashMap<CompactString, Timestamp, foldhash::fast::RandomState>,
    serial: u64,
    /// The latest time of any line.
    pub now: Timestamp,
    coverage: Coverage,
}

impl Queue {
    pub(super) fn is_known(&self, host: Host, of: Option<&[u8]>) -> bool {
        of.is_some_and(|of| self.ids.find_anywhere(host, of).is_some())
    }

    pub(super) fn received(&mut self, host: Host, id: &[u8], message_id: &[u8], at: Timestamp) {
        let Some(entry) = self.entry(host, id, at) else { return };
        entry.accept();
        let is_filter = entry.origin.as_ref().is_some_and(Origin::may_be_filter);
        let name = CompactString::from_utf8_lossy(message_id);
        let Found::Message(key) = self.ids.find(host, id) else { return };
        let slot = (host, name.clone());
        if is_filter
            && let Some(first) = self.message_ids.get(&slot)
            && *first != key
            && at.ms_since(first.0) < HANDED_ON_MS
        {
            return self.join(key);
        }
        self.message_ids.insert(slot, key);
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.message_id = name;
        }
    }

    /// The message has got another id at the next hop: where that is in the log, it is no second message.
    pub(super) fn handed_on(&mut self, host: Host, id: &[u8], next: &[u8], at: Timestamp) {
        let Found::Message(own) = self.ids.find(host, id) else { return };
        match self.ids.find_anywhere(host, next) {
            Some(key) if key != own && at.ms_since(key.0) < HANDED_ON_MS => self.join(key),
            Some(_) => {}
            None => {
                if self.announced.len() >= MOST_ANNOUNCED {
                    self.announced.retain(|_, since| at.ms_since(*since) < LEFT_MS);
                }
                if self.announced.len() < MOST_ANNOUNCED {
                    self.announced.insert(CompactString::from_utf8_lossy(next), at);
                }
            }
        }
    }

    /// It left the queue.
    pub(super) fn removed(&mut self, host: Host, id: &[u8]) {
        match self.ids.find(host, id) {
            Found::Message(key) => {
                if let Some(entry) = self.entries.get_mut(&key) {
                    entry.is_removed = true;
                }
            }
            _ => self.ids.remove(host, id),
        }
    }

    /// It is the mail server's own.
    pub(super) fn notice(&mut self, host: Host, id: &[u8], at: Timestamp) {
        match self.ids.find(host, id) {
            Found::Message(key) => {
                if let Some(entry) = self.entries.get_mut(&key) {
                    entry.fate = Fate::Internal;
                }
            }
            Found::Gone => {}
            Found::Nothing => self.begin(host, id, at).1.fate = Fate::Internal,
        }
    }

    /// Lines of the part's id are of the message, too.
    pub(super) fn part(&mut self, host: Host, id: &[u8], part: &[u8]) {
        if let Found::Message(key) = self.ids.find(host, id)
            && let Some(entry) = self.entries.get_mut(&key)
        {
            entry.parts.push(CompactString::from_utf8_lossy(part));
            self.ids.set(host, part, key);
        }
    }

    fn join(&mut self, key: Key) {
        if let Some(entry) = self.entries.get_mut(&key)
            && entry.origin.as_ref().is_none_or(|origin| origin.login.is_none())
        {
            entry.fate = Fate::Joined;
        }
    }

    /// The message of an id, known or new; `None` where its lines are of no more use.
    pub(super) fn entry(&mut self, host: Host, id: &[u8], at: Timestamp) -> Option<&mut Entry> {
        match self.ids.find(host, id) {
            Found::Gone => None,
            Found::Message(key) if self.entries.get(&key).is_some_and(|e| !e.is_removed) => {
                self.entries.get_mut(&key)
            }
            _ => Some(self.begin(host, id, at).1),
        }
    }

    /// The message of an id whose lines may have begun with a refusal, and not with another message.
    pub(super) fn begun(&mut self, host: Host, id: &[u8], at: Timestamp) -> &mut Entry {
        if let Found::Message(key) = self.ids.find(host, id)
            && self.entries.get(&key).is_some_and(|entry| entry.fate == Fate::Open)
        {
            return self.entries.entry(key).or_default();
        }
        self.begin(host, id, at).1
    }

    /// A new message, also where the id was another one's.
    pub(super) fn begin(&mut self, host: Host, id: &[u8], at: Timestamp) -> (Key, &mut Entry) {
        self.serial += 1;
        let key = (at, self.serial);
        self.ids.set(host, id, key);
        let id = CompactString::from_utf8_lossy(id);
        let is_copy = self.announced.remove(&id).is_some_and(|since| at.ms_since(since) < LEFT_MS);
        let fate = if is_copy { Fate::Joined } else { Fate::Open };
        (key, self.entries.entry(key).insert_entry(Entry::new(host, id, fate, at)).into_mut())
    }

    /// The client has begun another message, or gone, before all of this one had come.
    pub(super) fn give_up(&mut self, open: Option<Key>) {
        if let Some(entry) = open.and_then(|key| self.entries.get_mut(&key))
            && entry.fate == Fate::Open
        {
            entry.fate = Fate::Refused;
        }
    }

    /// A message of which nothing but refusals was seen.
    pub(super) fn refuse_whole(&mut self, refused: Option<Box<Entry>>, at: Timestamp) {
        if let Some(mut entry) = refused {
            self.serial += 1;
            entry.at = at;
            self.entries.insert((at, self.serial), *entry);
        }
    }

    /// The first message, if nothing will come before it and nothing more of it; with `has_ended` anyway.
    pub(super) fn pop(&mut self, has_ended: bool) -> Option<Message> {
        loop {
            let first = self.entries.first_entry()?;
            let age = self.now.ms_since(first.key().0);
            let entry = first.get();
            let after = match entry.fate {
                Fate::Open => OPEN_MS,
                Fate::Accepted if entry.is_removed => LEFT_MS,
                Fate::Accepted if entry.is_whole() => SETTLED_MS,
                Fate::Accepted => LIFETIME_MS,
                _ => LEFT_MS,
            };
            if age < after && !has_ended && self.entries.len() <= MOST_WAITING {
                return None;
            }
            let (key, entry) = self.entries.pop_first()?;
            self.leave(key, &entry);
            if self.count(&entry, has_ended) {
                return Some(entry.into_message());
            }
        }
    }

    fn leave(&mut self, key: Key, entry: &Entry) {
        let is_over = matches!(entry.fate, Fate::Open | Fate::Refused) || entry.is_done();
        self.ids.leave(entry.host, &entry.id, key, is_over, self.now);
        for part in &entry.parts {
            self.ids.leave(entry.host, part, key, is_over, self.now);
        }
        let slot = (entry.host, entry.message_id.clone());
        if self.message_ids.get(&slot) == Some(&key) {
            self.message_ids.remove(&slot);
        }
    }

    /// Whether it comes out as a message.
    fn count(&mut self, entry: &Entry, has_ended: bool) -> bool {
        let coverage = &mut self.coverage;
        match entry.fate {
            Fate::Accepted => {}
            Fate::Joined => coverage.joined += 1,
            Fate::Internal => coverage.internal += 1,
            Fate::Earlier => coverage.earlier += 1,
            Fate::Open | Fate::Refused => coverage.refused += 1,
        }
        if entry.fate != Fate::Accepted {
            return matches!(entry.fate, Fate::Open | Fate::Refused) && entry.has_refusals();
        }
        let lacks = [
            (&mut coverage.without_client, entry.origin.is_none()),
            (&mut coverage.without_login, entry.lacks_login),
            (&mut coverage.without_sender, entry.sender.is_none()),
            (&mut coverage.unfinished, !entry.is_whole() && !entry.is_removed && has_ended),
            (
                &mut coverage.without_recipients,
                !entry.is_whole() && (entry.is_removed || !has_ended),
            ),
        ];
        let mut is_whole = true;
        for (count, is_lacking) in lacks {
            *count += u64::from(is_lacking);
            is_whole &= !is_lacking;
        }
        coverage.accepted += 1;
        coverage.whole += u64::from(is_whole);
        entry.has_recipients()
    }

    pub(super) fn coverage(&self) -> Coverage {
        self.coverage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_unix_ms(ms as i64)
    }

    fn id(serial: usize) -> Vec<u8> {
        serial.to_string().into_bytes()
    }

    /// A message to one, of which no delivery is seen.
    fn accept(queue: &mut Queue, serial: usize) -> Key {
        let (key, entry) = queue.begin(0, &id(serial), at(0));
        entry.accept();
        entry.expected = 1;
        key
    }

    #[test]
    fn a_message_gives_way_to_two_hundred_thousand_later_ones() {
        let mut queue = Queue::default();
        for serial in 0..MOST_WAITING {
            accept(&mut queue, serial);
        }
        assert_eq!((queue.pop(false), queue.entries.len()), (None, MOST_WAITING));
        accept(&mut queue, MOST_WAITING);
        assert_eq!((queue.pop(false), queue.entries.len()), (None, MOST_WAITING));
        assert_eq!(queue.coverage().without_recipients, 1);
    }

    #[test]
    fn a_message_waits_until_it_is_settled_and_not_longer() {
        for (done, is_removed, after) in [
            (0, false, LIFETIME_MS),
            (1, false, SETTLED_MS),
            (1, true, LEFT_MS),
            (0, true, LEFT_MS),
        ] {
            let mut queue = Queue::default();
            let key = accept(&mut queue, 1);
            queue.entries.entry(key).or_default().done = done;
            if is_removed {
                queue.removed(0, &id(1));
            }
            for (now, is_out) in [(after - 1, false), (after, true)] {
                queue.now = at(now);
                queue.pop(false);
                assert_eq!(queue.entries.is_empty(), is_out, "{now} ms of {after}");
            }
        }
    }

    #[test]
    fn nothing_is_kept_of_a_message_that_is_over() {
        let mut queue = Queue::default();
        accept(&mut queue, 1);
        queue.part(0, &id(1), &id(2));
        queue.received(0, &id(2), b"<1@x>", at(0));
        queue.removed(0, &id(1));
        queue.now = at(LEFT_MS);
        queue.pop(false);
        for serial in [1, 2] {
            assert!(matches!(queue.ids.find(0, &id(serial)), Found::Nothing));
        }
        assert!(queue.message_ids.is_empty());
    }
}
