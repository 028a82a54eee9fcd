//! Bookmarks: where a watch resumes, and in which history. A bookmark holds the log's id, a position
//! and the hash of the commit there, so that a log which went another way since is noticed.

use tonic::Status;

use super::{Core, status::refuse};
use crate::{
    commit::{LeafHash, leaf_hash},
    journal::{JournalError, LogId},
    proto::ErrorReason,
    view::ViewError,
};

const VERSION: u8 = 1;
const BYTES: usize = 1 + 16 + 8 + 32;

/// A place in one history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bookmark {
    /// The log.
    pub log_id: LogId,
    /// Everything up to here was seen.
    pub position: u64,
    /// The hash of the commit there; zeros at position 0.
    pub leaf: LeafHash,
}

impl Bookmark {
    /// The bookmark of a position up to the head. Reads a disk.
    pub(super) fn at(core: &Core, position: u64) -> Result<Self, JournalError> {
        let log_id = core.journal.log_id();
        Ok(match core.journal.get(position)? {
            Some(commit) => Self::of(log_id, position, &commit),
            None => Self {
                log_id,
                position,
                leaf: [0; 32],
            },
        })
    }

    /// The bookmark of a position whose commit is at hand.
    pub(super) fn of(log_id: LogId, position: u64, commit: &[u8]) -> Self {
        Self {
            log_id,
            position,
            leaf: leaf_hash(commit),
        }
    }

    /// Its published form.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(self.log_id.as_bytes());
        bytes.extend_from_slice(&self.position.to_be_bytes());
        bytes.extend_from_slice(&self.leaf);
        bytes
    }

    /// Reads the published form.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (log_id, rest) = rest.split_first_chunk()?;
        let (position, rest) = rest.split_first_chunk()?;
        let (leaf, rest) = rest.split_first_chunk()?;
        (*version == VERSION && rest.is_empty()).then(|| Self {
            log_id: LogId::from_bytes(*log_id),
            position: u64::from_be_bytes(*position),
            leaf: *leaf,
        })
    }
}

/// The position a bookmark stands at, if this log confirms it.
pub(super) async fn confirm(
    core: &std::sync::Arc<Core>,
    bookmark: Bookmark,
) -> Result<u64, Status> {
    if bookmark.log_id != core.journal.log_id() || bookmark.position > core.feed.head() {
        return Err(diverged());
    }
    let reader = core.clone();
    let here =
        super::blocking(move || Bookmark::at(&reader, bookmark.position).map_err(ViewError::from))
            .await?;
    if here == bookmark {
        Ok(bookmark.position)
    } else {
        Err(diverged())
    }
}

fn diverged() -> Status {
    refuse(
        ErrorReason::LogDiverged,
        "The bookmark is of another history than this log's: read the log again from the start.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bookmark_is_the_same_for_ever() {
        let bookmark = Bookmark {
            log_id: LogId::from_bytes([7; 16]),
            position: 258,
            leaf: [9; 32],
        };
        let golden = [
            vec![1],
            vec![7; 16],
            vec![0, 0, 0, 0, 0, 0, 1, 2],
            vec![9; 32],
        ]
        .concat();
        assert_eq!(bookmark.to_bytes(), golden);
        assert_eq!(Bookmark::from_bytes(&golden), Some(bookmark));
        for bad in [&b""[..], &golden[1..], &[golden.clone(), vec![0]].concat()] {
            assert_eq!(Bookmark::from_bytes(bad), None);
        }
    }
}
