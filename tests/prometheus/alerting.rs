//! A gatepost that a real Prometheus reads: what the rules ask for is there, and an alert reaches a receiver.

use crate::prometheus::Monitoring;
use crate::site::Site;
use regex::Regex;
use serde_json::{Value, json};

#[test]
fn prometheus_reads_gatepost_and_every_rule() {
    let site = Site::start();
    let monitoring = Monitoring::start(&site.folder.path, site.http);
    let up = monitoring.wait_for("up{job=\"gatepost\"} == 1");
    assert_eq!(up[0].0["instance"], format!("127.0.0.1:{}", site.http));
    assert_eq!(monitoring.wait_for("gatepost_store_up")[0].1, 1.0);
    crate::process::until("every rule was evaluated", || {
        let rules = monitoring.rules();
        assert_eq!(rules.len(), 12);
        for rule in &rules {
            assert_ne!(rule["health"], "err", "{rule}");
        }
        rules.iter().all(|rule| rule["health"] == "ok").then_some(())
    });
}

#[test]
fn a_suspension_by_the_detector_reaches_the_help_desk() {
    let site = Site::start();
    let monitoring = Monitoring::start(&site.folder.path, site.http);
    // Before anything happens, or the rule would not see that something did.
    monitoring.wait_for("sum(gatepost_suspensions_total{mode=\"enforce\"}) == 0");
    let mut answer = String::new();
    for message in ["1", "2", "3"] {
        answer = site.charge("alice", 300, message);
    }
    assert!(answer.starts_with("550 5.7.1"), "{answer}");
    let call = monitoring.wait_for_alert("GatepostAccountSuspended");
    assert_eq!(call.receiver, "helpdesk");
    let told = call.alert.to_string();
    assert!(!told.contains("alice"), "{told}");
    let test = call.alert["labels"]["test"].as_str().expect("the test is told");
    let counted = format!("gatepost_suspensions_total{{mode=\"enforce\",test=\"{test}\"}}");
    assert_eq!(monitoring.query(&counted)[0].1, 1.0);
}

/// So that no rule waits for a series that never comes.
#[test]
fn every_metric_and_label_of_the_rules_is_gateposts() {
    // The series of directory servers are there as soon as a server is configured.
    let site = Site::start_without_its_directory();
    let monitoring = Monitoring::start(&site.folder.path, site.http);
    monitoring.wait_for("gatepost_directory_server_up");
    let is_there = |selector: &str| !monitoring.query(&format!("count({selector})")).is_empty();
    let selectors = Regex::new(r"\b((?:gatepost_|up\b)\w*)(?:\{([^}]*)\})?").expect("a pattern");
    let matchers = Regex::new(r#"(\w+)(=|!=)"([^"]*)""#).expect("a pattern");
    let sums = Regex::new(r"\bby ?\(([^)]*)\)").expect("a pattern");
    let shown = Regex::new(r"\$labels\.(\w+)").expect("a pattern");
    for rule in monitoring.rules() {
        let (name, query) = (&rule["name"], rule["query"].as_str().expect("a query"));
        let mut metrics = Vec::new();
        for found in selectors.captures_iter(query) {
            let metric = &found[1];
            assert!(is_there(metric), "{name}: no {metric}");
            let within = found.get(2).map_or("", |labels| labels.as_str());
            let labels = matchers.captures_iter(within);
            let mut read = 0;
            for label in labels {
                read += 1;
                let selector = format!("{metric}{{{}=\"{}\"}}", &label[1], &label[3]);
                assert!(is_there(&selector), "{name}: no {selector}");
            }
            assert_eq!(read, within.matches('=').count(), "{name}: {within} was read");
            metrics.push(metric.to_owned());
        }
        assert!(!metrics.is_empty(), "{name} asks for something");
        let annotations = rule["annotations"].to_string();
        let by = sums.captures_iter(query).flat_map(|found| words(&found[1]));
        let told = shown.captures_iter(&annotations).map(|found| found[1].to_owned());
        for label in by.chain(told).collect::<Vec<_>>() {
            let bears = |metric: &String| is_there(&format!("{metric}{{{label}!=\"\"}}"));
            assert!(metrics.iter().any(bears), "{name}: none of {metrics:?} has {label}");
        }
    }
}

#[test]
fn a_failed_reload_reaches_a_receiver_of_alertmanager_and_so_does_its_end() {
    let mut site = Site::start();
    let monitoring = Monitoring::start(&site.folder.path, site.http);
    monitoring.wait_for("gatepost_config_last_reload_successful == 1");
    let good = site.configuration();
    site.reload(&good.replace("facing", "facign"), "configuration not reloaded");
    let call = monitoring.wait_for_alert("GatepostReloadFailed");
    assert_eq!(call.receiver, "postmaster");
    let expected = json!({
        "alertname": "GatepostReloadFailed",
        "instance": format!("127.0.0.1:{}", site.http),
        "job": "gatepost",
        "severity": "warning",
        "team": "postmaster",
    });
    assert_eq!(call.alert["labels"], expected);
    let page = &call.alert["annotations"]["runbook_url"];
    assert_eq!(page, "file:///usr/share/doc/gatepost/runbooks/GatepostReloadFailed.md");
    site.reload(&good, "configuration reloaded");
    monitoring.wait_for_resolved("GatepostReloadFailed");
    let of_others = |call: &Value| call["labels"]["alertname"] != "GatepostReloadFailed";
    let calls = monitoring.calls();
    assert!(!calls.iter().any(|call| of_others(&call.alert)), "{calls:?}");
}

#[test]
fn a_directory_that_nobody_answers_for_calls_the_pager() {
    let site = Site::start_without_its_directory();
    let monitoring = Monitoring::start(&site.folder.path, site.http);
    // A server that nobody has asked in vain counts as well.
    for login in ["alice", "bob", "carol", "dave"] {
        let answer = site.ask(login);
        assert!(answer.starts_with("451 4.4.3"), "{answer}");
    }
    let call = monitoring.wait_for_alert("GatepostDirectoryUnreachable");
    assert_eq!(call.receiver, "pager");
    assert_eq!(call.alert["labels"]["severity"], "critical");
}

#[test]
fn a_store_that_cannot_be_written_calls_the_pager_until_it_can() {
    let site = Site::start();
    let monitoring = Monitoring::start(&site.folder.path, site.http);
    monitoring.wait_for("gatepost_store_up == 1");
    site.let_it_write(false);
    assert_eq!(site.charge("alice", 1, "1f2e.6561.3a.0"), "DUNNO");
    let call = monitoring.wait_for_alert("GatepostStoreFailing");
    assert_eq!(call.receiver, "pager");
    assert!(!monitoring.query("gatepost_store_errors_total{operation=\"commit\"} > 0").is_empty());
    // What is in memory answers on, and hides nothing.
    assert_eq!(site.ask("alice"), "DUNNO");
    assert!(!monitoring.query("gatepost_store_up == 0").is_empty());
    site.let_it_write(true);
    monitoring.wait_for("gatepost_store_up == 1");
}

fn words(list: &str) -> Vec<String> {
    list.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}
