//! An LDAP client that is not gatepost's: ldapsearch(1) and ldapmodify(1).

use crate::process::program;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Who asks, where and how.
#[derive(Clone)]
pub struct Client {
    pub url: String,
    /// The folder with the certificates.
    pub folder: PathBuf,
    pub bind: Bind,
    /// StartTLS on `ldap://`.
    pub starttls: bool,
}

#[derive(Clone)]
pub enum Bind {
    Anonymous,
    Simple {
        dn: String,
        password: String,
    },
    /// SASL EXTERNAL by the client certificate.
    External,
}

impl Client {
    /// By a simple bind; `folder` has the certificates.
    pub fn by_password(url: String, folder: &Path, dn: &str, password: &str) -> Client {
        let bind = Bind::Simple { dn: dn.into(), password: password.into() };
        Client { url, folder: folder.into(), bind, starttls: false }
    }

    /// Where the search begins and how deep it goes: `base`, `one` or `sub`. LDIF with one value a
    /// line, or what the client complains of.
    pub fn search(
        &self,
        base: &str,
        scope: &str,
        filter: &str,
        attributes: &[&str],
    ) -> Result<String, String> {
        let mut command = self.command("ldapsearch");
        command.args(["-LLL", "-o", "ldif-wrap=no", "-b", base, "-s", scope, filter]);
        run(command.args(attributes), "")
    }

    /// One object. Panics when it cannot be read.
    #[track_caller]
    pub fn read(&self, dn: &str, attributes: &[&str]) -> String {
        self.search(dn, "base", "(objectClass=*)", attributes)
            .unwrap_or_else(|complaint| panic!("{dn} at {}: {complaint}", self.url))
    }

    /// LDIF of changes, or of entries to add.
    #[track_caller]
    pub fn modify(&self, ldif: &str) {
        if let Err(complaint) = run(self.command("ldapmodify").arg("-a"), ldif) {
            panic!("{ldif}\n{}: {complaint}", self.url);
        }
    }

    /// Whether the server knows us by this name and password.
    pub fn can_bind(&self) -> bool {
        self.search("", "base", "(objectClass=*)", &["1.1"]).is_ok()
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name, "ldap-utils"));
        command.env_clear();
        command.env("LDAPTLS_CACERT", self.folder.join("ca.pem"));
        command.args(["-H", &self.url, "-o", "nettimeout=5"]);
        if self.starttls {
            command.arg("-ZZ");
        }
        match &self.bind {
            Bind::Anonymous => command.arg("-x"),
            Bind::Simple { dn, password } => command.args(["-x", "-D", dn, "-w", password]),
            Bind::External => command
                .env("LDAPTLS_CERT", self.folder.join("client.pem"))
                .env("LDAPTLS_KEY", self.folder.join("client.key"))
                .args(["-Q", "-Y", "EXTERNAL"]),
        };
        command
    }
}

fn run(command: &mut Command, input: &str) -> Result<String, String> {
    let name = format!("{:?}", command.get_program());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut pipe = child.stdin.take().expect("standard input is a pipe");
    // It may end before it has read all.
    pipe.write_all(input.as_bytes()).ok();
    drop(pipe);
    let done = child.wait_with_output().expect("an own child can be waited for");
    match done.status.success() {
        true => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
    }
}
