//! The mail of a site, and its accounts as the daemon keeps them.

use std::collections::{HashMap, HashSet};

use compact_str::CompactString;
use gatepost::decision::{
    Breakers, Case, Charge, ChargeAt, Facing, Hold, Known, Listener, Reason, Rules, judge,
};
use gatepost::detector::{Budget, Class, Finding};
use gatepost::history::{History, HistoryFault};
use gatepost::ledger::{HashKey, Hashed, Message};
use gatepost::mail::{Address, Facts, Mode, Protocol, Reply, Stage, Timestamp};
use gatepost::record::Record;
use gatepost::suspension::Settings;

pub const DAY_MS: i64 = 86_400_000;
const MONTH_MS: i64 = 30 * DAY_MS;

/// One message; who sends and receives are numbers.
pub struct Sent {
    pub at: Timestamp,
    pub from: usize,
    pub to: Vec<usize>,
}

/// All mail of a site.
pub struct Mail {
    pub messages: Vec<Sent>,
    /// The hash of each person.
    pub people: Vec<Hashed>,
    pub names: Vec<CompactString>,
    /// The messages of each sender, by their place.
    pub senders: HashMap<usize, Vec<usize>>,
    fitting: HashSet<usize>,
}

impl Mail {
    pub fn read(history: &mut History, fitting: &HashSet<String>) -> Result<Self, HistoryFault> {
        let mut numbers: HashMap<CompactString, usize> = HashMap::new();
        let mut names = Vec::new();
        let mut number = |name: CompactString| {
            *numbers.entry(name.clone()).or_insert_with(|| {
                names.push(name);
                names.len() - 1
            })
        };
        let mut messages = Vec::new();
        while let Some(message) = history.next_message()? {
            let name = |address: &Address| CompactString::from(address.to_string().to_lowercase());
            let from = number(name(&message.sender));
            let to = message.recipients.iter().map(|to| number(name(to))).collect();
            messages.push(Sent { at: message.at, from, to });
        }
        messages.sort_by_key(|sent| sent.at);
        let mut senders: HashMap<usize, Vec<usize>> = HashMap::new();
        for (place, sent) in messages.iter().enumerate() {
            senders.entry(sent.from).or_default().push(place);
        }
        let key = HashKey::default();
        let people = names.iter().map(|name| key.address(&Address::from_internal(name.as_bytes())));
        let people = people.collect();
        let fitting = names
            .iter()
            .enumerate()
            .filter(|(_, name)| fitting.contains(name.as_str()))
            .map(|(number, _)| number)
            .collect();
        Ok(Self { messages, people, names, senders, fitting })
    }

    pub fn is_reported(&self, sender: usize) -> bool {
        !self.fitting.contains(&sender)
    }

    /// Senders reported on, in a fixed order.
    pub fn reported(&self) -> impl Iterator<Item = usize> {
        let mut senders: Vec<_> =
            self.senders.keys().copied().filter(|sender| self.is_reported(*sender)).collect();
        senders.sort_unstable();
        senders.into_iter()
    }

    /// Months with mail of the senders reported on.
    pub fn user_months(&self) -> u64 {
        let Some(first) = self.messages.first() else { return 0 };
        let months: HashSet<(usize, i64)> = self
            .messages
            .iter()
            .filter(|sent| self.is_reported(sent.from))
            .map(|sent| (sent.from, (sent.at.unix_ms() - first.at.unix_ms()) / MONTH_MS))
            .collect();
        months.len() as u64
    }

    pub fn hashed(&self, to: &[usize]) -> Vec<Hashed> {
        sorted(to.iter().map(|person| self.people[*person]))
    }
}

/// As the engine has recipients: sorted, each once.
pub fn sorted(recipients: impl IntoIterator<Item = Hashed>) -> Vec<Hashed> {
    let mut recipients: Vec<_> = recipients.into_iter().collect();
    recipients.sort_unstable();
    recipients.dedup();
    recipients
}

/// What a message is answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    Pass,
    Hold,
    Suspend(Finding),
}

/// The rules and the listener of a site without rights.
pub struct Site {
    rules: Rules,
    listener: Listener,
    known: Known,
    facts: Facts,
}

impl Site {
    pub fn new(budget: Budget) -> Self {
        let mut rules = Rules::default();
        let settings = &mut rules.detector.settings;
        (settings.mode, settings.hold) = (Mode::Enforce, Mode::Enforce);
        settings.budget = budget;
        // Lifted at once: counters are forgiven, nothing is learnt.
        rules.detector.suspension = Settings::each_alone(Some(0));
        let mut facts = Facts::at_stage(Protocol::PolicyDelegation, Stage::EndOfMessage);
        facts.login = gatepost::mail::Login::parse(b"somebody");
        let listener = Listener {
            name: "bench".into(),
            mta: "bench".into(),
            facing: Facing::Internal,
            charge_at: ChargeAt::EndOfMessage,
            hold: Hold::Queue,
            ..Listener::of_no_socket()
        };
        Self { rules, listener, known: Known::default(), facts }
    }

    /// Sends one message from the account of `record`; `key` names it.
    pub fn send(
        &self,
        record: &mut Record,
        recipients: &[Hashed],
        key: u64,
        at: Timestamp,
    ) -> Answer {
        let Self { rules, listener, known, facts } = self;
        let case = Case { listener, facts, known, rules };
        let count = u32::try_from(recipients.len()).expect("few");
        let message = Message { key, part: None, recipients, count, likeness: None, network: None };
        let charge =
            Charge { message, class: Class::Person, sender: None, breakers: Breakers::default() };
        let (decision, change) = judge(case, &charge, record, at);
        if let Some(changed) = change.record {
            *record = changed;
        }
        match (&decision.reply, decision.reason) {
            (Reply::Hold(_), _) => Answer::Hold,
            (Reply::Refuse(_), Some(Reason::AccountSuspended)) => {
                let found = decision.found.and_then(|found| found.enforced);
                Answer::Suspend(found.expect("a suspension has a finding"))
            }
            _ => Answer::Pass,
        }
    }
}
