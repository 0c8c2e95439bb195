//! The files of `deploy/sendmail`: the lab asks by exactly their line, only the socket replaced.

use super::lab::{ENFORCING, OBSERVING};
use crate::snippets::shipped;

#[test]
fn the_lab_asks_as_the_shipped_files_do() {
    for (file, wiring) in [("enforce.mc", ENFORCING), ("observe.mc", OBSERVING)] {
        let text = shipped(&format!("sendmail/{file}"));
        let filter = wiring.filter.expect("the lab asks");
        let line = format!(
            "INPUT_MAIL_FILTER(`gatepost', `S=local:/run/gatepost/milter.sock, {filter}')dnl"
        );
        assert!(text.lines().any(|shipped| shipped == line), "{line} is not in {file}:\n{text}");
    }
}
