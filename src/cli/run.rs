//! `gatepost run`, and the quick start.

use std::path::Path;

use crate::cli::{Exit, counted, host};
use crate::config::{self, Config, Socket};
use crate::daemon::{self, log};

/// Runs the daemon on a configuration file.
pub(super) fn daemon(file: &Path) -> Exit {
    start(file, |_| {})
}

/// Runs the daemon on the configuration of the quick start and says what can be tried.
pub(super) fn quickstart(file: &Path) -> Exit {
    if !file.exists() {
        eprintln!(
            "gatepost without a command is the quick start, which reads {}; there is none below this folder.\nRun it in a checkout, or name a configuration: gatepost run --config FILE (see gatepost --help)",
            file.display()
        );
        return Exit::NotFound;
    }
    start(file, welcome)
}

fn start(file: &Path, ready: impl FnOnce(&Welcome)) -> Exit {
    let host = host();
    let config = match config::load(file, &host) {
        Ok(config) => config,
        Err(faults) => {
            for fault in &faults {
                eprintln!("{fault}");
            }
            eprintln!("{}: not started: {}", file.display(), counted(faults.len(), "fault"));
            return Exit::No;
        }
    };
    let guard = match log::start(config.startup.log) {
        Ok(guard) => guard,
        Err(fault) => {
            eprintln!("cannot log to journald: {fault}; set log.format to \"human\" or \"json\"");
            return Exit::Unreachable;
        }
    };
    let welcome = Welcome::of(file, &config);
    let outcome = serve(file, config, &host, || {
        tracing::info!(version = env!("CARGO_PKG_VERSION"), file = %file.display(), "ready");
        ready(&welcome);
    });
    if let Err(fault) = &outcome {
        tracing::error!("not started: {fault}");
    }
    drop(guard);
    if outcome.is_ok() { Exit::Done } else { Exit::Unreachable }
}

fn serve(
    file: &Path,
    config: Config,
    host: &str,
    ready: impl FnOnce(),
) -> Result<(), daemon::StartFault> {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    for listen in &config.startup.listen {
        let listener = &listen.listener;
        tracing::info!(
            socket = &*listener.name,
            mta = &*listener.mta,
            mode = listener.mode.as_str(),
            "listening"
        );
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(daemon::run(file, config, host, ready))
}

/// What the quick start says.
struct Welcome {
    file: String,
    socket: Option<Socket>,
    http: Option<std::net::SocketAddr>,
}

impl Welcome {
    fn of(file: &Path, config: &Config) -> Self {
        Self {
            file: file.display().to_string(),
            socket: config.startup.listen.first().map(|listen| listen.endpoint.socket.clone()),
            http: config.startup.http,
        }
    }
}

fn welcome(welcome: &Welcome) {
    let file = &welcome.file;
    let Some(Socket::Inet(address)) = &welcome.socket else { return };
    let program = std::env::current_exe()
        .ok()
        .and_then(|path| {
            let here = std::env::current_dir().ok()?;
            Some(path.strip_prefix(&here).map_or_else(|_| path.clone(), Into::into))
        })
        .map_or_else(|| "gatepost".into(), |path| path.display().to_string());
    println!(
        "
gatepost answers Postfix policy delegation on {address}, by the rules of {file}.
Its people: alice may relay; bob may send to example.org only; carol may not send at all
(she is in No-Mail through a nested group); nobody else is known.

Ask as Postfix would, in another terminal:

  {program} ask --socket inet:{address} --login bob --sender bob@example.org --rcpt x@far.test

and gatepost answers

  550 5.7.1 [...] bob has no relay right: mail to far.test is not allowed

Then let it tell why (or paste the answer after --id):

  {program} explain -c {file} --login bob --sender bob@example.org --rcpt x@far.test
"
    );
    println!(
        "Without gatepost's own client:\n\n  printf 'request=smtpd_access_policy\\nprotocol_state=RCPT\\nclient_address=192.0.2.9\\nsasl_username=alice\\nsender=alice@example.org\\nrecipient=x@far.test\\n\\n' | nc -q1 {} {}\n",
        address.ip(),
        address.port()
    );
    if let Some(http) = welcome.http {
        println!("Metrics: http://{http}/metrics     Ctrl-C ends it.\n");
    }
}
