//! `gatepost learn`, and a daemon that knows what was learnt.

mod common;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use common::Folder;

const CONFIG: &str = "[[listen]]\nprotocol = 'policy'\nsocket = 'unix:policy.sock'\nfacing = 'submission'\n\
    [control]\nsocket = 'control.sock'\n[http]\nlisten = 'off'\n[store]\nhash-key-file = 'hash.key'\n";

fn gatepost(folder: &Folder, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_gatepost");
    Command::new(program).args(arguments).current_dir(folder.path()).output().expect("started")
}

/// Alice writes to three people, and dora writes to her.
fn past() -> String {
    let mut lines = String::new();
    for (place, to) in ["bob", "carol", "erin"].iter().enumerate() {
        let at = 1_700_000_000_000_i64 + place as i64 * 3_600_000;
        writeln!(
            lines,
            r#"{{"at": {at}, "login": "alice", "sender": "alice@x.test", "recipients": ["{to}@far.test"], "message": "m{place}"}}"#
        )
        .expect("text");
    }
    lines
}

fn learn(folder: &Folder) -> Output {
    let arguments =
        ["learn", "-c", "gatepost.toml", "--envelopes", "past.ndjson", "--out", "learnt"];
    gatepost(folder, &arguments)
}

fn site() -> Folder {
    let folder = Folder::new();
    folder.write("gatepost.toml", CONFIG);
    folder.write("past.ndjson", &past());
    folder
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("read")
}

#[test]
fn what_was_learnt_is_no_novelty() {
    use gatepost::ledger::HashKey;
    use gatepost::mail::{Address, Timestamp};
    use gatepost::record::from_file;

    let folder = site();
    let done = learn(&folder);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(text(&done.stdout).starts_with("learnt: 1 accounts of 3 messages, hash key "));
    let key = u128::from_str_radix(text(&read(&folder.path().join("hash.key"))).trim(), 16);
    let key = HashKey::new(key.expect("hexadecimal").to_be_bytes());
    let records = from_file(&read(&folder.path().join("learnt")), key.id()).expect("records");
    let (account, record) = &records[0];
    assert_eq!(account.as_str(), "login:alice");
    let at = Timestamp::from_unix_ms(1_700_000_000_000);
    let knows = |name: &str| {
        let peer = key.address(&Address::from_internal(name.as_bytes()));
        record.usage.contacts().find(peer, at).written_to.is_some()
    };
    assert!(knows("bob@far.test") && knows("erin@far.test") && !knows("frank@far.test"));
}

#[test]
fn the_same_past_gives_the_same_records() {
    let folder = site();
    assert!(learn(&folder).status.success());
    let first = read(&folder.path().join("learnt"));
    assert!(learn(&folder).status.success());
    assert_eq!(read(&folder.path().join("learnt")), first);
}

#[test]
fn without_a_hash_key_nothing_is_learnt() {
    let folder = site();
    folder.write("gatepost.toml", &CONFIG.replace("hash-key-file = 'hash.key'", ""));
    let done = learn(&folder);
    assert_eq!(done.status.code(), Some(1));
    assert!(
        text(&done.stderr).contains("store.hash-key-file is missing"),
        "{}",
        text(&done.stderr)
    );
}

/// A daemon that starts in spite of the fault would run on.
fn fault_at_start(folder: &Folder) -> String {
    let done = gatepost(folder, &["run", "-c", "gatepost.toml"]);
    assert!(!done.status.success());
    text(&done.stderr)
}

#[test]
fn a_daemon_refuses_what_it_cannot_take_in() {
    let folder = site();
    assert!(learn(&folder).status.success());
    folder.write("gatepost.toml", &format!("{CONFIG}learnt-file = 'learnt'\n"));
    let good = read(&folder.path().join("learnt"));
    let write =
        |bytes: &[u8]| std::fs::write(folder.path().join("learnt"), bytes).expect("written");
    write(&good[..good.len() - 1]);
    assert!(fault_at_start(&folder).contains("learnt: it is cut short or damaged"));
    write(b"From alice");
    assert!(fault_at_start(&folder).contains("learnt: no file of records"));
    write(&good);
    folder.write("hash.key", &format!("{:032x}\n", 7));
    assert!(fault_at_start(&folder).contains("learnt: its addresses were hashed with another key"));
    std::fs::remove_file(folder.path().join("learnt")).expect("removed");
    assert!(fault_at_start(&folder).contains("learnt: No such file"));
}
