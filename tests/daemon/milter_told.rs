//! What people are told of questions by milter: `explain` and metrics.

use crate::client::{id_of, without_id};
use crate::mta::{ABORT, DATA, END_OF_MESSAGE, Mta, NO_RELAY, mail, rcpt};
use crate::page::{read, wait_for_metric};
use crate::process::until;
use crate::site::Site;

/// The second listener speaks policy delegation, as beside a Postfix that asks both ways.
fn mixed() -> Site {
    let site = Site::new();
    let socket = format!("protocol = \"policy\"\nsocket = \"inet:127.0.0.1:{}\"", site.port);
    site.change("gatepost.toml", &socket, &socket.replace("\"policy\"", "\"milter\""));
    site
}

#[test]
fn a_refusal_leads_to_its_story() {
    let site = mixed();
    let _gatepost = site.start();
    let mut mta = Mta::tcp(&site).greeted();
    assert_eq!(mta.ask(mail("bob")), "c");
    let refusal = mta.ask(rcpt("friend@far.test"));
    assert_eq!(without_id(&refusal), NO_RELAY);
    let told = until("the decision is remembered", || {
        let told = site.run(&["explain", "-c", "gatepost.toml", "--id", &refusal]);
        (told.code != Some(4)).then_some(told)
    });
    assert_eq!((told.code, &*told.complained), (Some(1), ""));
    // As the client has it: Postfix puts nothing of its own before what a milter says.
    let client = format!(
        "550 5.7.1 [{}] bob has no relay right: mail to far.test is not allowed",
        id_of(&refusal)
    );
    let line = told.printed.lines().find(|line| line.trim_start().starts_with("client "));
    assert!(line.is_some_and(|line| line.ends_with(&format!(" {client}"))), "{}", told.printed);
    assert!(!told.printed.contains("address rejected"), "{}", told.printed);
    for words in ["192.0.2.9", "friend@far.test", "to change", "rcpt"] {
        assert!(told.printed.contains(words), "{words} in\n{}", told.printed);
    }
}

#[test]
fn a_listener_of_milter_is_chosen_by_a_part_of_its_socket() {
    let site = mixed();
    let _gatepost = site.start();
    let port = site.port.to_string();
    let question = ["explain", "-c", "gatepost.toml", "--login", "bob", "--rcpt", "x@far.test"];
    for offline in [&[][..], &["--offline"]] {
        let milter = [&question[..], &["--listener", &port], offline].concat();
        let policy = [&question[..], &["--listener", "policy.sock"], offline].concat();
        let (milter, policy) = (site.run(&milter), site.run(&policy));
        assert_eq!((milter.code, policy.code), (Some(1), Some(1)));
        assert!(milter.printed.contains(&format!("inet:127.0.0.1:{port}")), "{}", milter.printed);
        assert!(!milter.printed.contains("address rejected"), "{}", milter.printed);
        assert!(policy.printed.contains("<x@far.test>: Recipient address rejected: "));
    }
}

#[test]
fn questions_are_counted_by_protocol_and_stage() {
    let site = mixed();
    let _gatepost = site.start();
    let mut mta = Mta::tcp(&site).greeted();
    let mut other = Mta::tcp(&site).greeted();
    assert_eq!(other.ask(mail("carol")).get(..4), Some("y550"));
    assert_eq!(mta.ask(mail("bob")), "c");
    assert_eq!(mta.ask(rcpt("friend@far.test")).get(..4), Some("y550"));
    assert_eq!(mta.ask(rcpt("alice@example.org")), "c");
    assert_eq!(mta.ask(DATA), "c");
    assert_eq!(mta.ask(END_OF_MESSAGE), "a");
    mta.send(ABORT);
    for (stage, count) in [("mail", 2), ("rcpt", 2), ("data", 0), ("end-of-message", 1)] {
        let sample = format!("gatepost_requests_total{{protocol=\"milter\",stage=\"{stage}\"}}");
        wait_for_metric(site.http, &sample, count);
    }
    for (sample, expected) in [
        ("gatepost_connections{protocol=\"milter\"}", 2),
        ("gatepost_connections{protocol=\"policy\"}", 0),
        ("gatepost_decision_duration_seconds_count{protocol=\"milter\"}", 5),
        ("gatepost_decision_duration_seconds_count{protocol=\"policy\"}", 0),
        ("gatepost_requests_total{protocol=\"policy\",stage=\"rcpt\"}", 0),
        (
            "gatepost_decisions_total{action=\"reject\",mode=\"enforce\",reason=\"relay-missing\"}",
            1,
        ),
        ("gatepost_late_answers_total", 0),
    ] {
        wait_for_metric(site.http, sample, expected);
    }
    let last = "gatepost_last_request_timestamp_seconds{protocol=\"milter\"} ";
    let text = read(site.http, "/metrics").body;
    let last = text.lines().find_map(|line| line.strip_prefix(last)).expect("a sample");
    assert!(last.parse::<f64>().is_ok_and(|at| at > 1_700_000_000.0), "{last}");
}
