//! Real directory servers: Samba AD, OpenLDAP and 389-ds, each in a throw-away folder on loopback,
//! with the same people. Needs root and what `tests/run.sh` installs; a missing part is a failure,
//! never a skip.

#[path = "../common/folder.rs"]
mod folder;
#[path = "../common/ports.rs"]
mod ports;
#[allow(dead_code, reason = "the live suite takes more of it")]
#[path = "../common/process.rs"]
mod process;

mod cache;
mod certificates;
mod client;
mod ds389;
mod inet;
mod ldif;
mod openldap;
mod people;
mod samba;
mod schema;
mod server;

mod starts;
