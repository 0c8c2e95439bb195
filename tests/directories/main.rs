//! Real directory servers: Samba AD, OpenLDAP and 389-ds, each in a throw-away folder on loopback,
//! with the same people, and gatepost before them. Needs root and what `tests/run.sh` installs; a
//! missing part is a failure, never a skip.

#[path = "../common/folder.rs"]
mod folder;
#[allow(dead_code, reason = "the suite of the daemon takes more of it")]
#[path = "../daemon/page.rs"]
mod page;
#[allow(dead_code, reason = "the suite of the daemon takes more of it")]
#[path = "../daemon/client.rs"]
mod policy;
#[path = "../common/ports.rs"]
mod ports;
#[allow(dead_code, reason = "the live suite takes more of it")]
#[path = "../common/process.rs"]
mod process;

mod authority;
mod cache;
mod client;
mod dns;
mod ds389;
mod gatepost;
mod inet;
mod ldif;
mod openldap;
mod people;
mod samba;
mod schema;
mod server;
mod shared;
mod source;

mod acting;
mod binds;
mod changes;
mod discovery;
mod outages;
mod rows;
mod size;
mod starts;
mod suspension;
mod tls;
