//! A queue helper beside a mail server of the suite, asked by its own words.

use crate::folder::note_pid;
use crate::process::Process;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gatepost");

pub struct Helper {
    pub process: Process,
    pub socket: PathBuf,
}

impl Helper {
    /// Serves root, with these tables.
    pub fn start(folder: &Path, tables: &str) -> Helper {
        Helper::start_for(folder, "root", tables)
    }

    pub fn start_for(folder: &Path, user: &str, tables: &str) -> Helper {
        // What its unit leaves it.
        let mut bounded = Command::new("setpriv");
        bounded.args(["--bounding-set", CAPABILITIES, "--no-new-privs"]);
        bounded.arg(PROGRAM);
        Helper::start_by(bounded, folder, user, tables)
    }

    /// With all the rights of the suite, as who enters the namespaces of its Sendmail needs.
    pub fn start_free(folder: &Path, tables: &str) -> Helper {
        Helper::start_by(Command::new(PROGRAM), folder, "root", tables)
    }

    fn start_by(mut command: Command, folder: &Path, user: &str, tables: &str) -> Helper {
        let socket = folder.join("queue.sock");
        let file = folder.join("queue-helper.toml");
        let text = format!(
            "[helper]\nsocket = \"unix:{}\"\nallow-user = \"{user}\"\n{tables}",
            socket.display()
        );
        fs::write(&file, text).expect("a file can be written");
        command.arg("queue-helper").arg("-c").arg(&file);
        let log = folder.join("queue-helper.log");
        let mut process = Process::start("gatepost queue-helper", &mut command, log);
        note_pid(folder, "queue-helper", process.pid());
        process.wait_for_log("ready");
        Helper { process, socket }
    }

    /// One line there, one line back.
    pub fn ask(&self, line: &str) -> String {
        let mut stream = UnixStream::connect(&self.socket).expect("the helper listens");
        // One that refuses need not read it all.
        stream.write_all(format!("{line}\n").as_bytes()).ok();
        stream.shutdown(Shutdown::Write).ok();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).expect("an answer");
        answer.trim_end().to_owned()
    }

    /// As [`ask`](Self::ask), of these messages.
    pub fn tell(&self, verb: &str, ids: &[&str]) -> String {
        let ids: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
        self.ask(&format!("{{\"verb\":\"{verb}\",\"ids\":[{}]}}", ids.join(",")))
    }
}

/// CapabilityBoundingSet of deploy/systemd/gatepost-queue.service.
const CAPABILITIES: &str = "-all,+setuid,+setgid,+dac_override";

/// Of a lab's Postfix.
pub fn postfix(folder: &Path) -> String {
    format!("[postfix]\nconfig-directory = \"{}/conf\"\n", folder.display())
}

pub const DONE: &str = r#"{"outcome":"done"}"#;
pub const GONE: &str = r#"{"outcome":"gone"}"#;

/// The answer that these became of the messages asked about.
pub fn answered(each: &[&str]) -> String {
    format!("{{\"done\":[{}]}}", each.join(","))
}
