//! Load on the policy listener: gatepost beside a no-op responder, in turns, on the same machine.
//! `cargo bench --bench policy_load -- --seconds 5 --rounds 5 --connections 1,16,64`

#![allow(clippy::disallowed_methods)] // a benchmark reads the clock

#[path = "../common/mod.rs"]
mod common;
mod groups;
mod noop;
mod options;
mod report;
mod server;

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use common::folder::Folder;
use common::load::Load;
use common::people::{self, Person};
use common::process::{Process, cpu_of};
use common::script::{Instances, Script};
use options::{Options, ServerKind};
use report::{Cell, Sample};

/// A large organisation's mail relay.
const PEOPLE: usize = 1000;

/// Fills caches and the tasks' buffers before anything is measured.
const WARM_UP: Duration = Duration::from_millis(150);

fn main() -> ExitCode {
    let options = Options::from_command_line();
    let outcome = match options.noop() {
        Some(sockets) => noop::serve(sockets).map_err(Into::into),
        None => measure(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("policy_load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every cell once in each round and prints the medians over the rounds.
fn measure(options: &Options) -> Result<(), Box<dyn Error>> {
    let people = people::people(PEOPLE);
    let mut script = Script::of(&people);
    let folder = Folder::create(&env::temp_dir(), "policy-load")?;
    println!("{}", report::heading(options, &script));

    let mut cells = Cell::plan(options);
    let mut instances = Instances::start();
    for round in 0..options.rounds {
        let servers = start(options, &folder, &people)?;
        for (position, cell) in cells.iter_mut().enumerate() {
            for turn in 0..servers.len() {
                // Whoever starts changes, so that nobody always runs in the wake of the same neighbour.
                let index = (round + position + turn) % servers.len();
                let server = (options.servers[index], &servers[index]);
                let sample = sample(server, cell, &mut script, &mut instances, options)
                    .map_err(|error| format!("{}, {}: {error}", server.1.name, cell.name()))?;
                cell.samples[index].push(sample);
            }
        }
        eprintln!("round {} of {} done", round + 1, options.rounds);
    }
    print!("{}", report::table(options, &cells));
    Ok(())
}

/// Fresh processes for one round: no figure leans on one lucky memory layout.
fn start(
    options: &Options,
    folder: &Folder,
    people: &[Person],
) -> Result<Vec<Process>, Box<dyn Error>> {
    let kinds = options.servers.iter().enumerate();
    kinds.map(|(index, &kind)| kind.start(&folder.child(&index.to_string())?, people)).collect()
}

fn sample(
    (kind, server): (ServerKind, &Process),
    cell: &Cell,
    script: &mut Script,
    instances: &mut Instances,
    options: &Options,
) -> Result<Sample, Box<dyn Error>> {
    let sockets = (0..cell.connections).map(|_| server.connect(cell.socket));
    let sockets = sockets.collect::<Result<Vec<_>, _>>()?;
    let mut load = Load::new(sockets, script, instances, kind.judges())?;
    load.run(|_, elapsed| elapsed < WARM_UP)?;

    let server_before = server.cpu()?;
    let load_before = own_thread_cpu()?;
    let tally = load.run(|_, elapsed| elapsed < options.length())?;
    Ok(Sample {
        tally,
        server_cpu: server.cpu()? - server_before,
        load_cpu: own_thread_cpu()? - load_before,
        resident_mib: server.resident_mib()?,
    })
}

fn own_thread_cpu() -> std::io::Result<Duration> {
    cpu_of(Path::new("/proc/thread-self/schedstat"))
}
