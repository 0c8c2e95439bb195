//! A directory by LDAP in trouble, played by a scripted server; and that server by itself.

#[path = "../ldap_server/mod.rs"]
mod ldap_server;

mod answers;
mod bind;
mod caching;
mod client;
mod clock;
mod daemon;
mod failover;
mod groups;
mod logins;
#[allow(dead_code, reason = "what the daemon's own tests need")]
#[path = "../daemon/process.rs"]
mod process;
mod reading;
mod recipients;
mod results;
mod server_answers;
mod server_deviations;
mod site;
mod watch;
