//! What a process of the mail server has seen of its client so far: Postfix and Sendmail write a session's
//! login and refusals without the id of the message they belong to, but with the process.

use std::collections::HashMap;

use crate::history::maillog::entry::{Entry, Origin};
use crate::history::maillog::ids::{Host, Key};
use crate::mail::Login;
use crate::mail::Timestamp;

/// Beyond these, processes that were silent for an hour are let go, and then all.
const MOST: usize = 20_000;
const SILENT_MS: u64 = 3_600_000;

#[derive(Default)]
pub(super) struct Processes {
    all: HashMap<(Host, u32), Process, foldhash::fast::RandomState>,
}

#[derive(Default)]
pub(super) struct Process {
    pub login: Option<Login>,
    /// The client of a message that has no id before it went through a filter.
    pub client: Option<Origin>,
    /// Refusals before the message got an id.
    pub before: Option<Box<Entry>>,
    /// The message that is coming in.
    pub open: Option<Key>,
    last: Timestamp,
}

impl Processes {
    pub(super) fn of(&mut self, host: Host, pid: u32, at: Timestamp) -> &mut Process {
        if self.all.len() >= MOST && !self.all.contains_key(&(host, pid)) {
            self.all.retain(|_, process| at.ms_since(process.last) < SILENT_MS);
            if self.all.len() >= MOST {
                self.all.clear();
            }
        }
        let process = self.all.entry((host, pid)).or_default();
        process.last = at;
        process
    }

    /// The session is over, or another one begins.
    pub(super) fn take(&mut self, host: Host, pid: u32) -> Option<Process> {
        self.all.remove(&(host, pid))
    }

    pub(super) fn take_any(&mut self) -> Option<Process> {
        let key = *self.all.keys().next()?;
        self.all.remove(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_bounded() {
        let mut processes = Processes::default();
        let (long_ago, now) = (Timestamp::from_unix_ms(0), Timestamp::from_unix_ms(3_600_000));
        for pid in 0..MOST as u32 {
            processes.of(0, pid, if pid == 0 { now } else { long_ago });
        }
        assert_eq!(processes.all.len(), MOST);
        processes.of(0, MOST as u32, now);
        assert_eq!(processes.all.len(), 2);
    }
}
