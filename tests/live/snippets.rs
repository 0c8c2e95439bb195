//! The files of `deploy/` as shipped: Postfix runs on exactly their lines, only the example ports,
//! paths and domain replaced by the lab's.

use crate::door::Door;
use crate::folder::make_folder;
use crate::lab::{Lab, Ports, Wiring, marker};
use crate::process::{program, read};
use crate::reply::Reply;
use crate::smtp::Session;
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

const OUTSIDE: &str = "friend@far.test";
const INSIDE: &str = "alice@local.test";
const NO_RELAY: &str = "bob has no relay right: mail to far.test is not allowed";
const NOT_TRUSTED: &str =
    "Unable to relay for friend@far.test: not logged in and not in a relay network";
const STRANGER: &str = "ADDR=203.0.113.45";
const RELAY_NETWORK: &str = "ADDR=198.51.100.5";

#[test]
fn enforcing_judges_logins_and_strangers() {
    let mut lab = wired("enforce.cf", "master.cf", "enforce", "dunno");
    assert_rights(&lab);
    let mut anonymous = Session::open_tls(lab.ports.submission, &lab.folder.path, None);
    anonymous.send("a@local.test", INSIDE, &marker("anonymous")).assert_refused(
        530,
        "5.7.0",
        "Authentication required",
    );
    stranger(&lab).send("a@far.test", OUTSIDE, &marker("stranger")).assert_refused(
        550,
        "5.7.1",
        NOT_TRUSTED,
    );
    stranger(&lab).send("a@far.test", INSIDE, &marker("stranger")).assert_ok();
    Session::open_as(lab.ports.mx, RELAY_NETWORK)
        .send("scan@local.test", OUTSIDE, &marker("printer"))
        .assert_ok();

    lab.gatepost.kill();
    assert_closed(&login(&lab, "alice").send(INSIDE, OUTSIDE, &marker("gone")));
    assert_closed(&stranger(&lab).send("a@far.test", INSIDE, &marker("gone")));
    lab.gatepost.run();
    assert_rights(&lab);
}

#[test]
fn failing_open_lets_go_what_postfix_permits_and_no_more() {
    let mut lab = wired("fail-open.cf", "master.cf", "enforce", "dunno");
    assert_rights(&lab);
    lab.gatepost.kill();
    login(&lab, "bob").send("bob@local.test", OUTSIDE, &marker("open")).assert_ok();
    let refused = stranger(&lab).send("a@far.test", OUTSIDE, &marker("shut"));
    assert!(refused.text.ends_with("Relay access denied"), "Postfix's own words: {refused}");
}

#[test]
fn observing_hurts_nobody_running_frozen_or_gone() {
    let mut lab = wired("observe.cf", "master.cf", "observe", "dunno");
    assert_all_pass(&lab, "running");
    lab.gatepost.freeze();
    assert_all_pass(&lab, "frozen");
    lab.gatepost.signal(Signal::CONT);
    assert_all_pass(&lab, "thawed");
    lab.gatepost.kill();
    assert_all_pass(&lab, "gone");
}

#[test]
fn the_ok_of_gatepost_is_the_only_way_out() {
    let mut lab = wired("enforce.cf", "on-grant.master.cf", "enforce", "ok");
    assert_rights(&lab);
    lab.gatepost.kill();
    assert_closed(&login(&lab, "alice").send(INSIDE, OUTSIDE, &marker("gone")));
}

#[test]
fn the_recipient_list_refuses_as_well() {
    let lab = wired("enforce.cf", "recipient-list.master.cf", "enforce", "dunno");
    assert_rights(&lab);
}

/// Who holds the relay right passes, who may submit only does not get out.
#[track_caller]
fn assert_rights(lab: &Lab) {
    let (out, inside) = (marker("alice"), marker("bob"));
    login(lab, "alice").send(INSIDE, OUTSIDE, &out).assert_ok();
    lab.external.wait_for(&out);
    let mut bob = login(lab, "bob");
    bob.send("bob@local.test", OUTSIDE, &marker("bob")).assert_refused(550, "5.7.1", NO_RELAY);
    bob.send("bob@local.test", INSIDE, &inside).assert_ok();
    lab.local.wait_for(&inside);
}

/// All at once: a frozen gatepost costs each command up to 5 s.
#[track_caller]
fn assert_all_pass(lab: &Lab, when: &str) {
    thread::scope(|scope| {
        for name in ["alice", "bob", "carol", "dave"] {
            scope.spawn(move || {
                let marker = marker(when);
                let reply = login(lab, name).send(INSIDE, OUTSIDE, &marker);
                assert_eq!(reply.code, 250, "{when}: {name}: {reply}");
                lab.external.wait_for(&marker);
            });
        }
        scope.spawn(move || {
            let marker = marker(when);
            let reply = stranger(lab).send("a@far.test", INSIDE, &marker);
            assert_eq!(reply.code, 250, "{when}: a stranger: {reply}");
            lab.local.wait_for(&marker);
        });
    });
}

#[track_caller]
fn assert_closed(reply: &Reply) {
    assert_eq!((reply.code, reply.enhanced.as_str()), (451, "4.3.0"), "{reply}");
    assert!(reply.text.ends_with("Policy service unavailable, try again later"), "{reply}");
}

fn login(lab: &Lab, name: &str) -> Session {
    Session::open_tls(lab.ports.submission, &lab.folder.path, None).login(name)
}

fn stranger(lab: &Lab) -> Session {
    Session::open_as(lab.ports.mx, STRANGER)
}

/// A lab on these snippets: how gatepost is asked, the submission service, the mode and the word of
/// `on-grant` in the shipped gatepost.toml.
fn wired(asked: &str, service: &str, mode: &str, on_grant: &str) -> Lab {
    let lab = Lab::start_wired(Door::Policy, |folder, ports, main_cf| {
        let policy = format!("inet:127.0.0.1:{}", ports.ask_internet);
        let asked = fill(&format!("postfix/{asked}"), &[("inet:127.0.0.1:10031", &policy)]);
        let lines = format!("{asked}{}mynetworks = 198.51.100.0/28\n", shipped("postfix/main.cf"));
        Wiring {
            main_cf: without(&main_cf, &lines) + &lines,
            services: services(service, ports),
            gatepost: gatepost_toml(folder, ports, mode, on_grant),
            handed: None,
        }
    });
    assert_in_force(&lab.folder.path);
    lab
}

/// The lab's Postfix has its own line for port 25; what is asked there stands in main.cf.
fn services(service: &str, ports: &Ports) -> String {
    let submission = format!("127.0.0.1:{} inet n ", ports.submission.number);
    let service = fill(&format!("postfix/{service}"), &[("submission inet n ", &submission)]);
    format!("127.0.0.1:{} inet n - y - - smtpd\n{service}", ports.mx.number)
}

fn gatepost_toml(folder: &Path, ports: &Ports, mode: &str, on_grant: &str) -> String {
    let socket = folder.join("queue/gatepost/policy.sock");
    make_folder(socket.parent().expect("a socket lies in a folder"));
    // What gatepost-policy.socket does in systemd.
    let listener = format!(
        "socket = \"unix:{}\"\nsocket-owner = \"postfix\"\nsocket-group = \"postfix\"\non-grant = \"{on_grant}\"",
        socket.display()
    );
    let filled = fill(
        "gatepost.toml",
        &[
            ("socket = \"systemd:policy\"", &listener),
            ("inet:127.0.0.1:10031", &format!("inet:127.0.0.1:{}", ports.ask_internet)),
            (
                "facing = \"submission\"\nmode = \"observe\"",
                &format!("facing = \"submission\"\nmode = \"{mode}\""),
            ),
            (
                "charge-at = \"never\"\nmode = \"observe\"",
                &format!("charge-at = \"never\"\nmode = \"{mode}\""),
            ),
            ("example.org", "local.test"),
            ("/var/lib/gatepost/store.redb", &folder.join("store.redb").display().to_string()),
        ],
    );
    format!(
        "{filled}
[http]
listen = \"127.0.0.1:{}\"
[control]
socket = \"{}/control.sock\"
",
        ports.http,
        folder.display()
    )
}

/// The shipped file with its example values replaced, each of which must stand in it.
#[track_caller]
pub fn fill(file: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(shipped(file), |text, (example, value)| {
        assert!(text.contains(example), "{example:?} stands in deploy/{file}:\n{text}");
        text.replace(example, value)
    })
}

pub fn shipped(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lab's main.cf without the parameters these lines set.
fn without(main_cf: &str, lines: &str) -> String {
    let name = |line: &str| line.split_once('=').map(|(name, _)| name.trim().to_owned());
    let set: Vec<_> = lines.lines().filter_map(name).collect();
    let kept = main_cf.lines().filter(|line| name(line).is_none_or(|name| !set.contains(&name)));
    kept.map(|line| format!("{line}\n")).collect()
}

/// Postfix knows every name in its files, uses every line, and had nothing to complain about.
#[track_caller]
pub fn assert_in_force(folder: &Path) {
    for ask in ["-n", "-M", "-P"] {
        let mut command = Command::new(program("postconf", "postfix"));
        let said = command.arg("-c").arg(folder.join("conf")).arg(ask).output();
        let said = String::from_utf8(said.expect("postconf runs").stderr).expect("text");
        assert_eq!(said, "", "postconf {ask} complains");
    }
    let log = read(&folder.join("mail.log"));
    assert!(!log.contains("warning"), "{log}");
}
