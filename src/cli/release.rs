//! `gatepost release`

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use hyper::StatusCode;

use crate::admin::{AskedRelease, Released};
use crate::cli::source::{Daemon, Failed};
use crate::cli::{Exit, say, shown, small_runtime};

#[derive(clap::Args)]
#[command(
    after_help = "What the account sent before is forgiven. After true-positive what the thief taught is forgotten; after
the other two the height of the false alarm counts as usual from now on.

Exit codes: 0 released; 1 a wrong argument; 3 the daemon cannot be reached; 4 it is not suspended; 75 not now.

Examples:
  gatepost release alice --verdict true-positive --note 'password changed, ticket 4711'
  gatepost release alice --verdict false-positive --note 'invitations to the summer school' --dry-run"
)]
pub(super) struct Arguments {
    /// SASL login, in any of its forms
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    login: String,
    /// What it was
    #[arg(long, value_parser = PossibleValuesParser::new(["true-positive", "false-positive", "authorised-bulk"]))]
    verdict: String,
    /// Why; it is logged
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    note: String,
    /// Only tell what would be released
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    daemon: Daemon,
}

pub(super) fn release(arguments: &Arguments) -> Exit {
    match try_release(arguments) {
        Ok(told) => {
            say(&told);
            Exit::Done
        }
        Err(Failed { exit, why }) => {
            eprintln!("{}", why.lines().map(shown).collect::<Vec<_>>().join("\n"));
            exit
        }
    }
}

fn try_release(arguments: &Arguments) -> Result<String, Failed> {
    let asked = AskedRelease {
        login: arguments.login.clone(),
        verdict: arguments.verdict.clone(),
        note: arguments.note.clone(),
        dry_run: arguments.dry_run,
    };
    let runtime = small_runtime().map_err(|fault| Failed::unreachable(fault.to_string()))?;
    let control = arguments.daemon.control()?;
    let (status, body) = runtime.block_on(control.post("/release", &asked))?;
    if status == StatusCode::NOT_FOUND && !body.is_empty() {
        let why = String::from_utf8_lossy(&body).into_owned();
        return Err(Failed { exit: Exit::NotFound, why });
    }
    if status != StatusCode::OK {
        return Err(Failed::of_answer(status, &body));
    }
    let released: Released = serde_json::from_slice(&body).map_err(|fault| {
        Failed::unreachable(format!("the daemon's answer cannot be read: {fault}"))
    })?;
    let Released { id, since, imposed, because } = released;
    let done = if arguments.dry_run { "would be released" } else { "is released" };
    Ok(format!(
        "{} {done}: suspended by {id} since {imposed}\n  it {}\n  the first message of it came at {since}\n",
        shown(&arguments.login),
        shown(&because)
    ))
}
