//! A directory by LDAP (RFC 4511): Active Directory, Samba AD, OpenLDAP, FreeIPA, 389-ds.

pub mod schema;
pub mod settings;
