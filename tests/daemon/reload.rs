//! What changes while the daemon runs: the rules at SIGHUP, the directory file by itself.

use crate::client::{Client, rcpt, without_id};
use crate::page::{metric, wait_for_metric};
use crate::process::Program;
use crate::site::Site;
use rustix::process::Signal;

const NO_RELAY: &str = "550 5.7.1 bob has no relay right: mail to far.test is not allowed";
const CONFIG: &str = "gatepost_config_last_reload_successful";
const CONFIG_AT: &str = "gatepost_config_last_reload_success_timestamp_seconds";
const DIRECTORY: &str = "gatepost_directory_last_reload_successful";

/// bob's rights, and those with the relay right given to his group.
const SUBMIT: &str = "group = \"Mail-Submit\"\nsubmit = \"allow\"\n";
const RELAY: &str = "group = \"Mail-Submit\"\nsubmit = \"allow\"\nrelay = \"allow\"\n";

fn bob(client: &mut Client) -> String {
    without_id(&client.ask(&rcpt("bob", "friend@far.test")))
}

/// Sends SIGHUP and waits for its `number`th outcome of this kind.
#[track_caller]
fn reload(gatepost: &Program, outcome: &str, number: usize) {
    gatepost.signal(Signal::HUP);
    gatepost.wait_for_logs(outcome, number);
}

#[test]
fn a_changed_grant_takes_effect_on_open_connections() {
    let site = Site::new();
    let gatepost = site.start();
    let mut clients = [site.client(), Client::unix(&site.unix())];
    clients.iter_mut().for_each(|client| assert_eq!(bob(client), NO_RELAY));
    site.change("gatepost.toml", SUBMIT, RELAY);
    clients.iter_mut().for_each(|client| assert_eq!(bob(client), NO_RELAY, "not by itself"));
    reload(&gatepost, "configuration reloaded", 1);
    clients.iter_mut().for_each(|client| assert_eq!(bob(client), "DUNNO"));
    site.change("gatepost.toml", RELAY, SUBMIT);
    reload(&gatepost, "configuration reloaded", 2);
    clients.iter_mut().for_each(|client| assert_eq!(bob(client), NO_RELAY));
    assert!(gatepost.logs("connection closed").is_empty());
    assert!(gatepost.logs("needs a restart").is_empty());
}

#[test]
fn a_broken_file_keeps_the_old_rules_and_tells_each_fault() {
    let site = Site::new();
    let gatepost = site.start();
    let mut client = site.client();
    assert_eq!(metric(site.http, CONFIG), 1);
    let since = metric(site.http, CONFIG_AT);
    assert!(since > 1_700_000_000, "seconds since 1970, not {since}");

    site.change("gatepost.toml", SUBMIT, &RELAY.replace("relay = \"allow\"", "relay = \"yes\""));
    site.change("gatepost.toml", "local = [", "lokal = [");
    reload(&gatepost, "configuration not reloaded: the old rules stay", 1);
    let told = gatepost.logs(&format!("{}:", site.path("gatepost.toml").display()));
    let faults: Vec<_> = told.iter().filter(|line| line.contains(" ERROR ")).collect();
    assert_eq!(faults.len(), 2, "{told:#?}");
    assert!(faults.iter().any(|line| line.contains("lokal")), "{faults:#?}");
    assert!(faults.iter().any(|line| line.contains("relay")), "{faults:#?}");
    assert!(gatepost.logs("not reloaded")[0].contains("faults=2"), "{}", gatepost.log());
    wait_for_metric(site.http, CONFIG, 0);
    assert_eq!(bob(&mut client), NO_RELAY);

    site.change("gatepost.toml", "relay = \"yes\"", "relay = \"allow\"");
    reload(&gatepost, "configuration not reloaded", 2);
    assert_eq!(bob(&mut client), NO_RELAY, "one fault is as good as two");
    site.change("gatepost.toml", "lokal = [", "local = [");
    reload(&gatepost, "configuration reloaded", 1);
    assert_eq!(bob(&mut client), "DUNNO");
    assert_eq!(metric(site.http, CONFIG), 1);
    assert!(metric(site.http, CONFIG_AT) >= since);
}

#[test]
fn a_file_that_is_gone_keeps_the_old_rules() {
    let site = Site::new();
    let gatepost = site.start();
    std::fs::remove_file(site.path("gatepost.toml")).expect("a file can be removed");
    reload(&gatepost, "configuration not reloaded", 1);
    assert_eq!(gatepost.logs("No such file or directory").len(), 1);
    assert_eq!(bob(&mut site.client()), NO_RELAY);
}

#[test]
fn what_needs_a_restart_is_named_and_the_rest_taken_up() {
    let site = Site::new();
    let gatepost = site.start();
    let mut client = site.client();
    site.change("gatepost.toml", "max-connections = 1000", "max-connections = 1");
    site.change("gatepost.toml", "drain = \"15s\"", "drain = \"14s\"");
    site.change("gatepost.toml", SUBMIT, RELAY);
    reload(&gatepost, "configuration reloaded", 1);
    assert_eq!(bob(&mut client), "DUNNO");
    let named = gatepost.logs("has changed and needs a restart; the old value stays");
    assert_eq!(named.len(), 2, "{named:#?}");
    assert!(named.iter().all(|line| line.contains(" WARN ")), "{named:#?}");
    assert!(named.iter().any(|line| line.contains("[[listen]] max-connections")), "{named:#?}");
    assert!(named.iter().any(|line| line.contains("[server] drain")), "{named:#?}");
    assert_eq!(bob(&mut site.client()), "DUNNO", "a second connection, as before");
}

#[test]
fn a_changed_mode_of_a_listener_waits_for_a_restart() {
    let site = Site::new();
    let gatepost = site.start();
    site.change("gatepost.toml", "mode = \"enforce\" # beside the first", "mode = \"observe\"");
    reload(&gatepost, "configuration reloaded", 1);
    assert_eq!(gatepost.logs("[[listen]] mode has changed and needs a restart").len(), 1);
    assert_eq!(bob(&mut Client::unix(&site.unix())), NO_RELAY);
}

#[test]
fn the_directory_file_is_taken_up_by_itself() {
    let site = Site::new();
    let gatepost = site.start();
    let mut client = site.client();
    assert_eq!(bob(&mut client), NO_RELAY);
    site.change("people.toml", "members = [\"alice\"]", "members = [\"alice\", \"bob\"]");
    gatepost.wait_for_log("directory file reloaded");
    assert_eq!(bob(&mut client), "DUNNO");
    site.change("people.toml", "members = [\"alice\", \"bob\"]", "members = [\"alice\"]");
    gatepost.wait_for_logs("directory file reloaded", 2);
    assert_eq!(bob(&mut client), NO_RELAY);
    assert_eq!(metric(site.http, DIRECTORY), 1);
}

#[test]
fn a_faulty_directory_file_keeps_the_old_content_and_says_so() {
    const KEPT: &str = "directory file not reloaded: its old content stays";
    let site = Site::new();
    let gatepost = site.start();
    let mut client = site.client();
    site.change("people.toml", "members = [\"alice\"]", "members = [\"alice\", \"nobody\"]");
    let told = gatepost.wait_for_log(KEPT);
    assert!(told.contains(" ERROR ") && told.contains("people.toml:"), "{told}");
    assert!(told.contains("nobody"), "{told}");
    wait_for_metric(site.http, DIRECTORY, 0);
    assert_eq!(client.ask(&rcpt("alice", "friend@far.test")), "DUNNO");
    assert_eq!(bob(&mut client), NO_RELAY);

    std::fs::remove_file(site.path("people.toml")).expect("a file can be removed");
    gatepost.wait_for_logs(KEPT, 2);
    assert_eq!(client.ask(&rcpt("alice", "friend@far.test")), "DUNNO");

    // A group that the configuration names must not vanish with a mistake: a deny may hang on it.
    let bob = "[[account]]\nlogin = \"bob\"\n";
    let groups = |no_mail| {
        ["Mail-Relay", "Mail-Submit", no_mail]
            .map(|name| format!("[[group]]\nname = \"{name}\"\n"))
            .concat()
    };
    site.write("people.toml", &format!("{bob}{}", groups("No-Mial")));
    let told = gatepost.wait_for_logs(KEPT, 3).pop().expect("a third line");
    assert!(told.contains("no-mail"), "{told}");
    assert_eq!(client.ask(&rcpt("alice", "friend@far.test")), "DUNNO");

    site.write("people.toml", &format!("{bob}{}", groups("No-Mail")));
    gatepost.wait_for_log("directory file reloaded");
    assert_eq!(metric(site.http, DIRECTORY), 1);
    let alice = without_id(&client.ask(&rcpt("alice", "friend@far.test")));
    assert_eq!(alice, "550 5.7.1 alice is not known to the directory");
    // Each was told once, not at every look.
    assert_eq!(gatepost.logs(KEPT).len(), 3);
}

#[test]
fn sighup_reads_the_directory_file_at_once() {
    let site = Site::new();
    let gatepost = site.start();
    let mut client = site.client();
    for number in 1..=5 {
        let (old, new) = match number % 2 {
            1 => ("members = [\"alice\"]", "members = [\"alice\", \"bob\"]"),
            _ => ("members = [\"alice\", \"bob\"]", "members = [\"alice\"]"),
        };
        site.change("people.toml", old, new);
        gatepost.signal(Signal::HUP);
        gatepost.wait_for_logs("directory file reloaded", number);
        gatepost.wait_for_logs("configuration reloaded", number);
        assert_eq!(bob(&mut client), if number % 2 == 1 { "DUNNO" } else { NO_RELAY });
    }
}
