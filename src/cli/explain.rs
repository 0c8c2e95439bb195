//! `gatepost explain`: asks the running daemon through its control socket, or evaluates a file.

use std::io::Read;
use std::sync::Arc;

use hyper::{Request, StatusCode};

use crate::admin::{self, Asked, Kept};
use crate::cli::asking::{json, moment};
use crate::cli::source::{Control, Failed, Source};
use crate::cli::suspensions::incident_words;
use crate::cli::{Exit, Output, counted, say, shown, small_runtime};
use crate::daemon::clock;
use crate::decision::{DecisionId, Story};
use crate::observe::{OBJECTIONS, PASSES};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  gatepost explain --login alice --client 192.0.2.9 --sender a@example.org --rcpt b@far.test
  gatepost explain --id 3F9K2M7QW1ZT
  gatepost explain --id \"550 5.7.1 [3F9K2M7QW1ZT] bob has no relay right: mail to far.test ...\"
  gatepost explain --id - < bounce.eml
  gatepost explain -c new.toml --offline --login bob --rcpt x@far.test")]
pub(super) struct Arguments {
    /// A decision's id, or any text that contains one: a reply, a bounce, a log line; - reads stdin
    #[arg(long, conflicts_with_all = ["login", "client", "rcpt", "sender", "offline"])]
    id: Option<String>,
    /// SASL login
    #[arg(long)]
    login: Option<String>,
    /// The client's network address
    #[arg(long)]
    client: Option<String>,
    /// The client's forward-confirmed host name
    #[arg(long)]
    client_name: Option<String>,
    /// SHA-256 fingerprint of the client's TLS certificate or its key
    #[arg(long)]
    certificate: Option<String>,
    /// Envelope sender; absent is the null sender
    #[arg(long)]
    sender: Option<String>,
    /// Recipient; may be given several times
    #[arg(long)]
    rcpt: Vec<String>,
    /// connect, helo, mail, rcpt, data, end-of-message, vrfy or etrn
    #[arg(long)]
    stage: Option<String>,
    /// Part of a listener's socket; else the first that fits the question
    #[arg(long)]
    listener: Option<String>,
    #[command(flatten)]
    source: Source,
    #[arg(short, long, value_enum, default_value = "human")]
    output: Output,
}

/// Prints the story of each recipient. Exit code 1 when any would be refused, 75 when any deferred
/// or held.
pub(super) fn explain(arguments: Arguments) -> Exit {
    let told = match &arguments.id {
        Some(pasted) => recalled(&arguments, pasted),
        None => stories(&arguments).map(Recalled::Stories),
    };
    match told {
        Ok(Recalled::Stories(stories)) => {
            say(&written(&stories, arguments.output));
            exit_of(&stories)
        }
        Ok(Recalled::Kept(kept, id)) => {
            say(&match arguments.output {
                Output::Json => json(&kept),
                Output::Human => kept_words(&kept, id.as_str()),
            });
            Exit::No
        }
        Err(failed) => failed.told(),
    }
}

/// What an id stands for.
enum Recalled {
    Stories(Vec<Story>),
    /// Its decision is forgotten, and this is kept of it.
    Kept(Kept, DecisionId),
}

fn exit_of(stories: &[Story]) -> Exit {
    let any = |action: &str| stories.iter().any(|story| story.action == action);
    if any("reject") {
        Exit::No
    } else if any("defer") || any("hold") {
        Exit::Deferred
    } else {
        Exit::Done
    }
}

fn stories(arguments: &Arguments) -> Result<Vec<Story>, Failed> {
    let runtime = small_runtime().map_err(|fault| Failed::unreachable(fault.to_string()))?;
    let asked = Asked {
        login: arguments.login.clone(),
        client: arguments.client.clone(),
        client_name: arguments.client_name.clone(),
        certificate: arguments.certificate.clone(),
        sender: arguments.sender.clone(),
        recipients: arguments.rcpt.clone(),
        stage: arguments.stage.clone(),
        listener: arguments.listener.clone(),
    };
    if arguments.source.offline {
        return runtime.block_on(evaluate(&arguments.source, &asked));
    }
    let control = arguments.source.control()?;
    match runtime.block_on(control.post("/explain", &asked))? {
        (StatusCode::OK, body) => read_stories(&body),
        (status, body) => Err(Failed::of_answer(status, &body)),
    }
}

fn recalled(arguments: &Arguments, pasted: &str) -> Result<Recalled, Failed> {
    let runtime = small_runtime().map_err(|fault| Failed::unreachable(fault.to_string()))?;
    let ids = pasted_ids(pasted)?;
    // What was decided the daemon alone knows.
    let control = arguments.source.control_alone()?;
    runtime.block_on(recall(&control, &ids))
}

fn pasted_ids(pasted: &str) -> Result<Vec<DecisionId>, Failed> {
    let mut text = pasted.to_string();
    if pasted == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .read_to_end(&mut bytes)
            .map_err(|fault| Failed { exit: Exit::No, why: format!("stdin: {fault}") })?;
        // A bounce may be in any charset; an id is ASCII.
        text = String::from_utf8_lossy(&bytes).into_owned();
    }
    let ids = DecisionId::find_all(&text);
    if ids.is_empty() {
        let why = "no id found: an id is 12 letters and digits, in brackets right after the enhanced status code, such as \"550 5.7.1 [3F9K2M7QW1ZT]\"";
        return Err(Failed { exit: Exit::NotFound, why: why.into() });
    }
    Ok(ids)
}

async fn recall(control: &Control, ids: &[DecisionId]) -> Result<Recalled, Failed> {
    for id in ids {
        let kept = match control.ask(Request::get(format!("/kept/{id}")), Vec::new()).await? {
            (StatusCode::OK, body) => serde_json::from_slice::<Kept>(&body).ok(),
            _ => None,
        };
        // A suspension's own decision tells less than the suspension.
        if let Some(kept @ Kept::Incident(_)) = kept {
            return Ok(Recalled::Kept(kept, *id));
        }
        let request = Request::get(format!("/decision/{id}"));
        if let (StatusCode::OK, body) = control.ask(request, Vec::new()).await? {
            return read_stories(&body).map(Recalled::Stories);
        }
        if let Some(kept) = kept {
            return Ok(Recalled::Kept(kept, *id));
        }
    }
    let ids: Vec<&str> = ids.iter().map(DecisionId::as_str).collect();
    let why = format!(
        "the daemon remembers no decision {}: it keeps the last {OBJECTIONS} refusals since its start and, where passes are logged, {PASSES} of them, and the last refusals of each account for each reason by privacy.refusals; its log has the line (id={})",
        ids.join(" or "),
        ids[0]
    );
    Err(Failed { exit: Exit::NotFound, why })
}

fn kept_words(kept: &Kept, id: &str) -> String {
    let refused = match kept {
        Kept::Incident(told) => return incident_words(told),
        Kept::Refusal(refused) => refused,
    };
    let Some(told) = refused.told.iter().find(|told| told.id == id) else { return String::new() };
    let whom = told.login.as_deref().or(told.client.as_deref()).unwrap_or("somebody");
    let mut text = format!("{} was refused: {}\n", shown(whom), refused.reason);
    let mut row = |name: &str, value: &str| {
        text += &format!("  {name:<10} {}\n", shown(value));
    };
    row("at", &moment(told.at));
    row("client", told.client.as_deref().unwrap_or("unknown"));
    row("sender", &told.sender);
    if let Some(recipient) = &told.recipient {
        row("recipient", recipient);
    }
    row("answer", &told.answer);
    row(
        "in all",
        &format!(
            "{} for this reason, from {} to {}",
            counted(refused.count as usize, "refusal"),
            moment(refused.first),
            moment(refused.last)
        ),
    );
    text
}

/// Judges by the file alone.
async fn evaluate(source: &Source, asked: &Asked) -> Result<Vec<Story>, Failed> {
    let (engine, startup) = source.engine()?;
    let listeners: Vec<_> = startup.listen.iter().map(|l| Arc::clone(&l.listener)).collect();
    admin::explain(&engine, &listeners, asked, clock::now())
        .await
        .map_err(|fault| Failed { exit: Exit::No, why: fault.to_string() })
}

fn read_stories(body: &[u8]) -> Result<Vec<Story>, Failed> {
    serde_json::from_slice(body).map_err(|fault| {
        Failed::unreachable(format!("the daemon's answer cannot be read: {fault}"))
    })
}

/// Everything that is printed, as one text.
fn written(stories: &[Story], output: Output) -> String {
    if output == Output::Json {
        // A list, whatever its length, so that a program reads one shape.
        return json(stories);
    }
    stories.iter().map(story_text).collect::<Vec<_>>().join("\n")
}

fn story_text(story: &Story) -> String {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| text.push_str(&format!("{line}\n"));
    line(format_args!("{}", shown(&story.summary)));
    line(format_args!(
        "  {} at {}, id {}, mode {}",
        story.listener, story.at, story.id, story.mode
    ));
    let question: Vec<String> =
        story.question.iter().map(|(name, value)| format!("{name} {}", shown(value))).collect();
    line(format_args!("  asked: {}", question.join(", ")));
    line(format_args!(""));
    for step in &story.steps {
        line(format_args!("  {:<10} {:<13} {}", step.step, step.outcome, shown(&step.found)));
        if let Some(by) = &step.settled_by {
            line(format_args!("  {:<24} settled by {}", "", shown(by)));
        }
    }
    line(format_args!(""));
    line(format_args!("  answer     {}", shown(&story.answer)));
    line(format_args!("  client     {}", shown(&story.client_sees)));
    for change in &story.would_change_it {
        line(format_args!("  to change  {}", shown(change)));
    }
    text
}
