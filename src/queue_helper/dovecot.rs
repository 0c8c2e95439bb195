//! Dovecot: doveadm-auth(1) and doveadm-kick(1).

use std::path::Path;

use crate::queue::{Handled, Kickable};
use crate::queue_helper::program::Program;

/// `doveadm kick` of somebody who is not connected (EX_NOHOST, doveadm's DOVEADM_EX_NOTFOUND).
const NOBODY: i32 = 68;

pub struct Dovecot {
    pub doveadm: Program,
}

impl Dovecot {
    pub fn new(configuration: &Path, doveadm: &Path) -> Self {
        Self { doveadm: Program::new(doveadm, "-c", configuration) }
    }

    /// First the cache forgets the password, then the sessions end: else a program that comes back at once is let in
    /// by the cache, and stays.
    pub async fn kick(&self, login: &Kickable) -> Handled {
        let flush = ["auth", "cache", "flush", login.as_str()];
        for (arguments, none) in [(&flush[..], None), (&["kick", login.as_str()], Some(NOBODY))] {
            match self.doveadm.run(arguments, "").await {
                Ok(said) if said.code == Some(0) => {}
                Ok(said) if said.code == none && none.is_some() => return Handled::Gone,
                Ok(said) => return Handled::Failed(said.complaint()),
                Err(why) => return Handled::Failed(why),
            }
        }
        Handled::Done
    }
}
