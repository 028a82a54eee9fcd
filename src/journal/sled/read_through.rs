//! Reads the log's file before sled does. sled takes a segment that it cannot read for one that was
//! never written, and writes zeros over it: an error of the disk that may be gone the next time would
//! cost the end of the log. So the error is met here, where nothing is written, and what was read
//! stays in the system's memory, from where sled gets it a moment later.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::super::{JournalError, io_error};

/// How much is read at a time, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// Refuses a file of which a part cannot be read.
pub(super) fn check(path: &Path) -> Result<(), JournalError> {
    let db = path.join("db");
    read_all(&db).map_err(io_error(format!("reading {}", db.display())))
}

fn read_all(path: &Path) -> io::Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        // Whether it may be missing is looked at elsewhere.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut at = 0;
    loop {
        match file.read_at(&mut chunk, at) {
            Ok(0) => return Ok(()),
            Ok(read) => at += read as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_to_its_end_and_one_that_cannot_be_read_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        check(dir.path()).expect("nothing to read");
        std::fs::write(dir.path().join("db"), vec![1; CHUNK_BYTES + 1]).expect("written");
        check(dir.path()).expect("readable");
        std::fs::remove_file(dir.path().join("db")).expect("removed");
        std::fs::create_dir(dir.path().join("db")).expect("created");
        let refusal = check(dir.path()).expect_err("a directory has no bytes");
        assert!(matches!(refusal, JournalError::Io { .. }), "{refusal}");
    }
}
