//! Which sync of the disk is under way, and since when, so that somebody else can see one that does
//! not return: the thread that waits for it cannot say so.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Syncing;

/// The syncs of one file, one at a time.
pub(super) struct UnderWay {
    file: PathBuf,
    since: Mutex<Option<Instant>>,
}

/// A sync under way, until this is dropped.
pub(super) struct Begun<'a>(&'a UnderWay);

impl UnderWay {
    pub(super) const fn new(file: PathBuf) -> Self {
        Self {
            file,
            since: Mutex::new(None),
        }
    }

    /// Notes that one begins.
    pub(super) fn begin(&self) -> Begun<'_> {
        *self.since() = Some(Instant::now());
        Begun(self)
    }

    /// The one that is under way.
    pub(super) fn syncing(&self) -> Option<Syncing> {
        let since = (*self.since())?;
        Some(Syncing {
            file: self.file.clone(),
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
        assert_eq!(syncing.file, PathBuf::from("db"));
        assert!(syncing.since <= Instant::now());
        drop(begun);
        assert!(syncs.syncing().is_none());
    }
}
