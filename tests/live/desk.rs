//! The help desk: commands of gatepost that ask the running one.

use crate::gatepost::Gatepost;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};

pub struct Desk {
    control: PathBuf,
}

impl Desk {
    pub fn of(gatepost: &Gatepost) -> Desk {
        Desk { control: gatepost.people().with_file_name("control.sock") }
    }

    /// To its end, whatever that is.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        command.args(arguments).arg("--control").arg(&self.control);
        command.output().expect("gatepost runs")
    }

    /// What it prints, with this exit code.
    #[track_caller]
    pub fn reads(&self, arguments: &[&str], code: i32) -> String {
        let done = self.run(arguments);
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {done:?}");
        String::from_utf8(done.stdout).expect("gatepost writes UTF-8")
    }

    /// What it prints of something that is done.
    #[track_caller]
    pub fn does(&self, arguments: &[&str]) -> String {
        self.reads(arguments, 0)
    }

    /// As JSON.
    #[track_caller]
    pub fn looks(&self, arguments: &[&str]) -> Value {
        let text = self.does(&[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{arguments:?}: {fault}: {text}"))
    }
}
