//! A data directory that is only looked at: held so that no daemon opens it meanwhile, with nothing
//! written, so that it may lie on a medium that cannot be written to.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use super::{JournalError, LogId, exists, held_by_another, io_error, read_format, restoring};

/// Takes hold of a directory without writing to it; nothing is held if none ever held it.
pub(in crate::journal) fn hold(dir: &Path) -> Result<Option<File>, JournalError> {
    let path = dir.join("LOCK");
    let failed = || io_error(format!("locking {}", path.display()));
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed()(e)),
    };
    match super::wait_for_lock(&lock) {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Err(held_by_another(dir, &lock)),
        Err(TryLockError::Error(source)) => Err(failed()(source)),
    }
}

/// Refuses a directory whose restore has not ended: what is in it was never acknowledged.
pub(in crate::journal) fn refuse_restoring(dir: &Path) -> Result<(), JournalError> {
    restoring::refuse(dir)
}

/// Which log is in a directory.
pub(in crate::journal) fn log_id(dir: &Path) -> Result<LogId, JournalError> {
    if exists(dir, "FORMAT")? {
        return read_format(dir);
    }
    let holds = ["journal", "high-water", "view"];
    let found = holds.into_iter().find(|name| dir.join(name).exists());
    Err(JournalError::NoFormat {
        dir: dir.to_owned(),
        found: found.unwrap_or("nothing"),
    })
}
