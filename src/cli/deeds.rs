//! `gatepost suspend`, `release`, `exempt`, `breaker`, `forget`, `backup`: what people change.

use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use serde::Serialize;

use crate::admin::{
    AskedBackup, AskedExempt, AskedRelease, AskedReset, AskedSuspend, Deed, Exempted,
    ExemptionEnded, Forgotten, Released, Status, Suspended,
};
use crate::cli::asking::{end, finish, get, moment, post, second, table, written};
use crate::cli::source::{Daemon, Failed};
use crate::cli::{Exit, Output, counted, say, shown};
use crate::engine::{Opened, Standing};
use crate::mail::Timestamp;

const CODES: &str = "Exit codes: 0 done; 1 a wrong argument; 3 the daemon cannot be reached; 4 there is no such thing; 5 you may not; 6 it stands otherwise; 75 not now.";

/// Why, and whether at all.
#[derive(clap::Args)]
pub(super) struct Why {
    /// Why; it is kept in the audit
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub note: String,
    /// Only tell what would be done
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub daemon: Daemon,
    #[arg(short, long, value_enum, default_value = "human")]
    pub output: Output,
}

impl Why {
    fn deed(&self, login: &str) -> Deed {
        Deed { login: login.into(), note: self.note.clone(), dry_run: self.dry_run }
    }

    fn done<'a>(&self, done: &'a str, would: &'a str) -> &'a str {
        if self.dry_run { would } else { done }
    }
}

#[derive(clap::Args)]
#[command(after_help = format!("What the account sent before is forgiven. After true-positive what the thief taught is forgotten, and the account is on
probation for 48 hours, with limits of 0.3 of the usual; after the other two what was counted is usual from now on.

{CODES}

Examples:
  gatepost release alice --verdict true-positive --note 'password changed, ticket 4711'
  gatepost release 3F9K2M7QW1ZT --verdict false-positive --note 'invitations to the summer school' --dry-run"))]
pub(super) struct Release {
    /// SASL login in any of its forms, client:ADDRESS, or the id of the suspension
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    login: String,
    /// What it was
    #[arg(long, value_parser = PossibleValuesParser::new(["true-positive", "false-positive", "authorised-bulk"]))]
    verdict: String,
    /// Release though the password was not changed since
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    why: Why,
}

pub(super) fn release(arguments: &Release) -> Exit {
    finish(try_release(arguments))
}

fn try_release(arguments: &Release) -> Result<String, Failed> {
    let Release { login, verdict, force, why } = arguments;
    let asked = AskedRelease { deed: why.deed(login), verdict: verdict.clone(), force: *force };
    let released: Released = post(&why.daemon, "/release", &asked)?;
    Ok(written(&released, why.output, |released| {
        let Released { id, login, since, imposed, because, password_set, probation_until } =
            released;
        let done = why.done("is released", "would be released");
        let mut text = format!(
            "{} {done}: suspended by {id} since {}\n  {}\n",
            shown(login),
            second(imposed),
            shown(because)
        );
        // What a person suspends needs no message.
        if since != imposed {
            text += &format!("  the first message of it came at {}\n", second(since));
        }
        let is_client = login.starts_with("client:");
        if let Some(set) = password_set {
            text += &format!("  its password was last set at {}\n", second(set));
        } else if verdict == "true-positive" && !is_client {
            text += "  the directory does not tell when its password was last set: make sure that it was changed\n";
        }
        if verdict == "authorised-bulk" {
            text += "  whoever writes to many by trade belongs into [detector] bulk\n";
        }
        if let Some(until) = probation_until {
            text += &format!("  on probation until {}\n", second(until));
        }
        text
    }))
}

#[derive(clap::Args)]
#[command(after_help = format!("{CODES} Of several
logins the highest; with --output json each has an object of its own.

Examples:
  gatepost suspend alice --note 'phished, ticket 4711'
  gatepost suspend --from-file phished.txt --for 7d --note 'list of the CERT'"))]
pub(super) struct Suspend {
    /// SASL logins, or client:ADDRESS
    #[arg(required_unless_present = "from_file")]
    logins: Vec<String>,
    /// Further logins, one a line; # begins a comment
    #[arg(long)]
    from_file: Option<PathBuf>,
    /// Until then, or for so long: 2026-12-24, 2026-12-24T18:00:00Z, 48h; else until it is released
    #[arg(long, visible_alias = "for", value_parser = end)]
    until: Option<Timestamp>,
    #[command(flatten)]
    why: Why,
}

pub(super) fn suspend(arguments: &Suspend) -> Exit {
    let mut logins = arguments.logins.clone();
    if let Some(file) = &arguments.from_file {
        match std::fs::read_to_string(file) {
            Ok(text) => logins.extend(names(&text)),
            Err(fault) => {
                eprintln!("{}: {fault}", file.display());
                return Exit::No;
            }
        }
    }
    if logins.is_empty() {
        eprintln!("no login is named");
        return Exit::No;
    }
    let mut worst = Exit::Done;
    for login in &logins {
        let exit = finish(suspend_one(arguments, login));
        // Of the others it would say the same.
        if matches!(exit, Exit::Unreachable | Exit::Forbidden) {
            return exit;
        }
        if exit as u8 > worst as u8 {
            worst = exit;
        }
    }
    worst
}

fn names(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(Into::into)
}

fn suspend_one(arguments: &Suspend, login: &str) -> Result<String, Failed> {
    let why = &arguments.why;
    let asked = AskedSuspend { deed: why.deed(login), until: arguments.until };
    let suspended: Suspended = post(&why.daemon, "/suspend", &asked)?;
    Ok(written(&suspended, why.output, |suspended| {
        let until = suspended.until.as_deref().map_or("its release".into(), second);
        let login = shown(&suspended.login);
        // An id that nothing will have is none.
        if why.dry_run {
            return format!("{login} would be suspended until {until}\n");
        }
        format!("{login} is suspended until {until}, by {}\n", suspended.id)
    }))
}

#[derive(Subcommand)]
pub(super) enum Exempt {
    /// Spare an account the detector for a time; a suspension that stands ends
    Add(ExemptAdd),
    /// Those in force
    List {
        #[command(flatten)]
        daemon: Daemon,
        #[arg(short, long, value_enum, default_value = "human")]
        output: Output,
    },
    /// End one before its time
    Remove {
        login: String,
        #[command(flatten)]
        why: Why,
    },
}

#[derive(clap::Args)]
#[command(after_help = format!("{CODES}

Examples:
  gatepost exempt add rectorate --novelty --recipients 400 --until 2026-12-24 --note 'invitations, ticket 4712'
  gatepost exempt add scanner --until 30d --note 'new device, learns'"))]
pub(super) struct ExemptAdd {
    login: String,
    /// Only the tests of whom its messages go to: an announced mailing
    #[arg(long)]
    novelty: bool,
    /// It ends with so many recipients in all
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    recipients: Option<u32>,
    /// Its end: 2026-12-24, 2026-12-24T18:00:00Z, 48h
    #[arg(long, value_parser = end)]
    until: Timestamp,
    #[command(flatten)]
    why: Why,
}

pub(super) fn exempt(command: &Exempt) -> Exit {
    finish(match command {
        Exempt::Add(arguments) => exempt_add(arguments),
        Exempt::List { daemon, output } => exempt_list(daemon, *output),
        Exempt::Remove { login, why } => exempt_remove(login, why),
    })
}

fn exempt_add(arguments: &ExemptAdd) -> Result<String, Failed> {
    let ExemptAdd { login, novelty, recipients, until, why } = arguments;
    let asked = AskedExempt {
        deed: why.deed(login),
        until: *until,
        novelty: *novelty,
        recipients: *recipients,
    };
    let exempted: Exempted = post(&why.daemon, "/exempt", &asked)?;
    Ok(written(&exempted, why.output, |exempted| {
        let done = why.done("is exempt", "would be exempt");
        let lifted = exempted
            .lifted
            .as_ref()
            .map(|id| format!("; its suspension {id} {}", why.done("has ended", "would end")));
        let lifted = lifted.unwrap_or_default();
        let until = second(&exempted.until);
        format!("{} {done} until {until}{lifted}\n", shown(&exempted.login))
    }))
}

fn exempt_list(daemon: &Daemon, output: Output) -> Result<String, Failed> {
    let mut all: Vec<Standing> = get(daemon, "/accounts")?;
    all.retain(|standing| standing.exemption.is_some());
    Ok(written(&all, output, |all| {
        let lines = all.iter().filter_map(|standing| {
            let exemption = standing.exemption.as_ref()?;
            let most = exemption.recipients.map_or("any".into(), |most| most.to_string());
            Some(vec![
                standing.login.clone(),
                exemption.tests.clone(),
                moment(exemption.until),
                format!("{} of {most}", exemption.used),
            ])
        });
        table(&["login", "spared tests", "until", "recipients"], lines, "nobody is exempt")
    }))
}

fn exempt_remove(login: &str, why: &Why) -> Result<String, Failed> {
    let ended: ExemptionEnded = post(&why.daemon, "/exempt/end", &why.deed(login))?;
    Ok(written(&ended, why.output, |ended| {
        let done = why.done("is exempt no more", "would be exempt no more");
        let ExemptionEnded { login, until, used } = ended;
        let login = shown(login);
        format!(
            "{login} {done}; it was until {}, and spared {}\n",
            second(until),
            counted(*used as usize, "recipient")
        )
    }))
}

#[derive(Subcommand)]
pub(super) enum Breaker {
    /// Whether it is open, and why
    Status {
        #[command(flatten)]
        daemon: Daemon,
        #[arg(short, long, value_enum, default_value = "human")]
        output: Output,
    },
    /// Close it: accounts are suspended again
    Reset {
        /// That of what only observes
        #[arg(long)]
        observe: bool,
        #[command(flatten)]
        why: Why,
    },
}

pub(super) fn breaker(command: &Breaker) -> Exit {
    match command {
        Breaker::Status { daemon, output } => breaker_status(daemon, *output),
        Breaker::Reset { observe, why } => finish(breaker_reset(*observe, why)),
    }
}

/// Null where it is closed.
#[derive(Serialize)]
struct Breakers {
    breaker: Option<Opened>,
    shadow_breaker: Option<Opened>,
}

const TO_CLOSE: &str = "  until it is closed the detector holds, and suspends nobody; whom it suspended tells gatepost suspensions list
  to close   find out whether they are thieves, then gatepost breaker reset --note ...
";

fn breaker_status(daemon: &Daemon, output: Output) -> Exit {
    let status: Status = match get(daemon, "/status") {
        Ok(status) => status,
        Err(failed) => return finish(Err(failed)),
    };
    let of = |name: &str, opened: &Option<Opened>| match opened {
        Some(opened) => format!(
            "the {name} is open since {}: {} of {} were suspended within 10 minutes\n",
            moment(opened.at),
            opened.suspensions,
            counted(opened.accounts as usize, "account")
        ),
        None => format!("the {name} is closed\n"),
    };
    let both = Breakers { breaker: status.breaker, shadow_breaker: status.shadow_breaker };
    say(&written(&both, output, |both| {
        let next = both.breaker.as_ref().map_or("", |_| TO_CLOSE);
        of("breaker", &both.breaker) + next + &of("breaker of shadows", &both.shadow_breaker)
    }));
    if both.breaker.is_some() { Exit::No } else { Exit::Done }
}

fn breaker_reset(observe: bool, why: &Why) -> Result<String, Failed> {
    let asked = AskedReset { note: why.note.clone(), dry_run: why.dry_run, observe };
    let opened: Opened = post(&why.daemon, "/breaker/reset", &asked)?;
    Ok(written(&opened, why.output, |opened| {
        let done = why.done("is closed", "would be closed");
        let name = if observe { "breaker of shadows" } else { "breaker" };
        format!("the {name} {done}; it was open since {}\n", moment(opened.at))
    }))
}

#[derive(clap::Args)]
#[command(after_help = CODES)]
pub(super) struct Forget {
    /// SASL login, client:ADDRESS, or the id of a suspension
    login: String,
    #[command(flatten)]
    why: Why,
}

pub(super) fn forget(arguments: &Forget) -> Exit {
    let Forget { login, why } = arguments;
    let told = post(&why.daemon, "/forget", &why.deed(login));
    finish(told.map(|forgotten: Forgotten| {
        written(&forgotten, why.output, |Forgotten { login, messages }| {
            let done = why.done("is forgotten", "would be forgotten");
            let messages = counted(*messages as usize, "message");
            format!("what was known of {} {done}: {messages}\n", shown(login))
        })
    }))
}

#[derive(clap::Args)]
#[command(after_help = format!("{CODES}

Examples:
  gatepost backup /var/lib/gatepost/backup.redb"))]
pub(super) struct Backup {
    /// Where the daemon writes the copy; nothing may be there yet
    path: PathBuf,
    #[command(flatten)]
    daemon: Daemon,
    #[arg(short, long, value_enum, default_value = "human")]
    output: Output,
}

pub(super) fn backup(arguments: &Backup) -> Exit {
    let asked = AskedBackup { path: arguments.path.clone() };
    let told = post(&arguments.daemon, "/backup", &asked);
    finish(told.map(|copied: AskedBackup| {
        written(&copied, arguments.output, |AskedBackup { path }| {
            let path = path.display().to_string();
            format!("the store is copied to {}; keep the hash key with it\n", shown(&path))
        })
    }))
}
