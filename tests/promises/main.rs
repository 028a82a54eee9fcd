//! The promises of `stratad`, kept by the real binary on a real disk behind a real socket. One
//! binary, so that it is linked once; a file for each family of promises.

mod daemon;
mod language;
mod real_history;
mod serving;
