//! What each line does to the message it is of.

use crate::history::Message;
use crate::history::maillog::coverage::Coverage;
use crate::history::maillog::entry::{Entry, Fate, Origin};
use crate::history::maillog::event::{Delivery, Event, Refusal};
use crate::history::maillog::ids::Host;
use crate::history::maillog::line::Line;
use crate::history::maillog::postfix;
use crate::history::maillog::processes::{Process, Processes};
use crate::history::maillog::queue::Queue;
use crate::history::maillog::sendmail;
use crate::mail::Login;
use crate::mail::Timestamp;

/// More hosts share one name, and so the ids of their messages.
const MOST_HOSTS: usize = 1000;

#[derive(Default)]
pub(super) struct Join {
    queue: Queue,
    processes: Processes,
    /// Each host's name, and when its log begins.
    hosts: Vec<(Vec<u8>, Timestamp)>,
    /// What the lines themselves tell.
    lines: Coverage,
}

impl Join {
    /// `at` is the line's time.
    pub(super) fn read(&mut self, line: &Line<'_>, at: Timestamp) {
        self.lines.lines += 1;
        let event = match postfix::daemon(line.program) {
            Some(daemon) => postfix::read(daemon, line.text),
            None if sendmail::is_sendmail(line.program) => sendmail::read(line.text),
            None => return,
        };
        self.lines.mail_lines += 1;
        let (first, last) = self.lines.span.unwrap_or((at, at));
        self.lines.span = Some((first.min(at), last.max(at)));
        self.queue.now = self.queue.now.max(at);
        let host = self.host(line.host, at);
        if let Some(event) = event {
            self.take(event, host, line.pid, at);
        }
    }

    fn host(&mut self, name: &[u8], at: Timestamp) -> Host {
        let known = self.hosts.iter().position(|(host, _)| host == name);
        let index = known.unwrap_or_else(|| {
            if self.hosts.len() < MOST_HOSTS {
                self.hosts.push((name.into(), at));
            }
            self.hosts.len() - 1
        });
        index as Host
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
                let is_copy = self.queue.is_known(host, of);
                let (_, entry) = self.queue.begin(host, id, at);
                entry.origin = Some(Origin::default());
                entry.join_if(is_copy);
            }
            Event::Received { id, message_id } => self.queue.received(host, id, message_id, at),
            Event::Queued { id, sender, size, recipients } => {
                let Some(entry) = self.queue.entry(host, id, at) else { return };
                entry.accept();
                entry.expected = entry.expected.max(recipients);
                entry.sender.get_or_insert(sender);
                entry.size = size;
            }
            Event::Accepted { id, sender, size, recipients, client, has_login } => {
                let login = self.processes.of(host, pid, at).login.clone();
                let entry = self.queue.begun(host, id, at);
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
                if let Some(entry) = self.queue.entry(host, id, at) {
                    entry.fate = Fate::Refused;
                }
            }
            Event::Delivery(delivery) => self.delivered(host, delivery, at),
            Event::Removed { id } => self.queue.removed(host, id),
            Event::Notice { id } => self.queue.notice(host, id, at),
            Event::Part { id, part } => self.queue.part(host, id, part),
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
        self.queue.give_up(open);
        let is_copy = self.queue.is_known(host, of);
        let has_login = origin.login.is_some();
        let (key, entry) = self.queue.begin(host, id, at);
        entry.origin = Some(origin);
        if has_login {
            entry.fate = Fate::Open;
        }
        if let Some(mut before) = before {
            entry.take_refusals(&mut before);
        }
        entry.join_if(is_copy);
        self.processes.of(host, pid, at).open = Some(key);
    }

    fn filtered(&mut self, host: Host, pid: u32, id: &[u8], login: Option<Login>, at: Timestamp) {
        let process = self.processes.of(host, pid, at);
        let (client, before) = (process.client.clone(), process.before.take());
        let Some(entry) = self.queue.entry(host, id, at) else { return };
        let mut origin = client.unwrap_or_default();
        origin.login = login.or(origin.login);
        entry.origin = Some(origin);
        if let Some(mut before) = before {
            entry.take_refusals(&mut before);
        }
    }

    fn refused(&mut self, host: Host, pid: u32, refusal: Refusal<'_>, at: Timestamp) {
        if let Some(id) = refusal.id {
            let login = self.processes.of(host, pid, at).login.clone();
            let Some(entry) = self.queue.entry(host, id, at) else { return };
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
        self.queue.refuse_whole(whole, at);
    }

    fn delivered(&mut self, host: Host, delivery: Delivery<'_>, at: Timestamp) {
        let began = self.hosts.get(host as usize).map_or(at, |(_, began)| *began);
        let Some(entry) = self.queue.entry(host, delivery.id, at) else { return };
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
            self.queue.handed_on(host, delivery.id, next, at);
        }
    }

    fn end_session(&mut self, process: Process, at: Timestamp) {
        self.queue.give_up(process.open);
        self.queue.refuse_whole(process.before, at);
    }

    /// No more lines will come.
    pub(super) fn end(&mut self) {
        let at = self.queue.now;
        while let Some(process) = self.processes.take_any() {
            self.end_session(process, at);
        }
    }

    /// The next message; `None` while it waits for more lines.
    pub(super) fn pop(&mut self, has_ended: bool) -> Option<Message> {
        self.queue.pop(has_ended)
    }

    pub(super) fn coverage(&self) -> Coverage {
        let Coverage { lines, mail_lines, span, .. } = self.lines;
        Coverage { lines, mail_lines, span, hosts: self.hosts.len(), ..self.queue.coverage() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_bounded() {
        let mut join = Join::default();
        for name in 0..=MOST_HOSTS {
            join.host(name.to_string().as_bytes(), Timestamp::from_unix_ms(0));
        }
        assert_eq!(join.hosts.len(), MOST_HOSTS);
        assert_eq!(join.host(b"one more", Timestamp::from_unix_ms(0)), MOST_HOSTS as Host - 1);
    }
}
