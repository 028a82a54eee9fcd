//! Strata, the system of record for why a plan changed. In reading order:
//!
//! - [`proto`]: the published language;
//! - [`json`]: the published language as proto3 JSON, in and out;
//! - [`domain`]: what may happen to a plan, and what a plan is;
//! - [`telemetry`]: what the program says about itself while it runs;
//! - [`config`]: arguments, environment and file, as one checked configuration;
//! - [`daemon`]: the only wiring: start, drain, stop;
//! - [`cli`]: the commands: serve, import, export.

pub mod cli;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod json;
pub mod proto;
pub mod telemetry;
