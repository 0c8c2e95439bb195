//! Started by systemd: sockets handed over (sd_listen_fds(3)), states told (sd_notify(3)). A shell
//! plays systemd: it knows its pid before it becomes gatepost.

use crate::client::{Client, rcpt};
use crate::mta::{Mta, QUIT, offer};
use crate::process::{DEADLINE, Program, run};
use crate::site::Site;
use rustix::process::Signal;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Command, Stdio};

/// Descriptors 3 and 4 are the shell's standard input and output.
const HANDS_OVER: &str = r#"
export LISTEN_PID=$$ WATCHDOG_PID=$$
exec "$0" run -c "$1" 3<&0 4>&1 </dev/null >/dev/null
"#;

fn as_systemd(site: &Site) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", HANDS_OVER, env!("CARGO_BIN_EXE_gatepost")]);
    command.arg(site.path("gatepost.toml")).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn activated() -> Site {
    let site = Site::new();
    site.change(
        "gatepost.toml",
        &format!("socket = \"inet:127.0.0.1:{}\"", site.port),
        "socket = \"systemd:policy\"",
    );
    let unix = site.unix().display().to_string();
    site.change(
        "gatepost.toml",
        &format!("socket = \"unix:{unix}\"\nsocket-mode = \"0660\""),
        "socket = \"systemd:policy-unix\"",
    );
    site
}

#[test]
fn sockets_are_taken_by_their_names() {
    let site = activated();
    let tcp = TcpListener::bind(("127.0.0.1", site.port)).expect("a free port");
    let unix = UnixListener::bind(site.unix()).expect("a socket can be bound");
    // Whoever comes before the start is served after it.
    let mut early = site.client();
    early.send(rcpt("alice", "friend@far.test"));
    let mut gatepost = Program::start(
        as_systemd(&site)
            .env("LISTEN_FDS", "2")
            .env("LISTEN_FDNAMES", "policy-unix:policy")
            .stdin(OwnedFd::from(unix))
            .stdout(OwnedFd::from(tcp)),
    );
    gatepost.wait_for_log(" ready ");
    assert_eq!(early.answer(), "DUNNO");
    for mut client in [site.client(), Client::unix(&site.unix())] {
        assert_eq!(client.ask(&rcpt("alice", "friend@far.test")), "DUNNO");
        assert!(client.ask(&rcpt("bob", "friend@far.test")).starts_with("550 5.7.1 ["));
    }
    gatepost.wait_for_log("mta=\"mx\"");
    assert!(gatepost.log().contains("socket=\"systemd:policy-unix\""), "{}", gatepost.log());
    // Nobody but loopback, as with a port of gatepost's own.
    Client::tcp_from([127, 0, 0, 9], site.port).assert_closed();
    gatepost.signal(Signal::TERM);
    assert_eq!(gatepost.wait_for_end(DEADLINE).code(), Some(0));
    assert!(site.unix().exists(), "the socket file is systemd's");
}

#[test]
fn a_milter_socket_is_taken_by_its_name() {
    let site = Site::of_milter(&[]);
    let socket = format!("socket = \"inet:127.0.0.1:{}\"", site.port);
    site.change("gatepost.toml", &socket, "socket = \"systemd:milter\"");
    let tcp = TcpListener::bind(("127.0.0.1", site.port)).expect("a free port");
    let mut early = Mta::tcp(&site);
    early.send(offer());
    let mut gatepost = Program::start(
        as_systemd(&site)
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDNAMES", "milter")
            .stdin(OwnedFd::from(tcp)),
    );
    gatepost.wait_for_log(" ready ");
    assert!(early.reply().starts_with('O'));
    early.assert_alice_sends();
    Mta::tcp(&site).greeted().assert_alice_sends();
    gatepost.wait_for_log("socket=\"systemd:milter\"");
    Client::tcp_from([127, 0, 0, 9], site.port).assert_closed();
    early.send(QUIT);
    gatepost.signal(Signal::TERM);
    assert_eq!(gatepost.wait_for_end(DEADLINE).code(), Some(0));
}

#[test]
fn a_name_that_was_not_handed_over_is_a_fault() {
    let site = activated();
    let tcp = TcpListener::bind(("127.0.0.1", site.port)).expect("a free port");
    let mut command = as_systemd(&site);
    command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "another").stdin(OwnedFd::from(tcp));
    let done = run(&mut command);
    assert_eq!(done.code, Some(3));
    let expected = "not started: cannot listen on systemd:policy: systemd handed over no socket named \"policy\" (FileDescriptorName= in the socket unit)";
    assert!(done.complained.contains(expected), "{}", done.complained);
}

#[test]
fn nothing_handed_over_is_the_same_fault() {
    let site = activated();
    // Handed to a parent, and its variables passed on by mistake.
    let mut wrong_pid = site.command();
    wrong_pid.env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
    for command in [&mut site.command(), &mut wrong_pid] {
        let done = run(command);
        assert_eq!(done.code, Some(3));
        assert!(done.complained.contains("no socket named \"policy\""), "{}", done.complained);
    }
}

/// The end of NOTIFY_SOCKET that systemd has.
struct Notified(UnixDatagram);

impl Notified {
    fn at(path: &Path) -> Notified {
        let socket = UnixDatagram::bind(path).expect("a socket can be bound");
        socket.set_read_timeout(Some(DEADLINE)).expect("a socket takes options");
        Notified(socket)
    }

    /// The next message, its lines sorted out of those that only count time.
    #[track_caller]
    fn next(&self) -> Vec<String> {
        let mut bytes = [0; 4096];
        let length = self.0.recv(&mut bytes).expect("gatepost tells its state");
        let text = std::str::from_utf8(&bytes[..length]).expect("states are ASCII");
        let lines = text.lines().filter(|line| !line.starts_with("MONOTONIC_USEC="));
        lines.map(Into::into).collect()
    }

    #[track_caller]
    fn next_but_watchdog(&self) -> Vec<String> {
        loop {
            match self.next() {
                line if line == ["WATCHDOG=1"] => {}
                other => return other,
            }
        }
    }
}

#[test]
fn states_are_told_in_their_order() {
    let site = Site::new();
    let notified = Notified::at(&site.path("notify"));
    let mut gatepost = Program::start(as_systemd(&site).env("NOTIFY_SOCKET", site.path("notify")));
    assert_eq!(notified.next(), ["READY=1"]);
    // Told only once everything listens.
    assert_eq!(site.client().ask(&rcpt("alice", "friend@far.test")), "DUNNO");
    assert_eq!(Client::unix(&site.unix()).ask(&rcpt("alice", "friend@far.test")), "DUNNO");
    // The first sign of life comes with the wait for signals.
    assert_eq!(notified.next(), ["WATCHDOG=1"]);
    for _ in 0..2 {
        gatepost.signal(Signal::HUP);
        assert_eq!(notified.next_but_watchdog(), ["RELOADING=1"]);
        assert_eq!(notified.next_but_watchdog(), ["READY=1"]);
    }
    // A reload that keeps the old rules ends as well, or systemd would wait for it.
    site.change("gatepost.toml", "local = [", "lokal = [");
    gatepost.signal(Signal::HUP);
    assert_eq!(notified.next_but_watchdog(), ["RELOADING=1"]);
    assert_eq!(notified.next_but_watchdog(), ["READY=1"]);
    gatepost.signal(Signal::TERM);
    assert_eq!(notified.next_but_watchdog(), ["STOPPING=1"]);
    assert_eq!(gatepost.wait_for_end(DEADLINE).code(), Some(0));
}

#[test]
fn a_reload_says_since_when() {
    let site = Site::new();
    let socket = UnixDatagram::bind(site.path("notify")).expect("a socket can be bound");
    socket.set_read_timeout(Some(DEADLINE)).expect("a socket takes options");
    let gatepost = Program::start(site.command().env("NOTIFY_SOCKET", site.path("notify")));
    let mut bytes = [0; 4096];
    let mut is_reloading = false;
    while !is_reloading {
        let length = socket.recv(&mut bytes).expect("gatepost tells its state");
        let text = String::from_utf8_lossy(&bytes[..length]);
        if text == "WATCHDOG=1\n" {
            gatepost.signal(Signal::HUP);
        }
        is_reloading = text.starts_with("RELOADING=1\n");
        // systemd takes Type=notify-reload by this stamp only (systemd.service(5)).
        let stamp = text.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
        assert!(!is_reloading || stamp.is_some_and(|at| at.parse::<u64>().is_ok_and(|at| at > 0)));
    }
}

#[test]
fn the_watchdog_is_fed_for_as_long_as_asked() {
    let site = Site::new();
    let notified = Notified::at(&site.path("notify"));
    let _gatepost = Program::start(
        as_systemd(&site).env("NOTIFY_SOCKET", site.path("notify")).env("WATCHDOG_USEC", "400000"),
    );
    assert_eq!(notified.next_but_watchdog(), ["READY=1"]);
    for _ in 0..5 {
        assert_eq!(notified.next(), ["WATCHDOG=1"]);
    }
}

#[test]
fn a_notify_socket_that_is_gone_costs_a_warning() {
    let site = Site::new();
    let gatepost = Program::start(site.command().env("NOTIFY_SOCKET", site.path("nowhere")));
    gatepost.wait_for_log("cannot tell systemd of this state");
    assert_eq!(site.client().ask(&rcpt("alice", "friend@far.test")), "DUNNO");
}
