//! A folder with a configuration and its people, two free ports, and the gatepost started on them.

use crate::client::Client;
use crate::process::{Done, Program, run};
use std::fs;
use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

pub struct Site {
    pub folder: PathBuf,
    /// Where the first listener is asked.
    pub port: u16,
    pub http: u16,
}

impl Site {
    pub fn new() -> Site {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::SeqCst);
        // Short, since the path of a unix socket is: 108 bytes with its end (unix(7)).
        let folder = PathBuf::from(format!("/tmp/gatepost-daemon-{}-{number}", std::process::id()));
        fs::remove_dir_all(&folder).ok();
        fs::create_dir(&folder).expect("a folder can be made");
        let site = Site { folder, port: free_port(), http: free_port() };
        site.write("gatepost.toml", &site.configuration());
        site.write("people.toml", PEOPLE);
        site
    }

    /// With the one occurrence of each `old` in the configuration replaced by its `new`.
    #[track_caller]
    pub fn with(changes: &[(&str, &str)]) -> Site {
        let site = Site::new();
        for (old, new) in changes {
            site.change("gatepost.toml", old, new);
        }
        site
    }

    /// With both listeners speaking the milter protocol.
    #[track_caller]
    pub fn of_milter(changes: &[(&str, &str)]) -> Site {
        let site = Site::with(changes);
        let text =
            fs::read_to_string(site.path("gatepost.toml")).expect("a file of the site can be read");
        assert_eq!(text.matches("protocol = \"policy\"").count(), 2, "{text}");
        site.write("gatepost.toml", &text.replace("\"policy\"", "\"milter\""));
        site
    }

    /// Replaces the one occurrence of `old` in a file.
    #[track_caller]
    pub fn change(&self, name: &str, old: &str, new: &str) {
        let text = fs::read_to_string(self.path(name)).expect("a file of the site can be read");
        assert_eq!(text.matches(old).count(), 1, "{old:?} stands once in {name}:\n{text}");
        self.write(name, &text.replace(old, new));
    }

    /// Moves the new content into place, as an editor does: nobody sees half of it.
    pub fn write(&self, name: &str, text: &str) {
        let (young, path) = (self.path("young"), self.path(name));
        fs::write(&young, text).expect("a file can be written");
        fs::rename(&young, &path).expect("a file can be moved");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn unix(&self) -> PathBuf {
        self.path("policy.sock")
    }

    /// `gatepost run` on this site, not started.
    pub fn command(&self) -> Command {
        let mut command = gatepost();
        command.arg("run").arg("-c").arg(self.path("gatepost.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Starts, and waits until it is ready.
    #[track_caller]
    pub fn start(&self) -> Program {
        let program = Program::start(&mut self.command());
        program.wait_for_log("ready");
        program
    }

    /// Starts what must end by itself with a fault.
    #[track_caller]
    pub fn fail_to_start(&self) -> Done {
        let done = run(&mut self.command());
        assert_ne!(done.code, Some(0), "{}", done.complained);
        done
    }

    /// Runs another command of gatepost, with its configuration file where it takes one.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Done {
        run(gatepost().args(arguments).current_dir(&self.folder).stdin(Stdio::null()))
    }

    #[track_caller]
    pub fn client(&self) -> Client {
        Client::tcp(self.port)
    }

    /// What was left behind of the folders that sockets are born in; nothing else is hidden.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).expect("a folder of the site can be read");
        let paths = entries.map(|entry| entry.expect("an entry can be read").path());
        paths.filter(|path| name_of(path).starts_with('.')).collect()
    }

    fn configuration(&self) -> String {
        let Site { folder, port, http } = self;
        let unix = folder.join("policy.sock");
        CONFIGURATION
            .replace("PORT", &port.to_string())
            .replace("HTTP", &http.to_string())
            .replace("UNIX", &unix.display().to_string())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}

pub fn gatepost() -> Command {
    Command::new(env!("CARGO_BIN_EXE_gatepost"))
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A free loopback port, none given twice in this run. They lie below what Linux gives to outgoing
/// connections (ip_local_port_range, from 32768), which could take one before gatepost does.
pub fn free_port() -> u16 {
    const RANGE: Range<usize> = 12000..16000;
    static TRIED: AtomicUsize = AtomicUsize::new(0);
    // Runs at the same time have different pids and begin apart.
    let begin = std::process::id() as usize * 300;
    loop {
        let number = begin + TRIED.fetch_add(1, Ordering::SeqCst);
        let port = (RANGE.start + number % RANGE.len()) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

const CONFIGURATION: &str = r#"[server]
name = "mx.example.org"
drain = "15s"

[log]
format = "human"
level = "debug"
decisions = "all"

[[listen]]
protocol = "policy"
socket = "inet:127.0.0.1:PORT"
mta = "mx"
facing = "submission"
mode = "enforce"
max-connections = 1000

[[listen]]
protocol = "policy"
socket = "unix:UNIX"
socket-mode = "0660"
mta = "mx"
facing = "submission"
mode = "enforce" # beside the first

[http]
listen = "127.0.0.1:HTTP"

[control]
socket = "control.sock"

[directory]
type = "file"
[directory.file]
path = "people.toml"

[domains]
local = ["example.org"]

[standing]
disabled = "enforce"
locked = "enforce"
not-found = "enforce"

[[grant]]
group = "Mail-Submit"
submit = "allow"
[[grant]]
group = "Mail-Relay"
submit = "allow"
relay = "allow"
[[grant]]
group = "No-Mail"
submit = "deny"
"#;

/// alice may relay, bob may submit, carol may neither by a nested group.
const PEOPLE: &str = r#"realms = ["example.org"]

[[account]]
login = "alice"
addresses = ["alice@example.org"]
[[account]]
login = "bob"
addresses = ["bob@example.org"]
[[account]]
login = "carol"
addresses = ["carol@example.org"]
[[account]]
login = "erin"
addresses = ["erin@example.org"]
state = "disabled"
[[account]]
login = "frank"
addresses = ["frank@example.org"]
state = "locked"

[[group]]
name = "Mail-Relay"
members = ["alice"]
[[group]]
name = "Mail-Submit"
members = ["bob", "carol", "erin", "frank"]
[[group]]
name = "Left-The-House"
members = ["carol"]
[[group]]
name = "No-Mail"
groups = ["Left-The-House"]
"#;
