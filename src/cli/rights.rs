//! `gatepost rights`: who a login is and what it holds, or who holds a right.

use std::fmt::Write;

use clap::builder::NonEmptyStringValueParser;
use hyper::StatusCode;

use crate::admin::{self, AskedRights};
use crate::cli::asking::json;
use crate::cli::source::{Failed, Source};
use crate::cli::{Exit, Output, holders, say, shown, small_runtime};
use crate::daemon::clock;
use crate::decision::{Found, May, Portrait, ShownAccount, ShownEntry, ShownRight};

#[derive(clap::Args)]
#[command(
    group = clap::ArgGroup::new("question").required(true),
    after_help = "Exit codes: 0 it may submit; 1 it may not; 4 the directory does not know the login; 75 not known now.
With --who: 0 all are told; 75 the directory lists nobody now.

Examples:
  gatepost rights alice
  gatepost rights 'EXAMPLE\\alice' -o json
  gatepost rights --who relay
  gatepost rights -c new.toml --offline --who submit"
)]
pub(super) struct Arguments {
    /// SASL login, in any of its forms
    #[arg(group = "question", value_parser = NonEmptyStringValueParser::new())]
    login: Option<String>,
    /// Everybody who holds this right, and by what
    #[arg(long, group = "question", value_name = "RIGHT")]
    who: Option<holders::Right>,
    #[command(flatten)]
    source: Source,
    #[arg(short, long, value_enum, default_value = "human")]
    output: Output,
}

/// Prints the answer. The exit code says whether the login may submit.
pub(super) fn rights(arguments: &Arguments) -> Exit {
    let answered = match (&arguments.login, arguments.who) {
        (_, Some(right)) => holders::holders(right, &arguments.source, arguments.output),
        (login, None) => {
            let asked = AskedRights { login: login.clone().unwrap_or_default() };
            portray(&asked, &arguments.source).map(|portrait| {
                say(&written(&portrait, arguments.output));
                exit_of(&portrait)
            })
        }
    };
    answered.unwrap_or_else(|failed| failed.told())
}

fn exit_of(portrait: &Portrait) -> Exit {
    match (portrait.found, portrait.may_submit) {
        (Found::NotFound, _) => Exit::NotFound,
        (_, May::Yes) => Exit::Done,
        (_, May::No) => Exit::No,
        (_, May::NotNow) => Exit::Deferred,
    }
}

fn portray(asked: &AskedRights, source: &Source) -> Result<Portrait, Failed> {
    let runtime = small_runtime().map_err(|fault| Failed::unreachable(fault.to_string()))?;
    let no_login = || Failed { exit: Exit::No, why: "expected a login".into() };
    if source.offline {
        return runtime.block_on(async {
            let (engine, _) = source.engine()?;
            admin::portray(&engine, &asked.login, clock::now()).await.ok_or_else(no_login)
        });
    }
    let control = source.control()?;
    match runtime.block_on(control.post("/rights", asked))? {
        (StatusCode::OK, body) => serde_json::from_slice(&body).map_err(|fault| {
            Failed::unreachable(format!("the daemon's answer cannot be read: {fault}"))
        }),
        (status, body) => Err(Failed::of_answer(status, &body)),
    }
}

/// Everything that is printed, as one text.
fn written(portrait: &Portrait, output: Output) -> String {
    if output == Output::Json {
        return json(portrait);
    }
    let mut text = Text::default();
    text.line(&portrait.summary);
    text.line(&format!("  at {}, by the rules of {}", portrait.at, portrait.rules));
    text.line("");
    for step in &portrait.steps {
        text.row(&step.step, &step.outcome, &step.found);
    }
    if let Some(account) = &portrait.account {
        text.account(account);
    }
    text.line("");
    for right in &portrait.rights {
        text.right(right);
    }
    text.line("");
    text.senders(portrait);
    if portrait.account.is_some() && !portrait.groups.is_empty() {
        text.line("");
        for group in &portrait.groups {
            let way = match group.path.is_empty() {
                true => String::new(),
                false => format!(" ({})", group.path.join(" -> ")),
            };
            text.row("group", &group.member, &format!("{}{way}", group.group));
        }
    }
    text.0
}

/// What is told, line by line.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.0, "{}", shown(line));
    }

    fn row(&mut self, name: &str, outcome: &str, found: &str) {
        self.line(format!("  {name:<10} {outcome:<18} {found}").trim_end());
    }

    fn settled(&mut self, words: &str, line: &str) {
        self.row("", "", &format!("{words} {line}"));
    }

    fn account(&mut self, account: &ShownAccount) {
        let age = match account.age_ms / 1000 {
            0 => "told by the directory just now".into(),
            seconds => format!("told by the directory {seconds} s ago"),
        };
        self.row("account", &account.state, &age);
        if let Some(dn) = &account.dn {
            self.row("", "dn", dn);
        }
        if let Some(set) = &account.password_set {
            self.row("", "password set", set);
        }
        self.row("", "logins", &account.logins.join(", "));
        if !account.addresses.is_empty() {
            self.row("", "addresses", &account.addresses.join(", "));
        }
    }

    fn right(&mut self, right: &ShownRight) {
        self.row(&right.right, right.verdict.as_str(), &right.found);
        if let Some(line) = &right.settled_by {
            self.settled("settled by", line);
        }
        for entry in &right.also {
            self.row("", &also(entry), &entry.what);
            self.settled("at", &entry.line);
        }
        if let Some(verdict) = right.observed {
            let what = format!("if the grants that only observe counted: {}", verdict.as_str());
            self.row("", "observed", &what);
        }
        for note in &right.notes {
            self.row("", "note", note);
        }
    }

    fn senders(&mut self, portrait: &Portrait) {
        let own = match &*portrait.sender_ownership {
            "off" => "any: [sender] ownership is \"off\"",
            "observe" => "its own addresses and the null sender; others are observed only",
            _ => "its own addresses and the null sender",
        };
        self.row("sender", "may use", own);
        for granted in &portrait.senders {
            let verb = if granted.is_known { "may use" } else { "perhaps may use" };
            let what = format!("{}: {}", granted.senders.join(", "), granted.what);
            self.row("", verb, &what);
            self.settled("at", &granted.line);
        }
    }
}

/// What an entry beside the one that settled a right does.
fn also(entry: &ShownEntry) -> String {
    let (allows, allow) = match &*entry.ruling {
        "deny" => ("denies", "deny"),
        _ => ("allows", "allow"),
    };
    match (&*entry.mode, entry.is_known) {
        ("observe", true) => format!("would {allow}"),
        ("observe", false) => format!("perhaps would {allow}"),
        (_, true) => format!("also {allows}"),
        (_, false) => format!("perhaps {allows}"),
    }
}
