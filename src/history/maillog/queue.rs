//! Joins the lines of each message, and gives the messages in the order they came to the mail server.
//!
//! A message waits until the log has gone on for ten minutes and every recipient was tried, or it left the
//! queue; at most five days, and at most while 200,000 later ones wait behind it.

use std::collections::{BTreeMap, HashMap};

use compact_str::CompactString;

use crate::history::Message;
use crate::history::maillog::coverage::Coverage;
use crate::history::maillog::entry::{Entry, Fate, Origin};
use crate::history::maillog::event::{Delivery, Event, Refusal};
use crate::history::maillog::ids::{Found, Host, Ids, Key, LIFETIME_MS};
use crate::history::maillog::line::Line;
use crate::history::maillog::postfix;
use crate::history::maillog::processes::{Process, Processes};
use crate::history::maillog::sendmail;
use crate::mail::Login;
use crate::mail::Timestamp;

const MOST_WAITING: usize = 200_000;
/// A message that was tried for everybody may still be a copy that another one will claim.
const SETTLED_MS: u64 = 10 * 60_000;
/// The same of one that has left the queue: the clocks of hosts differ by less.
const LEFT_MS: u64 = 60_000;
/// Longer no client takes for one message: smtpd_timeout is 5 minutes for each step.
const OPEN_MS: u64 = 3_600_000;
/// A copy is handed on within this time.
const HANDED_ON_MS: u64 = 3_600_000;
/// Ids that were told by a host of which no line was seen.
const MOST_ANNOUNCED: usize = 10_000;

#[derive(Default)]
pub(super) struct Queue {
    entries: BTreeMap<Key, Entry>,
    ids: Ids,
    /// Messages by Message-ID, for filters that hand them back without telling the new id.
    message_ids: HashMap<(Host, CompactString), Key, foldhash::fast::RandomState>,
    /// Ids at the next hop that no line has named yet, since when.
    announced: HashMap<CompactString, Timestamp, foldhash::fast::RandomState>,
    processes: Processes,
    /// Each host's name, and when its log begins.
    hosts: Vec<(Vec<u8>, Timestamp)>,
    serial: u64,
    now: Timestamp,
    coverage: Coverage,
}

impl Queue {
    /// `at` is the line's time.
    pub(super) fn read(&mut self, line: &Line<'_>, at: Timestamp) {
        self.coverage.lines += 1;
        let event = match postfix::daemon(line.program) {
            Some(daemon) => postfix::read(daemon, line.text),
            None if sendmail::is_sendmail(line.program) => sendmail::read(line.text),
            None => return,
        };
        self.coverage.mail_lines += 1;
        let (first, last) = self.coverage.span.unwrap_or((at, at));
        self.coverage.span = Some((first.min(at), last.max(at)));
        self.now = self.now.max(at);
        let host = self.host(line.host, at);
        if let Some(event) = event {
            self.take(event, host, line.pid, at);
        }
    }

    fn host(&mut self, name: &[u8], at: Timestamp) -> Host {
        let known = self.hosts.iter().position(|(host, _)| host == name);
        let index = known.unwrap_or_else(|| {
            self.hosts.push((name.into(), at));
            self.hosts.len() - 1
        });
        Host::try_from(index).unwrap_or(Host::MAX)
    }

    fn take(&mut self, event: Event<'_>, host: Host, pid: u32, at: Timestamp) {
        match event {
            Event::Session => {
                if let Some(process) = self.processes.take(host, pid) {
                    self.end_session(process, at);
                }
            }
            Event::LoggedIn(login) => self.processes.of(host, pid, at).login = Some(login),
            Event::Client { id, client, login, of } => {
                self.client(host, pid, id, Origin { client, login }, of, at);
            }
            Event::Filtered { id, login } => self.filtered(host, pid, id, login, at),
            Event::Local { id, of } => {
                let is_copy = self.is_known(host, of);
                let entry = self.begin(host, id, at);
                entry.origin = Some(Origin::default());
                entry.join_if(is_copy);
            }
            Event::Received { id, message_id } => self.received(host, id, message_id, at),
            Event::Queued { id, sender, size, recipients } => {
                let Some(entry) = self.entry(host, id, at) else { return };
                entry.accept();
                entry.expected = entry.expected.max(recipients);
                entry.sender.get_or_insert(sender);
                entry.size = size;
            }
            Event::Accepted { id, sender, size, recipients, client, has_login } => {
                let login = self.processes.of(host, pid, at).login.clone();
                let entry = self.begun(host, id, at);
                entry.lacks_login = has_login && login.is_none();
                entry.origin = Some(Origin { client, login: login.filter(|_| has_login) });
                (entry.sender, entry.size, entry.expected) = (Some(sender), size, recipients);
                match recipients {
                    0 => entry.fate = Fate::Refused,
                    _ => entry.accept(),
                }
            }
            Event::Refused(refusal) => self.refused(host, pid, refusal, at),
            Event::Discarded { id } => {
                if let Some(entry) = self.entry(host, id, at) {
                    entry.fate = Fate::Refused;
                }
            }
            Event::Delivery(delivery) => self.delivered(host, delivery, at),
            Event::Removed { id } => {
                if let Found::Message(key) = self.ids.find(host, id)
                    && let Some(entry) = self.entries.get_mut(&key)
                {
                    entry.is_removed = true;
                }
                self.ids.remove(host, id);
            }
            Event::Notice { id } => {
                if let Some(entry) = self.entry(host, id, at) {
                    entry.fate = Fate::Internal;
                }
            }
            Event::Part { id, part } => {
                if let Found::Message(key) = self.ids.find(host, id) {
                    self.ids.set(host, part, key);
                }
            }
        }
    }

    fn client(
        &mut self,
        host: Host,
        pid: u32,
        id: Option<&[u8]>,
        origin: Origin,
        of: Option<&[u8]>,
        at: Timestamp,
    ) {
        let process = self.processes.of(host, pid, at);
        process.login.clone_from(&origin.login);
        let Some(id) = id else {
            process.client = Some(origin);
            return;
        };
        let (before, open) = (process.before.take(), process.open.take());
        self.give_up(open);
        let is_copy = self.is_known(host, of);
        let entry = self.begin(host, id, at);
        entry.origin = Some(origin);
        if let Some(mut before) = before {
            entry.take_refusals(&mut before);
        }
        entry.join_if(is_copy);
        if let Found::Message(key) = self.ids.find(host, id) {
            self.processes.of(host, pid, at).open = Some(key);
        }
    }

    fn is_known(&self, host: Host, of: Option<&[u8]>) -> bool {
        of.is_some_and(|of| self.ids.find_anywhere(host, of).is_some())
    }

    fn filtered(&mut self, host: Host, pid: u32, id: &[u8], login: Option<Login>, at: Timestamp) {
        let process = self.processes.of(host, pid, at);
        let (client, before) = (process.client.clone(), process.before.take());
        let Some(entry) = self.entry(host, id, at) else { return };
        let mut origin = client.unwrap_or_default();
        origin.login = login.or(origin.login);
        entry.origin = Some(origin);
        if let Some(mut before) = before {
            entry.take_refusals(&mut before);
        }
    }

    fn received(&mut self, host: Host, id: &[u8], message_id: &[u8], at: Timestamp) {
        let Some(entry) = self.entry(host, id, at) else { return };
        entry.accept();
        let is_filter = entry.origin.as_ref().is_some_and(Origin::may_be_filter);
        let name = CompactString::from_utf8_lossy(message_id);
        let Found::Message(key) = self.ids.find(host, id) else { return };
        let slot = (host, name.clone());
        if is_filter
            && let Some(first) = self.message_ids.get(&slot)
            && *first != key
            && at.ms_since(first.0) < HANDED_ON_MS
        {
            return self.join(key);
        }
        self.message_ids.insert(slot, key);
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.message_id = name;
        }
    }

    fn refused(&mut self, host: Host, pid: u32, refusal: Refusal<'_>, at: Timestamp) {
        if let Some(id) = refusal.id {
            let login = self.processes.of(host, pid, at).login.clone();
            let Some(entry) = self.entry(host, id, at) else { return };
            entry.refuse(refusal.recipient, refusal.is_unknown);
            if entry.fate == Fate::Open {
                let client = refusal.client;
                entry.origin.get_or_insert(Origin { client, login });
                if refusal.whole {
                    entry.sender = Some(refusal.sender);
                    entry.fate = Fate::Refused;
                }
            }
            return;
        }
        let process = self.processes.of(host, pid, at);
        let is_other = process
            .before
            .as_ref()
            .is_some_and(|before| before.sender.as_ref() != Some(&refusal.sender));
        let whole = if is_other { process.before.take() } else { None };
        let login = refusal.login.or_else(|| process.login.clone());
        let before = process.before.get_or_insert_with(|| {
            let mut before = Entry::new(host, "NOQUEUE".into(), Fate::Refused, at);
            before.origin = Some(Origin { client: refusal.client, login });
            before.sender = Some(refusal.sender);
            Box::new(before)
        });
        before.refuse(refusal.recipient, refusal.is_unknown);
        self.refuse_whole(whole, at);
    }

    fn delivered(&mut self, host: Host, delivery: Delivery<'_>, at: Timestamp) {
        let began = self.hosts.get(host as usize).map_or(at, |(_, began)| *began);
        let Some(entry) = self.entry(host, delivery.id, at) else { return };
        if delivery.is_probe {
            entry.fate = Fate::Internal;
        }
        if entry.origin.is_none() && at.ms_since(began) < delivery.delay.saturating_mul(1000) {
            entry.fate = Fate::Earlier;
        }
        entry.accept();
        for to in &delivery.to {
            entry.deliver(to.clone(), &delivery);
        }
        if let Some(next) = delivery.next {
            self.handed_on(host, delivery.id, next, at);
        }
    }

    /// The message has got another id at the next hop: where that is in the log, it is no second message.
    fn handed_on(&mut self, host: Host, id: &[u8], next: &[u8], at: Timestamp) {
        let Found::Message(own) = self.ids.find(host, id) else { return };
        match self.ids.find_anywhere(host, next) {
            Some(key) if key != own && at.ms_since(key.0) < HANDED_ON_MS => self.join(key),
            Some(_) => {}
            None => {
                if self.announced.len() >= MOST_ANNOUNCED {
                    self.announced.retain(|_, since| at.ms_since(*since) < LEFT_MS);
                }
                if self.announced.len() < MOST_ANNOUNCED {
                    self.announced.insert(CompactString::from_utf8_lossy(next), at);
                }
            }
        }
    }

    fn join(&mut self, key: Key) {
        if let Some(entry) = self.entries.get_mut(&key)
            && entry.origin.as_ref().is_none_or(|origin| origin.login.is_none())
        {
            entry.fate = Fate::Joined;
        }
    }

    /// The message of an id, known or new; `None` where its lines are of no more use.
    fn entry(&mut self, host: Host, id: &[u8], at: Timestamp) -> Option<&mut Entry> {
        match self.ids.find(host, id) {
            Found::Gone => None,
            Found::Message(key) if self.entries.contains_key(&key) => self.entries.get_mut(&key),
            _ => Some(self.begin(host, id, at)),
        }
    }

    /// The message of an id whose lines may have begun with a refusal, and not with another message.
    fn begun(&mut self, host: Host, id: &[u8], at: Timestamp) -> &mut Entry {
        if let Found::Message(key) = self.ids.find(host, id)
            && self.entries.get(&key).is_some_and(|entry| entry.fate == Fate::Open)
        {
            return self.entries.entry(key).or_default();
        }
        self.begin(host, id, at)
    }

    /// A new message, also where the id was another one's.
    fn begin(&mut self, host: Host, id: &[u8], at: Timestamp) -> &mut Entry {
        self.serial += 1;
        let key = (at, self.serial);
        self.ids.set(host, id, key);
        let id = CompactString::from_utf8_lossy(id);
        let is_copy = self.announced.remove(&id).is_some_and(|since| at.ms_since(since) < LEFT_MS);
        let fate = if is_copy { Fate::Joined } else { Fate::Open };
        self.entries.entry(key).insert_entry(Entry::new(host, id, fate, at)).into_mut()
    }

    fn end_session(&mut self, process: Process, at: Timestamp) {
        self.give_up(process.open);
        self.refuse_whole(process.before, at);
    }

    /// The client has begun another message, or gone, before all of this one had come.
    fn give_up(&mut self, open: Option<Key>) {
        if let Some(entry) = open.and_then(|key| self.entries.get_mut(&key))
            && entry.fate == Fate::Open
        {
            entry.fate = Fate::Refused;
        }
    }

    /// A message of which nothing but refusals was seen.
    fn refuse_whole(&mut self, refused: Option<Box<Entry>>, at: Timestamp) {
        if let Some(mut entry) = refused {
            self.serial += 1;
            entry.at = at;
            self.entries.insert((at, self.serial), *entry);
        }
    }

    /// No more lines will come.
    pub(super) fn end(&mut self) {
        let at = self.now;
        while let Some(process) = self.processes.take_any() {
            self.end_session(process, at);
        }
    }

    /// The first message, if nothing will come before it and nothing more of it; with `has_ended` anyway.
    pub(super) fn pop(&mut self, has_ended: bool) -> Option<Message> {
        loop {
            let first = self.entries.first_entry()?;
            let age = self.now.ms_since(first.key().0);
            let entry = first.get();
            let after = match entry.fate {
                Fate::Open => OPEN_MS,
                Fate::Accepted if entry.is_removed => LEFT_MS,
                Fate::Accepted if entry.is_whole() => SETTLED_MS,
                Fate::Accepted => LIFETIME_MS,
                _ => LEFT_MS,
            };
            if age < after && !has_ended && self.entries.len() <= MOST_WAITING {
                return None;
            }
            let (key, entry) = self.entries.pop_first()?;
            self.leave(key, &entry);
            if self.count(&entry, has_ended) {
                return Some(entry.into_message());
            }
        }
    }

    fn leave(&mut self, key: Key, entry: &Entry) {
        let is_over = matches!(entry.fate, Fate::Open | Fate::Refused) || entry.is_done();
        self.ids.leave(entry.host, &entry.id, key, is_over, self.now);
        let slot = (entry.host, entry.message_id.clone());
        if self.message_ids.get(&slot) == Some(&key) {
            self.message_ids.remove(&slot);
        }
    }

    /// Whether it comes out as a message.
    fn count(&mut self, entry: &Entry, has_ended: bool) -> bool {
        let coverage = &mut self.coverage;
        match entry.fate {
            Fate::Accepted => {}
            Fate::Joined => coverage.joined += 1,
            Fate::Internal => coverage.internal += 1,
            Fate::Earlier => coverage.earlier += 1,
            Fate::Open | Fate::Refused => coverage.refused += 1,
        }
        if entry.fate != Fate::Accepted {
            return matches!(entry.fate, Fate::Open | Fate::Refused) && entry.has_refusals();
        }
        let lacks = [
            (&mut coverage.without_client, entry.origin.is_none()),
            (&mut coverage.without_login, entry.lacks_login),
            (&mut coverage.without_sender, entry.sender.is_none()),
            (&mut coverage.unfinished, !entry.is_whole() && !entry.is_removed && has_ended),
            (
                &mut coverage.without_recipients,
                !entry.is_whole() && (entry.is_removed || !has_ended),
            ),
        ];
        let mut is_whole = true;
        for (count, is_lacking) in lacks {
            *count += u64::from(is_lacking);
            is_whole &= !is_lacking;
        }
        coverage.accepted += 1;
        coverage.whole += u64::from(is_whole);
        entry.has_recipients()
    }

    pub(super) fn coverage(&self) -> Coverage {
        Coverage { hosts: self.hosts.len(), ..self.coverage }
    }
}
