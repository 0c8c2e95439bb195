//! The gatepost under test, a process of its own before one or several directory servers: its
//! configuration, its start and end, and what it is asked.

use crate::folder::{Folder, note_pid};
use crate::page;
use crate::policy::{Client, request, without_id};
use crate::ports::free_ports;
use crate::process::{DEADLINE, Process, until, within};
use crate::source::Source;
use rustix::process::Signal;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// Outside, where a relay right is needed.
pub const FAR: &str = "friend@far.test";

pub struct Gatepost {
    process: Option<Process>,
    runs: usize,
    /// Asked by submission.
    port: u16,
    /// Asked by the MX.
    internet: u16,
    http: u16,
    pub folder: Folder,
}

impl Gatepost {
    /// With these keys of `[directory.cache]`.
    #[track_caller]
    pub fn start(source: &Source, cache: &str) -> Gatepost {
        let mut gatepost = Gatepost::prepare(source, cache, "");
        gatepost.run();
        gatepost
    }

    /// Not started. `more` is the end of the configuration.
    pub fn prepare(source: &Source, cache: &str, more: &str) -> Gatepost {
        let folder = Folder::make();
        let [port, internet, http] = free_ports();
        let gatepost = Gatepost { process: None, runs: 0, port, internet, http, folder };
        gatepost.set_password(&source.password);
        let snapshot = if cache.contains("snapshot") { "" } else { "snapshot = \"off\"\n" };
        let text = CONFIGURATION
            .replace("PORT", &port.to_string())
            .replace("INTERNET", &internet.to_string())
            .replace("HTTP", &http.to_string())
            .replace("CACHE\n", &format!("{snapshot}{cache}\n"))
            .replace("LDAP\n", &source.ldap())
            .replace("GRANTS\n", &source.grants);
        fs::write(gatepost.configuration(), text + more).expect("a file can be written");
        gatepost
    }

    /// Starts, and waits until it is ready.
    #[track_caller]
    pub fn run(&mut self) {
        self.runs += 1;
        let mut command = program();
        command.arg("run").arg("-c").arg(self.configuration());
        let log = self.folder.path.join(format!("gatepost-{}.log", self.runs));
        let mut process = Process::start("gatepost", &mut command, log);
        note_pid(&self.folder.path, "gatepost", process.pid());
        process.wait_for_log("ready");
        self.process = Some(process);
    }

    /// With SIGTERM, so that it leaves its snapshot; waits for the end.
    #[track_caller]
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("gatepost runs");
        process.signal(Signal::TERM);
        assert!(process.wait_for_end(DEADLINE).success(), "{}", process.written());
    }

    pub fn configuration(&self) -> PathBuf {
        self.folder.path.join("gatepost.toml")
    }

    /// Moved into place, as an editor does.
    pub fn set_password(&self, password: &str) {
        let (young, path) = (self.folder.path.join("young.pw"), self.folder.path.join("bind.pw"));
        fs::write(&young, format!("{password}\n")).expect("a file can be written");
        fs::set_permissions(&young, Permissions::from_mode(0o600)).expect("an own file");
        fs::rename(young, path).expect("a file can be moved");
    }

    /// The answer to a whole message of this login to one recipient, which is charged.
    #[track_caller]
    pub fn charge(&self, login: &str, sender: &str, recipient: &str) -> String {
        Client::tcp(self.port).ask(&request(
            "END-OF-MESSAGE",
            &[
                "client_address=192.0.2.9",
                &format!("sender={sender}"),
                &format!("recipient={recipient}"),
                "recipient_count=1",
                &format!("sasl_username={login}"),
                &format!("instance=1f2e.6561.{recipient}.0"),
            ],
        ))
    }

    /// The answer at RCPT, a refusal without its id.
    #[track_caller]
    pub fn ask(&self, login: &str, sender: &str, recipient: &str) -> String {
        ask(self.port, login, sender, recipient)
    }

    /// As `ask`, from the null sender, whom every login may use.
    #[track_caller]
    pub fn of(&self, login: &str, recipient: &str) -> String {
        self.ask(login, "", recipient)
    }

    /// The answer to a client on port 25, who has no login.
    #[track_caller]
    pub fn of_stranger(&self, recipient: &str) -> String {
        ask(self.internet, "", "friend@far.test", recipient)
    }

    #[track_caller]
    pub fn answers(&self, login: &str, recipient: &str, expected: &str) {
        let found = self.of(login, recipient);
        assert!(
            found.starts_with(expected),
            "{login} to {recipient}: expected {expected}, found {found}\n{}",
            self.log()
        );
    }

    /// Asks until it is so. Panics with the log when it never is.
    #[track_caller]
    pub fn becomes(&self, login: &str, recipient: &str, expected: &str) {
        self.becomes_within(DEADLINE, login, recipient, expected);
    }

    #[track_caller]
    pub fn becomes_within(&self, limit: Duration, login: &str, recipient: &str, expected: &str) {
        let mut found = String::new();
        let is_so = within(limit, || {
            found = self.of(login, recipient);
            found.starts_with(expected).then_some(())
        });
        assert!(
            is_so.is_some(),
            "{login} to {recipient}: expected {expected} within {limit:?}, found {found}\n{}",
            self.log()
        );
    }

    /// `gatepost explain` in JSON: the story of one recipient.
    #[track_caller]
    pub fn explain(&self, login: &str, recipient: &str) -> Value {
        let told = self.tell(&["explain", "--login", login, "--rcpt", recipient]);
        told[0].clone()
    }

    /// `gatepost rights` in JSON.
    #[track_caller]
    pub fn rights(&self, login: &str) -> Value {
        self.tell(&["rights", login])
    }

    /// A command that asks it, to its end.
    pub fn command(&self, arguments: &[&str]) -> Output {
        let mut command = program();
        command.args(arguments).arg("--control").arg(self.folder.path.join("control.sock"));
        command.output().expect("gatepost runs")
    }

    /// What a command prints in JSON.
    #[track_caller]
    pub fn tell(&self, arguments: &[&str]) -> Value {
        let done = self.command(&[arguments, &["--output", "json"]].concat());
        serde_json::from_slice(&done.stdout).unwrap_or_else(|fault| {
            panic!("{arguments:?}: {fault}: {}", String::from_utf8_lossy(&done.stderr))
        })
    }

    /// The value of a sample such as `directory_server_up{server="..."}`, 0 when there is none yet.
    pub fn metric(&self, sample: &str) -> f64 {
        let text = page::read(self.http, "/metrics").body;
        let value = text.lines().find_map(|line| {
            line.strip_prefix("gatepost_")?.strip_prefix(sample)?.strip_prefix(' ')
        });
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    #[track_caller]
    pub fn wait_for_metric(&self, sample: &str, is_right: impl Fn(f64) -> bool) {
        until(sample, || is_right(self.metric(sample)).then_some(()));
    }

    /// Lookups that ended in this way.
    pub fn lookups(&self, result: &str) -> f64 {
        self.metric(&format!("directory_lookups_total{{result=\"{result}\"}}"))
    }

    #[track_caller]
    pub fn wait_for_log(&mut self, text: &str) {
        self.process.as_mut().expect("gatepost runs").wait_for_log(text);
    }

    /// Of the present run.
    pub fn log(&self) -> String {
        self.process.as_ref().expect("gatepost runs").written()
    }
}

/// `gatepost`, not started.
pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_gatepost"))
}

/// `gatepost check --online`: its exit code and what it printed.
#[track_caller]
pub fn check_online(configuration: &Path) -> (Option<i32>, String) {
    let mut command = program();
    let done = command.args(["check", "--online"]).arg(configuration).output();
    let done = done.expect("gatepost runs");
    let all = [done.stdout, done.stderr].concat();
    (done.status.code(), String::from_utf8_lossy(&all).into_owned())
}

#[track_caller]
fn ask(port: u16, login: &str, sender: &str, recipient: &str) -> String {
    let answer = Client::tcp(port).ask(&request(
        "RCPT",
        &[
            "client_address=192.0.2.9",
            &format!("sender={sender}"),
            &format!("recipient={recipient}"),
            &format!("sasl_username={login}"),
            "instance=1f2e.6561.3a.0",
        ],
    ));
    without_id(&answer)
}

const CONFIGURATION: &str = r#"[server]
name = "mx.example.org"
drain = "3s"
[log]
level = "debug"

[[listen]]
protocol = "policy"
socket = "inet:127.0.0.1:PORT"
facing = "submission"
mode = "enforce"
[[listen]]
protocol = "policy"
socket = "inet:127.0.0.1:INTERNET"
facing = "internet"
mode = "enforce"
[http]
listen = "127.0.0.1:HTTP"
[control]
socket = "control.sock"

[directory]
type = "ldap"
[directory.cache]
CACHE
LDAP

[domains]
local = ["example.org"]
[standing]
disabled = "enforce"
expired = "enforce"
locked = "enforce"
not-found = "enforce"
[sender]
ownership = "enforce"
[recipient]
existence = "enforce"
delivery-restrictions = "enforce"
GRANTS
"#;
