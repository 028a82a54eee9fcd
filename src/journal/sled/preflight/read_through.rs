//! Reads segments before sled does. sled takes one that it cannot read for one that was never written,
//! and writes zeros over it: an error of the disk that may be gone the next time would cost the end of
//! the log. So the error is met here, where nothing is written, and what was read stays in the system's
//! memory, from where sled gets it a moment later.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::SEGMENT_BYTES;
use super::recovery::Segment;

/// How much is read at a time; nothing is kept.
const CHUNK_BYTES: usize = 1 << 20;

/// Reads the segments of the log from `begin` on, whatever is in them.
pub(super) fn check(file: &File, segments: &[Segment], begin: u64) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    for segment in segments.iter().filter(|segment| segment.lsn >= begin) {
        let end = segment.offset + SEGMENT_BYTES as u64;
        let mut at = segment.offset;
        while at < end {
            match file.read_at(&mut chunk, at) {
                Ok(0) => break,
                Ok(read) => at += read as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_an_error_and_what_is_older_is_not_looked_at() {
        let dir = tempfile::tempdir().expect("a directory");
        let segments = [0, SEGMENT_BYTES as u64].map(|lsn| Segment {
            lsn,
            stable: None,
            offset: lsn,
        });
        // A directory opens like a file, and has no bytes.
        let unreadable = File::open(dir.path()).expect("opened");
        assert!(check(&unreadable, &segments, 0).is_err());
        assert!(check(&unreadable, &segments, 2 * SEGMENT_BYTES as u64).is_ok());

        let path = dir.path().join("db");
        std::fs::write(&path, vec![1; CHUNK_BYTES + 1]).expect("written");
        let file = File::open(&path).expect("opened");
        check(&file, &segments, 0).expect("read to its end");
    }
}
