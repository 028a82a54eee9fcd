//! Whether there is room enough to open a log. Opening writes: sled its snapshot, the view its
//! changes; and a disk that fills up meanwhile leaves torn files and words of sled's instead of ours.

use std::fs;
use std::path::Path;

use rustix::fs::statvfs;

use super::{JournalError, io_error};

/// What must be free beyond twice sled's snapshot: a segment of 8 MiB for the log and one for the view.
const OPENING_BYTES: u64 = 16 << 20;

/// Refuses a data directory on a disk that has too little room left. The directory need not exist
/// yet.
pub(super) fn check(dir: &Path) -> Result<(), JournalError> {
    let existing = dir.ancestors().find(|path| path.exists());
    let existing = existing
        .filter(|path| !path.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let disk = statvfs(existing).map_err(|error| {
        io_error(format!("asking for room on {}", existing.display()))(error.into())
    })?;
    refuse_below(
        dir,
        disk.f_bavail.saturating_mul(disk.f_frsize),
        OPENING_BYTES + 2 * snapshot_bytes(&dir.join("journal")),
    )
}

fn refuse_below(dir: &Path, free_bytes: u64, needed_bytes: u64) -> Result<(), JournalError> {
    if free_bytes >= needed_bytes {
        return Ok(());
    }
    Err(JournalError::NoRoom {
        dir: dir.to_owned(),
        free_bytes,
        needed_bytes,
    })
}

/// How large sled's snapshots are: it writes the next one before it removes the last. What cannot be
/// read is told by those who need it.
fn snapshot_bytes(log: &Path) -> u64 {
    let Ok(files) = fs::read_dir(log) else {
        return 0;
    };
    let snapshots = files
        .flatten()
        .filter(|file| file.file_name().to_string_lossy().starts_with("snap."));
    snapshots
        .filter_map(|file| Some(file.metadata().ok()?.len()))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_does_not_exist_yet_is_asked_for_by_its_parent() {
        let dir = tempfile::tempdir().expect("a directory");
        check(&dir.path().join("a/b/c")).expect("room");
        check(Path::new("surely-not-there")).expect("room");
    }

    #[test]
    fn too_little_room_is_refused_in_words() {
        let dir = Path::new("data");
        assert!(refuse_below(dir, 100, 100).is_ok());
        let refusal = refuse_below(dir, 99, 100).expect_err("refused");
        let said = refusal.to_string();
        assert!(said.contains("99 bytes") && said.contains("100"), "{said}");
    }

    #[test]
    fn a_large_snapshot_needs_more_room() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(snapshot_bytes(&dir.path().join("none")), 0);
        fs::write(dir.path().join("snap.1"), [0; 10]).expect("written");
        fs::write(dir.path().join("snap.2.generating"), [0; 5]).expect("written");
        fs::write(dir.path().join("db"), [0; 100]).expect("written");
        assert_eq!(snapshot_bytes(dir.path()), 15);
    }
}
