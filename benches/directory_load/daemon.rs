//! A gatepost under load, with its directory, and what its metrics say (docs/metrics.md).

use std::error::Error;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::common::gatepost::{self, Configuration};
use crate::common::load::PATIENCE;
use crate::common::process::{Process, free_address};
use crate::ldif;

pub struct Daemon {
    pub process: Process,
    http: SocketAddr,
}

/// What it counted so far.
pub struct Counts {
    /// Time from a whole question to its answer, of all questions together.
    pub deciding: Duration,
    pub decisions: u64,
    /// Lookups of the directory by LDAP, by result.
    pub lookups: Vec<(String, u64)>,
}

impl Daemon {
    /// `directory`: the tables `[directory]` and below.
    pub fn start(
        name: &'static str,
        folder: &Path,
        directory: &str,
        existence: &str,
    ) -> Result<Self, Box<dyn Error>> {
        let (tcp, http, unix) = (free_address()?, free_address()?, folder.join("policy.sock"));
        let configuration =
            Configuration { tcp, http, unix: &unix, decisions: "refusals", directory, existence };
        let log = File::create(folder.join("log"))?;
        let mut command = gatepost::command(folder, &configuration, log)?;
        let process = Process::start(name, &mut command, (tcp, unix), folder)?;
        Ok(Self { process, http })
    }

    pub fn counts(&self) -> Result<Counts, Box<dyn Error>> {
        let page = self.metrics()?;
        let figure = |name: &str| {
            let line = page.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|figure| figure.trim().parse::<f64>().ok())
                .ok_or_else(|| format!("the metrics have no {name}"))
        };
        let lookups = page.lines().filter_map(|line| {
            let rest = line.strip_prefix("gatepost_directory_lookups_total{result=\"")?;
            let (result, count) = rest.split_once("\"} ")?;
            Some((result.to_owned(), count.parse().ok()?))
        });
        let of_policy = |part: &str| {
            figure(&format!("gatepost_decision_duration_seconds_{part}{{protocol=\"policy\"}}"))
        };
        Ok(Counts {
            deciding: Duration::from_secs_f64(of_policy("sum")?),
            decisions: of_policy("count")? as u64,
            lookups: lookups.collect(),
        })
    }

    fn metrics(&self) -> Result<String, Box<dyn Error>> {
        let mut stream = TcpStream::connect(self.http)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let host = self.http;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        Ok(page)
    }
}

/// The tables of a directory by LDAP; its bind password is written into the folder.
pub fn ldap_directory(
    folder: &Path,
    server: SocketAddr,
    member_of: bool,
    fresh: u64,
) -> Result<String, Box<dyn Error>> {
    fs::write(folder.join("bind.pw"), ldif::PASSWORD)?;
    let (base, dn) = (ldif::BASE, ldif::BIND_DN);
    let member_of = if member_of { "memberOf" } else { "" };
    Ok(format!(
        "[directory]\ntype = \"ldap\"\n\n\
         [directory.ldap]\nservers = [\"ldap://{server}\"]\nschema = \"rfc2307bis\"\nbase = \"{base}\"\n\
         realms = [\"example.org\"]\nnetbios = [\"EXAMPLE\"]\n\n\
         [directory.ldap.tls]\ninsecure-plaintext = true\n\n\
         [directory.ldap.bind]\nmethod = \"simple\"\ndn = \"{dn}\"\npassword-file = \"bind.pw\"\n\n\
         [directory.ldap.attributes]\nmember-of = \"{member_of}\"\n\n\
         [directory.cache]\nfresh = \"{fresh}s\"\nsnapshot = \"off\"\n"
    ))
}
