//! The last envelopes of each account in clear, in memory alone: what a suspension is shown with. Records
//! hold keyed hashes only.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::num::NonZeroUsize;

use ipnet::IpNet;
use lru::LruCache;
use parking_lot::Mutex;

use crate::decision::DecisionId;
use crate::engine::accounts::FromNetwork;
use crate::engine::rounds::IN_CLEAR;
use crate::mail::{AccountKey, Address, Timestamp};
use crate::record::Envelope;

/// Accounts at once; those that sent last.
const ACCOUNTS: NonZeroUsize = NonZeroUsize::new(2_000).expect("not zero");

/// Envelopes of each, and recipients of all of these: what a thief reached before he was stopped, and his next of
/// an hour before. A record of 1,000 addresses takes some 60 KB.
pub const SAMPLES: usize = 200;
const RECIPIENTS_OF_ALL: usize = 1_000;

/// Recipients kept of one envelope.
pub const RECIPIENTS: usize = IN_CLEAR;

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
    pub mta: Box<str>,
    pub queue_id: Box<str>,
}

impl From<&Sample> for Envelope {
    fn from(sample: &Sample) -> Self {
        Self {
            id: sample.id.to_string(),
            at: sample.at,
            mta: sample.mta.to_string(),
            queue_id: sample.queue_id.to_string(),
            client: sample.client.map(|client| client.to_string()),
            sender: sample.sender.to_string(),
            recipients: sample.recipients.iter().map(ToString::to_string).collect(),
            recipient_count: sample.recipient_count,
        }
    }
}

/// The network a client is told apart by: /24 or /48.
pub fn network_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => prefix(address.segments(), 3),
    }
}

/// The first so many groups of 16 bits.
pub fn prefix(segments: [u16; 8], groups: usize) -> String {
    let mut kept = [0; 8];
    kept[..groups].copy_from_slice(&segments[..groups]);
    format!("{}/{}", std::net::Ipv6Addr::from(kept), groups * 16)
}

pub struct Samples(Mutex<LruCache<AccountKey, Own>>);

/// Of one account.
#[derive(Default)]
struct Own {
    /// As it logged in last.
    login: Box<str>,
    samples: VecDeque<Sample>,
}

impl Default for Samples {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(ACCOUNTS)))
    }
}

impl Samples {
    /// A message asked about again is kept once.
    pub fn keep(&self, account: &AccountKey, login: &str, sample: Sample) {
        let mut samples = self.0.lock();
        let own = samples.get_or_insert_mut(account.clone(), Own::default);
        if &*own.login != login {
            own.login = login.into();
        }
        let own = &mut own.samples;
        own.retain(|known| known.id != sample.id);
        own.push_back(sample);
        let recipients =
            |own: &VecDeque<Sample>| own.iter().map(|one| one.recipients.len()).sum::<usize>();
        while own.len() > 1 && (own.len() > SAMPLES || recipients(own) > RECIPIENTS_OF_ALL) {
            own.pop_front();
        }
    }

    pub fn login(&self, account: &AccountKey) -> Option<String> {
        self.0.lock().peek(account).map(|own| own.login.to_string())
    }

    /// Where those of the last day came from.
    pub fn networks(&self, account: &AccountKey, at: Timestamp) -> Vec<String> {
        let samples = self.of(account, at);
        let mut networks: Vec<String> =
            samples.iter().filter_map(|sample| sample.client.map(network_of)).collect();
        networks.sort();
        networks.dedup();
        networks
    }

    /// The latest first.
    pub fn senders_in(&self, network: &IpNet, at: Timestamp) -> Vec<FromNetwork> {
        let samples = self.0.lock();
        let is_inside = |sample: &&Sample| {
            at.ms_since(sample.at) < AGE_MS
                && sample.client.is_some_and(|client| network.contains(&client))
        };
        let of = |(account, own): (&AccountKey, &Own)| {
            let inside: Vec<&Sample> = own.samples.iter().filter(is_inside).collect();
            let (first, last) = (inside.first()?.at, inside.last()?.at);
            let mut clients: Vec<String> =
                inside.iter().filter_map(|sample| Some(sample.client?.to_string())).collect();
            clients.sort();
            clients.dedup();
            Some(FromNetwork {
                account: account.to_string(),
                login: own.login.to_string(),
                messages: inside.len() as u32,
                recipients: inside.iter().map(|sample| sample.recipient_count).sum(),
                first,
                last,
                clients,
            })
        };
        let mut found: Vec<FromNetwork> = samples.iter().filter_map(of).collect();
        found.sort_by_key(|found| std::cmp::Reverse(found.last));
        found
    }

    pub fn forget(&self, account: &AccountKey) {
        self.0.lock().pop(account);
    }

    /// Those of the last day, the oldest first.
    pub fn of(&self, account: &AccountKey, at: Timestamp) -> Vec<Sample> {
        let samples = self.0.lock();
        let own = samples.peek(account).into_iter().flat_map(|own| &own.samples);
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
            mta: "mx1".into(),
            queue_id: "".into(),
        }
    }

    #[test]
    fn the_last_of_a_day_are_kept() {
        let account = AccountKey::unresolved(&Login::parse(b"alice").expect("a login"));
        let samples = Samples::default();
        let last = SAMPLES as i64;
        for number in [0, 0].into_iter().chain(1..=last) {
            samples.keep(&account, "alice", sample(number));
        }
        let at = Timestamp::from_unix_ms((last + 1) * 1000);
        assert_eq!(samples.of(&account, at).len(), SAMPLES);
        assert_eq!(samples.of(&account, at)[0], sample(1));
        let next_day = Timestamp::from_unix_ms(1000 + AGE_MS as i64);
        assert_eq!(samples.of(&account, next_day)[0], sample(2));
    }

    #[test]
    fn of_many_recipients_fewer_envelopes_are_kept_and_the_last_in_any_case() {
        let account = AccountKey::unresolved(&Login::parse(b"alice").expect("a login"));
        let samples = Samples::default();
        for number in 0..20 {
            let recipients = vec![Address::default(); RECIPIENTS];
            samples.keep(&account, "alice", Sample { recipients, ..sample(number) });
        }
        let at = Timestamp::from_unix_ms(20_000);
        assert_eq!(samples.of(&account, at).len(), RECIPIENTS_OF_ALL / RECIPIENTS);
    }
}
