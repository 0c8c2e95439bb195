//! A private slapd (OpenLDAP 2.5) on loopback, and the searches that its log has (slapd.conf(5), loglevel stats).

use std::error::Error;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{io, thread};

use crate::common::load::PATIENCE;
use crate::common::people::{Group, Person};
use crate::common::process::free_address;
use crate::ldif;

const SLAPD: &str = "/usr/sbin/slapd";
const SLAPADD: &str = "/usr/sbin/slapadd";

pub struct Slapd {
    pub address: SocketAddr,
    folder: PathBuf,
    child: Child,
}

/// How many searches there were, by what they look for.
#[derive(Default)]
pub struct Searches {
    pub logins: u64,
    /// Whose some recipients are, many in one search.
    pub owners: u64,
    pub recipients: u64,
    /// Groups that list a login's account.
    pub member: u64,
    /// The groups of the rules, and the health of the server.
    pub other: u64,
}

impl Slapd {
    /// Returns when it takes connections.
    pub fn start(
        folder: PathBuf,
        people: &[Person],
        groups: &[Group],
    ) -> Result<Self, Box<dyn Error>> {
        let configuration = include_str!("slapd.conf")
            .replace("@folder@", &folder.display().to_string())
            .replace("@base@", ldif::BASE)
            .replace("@bind@", ldif::BIND_DN);
        let file = folder.join("slapd.conf");
        fs::write(&file, configuration)?;
        fs::create_dir(folder.join("database"))?;
        fill(&folder, &file, people, groups)?;

        let address = free_address()?;
        let mut command = Command::new(SLAPD);
        command.arg("-f").arg(file).arg("-h").arg(format!("ldap://{address}/"));
        // In the foreground, with its log on stderr.
        command.args(["-d", "stats"]).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(File::create(folder.join("log"))?).spawn().map_err(missing)?;
        let mut slapd = Self { address, folder, child };
        slapd.wait_until_it_listens()?;
        Ok(slapd)
    }

    /// All since it was started.
    pub fn searches(&self) -> io::Result<Searches> {
        let mut searches = Searches::default();
        for line in self.log()?.lines().filter(|line| line.contains(" SRCH base=")) {
            let is = |part| line.contains(part);
            *match () {
                () if is("filter=\"(|(&") => &mut searches.owners,
                () if is("(|(objectClass=inetOrgPerson)") => &mut searches.logins,
                () if is("(member=uid=") || is("(memberUid=user") => &mut searches.member,
                () if is("(mail=") => &mut searches.recipients,
                () => &mut searches.other,
            } += 1;
        }
        Ok(searches)
    }

    fn log(&self) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.folder.join("log"))?).into_owned())
    }

    fn wait_until_it_listens(&mut self) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        while let Err(refused) = TcpStream::connect(self.address) {
            if self.child.try_wait()?.is_some() || start.elapsed() > PATIENCE {
                return Err(format!("slapd does not listen: {refused}\n{}", self.log()?).into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Searches {
    pub fn total(&self) -> u64 {
        self.logins + self.owners + self.recipients + self.member + self.other
    }
}

impl Drop for Slapd {
    /// Nothing in its database is worth keeping.
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("slapd, process {}, is left behind: {error}", self.child.id());
        }
    }
}

fn fill(
    folder: &Path,
    configuration: &Path,
    people: &[Person],
    groups: &[Group],
) -> Result<(), Box<dyn Error>> {
    let ldif = folder.join("people.ldif");
    fs::write(&ldif, ldif::of(people, groups))?;
    let mut command = Command::new(SLAPADD);
    command.arg("-q").arg("-f").arg(configuration).arg("-l").arg(ldif);
    let output = command.output().map_err(missing)?;
    if !output.status.success() {
        return Err(format!("slapadd: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(())
}

fn missing(error: io::Error) -> Box<dyn Error> {
    match error.kind() {
        io::ErrorKind::NotFound => format!("{SLAPD} is missing: the Debian package slapd").into(),
        _ => error.into(),
    }
}
