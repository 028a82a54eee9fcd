//! What a thread waits for on the disk, and since when, so that somebody else can see what does not
//! return: the thread that waits for it cannot say so.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Syncing;

/// What is written to one file, or done on the disk under one name, one at a time.
pub struct UnderWay {
    what: PathBuf,
    since: Mutex<Option<Instant>>,
}

/// Something under way, until this is dropped.
pub struct Begun<'a>(&'a UnderWay);

impl UnderWay {
    /// Nothing under way yet of a file, or of what has a name and no file.
    #[must_use]
    pub const fn new(what: PathBuf) -> Self {
        Self {
            what,
            since: Mutex::new(None),
        }
    }

    /// Notes that one begins.
    #[must_use]
    pub fn begin(&self) -> Begun<'_> {
        *self.since() = Some(Instant::now());
        Begun(self)
    }

    /// The one that is under way.
    #[must_use]
    pub fn syncing(&self) -> Option<Syncing> {
        let since = (*self.since())?;
        Some(Syncing {
            what: self.what.clone(),
            since,
        })
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        *self.0.since() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_is_under_way_from_its_beginning_to_its_end() {
        let syncs = UnderWay::new("db".into());
        assert!(syncs.syncing().is_none());
        let begun = syncs.begin();
        let syncing = syncs.syncing().expect("under way");
        assert_eq!(syncing.what, PathBuf::from("db"));
        assert!(syncing.since <= Instant::now());
        drop(begun);
        assert!(syncs.syncing().is_none());
    }
}
