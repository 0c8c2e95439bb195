//! `config/gatepost.toml` has every key, each with its default. A line that begins with `#` and no
//! blank is a setting that is not in force; a comment begins with `# `.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gatepost::config::{Config, DirectorySource, parse};
use gatepost::settings::{Fault, Setting};

const FILE: &str = "config/gatepost.toml";

/// The host name of which the file's `name` and `mta` are made.
const HOST: &str = "mx1.example.org";

/// A key that no table knows, to be told those that it does know.
const NO_KEY: &str = "no-such-key";

const BY_LDAP: &str = "\ntype = \"ldap\"\n";

#[test]
fn the_annotated_default_has_no_fault() {
    read(&plain());
}

#[test]
fn it_has_no_fault_either_with_every_setting_in_force() {
    read(&in_force(&plain()));
}

#[test]
fn a_directory_by_ldap_has_no_fault_either() {
    let text = by_ldap(&in_force(&plain()));
    read_by_ldap(&without_keys(&text, &["discover", "name-servers"]));
    let discovered = text.replace("starttls = false", "starttls = true");
    read_by_ldap(&without_keys(&discovered, &["servers"]));
}

#[test]
fn every_hash_without_a_blank_is_a_setting_or_a_header() {
    let text = plain();
    let odd = text.lines().enumerate().filter(|(_, line)| {
        let bare = line.strip_prefix('#').is_some_and(|rest| !rest.is_empty());
        bare && !line.starts_with("# ") && !is_setting(&line[1..]) && !is_header(&line[1..])
    });
    assert_eq!(odd.collect::<Vec<_>>(), []);
}

#[test]
fn every_default_is_written_with_its_value() {
    let written = lines_by_header(&in_force(&plain()));
    let settings = [read(&plain()), read_by_ldap(&least_by_ldap())].map(|config| config.settings);
    let of_ldap =
        settings[1].iter().filter(|setting| setting.header.starts_with("[directory.ldap"));
    assert!(of_ldap.count() > 30, "the defaults of a directory by LDAP are asked for");
    let defaults = settings.into_iter().flatten().filter(|setting| setting.line.is_none());
    let missing: Vec<String> = defaults
        .filter(|default| {
            let line = assignment(default);
            !written.get(&default.header).is_some_and(|lines| lines.contains(&line))
        })
        .map(|default| format!("{} {}", default.header, assignment(&default)))
        .collect();
    assert!(missing.is_empty(), "{FILE} lacks these defaults: {missing:#?}");
}

#[test]
fn every_value_that_has_a_default_is_that_default() {
    let mut wrong = Vec::new();
    for text in directories() {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| is_setting(line)) {
            let header = header_above(&text, number);
            let key = line.split_once(" = ").map_or(line, |(key, _)| key);
            // A key that must be given has no default.
            let Ok(config) = try_read(&without(&text, number)) else { continue };
            let is_this = |setting: &&Setting| setting.header == header && setting.key == key;
            let mut settings = config.settings.iter().filter(is_this);
            let default = settings.find(|setting| setting.line.is_none());
            if let Some(default) = default
                && assignment(default) != line
            {
                wrong.push(format!("{header} {line}: the default is {}", default.value));
            }
        }
    }
    assert!(wrong.is_empty(), "{FILE}: {wrong:#?}");
}

#[test]
fn every_key_the_reader_knows_is_written() {
    let text = in_force(&plain());
    let written = lines_by_header(&text);
    let keys_of = |table: &str| -> Vec<String> {
        let lines = [format!("[{table}]"), format!("[[{table}]]")];
        let lines = lines.iter().filter_map(|header| written.get(header)).flatten();
        lines.filter_map(|line| line.split_once(" = ")).map(|(key, _)| key.into()).collect()
    };
    let paths: Vec<&str> = written.keys().map(|header| path_of(header)).collect();
    let faults = directories().map(|text| match try_read(&with_unknown_keys(&text)) {
        Ok(_) => panic!("unknown keys are no faults"),
        Err(faults) => faults,
    });
    let faults = faults.concat();
    let mut missing = Vec::new();
    for fault in &faults {
        let table = table_of(fault);
        for key in allowed(fault) {
            let path = if table.is_empty() { key.into() } else { format!("{table}.{key}") };
            let is_table =
                paths.iter().any(|known| *known == path || known.starts_with(&format!("{path}.")));
            if !is_table && !keys_of(&table).iter().any(|known| known == key) {
                missing.push(path);
            }
        }
    }
    assert!(missing.is_empty(), "{FILE} lacks: {missing:?}");
    let asked: BTreeSet<String> = faults.iter().map(table_of).collect();
    for path in paths {
        assert!(asked.contains(path), "[{path}] was not asked for its keys");
    }
}

fn plain() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    std::fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}

fn read(text: &str) -> Config {
    try_read(text).unwrap_or_else(|faults| {
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        panic!("{}", told.join("\n"))
    })
}

fn read_by_ldap(text: &str) -> Config {
    let config = read(text);
    assert!(matches!(config.startup.directory, Some(DirectorySource::Ldap { .. })));
    config
}

/// Where the files are that a directory of this type names.
fn try_read(text: &str) -> Result<Config, Vec<Fault>> {
    let folder = if text.contains(BY_LDAP) { "ldap" } else { "people" };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad-configs").join(folder);
    parse(FILE, text, &folder, HOST)
}

/// All in force, with a directory in a file and with one by LDAP: the table of the other is not read.
fn directories() -> [String; 2] {
    let text = in_force(&plain());
    let by_ldap = without_keys(&by_ldap(&text), &["discover"]);
    [text, by_ldap]
}

/// The text with every setting and table in force that is written behind a `#`.
fn in_force(text: &str) -> String {
    let bare = |line: &str| match line.strip_prefix('#') {
        Some(rest) if is_setting(rest) || is_header(rest) => rest.to_string(),
        _ => line.to_string(),
    };
    text.lines().map(|line| bare(line) + "\n").collect()
}

/// `key = value`
fn is_setting(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(key, _)| {
        !key.is_empty()
            && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    })
}

/// `[table]` or `[[table]]`
fn is_header(line: &str) -> bool {
    line.starts_with('[') && line.ends_with(']')
}

fn path_of(header: &str) -> &str {
    header.trim_matches(['[', ']'])
}

fn assignment(setting: &Setting) -> String {
    format!("{} = {}", setting.key, setting.value)
}

/// The settings below each header; those of all tables of one array together.
fn lines_by_header(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut header = String::new();
    for line in text.lines() {
        if is_header(line) {
            header = line.into();
            found.entry(header.clone()).or_default();
        } else if is_setting(line) {
            found.entry(header.clone()).or_default().push(line.into());
        }
    }
    found
}

fn header_above(text: &str, number: usize) -> String {
    let above = text.lines().take(number).filter(|line| is_header(line));
    above.last().unwrap_or_default().into()
}

fn without(text: &str, number: usize) -> String {
    let kept = text.lines().enumerate().filter(|(index, _)| *index != number);
    kept.map(|(_, line)| format!("{line}\n")).collect()
}

/// The directory by LDAP in place of the one in a file.
fn by_ldap(text: &str) -> String {
    let file = "\ntype = \"file\"\n";
    assert_eq!(text.matches(file).count(), 1, "one directory is a file");
    text.replace(file, BY_LDAP)
}

/// The file as it stands, with what a directory by LDAP cannot do without.
fn least_by_ldap() -> String {
    const NEEDED: [&str; 6] = ["type", "servers", "schema", "base", "dn", "password-file"];
    let text = by_ldap(&in_force(&plain()));
    let mut least = plain();
    for (header, lines) in lines_by_header(&text) {
        let is_needed =
            |line: &&String| line.split_once(" = ").is_some_and(|(key, _)| NEEDED.contains(&key));
        if header.starts_with("[directory.ldap") || header == "[directory]" {
            least.push_str(&format!("{header}\n"));
            lines.iter().filter(is_needed).for_each(|line| least.push_str(&format!("{line}\n")));
        }
    }
    least
}

/// The text without these keys, whatever their table.
fn without_keys(text: &str, keys: &[&str]) -> String {
    let is_kept = |line: &&str| !line.split_once(" = ").is_some_and(|(key, _)| keys.contains(&key));
    text.lines().filter(is_kept).map(|line| format!("{line}\n")).collect()
}

/// The text with a key in every table that none of them knows, and with the tables that stand only
/// in the names of those below them.
fn with_unknown_keys(text: &str) -> String {
    let mut asking = format!("{NO_KEY} = 1\n");
    let mut seen: Vec<&str> = Vec::new();
    for line in text.lines() {
        if is_header(line) {
            let path = path_of(line);
            if let Some((parent, _)) = path.rsplit_once('.')
                && !seen.contains(&parent)
            {
                asking.push_str(&format!("[{parent}]\n{NO_KEY} = 1\n"));
                seen.push(parent);
            }
            seen.push(path);
            asking.push_str(&format!("{line}\n{NO_KEY} = 1\n"));
        } else {
            asking.push_str(&format!("{line}\n"));
        }
    }
    asking
}

/// `login.rewrite` of the fault at `login.rewrite[0].no-such-key`
fn table_of(fault: &Fault) -> String {
    let table = fault.key.strip_suffix(NO_KEY).unwrap_or_else(|| panic!("another fault: {fault}"));
    let parts = table.trim_end_matches('.').split('.');
    let names = parts.map(|part| part.split_once('[').map_or(part, |(name, _)| name));
    names.collect::<Vec<_>>().join(".")
}

/// The keys named in `unknown key (allowed: a, b)`
fn allowed(fault: &Fault) -> impl Iterator<Item = &str> {
    let (_, list) = fault.what.split_once("(allowed: ").unwrap_or_else(|| panic!("{fault}"));
    list.trim_end_matches(')').split(", ").filter(|key| !key.is_empty())
}
