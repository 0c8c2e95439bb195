//! One server of a kind for all tests that change nothing of it. It ends with the test program, by
//! the keeper of its folder.

use crate::openldap::{OpenLdap, Settings};
use crate::samba::SambaAd;
use std::sync::OnceLock;

pub fn samba() -> &'static SambaAd {
    static SAMBA: OnceLock<SambaAd> = OnceLock::new();
    SAMBA.get_or_init(SambaAd::start)
}

/// Without memberOf.
pub fn openldap() -> &'static OpenLdap {
    static OPENLDAP: OnceLock<OpenLdap> = OnceLock::new();
    OPENLDAP.get_or_init(|| OpenLdap::start(&Settings::default()))
}
