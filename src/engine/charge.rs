//! Charging: which account a message is charged to, under which name, with which recipients.

use std::net::IpAddr;

use ipnet::IpNet;
use smallvec::SmallVec;

use crate::decision::{Case, Charge, Decision, Listener, OnFailure, decide, fingerprint, judge};
use crate::detector::Class;
use crate::engine::Engine;
use crate::engine::holds::Held;
use crate::engine::marks::Mark;
use crate::engine::rounds::Round;
use crate::engine::samples::{RECIPIENTS, Sample, network_of, prefix};
use crate::engine::telling::{About, BY_ITSELF, Happened};
use crate::ledger::{Hashed, Message};
use crate::mail::{AccountKey, Address, Client, Facts, Login, Mode, Reply, Stage, Timestamp};
use crate::record::{Change, Record};
use crate::rights::{DomainClass, Lookup};
use crate::store::StoreFault;

/// Whom a question is charged to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charged {
    pub account: AccountKey,
    pub class: Class,
}

/// What came of judging with an account's record.
pub(super) struct Outcome {
    pub decision: Decision,
    pub store_fault: Option<StoreFault>,
    pub happened: Vec<Happened>,
}

impl Engine {
    /// Judges with the account's record in hand. What a store that fails costs is configured: the mail is
    /// deferred, or the charge is lost, since rights need no record. A refusal that was reached stands.
    pub(super) async fn judge_account(
        &self,
        case: Case<'_>,
        round: &Round,
        charged: &Charged,
        commit: bool,
        at: Timestamp,
    ) -> Outcome {
        let mut decided = None;
        let mut happened = Vec::new();
        let is_charged = case.listener.charge_at.is(case.facts.stage);
        let recipients = self.recipients(case, round);
        let charge = Charge {
            message: self.message(case, round, &recipients, at),
            class: charged.class,
            sender: self.local_sender(case, charged.class),
            breakers: self.breaker.state(),
        };
        let about = case.about(&charged.account, at);
        let mut run = |record: &Record| -> Change {
            let (decision, change) = if is_charged {
                let (decision, mut change) = judge(case, &charge, record, at);
                let held = Held::by(case, &decision, &charged.account, at);
                change.rows.extend(held.map(|held| held.row()));
                (decision, change)
            } else {
                (decide(case, Some(record), at), Change::default())
            };
            let mut change = change;
            let by = Some((&decision, case.rules));
            happened = self.tell_change(&about, BY_ITSELF, record, by, &mut change);
            decided = Some(decision);
            change
        };
        let kept = self.change(&charged.account, &mut run, commit && is_charged).await;
        let decision = decided.unwrap_or_else(|| decide(case, None, at));
        // What is not on disk yet has happened all the same.
        if !commit || !matches!(kept, Ok(()) | Err(StoreFault::NotOnDisk(_))) {
            happened.clear();
        }
        self.count_suspensions(&mut happened, case.rules, at).await;
        match kept {
            Err(fault) if case.rules.store_on_failure == OnFailure::Defer => {
                Outcome { decision: case.deferred(decision), store_fault: Some(fault), happened }
            }
            kept => Outcome { decision, store_fault: kept.err(), happened },
        }
    }

    /// Whom the question is charged to: a login's account, or a client that relays without one. `None`: nobody.
    pub(super) fn charged(&self, case: Case<'_>, round: &Round) -> Option<Charged> {
        if let Some(account) = case.account_key() {
            let bulk = case.is_one_of(&case.rules.detector.bulk);
            return Some(Charged {
                account,
                class: if bulk { Class::Bulk } else { Class::Person },
            });
        }
        // Bounces, and what answers by itself, charge nobody.
        let is_tracked = case.facts.login.is_none()
            && !case.facts.envelope.sender.is_null()
            && case.known.gateway.is_none()
            && goes_out(case, round)
            && case.rules.detector.settings.networks != Mode::Off
            && case.rules.detector.settings.mode != Mode::Off;
        let account = is_tracked.then(|| client_key(case.facts)).flatten()?;
        Some(Charged { account, class: Class::Client })
    }

    /// Recipients were refused as unknown, or would have been: evidence.
    pub(super) async fn count_unknown(&self, account: &AccountKey, count: u32, at: Timestamp) {
        let mut run = |record: &Record| {
            let mut record = record.clone();
            record.usage.count_unknown(count, at);
            Change::to(record)
        };
        // A store that fails costs the evidence.
        let _ = self.store.update(account, &mut run).await;
    }

    /// After a clock was set back, counts of the future must not refuse until it comes.
    pub(super) async fn settle_quota(&self, account: &AccountKey, at: Timestamp) {
        let mut settle = |record: &Record| {
            let mut record = record.clone();
            let record = record.windows.settle(at).then_some(record);
            Change { record, ..Change::default() }
        };
        // A store that fails costs nothing that was counted.
        let _ = self.store.update(account, &mut settle).await;
    }

    /// An accepted message: an envelope to show, and its sender has written to its recipients.
    pub(super) fn accepted(
        &self,
        case: Case<'_>,
        round: &Round,
        charged: Option<&Charged>,
        at: Timestamp,
    ) {
        let envelope = &case.facts.envelope;
        let in_clear = || round.in_clear.iter().chain(envelope.recipient.as_ref());
        if let Some(charged) = charged {
            let mut recipients: Vec<Address> = Vec::new();
            for recipient in in_clear().take(RECIPIENTS + 1) {
                if recipients.len() < RECIPIENTS && !recipients.contains(recipient) {
                    recipients.push(recipient.clone());
                }
            }
            let sample = Sample {
                id: case.id(),
                at,
                sender: envelope.sender.clone(),
                recipient_count: envelope.recipient_count.max(recipients.len() as u32),
                recipients,
                client: case.facts.client.address,
                mta: (&*case.listener.mta).into(),
                queue_id: (&*envelope.queue_id).into(),
            };
            let login = case.about(&charged.account, at).login;
            self.samples.keep(&charged.account, login, sample);
        }
        let is_local =
            |recipient: &&Address| case.rules.domains.class_of(recipient).0 == DomainClass::Local;
        let recipients: Vec<Address> = in_clear().filter(is_local).cloned().collect();
        if !envelope.sender.is_null() && !recipients.is_empty() {
            let sender = self.key.address(&envelope.sender);
            // Full: best effort.
            let _ = self.marks.try_send(Mark { sender, recipients, at });
        }
    }

    /// Sorted, each once.
    fn recipients(&self, case: Case<'_>, round: &Round) -> SmallVec<[Hashed; 8]> {
        let named = case.facts.envelope.recipient.as_ref();
        let named = named.filter(|recipient| !is_postmaster(recipient));
        let mut recipients: SmallVec<[Hashed; 8]> = match (case.facts.stage, named) {
            (Stage::Rcpt, Some(recipient)) => [self.key.address(recipient)].into_iter().collect(),
            (_, Some(recipient)) if round.recipients.is_empty() => {
                [self.key.address(recipient)].into_iter().collect()
            }
            _ => round.recipients.iter().copied().collect(),
        };
        recipients.sort_unstable();
        recipients.dedup();
        recipients
    }

    fn message<'a>(
        &self,
        case: Case<'_>,
        round: &Round,
        recipients: &'a [Hashed],
        at: Timestamp,
    ) -> Message<'a> {
        let Facts { envelope, client, stage, .. } = case.facts;
        let is_part = *stage == Stage::Rcpt;
        let key = message_key(case.listener, case.facts, round.number, at);
        let known = u32::try_from(recipients.len()).unwrap_or(u32::MAX);
        let is_lone_postmaster = envelope.recipient.as_ref().is_some_and(is_postmaster);
        let count = match envelope.recipient_count {
            _ if is_part || is_lone_postmaster => known,
            0 => known.max(1),
            count => count,
        };
        let likeness = (!is_part && envelope.size > 0).then(|| {
            let all: Vec<u8> = recipients.iter().flat_map(|one| one.bits().to_le_bytes()).collect();
            self.key.bytes(&[&envelope.sender.folded(), &all, &envelope.size.to_le_bytes()])
        });
        let network = client
            .address
            .filter(|_| case.known.gateway.is_none())
            .map(|address| self.key.bytes(&[network_of(address).as_bytes()]));
        Message {
            key,
            part: is_part.then(|| recipients.first().map_or(key, |one| one.bits() ^ key)),
            recipients,
            count,
            likeness,
            network,
        }
    }

    fn local_sender(&self, case: Case<'_>, class: Class) -> Option<Hashed> {
        let sender = &case.facts.envelope.sender;
        let is_local = || case.rules.domains.class_of(sender).0 == DomainClass::Local;
        (class == Class::Client && !sender.is_null() && is_local())
            .then(|| self.key.address(sender))
    }
}

impl<'a> Case<'a> {
    /// Whose record it is that the case is charged to.
    fn about(&self, account: &'a AccountKey, at: Timestamp) -> About<'a> {
        let (login, lookup) = match &self.known.author {
            Some(author) => (Some(&author.login), Some(&author.account)),
            None => (self.login(), self.known.account.as_ref()),
        };
        let holder = lookup.and_then(Lookup::account).map(|account| &**account);
        let login = login.map_or(account.as_str(), Login::raw);
        About { account, login, holder, mta: &self.listener.mta, at }
    }
}

/// Whether some recipient is of no domain of ours.
fn goes_out(case: Case<'_>, round: &Round) -> bool {
    let named = case.facts.envelope.recipient.as_ref();
    round.has_external
        || named.is_some_and(|to| case.rules.domains.class_of(to).0 == DomainClass::External)
}

/// Names the SMTP transaction: the MTA and its instance, or queue id where it has none.
pub(super) fn transaction(listener: &Listener, facts: &Facts) -> Option<u64> {
    let envelope = &facts.envelope;
    let name = if envelope.instance.is_empty() { &envelope.queue_id } else { &envelope.instance };
    (!name.is_empty())
        .then(|| fingerprint(&[b"transaction", listener.mta.as_bytes(), name.as_bytes()]))
}

/// Names the message, so that a repeated question charges nothing. A question without instance and queue
/// id is like no other.
fn message_key(listener: &Listener, facts: &Facts, round: u32, at: Timestamp) -> u64 {
    match transaction(listener, facts) {
        Some(transaction) => {
            fingerprint(&[b"charge", &transaction.to_le_bytes(), &round.to_le_bytes()])
        }
        None => fingerprint(&[
            b"charge",
            listener.mta.as_bytes(),
            facts.envelope.sender.as_bytes(),
            facts.envelope.recipient.as_ref().map_or(&[][..], Address::as_bytes),
            &at.unix_ms().to_le_bytes(),
        ]),
    }
}

/// A bare `postmaster`, which Postfix accepts without asking (RFC 5321 4.5.1).
fn is_postmaster(recipient: &Address) -> bool {
    recipient.domain().is_none() && recipient.local().eq_ignore_ascii_case(b"postmaster")
}

/// Under which key a client without a login is tracked: its certificate, else its IPv4 address or IPv6 /64.
/// `None`: it is the mail server itself, or unknown.
fn client_key(facts: &Facts) -> Option<AccountKey> {
    let certificate = facts.client.certificate.as_deref();
    if let Some(fingerprint) =
        certificate.and_then(|known| known.fingerprints.iter().flatten().next())
    {
        return Some(AccountKey::client(fingerprint));
    }
    let address = facts.client.address?;
    (!address.is_loopback()).then(|| address_key(address))
}

fn address_key(address: IpAddr) -> AccountKey {
    match address {
        IpAddr::V4(address) => AccountKey::client(&address.to_string()),
        IpAddr::V6(address) => AccountKey::client(&prefix(address.segments(), 4)),
    }
}

/// The key of a client as a person names it: by an address, an IPv6 /64 or the fingerprint of a certificate.
pub(super) fn named_client(name: &str) -> Option<AccountKey> {
    if let Some(address) = Client::parse_address(name.as_bytes()) {
        return Some(address_key(address));
    }
    if let Ok(network @ IpNet::V6(_)) = name.parse::<IpNet>() {
        return (network.prefix_len() == 64).then(|| address_key(network.network()));
    }
    let digits: String = name.chars().filter(|c| *c != ':').collect();
    let is_fingerprint =
        digits.len() >= FINGERPRINT && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_fingerprint.then(|| AccountKey::client(&digits.to_ascii_lowercase()))
}

/// Hex digits of the shortest one, MD5.
const FINGERPRINT: usize = 32;

/// Whether the mail server takes the message after this answer.
pub(super) const fn is_accepted(reply: &Reply) -> bool {
    !matches!(reply, Reply::Refuse(_))
}
