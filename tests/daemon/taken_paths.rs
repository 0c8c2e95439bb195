//! A unix socket's place where something stands already, or where nothing can.

use crate::client::{Client, rcpt};
use crate::process::{DEADLINE, Done};
use crate::site::Site;
use crate::sockets::assert_answers;
use rustix::process::Signal;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixListener};

/// Exit code 3 and one line that names the socket and says why.
#[track_caller]
fn assert_told(site: &Site, done: &Done, why: &str) {
    assert_eq!(done.code, Some(3), "{}", done.complained);
    let line = done.complained.lines().find(|line| line.contains("not started: ")).unwrap_or("");
    assert!(line.contains(" ERROR ") && line.contains(why), "{why:?} in\n{}", done.complained);
    assert!(site.leftovers().is_empty(), "{:?}", site.leftovers());
}

#[test]
fn a_socket_left_behind_is_taken_over() {
    let site = Site::new();
    drop(UnixListener::bind(site.unix()).expect("a socket can be bound"));
    let mut gatepost = site.start();
    assert_eq!(Client::unix(&site.unix()).ask(&rcpt("alice", "friend@far.test")), "DUNNO");
    gatepost.signal(Signal::KILL);
    gatepost.wait_for_end(DEADLINE);
    assert!(site.unix().exists() && site.path("control.sock").exists());
    let _again = site.start();
    assert_eq!(Client::unix(&site.unix()).ask(&rcpt("alice", "friend@far.test")), "DUNNO");
}

#[test]
fn a_socket_that_somebody_answers_on_is_theirs() {
    let site = Site::new();
    let owner = UnixListener::bind(site.unix()).expect("a socket can be bound");
    let inode = fs::metadata(site.unix()).expect("the socket is there").ino();
    let done = site.fail_to_start();
    let path = site.unix().display().to_string();
    let why =
        format!("cannot listen on unix:{path}: {path} is in use: another process listens there");
    assert_told(&site, &done, &why);
    assert_eq!(fs::metadata(site.unix()).expect("the socket is there").ino(), inode);
    owner.accept().expect("the probe of the start");
    assert_answers(&owner, &site.unix());
}

#[test]
fn a_live_socket_of_another_type_is_not_taken_over() {
    let site = Site::new();
    let _owner = UnixDatagram::bind(site.unix()).expect("a socket can be bound");
    let done = site.fail_to_start();
    assert_told(&site, &done, "is in use: another process listens there");
    let sender = UnixDatagram::unbound().expect("a socket can be made");
    sender.send_to(b"still there", site.unix()).expect("the socket is its owner's");
}

#[test]
fn a_second_gatepost_does_not_disturb_the_first() {
    let site = Site::new();
    let _first = site.start();
    let mut client = Client::unix(&site.unix());
    // The policy port comes first in the file.
    let done = site.fail_to_start();
    assert_told(&site, &done, &format!("cannot listen on inet:127.0.0.1:{}: ", site.port));
    assert_eq!(client.ask(&rcpt("alice", "friend@far.test")), "DUNNO");
    assert_eq!(Client::unix(&site.unix()).ask(&rcpt("alice", "friend@far.test")), "DUNNO");
    assert_eq!(site.client().ask(&rcpt("alice", "friend@far.test")), "DUNNO");
}

#[test]
fn a_taken_port_of_the_pages_is_a_fault() {
    let site = Site::new();
    let _other = TcpListener::bind(("127.0.0.1", site.http)).expect("a free port");
    let done = site.fail_to_start();
    assert_told(&site, &done, &format!("cannot listen on http://127.0.0.1:{}: ", site.http));
    assert!(!site.unix().exists());
}

#[test]
fn what_is_no_socket_stays() {
    let site = Site::new();
    fs::write(site.unix(), "precious").expect("a file can be written");
    let done = site.fail_to_start();
    assert_told(&site, &done, &format!("{} exists and is no socket", site.unix().display()));
    assert_eq!(fs::read_to_string(site.unix()).expect("the file stays"), "precious");
}

#[test]
fn a_link_is_no_socket_wherever_it_leads() {
    let site = Site::new();
    let elsewhere = site.path("elsewhere");
    drop(UnixListener::bind(&elsewhere).expect("a socket can be bound"));
    std::os::unix::fs::symlink(&elsewhere, site.unix()).expect("a link can be made");
    let done = site.fail_to_start();
    assert_told(&site, &done, "exists and is no socket");
    assert!(elsewhere.exists() && fs::read_link(site.unix()).is_ok());
}

#[test]
fn a_folder_that_is_missing_is_a_fault() {
    let site = Site::with(&[("policy.sock", "missing/policy.sock")]);
    let done = site.fail_to_start();
    let path = site.path("missing").display().to_string();
    assert_told(&site, &done, &format!("{path}: No such file or directory"));
}

#[test]
fn a_path_in_a_folder_too_deep_for_a_socket_is_a_fault() {
    let site = Site::new();
    let deep = site.path(&"d".repeat(100));
    fs::create_dir(&deep).expect("a folder can be made");
    let path = deep.join("policy.sock");
    site.change("gatepost.toml", "policy.sock", &format!("{}/policy.sock", "d".repeat(100)));
    let done = site.fail_to_start();
    assert_told(&site, &done, &format!("cannot listen on unix:{}: ", path.display()));
    assert_eq!(fs::read_dir(&deep).expect("the folder stays").count(), 0);
}
