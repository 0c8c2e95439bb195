//! The effective configuration with the origin of every value, and what a reload cannot change.

use std::fmt::Write;

use crate::config::Config;
use crate::settings::Setting;

/// The whole configuration as TOML; each value with the line it comes from, or `default`.
pub fn print(config: &Config, file: &str) -> String {
    let mut text = format!("# effective configuration of {file}\n");
    let mut header = (String::new(), usize::MAX);
    for setting in ordered(&config.settings) {
        let here = (setting.header.clone(), setting.table);
        if here != header {
            header = here;
            if !setting.header.is_empty() {
                let _ = write!(text, "\n{}\n", setting.header);
            }
        }
        let origin = match setting.line {
            Some(line) => format!("line {line}"),
            None => "default".into(),
        };
        let assignment = format!("{} = {}", setting.key, setting.value);
        let _ = writeln!(text, "{assignment:<58} # {origin}");
    }
    text
}

/// Settings with those of one table together, in the order in which the tables were read.
fn ordered(settings: &[Setting]) -> Vec<&Setting> {
    let mut ordered: Vec<&Setting> = settings.iter().collect();
    ordered.sort_by_key(|setting| setting.table);
    ordered
}

/// The tables that are read at start only.
const STARTUP: [&str; 15] = [
    "[server]",
    "[log]",
    "[[listen]]",
    "[[queue]]",
    "[http]",
    "[control]",
    "[directory]",
    "[directory.file]",
    "[directory.ldap]",
    "[directory.ldap.tls]",
    "[directory.ldap.bind]",
    "[directory.ldap.attributes]",
    "[directory.cache]",
    "[store]",
    "[[action]]",
];

/// Keys that differ and need a restart, as `[table] key`.
pub fn restart_needed(running: &[Setting], new: &[Setting]) -> Vec<String> {
    let startup = |settings: &[Setting]| -> Vec<(String, String)> {
        let of_startup = settings.iter().filter(|s| {
            STARTUP.contains(&s.header.as_str())
                // What a missing answer means is a rule, and live.
                && (!["[directory.cache]", "[store]"].contains(&&*s.header) || s.key != "on-failure")
        });
        of_startup.map(|s| (format!("{} {}", s.header, s.key), s.value.clone())).collect()
    };
    let (running, new) = (startup(running), startup(new));
    let mut changed: Vec<String> = Vec::new();
    for (key, _) in running.iter().chain(&new) {
        let values = |settings: &[(String, String)]| -> Vec<String> {
            settings.iter().filter(|(k, _)| k == key).map(|(_, value)| value.clone()).collect()
        };
        if values(&running) != values(&new) && !changed.contains(key) {
            changed.push(key.clone());
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str, key: &str, value: &str) -> Setting {
        let (header, key, value) = (header.into(), key.into(), value.into());
        Setting { header, table: 1, key, value, line: None }
    }

    #[test]
    fn every_key_of_the_directory_needs_a_restart_but_what_a_missing_answer_means() {
        for header in [
            "[directory]",
            "[directory.file]",
            "[directory.ldap]",
            "[directory.ldap.tls]",
            "[directory.ldap.bind]",
            "[directory.ldap.attributes]",
            "[directory.cache]",
        ] {
            let changed = restart_needed(&[of(header, "x", "1")], &[of(header, "x", "2")]);
            assert_eq!(changed, [format!("{header} x")]);
        }
        let on_failure = |value| [of("[directory.cache]", "on-failure", value)];
        assert!(restart_needed(&on_failure("1"), &on_failure("2")).is_empty());
    }
}
