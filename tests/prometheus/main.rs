//! What deploy/prometheus ships, by the real Prometheus and Alertmanager: rules, their unit tests, examples, and
//! an alert all the way from gatepost to a receiver. Needs what `tests/run.sh` installs; a missing part is a
//! failure, never a skip.

#[path = "../common/folder.rs"]
mod folder;
#[allow(dead_code, reason = "the suite of the daemon takes more of it")]
#[path = "../daemon/client.rs"]
mod policy;
#[allow(dead_code, reason = "the suite of directories takes more of it")]
#[path = "../common/ports.rs"]
mod ports;
#[allow(dead_code, reason = "the live suite takes more of it")]
#[path = "../common/process.rs"]
mod process;
#[path = "../common/prometheus.rs"]
mod prometheus;

mod alerting;
mod rules;
mod site;
