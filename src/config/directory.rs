//! `[directory]`, `[directory.file]` and `[directory.cache]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::DirectorySource;
use crate::config::ldap::read_ldap;
use crate::decision::OnFailure;
use crate::directory::cache;
use crate::settings::{Reader, Table, duration, duration_text};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Ldap,
}

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn read_directory(
    reader: &mut Reader,
    root: &mut Table<'_, '_>,
    folder: &Path,
) -> (Option<DirectorySource>, OnFailure) {
    let mut table = root.table(reader, "directory");
    let mut kind = None;
    if table.is_present() {
        kind = table.required_choice(reader, "type", &[("file", Kind::File), ("ldap", Kind::Ldap)]);
    }
    let file = table.table(reader, "file");
    let ldap = table.table(reader, "ldap");
    let (mut path, mut settings) = (None, None);
    match kind {
        Some(Kind::File) => {
            warn_of_unused(reader, &ldap, "file");
            path = read_file(reader, file, folder);
        }
        Some(Kind::Ldap) => {
            warn_of_unused(reader, &file, "ldap");
            settings = read_ldap(reader, ldap, folder);
        }
        None => {}
    }
    let (cache, on_failure) = read_cache(reader, &mut table, kind, folder);
    table.finish(reader);
    let source = match path {
        Some(path) => Some(DirectorySource::File(path)),
        None => settings.map(|ldap| DirectorySource::Ldap { ldap: Box::new(ldap), cache }),
    };
    (source, on_failure)
}

/// What the table of the other type says is not even looked at.
fn warn_of_unused(reader: &mut Reader, table: &Table, chosen: &str) {
    if table.is_present() {
        let what = format!("not read: directory.type is \"{chosen}\"");
        reader.warn(table.at(), table.path(), what);
    }
}

fn read_file(reader: &mut Reader, mut table: Table<'_, '_>, folder: &Path) -> Option<PathBuf> {
    let item = table.required(reader, "path", "the path of a directory file");
    table.finish(reader);
    let item = item?;
    let path = folder.join(&item.value);
    match std::fs::metadata(&path) {
        Ok(_) => Some(path),
        Err(fault) => {
            reader.fault(item.at, &item.key, format!("{}: {fault}", path.display()));
            None
        }
    }
}

fn read_cache(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    kind: Option<Kind>,
    folder: &Path,
) -> (cache::Settings, OnFailure) {
    let mut table = table.table(reader, "cache");
    let settings = cache::Settings {
        fresh: table.parsed(reader, "fresh", "5m", |text| up_to(DAY, text)),
        serve_stale: table.parsed(reader, "serve-stale", "7d", |text| up_to(365 * DAY, text)),
        negative: table.parsed(reader, "negative", "1m", |text| up_to(HOUR, text)),
        accounts: table.number(reader, "accounts", 100_000, 1..=100_000_000),
        recipients: table.number(reader, "recipients", 100_000, 1..=100_000_000),
        snapshot: table.parsed(
            reader,
            "snapshot",
            "/var/lib/gatepost/directory.snapshot",
            |text| match text {
                "off" => Ok(None),
                "" => Err("expected a path, or \"off\"".into()),
                _ => Ok(Some(folder.join(text))),
            },
        ),
        watch: table.parsed(reader, "watch", "off", |text| match text {
            "off" => Ok(None),
            _ => up_to(DAY, text).map(Some).map_err(|what| format!("{what}, or \"off\"")),
        }),
    };
    let on_failure = table.choice(
        reader,
        "on-failure",
        "defer",
        &[("defer", OnFailure::Defer), ("pass", OnFailure::Pass)],
    );
    check_times(reader, &table, &settings);
    if on_failure == OnFailure::Pass {
        reader.warn(
            table.place("on-failure"),
            &table.key("on-failure"),
            "\"pass\": while the directory is silent, whoever it never told us of may send as if every allow were given; what a deny may settle is still deferred",
        );
    }
    if kind == Some(Kind::File) {
        warn_of_unused_keys(reader, &table);
    }
    table.finish(reader);
    (settings, on_failure)
}

/// A duration of at least a second.
fn up_to(most: Duration, text: &str) -> Result<Duration, String> {
    match duration(text)? {
        found if (SECOND..=most).contains(&found) => Ok(found),
        _ => Err(format!("expected 1s to {}", duration_text(most))),
    }
}

fn check_times(reader: &mut Reader, table: &Table, settings: &cache::Settings) {
    let fresh = duration_text(settings.fresh);
    if settings.serve_stale < settings.fresh {
        let found = duration_text(settings.serve_stale);
        let what = format!(
            "expected at least fresh, {fresh}, found {found}: an answer would be forgotten before it is old"
        );
        reader.fault(table.place("serve-stale"), &table.key("serve-stale"), what);
    }
    if settings.watch.is_some_and(|every| every >= settings.fresh) {
        let what = format!(
            "not less than fresh ({fresh}): by then every answer is asked for again anyway"
        );
        reader.warn(table.place("watch"), &table.key("watch"), what);
    }
}

fn warn_of_unused_keys(reader: &mut Reader, table: &Table) {
    for key in ["fresh", "serve-stale", "negative", "accounts", "recipients", "snapshot", "watch"] {
        if !table.is_absent(key) {
            let what = "not used: a directory file is read whole, and nothing of it is cached";
            reader.warn(table.place(key), &table.key(key), what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn read(cache: &str) -> cache::Settings {
        let text = format!(
            "[directory]\ntype = \"ldap\"\n[directory.ldap]\nservers = [\"ldaps://dc1\"]\n\
             schema = \"freeipa\"\nbase = \"dc=x\"\n[directory.ldap.bind]\nmethod = \"anonymous\"\n\
             [directory.cache]\n{cache}"
        );
        let config = parse("gatepost.toml", &text, Path::new(""), "mx1");
        let config = config.unwrap_or_else(|faults| panic!("{faults:?}"));
        match config.startup.directory {
            Some(DirectorySource::Ldap { cache, .. }) => cache,
            _ => panic!("not by LDAP"),
        }
    }

    #[test]
    fn the_lower_edges_of_the_ranges_are_allowed() {
        let second = Duration::from_secs(1);
        let expected = cache::Settings {
            fresh: second,
            serve_stale: second,
            negative: second,
            accounts: 1,
            recipients: 1,
            snapshot: None,
            watch: Some(second),
        };
        let keys = "fresh = \"1s\"\nserve-stale = \"1s\"\nnegative = \"1s\"\naccounts = 1\n\
                    recipients = 1\nsnapshot = \"off\"\nwatch = \"1s\"\n";
        assert_eq!(read(keys), expected);
    }

    #[test]
    fn the_upper_edges_of_the_ranges_are_allowed() {
        let keys = "fresh = \"86400s\"\nserve-stale = \"365d\"\nnegative = \"60m\"\n\
                    accounts = 100_000_000\nrecipients = 100_000_000\nwatch = \"24h\"\n";
        let read = read(keys);
        assert_eq!((read.fresh, read.serve_stale), (DAY, DAY * 365));
        assert_eq!((read.negative, read.watch), (DAY / 24, Some(DAY)));
        assert_eq!((read.accounts, read.recipients), (100_000_000, 100_000_000));
    }

    #[test]
    fn without_a_key_the_cache_has_its_defaults_and_a_snapshot() {
        let read = read("");
        assert_eq!((read.fresh, read.serve_stale), (DAY / 288, DAY * 7));
        assert_eq!((read.negative, read.watch), (DAY / 1440, None));
        assert_eq!((read.accounts, read.recipients), (100_000, 100_000));
        let snapshot = Path::new("/var/lib/gatepost/directory.snapshot");
        assert_eq!(read.snapshot.as_deref(), Some(snapshot));
    }
}
