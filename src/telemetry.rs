//! What the program says about itself while it runs: the tracing subscriber, on stderr, so that
//! stdout stays free for what a command was asked for.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{Config, LogFormat};

/// Starts logging for the daemon. The first call of a process counts.
pub fn init(config: &Config) {
    // The filter was checked when the configuration was resolved; what it leaves out is not lost.
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr);
    let outcome = if is_human(config.log_format) {
        lines.with_ansi(io::stderr().is_terminal()).try_init()
    } else {
        lines.json().flatten_event(true).try_init()
    };
    // Tests start several daemons in one process, where the first subscriber serves them all.
    drop(outcome);
}

/// Starts logging for a client command: only what its user should know of.
pub fn init_client() {
    let lines = fmt()
        .with_env_filter(EnvFilter::new("warn"))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .without_time();
    drop(lines.try_init());
}

/// Whether lines of this format are for people.
#[must_use]
pub fn is_human(format: LogFormat) -> bool {
    match format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    }
}
