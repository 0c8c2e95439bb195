//! `[store]`: what is remembered of each account, and where.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use crate::config::{Keep, StoreSource};
use crate::decision::OnFailure;
use crate::settings::{Reader, Table, duration};

const DAY: Duration = Duration::from_secs(86_400);

/// The longest that a record is kept untouched, in days.
const KEEP_AT_MOST: u32 = 3_650;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Memory,
    Embedded,
}

pub fn read_store(
    reader: &mut Reader,
    root: &mut Table<'_, '_>,
    folder: &Path,
) -> (StoreSource, OnFailure) {
    let mut table = root.table(reader, "store");
    let kinds = [("memory", Kind::Memory), ("embedded", Kind::Embedded)];
    let kind = table.choice(reader, "type", "memory", &kinds);
    let path = table.parsed(reader, "path", "/var/lib/gatepost/store.redb", |text| match text {
        "" => Err("expected the path of a file".into()),
        _ => Ok(folder.join(text)),
    });
    let accounts = table.number(reader, "accounts", 100_000, 1..=100_000_000);
    let keep_days = table.parsed(reader, "keep", "400d", days);
    let on_failure = table.choice(
        reader,
        "on-failure",
        "pass-rights-only",
        &[("defer", OnFailure::Defer), ("pass-rights-only", OnFailure::Pass)],
    );
    let key = table.text(reader, "hash-key-file").map(|file| folder.join(file.value));
    let learnt = table.text(reader, "learnt-file").map(|file| folder.join(file.value));
    if learnt.is_some() && key.is_none() && kind == Kind::Memory {
        reader.fault(
            table.place("learnt-file"),
            &table.key("learnt-file"),
            "needs hash-key-file: without it each start has a key of its own, and nobody learnt is known",
        );
    }
    let keep = (kind == Kind::Embedded).then_some(Keep { path, days: keep_days });
    if keep.is_none() {
        warn_of_unused_keys(reader, &table);
    }
    table.finish(reader);
    let source = StoreSource {
        accounts: NonZeroUsize::new(accounts).unwrap_or(NonZeroUsize::MIN),
        hash_key_file: key.or_else(|| Some(keep.as_ref()?.path.with_file_name("hash.key"))),
        learnt_file: learnt,
        keep,
    };
    (source, on_failure)
}

/// Whole days.
fn days(text: &str) -> Result<u32, String> {
    let whole = duration(text)?;
    let days = u32::try_from(whole.as_secs() / DAY.as_secs()).unwrap_or(u32::MAX);
    match days {
        1..=KEEP_AT_MOST if DAY * days == whole => Ok(days),
        _ => Err(format!("expected whole days, 1d to {KEEP_AT_MOST}d")),
    }
}

fn warn_of_unused_keys(reader: &mut Reader, table: &Table<'_, '_>) {
    for key in ["path", "keep"] {
        if !table.is_absent(key) {
            reader.warn(
                table.place(key),
                &table.key(key),
                "not used: type = \"memory\" keeps nothing in a file",
            );
        }
    }
}
