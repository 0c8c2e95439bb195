//! One message of a log while its lines come in.

use std::net::IpAddr;

use compact_str::CompactString;
use siphasher::sip::SipHasher13;
use smallvec::SmallVec;
use std::hash::Hasher;

use crate::history::Message;
use crate::history::Outcome;
use crate::history::maillog::event::Delivery;
use crate::history::maillog::ids::Host;
use crate::mail::Address;
use crate::mail::Login;
use crate::mail::Timestamp;

/// More recipients of one message are let go.
const MOST_RECIPIENTS: usize = 100_000;

#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub at: Timestamp,
    pub host: Host,
    pub id: CompactString,
    pub message_id: CompactString,
    /// Ids of its parts.
    pub parts: Vec<CompactString>,
    pub fate: Fate,
    /// It left the queue.
    pub is_removed: bool,
    /// Who handed it in is told: a client or a program on the machine.
    pub origin: Option<Origin>,
    /// It had a login, and which is not told.
    pub lacks_login: bool,
    pub sender: Option<Address>,
    pub size: u64,
    /// Of the mail server's count; 0 until it is told.
    pub expected: u64,
    /// Deliveries that came to an end, and recipients whose first try did not.
    pub done: u64,
    waiting: Hashes,
    recipients: Vec<Address>,
    known: Hashes,
    pub unknown: u32,
    pub bounced: u32,
    /// Every recipient that was refused; those of a message that was refused whole.
    refused: Vec<Address>,
}

/// Sorted; most messages have one.
type Hashes = SmallVec<[u64; 2]>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    pub client: Option<IpAddr>,
    pub login: Option<Login>,
}

impl Origin {
    /// Whether it may be a content filter that hands a message back.
    pub(super) fn may_be_filter(&self) -> bool {
        self.login.is_none() && self.client.is_none_or(|client| client.is_loopback())
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fate {
    /// Not yet known to be accepted.
    #[default]
    Open,
    Accepted,
    /// Never accepted: the client went away, or all was refused.
    Refused,
    /// The same message as another one, handed on within the site.
    Joined,
    /// A notice of the mail server's own, or no mail at all.
    Internal,
    /// Accepted before the log begins.
    Earlier,
}

impl Entry {
    pub(super) fn new(host: Host, id: CompactString, fate: Fate, at: Timestamp) -> Self {
        Self { at, host, id, fate, ..Self::default() }
    }

    pub(super) fn accept(&mut self) {
        if self.fate == Fate::Open {
            self.fate = Fate::Accepted;
        }
    }

    pub(super) fn join_if(&mut self, is_copy: bool) {
        if is_copy {
            self.fate = Fate::Joined;
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.expected > 0 && self.done + self.waiting.len() as u64 >= self.expected
    }

    /// Nothing of it will be tried again.
    pub(super) fn is_done(&self) -> bool {
        self.is_removed || self.is_whole() && self.waiting.is_empty()
    }

    /// A delivery came to an end, or will be tried again.
    pub(super) fn deliver(&mut self, to: Address, delivery: &Delivery<'_>) {
        let own = hash(&to, b"");
        let target = hash(&to, delivery.target);
        if delivery.is_deferred {
            insert(&mut self.waiting, target);
        } else {
            self.done += 1;
            self.bounced += u32::from(delivery.is_unknown);
            if let Ok(index) = self.waiting.binary_search(&target) {
                self.waiting.remove(index);
            }
        }
        if self.recipients.len() < MOST_RECIPIENTS && insert(&mut self.known, own) {
            self.recipients.push(to);
        }
    }

    pub(super) fn refuse(&mut self, recipient: Option<Address>, is_unknown: bool) {
        self.unknown = self.unknown.saturating_add(u32::from(is_unknown));
        if self.refused.len() < MOST_RECIPIENTS {
            self.refused.extend(recipient);
        }
    }

    /// Refusals that came before the message had an id.
    pub(super) fn take_refusals(&mut self, before: &mut Entry) {
        self.unknown = self.unknown.saturating_add(std::mem::take(&mut before.unknown));
        self.refused.append(&mut before.refused);
    }

    pub(super) fn has_refusals(&self) -> bool {
        self.unknown > 0 || !self.refused.is_empty()
    }

    pub(super) fn has_recipients(&self) -> bool {
        !self.recipients.is_empty()
    }

    pub(super) fn into_message(self) -> Message {
        let origin = self.origin.unwrap_or_default();
        let is_accepted = self.fate == Fate::Accepted;
        let outcome = if is_accepted { Outcome::Accepted } else { Outcome::Refused };
        Message {
            at: self.at,
            login: origin.login,
            client: origin.client,
            sender: self.sender.unwrap_or_default(),
            recipients: match outcome {
                Outcome::Accepted => self.recipients,
                Outcome::Refused => self.refused,
            },
            id: self.id,
            size: self.size,
            outcome,
            unknown_recipients: self.unknown,
            bounced_recipients: self.bounced,
        }
    }
}

/// False where it is there.
fn insert(hashes: &mut Hashes, hash: u64) -> bool {
    match hashes.binary_search(&hash) {
        Ok(_) => false,
        Err(index) => {
            hashes.insert(index, hash);
            true
        }
    }
}

/// Of the address as it is compared.
fn hash(address: &Address, target: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(&address.folded());
    hasher.write(target);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry::new(0, "A".into(), Fate::Accepted, Timestamp::from_unix_ms(0))
    }

    fn deliver(entry: &mut Entry, to: &str, target: &str, is_deferred: bool, is_unknown: bool) {
        let delivery = Delivery {
            id: b"",
            to: Vec::new(),
            target: target.as_bytes(),
            delay: 0,
            is_deferred,
            is_unknown,
            is_probe: false,
            next: None,
        };
        entry.deliver(Address::from_internal(to.as_bytes()), &delivery);
    }

    #[test]
    fn a_message_is_whole_with_a_try_for_every_recipient() {
        let mut entry = Entry { expected: 2, ..entry() };
        assert!(!entry.is_whole());
        deliver(&mut entry, "a@x", "", true, false);
        deliver(&mut entry, "a@x", "", true, false);
        assert!(!entry.is_whole(), "tried twice, one recipient");
        deliver(&mut entry, "A@x", "", false, false);
        assert!(!entry.is_whole(), "the same one at last");
        deliver(&mut entry, "b@x", "", false, true);
        assert!(entry.is_whole() && entry.is_done());
        let message = entry.into_message();
        let recipients: Vec<String> = message.recipients.iter().map(Address::to_string).collect();
        assert_eq!(recipients, ["a@x", "b@x"]);
        assert_eq!((message.bounced_recipients, message.unknown_recipients), (1, 0));
    }

    #[test]
    fn a_list_is_one_recipient_and_as_many_deliveries_as_it_has_members() {
        let mut entry = Entry { expected: 2, ..entry() };
        deliver(&mut entry, "all@x", "a@x", true, false);
        deliver(&mut entry, "all@x", "b@x", true, false);
        assert!(entry.is_whole() && !entry.is_done());
        assert_eq!(entry.into_message().recipients.len(), 1);
    }

    #[test]
    fn a_message_has_at_most_a_hundred_thousand_recipients() {
        let mut entry = entry();
        for index in 0..=MOST_RECIPIENTS {
            deliver(&mut entry, &index.to_string(), "", false, false);
        }
        assert_eq!(entry.into_message().recipients.len(), MOST_RECIPIENTS);
    }
}
