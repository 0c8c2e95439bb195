//! Load on the policy listener: gatepost beside a no-op responder, in turns, on the same machine.
//! `cargo bench --bench policy_load -- --seconds 5 --rounds 5 --connections 1,16,64`

#![allow(clippy::disallowed_methods)] // a benchmark reads the clock

mod folder;
mod histogram;
mod load;
mod noop;
mod options;
mod people;
mod report;
mod script;
mod server;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use folder::Folder;
use load::Load;
use options::Options;
use people::Person;
use report::{Cell, Sample};
use script::{Instances, Script};
use server::Server;

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
    let people = people::directory();
    let mut script = Script::of(&people);
    let folder = Folder::create()?;
    println!("{}", report::heading(options, &script));

    let mut cells = Cell::plan(options);
    let mut instances = Instances::start();
    for round in 0..options.rounds {
        let servers = start(options, &folder, &people)?;
        for (position, cell) in cells.iter_mut().enumerate() {
            for turn in 0..servers.len() {
                // Whoever starts changes, so that nobody always runs in the wake of the same neighbour.
                let index = (round + position + turn) % servers.len();
                let server = &servers[index];
                let sample = sample(server, cell, &mut script, &mut instances, options)
                    .map_err(|error| format!("{}, {}: {error}", server.name(), cell.name()))?;
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
) -> Result<Vec<Server>, Box<dyn Error>> {
    let kinds = options.servers.iter().enumerate();
    kinds
        .map(|(index, &kind)| Server::start(kind, &folder.child(&index.to_string())?, people))
        .collect()
}

fn sample(
    server: &Server,
    cell: &Cell,
    script: &mut Script,
    instances: &mut Instances,
    options: &Options,
) -> Result<Sample, Box<dyn Error>> {
    let sockets = (0..cell.connections).map(|_| server.connect(cell.socket));
    let sockets = sockets.collect::<Result<Vec<_>, _>>()?;
    let mut load = Load::new(sockets, script, instances, server.judges())?;
    load.run(WARM_UP)?;

    let server_before = server.cpu()?;
    let load_before = server::own_thread_cpu()?;
    let tally = load.run(options.length())?;
    Ok(Sample {
        tally,
        server_cpu: server.cpu()? - server_before,
        load_cpu: server::own_thread_cpu()? - load_before,
        resident_bytes: server.resident_bytes()?,
    })
}
