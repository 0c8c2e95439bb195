//! `gatepost rights` beside a running daemon and without one.

use crate::page::read;
use crate::process::{Done, run};
use crate::site::{Site, free_port, gatepost};
use rustix::process::Signal;
use serde_json::Value;
use std::fs::OpenOptions;
use std::process::Stdio;

/// Asked of the daemon by its configuration, by its socket, and without it.
const WAYS: [&[&str]; 3] = [
    &["-c", "gatepost.toml"],
    &["--control", "control.sock"],
    &["-c", "gatepost.toml", "--offline"],
];

fn rights(site: &Site, arguments: &[&str]) -> Done {
    site.run(&[&["rights"], arguments].concat())
}

/// Without the line that says when, and without the site's folder.
fn told(site: &Site, done: &Done) -> Vec<String> {
    let folder = format!("{}/", site.folder.display());
    let lines = done.printed.lines().filter(|line| !line.contains(" at 20"));
    lines.map(|line| line.replace(&folder, "")).collect()
}

fn json(done: &Done) -> Value {
    serde_json::from_str(&done.printed)
        .unwrap_or_else(|fault| panic!("{fault}: {}{}", done.printed, done.complained))
}

/// A site whose directory is an LDAP server that is gone.
pub fn silent_site() -> Site {
    let ldap = format!(
        "[directory]\ntype = \"ldap\"\n[directory.cache]\nsnapshot = \"off\"\n[directory.ldap]\nschema = \"rfc2307bis\"\nbase = \"dc=example,dc=org\"\nservers = [\"ldap://127.0.0.1:{}\"]\ntls.insecure-plaintext = true\nbind.method = \"anonymous\"\n",
        free_port()
    );
    let file = "[directory]\ntype = \"file\"\n[directory.file]\npath = \"people.toml\"\n";
    Site::with(&[(file, &ldap)])
}

#[test]
fn a_login_is_told_alike_by_the_daemon_and_by_the_file() {
    let site = Site::new();
    let _gatepost = site.start();
    for way in WAYS {
        let done = rights(&site, &[&["carol"], way].concat());
        assert_eq!((done.code, &*done.complained), (Some(1), ""));
        let expected = [
            "carol may not submit: submit-denied",
            "",
            "  identity   info               carol is the account carol (file:carol)",
            "  standing   pass               the account is enabled",
            "  account    enabled            told by the directory just now",
            "             logins             carol, carol@example.org",
            "             addresses          carol@example.org",
            "",
            "  submit     denied             the grant for group No-Mail (carol -> Left-The-House -> No-Mail)",
            "                                settled by gatepost.toml:52",
            "             also allows        the grant for group Mail-Submit (carol -> Mail-Submit)",
            "                                at gatepost.toml:45",
            "  relay      nothing allows it  nothing gives carol this right, and silence is no",
            "",
            "  sender     may use            its own addresses and the null sender; others are observed only",
            "",
            "  group      yes                Mail-Submit (carol -> Mail-Submit)",
            "  group      no                 Mail-Relay",
            "  group      yes                No-Mail (carol -> Left-The-House -> No-Mail)",
        ];
        assert_eq!(told(&site, &done), expected);
    }
}

#[test]
fn exit_codes_say_whether_it_may_submit() {
    let site = Site::new();
    let _gatepost = site.start();
    for (login, code, says) in [
        ("alice", 0, "alice may submit and relay"),
        ("EXAMPLE.ORG\\alice", 4, "the directory does not know EXAMPLE.ORG\\alice; it may not"),
        ("Bob@Example.org", 0, "Bob@Example.org may submit, but not relay"),
        ("carol", 1, "carol may not submit: submit-denied"),
        ("erin", 1, "erin may not submit: account-disabled"),
        ("frank", 75, "frank may not submit for now: account-locked"),
        ("nobody", 4, "the directory does not know nobody; it may not submit: login-not-found"),
    ] {
        for way in WAYS {
            let done = rights(&site, &[&[login], way].concat());
            assert_eq!((done.code, &*done.complained), (Some(code), ""), "{login} {way:?}");
            assert!(done.printed.starts_with(says), "{}", done.printed);
            let done = rights(&site, &[&[login, "-o", "json"], way].concat());
            assert_eq!(done.code, Some(code), "{login} {way:?} in JSON");
        }
    }
}

#[test]
fn json_has_all_of_it() {
    let site = Site::new();
    let _gatepost = site.start();
    for way in WAYS {
        let told = json(&rights(&site, &[&["carol", "-o", "json"], way].concat()));
        assert_eq!(told["schema"], "gatepost.rights/1");
        assert_eq!((&told["login"], &told["found"]), (&"carol".into(), &"found".into()));
        assert_eq!((&told["may_submit"], &told["may_relay"]), (&"no".into(), &"no".into()));
        assert_eq!(told["reason"], "submit-denied");
        assert_eq!(told["account"]["key"], "file:carol");
        assert_eq!(told["account"]["age_ms"], 0);
        assert_eq!(told["rights"][0]["verdict"], "denied");
        assert_eq!(told["rights"][1]["verdict"], "nothing-allows-it");
        let path = ["carol", "Left-The-House", "No-Mail"];
        assert_eq!(told["groups"][2]["path"], serde_json::json!(path));
    }
}

#[test]
fn everybody_who_holds_a_right_is_told() {
    let site = Site::new();
    let _gatepost = site.start();
    for way in WAYS {
        let done = rights(&site, &[&["--who", "submit"], way].concat());
        assert_eq!((done.code, &*done.complained), (Some(0), ""));
        let expected = [
            "who holds the submit right",
            "",
            "  alice                    allowed       the grant for group Mail-Relay (gatepost.toml:48) [file:alice]",
            "  bob                      allowed       the grant for group Mail-Submit (gatepost.toml:45) [file:bob]",
            "  erin                     allowed       the grant for group Mail-Submit (gatepost.toml:45); refused: account-disabled [file:erin]",
            "  frank                    allowed       the grant for group Mail-Submit (gatepost.toml:45); refused: account-locked [file:frank]",
            "  of 5 accounts, 4 allowed",
        ];
        assert_eq!(told(&site, &done), expected);
        let told = json(&rights(&site, &[&["--who", "relay", "-o", "json"], way].concat()));
        assert_eq!(told["schema"], "gatepost.holders/1");
        let people = told["people"].as_array().expect("a list");
        assert_eq!((people.len(), &people[0]["login"]), (1, &"alice".into()));
        assert_eq!(told["counts"]["allowed"], 1);
    }
}

#[test]
fn what_holds_it_without_the_directory_is_told_too() {
    let relay = "[relay]\nauthenticated = true\nnetworks = [\"192.0.2.0/24\"]\n[standing]";
    let site = Site::with(&[("[standing]", relay)]);
    let _gatepost = site.start();
    for way in WAYS {
        let done = rights(&site, &[&["--who", "relay"], way].concat());
        let expected = [
            "who holds the relay right",
            "",
            "  every-login    allow       authenticated = true (gatepost.toml:41)",
            "  network        allow       192.0.2.0/24 (gatepost.toml:42)",
            "",
            "  every login holds it, except these:",
            "  of 5 accounts, 0 denied",
        ];
        assert_eq!((done.code, told(&site, &done)), (Some(0), expected.map(String::from).to_vec()));
        let told = json(&rights(&site, &[&["--who", "relay", "-o", "json"], way].concat()));
        assert_eq!((&told["every_login"], &told["people"]), (&true.into(), &Value::Array(vec![])));
    }
}

/// A site of so many people, all of whom may submit.
fn crowd(people: usize) -> Site {
    let site = Site::new();
    let mut text = String::new();
    for number in 0..people {
        text += &format!("[[account]]\nlogin = \"user{number:05}\"\n");
    }
    let members: Vec<String> = (0..people).map(|number| format!("\"user{number:05}\"")).collect();
    text += &format!("[[group]]\nname = \"Mail-Submit\"\nmembers = [{}]\n", members.join(","));
    site.write("people.toml", &text);
    site
}

#[test]
fn ten_thousand_people_come_line_by_line() {
    let site = crowd(10_000);
    let _gatepost = site.start();
    for way in WAYS {
        let done = rights(&site, &[&["--who", "submit"], way].concat());
        assert_eq!((done.code, done.printed.lines().count()), (Some(0), 10_004));
        assert!(done.printed.ends_with("of 10000 accounts, 10000 allowed"));
        let told = json(&rights(&site, &[&["--who", "submit", "-o", "json"], way].concat()));
        let people = told["people"].as_array().expect("a list");
        assert_eq!((people.len(), &people[9_999]["name"]), (10_000, &"user09999".into()));
    }
}

#[test]
fn a_reader_that_went_away_is_no_fault_but_a_full_disk_is() {
    let site = crowd(2_000);
    let _gatepost = site.start();
    for way in WAYS {
        let command = || {
            let mut command = gatepost();
            command.args(["rights", "--who", "submit"]).args(way).current_dir(&site.folder);
            command
        };
        let mut child = command().stdout(Stdio::piped()).spawn().expect("gatepost starts");
        drop(child.stdout.take());
        assert_eq!(child.wait().expect("a child").code(), Some(0), "{way:?}");
        let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        let done = command().stdout(full).output().expect("gatepost runs");
        assert_eq!(done.status.code(), Some(1), "{way:?}");
        assert!(done.stderr.starts_with(b"stdout: No space left"), "{done:?}");
    }
}

#[test]
fn it_tells_by_the_rules_of_the_daemon_not_of_the_file() {
    let site = Site::new();
    let gatepost = site.start();
    let submit = "group = \"Mail-Submit\"\nsubmit = \"allow\"\n";
    site.change("gatepost.toml", submit, &format!("{submit}relay = \"allow\"\n"));
    let relay = |way: &[&str]| {
        json(&rights(&site, &[&["bob", "-o", "json"], way].concat()))["may_relay"].clone()
    };
    assert_eq!((relay(WAYS[0]), relay(WAYS[2])), ("no".into(), "yes".into()));
    gatepost.signal(Signal::HUP);
    gatepost.wait_for_log("configuration reloaded");
    assert_eq!(relay(WAYS[0]), "yes");
}

#[test]
fn it_leaves_no_trace() {
    let site = Site::new();
    let gatepost = site.start();
    let counts = || -> Vec<String> {
        let page = read(site.http, "/metrics").body;
        let is_kept = |line: &&str| !line.contains("process_") && !line.contains("store_operation");
        page.lines().filter(is_kept).map(Into::into).collect()
    };
    let before = counts();
    for arguments in [&["bob"][..], &["nobody"], &["--who", "relay"]] {
        rights(&site, &[arguments, WAYS[0]].concat());
    }
    assert_eq!(counts(), before);
    assert!(gatepost.logs("gatepost::decision").is_empty());
}

#[test]
fn hostile_logins_drive_no_terminal() {
    let site = Site::new();
    let _gatepost = site.start();
    for login in ["\u{1b}[2J\u{7}", "a\r\nb", "*)(uid=*", "\u{202e}ecila", "a\u{9b}31m", "' or 1=1"]
    {
        for way in WAYS {
            for output in ["human", "json"] {
                let done = rights(&site, &[&[login, "-o", output], way].concat());
                assert_eq!((done.code, &*done.complained), (Some(4), ""), "{login:?}");
                let is_hostile = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
                let is_shown = output == "human" && done.printed.contains(is_hostile);
                assert!(!is_shown, "{:?}", done.printed);
                assert!(!done.printed.contains(|c: char| c.is_control() && c != '\n'));
            }
        }
    }
}

#[test]
fn a_name_in_the_directory_drives_no_terminal_either() {
    let site = Site::new();
    let people = "[[account]]\nlogin = \"mallory\"\naliases = [\"\\u001b[2J\\n\"]\naddresses = [\"\\u001b[31m@example.org\"]\n[[account]]\nlogin = \"\\u001b[2Jx\"\n[[group]]\nname = \"Mail-Submit\"\nmembers = [\"mallory\", \"\\u001b[2Jx\"]\n";
    site.write("people.toml", people);
    let _gatepost = site.start();
    for way in WAYS {
        for question in [&["mallory"][..], &["--who", "submit"]] {
            let done = rights(&site, &[question, way].concat());
            assert_eq!(done.code, Some(0), "{}", done.complained);
            assert!(!done.printed.contains('\u{1b}'), "{:?}", done.printed);
            assert!(done.printed.contains("\\u{1b}["), "{:?}", done.printed);
        }
    }
}

#[test]
fn a_directory_that_is_gone_is_told() {
    let site = silent_site();
    let _gatepost = site.start();
    for way in WAYS {
        let done = rights(&site, &[&["alice"], way].concat());
        assert_eq!((done.code, &*done.complained), (Some(75), ""), "{}", done.printed);
        let says = "the directory does not answer, and nothing is remembered of alice, which may not submit for now: directory-silent";
        assert!(done.printed.starts_with(says), "{}", done.printed);
        let done = rights(&site, &[&["--who", "relay"], way].concat());
        assert_eq!((done.code, &*done.printed), (Some(75), ""));
        let says = "who holds the right is not known now: ";
        assert!(done.complained.starts_with(says), "{}", done.complained);
    }
}

#[test]
fn wrong_questions_are_told() {
    let site = Site::new();
    for (arguments, code, says) in [
        (&[][..], 2, "required arguments were not provided"),
        (&["alice", "--who", "relay"], 2, "cannot be used with"),
        (&["--who", "lunch"], 2, "possible values: submit, relay"),
        (&[""], 2, "a value is required"),
        (&["alice", "-c", "missing.toml"], 3, "missing.toml: no such file"),
        (&["alice", "-c", "gatepost.toml"], 3, "is the daemon running"),
        (&["--who", "relay", "-c", "gatepost.toml"], 3, "--offline"),
    ] {
        let done = rights(&site, arguments);
        assert_eq!((done.code, &*done.printed), (Some(code), ""), "{arguments:?}");
        assert!(done.complained.contains(says), "{}", done.complained);
    }
    site.change("gatepost.toml", "local = [", "lokal = [");
    let done = rights(&site, &["alice", "--offline", "-c", "gatepost.toml"]);
    assert_eq!(done.code, Some(1));
    assert!(done.complained.contains("lokal"), "{}", done.complained);
}

#[test]
fn a_frozen_daemon_is_not_waited_for_for_ever() {
    let site = Site::new();
    let gatepost = site.start();
    gatepost.signal(Signal::STOP);
    let done = rights(&site, &[&["alice"], WAYS[1]].concat());
    gatepost.signal(Signal::CONT);
    assert_eq!(done.code, Some(3), "{}", done.complained);
    assert!(done.complained.contains("control.sock: no answer within 10 s"), "{}", done.complained);
}

#[test]
fn check_says_what_there_is_to_try_online() {
    let site = Site::new();
    let done = site.run(&["check", "--online", "gatepost.toml"]);
    let expected =
        "gatepost.toml: no faults\nnothing online to try: the directory is the file people.toml";
    assert_eq!((done.code, &*done.printed), (Some(0), expected));
    let site = silent_site();
    let done =
        run(gatepost().args(["check", "--online", "gatepost.toml"]).current_dir(&site.folder));
    assert_eq!(done.code, Some(1), "{}", done.printed);
    let tried = done.printed.lines().find(|line| line.starts_with("ldap://127.0.0.1:"));
    assert!(tried.is_some_and(|line| line.contains("  FAULT    ")), "{}", done.printed);
    assert!(done.printed.ends_with("online: 1 fault, 0 warnings"), "{}", done.printed);
}
