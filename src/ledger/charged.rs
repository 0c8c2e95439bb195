//! What was charged lately: a question asked again charges nothing and gets the same answer, and a
//! message that comes again is known.

use crate::ledger::Hashed;
use crate::ledger::binary::{Reader, Torn, Writer};
use crate::mail::Timestamp;

/// Postfix repeats a request after a broken connection (smtpd_policy_service_try_limit 2), and one
/// smtpd has one message under way; 16 leave room for as many parallel sessions of one account.
pub const MESSAGES: usize = 16;

/// A repeated RCPT follows its first within seconds.
pub const RECIPIENTS: usize = 64;

/// The last `N` charges by their keys, and what each was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charged<const N: usize> {
    keys: [u64; N],
    answers: [u8; N],
    /// How many there are.
    known: usize,
    /// Where the next one goes, over the oldest.
    next: usize,
}

impl<const N: usize> Default for Charged<N> {
    fn default() -> Self {
        Self { keys: [0; N], answers: [0; N], known: 0, next: 0 }
    }
}

impl<const N: usize> Charged<N> {
    /// What the charge of this key was answered; `None`: it was not made yet.
    pub fn answer(&self, key: u64) -> Option<u8> {
        let place = self.keys[..self.known].iter().position(|known| *known == key)?;
        Some(self.answers[place])
    }

    /// Remembers an answer; one given before is replaced.
    pub fn remember(&mut self, key: u64, answer: u8) {
        if let Some(place) = self.keys[..self.known].iter().position(|known| *known == key) {
            self.answers[place] = answer;
            return;
        }
        self.keys[self.next] = key;
        self.answers[self.next] = answer;
        self.next = (self.next + 1) % N;
        self.known = (self.known + 1).min(N);
    }

    /// The oldest first.
    pub(super) fn write(&self, out: &mut Writer) {
        for offset in 0..self.known {
            let place = (self.next + N - self.known + offset) % N;
            out.u64(self.keys[place]);
            out.u8(self.answers[place]);
        }
    }

    pub(super) fn read(from: &mut Reader) -> Result<Self, Torn> {
        let mut read = Self::default();
        while !from.is_empty() {
            let key = from.u64()?;
            read.remember(key, from.u8()?);
        }
        Ok(read)
    }
}

/// Something after us may answer 4xx, and the client comes again under a new name within this.
const RETRY_S: u32 = 3600;

/// A message deferred instead of held is charged once in this time.
const DEFERRED_S: u32 = 4 * 3600;

/// From here on what looks like a retry is charged as a message. Mail clients try a few times, mail
/// servers every few minutes at most (Postfix minimal_backoff_time 300 s).
const RETRIES: u16 = 20;

/// Messages that may come again at once.
const LIKENESSES: usize = 16;

/// Messages by sender, recipients and size.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Likenesses(Vec<Likeness>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Likeness {
    hash: u32,
    /// Unix seconds of the first.
    first: u32,
    again: u16,
    deferred: bool,
}

impl Likenesses {
    /// Whether such a message was charged within the hour, or deferred within four, and came again not too often.
    pub fn knows(&self, hash: Hashed, at: Timestamp) -> bool {
        self.0.iter().any(|known| known.hash == hash.high() && known.counts(seconds(at)))
    }

    /// Such a message came; `deferred` where it was not taken.
    pub fn remember(&mut self, hash: Hashed, deferred: bool, at: Timestamp) {
        let now = seconds(at);
        let hash = hash.high();
        if let Some(known) = self.0.iter_mut().find(|known| known.hash == hash && known.counts(now))
        {
            known.again = known.again.saturating_add(1);
            known.deferred = deferred;
            return;
        }
        self.0.retain(|known| known.counts(now) && known.hash != hash);
        if self.0.len() == LIKENESSES {
            self.0.remove(0);
        }
        self.0.push(Likeness { hash, first: now, again: 0, deferred });
    }

    pub fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<Likeness>()
    }

    pub(super) fn write(&self, out: &mut Writer) {
        for known in &self.0 {
            out.u32(known.hash);
            out.u32(known.first);
            out.u16(known.again);
            out.u8(u8::from(known.deferred));
        }
    }

    pub(super) fn read(from: &mut Reader) -> Result<Self, Torn> {
        let mut read = Vec::new();
        while !from.is_empty() && read.len() < LIKENESSES {
            read.push(Likeness {
                hash: from.u32()?,
                first: from.u32()?,
                again: from.u16()?,
                deferred: from.u8()? != 0,
            });
        }
        Ok(Self(read))
    }
}

impl Likeness {
    fn counts(&self, now: u32) -> bool {
        let within = if self.deferred { DEFERRED_S } else { RETRY_S };
        // A first one in the future came before the clock was set back.
        now.checked_sub(self.first).is_some_and(|age| age < within) && self.again < RETRIES
    }
}

fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.unix_ms().div_euclid(1000)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ms(1_700_000_000_000 + seconds * 1000)
    }

    #[test]
    fn the_last_sixteen_messages_keep_their_answer() {
        let mut charged = Charged::<MESSAGES>::default();
        for key in 0..17 {
            charged.remember(key, key as u8);
        }
        assert_eq!(
            (charged.answer(0), charged.answer(1), charged.answer(16)),
            (None, Some(1), Some(16))
        );
        charged.remember(1, 99);
        assert_eq!((charged.answer(1), charged.answer(2)), (Some(99), Some(2)));
    }

    #[test]
    fn a_retry_is_one_within_an_hour() {
        let mut known = Likenesses::default();
        let hash = Hashed::of(7 << 32);
        known.remember(hash, false, at(0));
        assert!(known.knows(hash, at(3599)));
        assert!(!known.knows(hash, at(3600)));
        assert!(!known.knows(hash, at(-1)));
        known.remember(hash, true, at(9000));
        assert!(known.knows(hash, at(9000 + 14_399)));
        assert!(!known.knows(hash, at(9000 + 14_400)));
    }

    #[test]
    fn what_comes_again_for_ever_is_no_retry() {
        let mut known = Likenesses::default();
        let hash = Hashed::of(7 << 32);
        for second in 0..=20 {
            assert_eq!(known.knows(hash, at(second)), second > 0, "{second}");
            known.remember(hash, false, at(second));
        }
        assert!(!known.knows(hash, at(21)));
        assert!(known.bytes() <= LIKENESSES * 16);
    }
}
