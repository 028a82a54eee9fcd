//! The promises of `stratad`, kept by the real binary on a real disk behind a real socket. One
//! binary, so that it is linked once; a file for each family of promises.

mod beginning;
mod chance;
mod crash;
mod daemon;
mod durable;
mod loss;
mod queue;
mod reading;
mod serving;
mod stopping;
mod view;
mod watch;
mod watch_load;
