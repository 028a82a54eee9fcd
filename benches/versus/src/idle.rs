//! Watches that are told nothing: that they go on is all that is seen of them.

use std::future::Future;

use tokio::task::JoinSet;

use crate::contender::Failure;

/// How many watches one connection carries: fewer than any of the servers allows.
pub(crate) const WATCHES_A_CONNECTION: usize = 200;

/// Watches that are open for as long as this is.
#[derive(Default)]
pub(crate) struct Idle {
    watches: JoinSet<String>,
}

impl Idle {
    /// Adds a watch, which says how it ended if it does.
    pub(crate) fn add(&mut self, watch: impl Future<Output = String> + Send + 'static) {
        self.watches.spawn(watch);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.watches.len()
    }

    /// Says how one of them ended, if one did.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        match self.watches.try_join_next() {
            None => Ok(()),
            Some(ended) => Err(format!("a watch ended: {}", ended?).into()),
        }
    }
}
