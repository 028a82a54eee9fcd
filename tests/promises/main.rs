//! The promises of `stratad`, kept by the real binary on a real disk behind a real socket. One
//! binary, so that it is linked once; a file for each family of promises.

mod abuse;
mod amendments;
mod assess;
mod audit;
mod authentication;
mod backup;
mod bad_input;
mod beginning;
mod browser;
mod calls;
mod certificates;
mod chance;
#[cfg(feature = "ci")]
mod check_proof;
mod client;
mod commitments;
mod crash;
mod daemon;
mod deploy;
mod diff;
#[cfg(feature = "ci")]
mod durable;
mod execute;
mod execute_stream;
mod explain_cli;
#[cfg(feature = "ci")]
mod faults;
#[cfg(feature = "ci")]
mod flips;
mod founding;
mod health;
mod histories;
mod issuer;
mod key;
mod language;
mod lapses;
mod left;
mod limits;
mod loss;
mod malformed;
mod metrics;
mod old_directories;
mod operators;
mod pages;
#[cfg(feature = "ci")]
mod power;
mod queries;
#[cfg(feature = "ci")]
mod queue;
mod raw;
mod read_log;
mod reading;
mod real_history;
mod restore;
mod review;
mod rights;
mod run;
mod search;
#[cfg(feature = "ci")]
mod segments;
mod serving;
mod stats;
mod stopping;
mod suggest;
mod time_travel;
mod tls;
mod token;
mod traces;
mod verify;
mod view;
mod views;
mod watch;
mod watch_load;
mod why;
mod wire;
mod withdrawn;
