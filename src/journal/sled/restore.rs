//! Making a log from a backup: a log of a given name that is appended to like any other, and that
//! nobody opens before it was read back and found whole.

use std::path::Path;

use super::super::{home::Home, space};
use super::{JournalError, LogId, SledJournal, SledOptions, create};

impl SledJournal {
    /// Refuses a directory that holds anything but an interrupted restore. It touches nothing.
    pub fn refuse_restore(dir: &Path) -> Result<(), JournalError> {
        Home::refuse_restore(dir)
    }

    /// Creates the log `log_id` in a directory that is missing or empty, or whose restore was
    /// interrupted: what that has left is thrown away. [`open`](Self::open) refuses the directory
    /// until [`end_restore`](Self::end_restore).
    ///
    /// `bytes` is about how long its commits are together. With less room on the disk nothing is
    /// touched.
    pub fn restore(
        dir: &Path,
        log_id: LogId,
        bytes: u64,
        options: SledOptions,
    ) -> Result<Self, JournalError> {
        Home::refuse_restore(dir)?;
        space::check_restore(dir, bytes)?;
        let home = Home::restore(dir, log_id, |path| create(path, options))?;
        Self::open_home(home, options)
    }

    /// Opens a log that is being restored and was closed, to read it back.
    pub fn reopen_restored(dir: &Path, options: SledOptions) -> Result<Self, JournalError> {
        Self::open_home(Home::reopen_restored(dir)?, options)
    }

    /// Closes a restored log and then says that it is whole: from now on it is a log like any other.
    /// One that cannot be closed well is not served.
    pub fn end_restore(self) -> Result<(), JournalError> {
        let held = self.close_holding()?.ok_or(JournalError::Closed)?;
        held.home.end_restore()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Journal as _;

    const LOG: LogId = LogId::from_bytes([7; 16]);

    #[test]
    fn a_restored_log_that_cannot_be_closed_is_not_served() {
        let parent = tempfile::tempdir().expect("a directory");
        let dir = parent.path().join("data");
        let options = SledOptions::default();
        let journal = SledJournal::restore(&dir, LOG, 0, options).expect("restored");
        journal.append(0, 0, &["a".into()]).expect("appended");
        // Given a disk that fails at the last sync, as syncing this device does.
        let failing = std::fs::File::open("/dev/null").expect("a device");
        journal.writer().open.as_mut().expect("open").file = failing;
        let failed = journal.end_restore().expect_err("it cannot be synced");
        assert!(matches!(failed, JournalError::Io { .. }), "{failed}");
        let refused = SledJournal::open(&dir, options).err();
        assert!(
            matches!(refused, Some(JournalError::Restoring { .. })),
            "{refused:?}"
        );
        // It is done again, and then it is served.
        let journal = SledJournal::restore(&dir, LOG, 0, options).expect("restored");
        journal.end_restore().expect("ended");
        SledJournal::open(&dir, options).expect("whole");
    }

    #[test]
    fn a_log_without_room_is_not_begun() {
        let parent = tempfile::tempdir().expect("a directory");
        let dir = parent.path().join("data");
        let refused = SledJournal::restore(&dir, LOG, u64::MAX, SledOptions::default()).err();
        assert!(
            matches!(refused, Some(JournalError::NoRoom { .. })),
            "{refused:?}"
        );
        assert!(!dir.exists());
    }
}
