//! `gatepost check`

use std::path::Path;

use crate::cli::{Exit, counted, host, say};
use crate::config;

/// Tells all faults and warnings of a file on stderr; with `print` the effective configuration on
/// stdout.
pub(super) fn check(file: &Path, print: bool) -> Exit {
    match config::load(file, &host()) {
        Ok(config) => {
            for warning in &config.warnings {
                eprintln!("warning: {warning}");
            }
            if print {
                say(&config::print(&config, &file.display().to_string()));
            } else {
                let warnings = match config.warnings.len() {
                    0 => String::new(),
                    some => format!(", {}", counted(some, "warning")),
                };
                say(&format!("{}: no faults{warnings}\n", file.display()));
            }
            Exit::Done
        }
        Err(faults) => {
            for fault in &faults {
                eprintln!("{fault}");
            }
            eprintln!("{}: {}", file.display(), counted(faults.len(), "fault"));
            Exit::No
        }
    }
}
