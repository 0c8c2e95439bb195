//! What once was wrong at the edges: signals at the start, paths too long, forged lines, foreign sockets.

use crate::client::{id_of, rcpt};
use crate::page::{metric, read, wait_for_metric};
use crate::process::{DEADLINE, Program, run};
use crate::site::{Site, gatepost};

use rustix::process::Signal;
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Duration;

/// Whoever was told that gatepost runs may signal it. A notify socket that takes no more holds
/// gatepost just there.
#[test]
fn a_signal_right_after_ready_is_not_the_end() {
    let site = Site::new();
    let systemd = UnixDatagram::bind(site.path("notify")).expect("a socket can be bound");
    let filler = UnixDatagram::unbound().expect("a socket can be made");
    filler.set_nonblocking(true).expect("a socket takes options");
    while filler.send_to(b"X=1", site.path("notify")).is_ok() {}
    let gatepost = Program::start(site.command().env("NOTIFY_SOCKET", site.path("notify")));
    gatepost.wait_for_log("ready");
    gatepost.signal(Signal::HUP);
    systemd.set_read_timeout(Some(DEADLINE)).expect("a socket takes options");
    let mut bytes = [0; 256];
    let mut told = String::new();
    while !told.contains("RELOADING=1") {
        let length = systemd.recv(&mut bytes).expect("gatepost lives and tells");
        told += &String::from_utf8_lossy(&bytes[..length]);
    }
    assert!(told.contains("READY=1"), "{told}");
}

/// A load balancer that asks during the drain hears that it is one.
#[test]
fn the_pages_are_there_until_the_drain_is_over() {
    let site = Site::new();
    let mut gatepost = site.start();
    let mut half = site.client();
    let question = rcpt("alice", "friend@far.test");
    half.ask(&question);
    half.send(&question[..20]);
    gatepost.signal(Signal::TERM);
    gatepost.wait_for_log("stopping: answering what was asked");
    let ready = read(site.http, "/-/ready");
    assert_eq!(ready.status, 503);
    assert_eq!(ready.body, "gatepost is not ready: starting or stopping\n");
    assert_eq!(read(site.http, "/-/healthy").status, 200);
    assert_eq!(metric(site.http, "gatepost_connections{protocol=\"policy\"}"), 1);
    half.send(&question[20..]);
    assert_eq!(half.answer(), "DUNNO");
    assert_eq!(gatepost.wait_for_end(Duration::from_secs(7)).code(), Some(0));
}

/// Only what a mail server asks is worth a wait.
#[test]
fn a_half_sent_page_request_does_not_hold_up_the_end() {
    let site = Site::new();
    let mut gatepost = site.start();
    let mut pages = TcpStream::connect(("127.0.0.1", site.http)).expect("the pages are there");
    pages.write_all(b"GET /metrics HTTP/1.1\r\n").expect("half a request is taken");
    assert_eq!(read(site.http, "/-/ready").status, 200);
    gatepost.signal(Signal::TERM);
    assert_eq!(gatepost.wait_for_end(Duration::from_secs(7)).code(), Some(0));
}

/// The empty line of such a client has a CR too, so no empty line ever comes.
#[test]
fn lines_that_all_end_in_cr_lf_are_refused_at_once() {
    let site = Site::new();
    let gatepost = site.start();
    let mut client = site.client();
    client.send(rcpt("alice", "friend@far.test").replace('\n', "\r\n"));
    client.assert_closed();
    gatepost.wait_for_log("lines end in CR LF; expected LF alone");
    let kind = "gatepost_protocol_errors_total{kind=\"syntax\",protocol=\"policy\"}";
    assert_eq!(metric(site.http, kind), 1);
}

#[test]
fn a_path_too_long_for_a_socket_is_a_fault_and_not_a_deaf_daemon() {
    let site = Site::new();
    let name = "s".repeat(108 - site.folder.as_os_str().len() - 1);
    site.change("gatepost.toml", "policy.sock", &name);
    assert_eq!(site.path(&name).as_os_str().len(), 108);
    let done = site.fail_to_start();
    assert_eq!(done.code, Some(3));
    assert!(done.complained.contains("at most 107 bytes"), "{}", done.complained);
    assert!(!site.path(&name).exists() && site.leftovers().is_empty());
}

/// As in a shell that an activated service started (sd_listen_fds(3) looks at LISTEN_PID first).
#[test]
fn the_names_of_a_parents_sockets_are_passed_over() {
    let site = Site::new();
    let mut command = site.command();
    command.env("LISTEN_PID", "1").env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "policy");
    let gatepost = Program::start(&mut command);
    gatepost.wait_for_log(" ready ");
    assert_eq!(site.client().ask(&rcpt("alice", "friend@far.test")), "DUNNO");
}

#[test]
fn a_login_cannot_break_or_turn_a_human_line() {
    let site = Site::new();
    let gatepost = site.start();
    let mut client = site.client();
    for odd in ["\r", "\u{b}", "\u{202e}", "\u{2028}", "\u{2066}", "\t"] {
        client.ask(&rcpt(&format!("bo{odd}b"), &format!("x{odd}y@far.test")));
        let mut broken = site.client();
        broken.send(format!("request=ju{odd}nk\n\n"));
        broken.assert_closed();
    }
    let mut lines = gatepost.wait_for_logs("gatepost::decision", 6);
    lines.extend(gatepost.wait_for_logs("closed without an answer", 6));
    for line in lines {
        let is_odd = |c: char| c.is_control() || "\u{202e}\u{2028}\u{2066}".contains(c);
        assert!(!line.contains(is_odd), "{line:?}");
    }
}

#[test]
fn a_login_cannot_write_fields_of_its_own() {
    let site = Site::new();
    let gatepost = site.start();
    site.client().ask(&rcpt("bob action=\"pass\" client=127.0.0.1", "x@far.test"));
    let line = gatepost.wait_for_log("gatepost::decision");
    // Quoted, so that neither a reader nor a program takes it for a field.
    assert_eq!(line.matches(" action=\"pass\"").count(), 0, "{line}");
}

#[test]
fn a_story_cannot_steer_the_terminal() {
    let site = Site::new();
    let _gatepost = site.start();
    let refusal = site.client().ask(&rcpt("bo\u{1b}[31mb\u{202e}", "x@far.test"));
    wait_for_metric(site.http, "gatepost_requests_total{protocol=\"policy\",stage=\"rcpt\"}", 1);
    let told = site.run(&["explain", "-c", "gatepost.toml", "--id", id_of(&refusal)]);
    assert_eq!(told.code, Some(1), "{}", told.complained);
    assert!(!told.printed.contains(['\u{1b}', '\u{202e}']), "{:?}", told.printed);
}

#[test]
fn a_bounce_need_not_be_utf_8() {
    let site = Site::new();
    let _running = site.start();
    let refusal = site.client().ask(&rcpt("bob", "friend@far.test"));
    wait_for_metric(site.http, "gatepost_requests_total{protocol=\"policy\",stage=\"rcpt\"}", 1);
    let bounce = [b"Gr\xfc\xdfe aus K\xf6ln\n\nsaid: ", refusal.as_bytes(), b"\n"].concat();
    fs::write(site.path("bounce"), bounce).expect("a file can be written");
    let bounce = File::open(site.path("bounce")).expect("a file can be opened");
    let mut command = gatepost();
    command.args(["explain", "--control", "control.sock", "--id", "-"]);
    let told = run(command.current_dir(&site.folder).stdin(Stdio::from(bounce)));
    assert_eq!(told.code, Some(1), "{}", told.complained);
    assert!(told.printed.contains(id_of(&refusal)), "{}{}", told.printed, told.complained);
}

/// What systemd was told to hand over is looked at before anyone is told that it works.
#[test]
fn a_handed_over_socket_that_cannot_listen_is_a_fault() {
    let site = Site::new();
    let unix = site.unix().display().to_string();
    site.change(
        "gatepost.toml",
        &format!("socket = \"unix:{unix}\"\nsocket-mode = \"0660\""),
        "socket = \"systemd:policy\"",
    );
    let datagram = UnixDatagram::bind(site.unix()).expect("a socket can be bound");
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", "export LISTEN_PID=$$; exec \"$0\" run -c \"$1\" 3<&0 </dev/null"]);
    command.arg(env!("CARGO_BIN_EXE_gatepost")).arg(site.path("gatepost.toml"));
    command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "policy");
    command.stdin(Stdio::from(std::os::fd::OwnedFd::from(datagram)));
    let mut gatepost = Program::start(&mut command);
    assert_eq!(gatepost.wait_for_end(DEADLINE).code(), Some(3));
    assert!(gatepost.log().contains("cannot listen on systemd:policy"), "{}", gatepost.log());
}
