//! Programs the suite runs: found with the Debian package that brings them, started with a log,
//! signalled and ended by pid; and the one way to wait, a probe with a deadline.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a busy machine with two cores; a healthy step takes milliseconds.
pub const DEADLINE: Duration = Duration::from_secs(30);
const BETWEEN_PROBES: Duration = Duration::from_millis(10);

/// Probes until there is a value. Panics with `what` after `DEADLINE`.
#[track_caller]
pub fn until<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    match within(DEADLINE, probe) {
        Some(value) => value,
        None => panic!("{what}: not within {DEADLINE:?}"),
    }
}

/// `None` when the limit passes without a value. The one clock and the one pause of the suite: a
/// process, a socket and a file of others can only be waited for.
#[allow(clippy::disallowed_methods)]
pub fn within<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = probe() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        thread::sleep(BETWEEN_PROBES);
    }
}

/// A started program, a process group of its own. Dropped, the group is killed.
pub struct Process {
    name: &'static str,
    child: Child,
    pub log: PathBuf,
}

impl Process {
    /// Standard output and error go to `log`, which is made anew.
    pub fn start(name: &'static str, command: &mut Command, log: PathBuf) -> Process {
        Process::start_fed(name, command, Stdio::null(), log)
    }

    /// With this standard input.
    pub fn start_fed(
        name: &'static str,
        command: &mut Command,
        stdin: Stdio,
        log: PathBuf,
    ) -> Process {
        let file = File::create(&log).expect("the log can be made");
        let child = command
            .process_group(0)
            .stdin(stdin)
            .stdout(file.try_clone().expect("the log's descriptor can be doubled"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Process { name, child, log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal)
            .unwrap_or_else(|error| panic!("{} takes no signal: {error}", self.name));
    }

    /// SIGSTOP, and waits until every thread has stopped (proc(5), `stat`).
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        let threads = PathBuf::from(format!("/proc/{}/task", self.pid()));
        until(&format!("{} is frozen", self.name), || {
            let mut threads = fs::read_dir(&threads).ok()?.flatten();
            threads.all(|thread| read(&thread.path().join("stat")).contains(") T ")).then_some(())
        });
    }

    pub fn written(&self) -> String {
        read(&self.log)
    }

    /// Waits until the log has `text`. Panics with the log when the program ends before.
    #[track_caller]
    pub fn wait_for_log(&mut self, text: &str) {
        let log = self.log.clone();
        self.wait_until(&format!("logs \"{text}\""), || read(&log).contains(text));
    }

    /// Waits until this is so. Panics with the log when the program ends before.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, mut done: impl FnMut() -> bool) {
        until(&format!("{} {what}", self.name), || {
            if done() {
                return Some(());
            }
            if let Some(status) = self.ended() {
                panic!("{} ended with {status}:\n{}", self.name, self.written());
            }
            None
        });
    }

    #[track_caller]
    pub fn wait_for_end(&mut self, limit: Duration) -> ExitStatus {
        let ended = within(limit, || self.ended());
        ended.unwrap_or_else(|| {
            panic!("{} does not end within {limit:?}:\n{}", self.name, self.written())
        })
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("an own child can be waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // What it holds is thrown away with the lab, so it needs no time to say goodbye.
        kill_process_group(Pid::from_child(&self.child), Signal::KILL).ok();
        self.child.wait().ok();
    }
}

/// Where the program is. Panics with the Debian package when it is missing.
pub fn program(name: &str, package: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/usr/bin"])
        .map(|folder| Path::new(folder).join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is missing: install the Debian package {package}"))
}

/// Runs to the end and returns what was printed. Panics with both outputs at a failure.
#[track_caller]
pub fn output(command: &mut Command) -> String {
    let done = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let printed = String::from_utf8_lossy(&done.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {}\n{printed}{complaint}", done.status);
    printed
}

/// The whole file, empty when it is not there (yet).
pub fn read(file: &Path) -> String {
    String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned()
}
