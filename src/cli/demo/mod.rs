//! `gatepost demo`: a stolen login, from its first message to its release, on a daemon in a folder of its own.

mod daemon;
mod hook;
mod page;
mod scenes;
mod site;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::demo::daemon::{Daemon, Readiness};
use crate::cli::demo::hook::Hook;
use crate::cli::demo::page::Page;
use crate::cli::demo::scenes::{Stage, learn, story};
use crate::cli::demo::site::Site;
use crate::cli::{Exit, small_runtime};

#[derive(clap::Args)]
#[command(
    after_help = "A daemon with the people and rights of the quick start runs in a temporary folder, with a store on disk and
sockets of its own. alice works as usual, her thief follows, and the help desk lets her go on. Each command is
run as it is shown. Nothing else is touched, and at the end the daemon is stopped and the folder removed.

Exit codes: 0 all went as told; 1 something did not, or it was interrupted."
)]
pub(super) struct Arguments {
    /// Leave the daemon running until Ctrl-C, and the folder for good
    #[arg(long)]
    keep: bool,
    /// Without pauses
    #[arg(long)]
    fast: bool,
}

/// Plays it all. Whatever goes otherwise than it should is a failure.
pub(super) fn demo(arguments: &Arguments) -> Exit {
    let played = small_runtime()
        .map_err(|fault| fault.to_string())
        .and_then(|runtime| runtime.block_on(play(arguments)));
    match played {
        Ok(()) => Exit::Done,
        Err(why) => {
            eprintln!("gatepost demo: {why}");
            Exit::No
        }
    }
}

async fn play(arguments: &Arguments) -> Result<(), String> {
    let mut ends = Ends::new().map_err(|fault| fault.to_string())?;
    let mut hook = Hook::open().await?;
    let site = Site::make(&hook.url(), arguments.keep)?;
    let page = Page::new(!arguments.fast);
    page.welcome(&site);
    let stage = Stage::new(&site, &page);
    tokio::select! {
        biased;
        () = ends.any() => return Err("interrupted".into()),
        learnt = learn(&stage) => learnt?,
    }
    let readiness = Readiness::bind(&site)?;
    let mut daemon = Daemon::start(&site)?;
    let played = tokio::select! {
        biased;
        () = ends.any() => Err("interrupted".into()),
        fault = daemon.gone() => Err(fault),
        told = story(&stage, &readiness, &mut hook) => told,
    };
    if played.is_ok() && arguments.keep {
        page.goes_on(&site);
        tokio::select! {
            () = ends.any() => (),
            fault = daemon.gone() => return Err(fault),
            () = hook.tell_all(&page) => (),
        }
    }
    let stopped = daemon.stop().await;
    played.and(stopped)?;
    // What was told twice was told by now.
    if !arguments.keep && !hook.is_silent() {
        return Err("a notice came more than once".into());
    }
    page.farewell(site.end()?.as_deref());
    Ok(())
}

/// The signals by which people and programs end a command.
struct Ends([Signal; 3]);

impl Ends {
    fn new() -> std::io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
            _ = hangup.recv() => (),
        }
    }
}
