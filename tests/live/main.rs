//! Live suite: gatepost beside a private Postfix with Dovecot SASL and beside a private Sendmail, on
//! loopback, with people in a file or in Samba AD, judged by what an SMTP client is told and by what
//! arrives. Needs root and what `tests/run.sh` installs and unpacks; a missing part is a failure,
//! never a skip.

#[path = "../directories/authority.rs"]
#[allow(dead_code, reason = "the suite of directories takes more of it")]
mod authority;
#[path = "../directories/cache.rs"]
mod cache;
mod certificates;
#[path = "../directories/client.rs"]
#[allow(dead_code, reason = "the suite of directories takes more of it")]
mod client;
mod desk;
mod door;
mod dovecot;
#[path = "../common/folder.rs"]
mod folder;
mod gatepost;
mod helper;
#[path = "../actions/hook.rs"]
#[allow(dead_code, reason = "the suite of actions takes more of it")]
mod hook;
mod lab;
#[path = "../directories/ldif.rs"]
#[allow(dead_code, reason = "the suite of directories takes more of it")]
mod ldif;
#[path = "../directories/people.rs"]
mod people;
mod policy;
#[allow(dead_code, reason = "the suite of directories takes more of it")]
#[path = "../common/ports.rs"]
mod ports;
mod postfix;
#[path = "../common/process.rs"]
mod process;
#[path = "../common/prometheus.rs"]
#[allow(dead_code, reason = "the suite of alerts takes more of it")]
mod prometheus;
mod reply;
#[path = "../directories/samba.rs"]
#[allow(dead_code, reason = "the suite of directories takes more of it")]
mod samba;
#[path = "../directories/schema.rs"]
#[allow(dead_code, reason = "the suite of directories takes more of it")]
mod schema;
#[path = "../directories/server.rs"]
#[allow(dead_code, reason = "the suite of directories takes more of it")]
mod server;
mod sink;
mod smtp;

mod client_certificates;
mod clients;
mod content;
mod directory_outage;
mod granting;
mod holding;
mod internationalized;
mod logins;
mod milter;
mod observing;
mod outage;
mod queues;
mod reload;
mod routing;
mod sendmail;
mod senders;
mod sessions;
mod snippets;
mod sockets;
mod spellings;
mod stages;
mod stolen;
mod suspension;
