//! A data directory into which a backup is restored. RESTORING is durable before anything else is
//! there and goes when the log was read back whole, so that half a log is never taken for a log; what
//! stands beside it may be thrown away and made again.

use std::fs;
use std::io;
use std::path::Path;

use super::{Home, JournalError, LogId, create, exists, lock, read_format, remove, sync_parent};
use crate::journal::io_error;

const RESTORING: &str = "RESTORING";

/// What a directory may hold into which a backup is restored: what this process makes first, what a
/// new file system brings, and the key, which is restored by itself.
const MAY_STAND: [&str; 3] = ["LOCK", "lost+found", "signing-key"];

/// What an interrupted restore may have left.
const REMAINS: [&str; 6] = [
    "CREATING",
    "FORMAT.new",
    "FORMAT",
    "high-water",
    "journal",
    "view",
];

impl Home {
    /// Takes hold of a directory that [may be restored into](Self::refuse_restore), throws away what
    /// an interrupted restore has left there, and creates a log of the name that is given. Until
    /// [`end_restore`](Self::end_restore) it is not opened by anybody else.
    pub(in crate::journal) fn restore(
        dir: &Path,
        log_id: LogId,
        create_log: impl FnOnce(&Path) -> Result<(), JournalError>,
    ) -> Result<Self, JournalError> {
        Self::refuse_restore(dir)?;
        fs::create_dir_all(dir).map_err(io_error(format!(
            "creating the directory {}",
            dir.display()
        )))?;
        let lock = lock(dir)?;
        // A daemon may have made a log there meanwhile.
        Self::refuse_restore(dir)?;
        super::write_whole(
            &dir.join(RESTORING),
            b"a backup is being restored into this directory\n",
        )?;
        super::sync_dir(dir)?;
        sync_parent(dir)?;
        for name in REMAINS {
            discard(&dir.join(name))?;
        }
        let log_id = create(dir, log_id, create_log)?;
        Ok(Self {
            dir: dir.to_owned(),
            _lock: lock,
            log_id,
        })
    }

    /// Takes hold of a directory that is being restored, to read it back.
    pub(in crate::journal) fn reopen_restored(dir: &Path) -> Result<Self, JournalError> {
        let lock = lock(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            _lock: lock,
            log_id: read_format(dir)?,
        })
    }

    /// Says that the log is whole.
    pub(in crate::journal) fn end_restore(&self) -> Result<(), JournalError> {
        remove(&self.dir, RESTORING)
    }

    /// Refuses a directory that holds anything but an interrupted restore. It touches nothing.
    pub(in crate::journal) fn refuse_restore(dir: &Path) -> Result<(), JournalError> {
        let failed = || io_error(format!("reading the directory {}", dir.display()));
        let entries = match fs::read_dir(dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed())?,
        };
        let restoring = exists(dir, RESTORING)?;
        for entry in entries {
            let name = entry.map_err(failed())?.file_name();
            let name = name.to_string_lossy();
            let is_ours = |names: &[&str]| names.contains(&name.as_ref());
            let is_left = restoring && (name == RESTORING || is_ours(&REMAINS));
            if !is_ours(&MAY_STAND) && !is_left {
                return Err(JournalError::NotEmpty {
                    dir: dir.to_owned(),
                    found: name.into_owned(),
                });
            }
        }
        Ok(())
    }
}

/// Refuses a directory whose restore has not ended.
pub(super) fn refuse(dir: &Path) -> Result<(), JournalError> {
    if exists(dir, RESTORING)? {
        return Err(JournalError::Restoring {
            dir: dir.to_owned(),
        });
    }
    Ok(())
}

fn discard(path: &Path) -> Result<(), JournalError> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error(format!(
            "removing {}, which an interrupted restore has left",
            path.display()
        ))(e)),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make_log(path: &Path) -> Result<(), JournalError> {
        fs::create_dir(path).map_err(io_error("creating the log"))
    }

    fn restore(dir: &Path) -> Result<Home, JournalError> {
        Home::restore(dir, LogId::from_bytes([7; 16]), make_log)
    }

    #[test]
    fn a_restored_directory_has_the_id_it_was_given_and_opens_once_the_restore_ended() {
        let parent = tempfile::tempdir().expect("a directory");
        let dir = parent.path().join("data");
        let home = restore(&dir).expect("a missing directory is restored into");
        assert_eq!(home.log_id(), LogId::from_bytes([7; 16]));
        drop(home);
        let refused = Home::open(&dir, make_log).expect_err("the restore has not ended");
        assert!(matches!(refused, JournalError::Restoring { .. }));
        assert!(refused.to_string().contains("stratad restore"), "{refused}");

        let again = Home::reopen_restored(&dir).expect("it is read back");
        again.end_restore().expect("ended");
        drop(again);
        let home = Home::open(&dir, make_log).expect("it opens");
        assert_eq!(home.log_id(), LogId::from_bytes([7; 16]));
    }

    #[test]
    fn an_interrupted_restore_is_begun_anew_whatever_it_has_left() {
        let whole = tempfile::tempdir().expect("a directory");
        drop(restore(whole.path()).expect("restored"));
        for cut in 0..=REMAINS.len() {
            let dir = tempfile::tempdir().expect("a directory");
            fs::write(dir.path().join(RESTORING), "").expect("written");
            fs::write(dir.path().join("LOCK"), "").expect("written");
            for name in &REMAINS[..cut] {
                let path = dir.path().join(name);
                if ["journal", "view"].contains(name) {
                    fs::create_dir_all(path.join("below")).expect("created");
                } else {
                    fs::write(path, "torn").expect("written");
                }
            }
            let home = restore(dir.path()).expect("restored again");
            assert!(!dir.path().join("view").exists());
            assert!(!dir.path().join("journal/below").exists());
            home.end_restore().expect("ended");
        }
    }

    #[test]
    fn a_directory_that_holds_something_is_not_restored_into() {
        for name in ["journal", "FORMAT", "high-water", "letters.txt"] {
            let dir = tempfile::tempdir().expect("a directory");
            fs::write(dir.path().join(name), "").expect("written");
            let refused = restore(dir.path()).expect_err("it is not empty");
            assert!(matches!(&refused, JournalError::NotEmpty { found, .. } if found == name));
            let count = fs::read_dir(dir.path()).expect("a directory").count();
            assert_eq!(count, 1, "nothing was made there");
        }
        // Beside an interrupted restore, too.
        let dir = tempfile::tempdir().expect("a directory");
        for name in [RESTORING, "FORMAT", "letters.txt"] {
            fs::write(dir.path().join(name), "").expect("written");
        }
        assert!(matches!(
            restore(dir.path()),
            Err(JournalError::NotEmpty { found, .. }) if found == "letters.txt"
        ));
        assert!(dir.path().join("FORMAT").exists());
    }

    #[test]
    fn a_new_file_system_and_a_restored_key_are_no_hindrance() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("lost+found")).expect("created");
        fs::write(dir.path().join("signing-key"), "secret").expect("written");
        let home = restore(dir.path()).expect("restored");
        home.end_restore().expect("ended");
        let kept = fs::read(dir.path().join("signing-key")).expect("it is there");
        assert_eq!(kept, b"secret");
    }
}
