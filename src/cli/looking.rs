//! `gatepost status`, `accounts`, `audit`: what people look at.

use clap::Subcommand;

use crate::admin::{AskedAudit, AskedName, AskedNetwork, ByState, Status, TopSender, Waits};
use crate::cli::asking::{finish, get, moment, post, since, table, until, written};
use crate::cli::source::Daemon;
use crate::cli::suspensions::{envelopes, readings};
use crate::cli::{Exit, Output, counted, shown};
use crate::engine::{FromNetwork, ShownAccount, Standing};
use crate::mail::Timestamp;
use crate::record::Deed;

/// Whom to ask, and how to print.
#[derive(clap::Args)]
pub(super) struct Asked {
    #[command(flatten)]
    pub daemon: Daemon,
    #[arg(short, long, value_enum, default_value = "human")]
    pub output: Output,
}

pub(super) fn status(asked: &Asked) -> Exit {
    let status = get(&asked.daemon, "/status");
    finish(status.map(|status: Status| written(&status, asked.output, status_words)))
}

fn status_words(status: &Status) -> String {
    let mut text = format!(
        "gatepost {}  up since {}  detector {}, hold {}\n",
        status.version,
        moment(status.started),
        status.mode,
        status.hold
    );
    let last = status.last_question.map_or("none yet".into(), moment);
    text += &format!(
        "mail        {} charged, last question {last}\n",
        counted(status.messages as usize, "message")
    );
    match &status.accounts {
        Some(ByState { suspended, exempt, probation, held, watched, normal }) => {
            text += &format!(
                "accounts    {suspended} suspended, {exempt} exempt, {probation} on probation, {held} held, {watched} watched, {normal} normal\n"
            );
        }
        None => text += "accounts    not counted yet\n",
    }
    if let Some(oldest) = status.oldest {
        text += &format!("suspensions the oldest waits for a verdict since {}\n", moment(oldest));
    }
    let breaker = match &status.breaker {
        Some(opened) => {
            format!(
                "OPEN since {}: the detector suspends nobody; gatepost breaker status",
                moment(opened.at)
            )
        }
        None => "closed".into(),
    };
    text += &format!("breaker     {breaker}\n");
    if let Some(opened) = &status.shadow_breaker {
        text += &format!("            that of shadows is open since {}\n", moment(opened.at));
    }
    text += &match &status.store {
        None => format!("store       up, {} waiting\n", counted(status.outbox, "event")),
        Some(why) => format!("store       DOWN: {}\n", shown(why)),
    };
    for Waits { action, waiting, dead, last_fault, .. } in &status.actions {
        let waiting = counted(*waiting, "event");
        let letters = counted(*dead, "dead letter");
        let last = last_fault.as_deref().map(|why| format!("; the last fault: {}", shown(why)));
        text += &format!(
            "action      {}: {waiting} waiting, {letters}{}\n",
            shown(action),
            last.unwrap_or_default()
        );
    }
    text
}

#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true
)]
pub(super) struct Accounts {
    #[command(subcommand)]
    command: Option<AccountsCommand>,
    /// Who sent from this address or network within the last day
    #[arg(long, required = true)]
    client: Option<String>,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Subcommand)]
enum AccountsCommand {
    /// Those that send most
    Top {
        #[command(flatten)]
        asked: Asked,
    },
    /// One: its state, what it counts, what it sent last
    Show {
        /// SASL login, client:ADDRESS, or the id of a suspension
        login: String,
        #[command(flatten)]
        asked: Asked,
    },
    /// Those that something stands for or against
    List {
        #[command(flatten)]
        asked: Asked,
    },
}

pub(super) fn accounts(arguments: &Accounts) -> Exit {
    finish(match &arguments.command {
        Some(AccountsCommand::Top { asked }) => {
            let top = get(&asked.daemon, "/accounts/top");
            top.map(|top: Vec<TopSender>| written(&top, asked.output, |top| top_words(top)))
        }
        Some(AccountsCommand::Show { login, asked }) => {
            let shown = post(&asked.daemon, "/account", &AskedName { login: login.clone() });
            shown.map(|shown: ShownAccount| written(&shown, asked.output, account_words))
        }
        Some(AccountsCommand::List { asked }) => {
            let all = get(&asked.daemon, "/accounts");
            all.map(|all: Vec<Standing>| written(&all, asked.output, |all| standings(all)))
        }
        None => {
            let asked = &arguments.asked;
            let network = arguments.client.clone().unwrap_or_default();
            let found = post(&asked.daemon, "/accounts/client", &AskedNetwork { network });
            found.map(|found: Vec<FromNetwork>| written(&found, asked.output, |all| clients(all)))
        }
    })
}

fn top_words(top: &[TopSender]) -> String {
    let lines =
        top.iter().map(|sender| vec![sender.login.clone(), format!("{:.0}", sender.recipients)]);
    table(&["login", "recipients within an hour"], lines, "nobody has sent lately")
}

fn standings(all: &[Standing]) -> String {
    let lines = all.iter().map(|standing| {
        vec![
            standing.login.clone(),
            standing.state.clone(),
            if standing.state == "normal" { String::new() } else { until(standing.until) },
            standing.suspension.clone().unwrap_or_default(),
        ]
    });
    table(&["login", "state", "until", "suspension"], lines, "all accounts are as usual")
}

fn account_words(account: &ShownAccount) -> String {
    let standing = &account.standing;
    let mut text = format!("{} is {}", shown(&standing.login), stands(&standing.state));
    if standing.state != "normal" {
        text += &format!(" until {}", until(standing.until));
    }
    if let Some(id) = &standing.suspension {
        text += &format!(", by {id}");
    }
    text += "\n";
    let mut row = |name: &str, value: String| {
        text += &format!("  {name:<10} {}\n", shown(&value));
    };
    row("account", standing.account.clone());
    let last = account.last.map_or("never".into(), moment);
    row(
        "sent",
        format!(
            "{} to {}, last {last}",
            counted(account.messages as usize, "message"),
            counted(account.recipients as usize, "recipient")
        ),
    );
    row(
        "known",
        format!(
            "{:.0} days with mail, {}",
            account.active_days,
            counted(account.contacts, "contact")
        ),
    );
    if let Some(exemption) = &standing.exemption {
        row("exempt", format!("tests: {}, until {}", exemption.tests, moment(exemption.until)));
    }
    if standing.repeats > 0 {
        row(
            "repeats",
            format!("suspended {} within 30 days", counted(standing.repeats.into(), "time")),
        );
    }
    if !account.networks.is_empty() {
        row("networks", account.networks.join(", "));
    }
    text + &readings(&account.readings) + &envelopes(&account.envelopes)
}

fn stands(state: &str) -> &str {
    if state == "probation" { "on probation" } else { state }
}

fn clients(found: &[FromNetwork]) -> String {
    let lines = found.iter().map(|found| {
        vec![
            found.login.clone(),
            found.messages.to_string(),
            found.recipients.to_string(),
            moment(found.first),
            moment(found.last),
            found.clients.join(", "),
        ]
    });
    let names = ["login", "messages", "recipients", "first", "last", "clients"];
    table(&names, lines, "of what is remembered of the last day, nothing came from there")
}

/// Some fifty screens.
const DEEDS: usize = 1000;

#[derive(clap::Args)]
pub(super) struct Audit {
    /// Deeds since: 2026-11-01, 7d
    #[arg(long, default_value = "30d", value_parser = since)]
    since: Timestamp,
    /// Only those to this SASL login, in any of its forms, or client:ADDRESS
    #[arg(long)]
    login: Option<String>,
    /// At most so many, the earliest first [default: 1000]
    #[arg(long)]
    most: Option<usize>,
    #[command(flatten)]
    asked: Asked,
}

pub(super) fn audit(arguments: &Audit) -> Exit {
    let Audit { since, login, most, asked } = arguments;
    let limit = most.unwrap_or(DEEDS);
    let question = AskedAudit { since: *since, most: limit, login: login.clone() };
    let deeds = post(&asked.daemon, "/audit", &question);
    finish(deeds.map(|deeds: Vec<Deed>| {
        // Whoever names a number knows it.
        if let Some(last) = deeds.last().filter(|_| most.is_none() && deeds.len() == limit) {
            eprintln!(
                "there may be more: these are the first {} deeds, up to {}; name a later --since, or a greater --most",
                deeds.len(),
                moment(last.at)
            );
        }
        written(&deeds, asked.output, |deeds| audit_words(deeds))
    }))
}

/// `3F9K2M7QW1ZT true-positive: password changed`
fn about(deed: &Deed) -> String {
    let what = [&deed.incident, &deed.detail].into_iter().flatten().cloned();
    let what = what.collect::<Vec<_>>().join(" ");
    match &deed.note {
        Some(note) if what.is_empty() => note.clone(),
        Some(note) => format!("{what}: {note}"),
        None => what,
    }
}

fn audit_words(deeds: &[Deed]) -> String {
    let lines = deeds.iter().map(|deed| {
        let login = deed.login.clone().unwrap_or_default();
        vec![moment(deed.at), deed.by.clone(), deed.what.clone(), login, about(deed)]
    });
    let names = ["at", "by", "what", "login", "about"];
    table(&names, lines, "of that time and login nothing is recorded")
}
