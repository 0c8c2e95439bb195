//! The gatepost under test: its configuration and people, its start, signals and end.

use crate::certificates;
use crate::lab::{Ports, note_pid};
use crate::postfix::SOCKET;
use crate::process::{DEADLINE, Process, read, until};
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

pub struct Gatepost {
    folder: PathBuf,
    process: Option<Process>,
    runs: usize,
}

impl Gatepost {
    pub fn start_with(folder: &Path, configuration: &str) -> Gatepost {
        let mut gatepost = Gatepost { folder: folder.to_owned(), process: None, runs: 0 };
        fs::write(gatepost.configuration(), configuration).expect("a file can be written");
        fs::write(gatepost.people(), PEOPLE).expect("a file can be written");
        gatepost.run();
        gatepost
    }

    /// Starts with the configuration as it now is, and waits until it is ready.
    pub fn run(&mut self) {
        self.runs += 1;
        let mut process =
            Process::start("gatepost", &mut command(&self.configuration()), self.log());
        note_pid(&self.folder, "gatepost", process.pid());
        process.wait_for_log("ready");
        self.process = Some(process);
    }

    pub fn configuration(&self) -> PathBuf {
        self.folder.join("gatepost.toml")
    }

    pub fn people(&self) -> PathBuf {
        self.folder.join("people.toml")
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join("queue").join(SOCKET)
    }

    /// Of the present run.
    pub fn log(&self) -> PathBuf {
        self.folder.join(format!("gatepost-{}.log", self.runs))
    }

    pub fn pid(&self) -> u32 {
        self.running().pid()
    }

    pub fn signal(&self, signal: Signal) {
        self.running().signal(signal);
    }

    /// SIGSTOP, and waits until every thread has stopped (proc(5), `stat`).
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        let threads = PathBuf::from(format!("/proc/{}/task", self.pid()));
        until("gatepost is frozen", || {
            let mut threads = fs::read_dir(&threads).ok()?.flatten();
            threads.all(|thread| read(&thread.path().join("stat")).contains(") T ")).then_some(())
        });
    }

    pub fn wait_for_log(&mut self, text: &str) {
        self.process.as_mut().expect("gatepost runs").wait_for_log(text);
    }

    /// SIGKILL: no drain, no removed socket.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait_for_end(DEADLINE);
    }

    #[track_caller]
    pub fn wait_for_end(&mut self, limit: Duration) -> ExitStatus {
        let mut process = self.process.take().expect("gatepost runs");
        fs::remove_file(self.folder.join("pids/gatepost")).ok();
        process.wait_for_end(limit)
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("gatepost runs")
    }
}

/// `gatepost run` with this configuration file, not started.
pub fn command(configuration: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    command.arg("run").arg("-c").arg(configuration);
    command
}

/// Replaces the one occurrence of `old` in the file.
#[track_caller]
pub fn edit(file: &Path, old: &str, new: &str) {
    let text = fs::read_to_string(file).expect("a file of the lab can be read");
    assert_eq!(text.matches(old).count(), 1, "{old:?} stands once in {}:\n{text}", file.display());
    fs::write(file, text.replace(old, new)).expect("a file of the lab can be written");
}

/// alice may relay, bob may submit; carol is in both worlds, and the deny of the outer group wins.
const PEOPLE: &str = r#"
realms = ["local.test"]

[[account]]
login = "alice"
addresses = ["alice@local.test"]
[[account]]
login = "bob"
addresses = ["bob@local.test"]
[[account]]
login = "carol"
addresses = ["carol@local.test"]
[[account]]
login = "erin"
addresses = ["erin@local.test"]
state = "locked"
[[account]]
login = "frank"
addresses = ["frank@local.test"]
state = "disabled"
[[account]]
login = "grace"
addresses = ["grace@local.test"]
state = "expired"
# In no group: holds no right.
[[account]]
login = "mallory"
addresses = ["mallory@local.test"]

[[group]]
name = "Mail-Submit"
members = ["alice", "bob", "carol", "erin", "frank", "grace"]
[[group]]
name = "Mail-Relay"
members = ["alice", "carol", "erin", "frank", "grace"]
[[group]]
name = "Contractors"
members = ["carol"]
[[group]]
name = "No-Mail"
groups = ["Contractors"]
[[group]]
name = "Press"
members = ["alice"]
"#;

/// The lab's beside Postfix.
pub fn configuration(folder: &Path, ports: &Ports) -> String {
    let Ports {
        policy_internet, policy_submission, policy_granting, policy_observing, http, ..
    } = ports;
    let socket = folder.join("queue").join(SOCKET);
    let listeners = format!(
        r#"
[[listen]]
protocol = "policy"
socket = "unix:{}"
socket-owner = "postfix"
socket-group = "postdrop"
socket-mode = "0660"
mta = "mx"
facing = "submission"
mode = "enforce"
[[listen]]
protocol = "policy"
socket = "inet:127.0.0.1:{policy_internet}"
mta = "mx"
facing = "internet"
charge-at = "never"
mode = "enforce"
[[listen]]
protocol = "policy"
socket = "inet:127.0.0.1:{policy_submission}"
mta = "mx"
facing = "submission"
charge-at = "never"
mode = "enforce"
[[listen]]
protocol = "policy"
socket = "inet:127.0.0.1:{policy_granting}"
mta = "mx"
facing = "submission"
charge-at = "never"
mode = "enforce"
on-grant = "ok"
[[listen]]
protocol = "policy"
socket = "inet:127.0.0.1:{policy_observing}"
mta = "mx"
facing = "submission"
charge-at = "never"
mode = "observe"
"#,
        socket.display()
    );
    let networks = r#""192.0.2.0/24", { net = "192.0.2.9/32", relay = "deny" }, "2001:db8:1::/64""#;
    configured(folder, *http, &listeners, networks)
}

/// Who holds which right, with these listeners and relay networks.
pub fn configured(folder: &Path, http: u16, listeners: &str, networks: &str) -> String {
    let fingerprint = certificates::fingerprint(folder, certificates::LISTED);
    let folder = folder.display();
    format!(
        r#"
[server]
name = "mx.local.test"
drain = "3s"
[log]
level = "debug"
decisions = "all"
{listeners}
[http]
listen = "127.0.0.1:{http}"
[control]
socket = "{folder}/control.sock"
[store]
type = "memory"

[directory]
type = "file"
[directory.file]
path = "people.toml"
[domains]
local = ["local.test"]

[standing]
disabled = "enforce"
expired = "enforce"
locked = "enforce"
not-found = "enforce"
[submit]
mode = "enforce"
[sender]
ownership = "enforce"
[[sender.grant]]
group = "Press"
as = ["press@local.test"]
[relay]
mode = "enforce"
networks = [{networks}]
hosts = [".printers.example.org"]
certificates = ["{fingerprint}"]
[[grant]]
group = "Mail-Submit"
submit = "allow"
[[grant]]
group = "Mail-Relay"
relay = "allow"
[[grant]]
group = "No-Mail"
submit = "deny"
"#
    )
}
