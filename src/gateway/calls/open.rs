//! How many connections are open.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::gauge;

/// One count a process, as its figure is.
static OPEN: AtomicU64 = AtomicU64::new(0);

/// A connection, counted for as long as it is open.
pub struct Open(());

/// How many there are.
#[must_use]
pub fn connections() -> u64 {
    OPEN.load(Ordering::Relaxed)
}

impl Default for Open {
    fn default() -> Self {
        OPEN.fetch_add(1, Ordering::Relaxed);
        gauge!("strata_connections").increment(1);
        Self(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
        gauge!("strata_connections").decrement(1);
    }
}
