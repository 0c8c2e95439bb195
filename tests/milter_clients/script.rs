//! A client's script: it prints "passed" as its last line when it came to its end, and nothing passes
//! without.

use crate::process::{Done, Program};
use crate::site::Site;
use rustix::process::Signal;
use std::io::{PipeWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One at work, which may wait for a word.
pub struct Script {
    program: Program,
    word: PipeWriter,
}

impl Script {
    #[track_caller]
    pub fn start(command: &mut Command) -> Script {
        let (read, word) = std::io::pipe().expect("a pipe can be made");
        let program = Program::start(command.stdin(read).stdout(Stdio::piped()));
        Script { program, word }
    }

    /// Waits until it has printed a line, and gives it the word it waits for.
    #[track_caller]
    pub fn at(&mut self, line: &str, word: impl FnOnce() -> String) {
        self.program.wait_for_print(line);
        writeln!(self.word, "{}", word()).expect("the script waits for a word");
    }

    /// What it printed before it passed.
    #[track_caller]
    pub fn passes(self) -> String {
        let Done { code, printed, complained } = self.end();
        let passed = printed.strip_suffix("passed").filter(|_| code == Some(0));
        passed.unwrap_or_else(|| panic!("ended with {code:?}:\n{printed}\n{complained}")).into()
    }

    #[track_caller]
    pub fn end(self) -> Done {
        self.program.finish()
    }
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/milter_clients")
}

/// Takes the relay right from alice, and leaves her the submit right.
#[track_caller]
pub fn take_from_alice(site: &Site, gatepost: &Program) -> String {
    site.change("people.toml", "members = [\"alice\"]", "members = []");
    site.change("people.toml", "members = [\"bob\",", "members = [\"alice\", \"bob\",");
    gatepost.signal(Signal::HUP);
    gatepost.wait_for_log("directory file reloaded");
    "taken".into()
}

/// The id of the only decision at an end of message.
#[track_caller]
pub fn id_at_end(gatepost: &Program) -> String {
    let line = gatepost.wait_for_log("stage=\"end-of-message\"");
    let id = line.split_once(" id=").and_then(|(_, rest)| rest.split_once(' '));
    id.unwrap_or_else(|| panic!("no id in {line}")).0.into()
}

#[track_caller]
pub fn assert_no_fault(gatepost: &Program) {
    let log = gatepost.log();
    assert!(!log.contains(" WARN ") && !log.contains(" ERROR "), "{log}");
}
