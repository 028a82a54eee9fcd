//! A backup: a stretch of the log as a file that vouches for itself, written while the log is
//! appended to and read back whole or not at all. This file says what such a file holds and what can
//! be wrong with one; its bytes are for ever.
//!
//! ```text
//! file     "strata backup 1\n" | header block | commits blocks | trailer block; all big-endian
//! block    kind u8 | length of the payload u32 | crc32c of the payload u32
//!          | crc32c u32 of the block's offset in the file u64 and of the head so far | payload
//! header   (kind 1) log id 16 | from_position u64 | made at, Unix seconds u64
//!          | the roots of the perfect subtrees of the tree before from_position, 32 each
//! commits  (kind 2) position of the first u64
//!          | each: length u32 | crc32c u32 of its position u64 and its bytes | bytes
//! trailer  (kind 3) head u64 | count u64 | root of the tree at the head 32
//!          | SHA-256 of all blocks before and the line they stand behind 32
//! ```
//!
//! The head of a block is checked before its length is believed, so that a file which was cut is told
//! from one whose bytes were changed. Offsets and positions in the checksums refuse blocks and
//! commits that were moved; the root and the SHA-256 refuse what was put together from two files.

use crate::{journal::LogId, merkle::Frontier};

pub mod chain;
pub mod decode;
pub mod encode;
pub mod restore;
#[cfg(test)]
mod tests;

/// How a file begins: what it is, and the number of its format.
const MAGIC: &[u8; 16] = b"strata backup 1\n";
/// What files of every format begin with; the number and a new line follow.
const MAGIC_WORDS: &[u8] = b"strata backup ";
/// The format that this version reads and writes.
const FORMAT: u64 = 1;

/// The longest payload of a block, in bytes: what a reader keeps in memory, and far below what a
/// gRPC message may hold. A commit of the largest size is an eighth of it.
pub const BLOCK_BYTES_MAX: usize = 512 << 10;
/// The head of a block, in bytes.
const HEAD_BYTES: usize = 1 + 4 + 4 + 4;
/// What stands before each commit, in bytes.
const FRAME_BYTES: usize = 4 + 4;
/// The header without the subtrees, in bytes.
const HEADER_BYTES: usize = 16 + 8 + 8;
/// The trailer, in bytes.
const TRAILER_BYTES: usize = 8 + 8 + 32 + 32;
/// No log comes as far; beyond it positions could not be counted on.
const POSITION_MAX: u64 = 1 << 62;

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Header = 1,
    Commits = 2,
    Trailer = 3,
}

/// What a file begins with: which log it is of, and what it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The log.
    pub log_id: LogId,
    /// The log's tree before the first commit of the file; empty for a full backup.
    pub before: Frontier,
    /// When the backup was made, in seconds since 1970 by the daemon's clock.
    pub made_at_seconds: u64,
}

/// What a file ends with: where it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// The position of its last commit; that before its first if it holds none.
    pub head: u64,
    /// How many commits it holds.
    pub count: u64,
    /// The root of the log's tree at the head.
    pub root: [u8; 32],
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// It does not begin as a backup does.
    #[error("it is no backup: it does not begin with `strata backup`")]
    NotABackup,
    /// Another version wrote it.
    #[error(
        "it has format {found}, and this version reads format {supported}; use the stratad that \
         wrote it"
    )]
    OtherFormat {
        /// The format of the file.
        found: u64,
        /// The format of this version.
        supported: u64,
    },
    /// It ends too early, and is whole as far as it goes.
    #[error("it is incomplete: it breaks off at byte {byte}, behind position {position}")]
    Incomplete {
        /// How long it is.
        byte: u64,
        /// The position of its last whole commit; 0: none.
        position: u64,
    },
    /// Its bytes are not those that were written.
    #[error("it is damaged at byte {byte}{}: {what}", at(*.position))]
    Damaged {
        /// Where the block or the commit begins that is not what was written.
        byte: u64,
        /// The position of that commit, if it is one.
        position: Option<u64>,
        /// What was found.
        what: &'static str,
    },
}

impl Header {
    /// The position of the first commit behind it.
    #[must_use]
    pub fn from_position(&self) -> u64 {
        self.before.size() + 1
    }
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [Self::Header, Self::Commits, Self::Trailer]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

fn at(position: Option<u64>) -> String {
    position.map_or_else(String::new, |position| format!(", position {position}"))
}

/// The checksum of a block's head: the same head elsewhere in the file has another.
fn head_checksum(offset: u64, head: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&offset.to_be_bytes()), head)
}

/// The checksum of a commit: the same commit at another position has another.
fn commit_checksum(position: u64, commit: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&position.to_be_bytes()), commit)
}
