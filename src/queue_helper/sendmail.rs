//! Sendmail: quarantine by sendmail(8) (op.me 2.3.3), which says nothing of what it did, so the queue is looked at
//! after it. No program of Sendmail's removes a message: its files are removed under the lock that Sendmail takes
//! (contrib/qtool.pl does so too).

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::queue::{Handled, QueueId, Request};
use crate::queue_helper::program::Program;

/// Ids of one run of sendmail(8), which reads each file of the queue once for all of them.
const AT_ONCE: usize = 100;

/// Why it was held; postmasters see it in `mailq -qQ`.
const REASON: &str = "-Qheld by gatepost";

pub struct Sendmail {
    pub sendmail: Program,
    pub queues: Vec<PathBuf>,
}

/// Where a message stands.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Its envelope file `qf`.
    Queued(PathBuf),
    /// Its envelope file `hf`.
    Quarantined(PathBuf),
    Nowhere,
}

impl Sendmail {
    pub fn new(cf: &Path, sendmail: &Path, queues: Vec<PathBuf>) -> Self {
        Self { sendmail: Program::new(sendmail, "-C", cf), queues }
    }

    pub async fn handle(&self, request: &Request, ids: &[QueueId]) -> Result<Vec<Handled>, String> {
        let arguments: &[&str] = match request {
            Request::Hold { .. } => &[REASON],
            Request::Release { .. } => &["-qQ", "-Q"],
            Request::Drop { .. } => return Ok(ids.iter().map(|id| self.drop_one(id)).collect()),
            Request::Requeue { .. } => return Err("Sendmail has no way to requeue".into()),
            Request::List { .. } | Request::Kick { .. } => return Err("no verb of a queue".into()),
        };
        let mut handled = Vec::with_capacity(ids.len());
        for some in ids.chunks(AT_ONCE) {
            let chosen = some.iter().map(|id| format!("-qI{id}"));
            let all: Vec<String> = arguments.iter().map(|a| a.to_string()).chain(chosen).collect();
            let said = self.sendmail.run(&all, "").await?;
            handled.extend(some.iter().map(|id| match (request, self.place(id)) {
                (_, Place::Nowhere) => Handled::Gone,
                (Request::Hold { .. }, Place::Quarantined(_))
                | (Request::Release { .. }, Place::Queued(_)) => Handled::Done,
                _ => Handled::Failed(said.complaint()),
            }));
        }
        Ok(handled)
    }

    fn place(&self, id: &QueueId) -> Place {
        let file = |kind: &str| self.queues.iter().find_map(|queue| existing(queue, kind, id));
        match (file("qf"), file("hf")) {
            (Some(path), _) => Place::Queued(path),
            (None, Some(path)) => Place::Quarantined(path),
            (None, None) => Place::Nowhere,
        }
    }

    fn drop_one(&self, id: &QueueId) -> Handled {
        let path = match self.place(id) {
            Place::Nowhere => return Handled::Gone,
            Place::Queued(path) | Place::Quarantined(path) => path,
        };
        match self.remove(&path, id) {
            Ok(()) => Handled::Done,
            Err(fault) if fault.kind() == ErrorKind::NotFound => Handled::Gone,
            Err(fault) => Handled::Failed(format!("{}: {fault}", path.display())),
        }
    }

    /// The envelope first: what it names is not tried any more, and what remains without it is litter.
    fn remove(&self, envelope: &Path, id: &QueueId) -> std::io::Result<()> {
        let lock = File::options().read(true).write(true).open(envelope)?;
        lock.try_lock().map_err(|fault| match fault {
            fs::TryLockError::Error(fault) => fault,
            fs::TryLockError::WouldBlock => {
                std::io::Error::other("Sendmail works on it; try again")
            }
        })?;
        fs::remove_file(envelope)?;
        for kind in ["df", "xf"] {
            for queue in &self.queues {
                if let Some(path) = existing(queue, kind, id) {
                    fs::remove_file(path)?;
                }
            }
        }
        Ok(())
    }
}

/// In the queue's folder, or in the one below it for such files (QueueDirectory in op.me).
fn existing(queue: &Path, kind: &str, id: &QueueId) -> Option<PathBuf> {
    let name = format!("{kind}{id}");
    // A quarantined envelope stays among the others.
    let below = if kind == "hf" { "qf" } else { kind };
    [queue.join(&name), queue.join(below).join(&name)]
        .into_iter()
        .find(|path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file()))
}
