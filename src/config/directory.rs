//! `[directory]`, `[directory.file]` and `[directory.cache]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::DirectorySource;
use crate::config::ldap::read_ldap;
use crate::decision::OnFailure;
use crate::directory::cache;
use crate::settings::{Item, Reader, Table, duration};

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
        move |text: &str| match duration(text)? {
            found if (least..=most).contains(&found) => Ok(found),
            _ => Err(format!("expected {allowed}")),
        }
    };
    let second = Duration::from_secs(1);
    let fresh = cache.parsed(reader, "fresh", "5m", within(second, DAY, "1s to 1d"));
    let serve_stale =
        cache.parsed(reader, "serve-stale", "7d", within(Duration::ZERO, DAY * 365, "0s to 365d"));
    if serve_stale < fresh {
        let what = "less than fresh: an answer would be forgotten before it is old";
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
