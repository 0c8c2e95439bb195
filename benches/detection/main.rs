//! How well the detector tells a thief from an owner: real mail metadata, with campaigns played into it.
//!
//! `cargo bench --bench detection -- FILE.tsv[.gz] [--fitting SENDERS] [--points N]`
//! FILE: unix time, sender, message, recipient, a row a recipient, senders and recipients in one namespace.
//! SENDERS: the senders the constants were fitted on, one a line; they write mail, but nothing is reported of
//! them.

mod campaigns;
mod figures;
mod site;

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use fastrand::Rng;
use gatepost::detector::Budget;
use gatepost::history::{History, Source};
use gatepost::mail::Timestamp;

use campaigns::{Campaign, Played};
use figures::{Benign, Table, interval, quantile};
use site::{Mail, Site};

/// Logins of 15 active days or more, and points of the first three days, each.
const POINTS: usize = 300;

const SEED: u64 = 1;

struct Options {
    file: PathBuf,
    fitting: Option<PathBuf>,
    points: usize,
}

fn main() -> ExitCode {
    let Some(options) = Options::read(std::env::args().skip(1)) else {
        eprintln!("usage: cargo bench --bench detection -- FILE.tsv[.gz] [--fitting SENDERS] [--points N]");
        // `cargo bench` without a file runs the other benches.
        return ExitCode::SUCCESS;
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("detection: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let fitting = options.fitting.as_ref().map(std::fs::read_to_string).transpose();
    let fitting: HashSet<String> = fitting
        .map_err(|fault| format!("the fitting senders: {fault}"))?
        .unwrap_or_default()
        .lines()
        .map(|line| line.trim().to_lowercase())
        .collect();
    let source = Source::Tsv(vec![options.file.clone()]);
    let mut history =
        History::open(source, Timestamp::default()).map_err(|fault| fault.to_string())?;
    let mail = Mail::read(&mut history, &fitting).map_err(|fault| fault.to_string())?;
    println!(
        "{}: {} messages, {} senders, {} of them reported on, {} user-months of those",
        options.file.display(),
        mail.messages.len(),
        mail.senders.len(),
        mail.reported().count(),
        mail.user_months()
    );
    println!(
        "The constants were fitted on the fitting senders of email-Eu-core (SNAP) and are frozen. Seed {SEED}, {} \
         points of established logins (15 active days or more) and {} of cold ones (their first 3 days); \
         campaigns are simulated: no real stolen login is in this mail.\n",
        options.points, options.points
    );
    for has_inbound in [true, false] {
        println!("## {} inbound mail\n", if has_inbound { "With" } else { "Without" });
        report_benign(&mail, has_inbound);
        report_campaigns(&mail, has_inbound, options.points);
    }
    Ok(())
}

/// Innocent mail: what it costs.
fn report_benign(mail: &Mail, has_inbound: bool) {
    let months = mail.user_months();
    let mut table = Table::new(&[
        "budget",
        "false suspensions / 1000 user-months [95 %]",
        "held user-days / 1000 [95 %]",
    ]);
    for budget in Budget::ALL {
        let benign = Benign::of(mail, budget, has_inbound);
        table.row([
            budget.as_str().into(),
            interval(benign.suspended, months),
            interval(benign.held, months),
        ]);
        if budget == Budget::One && has_inbound {
            benign.tell();
        }
    }
    let limits = Benign::of_fixed_limits(mail);
    for (name, days) in limits {
        table.row([name.into(), interval(days, months), "-".into()]);
    }
    table.print();
}

fn report_campaigns(mail: &Mail, has_inbound: bool, points: usize) {
    let mut table = Table::new(&[
        "campaign",
        "played",
        ">200 messages/h",
        ">500 recipients/d",
        "detected",
        "suspend only: leaked, median / 95 %",
        "with hold",
        "cold: played",
        "detected",
        "suspend only",
        "with hold",
    ]);
    let mut rng = Rng::with_seed(SEED);
    let played = campaigns::play_all(mail, has_inbound, points, &mut rng);
    for campaign in Campaign::ALL {
        let of = |cold| played.iter().filter(move |p| p.campaign == campaign && p.cold == cold);
        let (established, cold): (Vec<&Played>, Vec<&Played>) =
            (of(false).collect(), of(true).collect());
        table.row([
            campaign.as_str().into(),
            established.len().to_string(),
            leak(&established, |played| played.by_messages),
            leak(&established, |played| played.by_recipients),
            share(&established, |played| played.suspended),
            leaks(&established, |played| played.suspended),
            leaks(&established, |played| played.with_hold),
            cold.len().to_string(),
            share(&cold, |played| played.suspended),
            leaks(&cold, |played| played.suspended),
            leaks(&cold, |played| played.with_hold),
        ]);
    }
    table.print();
    println!("Leaked: recipients of messages accepted before the suspension, where it came; held ones that had not gone out after 30 minutes are not leaked.\n");
}

type Leak = fn(&Played) -> Option<u64>;

fn share(played: &[&Played], leak: Leak) -> String {
    let detected = played.iter().filter(|played| leak(played).is_some()).count();
    match played.len() {
        0 => "-".into(),
        all => format!("{:.0} %", detected as f64 * 100.0 / all as f64),
    }
}

fn leaks(played: &[&Played], leak: Leak) -> String {
    let mut leaked: Vec<u64> = played.iter().filter_map(|played| leak(played)).collect();
    leaked.sort_unstable();
    match leaked.is_empty() {
        true => "-".into(),
        false => format!("{}/{}", quantile(&leaked, 0.5), quantile(&leaked, 0.95)),
    }
}

fn leak(played: &[&Played], leak: Leak) -> String {
    format!("{} {}", share(played, leak), leaks(played, leak))
}

impl Options {
    fn read(arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self { file: PathBuf::new(), fitting: None, points: POINTS };
        // `cargo bench` adds one of its own.
        let mut arguments = arguments.filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--fitting" => options.fitting = Some(arguments.next()?.into()),
                "--points" => options.points = arguments.next()?.parse().ok()?,
                file => options.file = file.into(),
            }
        }
        (!options.file.as_os_str().is_empty()).then_some(options)
    }
}

impl Site {
    /// At a budget of 1, as campaigns are played.
    pub fn usual() -> Self {
        Self::new(Budget::One)
    }
}
