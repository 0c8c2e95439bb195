//! The HTTP pages: metrics without names in them, health, readiness.

use crate::client::{Client, rcpt, request};
use crate::page::{metric, read, try_to_read, wait_for_metric};
use crate::site::Site;
use std::net::TcpStream;

/// Words no metric may ever carry, as parts of logins and addresses asked about.
const ODD: [&str; 8] = [
    "zaphod",
    "zaphod@odd.example",
    "ODD\\zaphod",
    "zaphod\"} 1",
    "zaphod\\",
    "zaphod\u{1b}[31m",
    "zaph\u{f6}d\u{202e}",
    "{zaphod=\"x\"}",
];

#[test]
fn metrics_are_the_text_format_with_its_content_type() {
    let site = Site::new();
    let _gatepost = site.start();
    let page = read(site.http, "/metrics");
    assert_eq!(page.status, 200);
    let kind = "\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n";
    assert!(page.head.contains(kind), "{}", page.head);
    for line in page.body.lines() {
        let is_sample = line.starts_with("gatepost_")
            && line.rsplit_once(' ').is_some_and(|(_, value)| value.parse::<f64>().is_ok());
        assert!(is_sample || line.starts_with("# HELP ") || line.starts_with("# TYPE "), "{line}");
    }
    let version = concat!("gatepost_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
    assert_eq!(metric(site.http, version), 1);
    assert_eq!(metric(site.http, "gatepost_panics_total"), 0);
}

#[test]
fn no_login_or_address_is_in_a_metric() {
    let site = Site::new();
    let _gatepost = site.start();
    let mut client = site.client();
    for login in ODD {
        for state in ["RCPT", "END-OF-MESSAGE", "VRFY"] {
            let answer = client.ask(&request(
                state,
                &[
                    "client_address=198.51.100.77",
                    "client_name=zaphod.odd.example",
                    &format!("sender={login}@odd.example"),
                    &format!("recipient={login}@odd.example"),
                    &format!("sasl_username={login}"),
                    &format!("instance={login}"),
                ],
            ));
            assert!(answer.starts_with("550 5.7.1 ["), "{answer}");
        }
        Client::tcp_from([127, 0, 0, 77], site.port).assert_closed();
        let mut broken = site.client();
        broken.send(request(login, &[]));
        broken.assert_closed();
    }
    let asked = "gatepost_requests_total{protocol=\"policy\",stage=\"rcpt\"}";
    wait_for_metric(site.http, asked, ODD.len() as i64);
    let text = read(site.http, "/metrics").body;
    for word in ["zaph", "odd.example", "198.51.100.77", "127.0.0.77"] {
        assert!(!text.contains(word), "{word} in\n{text}");
    }
    let labels = text.lines().filter_map(|line| Some(line.split_once('{')?.1.split_once('}')?.0));
    for label in labels.flat_map(|labels| labels.split(',')) {
        let (name, value) = label.split_once('=').expect("a name and a value");
        const NAMES: [&str; 20] = [
            "protocol",
            "stage",
            "action",
            "reason",
            "mode",
            "kind",
            "le",
            "version",
            "kept",
            "operation",
            "result",
            "class",
            "test",
            "severity",
            "rank",
            "fault",
            "state",
            "verdict",
            "grade",
            "outcome",
        ];
        assert!(NAMES.contains(&name), "{label}");
        let is_closed = value.trim_matches('"').bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.+I".contains(&byte)
        });
        assert!(is_closed, "{label}");
    }
}

#[test]
fn questions_count_by_stage_action_reason_and_mode() {
    let site = Site::new();
    let _gatepost = site.start();
    let mut client = site.client();
    let before = metric(site.http, "gatepost_last_request_timestamp_seconds{protocol=\"policy\"}");
    assert_eq!(before, 0, "no question yet");
    for login in ["alice", "bob", "bob", "frank"] {
        client.ask(&rcpt(login, "friend@far.test"));
    }
    wait_for_metric(site.http, "gatepost_requests_total{protocol=\"policy\",stage=\"rcpt\"}", 4);
    for (labels, count) in [
        ("action=\"pass\",mode=\"enforce\",reason=\"none\"", 1),
        ("action=\"reject\",mode=\"enforce\",reason=\"relay-missing\"", 2),
        ("action=\"defer\",mode=\"enforce\",reason=\"account-locked\"", 1),
        ("action=\"reject\",mode=\"observe\",reason=\"relay-missing\"", 0),
    ] {
        assert_eq!(metric(site.http, &format!("gatepost_decisions_total{{{labels}}}")), count);
    }
    let took = "gatepost_decision_duration_seconds_count{protocol=\"policy\"}";
    assert_eq!(metric(site.http, took), 4);
    assert!(metric(site.http, "gatepost_last_request_timestamp_seconds{protocol=\"policy\"}") > 0);
}

#[test]
fn a_running_daemon_is_healthy_and_ready() {
    let site = Site::new();
    let _gatepost = site.start();
    let healthy = read(site.http, "/-/healthy");
    assert_eq!((healthy.status, &*healthy.body), (200, "gatepost is healthy\n"));
    let ready = read(site.http, "/-/ready");
    assert_eq!((ready.status, &*ready.body), (200, "gatepost is ready\n"));
    assert_eq!(read(site.http, "/").status, 404);
    // Questions are for the control socket, not for everybody on the network.
    assert_eq!(read(site.http, "/decision/0123456789AB").status, 404);
    assert_eq!(read(site.http, "/explain").status, 404);
}

#[test]
fn a_silent_directory_does_not_make_it_unready() {
    let site = Site::new();
    let gatepost = site.start();
    site.write("people.toml", "not a directory");
    gatepost.wait_for_log("directory file not reloaded");
    assert_eq!(read(site.http, "/-/ready").status, 200);
}

#[test]
fn the_pages_can_be_switched_off() {
    let site = Site::new();
    let listen = format!("listen = \"127.0.0.1:{}\"", site.http);
    site.change("gatepost.toml", &listen, "listen = \"off\"");
    let _gatepost = site.start();
    assert_eq!(site.client().ask(&rcpt("alice", "friend@far.test")), "DUNNO");
    assert!(TcpStream::connect(("127.0.0.1", site.http)).is_err());
    assert!(try_to_read(site.http, "/metrics").is_none());
}
