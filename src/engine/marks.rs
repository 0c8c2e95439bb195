//! 'Has written to us': an accepted message marks its sender in the records of its local recipients, so
//! that an answer is no novelty. Best effort, after the answer, and no part of the charge.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::directory::Directory;
use crate::engine::{Engine, within_budget};
use crate::ledger::Hashed;
use crate::mail::{AccountKey, Address, Login, Timestamp};
use crate::record::{Change, Record};
use crate::rights::Lookup;

/// Messages waiting; what comes beyond is not marked.
pub const WAITING: usize = 1_000;

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
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                mark = marks.recv() => match mark {
                    Some(mark) => self.mark(mark).await,
                    None => return,
                },
            }
        }
    }

    fn take_marks(&self) -> Option<mpsc::Receiver<Mark>> {
        self.waiting.lock().take()
    }

    /// Marks one message now.
    pub async fn mark(&self, mark: Mark) {
        for recipient in &mark.recipients {
            let Some(account) = self.owner(recipient).await else { continue };
            // A store that fails costs the mark.
            let _ = self
                .store
                .update(&account, &mut |record| written_by(record, mark.sender, mark.at))
                .await;
        }
    }

    /// The account that receives mail for this address; without a directory, the login of that name.
    async fn owner(&self, recipient: &Address) -> Option<AccountKey> {
        let login = Login::parse(recipient.as_bytes())?;
        if let Some(directory) = self.directory.as_deref() {
            return match account(directory, &login, &self.rules().groups).await {
                Lookup::Found(holder) => Some(holder.account.key.clone()),
                _ => None,
            };
        }
        // Sites let people log in by the address or by its local part.
        let local = Login::parse(recipient.local()).filter(|_| recipient.domain().is_some());
        if let Some(key) = local.as_ref().map(AccountKey::unresolved) {
            let mut is_known = false;
            let mut look = |record: &Record| {
                is_known = record.usage.last.is_some();
                Change::default()
            };
            if self.store.preview(&key, &mut look).await.is_ok() && is_known {
                return Some(key);
            }
        }
        Some(AccountKey::unresolved(&login))
    }
}

fn written_by(record: &Record, sender: Hashed, at: Timestamp) -> Change {
    if record.usage.contacts().find(sender, at).has_written {
        return Change::default();
    }
    let mut record = record.clone();
    record.usage.written_by(sender, at);
    Change::to(record)
}

async fn account(
    directory: &dyn Directory,
    login: &Login,
    groups: &crate::rights::Groups,
) -> Lookup {
    within_budget(directory.lookup(login, groups), Lookup::Unavailable).await
}
