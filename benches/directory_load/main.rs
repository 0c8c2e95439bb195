//! What a directory by LDAP costs: searches counted at a private slapd, and the time of cached answers beside that of
//! a directory file with the same people, in turns on the same machine.
//! `cargo bench --bench directory_load -- --requests 1000000 --people 10000`

#![allow(clippy::disallowed_methods)] // a benchmark reads the clock

#[path = "../common/mod.rs"]
mod common;
mod daemon;
mod ldif;
mod options;
mod organisation;
mod report;
mod slapd;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use common::folder::Folder;
use common::gatepost::FILE_DIRECTORY;
use common::load::Load;
use common::people::{self, Group, Person, directory_file};
use common::script::{Instances, Script};
use daemon::{Daemon, ldap_directory};
use options::Options;
use report::{Sample, Served};
use slapd::Slapd;

/// What is measured, beyond the rights of a login.
struct Case {
    name: &'static str,
    /// Whether the server tells the groups of an account, by memberOf.
    member_of: bool,
    /// Whether the directory is asked for every local recipient as well.
    existence: bool,
    /// Or else only until each login was asked for.
    beside_the_file: bool,
}

const CASES: [Case; 3] = [
    Case {
        name: "login, groups, sender, relay",
        member_of: true,
        existence: false,
        beside_the_file: true,
    },
    Case {
        name: "the same, and every local recipient",
        member_of: true,
        existence: true,
        beside_the_file: true,
    },
    Case {
        name: "login, groups, sender, relay; without memberOf",
        member_of: false,
        existence: false,
        beside_the_file: false,
    },
];

fn main() -> ExitCode {
    match measure(&Options::from_command_line()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("directory_load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<(), Box<dyn Error>> {
    let people = people::people(options.people);
    let groups = organisation::groups(&people);
    let folder = Folder::create(Path::new(env!("CARGO_TARGET_TMPDIR")), "directory-load")?;
    let script = Script::of(&people);
    println!("{}", report::heading(options, &groups, &script));
    let site = Site { options, folder: &folder, people: &people, groups: &groups, script: &script };
    for case in &CASES {
        let (files, ldap) = site.run(case).map_err(|error| format!("{}: {error}", case.name))?;
        print!("{}", report::of_case(options, case.name, files.as_ref(), &ldap));
    }
    Ok(())
}

/// All that the cases have in common.
struct Site<'a> {
    options: &'a Options,
    folder: &'a Folder,
    people: &'a [Person],
    groups: &'a [Group],
    script: &'a Script,
}

impl Site<'_> {
    /// What was served from the file, and by LDAP.
    fn run(&self, case: &Case) -> Result<(Option<Served>, Served), Box<dyn Error>> {
        let options = self.options;
        let slapd = Slapd::start(self.folder.child("slapd")?, self.people, self.groups)?;
        let ldap = self.start_ldap(case, &slapd)?;
        let file = case.beside_the_file.then(|| self.start_file(case)).transpose()?;
        let daemons: Vec<&Daemon> = file.iter().chain([&ldap]).collect();

        let mut scripts: Vec<Script> = daemons.iter().map(|_| self.script.clone()).collect();
        let mut instances: Vec<Instances> = daemons.iter().map(|_| Instances::start()).collect();
        let mut loads = Vec::new();
        for ((daemon, script), instances) in daemons.iter().zip(&mut scripts).zip(&mut instances) {
            let sockets = (0..options.connections).map(|_| daemon.process.connect(options.socket));
            let sockets = sockets.collect::<Result<Vec<_>, _>>()?;
            loads.push(Load::new(sockets, script, instances, true)?);
        }

        // The connections are not equally fast; with half as much again as all requests, nobody is left out.
        let first = self.script.requests.len() as u64 * 3 / 2;
        let start = Instant::now();
        for load in &mut loads {
            load.run(|sent, _| sent < first)?;
        }
        let mut samples: Vec<Vec<Sample>> = daemons.iter().map(|_| Vec::new()).collect();
        let rounds = if case.beside_the_file { options.rounds } else { 0 };
        for round in 0..rounds {
            let rest = options.requests.saturating_sub(first);
            let requests = rest * (round + 1) / rounds - rest * round / rounds;
            for turn in 0..daemons.len() {
                // Whoever starts changes, so that nobody always runs in the wake of the other.
                let index = (round as usize + turn) % daemons.len();
                let sample = sample(daemons[index], &mut loads[index], requests)?;
                samples[index].push(sample);
            }
        }
        let searches = slapd.searches()?;
        let elapsed = start.elapsed();
        let mut samples = samples.into_iter();
        let mut served = |daemon: &Daemon| -> Result<Served, Box<dyn Error>> {
            Ok(Served {
                samples: samples.next().unwrap_or_default(),
                counts: daemon.counts()?,
                resident_mib: daemon.process.resident_mib()?,
                elapsed,
                searches: None,
            })
        };
        let file = file.as_ref().map(&mut served).transpose()?;
        let ldap = Served { searches: Some(searches), ..served(&ldap)? };
        Ok((file, ldap))
    }

    fn start_file(&self, case: &Case) -> Result<Daemon, Box<dyn Error>> {
        let folder = self.folder.child("file")?;
        fs::write(folder.join("people.toml"), directory_file(self.people, self.groups))?;
        Daemon::start("file", &folder, FILE_DIRECTORY, case.existence())
    }

    fn start_ldap(&self, case: &Case, slapd: &Slapd) -> Result<Daemon, Box<dyn Error>> {
        let folder = self.folder.child("ldap")?;
        let fresh = self.options.fresh;
        let directory = ldap_directory(&folder, slapd.address, case.member_of, fresh)?;
        Daemon::start("LDAP", &folder, &directory, case.existence())
    }
}

impl Case {
    fn existence(&self) -> &'static str {
        if self.existence { "enforce" } else { "off" }
    }
}

fn sample(daemon: &Daemon, load: &mut Load, requests: u64) -> Result<Sample, Box<dyn Error>> {
    let (counts, cpu) = (daemon.counts()?, daemon.process.cpu()?);
    let tally = load.run(|sent, _| sent < requests)?;
    let cpu = daemon.process.cpu()? - cpu;
    let after = daemon.counts()?;
    Ok(Sample {
        tally,
        cpu,
        deciding: after.deciding - counts.deciding,
        decisions: after.decisions - counts.decisions,
    })
}
