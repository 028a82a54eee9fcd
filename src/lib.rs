//! Strata, the system of record for why a plan changed: events go into a log, the plans are folded
//! from it, and both are served over gRPC. In reading order:
//!
//! - [`cli`]: the subcommands of `stratad`;
//! - [`daemon`]: the only wiring: config, journal, view, writer, rpc; start, drain, stop;
//! - [`config`]: arguments, environment and file to one checked value;
//! - [`telemetry`]: what the daemon says about itself;
//! - [`gateway`]: what stands between the socket and the services;
//! - [`rpc`]: the services, and errors to statuses;
//! - [`access`]: who calls, and what they may;
//! - [`writer`]: the one way to write;
//! - [`view`]: what the log says of every plan, folded; all of it disposable;
//! - [`feed`]: what watchers and readers of the log stand on;
//! - [`backup`]: a stretch of the log as a file that vouches for itself;
//! - [`journal`]: the log: bytes and positions, it knows no plan;
//! - [`notary`]: signs what the log is, and checks such signatures;
//! - [`merkle`]: the tree over the commits, by which a history is proved;
//! - [`commit`]: a commit as the bytes that are stored, hashed and sent;
//! - [`domain`]: pure rules: what may happen to a plan, and what a plan is;
//! - [`json`]: the published language as proto3 JSON;
//! - [`client`]: a client of the daemon, for programs in Rust;
//! - [`proto`]: the published language.

pub mod access;
pub mod backup;
pub mod cli;
pub mod client;
pub mod commit;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod feed;
pub mod gateway;
pub mod journal;
pub mod json;
pub mod merkle;
pub mod notary;
pub mod proto;
pub mod rpc;
pub mod telemetry;
pub mod view;
pub mod writer;
