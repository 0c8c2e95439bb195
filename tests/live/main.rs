//! Live suite: gatepost beside a private Postfix with Dovecot SASL and beside a private Sendmail, on
//! loopback, judged by what an SMTP client is told and by what arrives. Needs root and what
//! `tests/run.sh` installs and unpacks; a missing part is a failure, never a skip.

mod certificates;
mod door;
mod dovecot;
#[path = "../common/folder.rs"]
mod folder;
mod gatepost;
mod lab;
mod policy;
#[allow(dead_code, reason = "the suite of directories takes more of it")]
#[path = "../common/ports.rs"]
mod ports;
mod postfix;
#[path = "../common/process.rs"]
mod process;
mod reply;
mod sink;
mod smtp;

mod client_certificates;
mod clients;
mod content;
mod granting;
mod internationalized;
mod logins;
mod milter;
mod observing;
mod outage;
mod reload;
mod routing;
mod sendmail;
mod senders;
mod sessions;
mod snippets;
mod sockets;
mod spellings;
mod stages;
