//! Past mail as a command takes it, and how far it is read.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;

use crate::cli::source::Failed;
use crate::daemon::clock;
use crate::history::{History, Source};

/// Past mail.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct InputFiles {
    /// Files of one JSON object a line: at (ms since 1970), login, client, sender, recipients, message
    #[arg(long, value_name = "FILE", num_args = 1..)]
    envelopes: Vec<PathBuf>,
    /// Files of one recipient a line, separated by tabs: unix time, login, message, recipient
    #[arg(long, value_name = "FILE", num_args = 1..)]
    tsv: Vec<PathBuf>,
    /// Logs of Postfix and Sendmail, rotated ones too, or `journalctl -o json`
    #[arg(long, value_name = "FILES", num_args = 1..)]
    maillog: Vec<PathBuf>,
}

#[derive(clap::Args)]
pub(super) struct Input {
    #[command(flatten)]
    files: InputFiles,
    /// The time zone of logs whose stamps have none, such as Europe/Berlin [default: this machine's]
    #[arg(long, value_name = "ZONE", value_parser = zone, requires = "maillog")]
    zone: Option<TimeZone>,
}

impl Input {
    /// Opens it; files may be plain, gzip, xz or zstd, and `-` is stdin.
    pub fn open(&self) -> Result<History, Failed> {
        let InputFiles { envelopes, tsv, maillog } = &self.files;
        let source = if !envelopes.is_empty() {
            Source::Envelopes(envelopes.clone())
        } else if !tsv.is_empty() {
            Source::Tsv(tsv.clone())
        } else {
            let zone = self.zone.clone().unwrap_or_else(TimeZone::system);
            Source::Maillog { files: maillog.clone(), zone }
        };
        History::open(source, clock::now()).map_err(|fault| Failed::of(&fault))
    }

    pub fn name(&self) -> String {
        let InputFiles { envelopes, tsv, maillog } = &self.files;
        let mut files = envelopes.iter().chain(tsv).chain(maillog);
        match (files.next(), files.count()) {
            (Some(first), 0) if first.as_os_str() == "-" => "stdin".into(),
            (Some(first), 0) => first.display().to_string(),
            (Some(first), more) => format!("{} and {more} more", first.display()),
            (None, _) => String::new(),
        }
    }
}

fn zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|fault| fault.to_string())
}

/// On a terminal alone.
pub(super) fn bar(history: &History) -> ProgressBar {
    let total = history.progress().total;
    let bar = match total {
        _ if !io::stderr().is_terminal() => return ProgressBar::hidden(),
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::no_length(),
    };
    let style =
        ProgressStyle::with_template("{bar:40} {percent} % {bytes} of {total_bytes}, {eta}");
    if let (Ok(style), Some(_)) = (style, total) {
        bar.set_style(style);
    }
    bar
}
