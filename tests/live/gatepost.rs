//! The gatepost under test: its configuration and people, its start, signals and end.

use crate::certificates::{self, LISTED};
use crate::door::Door;
use crate::folder::note_pid;
use crate::lab::Ports;
use crate::postfix::SOCKET;
use crate::process::{DEADLINE, Process, read, until};
use rustix::process::Signal;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

pub struct Gatepost {
    folder: PathBuf,
    process: Option<Process>,
    runs: usize,
    handed: Option<OwnedFd>,
}

/// Plays systemd with one socket: a shell knows its pid before it becomes gatepost.
const HANDS_OVER: &str =
    r#"LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=milter exec "$0" "$@" 3<&0 </dev/null"#;

impl Gatepost {
    pub fn start_with(folder: &Path, configuration: &str) -> Gatepost {
        Gatepost::start_handed(folder, configuration, None)
    }

    /// With the listening socket of `systemd:milter`, which outlives each run.
    pub fn start_handed(folder: &Path, configuration: &str, handed: Option<OwnedFd>) -> Gatepost {
        let mut gatepost = Gatepost { folder: folder.to_owned(), process: None, runs: 0, handed };
        fs::write(gatepost.configuration(), configuration).expect("a file can be written");
        fs::write(gatepost.people(), PEOPLE).expect("a file can be written");
        gatepost.run();
        gatepost
    }

    /// Starts with the configuration as it now is, and waits until it is ready.
    pub fn run(&mut self) {
        self.runs += 1;
        let mut command = command(&self.configuration());
        let mut stdin = Stdio::null();
        if let Some(socket) = &self.handed {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", HANDS_OVER]).arg(command.get_program()).args(command.get_args());
            command = shell;
            stdin = socket.try_clone().expect("a socket can be doubled").into();
        }
        let mut process = Process::start_fed("gatepost", &mut command, stdin, self.log());
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

    pub fn freeze(&self) {
        self.running().freeze();
    }

    /// What the present run has decided so far.
    pub fn decisions(&self) -> Vec<Decision> {
        let log = read(&self.log());
        let decided = log.lines().filter(|line| line.contains(" gatepost::decision: decided "));
        decided.map(|line| Decision(line.to_owned())).collect()
    }

    /// The decision at the end of the message to this recipient alone, which no other message has.
    #[track_caller]
    pub fn end_of_message(&self, recipient: &str) -> Decision {
        let at_end = || {
            let all = self.decisions().into_iter();
            all.filter(|decided| {
                decided.field("stage") == "end-of-message"
                    && decided.field("recipient") == recipient
            })
        };
        // Logged behind the answer.
        until("the end of the message is judged", || at_end().next());
        let all: Vec<_> = at_end().collect();
        assert_eq!(all.len(), 1, "judged once: {all:#?}");
        all.into_iter().next().expect("one")
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

/// A line of the decision log.
#[derive(Debug)]
pub struct Decision(String);

impl Decision {
    /// The value without its quotes; empty when there is none.
    pub fn field(&self, name: &str) -> &str {
        let rest = self.0.split_once(&format!(" {name}=")).map_or("", |(_, rest)| rest);
        match rest.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next().unwrap_or(""),
            None => rest.split(' ').next().unwrap_or(""),
        }
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
    fs::write(file, edited(&text, old, new)).expect("a file of the lab can be written");
}

/// The text with its one occurrence of `old` replaced.
#[track_caller]
pub fn edited(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old:?} stands once in:\n{text}");
    text.replace(old, new)
}

/// alice may relay, bob may submit; carol is in both worlds, and the deny of the outer group wins.
const PEOPLE: &str = r#"
realms = ["local.test"]

[[account]]
login = "alice"
addresses = ["alice@local.test", "älice@bücher.test"]
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

/// The lab's.
pub fn configuration(door: Door, folder: &Path, ports: &Ports) -> String {
    match door {
        Door::Policy => {
            let listed = certificates::fingerprint(folder, LISTED);
            let listeners = policy_listeners(folder, ports);
            configured(folder, ports.http, &listeners, NETWORKS, &format!("\"{listed}\""))
        }
        // By milter Postfix tells no fingerprint.
        Door::Milter => {
            let listed = certificates::common_name(LISTED);
            let listed = format!("{{ subject = \"{listed}\" }}");
            configured(folder, ports.http, &milter_listeners(folder, ports), NETWORKS, &listed)
        }
    }
}

fn policy_listeners(folder: &Path, ports: &Ports) -> String {
    let Ports { ask_internet, ask_submission, ask_granting, ask_observing, .. } = ports;
    let socket = folder.join("queue").join(SOCKET);
    let socket = socket.display();
    format!(
        r#"
[[listen]]
protocol = "policy"
socket = "unix:{socket}"
socket-owner = "postfix"
socket-group = "postdrop"
socket-mode = "0660"
mta = "mx"
facing = "submission"
mode = "enforce"
[[listen]]
protocol = "policy"
socket = "inet:127.0.0.1:{ask_internet}"
mta = "mx"
facing = "internet"
charge-at = "never"
mode = "enforce"
[[listen]]
protocol = "policy"
socket = "inet:127.0.0.1:{ask_submission}"
mta = "mx"
facing = "submission"
charge-at = "never"
mode = "enforce"
[[listen]]
protocol = "policy"
socket = "inet:127.0.0.1:{ask_granting}"
mta = "mx"
facing = "submission"
charge-at = "never"
mode = "enforce"
on-grant = "ok"
[[listen]]
protocol = "policy"
socket = "inet:127.0.0.1:{ask_observing}"
mta = "mx"
facing = "submission"
charge-at = "never"
mode = "observe"
"#
    )
}

fn milter_listeners(folder: &Path, ports: &Ports) -> String {
    let Ports { ask_internet, ask_submission, ask_observing, .. } = ports;
    let socket = folder.join("queue").join(SOCKET);
    let socket = socket.display();
    format!(
        r#"
[[listen]]
protocol = "milter"
socket = "unix:{socket}"
socket-owner = "postfix"
socket-group = "postdrop"
socket-mode = "0660"
mta = "mx"
facing = "submission"
mode = "enforce"
[[listen]]
protocol = "milter"
socket = "inet:127.0.0.1:{ask_internet}"
mta = "mx"
facing = "internet"
charge-at = "never"
mode = "enforce"
[[listen]]
protocol = "milter"
socket = "inet:127.0.0.1:{ask_submission}"
mta = "mx"
facing = "submission"
charge-at = "never"
mode = "enforce"
id-header = true
[[listen]]
protocol = "milter"
socket = "inet:127.0.0.1:{ask_observing}"
mta = "mx"
facing = "submission"
charge-at = "never"
mode = "observe"
"#
    )
}

/// The relay networks beside Postfix.
pub const NETWORKS: &str =
    r#""192.0.2.0/24", { net = "192.0.2.9/32", relay = "deny" }, "2001:db8:1::/64""#;

/// Who holds which right, with these listeners, relay networks and relay certificates.
pub fn configured(
    folder: &Path,
    http: u16,
    listeners: &str,
    networks: &str,
    certificates: &str,
) -> String {
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
local = ["local.test", "bücher.test"]

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
certificates = [{certificates}]
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
