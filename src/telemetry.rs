//! What the program says about itself while it runs: the tracing subscriber, on stderr, so that
//! stdout stays free for what a command was asked for. Figures are in a file of their own.

use std::{
    io::{self, IsTerminal as _},
    sync::atomic::{AtomicBool, Ordering},
};

use tracing_subscriber::{EnvFilter, fmt};

pub mod figures;

/// Whether this process logs in JSON: set once, with the subscriber, which is one a process too.
static LOGS_JSON: AtomicBool = AtomicBool::new(false);

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people when stderr is a terminal, else JSON.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// The name by which it is configured.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Human => "human",
            Self::Json => "json",
        }
    }

    /// Whether lines of this format are for people.
    #[must_use]
    pub fn is_human(self) -> bool {
        match self {
            Self::Auto => io::stderr().is_terminal(),
            Self::Human => true,
            Self::Json => false,
        }
    }
}

/// Starts logging for the daemon what `filter` lets through. The first call of a process counts.
pub fn init(filter: &str, format: LogFormat) {
    // The configuration holds only filters that can be read; any other must not silence the daemon.
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr);
    let outcome = if format.is_human() {
        lines.with_ansi(io::stderr().is_terminal()).try_init()
    } else {
        let outcome = lines.json().flatten_event(true).try_init();
        LOGS_JSON.store(outcome.is_ok(), Ordering::Relaxed);
        outcome
    };
    // Tests start several daemons in one process, where the first subscriber serves them all.
    drop(outcome);
}

/// Whether who reads stderr expects JSON there, one object a line.
#[must_use]
pub fn logs_json() -> bool {
    LOGS_JSON.load(Ordering::Relaxed) && tracing::enabled!(tracing::Level::ERROR)
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
