//! What the program says about itself while it runs: the tracing subscriber, on stderr, so that
//! stdout stays free for what a command was asked for; the figures; and what goes to a collector.

use std::{
    io::{self, IsTerminal as _},
    sync::atomic::{AtomicBool, Ordering},
};

use tracing_subscriber::{
    EnvFilter, fmt, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

mod bridge;
pub mod figures;
pub mod filter;
pub mod lines;
pub mod otlp;
pub mod process;
pub mod traces;

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
    // Tests start several daemons in one process, where the first subscriber serves them all.
    if tracing::dispatcher::has_been_set() {
        return;
    }
    // The configuration holds only filters that can be read; any other must not silence the daemon.
    let parsed = filter::parse(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let (parsed, switch) = reload::Layer::new(parsed);
    let registry = tracing_subscriber::registry().with(parsed);
    let outcome = if format.is_human() {
        let lines = fmt::layer().with_writer(io::stderr);
        let lines = lines.with_ansi(io::stderr().is_terminal());
        registry.with(lines).try_init()
    } else {
        let lines = fmt::layer().json().flatten_event(true);
        let outcome = registry.with(lines.with_writer(lines::begin())).try_init();
        LOGS_JSON.store(outcome.is_ok(), Ordering::Relaxed);
        outcome
    };
    if outcome.is_ok() {
        filter::keep(switch, filter);
    }
}

/// Whether who reads stderr expects JSON there, one object a line.
#[must_use]
pub fn logs_json() -> bool {
    LOGS_JSON.load(Ordering::Relaxed) && tracing::enabled!(tracing::Level::ERROR)
}

/// Starts logging for a client command: only what its user should know of.
pub fn init_client() {
    let lines = fmt::fmt()
        .with_env_filter(EnvFilter::new("warn"))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .without_time();
    drop(lines.try_init());
}
