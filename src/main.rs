//! `stratad`: parses the command line, calls the command, and answers with its exit status.

use std::process::ExitCode;

use mimalloc::MiMalloc;
use strata::{cli, telemetry};

/// A request is made on one thread, decided on another and let go of on a third, which the system's own allocator
/// answers with locks and with holes.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let status = match cli::run(cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            cli::report(&failure);
            ExitCode::from(failure.exit_status())
        }
    };
    telemetry::lines::end();
    status
}
