//! Whether there is room enough to open a log. Opening writes: sled its snapshot, the view its
//! changes; and a disk that fills up meanwhile leaves torn files and words of sled's instead of ours.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::statvfs;

use super::{JournalError, io_error};

/// What must be free beyond twice sled's snapshots: a segment of 8 MiB for the log and one for the view.
const OPENING_BYTES: u64 = 16 << 20;

/// In what the system counts the room that a file takes.
const STAT_BLOCK_BYTES: u64 = 512;

/// Refuses a data directory on a disk that has too little room left. The directory need not exist
/// yet.
pub(super) fn check(dir: &Path) -> Result<(), JournalError> {
    let needed_bytes = needed_bytes(dir);
    refuse_below(dir, "opening the log", free_bytes(dir)?, needed_bytes)
}

/// What opening the log and the view may write.
fn needed_bytes(dir: &Path) -> u64 {
    let snapshots_bytes = ["journal", "view"].map(|it| snapshot_bytes(&dir.join(it)));
    OPENING_BYTES + 2 * snapshots_bytes.iter().sum::<u64>()
}

/// Refuses to restore a log of so many bytes on a disk that has too little room left. What an
/// interrupted restore has left is thrown away first.
pub(super) fn check_restore(dir: &Path, bytes: u64) -> Result<(), JournalError> {
    let left_bytes = ["journal", "view"].map(|it| size_bytes(&dir.join(it), "", on_disk_bytes));
    refuse_below(
        dir,
        "restoring the log",
        free_bytes(dir)?.saturating_add(left_bytes.iter().sum()),
        OPENING_BYTES.saturating_add(bytes),
    )
}

/// What this process may still use on the disk of a directory that need not exist yet.
fn free_bytes(dir: &Path) -> Result<u64, JournalError> {
    let existing = dir.ancestors().find(|path| path.exists());
    let existing = existing
        .filter(|path| !path.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let disk = statvfs(existing).map_err(|error| {
        io_error(format!("asking for room on {}", existing.display()))(error.into())
    })?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn refuse_below(
    dir: &Path,
    doing: &'static str,
    free_bytes: u64,
    needed_bytes: u64,
) -> Result<(), JournalError> {
    if free_bytes >= needed_bytes {
        return Ok(());
    }
    Err(JournalError::NoRoom {
        dir: dir.to_owned(),
        doing,
        free_bytes,
        needed_bytes,
    })
}

/// How large sled's snapshots are: it writes the next one before it removes the last. What cannot be
/// read is told by those who need it.
fn snapshot_bytes(log: &Path) -> u64 {
    size_bytes(log, "snap.", Metadata::len)
}

/// What the files of a directory of sled's come to whose names begin so.
fn size_bytes(dir: &Path, prefix: &str, size_of: impl Fn(&Metadata) -> u64) -> u64 {
    let Ok(files) = fs::read_dir(dir) else {
        return 0;
    };
    let counted = files
        .flatten()
        .filter(|file| file.file_name().to_string_lossy().starts_with(prefix));
    counted
        .filter_map(|file| Some(size_of(&file.metadata().ok()?)))
        .sum()
}

/// What comes free when a file is removed: less than it is long if it has holes.
fn on_disk_bytes(file: &Metadata) -> u64 {
    file.len().min(file.blocks() * STAT_BLOCK_BYTES)
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
        assert!(refuse_below(dir, "opening the log", 100, 100).is_ok());
        let refusal = refuse_below(dir, "opening the log", 99, 100).expect_err("refused");
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

    #[test]
    fn a_large_snapshot_of_the_view_needs_more_room_as_well() {
        let dir = tempfile::tempdir().expect("a directory");
        let view = dir.path().join("view");
        fs::create_dir(&view).expect("made");
        let before = needed_bytes(dir.path());
        fs::write(view.join("snap.1"), [0; 10]).expect("written");
        assert_eq!(needed_bytes(dir.path()), before + 20);
    }

    #[test]
    fn a_log_that_is_larger_than_the_disk_is_not_restored() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path().join("data");
        check_restore(&dir, 1 << 20).expect("room");
        let refusal = check_restore(&dir, u64::MAX).expect_err("refused");
        assert!(refusal.to_string().contains("restoring the log"));
    }
}
