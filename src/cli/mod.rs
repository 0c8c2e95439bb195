//! The command line: `run`, `check`, `explain`, `ask`; without a word, the quick start.

mod ask;
mod check;
mod explain;
mod run;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

/// Exit codes, the same for every command.
#[derive(Clone, Copy)]
enum Exit {
    /// Done, permitted, without a fault.
    Done = 0,
    /// Refused, or the file has faults.
    No = 1,
    /// The daemon cannot be reached or did not start.
    Unreachable = 3,
    /// There is no such thing.
    NotFound = 4,
    /// Would be deferred.
    Deferred = 75,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// How long a person waits for an answer; Postfix waits 100 s (smtpd_policy_service_timeout).
const TIMEOUT: Duration = Duration::from_secs(10);

const DEFAULT_FILE: &str = "/etc/gatepost/gatepost.toml";
const QUICKSTART_FILE: &str = "config/quickstart.toml";

/// Submit and relay rights beside Postfix.
///
/// Without a command: the quick start, with config/quickstart.toml below the current folder.
///
/// Exit codes: 0 done or permitted; 1 refused, or faults in a file; 2 wrong usage; 3 the daemon
/// cannot be reached or did not start; 4 not found; 75 would be deferred.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Start the daemon; it stays in the foreground
    Run {
        /// Configuration file
        #[arg(short, long, default_value = DEFAULT_FILE)]
        config: PathBuf,
    },
    /// Check a configuration and its directory file; all faults are told
    Check {
        /// Configuration file
        #[arg(default_value = DEFAULT_FILE)]
        file: PathBuf,
        /// Show the effective configuration, with the origin of every value
        #[arg(long)]
        print: bool,
    },
    /// Tell why a mail passes or is refused, step by step
    Explain(explain::Arguments),
    /// Ask a policy listener as Postfix would, and show its answer
    Ask(ask::Arguments),
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Human,
    Json,
}

/// Parses the arguments and does what they say.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        None => run::quickstart(QUICKSTART_FILE.as_ref()).into(),
        Some(Command::Run { config }) => run::daemon(&config).into(),
        Some(Command::Check { file, print }) => check::check(&file, print).into(),
        Some(Command::Explain(arguments)) => explain::explain(arguments).into(),
        Some(Command::Ask(arguments)) => ask::ask(&arguments).into(),
    }
}

/// Writes to stdout; a reader that went away, as head(1) does, is no fault.
fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// `1 fault`, `3 faults`
fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// This machine's name, the default of `server.name`.
fn host() -> String {
    match nix::unistd::gethostname() {
        Ok(name) if !name.is_empty() => name.to_string_lossy().into_owned(),
        _ => "localhost".into(),
    }
}

/// A runtime for a command that only talks to the daemon.
fn small_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
