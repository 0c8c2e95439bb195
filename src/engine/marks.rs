//! 'Has written to us': an accepted message marks its sender in the records of its local recipients, so
//! that an answer is no novelty. Best effort, after the answer, and no part of the charge.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, within_budget};
use crate::ledger::Hashed;
use crate::mail::{AccountKey, Address, Login, Timestamp};
use crate::record::{Change, Record};

/// Messages waiting; what comes beyond is not marked.
pub const WAITING: usize = 1_000;

/// Messages marked together, so that a directory is asked for all their recipients at once.
const TOGETHER: usize = 50;

/// The first of them waits so long for others; who is written to takes longer to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// One accepted message.
pub struct Mark {
    pub sender: Hashed,
    /// Those of local domains.
    pub recipients: Vec<Address>,
    pub at: Timestamp,
}

impl Engine {
    /// Marks what was accepted, until the daemon stops.
    pub async fn keep_marking(&self, stop: CancellationToken) {
        let Some(mut marks) = self.take_marks() else { return };
        while let Some(Some(together)) = stop.run_until_cancelled(next(&mut marks)).await {
            self.mark_all(&together).await;
        }
    }

    fn take_marks(&self) -> Option<mpsc::Receiver<Mark>> {
        self.waiting.lock().take()
    }

    /// Marks one message now.
    pub async fn mark(&self, mark: Mark) {
        self.mark_all(&[mark]).await;
    }

    async fn mark_all(&self, marks: &[Mark]) {
        let written =
            marks.iter().flat_map(|mark| mark.recipients.iter().map(move |to| (mark, to)));
        let (written, logins): (Vec<_>, Vec<_>) = written
            .filter_map(|pair| Login::parse(pair.1.as_bytes()).map(|login| (pair, login)))
            .unzip();
        let owners = match self.directory.as_deref() {
            Some(directory) => {
                let rules = self.rules();
                within_budget(directory.owners(&logins, &rules.groups), Vec::new()).await
            }
            None => self.namesakes(&written, &logins).await,
        };
        for ((mark, _), owner) in written.iter().zip(owners) {
            let Some(account) = owner else { continue };
            // A store that fails costs the mark.
            let _ = self
                .store
                .update(&account, &mut |record| written_by(record, mark.sender, mark.at))
                .await;
        }
    }

    async fn namesakes(
        &self,
        written: &[(&Mark, &Address)],
        logins: &[Login],
    ) -> Vec<Option<AccountKey>> {
        let mut owners = Vec::with_capacity(logins.len());
        for ((_, recipient), login) in written.iter().zip(logins) {
            owners.push(Some(self.namesake(recipient, login).await));
        }
        owners
    }

    /// Who receives mail for this address where there is no directory: the login of that name.
    async fn namesake(&self, recipient: &Address, login: &Login) -> AccountKey {
        // Sites let people log in by the address or by its local part.
        let local = Login::parse(recipient.local()).filter(|_| recipient.domain().is_some());
        if let Some(key) = local.as_ref().map(AccountKey::unresolved) {
            let mut is_known = false;
            let mut look = |record: &Record| {
                is_known = record.usage.last.is_some();
                Change::default()
            };
            if self.store.preview(&key, &mut look).await.is_ok() && is_known {
                return key;
            }
        }
        AccountKey::unresolved(login)
    }
}

/// The next messages to be marked; `None`: there will be none.
async fn next(marks: &mut mpsc::Receiver<Mark>) -> Option<Vec<Mark>> {
    let mut together = Vec::new();
    if marks.recv_many(&mut together, TOGETHER).await == 0 {
        return None;
    }
    let others = async {
        while together.len() < TOGETHER {
            let room = TOGETHER - together.len();
            if marks.recv_many(&mut together, room).await == 0 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(PATIENCE, others).await;
    Some(together)
}

fn written_by(record: &Record, sender: Hashed, at: Timestamp) -> Change {
    if record.usage.contacts().find(sender, at).has_written {
        return Change::default();
    }
    let mut record = record.clone();
    record.usage.written_by(sender, at);
    Change::to(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::HashKey;

    fn mark() -> Mark {
        let sender = HashKey::default().bytes(&[b"friend"]);
        Mark { sender, recipients: Vec::new(), at: Timestamp::default() }
    }

    async fn sizes(messages: usize) -> Vec<usize> {
        let (sender, mut marks) = mpsc::channel(WAITING);
        for _ in 0..messages {
            assert!(sender.try_send(mark()).is_ok());
        }
        drop(sender);
        let mut sizes = Vec::new();
        while let Some(together) = next(&mut marks).await {
            sizes.push(together.len());
        }
        sizes
    }

    #[tokio::test(start_paused = true)]
    async fn messages_are_marked_fifty_at_once_at_most() {
        let (less, more) = (TOGETHER - 1, TOGETHER + 1);
        assert!(sizes(0).await.is_empty());
        assert_eq!(sizes(less).await, [less]);
        assert_eq!(sizes(TOGETHER).await, [TOGETHER]);
        assert_eq!(sizes(more).await, [TOGETHER, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_message_waits_for_others_for_a_moment() {
        let (sender, mut marks) = mpsc::channel(WAITING);
        for late in [PATIENCE / 2, PATIENCE * 2] {
            let (first, second) = (sender.clone(), sender.clone());
            let sending = async {
                assert!(first.try_send(mark()).is_ok());
                let _ = tokio::time::timeout(late, std::future::pending::<()>()).await;
                assert!(second.try_send(mark()).is_ok());
            };
            let (together, ()) = tokio::join!(next(&mut marks), sending);
            let expected = if late < PATIENCE { 2 } else { 1 };
            assert_eq!(together.map(|marks| marks.len()), Some(expected));
        }
        assert_eq!(next(&mut marks).await.map(|marks| marks.len()), Some(1), "the late one");
    }
}
