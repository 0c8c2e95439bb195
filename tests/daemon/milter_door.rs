//! Where mail servers come in by milter: sockets, who may come, how many, and that nobody holds the
//! door against the others.

use crate::client::Client;
use crate::mta::{Mta, offer};
use crate::page::{metric, wait_for_metric};
use crate::process::{DEADLINE, until};
use crate::site::Site;
use nix::unistd::{Gid, Group, Uid, User};
use rustix::process::Signal;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::process::Command;

const LIMIT: &str = "gatepost_connections_rejected_total{protocol=\"milter\",reason=\"limit\"}";
const PEER: &str = "gatepost_connections_rejected_total{protocol=\"milter\",reason=\"peer\"}";
const OPEN: &str = "gatepost_connections{protocol=\"milter\"}";

#[test]
fn the_socket_bears_the_configured_owner_group_and_mode() {
    let is_root = Uid::effective().is_root();
    let uid = if is_root { Uid::from_raw(1) } else { Uid::effective() };
    let gid = if is_root { Gid::from_raw(2) } else { Gid::effective() };
    let owner = User::from_uid(uid).expect("users can be read").expect("the user has a name");
    let group = Group::from_gid(gid).expect("groups can be read").expect("the group has a name");
    let keys = format!(
        "socket-mode = \"0626\"\nsocket-owner = \"{}\"\nsocket-group = \"{}\"",
        owner.name, group.name
    );
    let site = Site::of_milter(&[("socket-mode = \"0660\"", &keys)]);
    let mut gatepost = site.start();
    let metadata = fs::symlink_metadata(site.unix()).expect("the socket is there");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.mode() & 0o7777, 0o626);
    assert_eq!((metadata.uid(), metadata.gid()), (uid.as_raw(), gid.as_raw()));
    Mta::unix(&site.unix()).greeted().assert_alice_sends();
    gatepost.signal(Signal::TERM);
    assert_eq!(gatepost.wait_for_end(DEADLINE).code(), Some(0));
    assert!(!site.unix().exists());
    assert!(site.leftovers().is_empty());
}

#[test]
fn a_socket_left_behind_is_taken_over() {
    let site = Site::of_milter(&[]);
    drop(UnixListener::bind(site.unix()).expect("a socket can be bound"));
    let mut gatepost = site.start();
    Mta::unix(&site.unix()).greeted().assert_alice_sends();
    gatepost.signal(Signal::KILL);
    gatepost.wait_for_end(DEADLINE);
    assert!(site.unix().exists());
    let _again = site.start();
    Mta::unix(&site.unix()).greeted().assert_alice_sends();
}

#[test]
fn peers_that_may_not_ask_are_turned_away_and_counted() {
    let allow = "max-connections = 1000\nallow-from = [\"127.0.0.8/31\"]";
    let site = Site::of_milter(&[("max-connections = 1000", allow)]);
    let gatepost = site.start();
    for (number, peer) in [[127, 0, 0, 1], [127, 0, 0, 10]].into_iter().enumerate() {
        Client::tcp_from(peer, site.port).assert_closed();
        wait_for_metric(site.http, PEER, number as i64 + 1);
    }
    Mta(Client::tcp_from([127, 0, 0, 9], site.port)).greeted().assert_alice_sends();
    Mta::unix(&site.unix()).greeted().assert_alice_sends();
    let told = gatepost.wait_for_logs("connection closed at once", 2);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[1].contains("peer=\"127.0.0.10:") && told[1].contains("why=Peer"), "{told:#?}");
}

#[test]
fn only_loopback_may_ask_by_default() {
    let site = Site::of_milter(&[]);
    let _gatepost = site.start();
    Mta::tcp(&site).greeted().assert_alice_sends();
    Client::tcp_from([127, 0, 0, 9], site.port).assert_closed();
}

#[test]
fn connections_over_the_limit_are_turned_away_and_counted() {
    let site = Site::of_milter(&[("max-connections = 1000", "max-connections = 3")]);
    let gatepost = site.start();
    let mut sessions: Vec<Mta> = (0..3).map(|_| Mta::tcp(&site).greeted()).collect();
    for surplus in 1..=2 {
        site.client().assert_closed();
        wait_for_metric(site.http, LIMIT, surplus);
    }
    assert_eq!(metric(site.http, OPEN), 3);
    assert_eq!(gatepost.wait_for_logs("connection closed at once", 2).len(), 2);
    // The limit is the listener's own, and those within it are served on.
    Mta::unix(&site.unix()).greeted().assert_alice_sends();
    sessions.iter_mut().for_each(Mta::assert_alice_sends);
    sessions.pop();
    wait_for_metric(site.http, OPEN, 2);
    Mta::tcp(&site).greeted().assert_alice_sends();
}

/// Field bug 26: a negotiation was reset while all workers were busy with others.
#[test]
fn hundreds_of_silent_connections_do_not_hold_up_the_next() {
    const SILENT: usize = 400;
    let site = Site::of_milter(&[]);
    let gatepost = site.start();
    // Scanners never say anything, SMTP clients fall silent after EHLO, and some within a packet.
    let mut silent: Vec<Mta> = (0..SILENT).map(|_| Mta::tcp(&site)).collect();
    for (number, mta) in silent.iter_mut().enumerate() {
        match number % 3 {
            0 => {}
            1 => mta.send(&offer()[..9]),
            _ => assert!(mta.ask(offer()).starts_with('O')),
        }
    }
    for _ in 0..100 {
        Mta::tcp(&site).greeted().assert_alice_sends();
        Mta::unix(&site.unix()).greeted().assert_alice_sends();
    }
    wait_for_metric(site.http, OPEN, SILENT as i64);
    assert_eq!(metric(site.http, LIMIT), 0);
    // Whoever was silent is not forgotten.
    for mta in silent.iter_mut().skip(1).step_by(3) {
        mta.send(&offer()[9..]);
        assert!(mta.reply().starts_with('O'));
    }
    assert!(gatepost.logs(" WARN ").is_empty(), "{}", gatepost.log());
}

/// Field bug 27: started with its standard files closed, a filter wrote its log into a mail server's
/// connection.
#[test]
fn closed_standard_files_put_no_log_into_a_connection() {
    let site = Site::of_milter(&[]);
    let mut command = Command::new("/bin/sh");
    let run = "exec \"$0\" run -c \"$1\" <&- >&- 2>&-";
    command.args(["-c", run, env!("CARGO_BIN_EXE_gatepost")]).arg(site.path("gatepost.toml"));
    command.current_dir(&site.folder);
    let mut gatepost = command.spawn().expect("a shell starts");
    until("gatepost answers by HTTP", || {
        TcpStream::connect(("127.0.0.1", site.http)).is_ok().then_some(())
    });
    Mta::tcp(&site).greeted().assert_alice_sends();
    gatepost.kill().expect("an own child can be killed");
    gatepost.wait().expect("an own child can be waited for");
}
