//! What goes to the disk, and the room that is taken there. The system also counts what each process writes, but by the
//! pages that a write makes due, which it takes together in pieces of up to a megabyte of which only a few blocks are
//! written: so the disk itself is asked, and it says what all of the machine gave it.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Command,
};

use crate::contender::Failure;

/// In the unit in which Linux counts blocks and sectors.
const SECTOR_BYTES: u64 = 512;

/// What one left to be written later is written now, so that it is not paid by the next.
pub(crate) fn flush(dir: &Path) -> Result<(), Failure> {
    let status = Command::new("sync").arg("-f").arg(dir).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("sync ended with {status}").into())
    }
}

/// How much the disk of a directory was given to write so far; none if it has no disk of its own to ask.
pub(crate) fn written_bytes(dir: &Path) -> Option<u64> {
    let device = fs::metadata(dir).ok()?.dev();
    let (major, minor) = (
        (device >> 8) & 0xfff | (device >> 32) & !0xfff,
        device & 0xff | (device >> 12) & !0xff,
    );
    let stat = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    let sectors: u64 = stat.split_whitespace().nth(6)?.parse().ok()?;
    Some(sectors * SECTOR_BYTES)
}

/// How much of the disk a file or a directory takes.
pub(crate) fn taken_bytes(path: &Path) -> Result<u64, Failure> {
    let metadata = fs::symlink_metadata(path)?;
    let mut bytes = metadata.blocks() * SECTOR_BYTES;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            // A file may be gone since.
            bytes += taken_bytes(&entry?.path()).unwrap_or_default();
        }
    }
    Ok(bytes)
}

/// Lets others look into a directory: `PostgreSQL` is run as somebody else.
pub(crate) fn let_others_in(dir: &Path) -> Result<(), Failure> {
    Ok(fs::set_permissions(dir, Permissions::from_mode(0o755))?)
}
