//! ARCHITECTURE.md's table of rooms, held against the code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

struct Room {
    name: String,
    is_pure: bool,
    imports: BTreeSet<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows of the table, top down.
fn rooms() -> Vec<Room> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let table = text.split("| room | storey |").nth(1).expect("the table of rooms");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 5, "a row has five cells: {row}");
        let words =
            |cell: &str| cell.trim_matches('`').split_whitespace().map(Into::into).collect();
        Room {
            name: cells[0].trim_matches('`').into(),
            is_pure: matches!(cells[1], "words" | "pure"),
            imports: if cells[3] == "-" { BTreeSet::new() } else { words(cells[3]) },
        }
    })
    .collect()
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file");
                files.push((path, text));
            }
        }
    }
    files
}

/// The room a file belongs to; `None` for `main.rs` and `lib.rs`.
fn room_of(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root().join("src")).expect("below src");
    let first = inside.components().next()?.as_os_str().to_str()?;
    let room = first.trim_end_matches(".rs");
    (!matches!(room, "main" | "lib")).then(|| room.into())
}

/// Code without comments and, unless asked for, without the tests at the foot.
fn code(text: &str, with_tests: bool) -> String {
    let text = match text.find("#[cfg(test)]\nmod tests") {
        Some(tests) if !with_tests => &text[..tests],
        _ => text,
    };
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    text.lines().filter(is_code).collect::<Vec<_>>().join("\n")
}

/// Every room named by a `crate::room` path.
fn imports(code: &str) -> BTreeSet<String> {
    let paths = code.match_indices("crate::").map(|(at, found)| &code[at + found.len()..]);
    paths
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect()
}

#[test]
fn every_room_has_a_row_and_every_row_a_room() {
    let rows: Vec<String> = rooms().into_iter().map(|room| room.name).collect();
    let built: BTreeSet<String> = sources().iter().filter_map(|(path, _)| room_of(path)).collect();
    assert_eq!(rows.iter().cloned().collect::<BTreeSet<_>>(), built);
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs");
    let listed: Vec<String> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(Into::into)
        .collect();
    assert_eq!(listed, rows, "lib.rs lists the rooms in the order of the table");
}

#[test]
fn rooms_name_only_rooms_above_them() {
    let rows = rooms();
    for (index, room) in rows.iter().enumerate() {
        for import in &room.imports {
            let above = rows[..index].iter().any(|other| other.name == *import);
            assert!(above, "{} names {import}, which is not above it", room.name);
        }
    }
}

#[test]
fn no_arrow_is_drawn_that_the_table_forbids() {
    let rows = rooms();
    for (path, text) in sources() {
        let Some(name) = room_of(&path) else { continue };
        let room = rows.iter().find(|room| room.name == name).expect("a row");
        for import in imports(&code(&text, false)) {
            let allowed = import == name || room.imports.contains(&import);
            assert!(allowed, "{} imports {import}, which its row does not name", path.display());
        }
    }
}

#[test]
fn every_arrow_of_the_table_is_drawn() {
    let files = sources();
    for room in rooms() {
        let of_room = files.iter().filter(|(path, _)| room_of(path).as_ref() == Some(&room.name));
        let drawn: BTreeSet<String> =
            of_room.flat_map(|(_, text)| imports(&code(text, false))).collect();
        for import in &room.imports {
            assert!(drawn.contains(import), "{} may import {import} and does not", room.name);
        }
    }
}

#[test]
fn pure_rooms_have_no_async_clock_file_socket_log_or_metric() {
    let banned = [
        "async ",
        ".await",
        "tokio::",
        "std::fs",
        "std::env",
        "std::process",
        "std::thread",
        "net::Tcp",
        "net::Udp",
        "unix::net",
        "SystemTime",
        "Instant",
        "tracing",
        "prometheus",
        "println!",
        "print!",
        "random",
    ];
    let rows = rooms();
    for (path, text) in sources() {
        let is_pure = |name: String| rows.iter().any(|room| room.name == name && room.is_pure);
        if !room_of(&path).is_some_and(is_pure) {
            continue;
        }
        let code = code(&text, false);
        for word in banned {
            assert!(!code.contains(word), "{} is pure and has `{word}`", path.display());
        }
    }
}

#[test]
fn the_clock_is_read_in_one_file() {
    for (path, text) in sources() {
        if path.ends_with("daemon/clock.rs") {
            continue;
        }
        for word in ["SystemTime::now", "Instant::now", "Timestamp::now", "UNIX_EPOCH", "usec_now"]
        {
            assert!(!code(&text, true).contains(word), "{} reads the clock", path.display());
        }
    }
}

#[test]
fn no_file_has_outgrown_its_subject() {
    for (path, text) in sources() {
        let lines = code(&text, false).lines().count();
        assert!(lines <= 400, "{} has {lines} lines of code; split it by subject", path.display());
    }
}
