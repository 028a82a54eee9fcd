//! Making a log from a backup: a log of a given name that is appended to like any other, and that
//! nobody opens before it was read back and found whole.

use std::path::Path;

use super::super::home::Home;
use super::{JournalError, LogId, SledJournal, SledOptions, create};

impl SledJournal {
    /// Refuses a directory that holds anything but an interrupted restore. It touches nothing.
    pub fn refuse_restore(dir: &Path) -> Result<(), JournalError> {
        Home::refuse_restore(dir)
    }

    /// Creates the log `log_id` in a directory that is missing or empty, or whose restore was
    /// interrupted: what that has left is thrown away. [`open`](Self::open) refuses the directory
    /// until [`end_restore`](Self::end_restore).
    pub fn restore(dir: &Path, log_id: LogId, options: SledOptions) -> Result<Self, JournalError> {
        let home = Home::restore(dir, log_id, |path| create(path, options))?;
        Self::open_home(home, options)
    }

    /// Opens a log that is being restored and was closed, to read it back.
    pub fn reopen_restored(dir: &Path, options: SledOptions) -> Result<Self, JournalError> {
        Self::open_home(Home::reopen_restored(dir)?, options)
    }

    /// Says that a restored log is whole: from now on it is a log like any other.
    pub fn end_restore(&self) -> Result<(), JournalError> {
        let writer = self.writer();
        let held = writer.open.as_ref().ok_or(JournalError::Closed)?;
        held.home.end_restore()
    }
}
