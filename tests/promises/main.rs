//! The promises of `stratad`, kept by the real binary on a real disk behind a real socket. One
//! binary, so that it is linked once; a file for each family of promises.

mod amendments;
mod bad_input;
mod beginning;
mod browser;
mod daemon;
mod execute;
mod execute_stream;
mod language;
mod malformed;
mod operators;
mod queries;
mod read_log;
mod real_history;
mod serving;
mod views;
mod wire;
