//! Where the segments of a log lie in its file. The storage engine writes segments anew once their
//! pages have moved; a test of damage to such a log asks here whether it has one.

use std::{fs, path::Path};

const SEGMENT_BYTES: usize = 8 << 20;

/// How many segments are not where a log would have them that was only ever added to.
pub(crate) fn reused(db: &Path) -> usize {
    let bytes = fs::read(db).expect("a file");
    let starts = (0_i64..).step_by(SEGMENT_BYTES);
    let segments = bytes.chunks(SEGMENT_BYTES).zip(starts);
    let moved = segments.filter(|(segment, start)| {
        let header = segment.get(..20).unwrap_or_default();
        let number = header.get(4..12).and_then(|bytes| bytes.try_into().ok());
        // The place in the log, inverted; zeros where the segment is free.
        let lsn = number.map(|bytes| i64::from_le_bytes(bytes) ^ i64::MAX);
        header.iter().any(|byte| *byte != 0) && lsn != Some(*start)
    });
    moved.count()
}
