//! The servers that are compared: gatepost with more or less to log, and the no-op responder.

use std::error::Error;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::{env, io};

use crate::common::gatepost::{self, Configuration};
use crate::common::people::{Person, directory_file};
use crate::common::process::{Process, free_address};
use crate::groups;
use crate::options::ServerKind;

impl ServerKind {
    /// Returns when both sockets take connections.
    pub fn start(self, folder: &Path, people: &[Person]) -> Result<Process, Box<dyn Error>> {
        let (tcp, unix) = (free_address()?, folder.join("policy.sock"));
        let mut command = match self {
            Self::NoOp => noop(tcp, &unix)?,
            // Some 40 MB/s of lines: the writing counts, the disk does not.
            Self::All => self.gatepost(folder, tcp, &unix, people, File::create("/dev/null")?)?,
            Self::Refusals => {
                self.gatepost(folder, tcp, &unix, people, File::create(folder.join("log"))?)?
            }
        };
        Process::start(self.name(), &mut command, (tcp, unix), folder)
    }

    pub fn judges(self) -> bool {
        self != Self::NoOp
    }

    fn gatepost(
        self,
        folder: &Path,
        tcp: SocketAddr,
        unix: &Path,
        people: &[Person],
        stderr: File,
    ) -> io::Result<Command> {
        fs::write(folder.join("people.toml"), directory_file(people, &groups::of(people)))?;
        let configuration = Configuration {
            tcp,
            http: free_address()?,
            unix,
            decisions: if self == Self::All { "all" } else { "refusals" },
            directory: gatepost::FILE_DIRECTORY,
            existence: "enforce",
        };
        gatepost::command(folder, &configuration, stderr)
    }
}

fn noop(tcp: SocketAddr, unix: &Path) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.arg("--noop-port").arg(tcp.port().to_string());
    command.arg("--noop-socket").arg(unix);
    Ok(command)
}
