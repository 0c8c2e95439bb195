//! A gatepost with all rights checked and enforced.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{fs, io};

/// The directory file `people.toml`.
pub const FILE_DIRECTORY: &str =
    "[directory]\ntype = \"file\"\n\n[directory.file]\npath = \"people.toml\"\n";

/// What of its configuration differs from one benchmark to another.
pub struct Configuration<'a> {
    pub tcp: SocketAddr,
    pub http: SocketAddr,
    pub unix: &'a Path,
    /// `log.decisions`
    pub decisions: &'a str,
    /// The tables `[directory]` and below; paths are relative to the folder.
    pub directory: &'a str,
    /// `recipient.existence`
    pub existence: &'a str,
}

/// The command that runs it, with its log on `stderr`.
pub fn command(folder: &Path, configuration: &Configuration, stderr: File) -> io::Result<Command> {
    let text = include_str!("gatepost.toml")
        .replace("@tcp@", &configuration.tcp.to_string())
        .replace("@http@", &configuration.http.to_string())
        .replace("@unix@", &configuration.unix.display().to_string())
        .replace("@folder@", &folder.display().to_string())
        .replace("@decisions@", configuration.decisions)
        .replace("@directory@", configuration.directory)
        .replace("@existence@", configuration.existence);
    let path = folder.join("gatepost.toml");
    fs::write(&path, text)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    command.arg("run").arg("-c").arg(path);
    command.stdout(Stdio::null()).stderr(stderr);
    Ok(command)
}
