//! Log lines: one for each decision, readable by programs, unbreakable by logins.

use crate::client::{Client, id_of, rcpt, request};
use crate::process::Program;
use crate::site::Site;
use serde_json::Value;

const JSON: (&str, &str) = ("format = \"human\"", "format = \"json\"");

/// The lines of decisions, once there are `count`.
#[track_caller]
fn decisions(gatepost: &Program, count: usize) -> Vec<Value> {
    let lines = gatepost.wait_for_logs("\"gatepost::decision\"", count);
    assert_eq!(lines.len(), count, "{lines:#?}");
    lines.iter().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn json_lines_have_all_of_a_decision() {
    let site = Site::with(&[JSON]);
    let gatepost = site.start();
    let mut client = site.client();
    let refusal = client.ask(&rcpt("bob@example.org", "friend@far.test"));
    client.ask(&rcpt("alice", "friend@far.test"));
    client.ask(&request("END-OF-MESSAGE", &["recipient_count=3", "client_name=h.example.org"]));
    let lines = decisions(&gatepost, 3);
    let refused = &lines[0];
    assert_eq!(refused["id"], id_of(&refusal));
    for (name, value) in [
        ("level", "INFO"),
        ("message", "decided"),
        ("action", "reject"),
        ("reason", "relay-missing"),
        ("mode", "enforce"),
        ("stage", "rcpt"),
        ("mta", "mx"),
        ("login", "bob@example.org"),
        ("client", "192.0.2.9"),
        ("sender", "bob@example.org"),
        ("recipient", "friend@far.test"),
        ("instance", "1f2e.6561.3a.0"),
    ] {
        assert_eq!(refused[name], value, "{name} in {refused}");
    }
    assert!(refused["took_us"].is_u64() && refused["timestamp"].is_string(), "{refused}");
    assert_eq!(lines[1]["action"], "pass");
    assert!(lines[1].get("reason").is_none(), "{}", lines[1]);
    assert_eq!(lines[2]["recipients"], 3);
    assert_eq!(lines[2]["client"], "unknown (h.example.org)");
    assert_eq!(lines[2]["sender"], "<>");
    assert!(lines[2].get("login").is_none() && lines[2].get("recipient").is_none());
}

#[test]
fn every_line_of_a_whole_life_is_json() {
    let site = Site::with(&[JSON]);
    let mut gatepost = site.start();
    let mut client = site.client();
    for login in ["bob", "b\u{1b}[1mo\u{202e}b", "b\"o\\b", "b\tob\u{7}", "\u{2028}bob"] {
        client.ask(&rcpt(login, "friend@far.test"));
    }
    client.send("request=\u{1b}[31m\"junk\"\n\n");
    client.assert_closed();
    gatepost.signal(rustix::process::Signal::HUP);
    gatepost.wait_for_log("configuration reloaded");
    site.change("gatepost.toml", "local = [", "\"lo\\tkal\" = [");
    gatepost.signal(rustix::process::Signal::HUP);
    gatepost.wait_for_log("configuration not reloaded");
    gatepost.signal(rustix::process::Signal::TERM);
    gatepost.wait_for_end(crate::process::DEADLINE);
    let lines = gatepost.logs("");
    assert!(lines.len() > 10, "{}", gatepost.log());
    for line in lines {
        let value: Value = serde_json::from_str(&line).expect(&line);
        assert!(value["timestamp"].is_string() && value["level"].is_string(), "{line}");
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }
}

#[test]
fn each_verdict_has_one_line_in_the_order_of_the_questions() {
    let site = Site::with(&[JSON]);
    let gatepost = site.start();
    let mut client = site.client();
    let logins = ["alice", "bob", "alice", "carol", "erin", "bob"];
    let answers: Vec<String> =
        logins.iter().map(|login| client.ask(&rcpt(login, "friend@far.test"))).collect();
    let lines = decisions(&gatepost, logins.len());
    for ((line, login), answer) in lines.iter().zip(logins).zip(&answers) {
        assert_eq!(line["login"], login);
        assert_eq!(line["action"], if login == "alice" { "pass" } else { "reject" });
        assert!(answer == "DUNNO" || line["id"] == id_of(answer), "{line} {answer}");
    }
}

#[test]
fn fewer_decisions_are_logged_where_so_configured() {
    for (decisions, expected) in [("refusals", 2), ("none", 0)] {
        let decided = format!("decisions = \"{decisions}\"");
        let observing = "mode = \"observe\"";
        let site = Site::with(&[
            JSON,
            ("decisions = \"all\"", &decided),
            ("mode = \"enforce\" # beside the first", observing),
        ]);
        let mut gatepost = site.start();
        let mut clients = [site.client(), Client::unix(&site.unix())];
        for client in &mut clients {
            client.ask(&rcpt("alice", "friend@far.test"));
            client.ask(&rcpt("bob", "friend@far.test"));
        }
        gatepost.signal(rustix::process::Signal::TERM);
        gatepost.wait_for_end(crate::process::DEADLINE);
        let lines = gatepost.logs("\"gatepost::decision\"");
        assert_eq!(lines.len(), expected, "{decisions}: {lines:#?}");
        // What a listener that observes would have refused counts as a refusal.
        assert!(lines.iter().all(|line| line.contains("\"login\":\"bob\"")), "{lines:#?}");
    }
}

#[test]
fn human_lines_have_the_same_fields() {
    let site = Site::new();
    let gatepost = site.start();
    let refusal = site.client().ask(&rcpt("bob", "friend@far.test"));
    // Whether a value is quoted is the format's own affair.
    let line = gatepost.wait_for_log("gatepost::decision").replace('"', "");
    for field in [
        &format!("id={}", id_of(&refusal)),
        "action=reject",
        "reason=relay-missing",
        "mode=enforce",
        "stage=rcpt",
        "login=bob",
        "client=192.0.2.9",
        "sender=bob@example.org",
        "recipient=friend@far.test",
        "took_us=",
    ] {
        assert!(line.contains(field), "{field} in {line}");
    }
    assert!(!gatepost.log().contains('\u{1b}'), "no colours where nobody looks");
}

#[test]
fn a_login_cannot_colour_a_human_line() {
    let site = Site::new();
    let gatepost = site.start();
    let mut client = site.client();
    for login in ["bo\u{1b}[2J\u{1b}[31mb", "bo\u{9b}31mb", "b\u{7}\u{8}\u{7f}ob"] {
        client.ask(&rcpt(login, &format!("{login}@far.test")));
    }
    let lines = gatepost.wait_for_logs("gatepost::decision", 3);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for line in lines {
        let is_plain = line.chars().all(|c| !c.is_control());
        assert!(is_plain && line.contains("took_us="), "{line:?}");
    }
}
