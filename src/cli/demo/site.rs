//! The folder of a demo: the quick start's rules and people, what a suspension needs beside them, and past mail.

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::mkdtemp;

use crate::daemon::clock;

const RULES: &str = include_str!("../../../config/quickstart.toml");
const PEOPLE: &str = include_str!("../../../config/quickstart-people.toml");

/// The one thing of the quick start that is otherwise: where it listens, and that it can hold.
const LISTENS: &str = "socket = \"inet:127.0.0.1:10031\"";
const LISTENS_HERE: &str = "socket = \"unix:policy.sock\"\nhold = \"defer\"";

/// The webhook is of this very process, which asks for no signature.
const SECRET: &str = "nobody checks this signature\n";

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const PAST_DAYS: i64 = 40;
const MESSAGES_A_DAY: i64 = 5;

/// Removed with all in it when it is dropped, unless it is kept.
pub(super) struct Site {
    folder: PathBuf,
    is_kept: bool,
}

impl Site {
    /// Files that `gatepost learn` and `gatepost run` need. `url` takes the notices.
    pub fn make(url: &str, is_kept: bool) -> Result<Self, String> {
        // For this user alone, by a name nobody could foresee (mkdtemp(3)).
        let folder = mkdtemp(&std::env::temp_dir().join("gatepost-demo-XXXXXX"))
            .map_err(|fault| format!("{}: {fault}", std::env::temp_dir().display()))?;
        let site = Self { folder, is_kept };
        site.write("gatepost.toml", &rules(url))?;
        site.write("quickstart-people.toml", PEOPLE)?;
        site.write("webhook.secret", SECRET)?;
        site.write("past.ndjson", &past(clock::now().unix_ms()))?;
        Ok(site)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Removes it, unless it is kept: then it is named.
    pub fn end(mut self) -> Result<Option<PathBuf>, String> {
        let folder = self.folder.clone();
        if self.is_kept {
            return Ok(Some(folder));
        }
        self.is_kept = true;
        let removed = fs::remove_dir_all(&folder);
        removed.map(|()| None).map_err(|fault| format!("{}: {fault}", folder.display()))
    }

    /// As a command takes it.
    pub fn policy_socket(&self) -> String {
        format!("unix:{}", self.path("policy.sock").display())
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.path(name);
        fs::write(&path, text).map_err(|fault| format!("{}: {fault}", path.display()))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(fault) = fs::remove_dir_all(&self.folder)
        {
            eprintln!("gatepost demo: {}: {fault}", self.folder.display());
        }
    }
}

fn rules(url: &str) -> String {
    format!(
        "{}
[http]
listen = \"off\"

[detector]
mode = \"enforce\"
hold = \"enforce\"

[store]
type = \"embedded\"
path = \"store.redb\"
hash-key-file = \"hash.key\"
learnt-file = \"learnt\"

[[action]]
name = \"notice\"
type = \"webhook\"
url = \"{url}\"
secret-file = \"webhook.secret\"
",
        RULES.replace(LISTENS, LISTENS_HERE)
    )
}

/// What alice wrote lately, as `gatepost learn --envelopes` reads it: a handful a working day, to people she knows.
fn past(now_ms: i64) -> String {
    let contacts = [
        "bob@example.org",
        "carol@example.org",
        "ann@far.test",
        "ben@far.test",
        "cleo@uni.test",
        "dan@press.test",
        "eva@uni.test",
    ];
    let days = (1..=PAST_DAYS).rev().filter(|day| day % 7 > 1);
    let messages = days.flat_map(|day| (0..MESSAGES_A_DAY).map(move |hour| (day, hour)));
    messages
        .zip(contacts.iter().cycle())
        .map(|((day, hour), recipient)| {
            let at = now_ms - day * DAY_MS + hour * DAY_MS / 24;
            format!(
                "{{\"at\":{at},\"login\":\"alice\",\"client\":\"192.0.2.10\",\"sender\":\"alice@example.org\",\
                 \"recipients\":[\"{recipient}\"],\"message\":\"{at}\"}}\n"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_start_listens_where_the_demo_thinks() {
        assert_eq!(RULES.matches(LISTENS).count(), 1);
    }

    #[test]
    fn past_mail_is_past_and_in_order() {
        let at = |line: &str| line[6..19].parse::<i64>().expect("milliseconds");
        let now = 1_790_000_000_000;
        let text = past(now);
        let all: Vec<i64> = text.lines().map(at).collect();
        assert_eq!(all.len(), 145);
        assert!(all.is_sorted() && all.iter().all(|at| *at < now));
    }
}
