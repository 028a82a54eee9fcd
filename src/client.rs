//! A client of the daemon for programs in Rust: a connection with its credentials, requests that are
//! recorded once however often they are sent, and a watch that goes on by itself after the daemon was
//! away.
