//! `gatepost backtest`

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::backtest::{
    Each, Known, LEAST_COVERAGE, Names, Outcome, Plan, Replay, Report, RunFault, Terms, run,
};
use crate::cli::input::{Input, bar};
use crate::cli::source::{Failed, load};
use crate::cli::{Exit, say};
use crate::config::Config;
use crate::daemon::open_directory;
use crate::detector::Budget;
use crate::directory::meter::NoMeter;
use crate::history::Message;
use crate::settings::duration;

#[derive(clap::Args)]
#[command(
    after_help = "Without --config everybody may send everywhere; the detector suspends and holds at a budget of 1.
With it, its rules and its budget count, and what only observes is tried out as if it enforced; tests that
observe still observe. Nothing is sent, asked of the running daemon, or kept. Lines that cannot be read
are counted, shown with their number, and skipped.

Exit codes: 0 the report was written; 1 nothing could be read, or of the logs too little to conclude.

Examples:
  gatepost backtest --maillog /var/log/mail.log*
  journalctl -u 'postfix*' -o json | gatepost backtest --maillog -
  gatepost backtest --envelopes mail.ndjson.gz --known stolen.csv --report report.html
  gatepost backtest --tsv mail.tsv.gz --lift-after 0 --decisions out.ndjson"
)]
pub(super) struct Arguments {
    /// Configuration file, whose rules and budget count
    #[arg(short, long)]
    config: Option<PathBuf>,
    #[command(flatten)]
    input: Input,
    /// Known compromises, one a line: LOGIN,FROM,UNTIL (RFC 3339, or milliseconds since 1970)
    #[arg(long, value_name = "FILE.csv")]
    known: Option<PathBuf>,
    /// Write one JSON object for each message, in order: message, login, at, verdict, reason, test
    #[arg(long, value_name = "OUT.ndjson")]
    decisions: Option<PathBuf>,
    /// A suspension is lifted by itself after this, such as 4h; 0: at once. Without: never
    #[arg(long, value_name = "DURATION", value_parser = lift_after)]
    lift_after: Option<Duration>,
    /// Write the report as one page with plots, for a browser
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Show numbers in the place of names, so that the report may be shown to others
    #[arg(long)]
    redact: bool,
}

fn lift_after(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { duration(text) }
}

pub(super) fn backtest(arguments: &Arguments) -> Exit {
    match try_backtest(arguments) {
        Ok(exit) => exit,
        Err(Failed { exit, why }) => {
            eprintln!("gatepost backtest: {why}");
            exit
        }
    }
}

fn try_backtest(arguments: &Arguments) -> Result<Exit, Failed> {
    let known = match &arguments.known {
        Some(file) => Some(Known::read(file).map_err(|fault| Failed::of(&fault))?),
        None => None,
    };
    let mut history = arguments.input.open()?;
    let plans = plans(arguments, known)?;
    let bar = bar(&history);
    let trials = run(&mut history, plans, |history| bar.set_position(history.progress().read));
    bar.finish_and_clear();
    let trials = trials.map_err(|fault| match fault {
        RunFault::History(fault) => Failed::of(&fault),
        RunFault::Trial(why) => Failed { exit: Exit::No, why },
    })?;
    let mut report = Report {
        source: arguments.input.name(),
        trials: &trials,
        malformed: history.malformed(),
        out_of_order: history.out_of_order(),
        coverage: history.coverage(),
        lifts: arguments.lift_after.is_some(),
        names: Names::new(arguments.redact),
    };
    if let Some(file) = &arguments.report {
        let written = report.page().and_then(|page| Ok(std::fs::write(file, page)?));
        written.map_err(|fault| Failed {
            exit: Exit::No,
            why: format!("{}: {fault}", file.display()),
        })?;
    }
    say(&report.text());
    let share = report.coverage.as_ref().map(|coverage| coverage.share().unwrap_or(0.0));
    Ok(if share.is_some_and(|share| share < LEAST_COVERAGE) { Exit::No } else { Exit::Done })
}

/// The budget that is asked for, with all that is wanted of it, then the other two for their cost.
fn plans(arguments: &Arguments, known: Option<Known>) -> Result<Vec<Plan>, Failed> {
    let lift_after_ms =
        arguments.lift_after.map(|lift| i64::try_from(lift.as_millis()).unwrap_or(i64::MAX));
    let file = arguments.config.as_deref();
    let asked = match file {
        Some(file) => load(file)?.rules.detector.settings.budget,
        None => Budget::default(),
    };
    let mut each = match &arguments.decisions {
        Some(file) => Some(decisions(file).map_err(|fault| Failed {
            exit: Exit::No,
            why: format!("{}: {fault}", file.display()),
        })?),
        None => None,
    };
    let mut known = known;
    let mut budgets = Budget::ALL.to_vec();
    budgets.sort_by_key(|budget| *budget != asked);
    let plan = |budget| {
        let file = file.map(Path::to_path_buf);
        let site = move || site(file.as_deref(), budget, lift_after_ms);
        Plan { budget, replay: Box::new(site), known: known.take(), each: each.take() }
    };
    Ok(budgets.into_iter().map(plan).collect())
}

fn site(file: Option<&Path>, budget: Budget, lift_after_ms: Option<i64>) -> Result<Replay, String> {
    let (rules, directory) = match file {
        None => (None, None),
        Some(file) => {
            let Config { startup, rules, .. } = load(file).map_err(|failed| failed.why)?;
            let opened = open_directory(&startup, Arc::new(NoMeter));
            (Some(rules), opened.map_err(|fault| fault.to_string())?)
        }
    };
    Ok(Replay::new(Terms { rules, directory, budget: Some(budget), lift_after_ms }))
}

#[derive(Serialize)]
struct Line<'a> {
    message: &'a str,
    login: Option<&'a str>,
    at: i64,
    verdict: &'static str,
    reason: Option<&'static str>,
    test: Option<&'static str>,
}

impl<'a> Line<'a> {
    fn of(message: &'a Message, outcome: &Outcome) -> Self {
        Self {
            message: &message.id,
            login: message.login.as_ref().map(|login| login.raw()),
            at: message.at.unix_ms(),
            verdict: outcome.verdict.as_str(),
            reason: outcome.reason.map(|reason| reason.as_str()),
            test: outcome.test.map(|test| test.as_str()),
        }
    }
}

fn decisions(file: &Path) -> io::Result<Each> {
    let mut out: BufWriter<Box<dyn Write + Send>> = BufWriter::new(match file.to_str() {
        Some("-") => Box::new(io::stdout()),
        _ => Box::new(File::create(file)?),
    });
    Ok(Box::new(move |message, outcome| {
        serde_json::to_writer(&mut out, &Line::of(message, outcome))?;
        out.write_all(b"\n")
    }))
}
