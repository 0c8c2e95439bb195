//! What thieves do with a login: played from a copy of its state, beside what its owner goes on sending.

use std::collections::{BTreeMap, HashMap, HashSet};

use fastrand::Rng;
use gatepost::ledger::{HashKey, Hashed};
use gatepost::mail::Timestamp;
use gatepost::record::Record;

use crate::figures::{FixedLimits, deliver};
use crate::site::{Answer, DAY_MS, Mail, Site, sorted};

/// A held message goes out by itself after this.
const HELD_MS: u64 = 30 * 60_000;

/// A shorter list is no campaign.
const LEAST_RECIPIENTS: usize = 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Campaign {
    /// A message a second, one new recipient each.
    A,
    /// 50, 100, 200 or 500 recipients a message, every 20 s, to 2000.
    B(usize),
    /// 30 new recipients an hour for 72 h; 10 for 7 days; 60 for a day; 6 a minute.
    C,
    D,
    F,
    H,
    /// The login's contacts one by one every 2 s, then others of the site.
    E1,
    /// Contacts alone: 25 a message every 60 s; one by one every 5 s.
    E2,
    E3,
    /// 10 messages a day with 10 new recipients each, for 7 days.
    G,
}

impl Campaign {
    pub const ALL: [Campaign; 13] = [
        Campaign::A,
        Campaign::B(50),
        Campaign::B(100),
        Campaign::B(200),
        Campaign::B(500),
        Campaign::C,
        Campaign::D,
        Campaign::E1,
        Campaign::E2,
        Campaign::E3,
        Campaign::F,
        Campaign::G,
        Campaign::H,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B(50) => "b 50",
            Self::B(100) => "b 100",
            Self::B(200) => "b 200",
            Self::B(_) => "b 500",
            Self::C => "c",
            Self::D => "d",
            Self::E1 => "e1",
            Self::E2 => "e2",
            Self::E3 => "e3",
            Self::F => "f",
            Self::G => "g",
            Self::H => "h",
        }
    }

    /// Its messages: milliseconds after its begin, and recipients.
    fn messages(self, list: &mut List, rng: &mut Rng) -> Vec<(i64, Vec<Hashed>)> {
        let mut every = |count: i64, ms: i64, size: usize| -> Vec<(i64, Vec<Hashed>)> {
            (0..count).map(|n| (n * ms, list.fresh(size))).collect()
        };
        match self {
            Self::A => every(2000, 1000, 1),
            Self::B(size) => every((2000 / size) as i64, 20_000, size),
            Self::C => every(30 * 72, 120_000, 1),
            Self::D => every(10 * 168, 360_000, 1),
            Self::F => every(60 * 24, 60_000, 1),
            Self::H => every(2000, 10_000, 1),
            Self::G => {
                let mut messages = Vec::new();
                for day in 0..7 {
                    for _ in 0..10 {
                        let ms = day * DAY_MS + rng.i64(0..DAY_MS);
                        messages.push((ms, list.fresh(10)));
                    }
                }
                messages.sort_by_key(|(ms, _)| *ms);
                messages
            }
            Self::E1 => paced(list.contacts.iter().chain(&list.others), 2000),
            Self::E3 => paced(&list.contacts, 5000),
            Self::E2 => {
                let chunks = list.contacts.chunks(25).zip(0..);
                chunks.map(|(to, n)| (n * 60_000, sorted(to.iter().copied()))).collect()
            }
        }
    }
}

fn paced<'a>(to: impl IntoIterator<Item = &'a Hashed>, ms: i64) -> Vec<(i64, Vec<Hashed>)> {
    to.into_iter().zip(0..).map(|(to, n)| (n * ms, vec![*to])).collect()
}

/// Whom a thief can write to.
struct List {
    contacts: Vec<Hashed>,
    others: Vec<Hashed>,
    next: u64,
}

impl List {
    fn fresh(&mut self, count: usize) -> Vec<Hashed> {
        sorted((0..count).map(|_| {
            self.next += 1;
            HashKey::default().bytes(&[b"nobody wrote to me", &self.next.to_le_bytes()])
        }))
    }
}

/// What came of one campaign: recipients leaked before it was stopped, or `None`.
pub struct Played {
    pub campaign: Campaign,
    pub cold: bool,
    pub suspended: Option<u64>,
    pub with_hold: Option<u64>,
    pub by_messages: Option<u64>,
    pub by_recipients: Option<u64>,
}

/// Plays every campaign at random moments of random logins.
pub fn play_all(mail: &Mail, has_inbound: bool, points: usize, rng: &mut Rng) -> Vec<Played> {
    let chosen = choose(mail, points, rng);
    let (site, mut accounts) = (Site::usual(), HashMap::<usize, Record>::new());
    let mut all = Vec::new();
    for (place, sent) in mail.messages.iter().enumerate() {
        for cold in chosen.get(&place).into_iter().flatten() {
            let own = &mail.senders[&sent.from];
            let before = own.partition_point(|own| *own < place);
            let mut list = list(mail, sent.from, &own[..before], rng);
            let record = accounts.entry(sent.from).or_default();
            for campaign in Campaign::ALL {
                let messages = campaign.messages(&mut list, rng);
                let size: usize = messages.iter().map(|(_, to)| to.len()).sum();
                if size >= LEAST_RECIPIENTS {
                    let scene = Scene { mail, site: &site, own: &own[before..], begin: sent.at };
                    let played = scene.play(record.clone(), &messages);
                    all.push(Played { campaign, cold: *cold, ..played });
                }
            }
        }
        let record = accounts.entry(sent.from).or_default();
        let answer = site.send(record, &mail.hashed(&sent.to), place as u64, sent.at);
        if has_inbound && !matches!(answer, Answer::Suspend(_)) {
            deliver(mail, sent, &mut accounts);
        }
    }
    all
}

/// Places in the mail at which a campaign begins, and whether the login is cold there.
fn choose(mail: &Mail, points: usize, rng: &mut Rng) -> BTreeMap<usize, Vec<bool>> {
    let senders: Vec<usize> = mail.reported().collect();
    let mut chosen: BTreeMap<usize, Vec<bool>> = BTreeMap::new();
    let (mut established, mut cold) = (0, 0);
    for _ in 0..points * 1000 {
        let own = &mail.senders[&senders[rng.usize(..senders.len())]];
        if established < points {
            let place = rng.usize(..own.len());
            let day = |own: &usize| mail.messages[*own].at.unix_ms().div_euclid(DAY_MS);
            let days: HashSet<i64> = own[..place].iter().map(day).collect();
            if days.len() >= 15 {
                chosen.entry(own[place]).or_default().push(false);
                established += 1;
            }
        }
        if cold < points {
            let begin = mail.messages[own[0]].at;
            let early = |own: &usize| mail.messages[*own].at.ms_since(begin) < 3 * DAY_MS as u64;
            let early = own.partition_point(early).max(1);
            chosen.entry(own[rng.usize(..early)]).or_default().push(true);
            cold += 1;
        }
    }
    chosen
}

fn list(mail: &Mail, from: usize, before: &[usize], rng: &mut Rng) -> List {
    let contacts: HashSet<usize> =
        before.iter().flat_map(|place| mail.messages[*place].to.iter().copied()).collect();
    let hashed = |people: &mut Vec<usize>, rng: &mut Rng| {
        people.sort_unstable();
        rng.shuffle(people);
        people.iter().map(|person| mail.people[*person]).collect()
    };
    let mut others: Vec<usize> = mail
        .senders
        .keys()
        .copied()
        .filter(|other| *other != from && !contacts.contains(other))
        .collect();
    let mut contacts: Vec<usize> = contacts.into_iter().collect();
    List {
        contacts: hashed(&mut contacts, rng),
        others: hashed(&mut others, rng),
        next: rng.u64(..) >> 1,
    }
}

/// One login at one moment.
struct Scene<'a> {
    mail: &'a Mail,
    site: &'a Site,
    /// What its owner goes on sending.
    own: &'a [usize],
    begin: Timestamp,
}

impl Scene<'_> {
    fn play(&self, record: Record, messages: &[(i64, Vec<Hashed>)]) -> Played {
        let [by_messages, by_recipients] = self.by_fixed_limits(messages);
        let (suspended, with_hold) = match self.by_detector(record, messages) {
            Some((suspended, with_hold)) => (Some(suspended), Some(with_hold)),
            None => (None, None),
        };
        let campaign = Campaign::A;
        Played { campaign, cold: false, suspended, with_hold, by_messages, by_recipients }
    }

    /// Recipients leaked before the suspension, without hold and with it. `None`: it never came.
    fn by_detector(
        &self,
        mut record: Record,
        messages: &[(i64, Vec<Hashed>)],
    ) -> Option<(u64, u64)> {
        let mut own = self.own.iter().peekable();
        let (mut accepted, mut passed) = (0, 0);
        let mut held: Vec<(Timestamp, u64)> = Vec::new();
        let mut key = 1 << 40;
        for (ms, to) in messages {
            let at = Timestamp::from_unix_ms(self.begin.unix_ms() + ms);
            let leaked = |passed: u64, held: &[(Timestamp, u64)], at: Timestamp| {
                let gone = held.iter().filter(|(then, _)| at.ms_since(*then) >= HELD_MS);
                passed + gone.map(|(_, recipients)| recipients).sum::<u64>()
            };
            while let Some(place) = own.next_if(|place| self.mail.messages[**place].at <= at) {
                let sent = &self.mail.messages[*place];
                let to = self.mail.hashed(&sent.to);
                let answer = self.site.send(&mut record, &to, *place as u64, sent.at);
                if matches!(answer, Answer::Suspend(_)) {
                    return Some((accepted, leaked(passed, &held, sent.at)));
                }
            }
            key += 1;
            let size = to.len() as u64;
            match self.site.send(&mut record, to, key, at) {
                Answer::Suspend(_) => return Some((accepted, leaked(passed, &held, at))),
                Answer::Hold => held.push((at, size)),
                Answer::Pass => passed += size,
            }
            accepted += size;
        }
        None
    }

    /// The same for the fixed limits of others, the owner's own mail not counted.
    fn by_fixed_limits(&self, messages: &[(i64, Vec<Hashed>)]) -> [Option<u64>; 2] {
        let mut limits = FixedLimits::default();
        let mut leaked = [None; 2];
        let mut accepted = 0;
        for (ms, to) in messages {
            let at = Timestamp::from_unix_ms(self.begin.unix_ms() + ms);
            let over = limits.add(at, to.len() as u64);
            for (leaked, over) in leaked.iter_mut().zip(over) {
                if over {
                    leaked.get_or_insert(accepted);
                }
            }
            accepted += to.len() as u64;
        }
        leaked
    }
}
