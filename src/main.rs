//! gatepost: may this login send this mail?

use std::process::ExitCode;

fn main() -> ExitCode {
    gatepost::cli::run()
}
