//! `[directory]`, `[directory.file]` and `[directory.cache]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::DirectorySource;
use crate::config::ldap::read_ldap;
use crate::decision::OnFailure;
use crate::directory::cache;
use crate::settings::{Item, Reader, Table, duration, duration_text};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Ldap,
}

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
    let file = read_file(reader, &mut table, kind, folder);
    let ldap = read_ldap(reader, &mut table, kind, folder);
    let (cache, on_failure) = read_cache(reader, &mut table, kind, folder);
    table.finish(reader);
    let source = match kind {
        Some(Kind::File) => file.map(DirectorySource::File),
        Some(Kind::Ldap) => ldap.map(|ldap| DirectorySource::Ldap { ldap: Box::new(ldap), cache }),
        None => None,
    };
    (source, on_failure)
}

/// A table of the other type is read, for its faults, and told of.
pub(super) fn warn_of_other(reader: &mut Reader, table: &Table, chosen: &str) {
    let what = format!("not used: directory.type is \"{chosen}\"");
    reader.warn(table.at(), table.path(), what);
}

fn read_file(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    kind: Option<Kind>,
    folder: &Path,
) -> Option<PathBuf> {
    let mut file = table.table(reader, "file");
    let mut path = None;
    if kind == Some(Kind::File) || file.is_present() {
        let item = file.required(reader, "path", "the path of a directory file");
        if kind == Some(Kind::File) {
            path = item.and_then(|item| existing(reader, &item, folder));
        } else if kind == Some(Kind::Ldap) {
            warn_of_other(reader, &file, "ldap");
        }
    }
    file.finish(reader);
    path
}

fn read_cache(
    reader: &mut Reader,
    table: &mut Table<'_, '_>,
    kind: Option<Kind>,
    folder: &Path,
) -> (cache::Settings, OnFailure) {
    let mut cache = table.table(reader, "cache");
    let within = |least: Duration, most: Duration, allowed: &'static str| {
        move |text: &str| {
            let allows = |found: &Duration| (least..=most).contains(found);
            duration(text).ok().filter(allows).ok_or_else(|| format!("expected {allowed}"))
        }
    };
    let second = Duration::from_secs(1);
    let fresh = cache.parsed(reader, "fresh", "5m", within(second, DAY, "1s to 1d"));
    let serve_stale = cache.parsed(
        reader,
        "serve-stale",
        "7d",
        within(second, DAY * 365, "1s to 365d, and not less than fresh"),
    );
    if serve_stale < fresh {
        let (found, least) = (duration_text(serve_stale), duration_text(fresh));
        let what = format!(
            "expected at least fresh, {least}, found {found}: an answer would be forgotten before it is old"
        );
        reader.fault(cache.place("serve-stale"), &cache.key("serve-stale"), what);
    }
    let hour = Duration::from_secs(3600);
    let negative = cache.parsed(reader, "negative", "1m", within(second, hour, "1s to 1h"));
    let accounts = cache.number(reader, "accounts", 100_000, 1..=100_000_000);
    let recipients = cache.number(reader, "recipients", 100_000, 1..=100_000_000);
    let snapshot = cache.parsed(
        reader,
        "snapshot",
        "/var/lib/gatepost/directory.snapshot",
        |text| match text {
            "off" => Ok(None),
            "" => Err("expected a path, or \"off\"".into()),
            _ => Ok(Some(folder.join(text))),
        },
    );
    let watch = cache.parsed(reader, "watch", "off", |text| match text {
        "off" => Ok(None),
        _ => match duration(text) {
            Ok(every) if every >= second => Ok(Some(every)),
            _ => Err("expected \"off\", or a duration of at least 1s such as \"5s\"".into()),
        },
    });
    let on_failure = cache.choice(
        reader,
        "on-failure",
        "defer",
        &[("defer", OnFailure::Defer), ("pass", OnFailure::Pass)],
    );
    if on_failure == OnFailure::Pass {
        reader.warn(
            cache.place("on-failure"),
            &cache.key("on-failure"),
            "\"pass\": while the directory is silent, whoever it never told us of may send as if every allow were given; what a deny may settle is still deferred",
        );
    }
    if kind == Some(Kind::File) {
        let of_ldap =
            ["fresh", "serve-stale", "negative", "accounts", "recipients", "snapshot", "watch"];
        for key in of_ldap.into_iter().filter(|key| !cache.is_absent(key)) {
            let what = "not used: a directory file is read whole, and nothing of it is cached";
            reader.warn(cache.place(key), &cache.key(key), what);
        }
    }
    cache.finish(reader);
    let settings =
        cache::Settings { fresh, serve_stale, negative, accounts, recipients, snapshot, watch };
    (settings, on_failure)
}

/// The file, where it is there.
pub(super) fn existing(reader: &mut Reader, item: &Item<String>, folder: &Path) -> Option<PathBuf> {
    let path = folder.join(&item.value);
    match std::fs::metadata(&path) {
        Ok(_) => Some(path),
        Err(fault) => {
            reader.fault(item.at, &item.key, format!("{}: {fault}", path.display()));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn read(cache: &str) -> cache::Settings {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad-configs/ldap");
        let text = format!(
            "[directory]\ntype = \"ldap\"\n[directory.ldap]\nservers = [\"ldaps://dc1\"]\n\
             schema = \"freeipa\"\nbase = \"dc=x\"\n[directory.ldap.bind]\nmethod = \"anonymous\"\n\
             [directory.cache]\n{cache}"
        );
        let config = parse("gatepost.toml", &text, &folder, "mx1");
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
                    accounts = 100_000_000\nrecipients = 100_000_000\nwatch = \"365d\"\n";
        let read = read(keys);
        assert_eq!((read.fresh, read.serve_stale), (DAY, DAY * 365));
        assert_eq!((read.negative, read.watch), (DAY / 24, Some(DAY * 365)));
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
