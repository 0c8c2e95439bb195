//! The queue helper: a small process with the rights of root beside a mail server, for what the hardened daemon
//! cannot do. It takes fixed words from one user and runs fixed programs.

mod dovecot;
mod postfix;
mod program;
mod sendmail;
mod serve;
mod settings;

use std::fmt;
use std::path::Path;

use crate::queue::{Answer, Handled, IDS, QueueId, Request};
use crate::settings::Fault;

use dovecot::Dovecot;
use postfix::Postfix;
use sendmail::Sendmail;

pub use serve::run;
pub use settings::{Settings, load};

/// Why the helper did not start.
#[derive(Debug)]
pub enum StartFault {
    Configuration(Vec<Fault>),
    Socket { socket: String, fault: std::io::Error },
    Other(std::io::Error),
}

impl fmt::Display for StartFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(faults) => {
                let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
                f.write_str(&lines.join("\n"))
            }
            Self::Socket { socket, fault } => write!(f, "cannot listen on {socket}: {fault}"),
            Self::Other(fault) => write!(f, "{fault}"),
        }
    }
}

impl std::error::Error for StartFault {}

/// What is done by this helper; what is not is refused.
struct Work {
    queue: Option<Queue>,
    dovecot: Option<Dovecot>,
}

enum Queue {
    Postfix(Postfix),
    Sendmail(Sendmail),
}

impl Work {
    async fn answer(&self, request: &Request) -> Answer {
        match self.try_answer(request).await {
            Ok(answer) => answer,
            Err(why) => Answer::Refused(why),
        }
    }

    async fn try_answer(&self, request: &Request) -> Result<Answer, String> {
        if let Request::Kick { login } = request {
            let dovecot = self.dovecot.as_ref().ok_or("no [dovecot] is configured here")?;
            return Ok(Answer::Done(vec![dovecot.kick(login).await]));
        }
        let queue =
            self.queue.as_ref().ok_or("no [postfix] and no [sendmail] is configured here")?;
        if let Request::List { sender } = request {
            return queue.list(sender).await.map(Answer::Listed);
        }
        let ids = request.ids();
        if !(1..=IDS).contains(&ids.len()) {
            return Err(format!("{} queue ids; expected 1 to {IDS}", ids.len()));
        }
        if let Some(id) = ids.iter().find(|id| !queue.takes(id)) {
            return Err(format!("{id} is no queue id of {}", queue.name()));
        }
        queue.handle(request, ids).await.map(Answer::Done)
    }
}

impl Queue {
    const fn name(&self) -> &'static str {
        match self {
            Self::Postfix(_) => "Postfix",
            Self::Sendmail(_) => "Sendmail",
        }
    }

    fn takes(&self, id: &QueueId) -> bool {
        use crate::queue::MailServer;
        id.is_of(match self {
            Self::Postfix(_) => MailServer::Postfix,
            Self::Sendmail(_) => MailServer::Sendmail,
        })
    }

    async fn handle(&self, request: &Request, ids: &[QueueId]) -> Result<Vec<Handled>, String> {
        match self {
            Self::Postfix(postfix) => postfix.handle(request, ids).await,
            Self::Sendmail(sendmail) => sendmail.handle(request, ids).await,
        }
    }

    async fn list(&self, sender: &str) -> Result<Vec<QueueId>, String> {
        match self {
            Self::Postfix(postfix) => postfix.of_sender(sender).await,
            Self::Sendmail(_) => Err("Sendmail's queue is not listed".into()),
        }
    }
}

/// Tells of all faults of the helper's own file.
pub fn check(file: &Path) -> Result<Settings, StartFault> {
    load(file).map_err(StartFault::Configuration)
}
