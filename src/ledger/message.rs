//! One message as it is charged, and what it weighs for the account that sends it.

use smallvec::SmallVec;

use crate::ledger::{Counter, Hashed, Increments, NETWORK_S, SoFar, Usage};
use crate::mail::Timestamp;

/// A message under judgement.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Names it: hash of MTA and instance or queue id; never of the node, so that two nodes agree.
    pub key: u64,
    /// Where it is charged recipient by recipient: names this one of them.
    pub part: Option<u64>,
    /// Each once, sorted.
    pub recipients: &'a [Hashed],
    /// How many were accepted. More than `recipients`: the others are nobody known. Fewer: some were refused
    /// after us, and contacts are taken to be among the accepted first.
    pub count: u32,
    /// Equal for a message that comes again: hash of sender, recipients and size. `None`: the size is unknown, and
    /// nothing is taken for a retry.
    pub likeness: Option<Hashed>,
    /// The client's network, /24 or /48. `None`: unknown, or a gateway's.
    pub network: Option<Hashed>,
}

/// What a message adds.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Weight {
    pub increments: Increments,
    /// Of a message charged recipient by recipient: what its earlier ones added to counters that leave out the
    /// largest message.
    pub before: Increments,
    /// Such a message was charged within the hour: something after us deferred it, and nothing is counted twice.
    pub is_retry: bool,
    /// Recipients charged.
    pub count: u32,
    /// New recipients, and their weight.
    pub strangers: u32,
    pub new: f32,
    /// Places of recipients that are not charged, since fewer were accepted than are remembered.
    left_out: SmallVec<[u32; 4]>,
}

impl Weight {
    /// The recipients that are charged.
    pub fn recipients<'a>(&'a self, message: &'a Message) -> impl Iterator<Item = Hashed> + 'a {
        let charged = message.recipients.iter().enumerate();
        charged
            .filter(|(place, _)| !self.left_out.contains(&(*place as u32)))
            .map(|(_, hash)| *hash)
    }
}

/// A new recipient that has written to this login weighs so much: an answer is no novelty.
const HAS_WRITTEN: f32 = 0.2;

/// From so many recipients on a message can be one to a mixture.
const MIXTURE_RECIPIENTS: u32 = 6;

/// It is one where so large a share of neighbours was never addressed together.
const MIXTURE_SHARE: f32 = 0.6;

#[derive(Default)]
struct Tally {
    new: f32,
    strangers: u32,
    distant_15m: u32,
    distant_1d: u32,
}

impl Usage {
    /// What the message would add at `at`; the account is not changed. After
    /// [`advance`](Usage::advance).
    pub fn weigh(&self, message: &Message, at: Timestamp) -> Weight {
        if message.likeness.is_some_and(|likeness| self.likenesses.knows(likeness, at)) {
            return Weight { is_retry: true, count: message.count, ..Weight::default() };
        }
        let left_out = self.left_out(message, at);
        let mut weight = Weight { count: message.count, left_out, ..Weight::default() };
        let tally = self.tally(message, &weight, at);
        let unknown = self.pairs.unknown(message.recipients);
        (weight.new, weight.strangers) = (tally.new, tally.strangers);
        let so_far = self.so_far(message);
        let before = so_far.new;
        weight.before.set(Counter::New7d, before);
        weight.before.set(Counter::Distant1d, so_far.distant_1d);
        weight.before.set(Counter::Breadth2h, (1.0 + before).log2());
        let is_first = message.part.is_none() || self.charged.answer(message.key).is_none();
        let increments = &mut weight.increments;
        let mut set = |counters: &[Counter], value: f32| {
            counters.iter().for_each(|counter| increments.set(*counter, value));
        };
        set(&[Counter::Messages2m, Counter::Messages2h], if is_first { 1.0 } else { 0.0 });
        set(
            &[Counter::Novel2m, Counter::Novel2h, Counter::Novel1d],
            (before + tally.new).min(1.0) - before.min(1.0),
        );
        set(&[Counter::Breadth2h], ((1.0 + before + tally.new) / (1.0 + before)).log2());
        set(&[Counter::Distant15m], tally.distant_15m as f32);
        set(&[Counter::Distant1d], tally.distant_1d as f32);
        set(&[Counter::New7d], tally.new);
        set(&[Counter::Strangers2h], tally.strangers as f32);
        set(&[Counter::Mixture15m], (1.0 + unknown as f32).log2());
        set(&[Counter::Accepted15m, Counter::Accepted30d], message.count as f32);
        let neighbours = message.recipients.len().saturating_sub(1) as f32;
        if message.count >= MIXTURE_RECIPIENTS && unknown as f32 >= MIXTURE_SHARE * neighbours {
            set(&[Counter::Blend15m], 1.0);
            set(&[Counter::Scatter15m], tally.distant_15m as f32);
        }
        if self.is_new_network(message, at) {
            set(&[Counter::Networks1h], 1.0);
        }
        weight
    }

    fn tally(&self, message: &Message, weight: &Weight, at: Timestamp) -> Tally {
        let mut tally = Tally::default();
        for recipient in weight.recipients(message) {
            let contact = self.contacts.find(recipient, at);
            let hours = contact.written_to;
            if hours.is_none() {
                tally.new += if contact.has_written { HAS_WRITTEN } else { 1.0 };
                tally.strangers += 1;
            }
            tally.distant_15m += u32::from(hours.is_none_or(|hours| hours >= 1));
            tally.distant_1d += u32::from(hours.is_none_or(|hours| hours >= 24));
        }
        let known = u32::try_from(message.recipients.len()).unwrap_or(u32::MAX);
        let unseen = message.count.saturating_sub(known);
        tally.new += unseen as f32;
        for number in [&mut tally.strangers, &mut tally.distant_15m, &mut tally.distant_1d] {
            *number = number.saturating_add(unseen);
        }
        tally
    }

    /// Where fewer were accepted than we remember: strangers are taken to be the refused ones.
    fn left_out(&self, message: &Message, at: Timestamp) -> SmallVec<[u32; 4]> {
        let surplus = message.recipients.len().saturating_sub(message.count as usize);
        if surplus == 0 {
            return SmallVec::new();
        }
        let mut places: SmallVec<[(bool, u32); 16]> = (0_u32..)
            .zip(message.recipients)
            .map(|(place, hash)| (self.contacts.find(*hash, at).written_to.is_some(), place))
            .collect();
        places.sort_unstable();
        places.into_iter().take(surplus).map(|(_, place)| place).collect()
    }

    /// What was charged of this message, recipient by recipient.
    fn so_far(&self, message: &Message) -> SoFar {
        let (Some(_), Some(parts)) = (message.part, &self.parts) else { return SoFar::default() };
        let known = parts.messages.iter().find(|(key, _)| *key == message.key);
        known.map_or_else(SoFar::default, |(_, so_far)| *so_far)
    }

    fn is_new_network(&self, message: &Message, at: Timestamp) -> bool {
        let Some(network) = message.network else { return false };
        let now = u32::try_from(at.unix_ms().div_euclid(1000)).unwrap_or_default();
        !self
            .networks
            .iter()
            .any(|(known, seen)| *known == network.high() && now.abs_diff(*seen) < NETWORK_S)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(numbers: impl IntoIterator<Item = u64>) -> Vec<Hashed> {
        let hash = |n: u64| Hashed::of((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut hashes: Vec<_> = numbers.into_iter().map(hash).collect();
        hashes.sort_unstable();
        hashes
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ms(1_700_000_000_000 + seconds * 1000)
    }

    fn message(key: u64, recipients: &[Hashed]) -> Message<'_> {
        let count = recipients.len() as u32;
        Message { key, part: None, recipients, count, likeness: None, network: None }
    }

    fn send(usage: &mut Usage, message: Message, when: Timestamp) -> Weight {
        usage.advance(when);
        let weight = usage.weigh(&message, when);
        usage.count(&weight);
        usage.take_in(&message, &weight, 0, when);
        weight
    }

    #[test]
    fn a_recipient_is_new_once() {
        let mut usage = Usage::default();
        let to = hashes(0..3);
        let first = send(&mut usage, message(1, &to), at(0));
        assert_eq!((first.strangers, first.new), (3, 3.0));
        assert_eq!(first.increments.of(Counter::Novel2h), 1.0);
        assert_eq!(first.increments.of(Counter::Breadth2h), 2.0);
        let second = send(&mut usage, message(2, &to), at(60));
        assert_eq!((second.strangers, second.increments.of(Counter::Distant15m)), (0, 0.0));
        let next_hour = usage.weigh(&message(3, &to), at(3600));
        assert_eq!(next_hour.increments.of(Counter::Distant15m), 3.0);
        assert_eq!(next_hour.increments.of(Counter::Distant1d), 0.0);
        assert_eq!((usage.messages, usage.recipients), (2, 6));
    }

    #[test]
    fn who_has_written_to_us_is_hardly_new() {
        let mut usage = Usage::default();
        let to = hashes([7]);
        usage.written_by(to[0], at(0));
        let weight = usage.weigh(&message(1, &to), at(60));
        assert_eq!((weight.strangers, weight.new), (1, HAS_WRITTEN));
    }

    #[test]
    fn recipients_nobody_remembers_are_new_ones() {
        let usage = Usage::default();
        let to = hashes(0..2);
        let weight = usage.weigh(&Message { count: 5, ..message(1, &to) }, at(0));
        assert_eq!((weight.strangers, weight.count), (5, 5));
    }

    #[test]
    fn of_fewer_accepted_ones_contacts_count_first() {
        let mut usage = Usage::default();
        let known = hashes(0..2);
        send(&mut usage, message(1, &known), at(0));
        let to = hashes(0..6);
        let weight = usage.weigh(&Message { count: 3, ..message(2, &to) }, at(60));
        assert_eq!((weight.strangers, weight.recipients(&message(2, &to)).count()), (1, 3));
    }

    #[test]
    fn a_retry_weighs_nothing() {
        let mut usage = Usage::default();
        let to = hashes(0..3);
        let again = |key| Message { likeness: Some(to[0]), ..message(key, &to) };
        send(&mut usage, again(1), at(0));
        let weight = send(&mut usage, again(2), at(300));
        assert!(weight.is_retry);
        assert_eq!(weight.increments, Increments::default());
        assert_eq!((usage.messages, usage.recipients, usage.retries), (1, 3, 1));
        assert!(!send(&mut usage, again(3), at(3600)).is_retry);
    }

    #[test]
    fn recipient_by_recipient_it_is_one_message() {
        let mut usage = Usage::default();
        let to = hashes(0..4);
        for (place, recipient) in to.iter().enumerate() {
            let one = [*recipient];
            let part = Message { part: Some(place as u64), ..message(1, &one) };
            send(&mut usage, part, at(0));
        }
        let counters = usage.counters();
        assert_eq!(counters.of(Counter::Messages2h), 1.0);
        assert_eq!(counters.of(Counter::Novel2h), 1.0);
        assert_eq!(counters.of(Counter::Strangers2h), 4.0);
        assert!((counters.of(Counter::Breadth2h) - 5_f32.log2()).abs() < 1e-5);
        // The largest message is left out, not the largest recipient.
        for counter in [Counter::Distant1d, Counter::New7d, Counter::Breadth2h] {
            assert!(counters.rest(counter) < 1e-5, "{counter:?}");
        }
        assert_eq!((usage.messages, usage.recipients), (1, 4));
    }

    #[test]
    fn a_million_messages_a_day_do_not_grow_it() {
        let mut usage = Usage::default();
        for number in 0..200_000_u64 {
            let to = hashes(number..number + 2);
            send(&mut usage, message(number, &to), at(number as i64 / 12));
        }
        assert!(usage.bytes() <= 5 * 1024, "{}", usage.bytes());
        assert_eq!(usage.messages, 200_000);
    }
}
