//! `gatepost queue-helper`

use std::path::PathBuf;

use crate::cli::{Exit, counted};
use crate::config::{Log, LogFormat};
use crate::daemon::log;
use crate::observe::LoggedDecisions;
use crate::queue_helper::{self, StartFault};

#[derive(clap::Args)]
#[command(
    after_help = "Started by gatepost-queue.socket; by itself with socket = \"unix:/path\" in its file.

Exit codes: 0 stopped; 1 faults in its file; 3 it cannot listen."
)]
pub(super) struct Arguments {
    /// The helper's own file
    #[arg(short, long, default_value = "/etc/gatepost/queue-helper.toml")]
    config: PathBuf,
    /// Only tell the faults of the file
    #[arg(long)]
    check: bool,
}

pub(super) fn help(arguments: &Arguments) -> Exit {
    let checked = queue_helper::check(&arguments.config);
    let file = arguments.config.display();
    if let Err(StartFault::Configuration(faults)) = &checked {
        faults.iter().for_each(|fault| eprintln!("{fault}"));
        eprintln!("{file}: {}", counted(faults.len(), "fault"));
        return Exit::No;
    }
    if arguments.check {
        println!("{file}: no faults");
        return Exit::Done;
    }
    let kind = Log {
        format: LogFormat::Human,
        level: tracing::Level::INFO,
        decisions: LoggedDecisions::None,
    };
    let guard = log::start(kind);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = match runtime {
        Ok(runtime) => runtime.block_on(queue_helper::run(&arguments.config, || {
            tracing::info!(version = env!("CARGO_PKG_VERSION"), "ready");
        })),
        Err(fault) => Err(StartFault::Other(fault)),
    };
    if let Err(fault) = &served {
        tracing::error!("not started: {fault}");
    }
    drop(guard);
    if served.is_ok() { Exit::Done } else { Exit::Unreachable }
}
