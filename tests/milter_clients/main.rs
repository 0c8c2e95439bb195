//! Independent milter clients against a gatepost process: miltertest of OpenDKIM, the Debian package
//! `miltertest`. Where it is missing that is a failure, never a skip; `tests/run.sh` installs it.

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
mod script;
