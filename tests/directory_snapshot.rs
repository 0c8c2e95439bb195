//! The snapshot of a directory as a file: who may read and write it, what stands there after a
//! failure, and which entries come back.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::Folder;
use gatepost::directory::cache::Remembered;
use gatepost::directory::cache::snapshot::{self, Snapshot, SnapshotFault};
use gatepost::mail::Timestamp;

type Numbers = Snapshot<(), u32, u32>;

const DAY: Duration = Duration::from_secs(86_400);
const DIRECTORY: &str = "ldaps://dc1.example.org dc=example,dc=org";

fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(1_790_000_000_000 + ms)
}

fn entry(key: &str, ms: i64, value: u32) -> Remembered<u32> {
    Remembered { key: key.into(), fetched: at(ms), value: Arc::new(value) }
}

fn numbers(accounts: Vec<Remembered<u32>>) -> Numbers {
    Snapshot { written: at(0), groups: (), accounts, recipients: vec![entry("sales@x", 0, 9)] }
}

fn read(path: &Path, ms: i64) -> Result<Option<Numbers>, SnapshotFault> {
    snapshot::read(path, DIRECTORY, DAY, at(ms))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o7777
}

#[test]
fn no_file_is_no_fault() {
    let folder = Folder::new();
    assert_eq!(read(&folder.path().join("snapshot"), 0).expect("no fault"), None);
}

#[test]
fn what_is_written_is_read_and_nobody_else_may_read_it() {
    let folder = Folder::new();
    let path = folder.path().join("snapshot");
    for value in [1, 2] {
        let written = numbers(vec![entry("alice", 0, value)]);
        snapshot::write(&path, DIRECTORY, &written).expect("written");
        assert_eq!(read(&path, 0).expect("no fault"), Some(written));
        assert_eq!(mode(&path), 0o600);
    }
    let files: Vec<_> = fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(files.len(), 1, "nothing is left beside it");
}

#[test]
fn an_old_file_that_others_could_read_is_replaced_by_one_they_cannot() {
    let folder = Folder::new();
    for name in ["snapshot", "snapshot.new"] {
        let path = folder.write(name, "old");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("a mode");
    }
    let path = folder.path().join("snapshot");
    snapshot::write(&path, DIRECTORY, &numbers(vec![])).expect("written");
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn a_link_in_the_place_of_the_new_file_is_not_followed() {
    let folder = Folder::new();
    let other = folder.write("other", "untouched");
    symlink(&other, folder.path().join("snapshot.new")).expect("a link");
    let path = folder.path().join("snapshot");
    snapshot::write(&path, DIRECTORY, &numbers(vec![])).expect("written");
    assert_eq!(fs::read_to_string(other).expect("a file"), "untouched");
    assert!(fs::symlink_metadata(path).expect("a file").is_file());
}

#[test]
fn a_new_file_that_was_half_written_is_in_nobodys_way() {
    let folder = Folder::new();
    let path = folder.path().join("snapshot");
    let old = numbers(vec![entry("alice", 0, 1)]);
    snapshot::write(&path, DIRECTORY, &old).expect("written");
    let whole = fs::read(&path).expect("a file");
    for end in [0, 1, whole.len() / 2, whole.len() - 1, whole.len()] {
        fs::write(folder.path().join("snapshot.new"), &whole[..end]).expect("half of one");
        assert_eq!(read(&path, 0).expect("no fault"), Some(numbers(vec![entry("alice", 0, 1)])));
    }
    let new = numbers(vec![entry("alice", 0, 2)]);
    snapshot::write(&path, DIRECTORY, &new).expect("written");
    assert_eq!(read(&path, 0).expect("no fault"), Some(new));
    assert!(!folder.path().join("snapshot.new").exists());
}

#[test]
fn a_failure_leaves_the_old_file_and_nothing_beside_it() {
    let folder = Folder::new();
    let path = folder.path().join("snapshot");
    let old = numbers(vec![entry("alice", 0, 1)]);
    snapshot::write(&path, DIRECTORY, &old).expect("written");
    // JSON has no keys but strings.
    let groups = BTreeMap::from([((1, 2), 3)]);
    let broken: Snapshot<_, u32, u32> =
        Snapshot { written: at(0), groups, accounts: vec![], recipients: vec![] };
    let fault = snapshot::write(&path, DIRECTORY, &broken).expect_err("a fault");
    let told = format!("{}: a value of the snapshot cannot be written", path.display());
    assert_eq!(fault.to_string(), told);
    assert_eq!(read(&path, 0).expect("no fault"), Some(old));
    assert!(!folder.path().join("snapshot.new").exists());
}

#[test]
fn a_folder_that_is_not_there_is_told() {
    let folder = Folder::new();
    let path = folder.path().join("gone/snapshot");
    let fault = snapshot::write(&path, DIRECTORY, &numbers(vec![])).expect_err("a fault");
    assert_eq!(fault.to_string(), format!("{}: cannot create the snapshot", path.display()));
    let source = std::error::Error::source(&fault).expect("a cause");
    assert_eq!(source.to_string(), "No such file or directory (os error 2)");
}

#[test]
fn a_file_that_others_may_write_is_not_believed() {
    let folder = Folder::new();
    let path = folder.path().join("snapshot");
    snapshot::write(&path, DIRECTORY, &numbers(vec![])).expect("written");
    for (mode, is_believed) in [(0o640, true), (0o644, true), (0o620, false), (0o602, false)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        match read(&path, 0) {
            Ok(_) => assert!(is_believed, "{mode:o}"),
            Err(fault) => {
                assert!(!is_believed, "{mode:o}");
                let told = "the snapshot has mode";
                let path = path.display();
                assert_eq!(
                    fault.to_string(),
                    format!("{path}: {told} {mode:04o}: only its owner may write it (0600)")
                );
            }
        }
    }
}

#[test]
fn a_folder_or_a_pipe_in_its_place_is_told() {
    let folder = Folder::new();
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).expect("a pipe");
    for path in [folder.path(), &pipe] {
        let fault = read(path, 0).expect_err("a fault").to_string();
        assert_eq!(fault, format!("{}: the snapshot is no regular file", path.display()));
    }
}

#[test]
fn entries_too_old_or_from_the_future_do_not_come_back() {
    let folder = Folder::new();
    let path = folder.path().join("snapshot");
    let day = 86_400_000;
    let (old, edge, young) = (entry("old", -1, 1), entry("edge", 0, 2), entry("young", 1, 3));
    let (soon, latest) = (entry("soon", day + 59_999, 4), entry("latest", day + 60_000, 5));
    let future = entry("future", day + 60_001, 6);
    let written = numbers([&old, &edge, &young, &soon, &latest, &future].map(Clone::clone).into());
    snapshot::write(&path, DIRECTORY, &written).expect("written");
    let back = read(&path, day).expect("no fault").expect("a file");
    assert_eq!(back.accounts, [edge, young, soon, latest]);
    assert_eq!(back.recipients, written.recipients);
    assert_eq!(read(&path, day + 1).expect("no fault").expect("a file").recipients, []);
}
