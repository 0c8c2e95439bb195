//! Unix sockets from birth to end: owner, group and mode, the file's place before and after.

use crate::client::{Client, rcpt};
use crate::process::DEADLINE;
use crate::site::Site;
use nix::unistd::{Gid, Group, Uid, User};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

#[test]
fn sockets_bear_the_configured_mode() {
    let site = Site::with(&[
        ("socket-mode = \"0660\"", "socket-mode = \"0626\""),
        ("\"control.sock\"", "\"control.sock\"\nsocket-mode = \"600\""),
    ]);
    let _gatepost = site.start();
    for (path, mode) in [(site.unix(), 0o626), (site.path("control.sock"), 0o600)] {
        let metadata = fs::symlink_metadata(&path).expect("the socket is there");
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.mode() & 0o7777, mode, "{}", path.display());
    }
    assert!(site.leftovers().is_empty());
}

#[test]
fn without_a_word_sockets_are_for_owner_and_group() {
    let site = Site::with(&[("socket-mode = \"0660\"\n", "")]);
    let _gatepost = site.start();
    for path in [site.unix(), site.path("control.sock")] {
        let metadata = fs::metadata(&path).expect("the socket is there");
        assert_eq!(metadata.mode() & 0o7777, 0o660, "{}", path.display());
        assert_eq!(metadata.uid(), Uid::effective().as_raw());
    }
}

/// Root can give a socket to anyone, others to themselves only.
#[test]
fn sockets_bear_the_configured_owner_and_group() {
    let is_root = Uid::effective().is_root();
    let uid = if is_root { Uid::from_raw(1) } else { Uid::effective() };
    let gid = if is_root { Gid::from_raw(2) } else { Gid::effective() };
    let owner = User::from_uid(uid).expect("users can be read").expect("the user has a name");
    let group = Group::from_gid(gid).expect("groups can be read").expect("the group has a name");
    let keys = format!("socket-owner = \"{}\"\nsocket-group = \"{}\"", owner.name, group.name);
    let site = Site::with(&[
        ("socket-mode = \"0660\"", &keys),
        ("\"control.sock\"", &format!("\"control.sock\"\n{keys}")),
    ]);
    let _gatepost = site.start();
    for path in [site.unix(), site.path("control.sock")] {
        let metadata = fs::metadata(&path).expect("the socket is there");
        assert_eq!((metadata.uid(), metadata.gid()), (uid.as_raw(), gid.as_raw()));
    }
    assert_eq!(Client::unix(&site.unix()).ask(&rcpt("alice", "friend@far.test")), "DUNNO");
}

#[test]
fn an_owner_this_machine_does_not_know_is_a_fault() {
    for (key, what) in [("socket-owner", "user"), ("socket-group", "group")] {
        let keys = format!("{key} = \"nobody-of-that-name\"");
        let site = Site::with(&[("socket-mode = \"0660\"", &keys)]);
        let done = site.fail_to_start();
        let expected = format!(
            "not started: cannot listen on unix:{}: {key}: this machine has no {what} \"nobody-of-that-name\"",
            site.unix().display()
        );
        assert_eq!(done.code, Some(3));
        assert!(done.complained.contains(&expected), "{expected:?} in\n{}", done.complained);
        assert!(!site.unix().exists());
        assert!(site.leftovers().is_empty());
    }
}

#[test]
fn sockets_are_removed_at_a_clean_end() {
    let site = Site::new();
    let mut gatepost = site.start();
    assert!(site.unix().exists() && site.path("control.sock").exists());
    gatepost.signal(Signal::TERM);
    assert_eq!(gatepost.wait_for_end(DEADLINE).code(), Some(0));
    assert!(!site.unix().exists(), "the policy socket");
    assert!(!site.path("control.sock").exists(), "the control socket");
    assert!(site.leftovers().is_empty());
}

#[test]
fn sockets_are_removed_at_the_drain_deadline_too() {
    let site = Site::with(&[("drain = \"15s\"", "drain = \"1s\"")]);
    let mut gatepost = site.start();
    let mut half = Client::unix(&site.unix());
    half.ask(&rcpt("alice", "friend@far.test"));
    half.send("request=");
    gatepost.signal(Signal::TERM);
    assert_eq!(gatepost.wait_for_end(DEADLINE).code(), Some(0));
    assert!(!site.unix().exists() && !site.path("control.sock").exists());
}

#[test]
fn a_socket_that_somebody_else_has_taken_over_is_left_alone() {
    let site = Site::new();
    let mut gatepost = site.start();
    fs::remove_file(site.unix()).expect("a socket can be removed");
    let successor = UnixListener::bind(site.unix()).expect("a socket can be bound");
    gatepost.signal(Signal::TERM);
    assert_eq!(gatepost.wait_for_end(DEADLINE).code(), Some(0));
    assert_answers(&successor, &site.unix());
}

#[test]
fn sockets_bound_before_a_fault_are_removed() {
    let site = Site::new();
    // The control socket comes after the listeners.
    fs::create_dir(site.path("control.sock")).expect("a folder can be made");
    let done = site.fail_to_start();
    assert_eq!(done.code, Some(3));
    assert!(
        done.complained.contains("control.sock exists and is no socket"),
        "{}",
        done.complained
    );
    assert!(!site.unix().exists());
    assert!(site.path("control.sock").is_dir());
    assert!(site.leftovers().is_empty());
}

#[track_caller]
pub fn assert_answers(listener: &UnixListener, path: &Path) {
    let _client = std::os::unix::net::UnixStream::connect(path).expect("the socket is there");
    listener.accept().expect("the socket is the listener's");
}
