//! OpenDKIM's miltertest(8), which runs the *.lua beside this file. It offers what libmilter offers.

use crate::process::Program;
use crate::script::{Script, assert_no_fault, folder, id_at_end, take_from_alice};
use crate::site::Site;
use std::path::Path;
use std::process::Command;

/// Where a script asks.
fn tcp(site: &Site) -> String {
    format!("inet:{}@127.0.0.1", site.port)
}

fn unix(site: &Site) -> String {
    format!("unix:{}", site.unix().display())
}

#[track_caller]
fn start(socket: &str, name: &str, definitions: &[&str]) -> Script {
    let mut command = Command::new("/usr/bin/miltertest");
    assert!(
        Path::new(command.get_program()).is_file(),
        "miltertest is missing: install the Debian package miltertest"
    );
    command.arg("-D").arg(format!("SOCKET={socket}"));
    command.arg("-D").arg(format!("FOLDER={}", folder().display()));
    for definition in definitions {
        command.args(["-D", definition]);
    }
    Script::start(command.arg("-s").arg(folder().join(name)))
}

/// Runs a script over TCP and over the unix socket.
#[track_caller]
fn passes(site: &Site, name: &str) {
    for socket in [tcp(site), unix(site)] {
        start(&socket, name, &[]).passes();
    }
}

/// How many decisions were logged with this reason at this stage; all that the scripts asked for are
/// there once they have ended.
#[track_caller]
fn assert_refused(gatepost: &Program, stage: &str, reason: &str, times: usize) {
    let with_reason = format!("action=\"reject\" reason=\"{reason}\"");
    let lines = gatepost.wait_for_logs(&with_reason, times);
    let at_stage = lines.iter().filter(|line| line.contains(&format!("stage=\"{stage}\"")));
    assert_eq!(at_stage.count(), times, "{lines:#?}");
}

#[test]
fn a_login_with_the_relay_right_sends() {
    let site = Site::of_milter(&[]);
    let gatepost = site.start();
    passes(&site, "relay_right.lua");
    assert_no_fault(&gatepost);
}

#[test]
fn without_the_relay_right_strangers_are_refused_and_the_others_go_on() {
    let site = Site::of_milter(&[]);
    let gatepost = site.start();
    passes(&site, "no_relay_right.lua");
    assert_refused(&gatepost, "rcpt", "relay-missing", 4);
    assert_no_fault(&gatepost);
}

#[test]
fn without_the_submit_right_mail_is_refused() {
    let site = Site::of_milter(&[]);
    let gatepost = site.start();
    passes(&site, "no_submit_right.lua");
    for reason in ["login-required", "submit-denied", "account-disabled"] {
        assert_refused(&gatepost, "mail", reason, 2);
    }
    assert_no_fault(&gatepost);
}

#[test]
fn several_messages_share_a_connection_and_nothing_else() {
    let site = Site::of_milter(&[]);
    let gatepost = site.start();
    passes(&site, "several_messages.lua");
    assert_refused(&gatepost, "rcpt", "relay-missing", 6);
    assert_refused(&gatepost, "mail", "login-required", 6);
    assert_no_fault(&gatepost);
}

#[test]
fn clients_of_every_family_are_told_apart() {
    let relay = "[relay]\nnetworks = [\"192.0.2.64/28\", \"2001:db8:1::/48\"]\n\n[standing]";
    let site = Site::of_milter(&[("[standing]", relay)]);
    let gatepost = site.start();
    passes(&site, "clients.lua");
    assert_refused(&gatepost, "mail", "login-required", 8);
    assert_no_fault(&gatepost);
}

#[test]
fn the_null_sender_is_a_sender() {
    let site = Site::of_milter(&[]);
    let gatepost = site.start();
    passes(&site, "null_sender.lua");
    assert_refused(&gatepost, "rcpt", "relay-missing", 4);
    assert_refused(&gatepost, "mail", "login-required", 4);
    assert_no_fault(&gatepost);
}

#[test]
fn the_header_bears_an_id_that_explain_knows() {
    let limit = "max-connections = 1000";
    let site = Site::of_milter(&[(limit, &format!("{limit}\nid-header = true"))]);
    let gatepost = site.start();
    let printed = start(&tcp(&site), "id_header.lua", &[]).passes();
    let id = printed.trim().strip_prefix("id ").expect("an id");
    let line = gatepost.wait_for_log("stage=\"end-of-message\"");
    assert!(line.contains(&format!(" id={id} action=\"pass\"")), "{id} in {line}");
    let told = site.run(&["explain", "-c", "gatepost.toml", "--id", id]);
    assert_eq!(told.code, Some(0), "{}", told.complained);
    assert_no_fault(&gatepost);
}

#[test]
fn a_right_taken_away_before_the_end_costs_the_message() {
    let limit = "max-connections = 1000";
    let keys = format!("{limit}\nat-end-of-message = \"quarantine\"\nid-header = true");
    for (held, changes) in [("yes", &[(limit, &*keys)][..]), ("no", &[])] {
        let site = Site::of_milter(changes);
        let gatepost = site.start();
        let mut script = start(&tcp(&site), "taken_away.lua", &[&format!("HELD={held}")]);
        script.at("take it away", || take_from_alice(&site, &gatepost));
        script.at("which id?", || id_at_end(&gatepost));
        script.passes();
        assert_no_fault(&gatepost);
    }
}

#[test]
fn a_script_that_errs_does_not_pass() {
    let site = Site::of_milter(&[]);
    let _gatepost = site.start();
    for (socket, script, says) in [
        (&*tcp(&site), "errs.lua", ":7: reply code, expected continue"),
        ("inet:1@127.0.0.1", "relay_right.lua", "Connection refused"),
    ] {
        let done = start(socket, script, &[]).end();
        assert_eq!(done.code, Some(1), "{}", done.printed);
        assert!(done.printed.contains(says), "{says} in {}", done.printed);
    }
}
