//! A private Prometheus with the shipped rules, an Alertmanager with the shipped routes, and a receiver that
//! Alertmanager calls; before one gatepost, on loopback, in the folder of a test.

use crate::folder::note_pid;
use crate::ports::free_ports;
use crate::process::{DEADLINE, Process, program, until};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

pub struct Monitoring {
    prometheus: Process,
    _alertmanager: Process,
    port: u16,
    receiver: Receiver,
}

/// An alert as a receiver of Alertmanager is told it.
#[derive(Clone, Debug)]
pub struct Call {
    /// `pager`, `helpdesk` or `postmaster`.
    pub receiver: String,
    /// With `status`, `labels` and `annotations`.
    pub alert: Value,
}

impl Monitoring {
    /// Reads the pages of the gatepost at `http` each second. Rules do not wait for their `for`, and Alertmanager
    /// does not wait for company.
    pub fn start(folder: &Path, http: u16) -> Monitoring {
        let folder = folder.join("monitoring");
        fs::create_dir_all(&folder).expect("a folder can be made");
        let [port, alerting, calls] = free_ports();
        let receiver = Receiver::listen(calls);
        let alertmanager = start_alertmanager(&folder, alerting, calls);
        let prometheus = start_prometheus(&folder, port, alerting, http);
        Monitoring { prometheus, _alertmanager: alertmanager, port, receiver }
    }

    /// The value of each series that the expression gives now, with its labels.
    #[track_caller]
    pub fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let escaped: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let told = self.ask(&format!("/api/v1/query?query={escaped}"));
        assert_eq!(told["status"], "success", "{expression}: {told}");
        let series = told["data"]["result"].as_array().expect("a vector").iter();
        let value = |one: &Value| one["value"][1].as_str()?.parse().ok();
        series.map(|one| (one["metric"].clone(), value(one).expect("a number"))).collect()
    }

    /// Until the expression gives something.
    #[track_caller]
    pub fn wait_for(&self, expression: &str) -> Vec<(Value, f64)> {
        until(&format!("{expression} is so"), || {
            Some(self.query(expression)).filter(|series| !series.is_empty())
        })
    }

    /// The rules as Prometheus has read them: `name`, `query`, `health`, `labels`, `annotations`.
    pub fn rules(&self) -> Vec<Value> {
        let told = self.ask("/api/v1/rules");
        let groups = told["data"]["groups"].as_array().expect("groups").clone();
        groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
    }

    /// Until Alertmanager has told somebody of this alert.
    #[track_caller]
    pub fn wait_for_alert(&self, name: &str) -> Call {
        self.wait_for_call(name, "firing")
    }

    /// Until Alertmanager has told that it is over.
    #[track_caller]
    pub fn wait_for_resolved(&self, name: &str) -> Call {
        self.wait_for_call(name, "resolved")
    }

    #[track_caller]
    fn wait_for_call(&self, name: &str, status: &str) -> Call {
        until(&format!("{name} is told as {status}"), || {
            let is_it = |call: &Call| {
                call.alert["labels"]["alertname"] == name && call.alert["status"] == status
            };
            self.receiver.calls().into_iter().find(is_it)
        })
    }

    /// All that Alertmanager has told so far.
    pub fn calls(&self) -> Vec<Call> {
        self.receiver.calls()
    }

    #[track_caller]
    fn ask(&self, path: &str) -> Value {
        let body = read(self.port, path)
            .unwrap_or_else(|| panic!("no {path}:\n{}", self.prometheus.written()));
        serde_json::from_str(&body).unwrap_or_else(|fault| panic!("{path}: {fault}: {body}"))
    }
}

fn start_prometheus(folder: &Path, port: u16, alerting: u16, http: u16) -> Process {
    let rules = fs::read_to_string(shipped("gatepost.rules.yml")).expect("the rules");
    fs::write(folder.join("gatepost.rules.yml"), hasty(&rules)).expect("a file can be written");
    let text = fs::read_to_string(shipped("prometheus.yml")).expect("the example");
    let text = replaced(&text, "127.0.0.1:9825", &format!("127.0.0.1:{http}"));
    let text = replaced(&text, "127.0.0.1:9093", &format!("127.0.0.1:{alerting}"));
    let text = replaced(&text, "scrape_interval: 15s", "scrape_interval: 1s\n  scrape_timeout: 1s");
    let text = replaced(&text, "evaluation_interval: 15s", "evaluation_interval: 1s");
    let file = folder.join("prometheus.yml");
    fs::write(&file, text).expect("a file can be written");
    let mut command = Command::new(program("prometheus", "prometheus"));
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .current_dir(folder);
    started("prometheus", &mut command, folder, port)
}

fn start_alertmanager(folder: &Path, port: u16, calls: u16) -> Process {
    let text = fs::read_to_string(shipped("alertmanager.yml")).expect("the example");
    let (routes, receivers) = text.split_once("\nreceivers:\n").expect("receivers stand last");
    let names = receivers.lines().filter_map(|line| line.trim().strip_prefix("- name: "));
    let receivers: String = names
        .map(|name| {
            let url = format!("http://127.0.0.1:{calls}/{name}");
            format!("  - name: {name}\n    webhook_configs:\n      - url: {url}\n")
        })
        .collect();
    let routes = routes.replace("group_wait: 30s", "group_wait: 0s");
    let routes = replaced(&routes, "group_interval: 5m", "group_interval: 1s");
    let file = folder.join("alertmanager.yml");
    fs::write(&file, format!("{routes}\nreceivers:\n{receivers}")).expect("a file can be written");
    let mut command = Command::new(program("prometheus-alertmanager", "prometheus-alertmanager"));
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", folder.join("alertmanager").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        // Alone.
        .arg("--cluster.listen-address=")
        .current_dir(folder);
    started("alertmanager", &mut command, folder, port)
}

fn started(name: &'static str, command: &mut Command, folder: &Path, port: u16) -> Process {
    let mut process = Process::start(name, command, folder.join(format!("{name}.log")));
    note_pid(folder.parent().expect("the folder of the test"), name, process.pid());
    process.wait_until("is ready", || read(port, "/-/ready").is_some());
    process
}

/// Without a `for`, but that of GatepostDown: on a busy machine a scrape may come late once.
fn hasty(rules: &str) -> String {
    let mut alert = "";
    let lines = rules.lines().filter(|line| {
        alert = line.trim().strip_prefix("- alert: ").unwrap_or(alert);
        !line.trim().starts_with("for: ") || alert == "GatepostDown"
    });
    lines.map(|line| format!("{line}\n")).collect()
}

#[track_caller]
fn replaced(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old:?} stands once in:\n{text}");
    text.replace(old, new)
}

/// A file of deploy/prometheus.
pub fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus").join(name)
}

/// The body of a page; `None` when nobody listens there or the answer is not 200.
fn read(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).ok()?;
    // By HTTP/1.0 the answer comes in one piece.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).ok()?;
    let (head, body) = response.split_once("\r\n\r\n")?;
    (head.split(' ').nth(1)? == "200").then(|| body.into())
}

/// Takes what Alertmanager tells.
struct Receiver {
    port: u16,
    calls: Arc<Mutex<Vec<Call>>>,
    is_over: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl Receiver {
    fn listen(port: u16) -> Receiver {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        let calls = Arc::<Mutex<Vec<Call>>>::default();
        let is_over = Arc::<AtomicBool>::default();
        let (taken, ended) = (Arc::clone(&calls), Arc::clone(&is_over));
        let listening = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let told = take(stream).unwrap_or_default();
                taken.lock().expect("whole").extend(told);
            }
        });
        Receiver { port, calls, is_over, listening: Some(listening) }
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("whole").clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes the one who listens.
        let woken = TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        if let Some(listening) = self.listening.take().filter(|_| woken) {
            listening.join().ok();
        }
    }
}

/// One request to `/RECEIVER`, and the alerts in it.
fn take(stream: TcpStream) -> Option<Vec<Call>> {
    stream.set_read_timeout(Some(DEADLINE)).ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let receiver = line.split(' ').nth(1)?.trim_start_matches('/').to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    reader.get_mut().write_all(answer).ok()?;
    let told: Value = serde_json::from_slice(&body).ok()?;
    let alerts = told["alerts"].as_array()?.iter().cloned();
    Some(alerts.map(|alert| Call { receiver: receiver.clone(), alert }).collect())
}
