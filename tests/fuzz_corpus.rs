//! Replays the corpus of the fuzz targets (see `fuzz/README.md`) through the checks they make.

use std::path::Path;

#[path = "../fuzz/fuzz_targets/check/milter.rs"]
mod milter;
#[path = "../fuzz/fuzz_targets/check/policy_delegation.rs"]
mod policy_delegation;
#[path = "../fuzz/fuzz_targets/check/settings.rs"]
mod settings;

#[test]
fn the_milter_corpus_holds() {
    replay("milter", milter::check);
}

#[test]
fn the_policy_delegation_corpus_holds() {
    replay("policy_delegation", policy_delegation::check);
}

#[test]
fn the_settings_corpus_holds() {
    replay("settings", settings::check);
}

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|fault| panic!("{}: {fault}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        // Shown when a check fails.
        println!("{}", file.display());
        check(&std::fs::read(&file).expect("a file"));
    }
}
