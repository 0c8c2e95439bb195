//! `gatepost hold`: messages on hold, listed, released and dropped.

use std::fmt::Write;
use std::time::Duration;

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;
use serde::Serialize;

use crate::admin::{AskedHolds, AskedQueue, HoldAction, ToldHold};
use crate::cli::asking::{finish, read, second, table, written};
use crate::cli::deeds::Why;
use crate::cli::source::{Daemon, Failed};
use crate::cli::{Exit, Output, counted, small_runtime};

const NONE: &str = "no message is on hold";

/// The helper gives a thousand messages up to this long.
const PATIENCE: Duration = Duration::from_secs(110);

#[derive(Subcommand)]
pub(super) enum Command {
    /// List the messages on hold, the oldest first
    List(List),
    /// Let messages go on their way
    Release(Settle),
    /// Remove messages; nobody is told
    Drop(Settle),
}

#[derive(clap::Args)]
#[command(
    after_help = "Exit codes: 0 listed, and be it none; 1 a wrong argument; 3 the daemon cannot be reached; 75 not now.

Examples:
  gatepost hold list
  gatepost hold list --login alice --output json"
)]
pub(super) struct List {
    /// Of this SASL login, in any of its forms
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    login: Option<String>,
    /// Of this mail server, by the `mta` of its listeners
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    mta: Option<String>,
    #[arg(short, long, value_enum, default_value = "human")]
    output: Output,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(clap::Args)]
#[command(after_help = "A message that is in the queue no longer is gone, which is no failure.

Exit codes: 0 done; 1 a wrong argument; 3 the daemon cannot be reached; 4 no such message is on hold; 5 not
permitted; 75 some could not be settled now, and stay on hold.

Examples:
  gatepost hold release --login alice --note 'invitations to the summer school' --dry-run
  gatepost hold drop --login alice --note 'sent by a thief, ticket 4711'
  gatepost hold release --id 4cXqzB2PxzTnP --mta mx1 --note 'asked for by alice'")]
pub(super) struct Settle {
    /// All of this SASL login, in any of its forms, of client:ADDRESS, or of a suspension by its id
    #[arg(long, value_parser = NonEmptyStringValueParser::new(), required_unless_present = "id")]
    login: Option<String>,
    /// The one of this queue id
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    id: Option<String>,
    /// Of this mail server, by the `mta` of its listeners
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    mta: Option<String>,
    #[command(flatten)]
    why: Why,
}

#[derive(clap::Args)]
#[command(
    after_help = "Found by the queue ids of its envelopes, and in Postfix by the addresses it sent with. What is put on hold stands in
gatepost hold list until a person lets it go.

Exit codes: 0 done; 1 a wrong argument; 3 the daemon cannot be reached; 4 no such suspension; 5 not permitted; 75
some could not be settled now.

Examples:
  gatepost suspensions queue alice --hold --note 'looking into it' --dry-run
  gatepost suspensions queue 5ZVW5GFY91HA --drop --note 'a thief, ticket 4711'"
)]
pub(super) struct Queue {
    /// Its id, or a login it stands against
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    id: String,
    /// Put it on hold
    #[arg(long, required_unless_present = "drop", conflicts_with = "drop")]
    hold: bool,
    /// Remove it; nobody is told
    #[arg(long)]
    drop: bool,
    /// Why; it is kept in the audit
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    note: String,
    /// Only tell what may be in the queue
    #[arg(long)]
    dry_run: bool,
    #[arg(short, long, value_enum, default_value = "human")]
    output: Output,
    #[command(flatten)]
    daemon: Daemon,
}

pub(super) fn queue(queue: &Queue) -> Exit {
    let asked = AskedQueue {
        name: queue.id.clone(),
        hold: queue.hold,
        note: queue.note.clone(),
        dry_run: queue.dry_run,
    };
    let action = if queue.drop { HoldAction::Drop } else { HoldAction::List };
    let none = "nothing of it is in a queue";
    settled(ask(&queue.daemon, "/suspensions/queue", &asked), queue.output, action, none)
}

pub(super) fn hold(command: &Command) -> Exit {
    let (asked, daemon, output) = match command {
        Command::List(list) => (listing(list), &list.daemon, list.output),
        Command::Release(settle) => {
            (settling(settle, HoldAction::Release), &settle.why.daemon, settle.why.output)
        }
        Command::Drop(settle) => {
            (settling(settle, HoldAction::Drop), &settle.why.daemon, settle.why.output)
        }
    };
    settled(ask(daemon, "/holds", &asked), output, asked.action, NONE)
}

fn settled(
    holds: Result<Vec<ToldHold>, Failed>,
    output: Output,
    action: HoldAction,
    none: &str,
) -> Exit {
    let failed = holds.as_ref().is_ok_and(|holds| holds.iter().any(|hold| hold.why.is_some()));
    match finish(holds.map(|holds| written(&holds, output, |holds| words(holds, action, none)))) {
        Exit::Done if failed => Exit::Deferred,
        exit => exit,
    }
}

fn listing(list: &List) -> AskedHolds {
    AskedHolds {
        action: HoldAction::List,
        login: list.login.clone(),
        id: None,
        mta: list.mta.clone(),
        note: String::new(),
        dry_run: false,
    }
}

fn settling(settle: &Settle, action: HoldAction) -> AskedHolds {
    AskedHolds {
        action,
        login: settle.login.clone(),
        id: settle.id.clone(),
        mta: settle.mta.clone(),
        note: settle.why.note.clone(),
        dry_run: settle.why.dry_run,
    }
}

fn ask(daemon: &Daemon, path: &str, asked: &impl Serialize) -> Result<Vec<ToldHold>, Failed> {
    let runtime = small_runtime().map_err(|fault| Failed::unreachable(fault.to_string()))?;
    let control = daemon.control()?;
    let (status, body) = runtime.block_on(async {
        let response = control.begin(path, asked, PATIENCE).await?;
        let (status, mut body) = (response.status(), response.into_body());
        let mut all = Vec::new();
        while let Some(piece) = control.next(&mut body).await? {
            all.extend_from_slice(&piece);
        }
        Ok::<_, Failed>((status, all))
    })?;
    read(status, &body)
}

fn words(holds: &[ToldHold], action: HoldAction, none: &str) -> String {
    let lines = holds.iter().map(|hold| {
        let then = match (&hold.outcome, &hold.why, action, &hold.released_at) {
            (Some(outcome), Some(why), ..) => format!("{outcome}: {why}"),
            (Some(outcome), None, ..) => outcome.clone(),
            (None, _, HoldAction::Release, _) => "would be released".into(),
            (None, _, HoldAction::Drop, _) => "would be dropped".into(),
            (None, _, HoldAction::List, Some(at)) => format!("released at {}", second(at)),
            (None, _, HoldAction::List, None) => "kept until a person decides".into(),
        };
        let by = format!("{} ({})", hold.held_by, hold.grade);
        let since = second(&hold.held_since);
        let own = [&hold.mta, &hold.queue_id, &hold.login, &since, &by, &then];
        own.map(Clone::clone).to_vec()
    });
    let names = ["mta", "queue id", "login", "on hold since", "by", "then"];
    let mut text = table(&names, lines, none);
    if !holds.is_empty() {
        let _ = writeln!(text, "{}", summary(holds));
    }
    text
}

/// `3 messages: 2 released, 1 gone`
fn summary(holds: &[ToldHold]) -> String {
    let mut text = counted(holds.len(), "message");
    let outcomes = ["released", "dropped", "held", "gone", "failed"].map(|word| {
        let number = holds.iter().filter(|hold| hold.outcome.as_deref() == Some(word)).count();
        (word, number)
    });
    let told: Vec<String> = outcomes
        .iter()
        .filter(|(_, number)| *number > 0)
        .map(|(word, number)| format!("{number} {word}"))
        .collect();
    if !told.is_empty() {
        let _ = write!(text, ": {}", told.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(queue_id: &str, outcome: Option<&str>, why: Option<&str>) -> ToldHold {
        ToldHold {
            mta: "mx1".into(),
            queue_id: queue_id.into(),
            login: "alice".into(),
            account: "file:alice".into(),
            held_since: "2026-09-21T14:13:20.123Z".into(),
            released_at: outcome.is_none().then(|| "2026-09-21T14:43:20.123Z".into()),
            id: "0123456789AB".into(),
            grade: "hold".into(),
            held_by: "novel-2m".into(),
            outcome: outcome.map(Into::into),
            why: why.map(Into::into),
        }
    }

    #[test]
    fn each_message_has_a_line_that_says_what_comes() {
        assert_eq!(words(&[], HoldAction::List, NONE), "no message is on hold\n");
        let expected = "\
mta  queue id     login  on hold since         by               then
mx1  BFD5198E1F2  alice  2026-09-21T14:13:20Z  novel-2m (hold)  released at 2026-09-21T14:43:20Z
1 message
";
        assert_eq!(words(&[told("BFD5198E1F2", None, None)], HoldAction::List, NONE), expected);
        let all = [
            told("BFD5198E1F2", Some("dropped"), None),
            told("C2D9598E3D1", Some("gone"), None),
            told("C4E5A98E3E3", Some("failed"), Some("postsuper: fatal: x\u{1b}[2J")),
        ];
        let text = words(&all, HoldAction::Drop, NONE);
        assert!(text.ends_with("3 messages: 1 dropped, 1 gone, 1 failed\n"), "{text}");
        assert!(text.contains("failed: postsuper: fatal: x\\u{1b}[2J\n"), "{text}");
    }
}
