//! The gatepost that is watched: its configuration, its start, and its signals.

use crate::folder::{Folder, note_pid};
use crate::policy::{Client, request};
use crate::ports::free_ports;
use crate::process::Process;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use std::fs;
use std::process::Command;

pub struct Site {
    process: Process,
    port: u16,
    pub http: u16,
    pub folder: Folder,
}

impl Site {
    /// With people in a file.
    pub fn start() -> Site {
        Site::start_with(PEOPLE_IN_A_FILE)
    }

    /// With an LDAP server that nobody has started.
    pub fn start_without_its_directory() -> Site {
        let [nobody] = free_ports();
        Site::start_with(&PEOPLE_BY_LDAP.replace("NOBODY", &nobody.to_string()))
    }

    fn start_with(directory: &str) -> Site {
        let folder = Folder::make();
        let [port, http] = free_ports();
        let text = CONFIGURATION
            .replace("PORT", &port.to_string())
            .replace("HTTP", &http.to_string())
            .replace("DIRECTORY\n", directory);
        for (name, text) in
            [("gatepost.toml", &*text), ("people.toml", PEOPLE), ("bind.pw", "secret\n")]
        {
            fs::write(folder.path.join(name), text).expect("a file can be written");
        }
        let mut command = Command::new("/bin/sh");
        command.args(["-c", BEYOND_LIMITS, env!("CARGO_BIN_EXE_gatepost"), "run", "-c"]);
        command.arg(folder.path.join("gatepost.toml"));
        let log = folder.path.join("gatepost.log");
        let mut process = Process::start("gatepost", &mut command, log);
        note_pid(&folder.path, "gatepost", process.pid());
        process.wait_for_log("ready");
        Site { process, port, http, folder }
    }

    /// Replaces the configuration and has it read; waits until the log has `told`.
    #[track_caller]
    pub fn reload(&mut self, text: &str, told: &str) {
        fs::write(self.folder.path.join("gatepost.toml"), text).expect("a file can be written");
        self.process.signal(Signal::HUP);
        self.process.wait_for_log(told);
    }

    /// From now on it can write to no file, or again to all: as on a disk that is full.
    pub fn let_it_write(&self, may: bool) {
        let pid = Pid::from_raw(self.process.pid() as i32);
        let limit = Rlimit { current: if may { None } else { Some(0) }, maximum: None };
        prlimit(pid, Resource::Fsize, limit).expect("an own process takes limits");
    }

    /// The answer to a whole message of this login, which is charged. `instance` tells one message from another.
    #[track_caller]
    pub fn charge(&self, login: &str, recipients: u32, instance: &str) -> String {
        let login = format!("sasl_username={login}");
        let (count, instance) =
            (format!("recipient_count={recipients}"), format!("instance={instance}"));
        let envelope = ["client_address=192.0.2.9", &count, &instance, &login];
        Client::tcp(self.port).ask(&request("END-OF-MESSAGE", &envelope))
    }

    /// The answer at RCPT to mail of this login.
    #[track_caller]
    pub fn ask(&self, login: &str) -> String {
        let login = format!("sasl_username={login}");
        let envelope = ["client_address=192.0.2.9", "recipient=friend@far.test", &login];
        Client::tcp(self.port).ask(&request("RCPT", &envelope))
    }

    pub fn configuration(&self) -> String {
        fs::read_to_string(self.folder.path.join("gatepost.toml")).expect("a file can be read")
    }
}

/// A write beyond the limit of a file's size fails, as on a full disk, and does not end it (setrlimit(2)).
const BEYOND_LIMITS: &str = r#"trap '' XFSZ; exec "$0" "$@""#;

const CONFIGURATION: &str = r#"[server]
name = "mx.example.org"
[[listen]]
protocol = "policy"
socket = "inet:127.0.0.1:PORT"
facing = "submission"
mode = "enforce"
[http]
listen = "127.0.0.1:HTTP"
[control]
socket = "control.sock"
[store]
type = "embedded"
path = "store.redb"
hash-key-file = "hash.key"
[detector]
mode = "enforce"
[domains]
local = ["example.org"]
[[grant]]
group = "Mail-Relay"
submit = "allow"
relay = "allow"
DIRECTORY
"#;

const PEOPLE: &str = r#"[[account]]
login = "alice"
[[group]]
name = "Mail-Relay"
members = ["alice"]
"#;

const PEOPLE_IN_A_FILE: &str = r#"[directory]
type = "file"
file.path = "people.toml"
"#;

const PEOPLE_BY_LDAP: &str = r#"[directory]
type = "ldap"
[directory.ldap]
servers = ["ldap://127.0.0.1:NOBODY"]
schema = "active-directory"
base = "DC=example,DC=org"
netbios = ["EXAMPLE"]
[directory.ldap.tls]
insecure-plaintext = true
[directory.ldap.bind]
method = "simple"
dn = "gatepost@example.org"
password-file = "bind.pw"
[directory.cache]
snapshot = "off"
"#;
