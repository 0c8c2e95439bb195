//! Counts what would have come of past mail: by verdict, by login, by day.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use compact_str::CompactString;

use crate::backtest::{Outcome, Verdict};
use crate::detector::{Severity, Test};
use crate::history::Message;
use crate::ledger::Meter;
use crate::mail::{Address, Timestamp};

const DAY_MS: i64 = 86_400_000;

/// A month of an active user: 30 days in which the login sent something.
const MONTH_DAYS: i64 = 30;

/// A held message goes out by itself after this, unless its account is suspended meanwhile.
pub const HELD_MS: i64 = 30 * 60_000;

/// What a login sent lately, for the recipients that had gone out before its suspension.
const LATELY: usize = 4_000;

/// Logins of people that send from one client without saying so.
const GATEWAY_SENDERS: usize = 20;

/// Everything that is counted of one replay.
#[derive(Debug, Default)]
pub struct Tally {
    pub messages: u64,
    pub recipients: u64,
    /// Messages without a login: from outside, or of clients that need none.
    pub inbound: u64,
    pub verdicts: [u64; Verdict::ALL.len()],
    /// The first and the last message.
    pub span: Option<(Timestamp, Timestamp)>,
    pub suspensions: Vec<Suspended>,
    /// Findings by test and severity.
    pub findings: BTreeMap<(Test, Severity), u64>,
    /// Days of a login with at least one held message, and with a suspension.
    pub held_days: u64,
    pub suspended_days: u64,
    /// When messages were held.
    pub held_at: Vec<Timestamp>,
    /// Messages refused by their reason.
    pub refused: BTreeMap<&'static str, u64>,
    people: HashMap<CompactString, Person>,
    clients: HashMap<std::net::IpAddr, HashSet<Address>>,
}

/// One suspension.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspended {
    pub login: CompactString,
    pub at: Timestamp,
    /// The first message of what was counted.
    pub since: Timestamp,
    pub test: Test,
    /// The sentence of its finding.
    pub because: String,
    /// Recipients of messages that had gone out since then, and of those that were still held.
    pub gone_out: u64,
    pub held: u64,
}

/// One login.
#[derive(Debug, Default)]
pub struct Person {
    pub messages: u64,
    pub recipients: u64,
    pub held: u64,
    pub suspensions: u64,
    /// The highest it came to a limit that suspends, without a suspension.
    pub nearest: Option<(Test, f32, Timestamp)>,
    /// The highest share of a limit, suspended or not.
    pub highest: f32,
    /// Each day's highest readings, in the order of [`Meter::ALL`].
    pub peaks: Vec<[f32; Meter::ALL.len()]>,
    months: HashSet<i64>,
    day: Option<i64>,
    held_day: Option<i64>,
    suspended_day: Option<i64>,
    lately: VecDeque<Sent>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Timestamp,
    recipients: u64,
    is_held: bool,
}

impl Tally {
    pub fn add(&mut self, message: &Message, outcome: &Outcome) {
        let recipients = message.recipients.len() as u64;
        self.messages += 1;
        self.recipients += recipients;
        self.verdicts[outcome.verdict as usize] += 1;
        let (first, last) = self.span.unwrap_or((message.at, message.at));
        self.span = Some((first.min(message.at), last.max(message.at)));
        if let (Verdict::Defer | Verdict::Reject, Some(reason)) = (outcome.verdict, outcome.reason)
        {
            *self.refused.entry(reason.as_str()).or_default() += 1;
        }
        let Some(login) = &message.login else {
            self.inbound += 1;
            self.watch_client(message);
            return;
        };
        // Looked up twice rather than named anew for each message.
        if !self.people.contains_key(login.folded()) {
            self.people.insert(login.folded().into(), Person::default());
        }
        let Some(person) = self.people.get_mut(login.folded()) else { return };
        person.messages += 1;
        person.recipients += recipients;
        let day = message.at.unix_ms().div_euclid(DAY_MS);
        person
            .months
            .insert((message.at.unix_ms() - first.unix_ms()).div_euclid(MONTH_DAYS * DAY_MS));
        person.measure(outcome, day, message.at);
        if let Some(finding) = outcome.found.as_ref().and_then(|found| found.enforced)
            && matches!(outcome.verdict, Verdict::Hold | Verdict::Suspend)
        {
            *self.findings.entry((finding.test, finding.severity)).or_default() += 1;
        }
        match outcome.verdict {
            Verdict::Pass | Verdict::Hold => {
                let is_held = outcome.verdict == Verdict::Hold;
                if is_held {
                    self.held_at.push(message.at);
                    person.held += 1;
                    if person.held_day.replace(day) != Some(day) {
                        self.held_days += 1;
                    }
                }
                if person.lately.len() == LATELY {
                    person.lately.pop_front();
                }
                person.lately.push_back(Sent { at: message.at, recipients, is_held });
            }
            Verdict::Suspend => {
                person.suspensions += 1;
                if person.suspended_day.replace(day) != Some(day) {
                    self.suspended_days += 1;
                }
                let suspended = person.suspend(login.folded().into(), outcome, message.at);
                self.suspensions.extend(suspended);
            }
            Verdict::Defer | Verdict::Reject => {}
        }
    }

    pub fn people(&self) -> impl Iterator<Item = (&CompactString, &Person)> {
        self.people.iter()
    }

    /// Months of an active user.
    pub fn user_months(&self) -> u64 {
        self.people.values().map(|person| person.months.len() as u64).sum()
    }

    /// Months that the mail spans, at least one.
    pub fn months(&self) -> f64 {
        let Some((first, last)) = self.span else { return 1.0 };
        (last.ms_since(first) as f64 / (MONTH_DAYS * DAY_MS) as f64).max(1.0)
    }

    /// Clients without a login that many local senders use.
    pub fn gateways(&self) -> Vec<std::net::IpAddr> {
        let many = self.clients.iter().filter(|(_, senders)| senders.len() > GATEWAY_SENDERS);
        let mut gateways: Vec<_> = many.map(|(client, _)| *client).collect();
        gateways.sort_unstable();
        gateways
    }

    /// Private clients alone: the Internet's mail servers have many senders by trade.
    fn watch_client(&mut self, message: &Message) {
        let Some(client) = message.client.filter(is_private) else { return };
        let senders = self.clients.entry(client).or_default();
        if senders.len() <= GATEWAY_SENDERS && !message.sender.is_null() {
            senders.insert(message.sender.clone());
        }
    }
}

fn is_private(client: &std::net::IpAddr) -> bool {
    match client {
        std::net::IpAddr::V4(client) => client.is_private(),
        std::net::IpAddr::V6(client) => client.is_unique_local(),
    }
}

impl Person {
    fn measure(&mut self, outcome: &Outcome, day: i64, at: Timestamp) {
        let Some(found) = &outcome.found else { return };
        if self.day.replace(day) != Some(day) {
            self.peaks.push([0.0; Meter::ALL.len()]);
        }
        if let Some(peaks) = self.peaks.last_mut() {
            for (peak, reading) in peaks.iter_mut().zip(found.readings) {
                *peak = peak.max(reading);
            }
        }
        if let Some((_, share)) = found.nearest {
            self.highest = self.highest.max(share);
        }
        if let Some((test, share)) = found.nearest
            && outcome.verdict != Verdict::Suspend
            && self.nearest.is_none_or(|(_, most, _)| most < share)
        {
            self.nearest = Some((test, share, at));
        }
    }

    fn suspend(
        &mut self,
        login: CompactString,
        outcome: &Outcome,
        at: Timestamp,
    ) -> Option<Suspended> {
        let finding = outcome.found.as_ref()?.enforced?;
        let since = finding.since.min(at);
        let (mut gone_out, mut held) = (0, 0);
        for sent in self.lately.iter().filter(|sent| sent.at >= since) {
            let is_kept = sent.is_held && at.unix_ms() - sent.at.unix_ms() < HELD_MS;
            *(if is_kept { &mut held } else { &mut gone_out }) += sent.recipients;
        }
        let because = finding.to_string();
        Some(Suspended { login, at, since, test: finding.test, because, gone_out, held })
    }
}
