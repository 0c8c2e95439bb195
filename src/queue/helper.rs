//! Asks the helper beside a mail server, by its unix socket.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::queue::{Answer, Handled, IDS, Kickable, NO_IDS, QueueId, Request};

/// The helper gives each of the programs it runs 30 s, and runs up to three for a request.
const PATIENCE: Duration = Duration::from_secs(100);

/// Of an answer; a listing of so many ids is the longest.
const ANSWER_BYTES: u64 = 1 << 20;

/// Why the helper did nothing that is known of.
#[derive(Debug, PartialEq, Eq)]
pub enum HelperFault {
    /// It cannot be reached, or went away.
    Unreachable { socket: PathBuf, why: String },
    /// It said no, and why.
    Refused(String),
}

impl fmt::Display for HelperFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { socket, why } => {
                write!(f, "the queue helper at {} cannot be asked: {why}", socket.display())
            }
            Self::Refused(why) => write!(f, "the queue helper refused: {why}"),
        }
    }
}

impl std::error::Error for HelperFault {}

/// Of one mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    socket: PathBuf,
}

impl Helper {
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.into() }
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    pub async fn hold(&self, ids: &[QueueId]) -> Result<Vec<Handled>, HelperFault> {
        self.each(ids, |ids| Request::Hold { ids }).await
    }

    pub async fn release(&self, ids: &[QueueId]) -> Result<Vec<Handled>, HelperFault> {
        self.each(ids, |ids| Request::Release { ids }).await
    }

    pub async fn requeue(&self, ids: &[QueueId]) -> Result<Vec<Handled>, HelperFault> {
        self.each(ids, |ids| Request::Requeue { ids }).await
    }

    pub async fn drop(&self, ids: &[QueueId]) -> Result<Vec<Handled>, HelperFault> {
        self.each(ids, |ids| Request::Drop { ids }).await
    }

    /// The queue ids of an envelope sender.
    pub async fn list(&self, sender: &str) -> Result<Vec<QueueId>, HelperFault> {
        match self.ask(&Request::List { sender: sender.into() }).await? {
            Answer::Listed(ids) => Ok(ids),
            other => Err(self.strange(&other)),
        }
    }

    /// Whether it answers to whoever asks: a request without a message does nothing.
    pub async fn probe(&self) -> Result<(), HelperFault> {
        match self.ask(&Request::Hold { ids: Vec::new() }).await {
            Ok(_) => Ok(()),
            Err(HelperFault::Refused(why)) if why.starts_with(NO_IDS) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// Ends the login's sessions at Dovecot.
    pub async fn kick(&self, login: &Kickable) -> Result<Handled, HelperFault> {
        match self.ask(&Request::Kick { login: login.clone() }).await? {
            Answer::Done(mut handled) if handled.len() == 1 => Ok(handled.remove(0)),
            other => Err(self.strange(&other)),
        }
    }

    /// In as many requests as the ids need; the first fault ends it.
    async fn each(
        &self,
        ids: &[QueueId],
        request: impl Fn(Vec<QueueId>) -> Request,
    ) -> Result<Vec<Handled>, HelperFault> {
        let mut all = Vec::with_capacity(ids.len());
        for some in ids.chunks(IDS) {
            match self.ask(&request(some.to_vec())).await? {
                Answer::Done(handled) if handled.len() == some.len() => all.extend(handled),
                other => return Err(self.strange(&other)),
            }
        }
        Ok(all)
    }

    async fn ask(&self, request: &Request) -> Result<Answer, HelperFault> {
        let asked = timeout(PATIENCE, self.exchange(request)).await;
        match asked.unwrap_or_else(|_| Err("no answer".into())) {
            Ok(Answer::Refused(why)) => Err(HelperFault::Refused(why)),
            Ok(answer) => Ok(answer),
            Err(why) => Err(HelperFault::Unreachable { socket: self.socket.clone(), why }),
        }
    }

    async fn exchange(&self, request: &Request) -> Result<Answer, String> {
        let plain = |fault: std::io::Error| fault.to_string();
        let mut line = serde_json::to_vec(request).map_err(|fault| fault.to_string())?;
        line.push(b'\n');
        let mut stream = UnixStream::connect(&self.socket).await.map_err(plain)?;
        // One that refuses may answer and close before it has read all.
        let written = stream.write_all(&line).await;
        let mut answer = Vec::new();
        // Not to the end: where it left some of the request unread, that is a reset.
        BufReader::new(stream.take(ANSWER_BYTES))
            .read_until(b'\n', &mut answer)
            .await
            .map_err(plain)?;
        if answer.is_empty() {
            written.map_err(plain)?;
            return Err("closed without an answer".into());
        }
        serde_json::from_slice(&answer).map_err(|fault| format!("its answer is strange: {fault}"))
    }

    fn strange(&self, answer: &Answer) -> HelperFault {
        let why = format!("its answer is of another question: {answer:.100?}");
        HelperFault::Unreachable { socket: self.socket.clone(), why }
    }
}
