//! Every file in `tests/bad-configs` against what `gatepost check` says of it on stderr, word for
//! word. The expected text is written and read by people; nothing here regenerates it.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// So that an emptied folder does not pass.
const FEWEST_BAD: usize = 90;
const FEWEST_FOOLISH: usize = 25;

#[test]
fn every_bad_configuration_is_told_with_file_line_column_and_key() {
    let folder = folder("tests/bad-configs");
    let mut names = names(&folder);
    assert!(names.len() >= FEWEST_BAD, "only {} in {}", names.len(), folder.display());
    if cfg!(feature = "gssapi") {
        assert!(names.remove("ldap-bind-gssapi"), "a fault of a gatepost without GSSAPI");
    }
    compare_all(&folder, &names, 1);
}

#[test]
fn every_foolish_configuration_passes_and_is_warned_of() {
    let folder = folder("tests/bad-configs/warnings");
    let names = names(&folder);
    assert!(names.len() >= FEWEST_FOOLISH, "only {} in {}", names.len(), folder.display());
    compare_all(&folder, &names, 0);
}

#[test]
fn every_fault_of_a_configuration_says_which_file_it_is_in() {
    let folder = folder("tests/bad-configs");
    for name in names(&folder) {
        let expected = read(&folder.join(format!("{name}.expected")));
        let (faults, sum) = expected.trim_end().rsplit_once('\n').expect("a fault and their sum");
        for line in faults.lines() {
            let file = line.split(':').next().unwrap_or_default();
            assert!(folder.join(file).extension().is_some_and(|e| e == "toml"), "{name}: {line}");
        }
        let count = faults.lines().count();
        let word = if count == 1 { "fault" } else { "faults" };
        assert_eq!(sum, format!("{name}.toml: {count} {word}"));
    }
}

fn folder(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

/// The names of the configurations, each with its `.expected` beside it.
fn names(folder: &Path) -> BTreeSet<String> {
    let (bad, expected) = (stems(folder, "toml"), stems(folder, "expected"));
    let alone: Vec<&String> = bad.symmetric_difference(&expected).collect();
    assert!(
        alone.is_empty(),
        "{}: a .toml without .expected, or the other way round: {alone:?}",
        folder.display()
    );
    bad
}

fn stems(folder: &Path, extension: &str) -> BTreeSet<String> {
    let entries = folder.read_dir().unwrap_or_else(|fault| panic!("{}: {fault}", folder.display()));
    entries
        .map(|entry| entry.expect("a folder entry").path())
        .filter(|path| path.is_file() && path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect()
}

/// Tells of every file that differs, not of the first alone.
fn compare_all(folder: &Path, names: &BTreeSet<String>, exit: i32) {
    set_modes_of_secrets();
    let mut differing = String::new();
    for name in names {
        let expected = read(&folder.join(format!("{name}.expected")));
        let output = check(folder, &format!("{name}.toml"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        if stderr != expected || output.status.code() != Some(exit) {
            differing.push_str(&format!(
                "--- {name}.toml: {}, expected exit {exit} and\n{expected}--- but found\n{stderr}\n",
                output.status
            ));
        }
    }
    assert!(differing.is_empty(), "\n{differing}");
}

/// A version control system keeps no permission bits but those of execution.
fn set_modes_of_secrets() {
    let secrets = [
        ("bind.pw", 0o640),
        ("blank.pw", 0o640),
        ("empty.pw", 0o640),
        ("open.pw", 0o644),
        ("client.key", 0o640),
        ("webhook.secret", 0o640),
    ];
    for (name, mode) in secrets {
        let path = folder("tests/bad-configs/ldap").join(name);
        std::fs::set_permissions(&path, Permissions::from_mode(mode))
            .unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    }
}

/// In the file's own folder, so that its name alone appears.
fn check(folder: &Path, file: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gatepost"))
        .args(["check", file])
        .current_dir(folder)
        .output()
        .expect("gatepost runs")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}
