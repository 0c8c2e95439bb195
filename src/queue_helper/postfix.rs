//! Postfix: postsuper(1) and postqueue(1). postsuper names each message it changed and says nothing of the others, so
//! what it did not name is looked up in the queue.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;

use crate::queue::{Handled, LISTED, QueueId, Request};
use crate::queue_helper::program::{Program, Said};

/// Released messages that are sent at once; more are left to the next queue run (queue_run_delay, 300 s), since
/// postqueue takes one a time.
const AT_ONCE: usize = 20;

pub struct Postfix {
    pub postsuper: Program,
    pub postqueue: Program,
}

/// A line of `postqueue -j`.
#[derive(Deserialize)]
struct Queued {
    queue_name: String,
    queue_id: String,
    sender: String,
}

impl Postfix {
    pub fn new(folder: &Path, postsuper: &Path, postqueue: &Path) -> Self {
        Self {
            postsuper: Program::new(postsuper, "-c", folder),
            postqueue: Program::new(postqueue, "-c", folder),
        }
    }

    pub async fn handle(&self, request: &Request, ids: &[QueueId]) -> Result<Vec<Handled>, String> {
        let option = match request {
            Request::Hold { .. } => "-h",
            Request::Release { .. } => "-H",
            Request::Requeue { .. } => "-r",
            Request::Drop { .. } => "-d",
            Request::List { .. } | Request::Kick { .. } => return Err("no verb of a queue".into()),
        };
        let input: String = ids.iter().map(|id| format!("{id}\n")).collect();
        let said = self.postsuper.run(&[option, "-"], &input).await?;
        let named = named(&said.err);
        let unnamed = ids.iter().any(|id| !named.contains(id.as_str()));
        let places = if unnamed { self.places(ids).await } else { Ok(HashMap::new()) };
        let handled = ids.iter().map(|id| match &places {
            _ if named.contains(id.as_str()) => Handled::Done,
            Ok(places) => unnamed_one(request, places.get(id.as_str()).map(String::as_str), &said),
            Err(why) => Handled::Failed(why.clone()),
        });
        let handled: Vec<Handled> = handled.collect();
        if matches!(request, Request::Release { .. }) && named.len() <= AT_ONCE {
            for id in ids.iter().filter(|id| named.contains(id.as_str())) {
                // It goes out with the next queue run all the same.
                let _ = self.postqueue.run(&["-i", id.as_str()], "").await;
            }
        }
        Ok(handled)
    }

    /// The queue ids of an envelope sender, up to [`LISTED`].
    pub async fn of_sender(&self, sender: &str) -> Result<Vec<QueueId>, String> {
        let queued = self.queued().await?;
        let of_sender = queued.into_iter().filter(|one| one.sender.eq_ignore_ascii_case(sender));
        Ok(of_sender.filter_map(|one| QueueId::parse(&one.queue_id)).take(LISTED).collect())
    }

    /// In which queue each of the ids lies.
    async fn places(&self, ids: &[QueueId]) -> Result<HashMap<String, String>, String> {
        let wanted: HashSet<&str> = ids.iter().map(QueueId::as_str).collect();
        let queued = self.queued().await?;
        let wanted = queued.into_iter().filter(|one| wanted.contains(one.queue_id.as_str()));
        Ok(wanted.map(|one| (one.queue_id, one.queue_name)).collect())
    }

    async fn queued(&self) -> Result<Vec<Queued>, String> {
        let said = self.postqueue.run(&["-j"], "").await?;
        if said.code != Some(0) {
            return Err(said.complaint());
        }
        let lines = said.out.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        let read: Result<Vec<Queued>, _> = lines.map(serde_json::from_slice).collect();
        read.map_err(|fault| format!("postqueue -j cannot be read: {fault}"))
    }
}

/// The ids of lines such as `postsuper: BFD5198E1F2: placed on hold`.
fn named(text: &str) -> HashSet<String> {
    const DONE: [&str; 4] = ["placed on hold", "released from hold", "requeued", "removed"];
    let lines = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once("postsuper: ")?;
        let (id, what) = rest.split_once(": ")?;
        DONE.contains(&what).then(|| id.to_string())
    });
    lines.collect()
}

/// Of a message that postsuper did not name, and that lies in this queue.
fn unnamed_one(request: &Request, place: Option<&str>, said: &Said) -> Handled {
    match (request, place) {
        (_, None) => Handled::Gone,
        (Request::Hold { .. }, Some("hold")) => Handled::Done,
        (Request::Release { .. }, Some(queue)) if queue != "hold" => Handled::Done,
        (_, Some(queue)) => {
            Handled::Failed(format!("it is in the queue {queue}: {}", said.complaint()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postsuper_names_what_it_changed() {
        let text = "\
postsuper: BFD5198E1F2: placed on hold
postsuper: 3Pt2mN2VXxznjll: released from hold
postsuper: warning: invalid mail queue id: ../etc
postsuper: Placed on hold: 1 message
";
        let expected = ["BFD5198E1F2", "3Pt2mN2VXxznjll"].map(String::from);
        assert_eq!(named(text), expected.into());
    }

    #[test]
    fn what_is_not_named_is_where_it_should_be_or_gone_or_failed() {
        let said = Said { out: Vec::new(), err: "postsuper: fatal: x\n".into(), code: Some(1) };
        let hold = Request::Hold { ids: Vec::new() };
        let release = Request::Release { ids: Vec::new() };
        let drop = Request::Drop { ids: Vec::new() };
        assert_eq!(unnamed_one(&hold, Some("hold"), &said), Handled::Done);
        assert_eq!(unnamed_one(&release, Some("active"), &said), Handled::Done);
        for request in [&hold, &release, &drop] {
            assert_eq!(unnamed_one(request, None, &said), Handled::Gone);
        }
        let why = "it is in the queue hold: postsuper: fatal: x (exit code 1)";
        assert_eq!(unnamed_one(&release, Some("hold"), &said), Handled::Failed(why.into()));
        assert!(!unnamed_one(&drop, Some("deferred"), &said).is_settled());
    }
}
