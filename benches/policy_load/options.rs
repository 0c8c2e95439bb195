//! The command line of the benchmark.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::common::process::SocketKind;

/// Compares gatepost with a no-op responder under the same closed-loop load.
#[derive(Parser)]
pub struct Options {
    /// Length of one measurement
    #[arg(long, default_value_t = 0.8)]
    seconds: f64,
    /// How often every measurement is repeated
    #[arg(long, default_value_t = 9)]
    pub rounds: usize,
    /// Connection counts
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    pub connections: Vec<usize>,
    /// Socket families
    #[arg(long, value_delimiter = ',', default_value = "tcp,unix")]
    pub sockets: Vec<SocketKind>,
    /// Servers; the first is the one that ratios are taken to
    #[arg(long, value_delimiter = ',', default_value = "no-op,refusals,all")]
    pub servers: Vec<ServerKind>,

    /// Given by `cargo bench`, left out by `cargo test --all-targets`
    #[arg(long, hide = true)]
    bench: bool,
    /// Be the no-op responder on this TCP port and on `--noop-socket`
    #[arg(long, hide = true, requires = "noop_socket")]
    noop_port: Option<u16>,
    #[arg(long, hide = true)]
    noop_socket: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ServerKind {
    /// Answers DUNNO to everything
    NoOp,
    /// gatepost, `decisions = "refusals"`
    Refusals,
    /// gatepost, `decisions = "all"`
    All,
}

impl Options {
    pub fn from_command_line() -> Self {
        let mut options = Self::parse();
        if !options.bench && options.noop_port.is_none() {
            // As a test it proves the answers, not the speed.
            (options.rounds, options.seconds) = (1, 0.05);
        }
        options
    }

    /// Where to listen, when this process is to be the no-op responder.
    pub fn noop(&self) -> Option<(u16, PathBuf)> {
        Some((self.noop_port?, self.noop_socket.clone()?))
    }

    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

impl ServerKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::NoOp => "no-op",
            Self::Refusals => "gatepost, refusals",
            Self::All => "gatepost, all",
        }
    }
}
