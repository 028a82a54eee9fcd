//! What is looked at before sled opens its files. sled takes some damage for the end of its log
//! and writes over what it did not understand, so that what can be refused is refused before.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::super::{JournalError, io_error};
use super::SEGMENT_BYTES;

/// The header of one of sled's segments, in bytes.
const HEADER_BYTES: usize = 20;

/// Refuses files that sled would misread, and removes what would keep it from opening.
pub(super) fn check(path: &Path) -> Result<(), JournalError> {
    check_conf(&path.join("conf"))?;
    check_segments(path)?;
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

/// sled skips a segment whose header it cannot read, and may then take what comes before it for
/// the end of the log and write over the rest. An empty file it takes for a new log.
fn check_segments(path: &Path) -> Result<(), JournalError> {
    let db = path.join("db");
    let failed = || io_error(format!("reading {}", db.display()));
    let file = open(&db)?;
    let length = file.metadata().map_err(failed())?.len();
    let mut newest = None;
    // A header that is cut off by the end of the file was never whole.
    let starts = (0..length.saturating_sub(HEADER_BYTES as u64 - 1)).step_by(SEGMENT_BYTES);
    for start in starts {
        let mut header = [0; HEADER_BYTES];
        file.read_exact_at(&mut header, start).map_err(failed())?;
        if header == [0; HEADER_BYTES] {
            // Not yet written, or cleared by sled when it recovered.
            continue;
        }
        let Some(segment) = segment_number(&header) else {
            return Err(damaged(
                &db,
                &format!("has a damaged segment header at byte {start}"),
            ));
        };
        newest = newest.max(Some(segment));
    }
    if newest.is_none() || newest < newest_snapshot(path)? {
        return Err(damaged(&db, "has lost its newest segment"));
    }
    Ok(())
}

/// crc32 u32 | log sequence number i64 | stable number i64; little-endian, all inverted. The log
/// sequence number of a header counts bytes, in whole segments.
fn segment_number(header: &[u8; HEADER_BYTES]) -> Option<u64> {
    let (crc, rest) = header.split_first_chunk()?;
    let lsn = u64::from_le_bytes(*rest.first_chunk()?) ^ i64::MAX.cast_unsigned();
    let segment_bytes = SEGMENT_BYTES as u64;
    let whole = u32::from_le_bytes(*crc) == !crc32(rest)
        && lsn <= i64::MAX.cast_unsigned()
        && lsn.is_multiple_of(segment_bytes);
    whole.then_some(lsn / segment_bytes)
}

/// The checksum of zip and Ethernet, which sled uses. Few bytes go through it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 }
        })
    })
}

/// The segment in which the log ended when sled wrote its last snapshot, which is named after the
/// end. Nothing if the end lay between two segments, for then the next may not be there yet.
fn newest_snapshot(path: &Path) -> Result<Option<u64>, JournalError> {
    let failed = || io_error(format!("reading {}", path.display()));
    let mut newest = None;
    for entry in fs::read_dir(path).map_err(failed())? {
        let name = entry.map_err(failed())?.file_name();
        let end = name.to_str().and_then(|name| name.strip_prefix("snap."));
        newest = newest.max(end.and_then(|end| u64::from_str_radix(end, 16).ok()));
    }
    let segment_bytes = SEGMENT_BYTES as u64;
    Ok(newest
        .filter(|end| !end.is_multiple_of(segment_bytes))
        .map(|end| end / segment_bytes))
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
