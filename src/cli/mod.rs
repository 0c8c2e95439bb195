//! The command line: `demo`, `run`, `check`, `explain`, `rights`, `directory export`, `ask`, `backtest`, `learn`; without a word,
//! the quick start.

mod ask;
mod asking;
mod backtest;
mod check;
mod deeds;
mod demo;
mod explain;
mod export;
mod hold;
mod holders;
mod input;
mod learn;
mod look;
mod queue_helper;
mod looking;
mod notify;
mod rights;
mod run;
mod source;
mod suspensions;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::cli::source::Failed;

/// Exit codes, the same for every command.
#[derive(Clone, Copy)]
enum Exit {
    /// Done, permitted, without a fault.
    Done = 0,
    /// Refused, or something has faults.
    No = 1,
    /// The daemon cannot be reached or did not start.
    Unreachable = 3,
    /// There is no such thing.
    NotFound = 4,
    /// Whoever asks may not change it.
    Forbidden = 5,
    /// It stands otherwise than the command expects.
    Conflict = 6,
    /// Would be deferred, or is not known now.
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
/// Exit codes: 0 done or permitted; 1 refused, or faults were found; 2 wrong usage; 3 the daemon
/// cannot be reached or did not start; 4 not found; 5 you may not; 6 it stands otherwise; 75 would be deferred, or is not known now.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// See it in a minute: a stolen login is suspended and released, in a temporary folder
    Demo(demo::Arguments),
    /// Start the daemon; it stays in the foreground
    Run {
        /// Configuration file
        #[arg(short, long, default_value = DEFAULT_FILE)]
        config: PathBuf,
    },
    /// Check a configuration and its directory file; all faults are told
    Check(check::Arguments),
    /// Tell why a mail passes or is refused, step by step
    Explain(explain::Arguments),
    /// Tell who a login is and what it holds, or who holds a right
    Rights(rights::Arguments),
    /// Work with the directory
    #[command(subcommand)]
    Directory(DirectoryCommand),
    /// Ask a policy listener as Postfix would, and show its answer
    Ask(ask::Arguments),
    /// How the daemon, its accounts and its store stand
    Status(looking::Asked),
    /// Suspended accounts, with the evidence
    #[command(subcommand)]
    Suspensions(suspensions::Suspensions),
    /// Who sends most, how one account stands, who sent from a network
    Accounts(looking::Accounts),
    /// Suspend accounts
    Suspend(deeds::Suspend),
    /// Lift a suspension, and say what it was
    Release(deeds::Release),
    /// List, release and drop the messages on hold
    #[command(subcommand)]
    Hold(hold::Command),
    /// Spare an account the detector for a time
    #[command(subcommand)]
    Exempt(deeds::Exempt),
    /// What stops suspensions when there are too many at once
    #[command(subcommand)]
    Breaker(deeds::Breaker),
    /// Forget what is known of an account
    Forget(deeds::Forget),
    /// Who did what, when and why
    Audit(looking::Audit),
    /// Copy the store while the daemon goes on
    Backup(deeds::Backup),
    /// Try the actions out: whether those who should be told can be
    NotifyTest(notify::Arguments),
    /// Try the detector out on past mail: what would have been held, suspended and refused
    Backtest(backtest::Arguments),
    /// Do what mail servers let root alone do, on the words of the daemon; started by its own unit
    QueueHelper(queue_helper::Arguments),
    /// Learn from past mail whom each login writes to, and how much
    Learn(learn::Arguments),
}

#[derive(Subcommand)]
enum DirectoryCommand {
    /// Write a directory file with everybody, for nodes without the directory, such as an MX in a DMZ
    Export(export::Arguments),
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
        Some(Command::Demo(arguments)) => demo::demo(&arguments).into(),
        Some(Command::Run { config }) => run::daemon(&config).into(),
        Some(Command::Check(arguments)) => check::check(&arguments).into(),
        Some(Command::Explain(arguments)) => explain::explain(arguments).into(),
        Some(Command::Rights(arguments)) => rights::rights(&arguments).into(),
        Some(Command::Directory(DirectoryCommand::Export(arguments))) => {
            export::export(&arguments).into()
        }
        Some(Command::Ask(arguments)) => ask::ask(&arguments).into(),
        Some(Command::Hold(command)) => hold::hold(&command).into(),
        Some(Command::Status(asked)) => looking::status(&asked).into(),
        Some(Command::Suspensions(command)) => suspensions::suspensions(&command).into(),
        Some(Command::Accounts(arguments)) => looking::accounts(&arguments).into(),
        Some(Command::Suspend(arguments)) => deeds::suspend(&arguments).into(),
        Some(Command::Release(arguments)) => deeds::release(&arguments).into(),
        Some(Command::Exempt(command)) => deeds::exempt(&command).into(),
        Some(Command::Breaker(command)) => deeds::breaker(&command).into(),
        Some(Command::Forget(arguments)) => deeds::forget(&arguments).into(),
        Some(Command::Audit(arguments)) => looking::audit(&arguments).into(),
        Some(Command::Backup(arguments)) => deeds::backup(&arguments).into(),
        Some(Command::NotifyTest(arguments)) => notify::test(&arguments).into(),
        Some(Command::Backtest(arguments)) => backtest::backtest(&arguments).into(),
        Some(Command::QueueHelper(arguments)) => queue_helper::help(&arguments).into(),
        Some(Command::Learn(arguments)) => learn::learn(&arguments).into(),
    }
}

/// Writes to stdout; a reader that went away, as head(1) does, is no fault.
fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Whether stdout is still read: a reader that went away, as head(1) does, is no fault.
fn is_read(written: io::Result<()>) -> Result<bool, Failed> {
    match written {
        Ok(()) => Ok(true),
        Err(fault) if fault.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(fault) => Err(Failed { exit: Exit::No, why: format!("stdout: {fault}") }),
    }
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
