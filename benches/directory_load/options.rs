//! The command line of the benchmark.

use clap::Parser;

use crate::common::process::SocketKind;

/// Puts the same load on gatepost with a directory by LDAP and on gatepost with a directory file.
#[derive(Parser)]
pub struct Options {
    /// Logins, each with one spelling; a multiple of 200
    #[arg(long, default_value_t = 10_000)]
    pub people: usize,
    /// Requests to each daemon, the first ones included, which fill the cache
    #[arg(long, default_value_t = 1_000_000)]
    pub requests: u64,
    /// Turns in which the daemons get the rest of them
    #[arg(long, default_value_t = 40)]
    pub rounds: u64,
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
    #[arg(long, default_value = "unix")]
    pub socket: SocketKind,
    /// `directory.cache.fresh`, in seconds
    #[arg(long, default_value_t = 300)]
    pub fresh: u64,

    /// Given by `cargo bench`, left out by `cargo test --all-targets`
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    pub fn from_command_line() -> Self {
        let mut options = Self::parse();
        if !options.bench {
            // As a test it proves the answers and the searches, not the speed.
            (options.people, options.requests, options.rounds) = (200, 4_000, 2);
        }
        options
    }
}
