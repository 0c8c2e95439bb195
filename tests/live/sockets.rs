//! Where gatepost listens: owner, group and mode of the unix socket, a chrooted smtpd, and what
//! already stands in the place: a stale socket, a live one, something else.

use crate::door::{Door, at_both_doors};
use crate::folder::Folder;
use crate::gatepost::{Gatepost, command};
use crate::lab::{Lab, marker};
use crate::policy::{ask_inet, ask_unix};
use crate::ports::free_ports;
use crate::process::{DEADLINE, Process, output, read};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::Command;

const QUESTION: [&str; 4] = [
    "protocol_state=RCPT",
    "client_address=203.0.113.45",
    "sender=a@far.test",
    "recipient=friend@far.test",
];

at_both_doors! {
    the_socket_bears_owner_group_and_mode_of_the_configuration
    a_chrooted_smtpd_reaches_it
}

fn the_socket_bears_owner_group_and_mode_of_the_configuration(door: Door) {
    let lab = Lab::shared(door);
    let socket = fs::metadata(lab.gatepost.socket()).expect("the socket is there");
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.mode() & 0o7777, 0o660);
    assert_eq!(socket.uid(), id("passwd", "postfix"));
    assert_eq!(socket.gid(), id("group", "postdrop"));
}

fn a_chrooted_smtpd_reaches_it(door: Door) {
    let lab = Lab::shared(door);
    let marker = marker("chroot");
    let mut bob = lab.submission("bob");
    bob.send("bob@local.test", "alice@local.test", &marker).assert_ok();
    lab.local.wait_for(&marker);
    let queue = lab.folder.path.join("queue");
    let jailed = |process: fs::DirEntry| {
        read(&process.path().join("comm")).trim() == "smtpd"
            && fs::read_link(process.path().join("root")).is_ok_and(|root| root == queue)
    };
    assert!(fs::read_dir("/proc").expect("proc is mounted").flatten().any(jailed));
}

#[test]
fn a_stale_socket_is_taken_over() {
    let folder = Folder::make();
    let socket = folder.path.join("policy");
    let mut gatepost =
        Gatepost::start_with(&folder.path, &listening_at(&unix(&socket), &folder.path));
    assert_judged(&ask_unix(&socket, &QUESTION));
    gatepost.kill();
    assert!(socket.exists(), "SIGKILL leaves the socket behind");
    gatepost.run();
    assert_judged(&ask_unix(&socket, &QUESTION));
}

#[test]
fn a_live_socket_is_not() {
    let folder = Folder::make();
    let socket = folder.path.join("policy");
    let _first = Gatepost::start_with(&folder.path, &listening_at(&unix(&socket), &folder.path));
    let said = failed_start(&folder, &unix(&socket));
    assert!(said.contains(&socket.display().to_string()), "{said}");
    assert_judged(&ask_unix(&socket, &QUESTION));
}

#[test]
fn a_live_port_is_not() {
    let folder = Folder::make();
    let [port] = free_ports();
    let inet = format!("inet:127.0.0.1:{port}");
    let _first = Gatepost::start_with(&folder.path, &listening_at(&inet, &folder.path));
    let said = failed_start(&folder, &inet);
    assert!(said.contains(&format!("127.0.0.1:{port}")), "{said}");
    assert_judged(&ask_inet(port, &QUESTION));
}

#[test]
fn what_is_no_socket_is_never_removed() {
    let folder = Folder::make();
    let place = folder.path.join("policy");
    fs::write(&place, "precious").expect("a file can be written");
    let said = failed_start(&folder, &unix(&place));
    assert!(said.contains(&place.display().to_string()), "{said}");
    assert_eq!(read(&place), "precious");
}

/// Starts one beside whatever is there, with HTTP and control of its own; what it said at its end.
#[track_caller]
fn failed_start(folder: &Folder, socket: &str) -> String {
    let own = folder.path.join("second");
    fs::create_dir(&own).expect("a folder can be made");
    fs::write(own.join("gatepost.toml"), listening_at(socket, &own))
        .expect("a file can be written");
    fs::write(own.join("people.toml"), "").expect("a file can be written");
    let mut process =
        Process::start("gatepost", &mut command(&own.join("gatepost.toml")), own.join("log"));
    let status = process.wait_for_end(DEADLINE);
    assert!(status.code().is_some_and(|code| code != 0), "{status}: {}", process.written());
    process.written()
}

fn listening_at(socket: &str, folder: &Path) -> String {
    let [http] = free_ports();
    let folder = folder.display();
    format!(
        r#"
[[listen]]
protocol = "policy"
socket = "{socket}"
mta = "mx"
facing = "internet"
mode = "enforce"
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
"#
    )
}

fn unix(socket: &Path) -> String {
    format!("unix:{}", socket.display())
}

#[track_caller]
fn assert_judged(answer: &str) {
    assert!(
        answer.starts_with("action=550 5.7.1 [") && answer.contains("Unable to relay"),
        "{answer}"
    );
}

fn id(database: &str, name: &str) -> u32 {
    let line = output(Command::new("getent").args([database, name]));
    line.split(':').nth(2).and_then(|id| id.trim().parse().ok()).expect("getent prints an id")
}
