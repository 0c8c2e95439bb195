//! Counts what an account sent, and remembers to whom. It counts, it never judges.

mod binary;
mod charged;
mod contacts;
mod counters;
mod hashed;
mod message;
mod pairs;
mod scale;
mod stored;
mod windows;

use crate::mail::Timestamp;

pub use binary::{Reader, Torn, Writer};
pub use charged::Charged;
pub use contacts::{Contact, Contacts};
pub use counters::{CALM, Counter, Counters, Increments};
pub use hashed::{HashKey, Hashed};
pub use message::{Message, Weight};
pub use pairs::Pairs;
pub use scale::{Meter, Scale};
pub use windows::{Counted, Used, WINDOWS, Windows};

use charged::{Likenesses, MESSAGES, RECIPIENTS};

/// What one account sent, and what is usual for it.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Usage {
    pub messages: u64,
    pub recipients: u64,
    /// Messages that came again, see [`Weight::is_retry`].
    pub retries: u64,
    /// `None`: nothing was charged yet.
    pub last: Option<Timestamp>,
    counters: Counters,
    scale: Scale,
    contacts: Contacts,
    pairs: Pairs,
    charged: Charged<MESSAGES>,
    likenesses: Likenesses,
    /// Client networks of the last hour, the latest last.
    networks: Vec<(u32, u32)>,
    /// Only where messages are charged recipient by recipient.
    parts: Option<Box<Parts>>,
    /// What was usual before a burst that outlived its day.
    before: Option<Box<Scale>>,
    /// Envelope senders of a client without a login.
    senders: Vec<u32>,
}

/// Messages charged recipient by recipient.
#[derive(Clone, Debug, PartialEq, Default)]
struct Parts {
    recipients: Charged<RECIPIENTS>,
    /// Messages under way, and what was charged of each.
    messages: Vec<(u64, SoFar)>,
}

/// What was charged of a message, recipient by recipient.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
struct SoFar {
    /// The weight of its new recipients.
    new: f32,
    /// Those not written to within a day.
    distant_1d: f32,
}

/// Networks of one account at once that are told apart.
const NETWORKS: usize = 16;

/// As long as a client network counts as known.
const NETWORK_S: u32 = 3600;

/// A client with more local envelope senders is a gateway (RIGHTS.md: a person or a device has few).
const SENDERS: usize = 21;

impl Usage {
    /// What the message or recipient of this key was answered when it was charged.
    pub fn answer(&self, message: &Message) -> Option<u8> {
        match message.part {
            None => self.charged.answer(message.key),
            Some(part) => self.parts.as_ref()?.recipients.answer(part),
        }
    }

    /// Lets time pass: counters decay, and on a new day the peaks of the one before are learnt.
    pub fn advance(&mut self, at: Timestamp) {
        self.counters.decay_to(at);
        let is_calm = self.counters.of(Counter::Novel2h) < CALM
            && self.counters.of(Counter::Messages2m) < CALM;
        if is_calm {
            self.contacts.settle();
            self.before = None;
        }
        self.scale.stay_in_day(at);
        if self.scale.is_new_day(at) {
            if !is_calm && self.before.is_none() {
                self.before = Some(Box::new(self.scale.clone()));
            }
            self.scale.begin_day(at);
        }
    }

    /// Counts a message that is being judged: the counters then stand as if it had been sent.
    pub fn count(&mut self, weight: &Weight) {
        self.counters.add_part(&weight.increments, &weight.before);
    }

    /// Takes in a message that was sent: it is charged, its recipients are contacts, and the height of
    /// the counters is learnt. `answer` is what it was answered. After [`count`](Self::count).
    pub fn take_in(&mut self, message: &Message, weight: &Weight, answer: u8, at: Timestamp) {
        self.remember(message, weight, answer, false, at);
        for recipient in weight.recipients(message) {
            self.contacts.write_to(recipient, at);
        }
        self.pairs.insert(message.recipients);
        self.scale.learn(&self.counters);
    }

    /// Charges a message that was deferred where it should have been held: the counters count it, but
    /// its recipients are no contacts, since it comes again.
    pub fn take_deferred(&mut self, message: &Message, weight: &Weight, answer: u8, at: Timestamp) {
        self.remember(message, weight, answer, true, at);
    }

    /// Recipients were refused as unknown.
    pub fn count_unknown(&mut self, count: u32, at: Timestamp) {
        self.counters.decay_to(at);
        let mut increments = Increments::default();
        increments.set(Counter::Unknown15m, count as f32);
        increments.set(Counter::Unknown30d, count as f32);
        self.counters.add(&increments);
    }

    /// `peer` wrote to this account.
    pub fn written_by(&mut self, peer: Hashed, at: Timestamp) {
        self.contacts.written_by(peer, at);
    }

    /// A client without a login used this envelope sender.
    pub fn sent_as(&mut self, sender: Hashed) {
        if self.senders.len() < SENDERS && !self.senders.contains(&sender.high()) {
            self.senders.push(sender.high());
        }
    }

    /// Whether so many envelope senders use this client that it must be a gateway.
    pub fn is_suspected_gateway(&self) -> bool {
        self.senders.len() >= SENDERS
    }

    /// A lift forgives: what was counted before it is no evidence any more.
    pub fn forgive(&mut self) {
        self.counters.clear();
    }

    /// Forgets what a thief taught: whom he wrote to, and the peaks since his burst began.
    pub fn unlearn(&mut self) {
        self.contacts.unsettle();
        if let Some(before) = self.before.take() {
            self.scale = *before;
        }
        self.scale.forget_today();
        self.counters.clear();
    }

    /// The height of a finding that a person called false is usual from now on.
    pub fn learn_false_alarm(&mut self, meter: Meter, height: f32) {
        self.scale.learn_false_alarm(meter, height);
    }

    /// Adds what was kept of the same account under another key.
    pub fn merge(&mut self, other: &Self, at: Timestamp) {
        self.messages = self.messages.saturating_add(other.messages);
        self.recipients = self.recipients.saturating_add(other.recipients);
        self.retries = self.retries.saturating_add(other.retries);
        self.last = self.last.max(other.last);
        self.counters.merge(&other.counters);
        self.scale.merge(&other.scale);
        self.contacts.merge(&other.contacts, at);
    }

    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The counters as they stood before; for a message that is not taken in.
    pub fn set_counters(&mut self, counters: Counters) {
        self.counters = counters;
    }

    pub const fn scale(&self) -> &Scale {
        &self.scale
    }

    pub const fn contacts(&self) -> &Contacts {
        &self.contacts
    }

    /// In memory, with everything it points to.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.contacts.bytes()
            + self.pairs.bytes()
            + self.likenesses.bytes()
            + self.networks.capacity() * size_of::<(u32, u32)>()
            + self.senders.capacity() * size_of::<u32>()
            + self.parts.as_ref().map_or(0, |_| size_of::<Parts>())
            + self.before.as_ref().map_or(0, |_| size_of::<Scale>())
    }

    fn remember(
        &mut self,
        message: &Message,
        weight: &Weight,
        answer: u8,
        deferred: bool,
        at: Timestamp,
    ) {
        if let Some(part) = message.part {
            let parts = self.parts.get_or_insert_default();
            parts.recipients.remember(part, answer);
            let place = parts.messages.iter().position(|(key, _)| *key == message.key);
            let place = place.unwrap_or_else(|| {
                if parts.messages.len() == MESSAGES {
                    parts.messages.remove(0);
                }
                parts.messages.push((message.key, SoFar::default()));
                parts.messages.len() - 1
            });
            let so_far = &mut parts.messages[place].1;
            so_far.new += weight.new;
            so_far.distant_1d += weight.increments.of(Counter::Distant1d);
        }
        let is_first = self.charged.answer(message.key).is_none();
        self.charged.remember(message.key, answer);
        if let Some(likeness) = message.likeness {
            self.likenesses.remember(likeness, deferred, at);
        }
        if let Some(network) = message.network {
            self.see_network(network, at);
        }
        self.messages = self.messages.saturating_add(u64::from(is_first && !weight.is_retry));
        self.retries = self.retries.saturating_add(u64::from(weight.is_retry));
        if !weight.is_retry && !deferred {
            self.recipients = self.recipients.saturating_add(u64::from(weight.count));
        }
        self.last = Some(at);
    }

    fn see_network(&mut self, network: Hashed, at: Timestamp) {
        let now = u32::try_from(at.unix_ms().div_euclid(1000)).unwrap_or_default();
        self.networks
            .retain(|(known, seen)| *known != network.high() && now.abs_diff(*seen) < NETWORK_S);
        if self.networks.len() == NETWORKS {
            self.networks.remove(0);
        }
        self.networks.push((network.high(), now));
    }
}
