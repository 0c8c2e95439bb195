//! `gatepost notify-test`

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Bytes;

use crate::admin::{AskedTest, Tried, Waits};
use crate::cli::asking::written;
use crate::cli::source::{Control, Daemon, Failed};
use crate::cli::{Exit, Output, counted, say, shown, small_runtime};

/// Longer than any action may take.
const PATIENCE: Duration = Duration::from_secs(330);

#[derive(clap::Args)]
#[command(
    after_help = "The daemon does each action once, with an event that says it is a test; docs/actions.md has its form.

Exit codes: 0 all of them worked; 1 some did not; 3 the daemon cannot be reached; 4 there is no such action;
5 you may not.

Examples:
  gatepost notify-test
  gatepost notify-test postmaster"
)]
pub(super) struct Arguments {
    /// The name of one [[action]]; else all of them
    action: Option<String>,
    #[command(flatten)]
    daemon: Daemon,
    #[arg(short, long, value_enum, default_value = "human")]
    output: Output,
}

pub(super) fn test(arguments: &Arguments) -> Exit {
    match try_test(arguments) {
        Ok(tried) => {
            say(&written(&tried, arguments.output, |tried| words(tried)));
            if tried.iter().any(|tried| tried.fault.is_some()) { Exit::No } else { Exit::Done }
        }
        Err(failed) => failed.told(),
    }
}

fn try_test(arguments: &Arguments) -> Result<Vec<Tried>, Failed> {
    let runtime = small_runtime().map_err(|fault| Failed::unreachable(fault.to_string()))?;
    let control = arguments.daemon.control()?;
    let (status, body) = runtime.block_on(ask(&control, arguments.action.clone()))?;
    match status {
        StatusCode::OK => serde_json::from_slice(&body).map_err(|fault| {
            Failed::unreachable(format!("the daemon's answer cannot be read: {fault}"))
        }),
        StatusCode::NOT_FOUND if !body.is_empty() => {
            let why = String::from_utf8_lossy(&body).into_owned();
            Err(Failed { exit: Exit::NotFound, why })
        }
        _ => Err(Failed::of_answer(status, &body)),
    }
}

async fn ask(control: &Control, action: Option<String>) -> Result<(StatusCode, Bytes), Failed> {
    let answer = control.begin("/notify-test", &AskedTest { action }, PATIENCE).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await;
    let body = body.map_err(|fault| Failed::unreachable(fault.to_string()))?;
    Ok((status, body.to_bytes()))
}

fn words(tried: &[Tried]) -> String {
    let width = tried.iter().map(|tried| tried.waits.action.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for Tried { fault, waits: Waits { action, kind, waiting, dead, last_fault } } in tried {
        let outcome =
            fault.as_deref().map_or_else(|| "ok".into(), |why| format!("FAULT {}", shown(why)));
        text += &format!("{:<width$}  {kind:<7}  {outcome}\n", shown(action));
        if *waiting > 0 || *dead > 0 {
            let letters = counted(*dead, "dead letter");
            let last = last_fault.as_deref().unwrap_or("none yet");
            text += &format!(
                "  {} waiting, {letters}; the last fault: {}\n",
                counted(*waiting, "event"),
                shown(last)
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_has_a_line_and_one_more_where_something_waits() {
        let tried = |action: &str, fault: Option<&str>, waiting, dead| Tried {
            fault: fault.map(Into::into),
            waits: Waits {
                action: action.into(),
                kind: "webhook".into(),
                waiting,
                dead,
                last_fault: fault.map(Into::into),
            },
        };
        let told = words(&[
            tried("pager", None, 0, 0),
            tried("siem-2", Some("it answers 500\u{1b}[2J"), 3, 1),
        ]);
        let expected = "\
pager   webhook  ok
siem-2  webhook  FAULT it answers 500\\u{1b}[2J
  3 events waiting, 1 dead letter; the last fault: it answers 500\\u{1b}[2J
";
        assert_eq!(told, expected);
    }
}
