//! People who write for a quarter of a year, each to a circle of its own.

use std::collections::HashMap;
use std::path::PathBuf;

use gatepost::decision::{Breakers, Case, Charge, ChargeAt, Known, Listener, Rules, judge};
use gatepost::detector::Class;
use gatepost::history::{History, HistoryFault, Source};
use gatepost::ledger::{HashKey, Hashed, Message};
use gatepost::mail::{AccountKey, Address, Facts, Login, Mode, Protocol, Stage, Timestamp};
use gatepost::record::{Change, Record};

const DAY_MS: i64 = 86_400_000;
const DAYS: i64 = 90;
const BEGIN_MS: i64 = 1_790_000_000_000;
pub const END_MS: i64 = BEGIN_MS + DAYS * DAY_MS;

/// Contacts of a sender in email-Eu-core (SNAP): 20 in the middle, 156 at the 99th percentile of 824.
const USUAL_CONTACTS: f64 = 20.0;
const SPREAD: f64 = 0.883;

/// There too, 17 of 100 messages have several recipients, and a quarter of those five or more.
const SEVERAL: u8 = 17;
const FURTHER: f64 = 2.1;

/// A site that judges and enforces, without rights.
pub struct Logins {
    rules: Rules,
    listener: Listener,
    known: Known,
    facts: Facts,
}

/// One login, its circle, and what became of it.
#[derive(Default)]
pub struct Person {
    pub record: Record,
    circle: Vec<Hashed>,
}

/// A message about to be judged.
pub struct Sent {
    key: u64,
    recipients: Vec<Hashed>,
    at: Timestamp,
}

pub fn account(number: usize) -> AccountKey {
    AccountKey::object("bench", &format!("00000000-0000-4000-8000-{number:012}"))
}

fn hashed(number: u64) -> Hashed {
    HashKey::default().bytes(&[&number.to_le_bytes()])
}

impl Logins {
    pub fn new() -> Self {
        let mut rules = Rules::default();
        let settings = &mut rules.detector.settings;
        (settings.mode, settings.hold) = (Mode::Enforce, Mode::Enforce);
        let mut facts = Facts::at_stage(Protocol::PolicyDelegation, Stage::EndOfMessage);
        facts.login = Login::parse(b"somebody");
        let listener = Listener { charge_at: ChargeAt::EndOfMessage, ..Listener::of_no_socket() };
        Self { rules, listener, known: Known::default(), facts }
    }

    /// The senders of past mail, as they stand at its end.
    pub fn remember(&self, file: PathBuf) -> Result<Vec<Person>, HistoryFault> {
        let begin = Timestamp::from_unix_ms(BEGIN_MS);
        let mut history = History::open(Source::Tsv(vec![file]), begin)?;
        let mut people: HashMap<Vec<u8>, Person> = HashMap::new();
        let mut key = 0;
        while let Some(message) = history.next_message()? {
            key += 1;
            let hashed = |address: &Address| HashKey::default().address(address);
            let mut recipients: Vec<_> = message.recipients.iter().map(hashed).collect();
            recipients.sort_unstable();
            recipients.dedup();
            let person = people.entry(message.sender.as_bytes().to_vec()).or_default();
            for recipient in &recipients {
                if !person.circle.contains(recipient) {
                    person.circle.push(*recipient);
                }
            }
            let sent = Sent { key, recipients, at: message.at };
            if let Some(record) = self.judge(&person.record, &sent).record
                && record.suspension.is_none()
            {
                person.record = record;
            }
        }
        Ok(people.into_values().collect())
    }

    /// A quarter of a year: each day the more mail, the wider the circle.
    pub fn live(&self, number: usize, random: &mut fastrand::Rng) -> Person {
        // The sum of twelve is as good as normal.
        let normal: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
        let contacts = (USUAL_CONTACTS * (SPREAD * normal).exp()).clamp(1.0, 3000.0) as u64;
        let circle = (0..contacts).map(|one| hashed((number as u64) << 20 | one)).collect();
        let mut person = Person { circle, ..Person::default() };
        let each_day = 1 + contacts / 20;
        for day in 0..DAYS {
            for message in 0..each_day {
                let key = (day as u64) << 32 | message;
                let mut sent = self.next(&person, key, random);
                let minute = message as i64 * 900_000 / each_day as i64;
                sent.at = Timestamp::from_unix_ms(BEGIN_MS + day * DAY_MS + minute * 32);
                if let Some(record) = self.judge(&person.record, &sent).record
                    && record.suspension.is_none()
                {
                    person.record = record;
                }
            }
        }
        person
    }

    /// To one person of the circle, those at its front the more often, or to some who stand side by side in it.
    /// One message in a hundred goes to a stranger too.
    pub fn next(&self, person: &Person, key: u64, random: &mut fastrand::Rng) -> Sent {
        let count = if random.u8(..100) < SEVERAL {
            2 + (-random.f64().ln() * FURTHER) as usize
        } else {
            1
        };
        let first = (random.f64() * random.f64() * person.circle.len() as f64) as usize;
        let circle = person.circle.iter().cycle();
        let mut recipients: Vec<Hashed> = circle.skip(first).take(count).copied().collect();
        if random.u8(..100) == 0 {
            recipients.push(hashed(random.u64(..)));
        }
        recipients.sort_unstable();
        recipients.dedup();
        let at = Timestamp::from_unix_ms(END_MS);
        Sent { key: key ^ 1 << 63, recipients, at }
    }

    pub fn judge(&self, record: &Record, sent: &Sent) -> Change {
        let Self { rules, listener, known, facts } = self;
        let case = Case { listener, facts, known, rules };
        let count = sent.recipients.len() as u32;
        let likeness = Some(hashed(sent.key));
        let network = Some(hashed(sent.key % 3));
        let message = Message {
            key: sent.key,
            part: None,
            recipients: &sent.recipients,
            count,
            likeness,
            network,
        };
        judge(
            case,
            &Charge { message, class: Class::Person, sender: None, breakers: Breakers::default() },
            record,
            sent.at,
        )
        .1
    }
}
