//! The shipped files: Prometheus' and Alertmanager's own checks, the unit tests of the rules, and a page and
//! both kinds of tests for each alert.

use crate::process::{output, program};
use crate::prometheus::shipped;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

const ALERTS: [&str; 12] = [
    "GatepostAccountSuspended",
    "GatepostActionFailing",
    "GatepostBreakerOpen",
    "GatepostDecisionsSlow",
    "GatepostDirectoryUnreachable",
    "GatepostDown",
    "GatepostNoTraffic",
    "GatepostReloadFailed",
    "GatepostReviewOverdue",
    "GatepostServingStaleRights",
    "GatepostStoreFailing",
    "GatepostSuspensionBurst",
];

/// Apart, since the second plays weeks.
const TESTS: [&str; 2] = ["gatepost.rules.test.yml", "gatepost.rules.week.test.yml"];

#[test]
fn prometheus_takes_the_rules_and_the_example() {
    let rules = promtool(&["check", "rules", "--lint-fatal"], "gatepost.rules.yml");
    assert!(rules.contains("SUCCESS: 12 rules found"), "{rules}");
    let example = promtool(&["check", "config"], "prometheus.yml");
    assert!(example.contains("SUCCESS: 1 rule files found"), "{example}");
}

#[test]
fn the_rules_pass_their_unit_tests() {
    for file in TESTS {
        let told = promtool(&["test", "rules"], file);
        assert!(told.contains("SUCCESS"), "{told}");
    }
}

#[test]
fn alertmanager_takes_the_example_and_leads_each_alert_to_whom_it_concerns() {
    let example = shipped("alertmanager.yml");
    output(amtool().arg("check-config").arg(&example));
    for (labels, receiver) in [
        (["severity=critical", "team=postmaster"], "pager"),
        (["severity=critical", "team=helpdesk"], "pager"),
        (["severity=warning", "team=helpdesk"], "helpdesk"),
        (["severity=warning", "team=postmaster"], "postmaster"),
    ] {
        let mut command = amtool();
        command.args(["config", "routes", "test", "--verify.receivers", receiver]);
        command.arg(format!("--config.file={}", example.display()));
        output(command.args(labels));
    }
}

#[test]
fn each_alert_is_tested_firing_and_silent() {
    let text = TESTS.map(read).concat();
    let tests = text.split("alertname: ").skip(1).map(|test| {
        let (alert, rest) = test.split_once('\n').expect("a line");
        let expected = rest.trim_start().strip_prefix("exp_alerts:").expect("exp_alerts follows");
        (alert, expected.starts_with(" []"))
    });
    let (mut silent, mut firing) = (BTreeSet::new(), BTreeSet::new());
    for (alert, is_silent) in tests {
        if is_silent {
            silent.insert(alert)
        } else {
            firing.insert(alert)
        };
    }
    let alerts = BTreeSet::from(ALERTS);
    assert_eq!((silent, firing), (alerts.clone(), alerts));
}

#[test]
fn each_alert_has_a_page_that_says_what_to_do() {
    let rules = read("gatepost.rules.yml");
    let named = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let mut named: Vec<&str> = named.collect();
    named.sort_unstable();
    assert_eq!(named, ALERTS);
    let readme = read("README.md");
    let runbooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
    for alert in ALERTS {
        let page = format!("{alert}.md");
        assert!(rules.contains(&format!("/runbooks/{page}\n")), "{alert} leads to its page");
        assert!(readme.contains(&format!("/runbooks/{page})")), "the README names {alert}");
        let text =
            fs::read_to_string(runbooks.join(&page)).unwrap_or_else(|f| panic!("{page}: {f}"));
        let (title, meaning) = text.split_once("\n\n").expect("a title");
        assert_eq!(title, format!("# {alert}"));
        assert!(!meaning.starts_with('#'), "{page} begins with what it means");
        let headings: Vec<&str> = text.lines().filter(|line| line.starts_with("## ")).collect();
        let expected = ["## What to look at", "## What to do", "## When it is a false alarm"];
        assert_eq!(headings, expected, "{page}");
    }
    let pages = fs::read_dir(runbooks).expect("a folder can be read").count();
    assert_eq!(pages, ALERTS.len(), "no page is left over");
}

#[track_caller]
fn promtool(arguments: &[&str], file: &str) -> String {
    output(Command::new(program("promtool", "prometheus")).args(arguments).arg(shipped(file)))
}

fn amtool() -> Command {
    Command::new(program("amtool", "prometheus-alertmanager"))
}

fn read(name: &str) -> String {
    fs::read_to_string(shipped(name)).unwrap_or_else(|fault| panic!("{name}: {fault}"))
}
