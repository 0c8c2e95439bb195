//! Actions before real peers: HTTP servers that hang, refuse, fail or say too much, a mail relay that is down, commands
//! that never end; a daemon killed between an event and its delivery; and questions asked meanwhile.

#[path = "../common/process.rs"]
#[allow(dead_code, reason = "each test takes what it needs")]
mod process;
#[path = "../live/sink.rs"]
#[allow(dead_code, reason = "each test takes what it needs")]
mod sink;

#[path = "../ldap_server/tls.rs"]
#[allow(dead_code, reason = "each test takes what it needs")]
mod tls;

mod commands;
mod crash;
mod daemon;
mod hook;
mod life;
mod mails;
mod outbox;
mod verdicts;
mod webhooks;
