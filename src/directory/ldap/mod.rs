//! A directory by LDAP (RFC 4511): Active Directory, Samba AD, OpenLDAP, FreeIPA, 389-ds.

#[allow(dead_code)]
mod dates;
#[allow(dead_code)]
mod dn;
#[allow(dead_code)]
mod entry;
#[allow(dead_code)]
mod escape;
#[allow(dead_code)]
mod filter;
#[allow(dead_code)]
mod names;
pub mod schema;
pub mod settings;
#[allow(dead_code)]
mod sid;
#[allow(dead_code)]
mod state;
