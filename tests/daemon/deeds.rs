//! What people do to accounts and look at, by the commands: what is printed, the exit codes, and that a wrong argument
//! changes nothing.

use crate::client::{id_of, request};
use crate::process::{Done, Program, run, until};
use crate::site::{Site, gatepost};
use serde_json::Value;
use std::process::Stdio;

const NOTE: [&str; 2] = ["--note", "ticket 4711"];

/// A site whose detector enforces, and whose store outlives the daemon.
fn site() -> Site {
    let site = Site::new();
    let text = std::fs::read_to_string(site.path("gatepost.toml")).expect("read");
    let more = "[detector]\nmode = \"enforce\"\n[store]\ntype = \"embedded\"\npath = \"store.redb\"\nhash-key-file = \"hash.key\"\n";
    site.write("gatepost.toml", &format!("{text}\n{more}"));
    site
}

fn started() -> (Site, Program) {
    let site = site();
    let gatepost = site.start();
    (site, gatepost)
}

#[track_caller]
fn run_on(site: &Site, arguments: &[&str]) -> Done {
    site.run(&[arguments, &["-c", "gatepost.toml"]].concat())
}

/// Done without a complaint.
#[track_caller]
fn printed(site: &Site, arguments: &[&str]) -> String {
    let done = run_on(site, arguments);
    assert_eq!((done.code, &*done.complained), (Some(0), ""), "{arguments:?}");
    done.printed
}

#[track_caller]
fn json(site: &Site, arguments: &[&str]) -> Value {
    let text = printed(site, &[arguments, &["--output", "json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{fault}: {text}"))
}

/// What went wrong, with its exit code.
#[track_caller]
fn complaint(site: &Site, arguments: &[&str], code: i32) -> String {
    let done = run_on(site, arguments);
    assert_eq!((done.code, &*done.printed), (Some(code), ""), "{arguments:?}: {}", done.complained);
    assert!(!done.complained.is_empty());
    done.complained
}

/// Of the message of this number to somebody new.
fn message(login: &str, number: u32) -> String {
    request(
        "END-OF-MESSAGE",
        &[
            &format!("instance=1.{login}.{number}"),
            &format!("queue_id=4cXqzB2Pxz{number:03}"),
            &format!("sasl_username={login}"),
            &format!("sender={login}@example.org"),
            &format!("recipient=stranger{number}@example.org"),
            "recipient_count=1",
            "client_address=192.0.2.9",
            "size=1000",
        ],
    )
}

/// The thief of this login, until he is refused: the id.
fn attack(site: &Site, login: &str) -> String {
    let mut client = site.client();
    for number in 0..100 {
        let answer = client.ask(&message(login, number));
        if answer.contains("5.7.13") {
            return id_of(&answer).to_string();
        }
        assert!(answer.contains("DUNNO"), "{answer}");
    }
    panic!("nobody was suspended");
}

#[test]
fn a_thief_is_listed_told_released_and_in_the_audit() {
    let (site, gatepost) = started();
    let id = attack(&site, "alice");
    let listed = printed(&site, &["suspensions", "list"]);
    for words in ["alice", &id, "its release", "detector", "alice wrote "] {
        assert!(listed.contains(words), "{words} in\n{listed}");
    }
    let shown = printed(&site, &["suspensions", "show", "alice"]);
    for words in
        [&*id, "first", "192.0.2.0/24", "stranger0@example.org", "4cXqzB2Pxz000", "novel-2m"]
    {
        assert!(shown.contains(words), "{words} in\n{shown}");
    }
    let told =
        run_on(&site, &["explain", "--id", &format!("550 5.7.13 [{id}] Sending is suspended")]);
    assert_eq!((told.code, &*told.complained), (Some(1), ""));
    assert_eq!(told.printed, printed(&site, &["suspensions", "show", &id]));
    let export = printed(&site, &["suspensions", "export", &id]);
    assert_eq!(
        export.lines().next(),
        Some("incident,login,sent_at,mta,queue_id,client,sender,recipient")
    );
    assert!(export.lines().count() > 3, "{export}");

    let account = json(&site, &["accounts", "show", "alice"]);
    assert_eq!(account["state"], "suspended");
    assert_eq!(account["suspension"], id.as_str());
    let network = printed(&site, &["accounts", "--client", "192.0.2.0/24"]);
    assert!(network.contains("alice"), "{network}");
    assert!(printed(&site, &["accounts", "top"]).contains("alice"));
    until("it is counted", || {
        let status = printed(&site, &["status"]);
        status.contains("1 suspended").then_some(())
    });

    let tried = printed(
        &site,
        &[&["release", "alice", "--verdict", "true-positive", "--dry-run"], &NOTE[..]].concat(),
    );
    assert!(tried.contains("would be released"), "{tried}");
    assert!(site.client().ask(&message("alice", 200)).contains("5.7.13"));
    let released =
        printed(&site, &[&["release", &id, "--verdict", "true-positive"], &NOTE[..]].concat());
    for words in ["alice is released", &id, "on probation until", "does not tell when its password"]
    {
        assert!(released.contains(words), "{words} in\n{released}");
    }
    assert!(site.client().ask(&message("alice", 201)).contains("DUNNO"));
    assert_eq!(printed(&site, &["suspensions", "list"]), "no account is suspended");
    let all = printed(&site, &["suspensions", "list", "--all"]);
    assert!(all.contains("released as true-positive 20"), "{all}");
    let audit = json(&site, &["audit"]);
    let deeds: Vec<&str> =
        audit.as_array().expect("a list").iter().filter_map(|deed| deed["what"].as_str()).collect();
    assert_eq!(deeds, ["suspended", "released"]);
    assert_eq!(audit[1]["note"], "ticket 4711");
    assert_eq!(audit[1]["detail"], "true-positive");
    assert!(audit[1]["by"].as_str().is_some_and(|by| !by.is_empty() && by != "unknown"));

    // All of it outlives the daemon, even killed.
    gatepost.signal(rustix::process::Signal::KILL);
    drop(gatepost);
    let _again = site.start();
    assert_eq!(json(&site, &["audit"]), audit);
    assert_eq!(json(&site, &["accounts", "show", "alice"])["state"], "probation");
    let told = run_on(&site, &["explain", "--id", &id]);
    assert_eq!(told.code, Some(1));
    assert!(told.printed.starts_with("alice was suspended by"), "{}", told.printed);
}

#[test]
fn logins_are_suspended_from_a_file_and_exempt_for_a_time() {
    let (site, _gatepost) = started();
    site.write("phished.txt", "alice # by mail\n\n# nobody\nbob\n");
    let file = ["suspend", "--from-file", "phished.txt", "--for", "7d"];
    let done = printed(&site, &[&file[..], &NOTE].concat());
    assert_eq!(done.lines().count(), 2, "{done}");
    assert!(done.starts_with("alice is suspended until 20"), "{done}");
    assert!(site.client().ask(&message("bob", 1)).contains("5.7.13"));
    // So many of those to bob, not of all.
    let to_bob = json(&site, &["audit", "--login", "BOB", "--most", "1"]);
    assert_eq!((&to_bob[0]["login"], &to_bob[0]["what"]), (&"bob".into(), &"suspended".into()));
    let again = complaint(&site, &[&["suspend", "bob"], &NOTE[..]].concat(), 6);
    assert!(again.contains("bob is suspended already, by "), "{again}");

    let exempt =
        ["exempt", "add", "bob", "--novelty", "--recipients", "40", "--until", "2099-12-24"];
    let done = printed(&site, &[&exempt[..], &NOTE].concat());
    assert!(done.contains("bob is exempt until 2099-12-2") && done.contains("has ended"), "{done}");
    assert!(site.client().ask(&message("bob", 2)).contains("DUNNO"));
    let listed = printed(&site, &["exempt", "list"]);
    for words in ["bob", "recipients", "2099", "1 of 40"] {
        assert!(listed.contains(words), "{words} in\n{listed}");
    }
    let removed = printed(&site, &[&["exempt", "remove", "bob"], &NOTE[..]].concat());
    assert!(removed.contains("bob is exempt no more"), "{removed}");
    assert_eq!(printed(&site, &["exempt", "list"]), "nobody is exempt");
    let standing = printed(&site, &["accounts", "list"]);
    assert!(standing.contains("alice") && standing.contains("suspended"), "{standing}");
}

#[test]
fn a_wrong_argument_tells_what_is_possible_and_changes_nothing() {
    let (site, _gatepost) = started();
    attack(&site, "alice");
    let before = json(&site, &["accounts", "list"]);
    for (arguments, code, words) in [
        (&["release", "alice", "--verdict", "maybe", "--note", "x"][..], 2, "authorised-bulk"),
        (&["release", "alice", "--verdict", "true-positive"][..], 2, "--note"),
        (&["release", "alice", "--verdict", "true-positive", "--note", ""][..], 2, "--note"),
        (
            &["release", "alice", "--verdict", "true-positive", "--note", "  "][..],
            1,
            "a note that says why",
        ),
        (
            &["release", "bob", "--verdict", "true-positive", "--note", "x"][..],
            4,
            "bob is not suspended",
        ),
        (&["suspend", "nobody-here", "--note", "x"][..], 4, "not known to the directory"),
        (&["suspend", "bob", "--until", "tomorrow", "--note", "x"][..], 2, "2026-12-24"),
        (
            &["suspend", "bob", "--until", "2001-01-01", "--note", "x"][..],
            1,
            "expected a later end",
        ),
        (&["suspend", "--from-file", "gone.txt", "--note", "x"][..], 1, "gone.txt"),
        (&["suspend", "--note", "x"][..], 2, "LOGINS"),
        (&["exempt", "add", "bob", "--note", "x"][..], 2, "--until"),
        (&["exempt", "add", "bob", "--until", "7", "--note", "x"][..], 2, "48h"),
        (
            &["exempt", "add", "bob", "--until", "7d", "--recipients", "0", "--note", "x"][..],
            2,
            "--recipients",
        ),
        (&["suspensions", "show", ""][..], 1, "\"\" is no login"),
        (&["suspend", "", "nobody-here", "", "--note", "x"][..], 4, "not known to the directory"),
        (&["exempt", "remove", "bob", "--note", "x"][..], 4, "bob has no exemption"),
        (&["breaker", "reset", "--note", "x"][..], 4, "the breaker is not open"),
        (&["forget", "bob", "--note", "x"][..], 4, "nothing is kept of it"),
        (&["accounts", "show", "bob"][..], 4, "nothing is kept of it"),
        (&["accounts", "--client", "192.0.2"][..], 1, "192.0.2.0/24"),
        (&["accounts"][..], 2, "--client"),
        (&["suspensions", "show", "bob"][..], 4, "nothing is kept of it"),
        (&["backup", "copy.redb"][..], 1, "absolute path"),
    ] {
        let told = complaint(&site, arguments, code);
        assert!(told.contains(words), "{arguments:?}: {told}");
    }
    assert_eq!(json(&site, &["accounts", "list"]), before);
    assert_eq!(json(&site, &["audit"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn of_several_logins_each_is_told_and_the_highest_code_counts() {
    let (site, _gatepost) = started();
    let alice = [&["suspend", "alice"], &NOTE[..]].concat();
    let tried = printed(&site, &[&alice[..], &["--dry-run"]].concat());
    assert_eq!(tried, "alice would be suspended until its release");
    let told = printed(&site, &alice);
    assert!(told.starts_with("alice is suspended until its release, by "), "{told}");
    let told = complaint(&site, &[&alice[..], &["nobody-here"]].concat(), 6);
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("alice is suspended already, by "), "{told}");
    assert_eq!(lines[1..], ["nobody-here is not known to the directory"]);
    let queue = [&["suspensions", "queue", "alice", "--drop"], &NOTE[..]].concat();
    assert!(complaint(&site, &queue, 1).contains("no [[queue]]"));
    let listed = printed(&site, &["suspensions", "list"]);
    assert!(listed.contains(": ticket 4711"), "{listed}");
}

#[test]
fn json_names_what_it_tells() {
    let (site, _gatepost) = started();
    let breakers = json(&site, &["breaker", "status"]);
    assert_eq!(breakers, serde_json::json!({"breaker": null, "shadow_breaker": null}));
    let copy = site.path("copy.redb");
    let copied = json(&site, &["backup", copy.to_str().expect("a path")]);
    assert_eq!(copied["path"], copy.to_str().expect("a path"));
    attack(&site, "alice");
    let accounts = || json(&site, &["status"])["accounts"].clone();
    until("they are counted", || (accounts()["suspended"] == 1).then_some(()));
}

#[test]
fn a_backup_is_a_store_of_its_own_and_is_not_written_over() {
    let (site, _gatepost) = started();
    let id = attack(&site, "alice");
    let copy = site.path("copy.redb");
    let copy = copy.to_str().expect("a path");
    assert!(printed(&site, &["backup", copy]).contains("keep the hash key with it"));
    let again = complaint(&site, &["backup", copy], 75);
    assert!(again.contains("exists"), "{again}");
    // It is a store.
    let other = Site::new();
    std::fs::copy(copy, other.path("store.redb")).expect("copied");
    std::fs::copy(site.path("hash.key"), other.path("hash.key")).expect("copied");
    let text = std::fs::read_to_string(other.path("gatepost.toml")).expect("read");
    let more =
        "[store]\ntype = \"embedded\"\npath = \"store.redb\"\nhash-key-file = \"hash.key\"\n";
    other.write("gatepost.toml", &format!("{text}\n{more}"));
    let _restored = other.start();
    assert!(printed(&other, &["suspensions", "list"]).contains(&id));
    assert!(other.client().ask(&message("alice", 300)).contains("5.7.13"));
}

#[test]
fn only_operators_change_something_and_everybody_else_looks() {
    let site = site();
    let text = std::fs::read_to_string(site.path("gatepost.toml")).expect("read");
    let socket = site.path("control.sock").display().to_string();
    // Where the test runs as root, the daemon's user may do anything.
    let Some(nobody) = other_user() else {
        panic!("this test needs root, to be somebody else");
    };
    let control =
        "[control]\nsocket = \"control.sock\"\nsocket-mode = \"0666\"\noperators = [\"daemon\"]\n";
    let without: String = text.split("[control]").next().expect("a first part").into();
    let rest = text
        .split("[control]")
        .nth(1)
        .map_or("", |rest| rest.split_once("\n[").map_or("", |(_, rest)| rest));
    site.write("gatepost.toml", &format!("{without}{control}\n[{rest}"));
    open_to_all(&site);
    let _gatepost = site.start();
    attack(&site, "alice");
    let by_nobody = |arguments: &[&str]| {
        let mut command = gatepost();
        std::os::unix::process::CommandExt::uid(&mut command, nobody);
        std::os::unix::process::CommandExt::gid(&mut command, nobody);
        command.args(arguments).args(["--control", &socket]).current_dir("/tmp");
        run(command.stdin(Stdio::null()))
    };
    let looked = by_nobody(&["suspensions", "list"]);
    assert_eq!((looked.code, &*looked.complained), (Some(0), ""));
    let tried = by_nobody(&["release", "alice", "--verdict", "false-positive", "--note", "x"]);
    assert_eq!(tried.code, Some(5), "{}", tried.complained);
    assert!(tried.complained.contains("none of control.operators"), "{}", tried.complained);
    assert!(site.client().ask(&message("alice", 300)).contains("5.7.13"));
    let done =
        printed(&site, &[&["release", "alice", "--verdict", "false-positive"], &NOTE[..]].concat());
    assert!(done.contains("is released"));
}

/// Somebody who is neither root nor a service; `None`: whoever runs this cannot be anybody else.
fn other_user() -> Option<u32> {
    rustix::process::geteuid().is_root().then_some(65_534)
}

fn open_to_all(site: &Site) {
    use std::os::unix::fs::PermissionsExt;
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&site.folder, open).expect("a folder of one's own");
}
