//! The password of the simple bind. It is read from its file for each bind; one that was refused is
//! not tried again for a while, or several connections would lock the service account.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use crate::directory::cache::is_within;
use crate::directory::ldap::settings::Bind;
use crate::mail::Timestamp;

/// AD locks an account after `lockoutThreshold` failures within `lockoutObservationWindow`, often
/// five in ten minutes or more.
const PAUSE: Duration = Duration::from_secs(180);

/// A longer file is not a password.
const LONGEST: usize = 4096;

pub(super) struct Credential {
    file: Option<PathBuf>,
    refused: Mutex<Option<Refused>>,
    /// By the server's name.
    turns: Mutex<HashMap<Box<str>, Arc<tokio::sync::Mutex<()>>>>,
}

struct Refused {
    password: String,
    /// What the server said.
    why: String,
    at: Timestamp,
}

impl Credential {
    pub fn of(bind: &Bind) -> Self {
        let file = match bind {
            Bind::Simple { password_file, .. } => Some(password_file.clone()),
            _ => None,
        };
        Self { file, refused: Mutex::default(), turns: Mutex::default() }
    }

    /// To be held from [`Self::password`] until the server has said what it thinks of it: connections
    /// that bind at once would all try a wrong one. A silent server keeps up its own alone.
    pub async fn turn(&self, server: &str) -> OwnedMutexGuard<()> {
        let turn = Arc::clone(self.turns.lock().entry(server.into()).or_default());
        turn.lock_owned().await
    }

    /// The password of now, unless the server refused this very one a short while ago.
    pub async fn password(&self, at: Timestamp) -> Result<String, String> {
        let Some(file) = self.file.clone() else { return Err("no password file".into()) };
        let read = tokio::task::spawn_blocking(move || read_password(&file)).await;
        let password = read.map_err(|fault| fault.to_string())??;
        match &*self.refused.lock() {
            Some(refused)
                if refused.password == password
                    && is_within(refused.at, PAUSE.as_millis() as u64, at) =>
            {
                Err(format!(
                    "{}; the password has not changed since and is not tried again for now, lest the account be locked",
                    refused.why
                ))
            }
            _ => Ok(password),
        }
    }

    /// A server did not take this password.
    pub fn refused(&self, password: &str, why: String, at: Timestamp) {
        *self.refused.lock() = Some(Refused { password: password.into(), why, at });
    }
}

/// The first line of the file. An empty password would be an unauthenticated bind, which many servers
/// call a success (RFC 4513, 5.1.2).
pub(crate) fn read_password(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|f| format!("{}: {f}", file.display()))?;
    let password = text.lines().next().unwrap_or_default();
    match password.len() {
        0 => Err(format!(
            "{}: its first line is empty; an empty password binds as nobody (RFC 4513, 5.1.2)",
            file.display()
        )),
        1..=LONGEST => Ok(password.into()),
        _ => Err(format!("{}: longer than {LONGEST} bytes", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ms(seconds * 1000)
    }

    #[tokio::test]
    async fn a_refused_password_waits_and_a_new_one_does_not() {
        let folder = std::env::temp_dir().join(format!("gatepost-password-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("bind.pw");
        std::fs::write(&file, "old\n").expect("written");
        let bind = Bind::Simple { dn: "cn=x".into(), password_file: file.clone() };
        let credential = Credential::of(&bind);
        assert_eq!(credential.password(at(0)).await.as_deref(), Ok("old"));
        credential.refused("old", "result 49".into(), at(0));
        let refused = credential.password(at(0)).await.expect_err("refused");
        assert!(refused.starts_with("result 49; the password has not changed"), "{refused}");
        assert!(credential.password(at(179)).await.is_err());
        assert_eq!(credential.password(at(180)).await.as_deref(), Ok("old"));
        assert_eq!(credential.password(at(-1)).await.as_deref(), Ok("old"), "a clock set back");
        std::fs::write(&file, "new").expect("written");
        assert_eq!(credential.password(at(1)).await.as_deref(), Ok("new"));
        std::fs::write(&file, "\n").expect("written");
        let empty = credential.password(at(1)).await.expect_err("empty");
        assert!(empty.contains("its first line is empty"), "{empty}");
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
