//! The same through a gatepost that runs: what a mail server is told while the directory is in
//! trouble.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::ldap_server::people::{BASE, BIND_DN, BIND_PASSWORD, people};
use crate::ldap_server::{Deviation, Server, When};
use crate::process::{DEADLINE, Program, until};
use crate::site::{Folder, locate};

const SNAPSHOT: &str = "directory.snapshot";

struct Daemon {
    folder: Folder,
    socket: String,
    program: Program,
}

/// Allows Mail-Submit to submit and Mail-Relay to relay, and denies No-Mail both. `more`: keys of
/// `[directory.cache]`.
fn configuration(servers: &[&Server], socket: &str, more: &str) -> String {
    let servers: Vec<String> =
        servers.iter().map(|server| format!("\"ldap://{}\"", server.address)).collect();
    let servers = servers.join(", ");
    format!(
        r#"[server]
name = "mx.example.org"
[log]
level = "debug"
[[listen]]
protocol = "policy"
socket = "unix:{socket}"
facing = "submission"
mode = "enforce"
[http]
listen = "off"
[control]
socket = "control.sock"
[directory]
type = "ldap"
[directory.ldap]
servers = [{servers}]
schema = "active-directory"
base = "{BASE}"
netbios = ["EXAMPLE"]
[directory.ldap.tls]
insecure-plaintext = true
[directory.ldap.bind]
method = "simple"
dn = "{BIND_DN}"
password-file = "bind.pw"
[directory.cache]
snapshot = "{SNAPSHOT}"
{more}
[domains]
local = ["example.org"]
[standing]
disabled = "enforce"
not-found = "enforce"
[recipient]
existence = "enforce"
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
"#
    )
}

impl Daemon {
    fn start(servers: &[&Server], more: &str) -> Self {
        let folder = Folder::new();
        folder.write("bind.pw", BIND_PASSWORD);
        let socket = folder.path("p.sock").display().to_string();
        folder.write("gatepost.toml", &configuration(servers, &socket, more));
        let program = Self::run(&folder);
        Self { folder, socket, program }
    }

    fn run(folder: &Folder) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        command.arg("run").arg("-c").arg(folder.path("gatepost.toml"));
        let program = Program::start(command.stdin(Stdio::null()).stdout(Stdio::null()));
        program.wait_for_log(" ready ");
        program
    }

    /// Ends it by these signals, and starts it again. Between them `meanwhile` waits.
    fn restart(&mut self, signals: &[Signal], meanwhile: impl Fn(&Self)) {
        for signal in signals {
            meanwhile(self);
            self.program.signal(*signal);
        }
        self.program.wait_for_end(DEADLINE);
        self.program = Self::run(&self.folder);
    }

    /// Sends what Postfix asks at RCPT.
    fn begin(&self, login: &str, recipient: &str) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        let request = format!(
            "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n\
             client_address=192.0.2.1\nclient_name=unknown\nreverse_client_name=unknown\n\
             helo_name=h\nsender=\nrecipient={recipient}\nrecipient_count=0\nqueue_id=\n\
             instance=1.2.3\nsize=0\nsasl_method=PLAIN\nsasl_username={login}\nsasl_sender=\n\n"
        );
        (&stream).write_all(request.as_bytes()).expect("it takes a request");
        stream
    }

    /// What Postfix is told at RCPT.
    fn ask(&self, login: &str, recipient: &str) -> String {
        let mut line = String::new();
        BufReader::new(self.begin(login, recipient)).read_line(&mut line).expect("an answer");
        line.trim_end().trim_start_matches("action=").into()
    }

    #[track_caller]
    fn answers(&self, login: &str, recipient: &str, answer: &str) {
        let found = self.ask(login, recipient);
        assert!(
            found.starts_with(answer),
            "{login} to {recipient}: {found}\n{}",
            self.program.log()
        );
    }

    #[track_caller]
    fn becomes(&self, login: &str, recipient: &str, answer: &str) {
        until(answer, || self.ask(login, recipient).starts_with(answer).then_some(()));
    }
}

const FAR: &str = "x@far.test";

#[test]
fn mail_of_the_known_flows_on_while_no_server_answers() {
    for freeze in [false, true] {
        let server = Server::start(people());
        // Fresh for a second, so that the outage is longer.
        let daemon = Daemon::start(&[&server], "fresh = \"1s\"\n");
        daemon.answers("alice", FAR, "DUNNO");
        daemon.answers("alice", "bob@example.org", "DUNNO");
        daemon.answers("carol", "bob@example.org", "550 5.7.1");
        if freeze {
            server.freeze()
        } else {
            server.kill()
        }
        for _ in 0..3 {
            daemon.answers("bob", "alice@example.org", "451 4.4.3");
            daemon.answers("alice", FAR, "DUNNO");
            daemon.answers("EXAMPLE\\alice", FAR, "451 4.4.3");
            daemon.answers("carol", "bob@example.org", "550 5.7.1");
        }
        if freeze {
            server.thaw()
        } else {
            server.open()
        }
        daemon.becomes("bob", "alice@example.org", "DUNNO");
        daemon.becomes("EXAMPLE\\alice", FAR, "DUNNO");
        daemon.answers("bob", FAR, "550 5.7.1");
        daemon.answers("nobody", FAR, "550 5.7.1");
        daemon.answers("alice", "unknown@example.org", "550 5.1.1");
    }
}

#[test]
fn who_is_put_into_the_deny_group_is_stopped_without_the_end_of_freshness() {
    let server = Server::start(people());
    let daemon = Daemon::start(&[&server], "fresh = \"1h\"\nwatch = \"1s\"\n");
    daemon.answers("alice", FAR, "DUNNO");
    until("followed", || {
        (server.count(&When::search().asking("highestCommittedUSN")) >= 1).then_some(())
    });
    server.directory(|directory| {
        let alice = directory.dn("alice");
        directory.change("No-Mail").add("member", alice);
    });
    daemon.becomes("alice", FAR, "550 5.7.1");
}

#[test]
fn a_reload_that_names_another_group_counts_at_once() {
    let server = Server::start(people());
    let daemon = Daemon::start(&[&server], "");
    daemon.answers("bob", "alice@example.org", "DUNNO");
    let text = fs::read_to_string(daemon.folder.path("gatepost.toml")).expect("it is there");
    let more = "[[grant]]\ngroup = \"Helpdesk\"\nsubmit = \"deny\"\n";
    daemon.folder.write("gatepost.toml", &format!("{text}{more}"));
    daemon.program.signal(Signal::HUP);
    daemon.becomes("bob", "alice@example.org", "550 5.7.1");
    daemon.answers("alice", FAR, "DUNNO");
}

#[test]
fn a_deny_that_nobody_can_read_holds_the_mail() {
    let server = Server::start(people());
    server.on(When::search().paged().filter("No-Mail"), Deviation::partial(0, 4));
    let daemon = Daemon::start(&[&server], "");
    daemon.answers("alice", FAR, "451 4.4.3");
    daemon.answers("carol", "bob@example.org", "451 4.4.3");
    daemon.program.wait_for_log("a group cannot be read to its end");
}

#[test]
fn a_referral_is_in_the_log() {
    let server = Server::start(people());
    let url = "ldap://dc2.other.test/DC=other,DC=test";
    server.on(locate("alice"), Deviation::referral(url));
    let daemon = Daemon::start(&[&server], "");
    daemon.answers("alice", FAR, "451 4.4.3");
    let line = daemon.program.wait_for_log("referral");
    assert!(line.contains(url), "{line}");
}

#[test]
fn a_login_cannot_forge_a_line_of_the_log() {
    let server = Server::start(people());
    let daemon = Daemon::start(&[&server], "");
    daemon.answers("*)(uid=*", FAR, "550 5.7.1");
    daemon.answers("alice\x1b[2J\rERROR forged", FAR, "550 5.7.1");
    assert!(!daemon.program.log().contains('\x1b'), "{}", daemon.program.log());
}

#[test]
fn garbage_ends_no_daemon() {
    use crate::ldap_server::garbage;
    let server = Server::start(people());
    let daemon = Daemon::start(&[&server], "fresh = \"1s\"\n");
    for bytes in [
        garbage::noise(),
        garbage::nested(1_000_000),
        garbage::huge_message(),
        garbage::odd_entry(2),
    ] {
        daemon.becomes("alice", FAR, "DUNNO");
        server.on(When::search(), Deviation::Bytes(bytes));
        daemon.answers("bob", "alice@example.org", "451 4.4.3");
        daemon.answers("alice", FAR, "DUNNO");
        server.behave();
    }
    daemon.becomes("erin", "alice@example.org", "550 5.7.13");
}

#[test]
fn the_password_is_in_no_log() {
    let server = Server::start(people());
    server.password("another");
    let daemon = Daemon::start(&[&server], "");
    daemon.answers("alice", FAR, "451 4.4.3");
    daemon.program.wait_for_log("invalidCredentials");
    assert!(!daemon.program.log().contains(BIND_PASSWORD));
    assert_eq!(server.count(&When::bind()), 1);
}

/// After it, mail of those known before flows on without the directory.
fn is_remembered(daemon: &Daemon) {
    daemon.answers("alice", FAR, "DUNNO");
    daemon.answers("alice", "bob@example.org", "DUNNO");
    daemon.answers("carol", "bob@example.org", "550 5.7.1");
    daemon.answers("erin", "bob@example.org", "550 5.7.13");
    daemon.answers("bob", "alice@example.org", "451 4.4.3");
}

/// A daemon that knows some people, and has left a snapshot that tells of them.
fn with_snapshot(server: &Server) -> Daemon {
    let mut daemon = Daemon::start(&[server], "");
    daemon.answers("alice", "bob@example.org", "DUNNO");
    daemon.answers("carol", "bob@example.org", "550 5.7.1");
    daemon.answers("erin", "bob@example.org", "550 5.7.13");
    daemon.restart(&[Signal::TERM], |_| {});
    daemon
}

#[test]
fn the_snapshot_outlives_a_kill_in_the_middle_of_questions() {
    let server = Server::start(people());
    let mut daemon = with_snapshot(&server);
    let before = fs::read(daemon.folder.path(SNAPSHOT)).expect("it left one");
    daemon.answers("alice", FAR, "DUNNO");
    server.freeze();
    let _under_way = ["bob", "carol", "u1", "u2"].map(|login| daemon.begin(login, FAR));
    daemon.restart(&[Signal::KILL], |_| {});
    assert_eq!(fs::read(daemon.folder.path(SNAPSHOT)).expect("it is there"), before);
    server.kill();
    is_remembered(&daemon);
}

#[test]
fn the_snapshot_outlives_a_kill_while_it_is_written() {
    let mut directory = people();
    for n in 0..500 {
        directory.person(&format!("u{n}"));
    }
    let server = Server::start(directory);
    let mut daemon = with_snapshot(&server);
    // Enough of them that writing takes a moment.
    for n in 0..500 {
        daemon.answers(&format!("u{n}"), FAR, "550");
    }
    let inode = |daemon: &Daemon| fs::metadata(daemon.folder.path(SNAPSHOT)).map(|file| file.ino());
    let before = inode(&daemon).expect("it left one");
    let is_terminated = std::cell::Cell::new(false);
    daemon.restart(&[Signal::TERM, Signal::KILL], |daemon| {
        if !is_terminated.replace(true) {
            return;
        }
        let young = daemon.folder.path("directory.snapshot.new");
        let is_written = || young.exists() || inode(daemon).is_ok_and(|now| now != before);
        until("it is written", || (0..10_000).any(|_| is_written()).then_some(()));
    });
    server.kill();
    is_remembered(&daemon);
}
