//! `gatepost explain` beside a running daemon: what it tells, what it takes for an id, and that it
//! leaves no trace.

use crate::client::{id_of, rcpt};
use crate::page::{read, wait_for_metric};
use crate::process::{Done, Program, run, until};
use crate::site::{Site, gatepost};
use rustix::process::Signal;
use serde_json::Value;
use std::fs::File;
use std::process::Stdio;

const REFUSED: &str =
    "gatepost_decisions_total{action=\"reject\",mode=\"enforce\",reason=\"relay-missing\"}";
const CONTROL: [&str; 2] = ["--control", "control.sock"];

fn explain(site: &Site, arguments: &[&str]) -> Done {
    site.run(&[&["explain", "-c", "gatepost.toml"], arguments].concat())
}

/// With a text on standard input.
fn explain_pasted(site: &Site, text: &[u8]) -> Done {
    std::fs::write(site.path("pasted"), text).expect("a file can be written");
    let pasted = File::open(site.path("pasted")).expect("a file can be opened");
    let mut command = gatepost();
    command.args(["explain", "--id", "-"]).args(CONTROL).current_dir(&site.folder);
    run(command.stdin(Stdio::from(pasted)))
}

/// A started daemon, and a refusal it remembers.
fn refused() -> (Site, Program, String) {
    let site = Site::new();
    let gatepost = site.start();
    let refusal = site.client().ask(&rcpt("bob", "friend@far.test"));
    wait_for_metric(site.http, REFUSED, 1);
    // Kept after it is counted.
    until("the decision is remembered", || {
        (explain(&site, &["--id", id_of(&refusal)]).code != Some(4)).then_some(())
    });
    (site, gatepost, refusal)
}

#[test]
fn a_question_is_told_in_words() {
    let site = Site::new();
    let _gatepost = site.start();
    let question = ["--login", "bob", "--sender", "bob@example.org", "--rcpt", "friend@far.test"];
    for told in [
        explain(&site, &question),
        explain(&site, &[&question[..], &CONTROL].concat()),
        explain(&site, &[&question[..], &["--offline"]].concat()),
    ] {
        assert_eq!((told.code, &*told.complained), (Some(1), ""));
        for words in ["bob", "far.test", "relay", "5.7.1", "to change"] {
            assert!(told.printed.contains(words), "{words} in\n{}", told.printed);
        }
    }
}

#[test]
fn json_is_a_list_of_one_story_for_each_recipient() {
    let site = Site::new();
    let _gatepost = site.start();
    let question = ["--login", "bob", "--rcpt", "friend@far.test", "--rcpt", "alice@example.org"];
    for offline in [&[][..], &["--offline"]] {
        let told = explain(&site, &[&question[..], &["--output", "json"], offline].concat());
        assert_eq!(told.code, Some(1), "one of them is refused");
        let stories: Value = serde_json::from_str(&told.printed).expect("JSON");
        let stories = stories.as_array().expect("a list");
        assert_eq!(stories.len(), 2);
        assert!(stories.iter().all(|story| story["schema"] == "gatepost.explain/1"));
        assert_eq!(
            (&stories[0]["action"], &stories[1]["action"]),
            (&"reject".into(), &"pass".into())
        );
        assert_eq!(stories[0]["reason"], "relay-missing");
        assert!(stories[1]["reason"].is_null());
        let answer = stories[0]["answer"].as_str().expect("an answer");
        assert_eq!(id_of(answer), stories[0]["id"].as_str().expect("an id"));
    }
}

#[test]
fn exit_codes_say_what_would_come_of_it() {
    let site = Site::new();
    let _gatepost = site.start();
    for (login, code) in [("alice", 0), ("bob", 1), ("carol", 1), ("frank", 75), ("nobody", 1)] {
        for offline in [&[][..], &["--offline"]] {
            let question = ["--login", login, "--rcpt", "friend@far.test"];
            let told = explain(&site, &[&question[..], offline].concat());
            assert_eq!(told.code, Some(code), "{login}: {}{}", told.printed, told.complained);
        }
    }
    for (arguments, code, says) in [
        (vec!["--rcpt", "x@y", "--client", "somewhere"], 1, "no network address"),
        (vec!["--rcpt", "x@y", "--stage", "lunch"], 1, "unknown stage"),
        (vec!["--rcpt", "x@y", "--listener", "none-such"], 1, "no listener's socket contains"),
        (vec!["--id", "no id in here"], 4, "no id found"),
        (vec!["--nonsense"], 2, "--nonsense"),
    ] {
        let told = explain(&site, &arguments);
        assert_eq!((told.code, told.complained.contains(says)), (Some(code), true), "{says}");
    }
}

#[test]
fn a_decision_is_found_by_whatever_holds_its_id() {
    let (site, gatepost, refusal) = refused();
    let id = id_of(&refusal);
    let line = gatepost.wait_for_log(&format!("id={id}"));
    let json = format!("{{\"level\":\"INFO\",\"id\":\"{id}\",\"action\":\"reject\"}}");
    let lower = id.to_lowercase();
    for pasted in [id, &lower, &refusal, &line, &json] {
        let told = explain(&site, &["--id", pasted, "-o", "json"]);
        assert_eq!(told.code, Some(1), "{pasted}: {}", told.complained);
        let stories: Value = serde_json::from_str(&told.printed).expect("JSON");
        assert_eq!(stories[0]["id"], id);
        assert_eq!(stories[0]["reason"], "relay-missing");
        assert_eq!(stories[0]["answer"], *refusal);
        assert!(stories[0]["question"].as_array().is_some_and(|question| question.len() >= 4));
    }
    let told = explain(&site, &["--id", id]);
    assert!(told.printed.contains(&format!("id {id}")), "{}", told.printed);
}

#[test]
fn a_whole_bounce_on_standard_input_is_read() {
    let (site, _gatepost, refusal) = refused();
    let bounce = format!(
        "Received: by mx.example.org (Postfix)\n\tid 4C9F2A3B4D5E; Mon, 1 Jan 2024 00:00:00 +0000\n\
         Message-Id: <20240101000000.0123456789AB@mx.example.org>\n\n\
         I'm sorry to have to inform you that your message could not be delivered.\n\n\
         <friend@far.test>: host mx.example.org[192.0.2.1] said: {refusal}\n    (in reply to RCPT TO)\n"
    );
    let told = explain_pasted(&site, bounce.as_bytes());
    assert_eq!(told.code, Some(1), "{}", told.complained);
    assert!(told.printed.contains(&format!("id {}", id_of(&refusal))), "{}", told.printed);
    assert_eq!(explain_pasted(&site, b"nothing in here").code, Some(4));
    assert_eq!(explain_pasted(&site, b"").code, Some(4));
}

#[test]
fn passes_are_remembered_too() {
    let site = Site::with(&[("format = \"human\"", "format = \"json\"")]);
    let gatepost = site.start();
    site.client().ask(&rcpt("alice", "friend@far.test"));
    let line = gatepost.wait_for_log("\"gatepost::decision\"");
    let told = until("the decision is remembered", || {
        let told = explain(&site, &["--id", &line]);
        (told.code != Some(4)).then_some(told)
    });
    assert_eq!(told.code, Some(0), "{}", told.complained);
}

#[test]
fn an_unknown_id_is_not_found() {
    let (site, _gatepost, _) = refused();
    let told = explain(&site, &["--id", "0123456789AB"]);
    assert_eq!((told.code, &*told.printed), (Some(4), ""));
    assert!(told.complained.contains("remembers no decision 0123456789AB"), "{}", told.complained);
    assert!(told.complained.contains("id=0123456789AB"), "{}", told.complained);
}

#[test]
fn without_a_daemon_it_says_what_to_do() {
    let site = Site::new();
    for arguments in [&["--login", "bob", "--rcpt", "x@far.test"][..], &["--id", "0123456789AB"]] {
        let told = explain(&site, arguments);
        assert_eq!((told.code, &*told.printed), (Some(3), ""));
        for words in ["control.sock: ", "is the daemon running"] {
            assert!(told.complained.contains(words), "{words} in {}", told.complained);
        }
        // What was decided no file tells.
        let is_of_the_past = arguments[0] == "--id";
        assert_eq!(told.complained.contains("--offline"), !is_of_the_past, "{}", told.complained);
    }
}

#[test]
fn it_leaves_no_trace() {
    let (site, gatepost, refusal) = refused();
    let count = |text: &str| -> Vec<String> {
        let counts = text
            .lines()
            .filter(|line| !line.contains("process_") && !line.contains("store_operation"));
        counts.map(Into::into).collect()
    };
    let before = count(&read(site.http, "/metrics").body);
    for arguments in [
        &["--login", "bob", "--rcpt", "friend@far.test"][..],
        &["--login", "alice", "--rcpt", "x@y", "--stage", "end-of-message"],
        &["--id", &refusal],
        &["--id", "0123456789AB"],
    ] {
        explain(&site, arguments);
    }
    assert_eq!(count(&read(site.http, "/metrics").body), before);
    assert_eq!(gatepost.logs("gatepost::decision").len(), 1);
    // A story is no decision: it cannot be recalled.
    let told = explain(&site, &["--login", "carol", "--rcpt", "x@y", "-o", "json"]);
    let stories: Value = serde_json::from_str(&told.printed).expect("JSON");
    let id = stories[0]["id"].as_str().expect("an id");
    assert_eq!(explain(&site, &["--id", id]).code, Some(4));
}

#[test]
fn it_tells_by_the_rules_of_the_daemon_not_of_the_file() {
    let (site, gatepost, refusal) = refused();
    let question = ["--login", "bob", "--rcpt", "friend@far.test"];
    let submit = "group = \"Mail-Submit\"\nsubmit = \"allow\"\n";
    site.change("gatepost.toml", submit, &format!("{submit}relay = \"allow\"\n"));
    assert_eq!(explain(&site, &question).code, Some(1));
    assert_eq!(explain(&site, &[&question[..], &["--offline"]].concat()).code, Some(0));
    gatepost.signal(rustix::process::Signal::HUP);
    gatepost.wait_for_log("configuration reloaded");
    assert_eq!(explain(&site, &question).code, Some(0));
    // A decision keeps the rules it was made by.
    assert_eq!(explain(&site, &["--id", &refusal]).code, Some(1));
}

#[test]
fn a_frozen_daemon_is_not_waited_for_for_ever() {
    let (site, gatepost, refusal) = refused();
    gatepost.signal(Signal::STOP);
    let told = explain(&site, &["--id", id_of(&refusal)]);
    gatepost.signal(Signal::CONT);
    assert_eq!(told.code, Some(3), "{}", told.complained);
    let complained = &told.complained;
    assert!(complained.contains("control.sock: no answer within 10 s"), "{complained}");
}
