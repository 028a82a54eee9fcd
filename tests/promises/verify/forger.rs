//! Somebody who has the data directory, the signing key and all the time in the world, and rewrites
//! history so that every checksum, every root and every signature fits.

use std::{fs, path::Path};

use prost::Message as _;
use strata::{
    backup::{Header, encode::Encoder},
    journal::{Entry, LogId},
    merkle::Frontier,
    proto::{Commit, LogEntry, event},
};

use super::stratad;

/// A history in the forger's hands.
pub(crate) type History = Vec<Commit>;

/// The commits of a log.
pub(crate) fn history(log: &[LogEntry]) -> History {
    let commits = log.iter().map(LogEntry::decode_commit);
    commits.map(|commit| commit.expect("a commit")).collect()
}

/// Writes a history as a backup of the log, as a daemon would.
pub(crate) fn write_backup(log_id: LogId, history: &History, file: &Path) {
    let header = Header {
        log_id,
        before: Frontier::default(),
        made_at_seconds: 1_700_000_000,
    };
    let entries: Vec<Entry> = history
        .iter()
        .zip(1..)
        .map(|(commit, position)| Entry {
            position,
            commit: commit.encode_to_vec().into(),
        })
        .collect();
    let (mut encoder, mut bytes) = {
        let (encoder, begun) = Encoder::begin(&header);
        (encoder, begun.to_vec())
    };
    let mut rest = entries.as_slice();
    while !rest.is_empty() {
        bytes.extend(encoder.commits(&mut rest));
    }
    bytes.extend(encoder.end());
    fs::write(file, bytes).expect("written");
}

/// Makes a data directory of a history: values with their checksums, a high-water mark of the new root,
/// the old key, and no view, which the daemon then makes of what it finds.
pub(crate) fn write_directory(original: &Path, log_id: LogId, history: &History, dir: &Path) {
    let file = dir.with_extension("forged");
    write_backup(log_id, history, &file);
    let file = file.to_str().expect("a path in UTF-8");
    let dir_name = dir.to_str().expect("a path in UTF-8");
    let restored = stratad(&["restore", file, "--data-dir", dir_name]);
    assert_eq!(restored.status, 0, "{restored:?}");
    fs::copy(original.join("signing-key"), dir.join("signing-key")).expect("copied");
}

/// The text of a commit that records a note.
pub(crate) fn text_of(commit: &mut Commit) -> &mut String {
    match commit.events[0].kind.as_mut() {
        Some(event::Kind::NoteRecorded(noted)) => &mut noted.text,
        other => panic!("no note: {other:?}"),
    }
}

/// Changes the last byte of the value that begins at a position, by the storage engine itself.
pub(crate) fn change_value(dir: &Path, position: u64) {
    let config = sled::Config::default().path(dir.join("journal"));
    let journal = config.segment_size(8 << 20).open().expect("opened");
    let key = position.to_be_bytes();
    let mut value = journal.get(key).expect("read").expect("a value").to_vec();
    *value.last_mut().expect("not empty") ^= 1;
    journal.insert(key, value).expect("written");
    journal.flush().expect("flushed");
}
