//! A configuration and the directory file beside it: whatever stands in them, each fault has a place
//! in the text, and what is accepted holds together.

use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use gatepost::config::{self, Config};
use gatepost::directory::{Answer, Author, Directory, FileDirectory};
use gatepost::mail::{Address, Login};
use gatepost::rights::{Groups, Lookup, Membership};
use gatepost::settings::{Fault, Setting};
use toml::de::{DeTable, DeValue};

/// Between the configuration and the directory file, which lies beside it under this name.
const MARK: &[u8] = b"\n### people.toml\n";

const HOST: &str = "mx1.example.org";

/// Checks one input: a configuration, then, where [`MARK`] stands, the directory file.
pub fn check(input: &[u8]) {
    let at = input.windows(MARK.len()).position(|bytes| bytes == MARK);
    let (configuration, people) = match at {
        Some(at) => (&input[..at], Some(&input[at + MARK.len()..])),
        None => (input, None),
    };
    let folder = folder();
    let people_file = folder.join("people.toml");
    if let Some(people) = people {
        std::fs::create_dir_all(folder).expect("a temporary folder");
        std::fs::write(&people_file, people).expect("a file in it");
    }
    let groups = std::str::from_utf8(configuration)
        .ok()
        .and_then(|text| check_configuration(text, folder, people.unwrap_or_default()));
    if let Some(people) = people {
        check_directory(&people_file, people, &groups.unwrap_or_default());
        std::fs::remove_dir_all(folder).expect("the folder just made");
    }
}

/// One for each process. It is there only while it holds a directory file.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER
        .get_or_init(|| std::env::temp_dir().join(format!("gatepost-fuzz-{}", std::process::id())))
}

/// The groups that an accepted configuration names.
fn check_configuration(text: &str, folder: &Path, people: &[u8]) -> Option<Groups> {
    if !stays_in_the_folder(text) {
        return None;
    }
    let people_file = folder.join("people.toml").display().to_string();
    let people = std::str::from_utf8(people).unwrap_or_default();
    let texts = [("gatepost.toml", text), (&people_file, people)];
    match config::parse("gatepost.toml", text, folder, HOST) {
        Ok(config) => {
            check_places(&config.warnings, &texts);
            check_settings(&config, text, folder);
            Some(config.rules.groups)
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a fault");
            assert!(faults.is_sorted(), "not in the order of the file: {faults:?}");
            let elsewhere = |fault: &&Fault| !texts.iter().any(|(file, _)| *file == fault.file);
            for fault in faults.iter().filter(elsewhere) {
                assert_eq!((fault.line, fault.column), (0, 0), "{fault}");
            }
            let (here, _): (Vec<Fault>, _) =
                faults.into_iter().partition(|fault| !elsewhere(&fault));
            check_places(&here, &texts);
            None
        }
    }
}

/// Whether the directory file it names, if any, is none of the machine's own: `/dev/zero` has no end.
fn stays_in_the_folder(text: &str) -> bool {
    let (root, _) = DeTable::parse_recoverable(text);
    let Some(DeValue::Table(directory)) = value(root.get_ref(), "directory") else { return true };
    let Some(DeValue::Table(file)) = value(directory, "file") else { return true };
    let Some(DeValue::String(path)) = value(file, "path") else { return true };
    Path::new(&**path).components().all(|part| matches!(part, Component::Normal(_)))
}

fn value<'a, 't>(table: &'a DeTable<'t>, key: &str) -> Option<&'a DeValue<'t>> {
    let (_, value) = table.iter().find(|(name, _)| name.get_ref() == key)?;
    Some(value.get_ref())
}

/// Every fault stands in one of the texts, or concerns a file as a whole.
fn check_places(faults: &[Fault], texts: &[(&str, &str)]) {
    for fault in faults {
        assert!(!fault.to_string().is_empty());
        let text = texts.iter().find(|(file, _)| *file == fault.file);
        let (_, text) = text.unwrap_or_else(|| panic!("{fault}: in a file nobody read"));
        if fault.line == 0 {
            assert_eq!(fault.column, 0, "{fault}");
            continue;
        }
        let line = text.split('\n').nth(fault.line - 1);
        let line = line.unwrap_or_else(|| panic!("{fault}: there is no such line"));
        let columns = 1..=line.chars().count() + 1;
        assert!(columns.contains(&fault.column), "{fault}: the line has columns {columns:?}");
    }
}

/// The settings name lines of the text, are the same when it is read again, need no restart against
/// themselves, and are printed as TOML.
fn check_settings(config: &Config, text: &str, folder: &Path) {
    let lines = 1..=text.split('\n').count();
    for setting in &config.settings {
        assert!(setting.line.is_none_or(|line| lines.contains(&line)), "{setting:?}");
    }
    let Ok(again) = config::parse("gatepost.toml", text, folder, HOST) else {
        panic!("accepted, then refused");
    };
    let (settings, again): (&[Setting], _) = (&config.settings, &again.settings);
    assert_eq!(settings, again);
    assert_eq!(config::restart_needed(settings, again), Vec::<String>::new());
    let printed = config::print(config, "gatepost.toml");
    if let Err(fault) = DeTable::parse(&printed) {
        panic!("printed as something else than TOML: {fault}\n{printed}");
    }
}

/// The directory file by itself; who is in a group of the configuration got there by some path.
fn check_directory(path: &Path, text: &[u8], groups: &Groups) {
    let file = path.display().to_string();
    let directory = match FileDirectory::open(path) {
        Ok(directory) => directory,
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a fault");
            assert!(faults.is_sorted(), "not in the order of the file: {faults:?}");
            let text = std::str::from_utf8(text).unwrap_or_default();
            check_places(&faults, &[(&file, text)]);
            return;
        }
    };
    assert_eq!(directory.refresh(&Groups::default(), false), Ok(false));
    for name in ["alice", "bob@example.org", "EXAMPLE\\carol"] {
        let login = Login::parse(name.as_bytes()).expect("a name");
        let Lookup::Found(holder) = now(directory.lookup(&login, groups)) else { continue };
        let account = &holder.account;
        for (index, group) in groups.names().enumerate() {
            let path = now(directory.path(&account.key, group));
            let is_member = holder.memberships.of(index) == Membership::Yes;
            assert_eq!(is_member, !path.is_empty(), "{name} in {group}: {path:?}");
            assert!(!is_member || directory.has_group(group), "{group}");
        }
        for address in &account.addresses {
            let address = Address::from_internal(address);
            now(directory.recipient(&address, Author::Account(&account.key)));
            now(directory.recipient(&address, Author::Nobody));
        }
    }
}

/// A file answers at once.
fn now<T>(answer: Answer<'_, T>) -> T {
    match answer {
        Answer::Now(value) => value,
        Answer::Later(_) => panic!("a file makes nobody wait"),
    }
}
