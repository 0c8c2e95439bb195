//! The last envelopes of each account in clear, in memory alone: what a suspension is shown with. Records
//! hold keyed hashes only.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;

use crate::decision::DecisionId;
use crate::mail::{AccountKey, Address, Timestamp};

/// Accounts at once; those that sent last.
const ACCOUNTS: NonZeroUsize = NonZeroUsize::new(2_000).expect("not zero");

/// Envelopes of each.
pub const SAMPLES: usize = 20;

/// Recipients shown of one envelope.
pub const RECIPIENTS: usize = 10;

const AGE_MS: u64 = 24 * 3_600_000;

/// One envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    pub id: DecisionId,
    pub at: Timestamp,
    pub sender: Address,
    /// The first [`RECIPIENTS`] of them.
    pub recipients: Vec<Address>,
    pub recipient_count: u32,
    pub client: Option<IpAddr>,
    pub queue_id: Box<str>,
}

pub struct Samples(Mutex<LruCache<AccountKey, VecDeque<Sample>>>);

impl Default for Samples {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(ACCOUNTS)))
    }
}

impl Samples {
    /// A message asked about again is kept once.
    pub fn keep(&self, account: &AccountKey, sample: Sample) {
        let mut samples = self.0.lock();
        let own = samples.get_or_insert_mut(account.clone(), VecDeque::new);
        own.retain(|known| known.id != sample.id);
        if own.len() == SAMPLES {
            own.pop_front();
        }
        own.push_back(sample);
    }

    /// Those of the last day, the oldest first.
    pub fn of(&self, account: &AccountKey, at: Timestamp) -> Vec<Sample> {
        let samples = self.0.lock();
        let own = samples.peek(account).into_iter().flatten();
        own.filter(|sample| at.ms_since(sample.at) < AGE_MS).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{Facts, Login, Protocol, Stage};

    fn sample(number: i64) -> Sample {
        let mut facts = Facts::at_stage(Protocol::Milter, Stage::EndOfMessage);
        facts.envelope.instance = number.to_string().into();
        Sample {
            id: DecisionId::of("mx1", &facts),
            at: Timestamp::from_unix_ms(number * 1000),
            sender: Address::default(),
            recipients: Vec::new(),
            recipient_count: 1,
            client: None,
            queue_id: "".into(),
        }
    }

    #[test]
    fn the_last_twenty_of_a_day_are_kept() {
        let account = AccountKey::unresolved(&Login::parse(b"alice").expect("a login"));
        let samples = Samples::default();
        for number in [0, 0].into_iter().chain(1..=20) {
            samples.keep(&account, sample(number));
        }
        let at = Timestamp::from_unix_ms(21_000);
        assert_eq!(samples.of(&account, at).len(), SAMPLES);
        assert_eq!(samples.of(&account, at)[0], sample(1));
        let next_day = Timestamp::from_unix_ms(1000 + AGE_MS as i64);
        assert_eq!(samples.of(&account, next_day)[0], sample(2));
    }
}
