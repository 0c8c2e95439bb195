//! Innocent mail, and numbers as they are shown.

use std::collections::{HashMap, HashSet, VecDeque};

use gatepost::detector::{Budget, Finding};
use gatepost::mail::Timestamp;
use gatepost::record::Record;

use crate::site::{Answer, DAY_MS, Mail, Sent, Site};

/// What innocent mail costs.
pub struct Benign {
    /// Days of a user with a suspension, and with a hold.
    pub suspended: u64,
    pub held: u64,
    told: Vec<(String, Timestamp, Finding)>,
}

impl Benign {
    pub fn of(mail: &Mail, budget: Budget, has_inbound: bool) -> Self {
        let site = Site::new(budget);
        let mut accounts: HashMap<usize, Record> = HashMap::new();
        let (mut suspended, mut held) = (HashSet::new(), HashSet::new());
        let mut told = Vec::new();
        for (place, sent) in mail.messages.iter().enumerate() {
            let record = accounts.entry(sent.from).or_default();
            let answer = site.send(record, &mail.hashed(&sent.to), place as u64, sent.at);
            let day = (sent.from, sent.at.unix_ms().div_euclid(DAY_MS));
            match answer {
                Answer::Suspend(finding) if mail.is_reported(sent.from) => {
                    suspended.insert(day);
                    told.push((mail.names[sent.from].to_string(), sent.at, finding));
                }
                Answer::Hold if mail.is_reported(sent.from) => {
                    held.insert(day);
                }
                _ => {}
            }
            if has_inbound && !matches!(answer, Answer::Suspend(_)) {
                deliver(mail, sent, &mut accounts);
            }
        }
        Self { suspended: suspended.len() as u64, held: held.len() as u64, told }
    }

    /// Days of a user beyond each fixed limit that others ship.
    pub fn of_fixed_limits(mail: &Mail) -> [(&'static str, u64); 2] {
        let mut beyond = [HashSet::new(), HashSet::new()];
        let mut windows: HashMap<usize, FixedLimits> = HashMap::new();
        for sent in mail.messages.iter().filter(|sent| mail.is_reported(sent.from)) {
            let over = windows.entry(sent.from).or_default().add(sent.at, sent.to.len() as u64);
            for (beyond, over) in beyond.iter_mut().zip(over) {
                if over {
                    beyond.insert((sent.from, sent.at.unix_ms().div_euclid(DAY_MS)));
                }
            }
        }
        let [messages, recipients] = beyond.map(|days| days.len() as u64);
        [(">200 messages/h", messages), (">500 recipients/d", recipients)]
    }

    /// Every innocent that was suspended.
    pub fn tell(&self) {
        for (name, at, finding) in &self.told {
            println!("- {at} {name}: {finding} ({})", finding.test);
        }
        println!();
    }
}

/// An accepted message marks its sender with all who got it.
pub fn deliver(mail: &Mail, sent: &Sent, accounts: &mut HashMap<usize, Record>) {
    for to in sent.to.iter().filter(|to| **to != sent.from) {
        accounts.entry(*to).or_default().usage.written_by(mail.people[sent.from], sent.at);
    }
}

/// More than 200 messages in an hour, more than 500 recipients in a day.
#[derive(Default)]
pub struct FixedLimits {
    hour: VecDeque<Timestamp>,
    day: VecDeque<(Timestamp, u64)>,
}

impl FixedLimits {
    pub fn add(&mut self, at: Timestamp, recipients: u64) -> [bool; 2] {
        self.hour.push_back(at);
        self.day.push_back((at, recipients));
        let is_past = |then: Timestamp, ms: u64| at.ms_since(then) >= ms;
        while self.hour.front().is_some_and(|then| is_past(*then, 3_600_000)) {
            self.hour.pop_front();
        }
        while self.day.front().is_some_and(|(then, _)| is_past(*then, DAY_MS as u64)) {
            self.day.pop_front();
        }
        let recipients: u64 = self.day.iter().map(|(_, recipients)| recipients).sum();
        [self.hour.len() > 200, recipients > 500]
    }
}

/// A rate in 1000 user-months, with the exact 95 % interval of a Poisson count (Garwood, Biometrika 1936).
pub fn interval(count: u64, months: u64) -> String {
    let scale = 1000.0 / (months as f64).max(1.0);
    let low = if count == 0 { 0.0 } else { mean_where(|mean| at_most(count - 1, mean), 0.975) };
    let high = mean_where(|mean| at_most(count, mean), 0.025);
    format!("{:.2} [{:.2}, {:.2}] ({count})", count as f64 * scale, low * scale, high * scale)
}

/// The mean at which a falling `probability` is `wanted`.
fn mean_where(probability: impl Fn(f64) -> f64, wanted: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1e5);
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if probability(middle) > wanted { low = middle } else { high = middle }
    }
    low
}

/// Of a Poisson count of this mean to be at most `count`.
fn at_most(count: u64, mean: f64) -> f64 {
    let (mut term, mut log_factorial) = (0.0, 0.0);
    for k in 0..=count {
        if k > 0 {
            log_factorial += (k as f64).ln();
        }
        term += (k as f64 * mean.max(1e-300).ln() - mean - log_factorial).exp();
    }
    term
}

/// Of sorted numbers.
pub fn quantile(sorted: &[u64], share: f64) -> u64 {
    let place = (sorted.len() as f64 * share) as usize;
    sorted[place.min(sorted.len() - 1)]
}

/// A table in Markdown.
pub struct Table(Vec<Vec<String>>);

impl Table {
    pub fn new(heads: &[&str]) -> Self {
        Self(vec![heads.iter().map(ToString::to_string).collect()])
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.push(cells.into_iter().collect());
    }

    pub fn print(&self) {
        for (place, row) in self.0.iter().enumerate() {
            println!("| {} |", row.join(" | "));
            if place == 0 {
                println!("|{}", "---|".repeat(row.len()));
            }
        }
        println!();
    }
}
