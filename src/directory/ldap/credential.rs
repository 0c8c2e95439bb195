//! The password of the simple bind. It is read from its file for each bind; one that was refused is
//! not tried again for a while, or several connections would lock the service account.

use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::MutexGuard;

use crate::directory::cache::is_within;
use crate::directory::ldap::settings::Bind;
use crate::mail::Timestamp;

/// AD locks an account after `lockoutThreshold` failures within `lockoutObservationWindow`, often
/// five in ten minutes or more. Doubled with each attempt.
const PAUSE: Duration = Duration::from_secs(180);

/// A password that was wrong for an hour waits for somebody to write another one.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// A longer file is not a password.
const LONGEST: usize = 4096;

const UNANSWERED: &str = "a bind with this password was not answered";

pub(super) struct Credential {
    file: Option<PathBuf>,
    /// One bind at a time, at whichever server: all would try a wrong password at once.
    turn: tokio::sync::Mutex<()>,
    doubt: Mutex<Option<Doubt>>,
}

/// A password that may be wrong: it was refused, or nobody knows what became of it.
struct Doubt {
    password: String,
    /// What the server said.
    why: String,
    at: Timestamp,
    pause: Duration,
    /// The server that did not answer, where none refused it and the others may still be tried.
    only: Option<Box<str>>,
}

/// A password under way to a server. Dropped without a word of what came of it, it stays in doubt.
pub(super) struct Attempt<'a> {
    pub password: String,
    credential: &'a Credential,
    before: Option<Doubt>,
    _turn: MutexGuard<'a, ()>,
}

impl Credential {
    pub fn of(bind: &Bind) -> Self {
        let file = match bind {
            Bind::Simple { password_file, .. } => Some(password_file.clone()),
            _ => None,
        };
        Self { file, turn: tokio::sync::Mutex::default(), doubt: Mutex::default() }
    }

    /// The password of now, unless this very one was refused, or not answered, a short while ago.
    pub async fn attempt(
        &self,
        server: &str,
        clock: fn() -> Timestamp,
    ) -> Result<Attempt<'_>, String> {
        let turn = self.turn.lock().await;
        let Some(file) = self.file.clone() else { return Err("no password file".into()) };
        let read = tokio::task::spawn_blocking(move || read_password(&file)).await;
        let password = read.map_err(|fault| fault.to_string())??;
        let (at, mut doubt) = (clock(), self.doubt.lock());
        // A new password is a new matter.
        let before = doubt.take_if(|doubt| doubt.password != password || !doubt.holds(server, at));
        if let Some(held) = &*doubt {
            return Err(format!(
                "{}; the password has not changed since and is not tried again for now, lest the account be locked",
                held.why
            ));
        }
        let before = before.filter(|before| before.password == password);
        *doubt = Some(Doubt::of(&password, before.as_ref(), server, at));
        drop(doubt);
        Ok(Attempt { password, credential: self, before, _turn: turn })
    }
}

impl Doubt {
    /// Of an attempt that begins.
    fn of(password: &str, before: Option<&Self>, server: &str, at: Timestamp) -> Self {
        let pause = match before {
            None => PAUSE,
            Some(before) if before.is_paused(at) => before.pause,
            Some(before) => before.pause.saturating_mul(2).min(LONGEST_PAUSE),
        };
        let only = before.is_none().then(|| server.into());
        Self { password: password.into(), why: UNANSWERED.into(), at, pause, only }
    }

    fn is_paused(&self, at: Timestamp) -> bool {
        is_within(self.at, self.pause.as_millis() as u64, at)
    }

    /// Whether this server is not to be tried. Two that do not answer count for all.
    fn holds(&self, server: &str, at: Timestamp) -> bool {
        self.is_paused(at) && self.only.as_deref().is_none_or(|only| only == server)
    }
}

impl Attempt<'_> {
    pub fn accepted(self) {
        *self.credential.doubt.lock() = None;
    }

    /// The server does not take the password.
    pub fn refused(self, why: String) {
        if let Some(doubt) = &mut *self.credential.doubt.lock() {
            (doubt.why, doubt.only) = (why, None);
        }
    }

    /// The server answered without having looked at the password.
    pub fn unjudged(self) {
        *self.credential.doubt.lock() = self.before;
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
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static NOW: Cell<i64> = const { Cell::new(0) };
    }

    struct Site {
        folder: PathBuf,
        credential: Credential,
    }

    impl Site {
        fn new(name: &str) -> Self {
            let name = format!("gatepost-password-{}-{name}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&folder).expect("a folder");
            let password_file = folder.join("bind.pw");
            let credential = Credential::of(&Bind::Simple { dn: "cn=x".into(), password_file });
            let site = Self { folder, credential };
            site.write("old\n");
            site
        }

        fn write(&self, text: &str) {
            std::fs::write(self.folder.join("bind.pw"), text).expect("written");
        }

        /// At a second of the clock.
        async fn attempt(&self, server: &str, second: i64) -> Result<Attempt<'_>, String> {
            NOW.set(second * 1000);
            self.credential.attempt(server, || Timestamp::from_unix_ms(NOW.get())).await
        }

        async fn is_tried(&self, server: &str, second: i64) -> bool {
            self.attempt(server, second).await.map(Attempt::unjudged).is_ok()
        }
    }

    impl Drop for Site {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.folder).expect("removed");
        }
    }

    #[tokio::test]
    async fn a_refused_password_waits_and_a_new_one_does_not() {
        let site = Site::new("refused");
        let attempt = site.attempt("a", 0).await.expect("a password");
        assert_eq!(attempt.password, "old");
        attempt.refused("result 49".into());
        let refused = site.attempt("a", 0).await.err().expect("refused");
        assert!(refused.starts_with("result 49; the password has not changed"), "{refused}");
        assert!(!site.is_tried("b", 179).await && site.is_tried("b", 180).await);
        assert!(site.is_tried("a", -1).await, "a clock set back");
        site.write("new");
        assert_eq!(site.attempt("a", 1).await.expect("a password").password, "new");
        site.write("\n");
        let empty = site.attempt("a", 1).await.err().expect("empty");
        assert!(empty.contains("its first line is empty"), "{empty}");
    }

    #[tokio::test]
    async fn the_pause_doubles_from_three_minutes_to_an_hour_and_begins_anew_with_what_is_good() {
        let site = Site::new("doubling");
        let mut now = 0;
        for pause in [180, 360, 720, 1440, 2880, 3600, 3600] {
            let attempt = site.attempt("a", now).await.expect("it is tried");
            attempt.refused("result 49".into());
            assert!(!site.is_tried("a", now + pause - 1).await, "{pause}");
            assert!(site.is_tried("a", now + pause).await, "{pause}");
            now += pause;
        }
        site.attempt("a", now).await.expect("it is tried").accepted();
        site.attempt("a", now).await.expect("it is tried").refused("result 49".into());
        assert!(!site.is_tried("a", now + 179).await && site.is_tried("a", now + 180).await);
    }

    #[tokio::test]
    async fn what_is_not_answered_counts_as_refused_by_that_server_and_twice_by_all() {
        let site = Site::new("unanswered");
        drop(site.attempt("a", 0).await.expect("it is tried"));
        let told = site.attempt("a", 179).await.err().expect("in doubt");
        assert!(told.starts_with("a bind with this password was not answered; the"), "{told}");
        assert!(site.is_tried("a", 180).await && site.is_tried("b", 1).await);
        drop(site.attempt("b", 1).await.expect("it is tried"));
        for server in ["a", "b", "c"] {
            assert!(!site.is_tried(server, 180).await && site.is_tried(server, 181).await);
        }
        drop(site.attempt("c", 181).await.expect("it is tried"));
        assert!(!site.is_tried("a", 540).await && site.is_tried("a", 541).await);
    }

    #[tokio::test]
    async fn a_server_that_accepts_it_takes_away_all_doubt() {
        let site = Site::new("accepted");
        drop(site.attempt("a", 0).await.expect("it is tried"));
        site.attempt("b", 1).await.expect("it is tried").accepted();
        assert!(site.is_tried("a", 1).await);
    }

    #[tokio::test]
    async fn one_bind_is_under_way_at_a_time() {
        let site = Site::new("turns");
        let first = site.attempt("a", 0).await.expect("it is tried");
        let second = site.attempt("b", 0);
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        first.refused("result 49".into());
        assert!(second.await.is_err());
    }
}
