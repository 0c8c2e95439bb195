//! `gatepost suspensions`: those that stand and those that were, with their evidence.

use clap::Subcommand;

use crate::admin::{AskedIncidents, AskedName};
use crate::cli::asking::{finish, moment, post, since, table, until, written};
use crate::cli::hold;
use crate::cli::looking::Asked;
use crate::cli::source::Failed;
use crate::cli::{Exit, counted, shown};
use crate::engine::Told;
use crate::mail::Timestamp;
use crate::record::{Envelope, Reading};

/// Envelopes shown to people.
const SHOWN: usize = 20;

#[derive(Subcommand)]
pub(super) enum Suspensions {
    /// Those that stand
    List {
        /// Those that have ended, too
        #[arg(long)]
        all: bool,
        /// Imposed since: 2026-11-01, 7d
        #[arg(long, value_parser = since)]
        since: Option<Timestamp>,
        #[command(flatten)]
        asked: Asked,
    },
    /// One with its evidence
    Show {
        /// Its id, or a login it stands against
        id: String,
        #[command(flatten)]
        asked: Asked,
    },
    /// Hold or drop everything of it that is still in the queue, whether gatepost held it or not
    Queue(hold::Queue),
    /// Every recipient, queue id and client network since its first message, as CSV or JSON
    Export {
        /// Its id, or a login it stands against
        id: String,
        #[command(flatten)]
        asked: Asked,
    },
}

pub(super) fn suspensions(command: &Suspensions) -> Exit {
    finish(match command {
        Suspensions::Queue(queue) => return hold::queue(queue),
        Suspensions::List { all, since, asked } => {
            let since = since.unwrap_or_default();
            let question = AskedIncidents { since, standing: !all };
            let told = post(&asked.daemon, "/incidents", &question);
            told.map(|told: Vec<Told>| written(&told, asked.output, |told| list(told)))
        }
        Suspensions::Show { id, asked } => {
            incident(id, asked).map(|told| written(&told, asked.output, incident_words))
        }
        Suspensions::Export { id, asked } => {
            incident(id, asked).map(|told| written(&told, asked.output, export))
        }
    })
}

fn incident(id: &str, asked: &Asked) -> Result<Told, Failed> {
    post(&asked.daemon, "/incident", &AskedName { login: id.into() })
}

fn list(told: &[Told]) -> String {
    let lines = told.iter().map(|Told { incident, end }| {
        let ends = match end {
            Some(end) => format!("{} {}", ended(&end.ending), moment(end.at)),
            None => until(incident.until),
        };
        let mode = if incident.mode == "enforce" { "" } else { " (observe)" };
        // "root suspended carol" says no more than the other columns.
        let because = incident.note.as_ref().unwrap_or(&incident.reason);
        vec![
            incident.id.clone(),
            incident.login.clone(),
            moment(incident.imposed),
            format!("{ends}{mode}"),
            format!("{}: {because}", incident.by),
        ]
    });
    let names = ["id", "login", "since", "until", "because"];
    table(&names, lines, "no account is suspended")
}

/// Also for `explain`.
pub(super) fn incident_words(told: &Told) -> String {
    let Told { incident, end } = told;
    let mut text = format!("{} is suspended by {}\n", shown(&incident.login), incident.id);
    if incident.mode != "enforce" {
        text = format!("{} would be suspended by {}\n", shown(&incident.login), incident.id);
    }
    if let Some(end) = end {
        let note = end.note.as_ref().map(|note| format!(": {}", shown(note))).unwrap_or_default();
        text = format!(
            "{} was suspended by {}; {} at {} by {}{note}\n",
            shown(&incident.login),
            incident.id,
            ended(&end.ending),
            moment(end.at),
            shown(&end.by)
        );
    }
    let mut row = |name: &str, value: &str| {
        text += format!("  {name:<10} {}\n", shown(value)).as_str();
    };
    row("account", &incident.account);
    if !incident.addresses.is_empty() {
        row("addresses", &incident.addresses.join(", "));
    }
    row("because", &incident.reason);
    row("by", &incident.by);
    if let Some(note) = &incident.note {
        row("note", note);
    }
    row("first", &moment(incident.since));
    row("imposed", &moment(incident.imposed));
    row("until", &until(incident.until));
    if incident.step > 0 {
        row(
            "repeat",
            &format!("suspended {} before within 30 days", counted(incident.step.into(), "time")),
        );
    }
    if !incident.networks.is_empty() {
        row("networks", &incident.networks.join(", "));
    }
    let change = end.is_none().then(|| {
        let login = shown(&incident.login);
        let first = match incident.account.starts_with("client:") {
            true => "find out what it sends, and for whom",
            false => "have its password changed",
        };
        format!("\n  to change  {first}, then gatepost release {login} --verdict ... --note ...\n")
    });
    let change = change.unwrap_or_default();
    text + &readings(&incident.readings) + &envelopes(&incident.envelopes) + &change
}

/// A verdict, or that nobody gave one.
fn ended(ending: &str) -> String {
    match ending {
        "expired" | "exempted" => ending.into(),
        verdict => format!("released as {verdict}"),
    }
}

pub(super) fn readings(readings: &[Reading]) -> String {
    if readings.is_empty() {
        return String::new();
    }
    let lines = readings.iter().filter(|reading| reading.value >= 0.05).map(|reading| {
        vec![
            format!("  {}", reading.test),
            format!("{:.1}", reading.value),
            format!("{:.1}", reading.usual),
        ]
    });
    "\n".to_string() + &table(&["  counted", "now", "usual peak"], lines, "  nothing counted now")
}

pub(super) fn envelopes(envelopes: &[Envelope]) -> String {
    if envelopes.is_empty() {
        return "\n  no envelope is remembered\n".into();
    }
    let first = envelopes.len().saturating_sub(SHOWN);
    let lines = envelopes[first..].iter().map(|envelope| {
        let named = envelope.recipients.first().cloned().unwrap_or_default();
        let more = envelope.recipient_count.saturating_sub(1);
        let to = if more == 0 { named } else { format!("{named} and {more} more") };
        vec![
            format!("  {}", moment(envelope.at)),
            envelope.client.clone().unwrap_or_default(),
            envelope.queue_id.clone(),
            envelope.sender.clone(),
            to,
        ]
    });
    let names = ["  sent at", "client", "queue id", "sender", "recipients"];
    let mut text = "\n".to_string() + &table(&names, lines, "");
    if first > 0 {
        text +=
            &format!("  and {} before: gatepost suspensions export\n", counted(first, "message"));
    }
    text
}

/// One line a recipient, for a spreadsheet or a script.
fn export(told: &Told) -> String {
    let mut out = csv::Writer::from_writer(Vec::new());
    let names =
        ["incident", "login", "sent_at", "mta", "queue_id", "client", "sender", "recipient"];
    let mut write = |line: [&str; 8]| out.write_record(line.map(neutral)).expect("memory takes it");
    write(names);
    for envelope in told.incident.passed() {
        let at = moment(envelope.at);
        let missing = envelope.recipient_count as usize
            - envelope.recipients.len().min(envelope.recipient_count as usize);
        let unnamed = format!("and {missing} more, not kept: see the mail log");
        let more = (missing > 0).then_some(&unnamed);
        for recipient in envelope.recipients.iter().chain(more) {
            let client = envelope.client.as_deref().unwrap_or_default();
            let Envelope { mta, queue_id, sender, .. } = envelope;
            write([
                &told.incident.id,
                &told.incident.login,
                &at,
                mta,
                queue_id,
                client,
                sender,
                recipient,
            ]);
        }
    }
    String::from_utf8_lossy(&out.into_inner().expect("memory takes it")).into_owned()
}

/// Spreadsheets run what begins like a formula, and terminals what is a control character.
fn neutral(cell: &str) -> String {
    let cell = shown(cell);
    match cell.as_bytes().first() {
        Some(b'=' | b'+' | b'-' | b'@') => format!("'{cell}"),
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_neither_a_formula_nor_a_command_to_the_terminal() {
        for (cell, expected) in [
            ("alice@example.org", "alice@example.org"),
            ("=cmd|calc", "'=cmd|calc"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "\\t=1"),
            ("\r=1", "\\r=1"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\u{202e}b", "a\\u{202e}b"),
        ] {
            assert_eq!(neutral(cell), expected);
        }
    }

    #[test]
    fn an_end_says_whether_somebody_gave_a_verdict() {
        assert_eq!(ended("true-positive"), "released as true-positive");
        assert_eq!(ended("expired"), "expired");
        assert_eq!(ended("exempted"), "exempted");
    }
}
