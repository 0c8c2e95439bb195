//! A command: run without a shell, with the event's JSON on standard input, for a while and no longer.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command as Process};

use crate::action::Told;

/// What is kept of its output, of each stream; the rest is read and dropped.
const OUTPUT_BYTES: usize = 4096;

/// How long output is read once the command has ended.
const LEFTOVERS: Duration = Duration::from_millis(200);

/// Where programs are found when gatepost itself was told nothing.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[derive(Clone, Debug)]
pub struct Settings {
    /// The program, by its absolute path.
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub timeout: Duration,
    /// Runs at once.
    pub at_once: usize,
}

pub struct Command {
    settings: Settings,
}

impl Command {
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Any end but exit code 0 is a failure.
    pub async fn run(&self, told: &Told) -> Result<(), String> {
        let Settings { program, arguments, timeout, .. } = &self.settings;
        let path = std::env::var_os("PATH").unwrap_or_else(|| PATH.into());
        let started = Process::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", path)
            .env("GATEPOST_EVENT", told.notice.event.as_str())
            .env("GATEPOST_ID", told.id())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Of its own, so that it is ended with all it started.
            .process_group(0)
            .spawn();
        let child = started.map_err(|fault| format!("{}: {fault}", program.display()))?;
        let mut running = Running { group: child.id(), child };
        let ended = tokio::time::timeout(*timeout, running.end(told.body.as_bytes())).await;
        let Ok(ended) = ended else {
            return Err(format!("not done within {} s, and killed", timeout.as_secs_f32()));
        };
        let (status, output) = ended.map_err(|fault| fault.to_string())?;
        let shown = printable(&output);
        tracing::info!(
            program = %program.display(),
            event = told.notice.event.as_str(),
            id = &*told.notice.id,
            %status,
            output = shown,
            "a command has run"
        );
        match status.success() {
            true => Ok(()),
            false => Err(format!("{status}{}{shown}", if shown.is_empty() { "" } else { ": " })),
        }
    }
}

/// Dropped before its end, its group is killed.
struct Running {
    child: Child,
    group: Option<u32>,
}

impl Running {
    /// Feeds it and waits for its end, and what it wrote. Whoever inherited its output does not keep it from ending.
    async fn end(&mut self, input: &[u8]) -> std::io::Result<(ExitStatus, Vec<u8>)> {
        let mut stdin = self.child.stdin.take();
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let feed = async {
            if let Some(mut pipe) = stdin.take() {
                // One that does not want it has closed it.
                let _ = pipe.write_all(input).await;
            }
        };
        let (mut printed, mut complained) = (Vec::new(), Vec::new());
        let read = async {
            tokio::join!(keep(stdout, &mut printed), keep(stderr, &mut complained));
        };
        let child = &mut self.child;
        let status = {
            let io = async { tokio::join!(feed, read) };
            tokio::pin!(io);
            tokio::select! {
                status = child.wait() => {
                    // What it wrote before its end is in the pipe by now; a child of its own may keep that open.
                    let _ = tokio::time::timeout(LEFTOVERS, &mut io).await;
                    status
                }
                _ = &mut io => child.wait().await,
            }
        }?;
        // What it left running is none of ours, and its number may be somebody else's by now.
        self.group = None;
        printed.append(&mut complained);
        Ok((status, printed))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = self.group.and_then(|id| i32::try_from(id).ok());
        if let Some(group) = group {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

/// Reads to the end and keeps the beginning.
async fn keep(from: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let room = OUTPUT_BYTES - kept.len();
        kept.extend_from_slice(&bytes[..read.min(room)]);
    }
}

/// In one line, as a log takes it.
fn printable(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" | ").chars().filter(|c| !c.is_control()).collect()
}
