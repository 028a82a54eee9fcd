//! What is looked at before sled opens its files. sled takes some damage for the end of its log
//! and writes over what it did not understand, so that what can be refused is refused before.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::super::{JournalError, io_error};
use super::SEGMENT_BYTES;

/// Refuses files that sled would misread, and removes what would keep it from opening.
pub(super) fn check(path: &Path) -> Result<(), JournalError> {
    check_conf(&path.join("conf"))?;
    check_segments(&path.join("db"))?;
    refuse_blobs(path)?;
    remove_torn_snapshots(path)
}

/// sled writes values to files of their own when they are too large for it, and never syncs those.
/// None of ours is; one that is there was not written by us, or not to be relied on.
pub(super) fn refuse_blobs(path: &Path) -> Result<(), JournalError> {
    let blobs = path.join("blobs");
    let mut found = match fs::read_dir(&blobs) {
        Ok(found) => found,
        // sled makes the directory when it opens.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io_error(format!("reading {}", blobs.display()))(e)),
    };
    match found.next() {
        None => Ok(()),
        Some(_) => Err(damaged(&blobs, "holds files, and should be empty")),
    }
}

/// sled only warns of a wrong checksum here, and believes what it reads; and a missing file it
/// writes anew.
fn check_conf(conf: &Path) -> Result<(), JournalError> {
    let expected =
        format!("segment_size: {SEGMENT_BYTES}\nuse_compression: false\nversion: 0.34\n");
    let checksum_bytes = 4;
    let mut bytes = Vec::new();
    open(conf)?
        .take(4096)
        .read_to_end(&mut bytes)
        .map_err(io_error(format!("reading {}", conf.display())))?;
    if bytes.starts_with(expected.as_bytes()) && bytes.len() == expected.len() + checksum_bytes {
        Ok(())
    } else {
        Err(damaged(conf, "is not what was written"))
    }
}

/// The place for checks of sled's segments. A file that is gone or empty would be taken for a new
/// log.
fn check_segments(db: &Path) -> Result<(), JournalError> {
    let length = open(db)?
        .metadata()
        .map_err(io_error(format!("reading {}", db.display())))?
        .len();
    if length == 0 {
        Err(damaged(db, "is empty"))
    } else {
        Ok(())
    }
}

/// A snapshot that was being written when the process died is half there; sled would read it as
/// a damaged one. It is a cache, and made again.
fn remove_torn_snapshots(path: &Path) -> Result<(), JournalError> {
    let failed = || io_error(format!("removing torn snapshots of {}", path.display()));
    for entry in fs::read_dir(path).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path()).map_err(failed())?;
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<File, JournalError> {
    match File::open(path) {
        Ok(file) => Ok(file),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(damaged(path, "is missing")),
        Err(e) => Err(io_error(format!("opening {}", path.display()))(e)),
    }
}

fn damaged(path: &Path, what: &str) -> JournalError {
    JournalError::Damaged {
        what: format!("{} {what}", path.display()),
        position: None,
    }
}
