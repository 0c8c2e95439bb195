//! Independent milter clients against a gatepost process: OpenDKIM's miltertest, which offers all, and
//! PyPI's, which is made to offer little. Where one is missing that is a failure, never a skip;
//! `tests/run.sh` installs both.

#[allow(dead_code, reason = "the daemon suite uses the rest")]
#[path = "../daemon/client.rs"]
mod client;
#[allow(dead_code, reason = "the daemon suite uses the rest")]
#[path = "../daemon/process.rs"]
mod process;
#[allow(dead_code, reason = "the daemon suite uses the rest")]
#[path = "../daemon/site.rs"]
mod site;

mod lua;
mod python;
mod script;
