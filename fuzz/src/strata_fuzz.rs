//! What outsiders may send, thrown at what reads it: one function a fuzz target, bytes in, and a panic if
//! a promise breaks. No file and no socket is touched, and no clock is read. `fuzz_targets/` only calls
//! these; `.ci/fuzz` runs them.

pub mod access;
pub mod files;
pub mod generate;
pub mod plans;
pub mod wire;

/// When all that is tried is recorded or judged, in seconds since 1970.
pub const NOW_SECONDS: i64 = 1_800_000_000;
