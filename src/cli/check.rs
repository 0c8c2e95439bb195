//! `gatepost check`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::look;
use crate::cli::{DEFAULT_FILE, Exit, counted, host, say, shown, small_runtime};
use crate::config::{self, Config, DirectorySource};
use crate::daemon::open_directory;
use crate::detector::{Budget, HELD_DAYS_PER_1000, Settings};
use crate::directory::meter::NoMeter;
use crate::directory::{Examined, FileDirectory, Verdict};
use crate::mail::Mode;
use crate::store::Embedded;

#[derive(clap::Args)]
#[command(
    after_help = "Exit codes: 0 no fault; 1 faults in the file or, with --online, in what it names.

Examples:
  gatepost check
  gatepost check new.toml --print
  gatepost check --online"
)]
pub(super) struct Arguments {
    /// Configuration file
    #[arg(default_value = DEFAULT_FILE)]
    file: PathBuf,
    /// The same, as the other commands take it
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
    /// Show the effective configuration, with the origin of every value
    #[arg(long, conflicts_with = "online")]
    print: bool,
    /// Then try out what it names: each server of the directory, the groups, the snapshot, the store's file, queue helpers
    #[arg(long)]
    online: bool,
}

/// Tells all faults and warnings of a file on stderr; with `print` the effective configuration, with
/// `online` what was tried out, on stdout.
pub(super) fn check(arguments: &Arguments) -> Exit {
    let path = arguments.config.as_ref().unwrap_or(&arguments.file);
    let file = path.display();
    let config = match config::load(path, &host()) {
        Ok(config) => config,
        Err(faults) => {
            for fault in &faults {
                eprintln!("{fault}");
            }
            eprintln!("{file}: {}", counted(faults.len(), "fault"));
            return Exit::No;
        }
    };
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    if arguments.print {
        say(&config::print(&config, &file.to_string()));
        return Exit::Done;
    }
    let warnings = match config.warnings.len() {
        0 => String::new(),
        some => format!(", {}", counted(some, "warning")),
    };
    say(&format!("{file}: no faults{warnings}\n"));
    if arguments.online {
        return check_online(&config);
    }
    say(&actions(&config));
    say(&false_alarms(&config));
    Exit::Done
}

/// Who hears of what.
fn actions(config: &Config) -> String {
    let each = config.startup.actions.iter().map(|action| {
        let events = action.wants.events.iter().map(|event| event.as_str()).collect::<Vec<_>>();
        let events = if events.is_empty() { "nothing".into() } else { events.join(", ") };
        let also = if action.wants.observe { ", also of what only observes" } else { "" };
        format!(
            "action {} ({}): told of {events}{also}\n",
            action.name,
            action.what.kind().as_str()
        )
    });
    each.collect()
}

/// What the detector will cost the innocent, in absolute numbers.
fn false_alarms(config: &Config) -> String {
    let detector = &config.rules.detector.settings;
    let accounts = match &config.startup.directory {
        Some(DirectorySource::File(path)) => {
            FileDirectory::open(path).ok().map(|file| file.size().0)
        }
        _ => None,
    };
    expected(detector, accounts)
}

/// `accounts`: `None` where nobody knows how many there are.
fn expected(detector: &Settings, accounts: Option<usize>) -> String {
    if detector.mode == Mode::Off {
        return String::new();
    }
    let users = accounts.map_or_else(|| "1000 users".into(), |known| counted(known, "account"));
    let number = accounts.unwrap_or(1000) as f64;
    let held = match detector.hold {
        Mode::Off => String::new(),
        Mode::Observe | Mode::Enforce => {
            let days = number * HELD_DAYS_PER_1000 / 1000.0;
            format!(", {days:.1} days of a user with mail on hold")
        }
    };
    let mut text = format!(
        "false alarms to expect of {users} in a month, if they write as those of email-Eu-core:\n"
    );
    for budget in Budget::ALL {
        let set = if budget == detector.budget { " (set)" } else { "" };
        let suspended = number * budget.share();
        let name = format!("budget {}{set}", budget.as_str());
        text += &format!("  {name:<16}  {suspended:.2} suspensions{held}\n");
    }
    text
}

fn check_online(config: &Config) -> Exit {
    let mut examined: Vec<Examined> =
        config.startup.store.keep.iter().map(|keep| look_at_store(&keep.path)).collect();
    examined.extend(look::at_queues(config));
    match &config.startup.directory {
        Some(DirectorySource::Ldap { .. }) => match examine(config) {
            Ok(directory) => examined.extend(directory),
            Err(fault) => examined.push(Examined::fault("directory", fault)),
        },
        _ if !examined.is_empty() => {}
        None => {
            say("nothing online to try: there is no [directory]\n");
            return Exit::Done;
        }
        Some(DirectorySource::File(path)) => {
            let path = path.display();
            say(&format!("nothing online to try: the directory is the file {path}\n"));
            return Exit::Done;
        }
    }
    say(&written(&examined));
    match examined.iter().any(|examined| examined.verdict == Verdict::Fault) {
        true => Exit::No,
        false => Exit::Done,
    }
}

/// Whether it could be opened; a running daemon has it open, so it is only looked at.
fn look_at_store(path: &Path) -> Examined {
    let name = path.display().to_string();
    // "store.redb" alone has a folder, too.
    let whole = std::path::absolute(path);
    match whole.map_err(Into::into).and_then(|path| Embedded::look(&path)) {
        Ok(()) => Examined::good(&name, "the store is there, or can be made"),
        Err(fault) => Examined::fault(&name, fault.to_string()),
    }
}

fn examine(config: &Config) -> Result<Vec<Examined>, String> {
    let runtime = small_runtime().map_err(|fault| fault.to_string())?;
    runtime.block_on(async {
        let directory = open_directory(&config.startup, Arc::new(NoMeter))
            .map_err(|fault| fault.to_string())?;
        match directory {
            Some(directory) => Ok(directory.examine(&config.rules.groups).wait().await),
            None => Ok(Vec::new()),
        }
    })
}

/// A line for each thing tried, what was found of them one below the other, and how many of each
/// kind there are.
fn written(examined: &[Examined]) -> String {
    let names: Vec<String> = examined.iter().map(|examined| shown(&examined.name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(NAME);
    let mut text = String::new();
    for (examined, name) in examined.iter().zip(names) {
        let verdict = match examined.verdict {
            Verdict::Good => "ok",
            Verdict::Warning => "warning",
            Verdict::Fault => "FAULT",
        };
        text += &format!("{name:<width$}  {verdict:<7}  {}\n", shown(&examined.what));
    }
    let count = |verdict| examined.iter().filter(|examined| examined.verdict == verdict).count();
    let (warnings, faults) = (count(Verdict::Warning), count(Verdict::Fault));
    text + &format!("online: {}, {}\n", counted(faults, "fault"), counted(warnings, "warning"))
}

/// A longer name, as a DN may be, moves its own line only.
const NAME: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn false_alarms_are_told_for_the_accounts_there_are() {
        let mut detector = Settings { budget: Budget::Third, ..Settings::default() };
        let told = "\
false alarms to expect of 240 accounts in a month, if they write as those of email-Eu-core:
  budget 0.3 (set)  0.07 suspensions, 3.7 days of a user with mail on hold
  budget 1          0.24 suspensions, 3.7 days of a user with mail on hold
  budget 3          0.72 suspensions, 3.7 days of a user with mail on hold
";
        assert_eq!(expected(&detector, Some(240)), told);
        assert!(expected(&detector, None).contains("of 1000 users in a month"));
        assert!(
            expected(&detector, None).contains("budget 1          1.00 suspensions, 15.3 days")
        );
        detector.hold = Mode::Off;
        assert!(expected(&detector, None).ends_with("  budget 3          3.00 suspensions\n"));
        detector.mode = Mode::Off;
        assert_eq!(expected(&detector, Some(240)), "");
    }

    #[test]
    fn verdicts_stand_below_one_another_and_are_counted() {
        let examined = [
            Examined::good("ldaps://dc1.example.org:636", "connected and bound in 12 ms"),
            Examined::warning("group \"Mail\"", "the directory has no such group"),
            Examined::fault("accounts", "none\u{1b}[2J"),
            Examined::good(&format!("group \"{}\"", "x".repeat(40)), "found"),
        ];
        let expected = "\
ldaps://dc1.example.org:636               ok       connected and bound in 12 ms
group \"Mail\"                              warning  the directory has no such group
accounts                                  FAULT    none\\u{1b}[2J
group \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"  ok       found
online: 1 fault, 1 warning
";
        assert_eq!(written(&examined), expected);
    }
}
