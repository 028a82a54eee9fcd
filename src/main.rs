//! `stratad`: parses the command line, calls the command, and answers with its exit status.

use std::process::ExitCode;

use clap::Parser as _;
use strata::cli::{self, Cli};

fn main() -> ExitCode {
    match cli::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            cli::report(&failure);
            ExitCode::from(failure.exit_status())
        }
    }
}
