//! The figures: one line for each server in each cell, medians over the rounds.

use std::fmt::Write;
use std::thread::available_parallelism;
use std::time::Duration;

use crate::common::load::Tally;
use crate::common::median;
use crate::common::process::SocketKind;
use crate::common::script::Script;
use crate::options::Options;

/// One socket family with one number of connections.
pub struct Cell {
    pub socket: SocketKind,
    pub connections: usize,
    /// For each server its samples, one a round.
    pub samples: Vec<Vec<Sample>>,
}

pub struct Sample {
    pub tally: Tally,
    pub server_cpu: Duration,
    pub load_cpu: Duration,
    pub resident_mib: f64,
}

impl Cell {
    pub fn plan(options: &Options) -> Vec<Self> {
        let mut cells = Vec::new();
        for &socket in &options.sockets {
            for &connections in &options.connections {
                cells.push(Self {
                    socket,
                    connections,
                    samples: options.servers.iter().map(|_| Vec::new()).collect(),
                });
            }
        }
        cells
    }

    pub fn name(&self) -> String {
        format!("{} x {}", self.socket.name(), self.connections)
    }
}

impl Sample {
    fn requests_a_second(&self) -> f64 {
        self.tally.latency.count() as f64 / self.tally.elapsed.as_secs_f64()
    }

    fn latency_us(&self, share: f64) -> f64 {
        self.tally.latency.quantile(share).as_secs_f64() * 1e6
    }

    fn server_us(&self) -> f64 {
        self.server_cpu.as_secs_f64() * 1e6 / self.tally.latency.count() as f64
    }

    fn load_us(&self) -> f64 {
        self.load_cpu.as_secs_f64() * 1e6 / self.tally.latency.count() as f64
    }
}

pub fn heading(options: &Options, script: &Script) -> String {
    format!(
        "policy_load: {} rounds of {:?} a cell, {} processors, requests of {} bytes, {:.1} % of them to be refused",
        options.rounds,
        options.length(),
        available_parallelism().map_or(0, usize::from),
        script.mean_bytes(),
        script.refused_share() * 100.0
    )
}

/// Ratios are those to the first server in the same round; of them, too, the median is shown.
pub fn table(options: &Options, cells: &[Cell]) -> String {
    let mut table = format!(
        "\n{:6} {:>5}  {:18} {:>10} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}   {:>10} {:>8}\n",
        "socket",
        "conns",
        "server",
        "requests/s",
        "p50",
        "p99",
        "p99.9",
        "cpu",
        "load",
        "rss",
        "x req/s",
        "x cpu",
    );
    for cell in cells {
        for (server, samples) in options.servers.iter().zip(&cell.samples) {
            let of = |figure: fn(&Sample) -> f64| median(samples.iter().map(figure));
            let ratio = |figure: fn(&Sample) -> f64| {
                let pairs = samples.iter().zip(&cell.samples[0]);
                median(pairs.map(|(own, first)| figure(own) / figure(first)))
            };
            let _ = writeln!(
                table,
                "{:6} {:>5}  {:18} {:>10.0} {:>8.1} {:>8.1} {:>8.1} {:>8.2} {:>8.2} {:>8.1}   {:>10.3} {:>8.3}",
                cell.socket.name(),
                cell.connections,
                server.name(),
                of(Sample::requests_a_second),
                of(|sample| sample.latency_us(0.5)),
                of(|sample| sample.latency_us(0.99)),
                of(|sample| sample.latency_us(0.999)),
                of(Sample::server_us),
                of(Sample::load_us),
                of(|sample| sample.resident_mib),
                ratio(Sample::requests_a_second),
                ratio(Sample::server_us),
            );
        }
    }
    table.push_str(
        "\np50 p99 p99.9: latency in microseconds. cpu, load: processor time of the server and of the load\n\
         generator in microseconds a request. rss: MiB. x: ratio to the first server, aimed at: req/s >= 0.9, cpu <= 1.3.\n",
    );
    table
}
