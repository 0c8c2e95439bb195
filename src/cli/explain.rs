//! `gatepost explain`: asks the running daemon through its control socket, or evaluates a file.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::admin::{self, Asked};
use crate::cli::{DEFAULT_FILE, Exit, Output, TIMEOUT, host, say, small_runtime};
use crate::config::{self, Config, Socket};
use crate::daemon::{clock, open_directory};
use crate::decision::{DecisionId, Story};
use crate::directory::meter::NoMeter;
use crate::engine::Engine;
use crate::observe::{OBJECTIONS, PASSES};
use crate::store::Memory;

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
    /// Configuration file; names the control socket, or the rules with --offline
    #[arg(short, long, default_value = DEFAULT_FILE)]
    config: PathBuf,
    /// The daemon's control socket, instead of the configuration's
    #[arg(long, conflicts_with = "offline")]
    control: Option<PathBuf>,
    /// Evaluate the configuration file without a daemon
    #[arg(long)]
    offline: bool,
    #[arg(short, long, value_enum, default_value = "human")]
    output: Output,
}

/// Why there is no story.
struct NoStory {
    exit: Exit,
    why: String,
}

/// Prints the story of each recipient. Exit code 1 when any would be refused, 75 when any deferred
/// or held.
pub(super) fn explain(arguments: Arguments) -> Exit {
    match stories(&arguments) {
        Ok(stories) => {
            say(&written(&stories, arguments.output));
            exit_of(&stories)
        }
        Err(NoStory { exit, why }) => {
            eprintln!("{why}");
            exit
        }
    }
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

fn stories(arguments: &Arguments) -> Result<Vec<Story>, NoStory> {
    let runtime = small_runtime().map_err(|fault| unreachable(fault.to_string()))?;
    if let Some(pasted) = &arguments.id {
        let ids = pasted_ids(pasted)?;
        let control = control_socket(arguments)?;
        return runtime.block_on(recall(&control, &ids));
    }
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
    if arguments.offline {
        return runtime.block_on(evaluate(&arguments.config, &asked));
    }
    let body = serde_json::to_vec(&asked).map_err(|fault| unreachable(fault.to_string()))?;
    let control = control_socket(arguments)?;
    runtime.block_on(async {
        let request = Request::post("/explain").header("content-type", "application/json");
        match within(&control, call(&control, request.header("host", "gatepost"), body)).await? {
            (StatusCode::OK, body) => read_stories(&body),
            (_, body) => Err(NoStory { exit: Exit::No, why: text(&body) }),
        }
    })
}

fn pasted_ids(pasted: &str) -> Result<Vec<DecisionId>, NoStory> {
    let mut text = pasted.to_string();
    if pasted == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .read_to_end(&mut bytes)
            .map_err(|fault| NoStory { exit: Exit::No, why: format!("stdin: {fault}") })?;
        // A bounce may be in any charset; an id is ASCII.
        text = String::from_utf8_lossy(&bytes).into_owned();
    }
    let ids = DecisionId::find_all(&text);
    if ids.is_empty() {
        let why = "no id found: an id is 12 letters and digits, in brackets right after the enhanced status code, such as \"550 5.7.1 [3F9K2M7QW1ZT]\"";
        return Err(NoStory { exit: Exit::NotFound, why: why.into() });
    }
    Ok(ids)
}

async fn recall(control: &Path, ids: &[DecisionId]) -> Result<Vec<Story>, NoStory> {
    for id in ids {
        let request = Request::get(format!("/decision/{id}")).header("host", "gatepost");
        let answer = within(control, call(control, request, Vec::new())).await?;
        if let (StatusCode::OK, body) = answer {
            return read_stories(&body);
        }
    }
    let ids: Vec<&str> = ids.iter().map(DecisionId::as_str).collect();
    let why = format!(
        "the daemon remembers no decision {}: it keeps the last {OBJECTIONS} refusals since its start and, where passes are logged, {PASSES} of them; its log has the line (id={})",
        ids.join(" or "),
        ids[0]
    );
    Err(NoStory { exit: Exit::NotFound, why })
}

fn control_socket(arguments: &Arguments) -> Result<PathBuf, NoStory> {
    if let Some(control) = &arguments.control {
        return Ok(control.clone());
    }
    match load(&arguments.config)?.startup.control.socket {
        Socket::Unix(path) => Ok(path),
        other => Err(unreachable(format!("the control socket {other} is no path"))),
    }
}

fn load(file: &Path) -> Result<Config, NoStory> {
    config::load(file, &host()).map_err(|faults| {
        if !file.exists() {
            return unreachable(format!(
                "{}: no such file; name the configuration with --config, or the daemon's socket with --control",
                file.display()
            ));
        }
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        NoStory { exit: Exit::No, why: lines.join("\n") }
    })
}

/// Judges by the file alone.
async fn evaluate(file: &Path, asked: &Asked) -> Result<Vec<Story>, NoStory> {
    let config = load(file)?;
    let directory = open_directory(&config.startup, Arc::new(NoMeter))
        .map_err(|fault| unreachable(fault.to_string()))?;
    let store = Arc::new(Memory::new(config.startup.accounts));
    let engine = Engine::new(directory, store, config.rules);
    let listeners: Vec<_> = config.startup.listen.iter().map(|l| Arc::clone(&l.listener)).collect();
    admin::explain(&engine, &listeners, asked, clock::now())
        .await
        .map_err(|fault| NoStory { exit: Exit::No, why: fault.to_string() })
}

/// A daemon that is frozen takes a question and answers nothing.
async fn within<T>(
    control: &Path,
    answer: impl Future<Output = Result<T, NoStory>>,
) -> Result<T, NoStory> {
    tokio::time::timeout(TIMEOUT, answer).await.unwrap_or_else(|_| {
        Err(unreachable(format!(
            "{}: no answer within 10 s (--offline evaluates the file without the daemon)",
            control.display()
        )))
    })
}

async fn call(
    control: &Path,
    request: hyper::http::request::Builder,
    body: Vec<u8>,
) -> Result<(StatusCode, Bytes), NoStory> {
    let stream = UnixStream::connect(control).await.map_err(|fault| {
        unreachable(format!(
            "{}: {fault}; is the daemon running, and may you open its control socket? (--offline evaluates the file without it)",
            control.display()
        ))
    })?;
    let failed =
        |fault: &dyn std::fmt::Display| unreachable(format!("{}: {fault}", control.display()));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|fault| failed(&fault))?;
    tokio::spawn(connection);
    let request = request.body(Full::new(Bytes::from(body))).map_err(|fault| failed(&fault))?;
    let response = sender.send_request(request).await.map_err(|fault| failed(&fault))?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|fault| failed(&fault))?.to_bytes();
    Ok((status, body))
}

fn read_stories(body: &[u8]) -> Result<Vec<Story>, NoStory> {
    serde_json::from_slice(body)
        .map_err(|fault| unreachable(format!("the daemon's answer cannot be read: {fault}")))
}

fn unreachable(why: String) -> NoStory {
    NoStory { exit: Exit::Unreachable, why }
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

/// Everything that is printed, as one text.
fn written(stories: &[Story], output: Output) -> String {
    if output == Output::Json {
        // A list, whatever its length, so that a program reads one shape.
        return serde_json::to_string_pretty(stories).unwrap_or_default()
            + "
";
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

/// Logins and addresses are others' text: what would steer a terminal, or turn the direction of
/// writing (Unicode Standard Annex 9), is shown as an escape.
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' => {
                shown.extend(c.escape_unicode());
            }
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}
