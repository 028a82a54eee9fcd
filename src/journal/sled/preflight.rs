//! What is looked at before sled opens its files. sled takes some damage for the end of its log
//! and writes over what it did not understand, so that what can be refused is refused before: its
//! recovery is done over again without writing, and must lead to what was acknowledged.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::super::{JournalError, io_error, pack};
use super::SEGMENT_BYTES;
use messages::SEGMENT_HEADER_BYTES;
use pages::Snapshot;
use recovery::{Refusal, Segment};
use tree::Fault;

mod messages;
mod pages;
mod read_through;
mod recovery;
mod tree;
pub(super) mod whole;

/// Refuses files that sled would misread, and removes what would keep it from opening. Returns the
/// position at which the log ends; it is not below `marked`.
pub(super) fn check(path: &Path, marked: u64) -> Result<u64, JournalError> {
    check_conf(&path.join("conf"))?;
    refuse_blobs(path)?;
    let db = path.join("db");
    let file = open(&db)?;
    let headers = segments(&file, &db)?;
    let snapshots = snapshots(path)?;
    let newest = snapshots.last().map(|newest| {
        Snapshot::read(newest).map_err(io_error(format!("reading {}", newest.display())))
    });
    let snapshot = newest.transpose()?.flatten();
    let read = |begin| {
        let read = read_through::check(&file, &headers.whole, begin);
        read.map_err(io_error(format!("reading {}", db.display())))
    };
    read(snapshot.as_ref().map_or(0, Snapshot::segment))?;
    let found = match recovery::find(&file, &headers.whole, snapshot, marked) {
        Ok(found) => Ok(found),
        Err(Fault::Flaw(refusal)) => Err(refusal),
        Err(Fault::Io(error)) => {
            return Err(io_error(format!("reading {}", db.display()))(error));
        }
    };
    if let Some(start) = headers.damaged {
        return Err(damaged_header(&db, start));
    }
    let found = found.map_err(|refusal| refused(&db, refusal, marked))?;
    if !found.snapshot && !snapshots.is_empty() {
        read(0)?;
        tracing::warn!("the storage engine's snapshot is damaged; the start is slower without it");
        remove(&snapshots)?;
    }
    remove(&torn_snapshots(path)?)?;
    Ok(found.head)
}

/// The words for a file that sled must not open.
fn refused(db: &Path, refusal: Refusal, marked: u64) -> JournalError {
    let Refusal { whole, flaw } = refusal;
    let Some(flaw) = flaw else {
        return JournalError::Shorter {
            head: whole,
            marked,
        };
    };
    let (db, what) = (db.display(), flaw.what);
    if flaw.position > marked && whole >= marked {
        // There need not have been a commit at that position.
        return JournalError::Damaged {
            what: format!(
                "{db}: behind position {marked}, the last that was acknowledged: {what}; nothing was \
                 written to it"
            ),
            position: None,
        };
    }
    JournalError::Damaged {
        what: format!("{db}: {what}; nothing was written to it"),
        position: Some(flaw.position),
    }
}

fn damaged_header(db: &Path, start: u64) -> JournalError {
    let what = format!("has a damaged segment header at byte {start}; nothing was written to it");
    damaged(db, &what)
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

/// The segments of the file by their headers.
struct Headers {
    whole: Vec<Segment>,
    /// Where a header begins that is not what was written.
    damaged: Option<u64>,
}

/// sled skips a segment whose header it cannot read, and may then take what comes before it for
/// the end of the log and write over the rest. An empty file it takes for a new log.
fn segments(file: &File, db: &Path) -> Result<Headers, JournalError> {
    let failed = || io_error(format!("reading {}", db.display()));
    let length = file.metadata().map_err(failed())?.len();
    let mut headers = Headers {
        whole: Vec::new(),
        damaged: None,
    };
    let mut seen = HashSet::new();
    // A header that is cut off by the end of the file was never whole.
    let starts = (0..length.saturating_sub(SEGMENT_HEADER_BYTES as u64 - 1)).step_by(SEGMENT_BYTES);
    for start in starts {
        let mut header = [0; SEGMENT_HEADER_BYTES];
        file.read_exact_at(&mut header, start).map_err(failed())?;
        if header == [0; SEGMENT_HEADER_BYTES] {
            // Not yet written, or cleared by sled when it recovered.
            continue;
        }
        match segment(&header, start) {
            // Two of the same place in the log make sled panic.
            Some(segment) if seen.insert(segment.lsn) => headers.whole.push(segment),
            Some(_) | None => headers.damaged = headers.damaged.or(Some(start)),
        }
    }
    if headers.whole.is_empty() && headers.damaged.is_none() {
        return Err(damaged(db, "holds no log"));
    }
    Ok(headers)
}

/// crc32 u32 | log sequence number i64 | stable number i64; little-endian, all inverted. The log
/// sequence number of a header counts bytes, in whole segments.
fn segment(header: &[u8; SEGMENT_HEADER_BYTES], offset: u64) -> Option<Segment> {
    let (crc, numbers) = header.split_first_chunk()?;
    let number = |bytes: &[u8]| {
        let bytes = bytes.first_chunk()?;
        u64::try_from(i64::from_le_bytes(*bytes) ^ i64::MAX).ok()
    };
    let lsn = number(numbers)?;
    let whole = u32::from_le_bytes(*crc) == !crc32fast::hash(numbers)
        && lsn.is_multiple_of(SEGMENT_BYTES as u64);
    whole.then(|| Segment {
        lsn,
        // Nothing was stable before the first.
        stable: numbers.get(8..).and_then(number),
        offset,
    })
}

/// What sled wrote to start faster, the newest last.
pub(super) fn snapshots(path: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let mut found = named_snap(path)?;
    found.retain(|path| path.extension().is_none_or(|end| end != "generating"));
    found.sort();
    Ok(found)
}

/// A snapshot that was being written when the process died is half there; sled would read it as
/// a damaged one. It is a cache, and made again.
fn torn_snapshots(path: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let mut found = named_snap(path)?;
    found.retain(|path| path.extension().is_some_and(|end| end == "generating"));
    Ok(found)
}

fn named_snap(path: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let failed = || io_error(format!("reading {}", path.display()));
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn remove(files: &[PathBuf]) -> Result<(), JournalError> {
    for path in files {
        fs::remove_file(path).map_err(io_error(format!("removing {}", path.display())))?;
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
