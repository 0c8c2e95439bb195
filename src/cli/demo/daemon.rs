//! This very program as other processes: the daemon, and the commands people type.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::cli::demo::site::Site;

/// A start takes milliseconds, a stop at most the 10 s of `server.drain`.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Its log goes to the folder.
    pub fn start(site: &Site) -> Result<Self, String> {
        let log = site.path("gatepost.log");
        let file = File::create(&log).map_err(|fault| format!("{}: {fault}", log.display()))?;
        let child = gatepost(site, &["run", "-c", "gatepost.toml"])?
            .env("NOTIFY_SOCKET", site.path("notify.sock"))
            .stdout(Stdio::null())
            .stderr(file)
            .spawn();
        let child = child.map_err(|fault| format!("the daemon: {fault}"))?;
        Ok(Self { child, log })
    }

    /// Waits until it is, and tells how, with the last line of its log.
    pub async fn gone(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                let last = log.lines().next_back().unwrap_or("it logged nothing");
                format!("the daemon ended by itself: {status}\n{last}")
            }
            Err(fault) => format!("the daemon: {fault}"),
        }
    }

    /// As a service manager does.
    pub async fn stop(mut self) -> Result<(), String> {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("the daemon did not stop well: {status}")),
            Ok(Err(fault)) => Err(format!("the daemon: {fault}")),
            Err(_) => {
                let killed = self.child.kill().await;
                killed.map_err(|fault| format!("the daemon: {fault}"))?;
                Err(format!("the daemon did not stop within {} s", PATIENCE.as_secs()))
            }
        }
    }
}

/// Where a daemon says that it is ready (sd_notify(3)). Bound before it starts.
pub(super) struct Readiness(UnixDatagram);

impl Readiness {
    pub fn bind(site: &Site) -> Result<Self, String> {
        let path = site.path("notify.sock");
        // The path of a unix socket has at most 107 bytes (unix(7)).
        UnixDatagram::bind(&path)
            .map(Self)
            .map_err(|fault| format!("{}: {fault}; TMPDIR may name another place", path.display()))
    }

    pub async fn wait(&self) -> Result<(), String> {
        let mut text = [0; 1024];
        let ready = async {
            loop {
                let length = self.0.recv(&mut text).await.map_err(|fault| fault.to_string())?;
                if text[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                    return Ok(());
                }
            }
        };
        let waited = timeout(PATIENCE, ready).await;
        waited.unwrap_or_else(|_| {
            Err(format!("the daemon is not ready within {} s", PATIENCE.as_secs()))
        })
    }
}

/// Runs a command to its end, which should be with this exit code, and gives what it printed.
pub(super) async fn output(site: &Site, arguments: &[&str], code: i32) -> Result<String, String> {
    let name = arguments[0];
    let done = gatepost(site, arguments)?.output();
    let done = done.await.map_err(|fault| format!("{name}: {fault}"))?;
    if done.status.code() == Some(code) {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&done.stderr);
    Err(format!("gatepost {name} ended with {}: {}", done.status, complaint.trim_end()))
}

fn gatepost(site: &Site, arguments: &[&str]) -> Result<Command, String> {
    let mut command = Command::new(program()?);
    command.args(arguments).current_dir(site.folder()).stdin(Stdio::null()).kill_on_drop(true);
    // Ctrl-C is for the demo, which ends them in order.
    command.process_group(0);
    Ok(command)
}

pub(super) fn program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|fault| format!("where this program is: {fault}"))
}
