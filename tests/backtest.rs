//! `gatepost backtest` as a command: past mail in, verdicts and a report out.

mod common;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use common::Folder;
use serde_json::{Value, json};

const DAY: i64 = 86_400_000;
const BEGIN: i64 = 1_700_006_400_000;

/// Past mail, line by line.
#[derive(Default)]
struct Past(Vec<String>);

impl Past {
    fn send(&mut self, login: Option<&str>, at: i64, sender: &str, to: &[String]) {
        let message = format!("m{}", self.0.len());
        let line = json!({
            "at": BEGIN + at, "login": login, "client": "192.0.2.1",
            "sender": sender, "recipients": to, "message": message,
        });
        self.0.push(line.to_string());
    }

    /// Alice writes to one of five friends, three times a day.
    fn quiet(days: i64) -> Self {
        let mut past = Self::default();
        for day in 0..days {
            for hour in [9, 12, 15] {
                let friend = format!("friend{}@far.test", (day + hour) % 5);
                past.send(Some("alice"), day * DAY + hour * 3_600_000, "alice@x.test", &[friend]);
            }
        }
        past
    }

    /// A thief writes a message a second, each to somebody new.
    fn theft(&mut self, day: i64, messages: i64) {
        for second in 0..messages {
            let stranger = format!("stranger{}@victim.test", self.0.len());
            let at = day * DAY + 20 * 3_600_000 + second * 1000;
            self.send(Some("alice"), at, "alice@x.test", &[stranger]);
        }
    }

    fn text(&self) -> String {
        self.0.iter().map(|line| format!("{line}\n")).collect()
    }
}

fn run(folder: &Folder, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_gatepost");
    let mut command = Command::new(program);
    command.arg("backtest").args(arguments).current_dir(folder.path());
    command.output().expect("started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder with `past.ndjson`.
fn site(past: &Past) -> Folder {
    let folder = Folder::new();
    folder.write("past.ndjson", &past.text());
    folder
}

fn decisions(folder: &Folder, more: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["--envelopes", "past.ndjson", "--decisions", "out.ndjson"];
    arguments.extend(more);
    let done = run(folder, &arguments);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let out = std::fs::read_to_string(folder.path().join("out.ndjson")).expect("written");
    out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn verdicts(decisions: &[Value]) -> Vec<String> {
    let verdict = |line: &Value| line["verdict"].as_str().expect("a verdict").to_string();
    decisions.iter().map(verdict).collect()
}

#[test]
fn a_thief_is_held_suspended_and_then_refused() {
    let mut past = Past::quiet(20);
    let quiet = past.0.len();
    past.theft(20, 10);
    let folder = site(&past);
    let decisions = decisions(&folder, &[]);
    assert_eq!(decisions.len(), past.0.len(), "one line for each message");
    let found = verdicts(&decisions);
    assert!(found[..quiet].iter().all(|verdict| verdict == "pass"));
    assert_eq!(found[quiet..quiet + 3], ["pass", "pass", "hold"]);
    let suspended = found.iter().position(|verdict| verdict == "suspend").expect("suspended");
    assert!(suspended <= quiet + 5, "by the sixth message");
    assert!(found[suspended + 1..].iter().all(|verdict| verdict == "reject"));
    let line = &decisions[suspended];
    assert_eq!(line["reason"], "account-suspended");
    assert_eq!(line["test"], "novel-2m");
    assert_eq!(line["login"], "alice");
    assert_eq!(line["message"], format!("m{suspended}"));
    assert_eq!(line["at"], BEGIN + 20 * DAY + 20 * 3_600_000 + (suspended - quiet) as i64 * 1000);
}

#[test]
fn a_lift_lets_the_login_send_again() {
    let mut past = Past::quiet(20);
    past.theft(20, 10);
    past.send(
        Some("alice"),
        20 * DAY + 21 * 3_600_000,
        "alice@x.test",
        &["friend1@far.test".into()],
    );
    let folder = site(&past);
    let last = |more: &[&str]| verdicts(&decisions(&folder, more)).pop().expect("a message");
    assert_eq!(last(&[]), "reject");
    assert_eq!(last(&["--lift-after", "2h"]), "reject");
    assert_eq!(last(&["--lift-after", "30m"]), "pass");
    assert_eq!(last(&["--lift-after", "0"]), "pass");
}

#[test]
fn twice_the_same_is_the_same_to_the_byte() {
    let mut past = Past::quiet(20);
    past.theft(20, 10);
    let folder = site(&past);
    let once = || {
        let arguments = ["--envelopes", "past.ndjson", "--decisions", "o", "--report", "r.html"];
        let done = run(&folder, &arguments);
        let read = |name: &str| std::fs::read(folder.path().join(name)).expect("written");
        (done.stdout, read("o"), read("r.html"))
    };
    assert!(once() == once());
}

#[test]
fn who_has_written_before_is_answered_without_suspicion() {
    let mut past = Past::quiet(20);
    for stranger in 0..10 {
        let sender = format!("asker{stranger}@victim.test");
        past.send(None, 20 * DAY + stranger, &sender, &["alice@x.test".into()]);
    }
    for second in 0..5 {
        let to = format!("asker{second}@victim.test");
        let at = 20 * DAY + 3_600_000 + second * 1000;
        past.send(Some("alice"), at, "alice@x.test", &[to]);
    }
    let found = verdicts(&decisions(&site(&past), &[]));
    assert!(found.iter().all(|verdict| verdict == "pass"), "{found:?}");
}

#[test]
fn malformed_lines_are_counted_shown_and_skipped() {
    let past = Past::quiet(3);
    let folder = Folder::new();
    folder.write("past.ndjson", &format!("{}no json\n{}", past.text(), past.text()));
    let done = run(&folder, &["--envelopes", "past.ndjson"]);
    assert!(done.status.success());
    let told = text(&done.stdout);
    assert!(told.contains("1 malformed lines were skipped:\n  past.ndjson:10: "), "{told}");
}

#[test]
fn what_is_no_log_at_all_is_a_fault_that_says_what_was_expected() {
    let folder = Folder::new();
    folder.write("past.ndjson", "Dear Bob,\nhow are you?\n");
    for (kind, expected) in
        [("--envelopes", "\"recipients\""), ("--tsv", "tab"), ("--maillog", "log")]
    {
        let done = run(&folder, &[kind, "past.ndjson"]);
        let told = text(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{told}");
        assert!(told.contains("expected") && told.to_lowercase().contains(expected), "{told}");
    }
    assert_eq!(run(&folder, &["--tsv", "nothing.tsv"]).status.code(), Some(1));
    assert_eq!(run(&folder, &[]).status.code(), Some(2), "no input is wrong usage");
}

#[test]
fn known_thefts_are_caught_or_missed_and_innocents_named() {
    let mut past = Past::quiet(20);
    past.theft(20, 10);
    let folder = site(&past);
    let theft = BEGIN + 20 * DAY + 20 * 3_600_000;
    let known = format!("login,from,until\nalice,{},{}\nbob,1,2\n", theft, theft + 60_000);
    folder.write("known.csv", &known);
    let told = text(&run(&folder, &["--envelopes", "past.ndjson", "--known", "known.csv"]).stdout);
    assert!(
        told.contains(
            "Known compromises: 1 of 2 caught; 10 recipients were reached then, 2 would have been"
        ),
        "{told}"
    );
    assert!(told.contains("bob: MISSED"), "{told}");
    assert!(told.contains("Innocents suspended: 0 times"), "{told}");
    folder.write("known.csv", "bob,1,2\n");
    let told = text(&run(&folder, &["--envelopes", "past.ndjson", "--known", "known.csv"]).stdout);
    assert!(told.contains("Innocents suspended: 1 times"), "{told}");
}

#[test]
fn redacted_it_shows_no_name() {
    let mut past = Past::quiet(20);
    past.theft(20, 10);
    let folder = site(&past);
    let arguments = ["--envelopes", "past.ndjson", "--redact", "--report", "r.html"];
    let done = run(&folder, &arguments);
    let page = std::fs::read_to_string(folder.path().join("r.html")).expect("written");
    for shown in [text(&done.stdout), page] {
        assert!(shown.contains("login-1"), "{shown}");
        assert!(!shown.contains("alice") && !shown.contains("far.test"), "{shown}");
    }
}

#[test]
fn the_page_needs_nothing_else_and_believes_no_name() {
    let mut past = Past::default();
    for second in 0..10 {
        let to = format!("stranger{second}@victim.test");
        past.send(Some("<script>alert(1)</script>"), second * 1000, "a@x.test", &[to]);
    }
    let folder = site(&past);
    run(&folder, &["--envelopes", "past.ndjson", "--report", "r.html"]);
    let page = std::fs::read_to_string(folder.path().join("r.html")).expect("written");
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script"));
    let links = page.matches("http").count();
    assert_eq!(links, page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count());
    assert!(page.trim_end().ends_with("</html>"));
}

#[test]
fn a_table_from_the_standard_input_is_read_packed_or_not() {
    let rows: String =
        (0..10).map(|n| format!("{}\talice\tm{n}\tp{n}\n", 1_700_000_000 + n)).collect();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(rows.as_bytes()).expect("memory");
    let folder = Folder::new();
    for input in [rows.into_bytes(), packed.finish().expect("memory")] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gatepost"))
            .args(["backtest", "--tsv", "-", "--decisions", "out.ndjson"])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        child.stdin.take().expect("piped").write_all(&input).expect("read");
        let done = child.wait_with_output().expect("ended");
        assert!(text(&done.stdout).starts_with("stdin: 10 messages of 1 logins"));
        let out = std::fs::read_to_string(folder.path().join("out.ndjson")).expect("written");
        assert!(out.contains("\"verdict\":\"suspend\""), "{out}");
    }
}

#[test]
fn a_configuration_brings_its_rules() {
    let mut past = Past::quiet(20);
    past.theft(20, 10);
    let folder = site(&past);
    let listen = "[[listen]]\nprotocol = 'policy'\nsocket = 'unix:p'\nfacing = 'submission'\n";
    let write = |rules: &str| folder.write("gatepost.toml", &format!("{listen}{rules}"));
    let last = || verdicts(&decisions(&folder, &["-c", "gatepost.toml"])).pop().expect("a message");
    write("");
    assert_eq!(last(), "reject", "what observes is tried out");
    write("[detector]\nbulk = [{ user = 'alice' }]\n");
    assert_eq!(last(), "hold", "only how many there are counts");
    write("[detector]\nmode = 'off'\n");
    assert_eq!(last(), "pass");
    write("[detector]\nmode = 'off'\n[[quota]]\ndefault = true\nmessages = ['5/1h']\n");
    assert_eq!(last(), "defer");
    write("[relay]\nauthenticated = true\n[[grant]]\nuser = 'alice'\nrelay = 'deny'\n");
    let reasons = decisions(&folder, &["-c", "gatepost.toml"]);
    assert!(reasons.iter().all(|line| line["reason"] == "relay-denied"), "{reasons:?}");
}
