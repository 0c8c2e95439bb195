//! Which recipients of a message were passed at RCPT. By policy delegation the final question carries only
//! their number, and comes on another connection; so they are remembered for all listeners together.

use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;

use crate::ledger::{HashKey, Hashed};
use crate::mail::{Address, Timestamp};

/// Messages under way at once; Postfix has 100 smtpd processes by default (default_process_limit).
const ROUNDS: NonZeroUsize = NonZeroUsize::new(20_000).expect("not zero");

/// Recipients of one message that are remembered; the rest are counted by the MTA's own number. Postfix stops
/// at 1000 (smtpd_recipient_limit).
const RECIPIENTS: usize = 10_000;

/// Recipients of one message that are kept in clear, for evidence and to mark its sender with them.
pub const IN_CLEAR: usize = 100;

/// An SMTP transaction does not last longer.
const AGE_MS: u64 = 3_600_000;

/// The messages under way, of all MTAs.
pub struct Rounds(Mutex<LruCache<u64, Round>>);

/// One message: Postfix's instance may carry several, since one that was refused at its end stays open.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// Which message of its instance it is.
    pub number: u32,
    /// Each once, in the order in which they came.
    pub recipients: Vec<Hashed>,
    pub in_clear: Vec<Address>,
    /// Those nobody knows, whatever became of them.
    unknown: Vec<Hashed>,
    /// Some are of no domain of ours.
    pub has_external: bool,
    /// A final question was asked; the next RCPT is another message's.
    is_final: bool,
    touched: Timestamp,
}

impl Default for Rounds {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(ROUNDS)))
    }
}

impl Rounds {
    /// The message a recipient belongs to, of the MTA and instance of this key; its other recipients are not told.
    pub fn at_rcpt(&self, key: u64, at: Timestamp) -> Round {
        let mut rounds = self.0.lock();
        let number = match rounds.get(&key) {
            Some(round) if !is_old(round, at) => {
                round.number.wrapping_add(u32::from(round.is_final))
            }
            _ => 0,
        };
        Round { number, ..Round::default() }
    }

    /// A recipient was passed; `true`: the first one of its message.
    pub fn pass(
        &self,
        key: u64,
        recipient: &Address,
        hashed: Hashed,
        external: bool,
        at: Timestamp,
    ) -> bool {
        let mut rounds = self.0.lock();
        let round = under_way(&mut rounds, key, at);
        round.has_external |= external;
        if round.recipients.len() < RECIPIENTS && !round.recipients.contains(&hashed) {
            round.recipients.push(hashed);
            if round.in_clear.len() < IN_CLEAR {
                round.in_clear.push(recipient.clone());
            }
            return round.recipients.len() == 1;
        }
        false
    }

    /// Whether this recipient, whom nobody knows, is asked about for the first time: Postfix asks in several lists,
    /// and again after a lost answer.
    pub fn is_first_unknown(&self, key: u64, hashed: Hashed, at: Timestamp) -> bool {
        let mut rounds = self.0.lock();
        let round = under_way(&mut rounds, key, at);
        let is_first = !round.unknown.contains(&hashed);
        if is_first && round.unknown.len() < RECIPIENTS {
            round.unknown.push(hashed);
        }
        is_first
    }

    /// The message a final question is about; `commit`: no further recipient belongs to it.
    pub fn at_end(&self, key: u64, commit: bool, at: Timestamp) -> Round {
        let mut rounds = self.0.lock();
        match rounds.get_mut(&key) {
            Some(round) if !is_old(round, at) => {
                round.is_final |= commit;
                round.clone()
            }
            _ => Round::default(),
        }
    }
}

impl Round {
    /// A message whose recipients are all known.
    pub fn of(recipients: &[Address], key: &HashKey, has_external: bool) -> Self {
        let mut hashed: Vec<_> = recipients.iter().map(|one| key.address(one)).collect();
        hashed.sort_unstable();
        hashed.dedup();
        let in_clear = recipients.iter().take(IN_CLEAR).cloned().collect();
        Self { recipients: hashed, in_clear, has_external, is_final: true, ..Self::default() }
    }
}

/// The message that a recipient asked about now belongs to.
fn under_way(rounds: &mut LruCache<u64, Round>, key: u64, at: Timestamp) -> &mut Round {
    let round = rounds.get_or_insert_mut(key, Round::default);
    if is_old(round, at) || round.is_final {
        let number = if round.is_final { round.number.wrapping_add(1) } else { round.number };
        *round = Round { number, ..Round::default() };
    }
    round.touched = at;
    round
}

/// A clock set back makes nothing old.
fn is_old(round: &Round, at: Timestamp) -> bool {
    at.ms_since(round.touched) >= AGE_MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::HashKey;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(1_700_000_000_000 + ms)
    }

    fn pass(rounds: &Rounds, name: &str, when: Timestamp) {
        let address = Address::from_internal(name.as_bytes());
        rounds.pass(1, &address, HashKey::default().address(&address), true, when);
    }

    #[test]
    fn recipients_gather_until_the_final_question() {
        let rounds = Rounds::default();
        pass(&rounds, "a@x.test", at(0));
        pass(&rounds, "b@x.test", at(1));
        pass(&rounds, "a@x.test", at(2));
        assert_eq!(rounds.at_end(1, true, at(3)).recipients.len(), 2);
        assert_eq!(rounds.at_end(1, true, at(4)).recipients.len(), 2, "asked again");
        assert_eq!(rounds.at_rcpt(1, at(5)).number, 1);
        pass(&rounds, "c@x.test", at(5));
        let next = rounds.at_end(1, true, at(6));
        assert_eq!((next.number, next.recipients.len()), (1, 1));
    }

    #[test]
    fn an_hour_later_nothing_is_remembered() {
        let rounds = Rounds::default();
        pass(&rounds, "a@x.test", at(0));
        assert_eq!(rounds.at_end(1, false, at(3_599_999)).recipients.len(), 1);
        assert_eq!(rounds.at_end(1, false, at(3_600_000)).recipients.len(), 0);
    }

    #[test]
    fn an_unknown_recipient_is_one_however_often_it_is_asked_about() {
        let rounds = Rounds::default();
        let hashed = HashKey::default().bytes(&[b"nobody"]);
        assert!(rounds.is_first_unknown(1, hashed, at(0)));
        assert!(!rounds.is_first_unknown(1, hashed, at(1)));
        assert!(rounds.is_first_unknown(2, hashed, at(1)));
        rounds.at_end(1, true, at(2));
        assert!(rounds.is_first_unknown(1, hashed, at(3)), "in the next message");
    }

    #[test]
    fn endless_recipients_are_bounded() {
        let rounds = Rounds::default();
        for number in 0..RECIPIENTS + 5 {
            let address = Address::from_internal(format!("r{number}@x.test").as_bytes());
            let hashed = HashKey::default().bytes(&[&number.to_le_bytes()]);
            rounds.pass(1, &address, hashed, true, at(0));
        }
        let round = rounds.at_end(1, true, at(0));
        assert_eq!((round.recipients.len(), round.in_clear.len()), (RECIPIENTS, IN_CLEAR));
    }
}
