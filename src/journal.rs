//! The journal: an append-only log of commits at positions 1, 2, 3, … that knows bytes and
//! positions, and no plan. This file is its published language: the trait, its types and its
//! errors. `sled` keeps the log on disk; a replicated log can come behind the same trait.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use bytes::Bytes;

#[cfg(test)]
pub(crate) mod fake;
mod high_water;
mod home;
mod left;
pub mod pack;
pub mod sled;
mod space;
pub mod underway;

pub use self::home::{Held, hold, log_id_of};
pub use self::left::Left;

/// The longest commit a journal takes, in bytes. The API allows 64 KiB an encoded commit; the
/// rest is room for the envelope. Values of sled stay far below the size at which sled would
/// move them to blob files, which it never syncs.
pub const COMMIT_BYTES_MAX: usize = 65 * 1024;

/// Names one history. It is drawn at random when a log is created, so that a bookmark or a mark
/// of another log is told apart from one of this log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId([u8; 16]);

impl LogId {
    /// Draws a new id.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().into_bytes())
    }

    /// The id that these bytes stand for.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes of the id.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogId({self})")
    }
}

/// One commit and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// 1 for the first commit of the log, without holes.
    pub position: u64,
    /// The stored bytes, as they were appended. Entries of one read may share memory; copy what
    /// is to be kept for long.
    pub commit: Bytes,
}

/// What was acknowledged last, as far as the disk remembers: a log shorter than this has lost
/// commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HighWater {
    /// The log that was marked.
    pub log_id: LogId,
    /// Its head at that time.
    pub position: u64,
    /// The digest of the log up to `position`. The journal only carries it.
    pub root: [u8; 32],
}

/// A sync of the disk under way, or a write that may wait as long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syncing {
    /// The file, or what is done where that is not of one file.
    pub what: PathBuf,
    /// When it began.
    pub since: Instant,
}

/// What became of a group that was handed to [`Journal::append`] without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Append {
    /// The whole group is durable and visible.
    Appended {
        /// The position of the group's last commit.
        head: u64,
    },
    /// Nothing was written: the log does not end where the caller thinks.
    Conflict {
        /// Where it does end.
        head: u64,
    },
    /// The group may or may not be in the log; reading on from the old head settles it. A log on
    /// one machine never answers this.
    Unknown,
}

/// An append-only log of commits.
///
/// Readers share it with the one writer. Every answer is bounded by the durable head: nothing
/// that a crash could take back is ever shown.
pub trait Journal: Send + Sync {
    /// The name of this history.
    fn log_id(&self) -> LogId;

    /// The position of the last durable commit; 0 if there is none.
    fn head(&self) -> u64;

    /// Appends a group of commits after `expected_head` and makes it durable.
    ///
    /// Atomic is each commit, not the group: what a crash leaves of a group that was not
    /// acknowledged is a prefix of it, in whole commits. After an error every later append fails
    /// as well, for what the disk holds is then unknown; only opening the log again can tell.
    /// [`JournalError::TooLarge`] is the exception: nothing was written, and the log goes on.
    ///
    /// `term` is the door to a replicated log, which refuses the appends of a deposed writer. A
    /// log on one machine has one writer by its lock and ignores it.
    fn append(
        &self,
        expected_head: u64,
        term: u64,
        group: &[Bytes],
    ) -> Result<Append, JournalError>;

    /// Reads consecutive entries from position `from` (0 counts as 1) to the durable head at
    /// most. It stops at the commit that brings the sum to `max_bytes`, and so returns at least one
    /// entry if `from` is not beyond the head, and none if it is. It also stops before one that cannot
    /// be read; only a read from there fails.
    fn read(&self, from: u64, max_bytes: usize) -> Result<Vec<Entry>, JournalError>;

    /// The commit at `position`, or nothing if it is 0 or beyond the durable head.
    fn get(&self, position: u64) -> Result<Option<Bytes>, JournalError>;

    /// Remembers a durable position and the digest of the log up to it, beside the log. Called by
    /// the writer after each group. It reaches the disk within about a second, without making the
    /// writer wait.
    fn mark(&self, position: u64, root: [u8; 32]) -> Result<(), JournalError>;

    /// The mark that was found when the log was opened. A log that never had a commit marked has
    /// none. The position is never above the head at opening; whether the root is that of the log
    /// is for the caller to compare.
    fn recovered_mark(&self) -> Option<HighWater>;

    /// The sync under way that began first, so that one which does not return is noticed. A log
    /// without a disk has none.
    fn syncing(&self) -> Option<Syncing> {
        None
    }

    /// Stops cleanly, so that the next start is fast, and lets go of the log. Reads and appends
    /// answer [`JournalError::Closed`] from then on. Closing again does nothing.
    fn close(&self) -> Result<(), JournalError>;
}

/// Which command tells what is left of a damaged log.
const VERIFY: &str = "and `stratad verify DIR` tells what is whole";

/// Which command brings a lost log back.
const RESTORE: &str = "restore the last backup by `stratad restore BACKUP --data-dir NEW_DIR`";

/// Why a journal cannot be opened, read or written.
///
/// The texts are for operators: what was found, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process has the data directory open.
    #[error(
        "{} is in use by {}; stop it, or choose another data directory",
        dir.display(),
        process(*pid)
    )]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// The process that holds it, if it could be told.
        pid: Option<u32>,
    },
    /// The data directory was written by a version that lays it out differently.
    #[error(
        "{}; run the version of stratad that wrote it, or export there and import here; if this \
         version wrote it, its file FORMAT is damaged: put FORMAT back, or {RESTORE}",
        self.found()
    )]
    OtherFormat {
        /// The format of the directory.
        found: u64,
        /// The format of this version.
        supported: u64,
    },
    /// The data directory holds data, but not the file that says which.
    #[error("{}; put FORMAT back, or {RESTORE}", self.found())]
    NoFormat {
        /// The data directory.
        dir: PathBuf,
        /// A name that was found in it.
        found: &'static str,
    },
    /// A restore into the data directory was interrupted, or is under way.
    #[error(
        "{} holds a restore that did not end, so its log is not whole; run `stratad restore` again \
         with the same files, or choose another data directory",
        dir.display()
    )]
    Restoring {
        /// The data directory.
        dir: PathBuf,
    },
    /// The directory into which a backup is to be restored holds something.
    #[error(
        "{} holds {found}, and a backup is restored into a directory that is missing or empty; \
         choose another, or move away what is there",
        dir.display()
    )]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
        /// A name that was found in it.
        found: String,
    },
    /// The disk has too little room left for what opening or restoring a log writes.
    #[error(
        "the disk of {} has {free_bytes} bytes left, and {doing} may write {needed_bytes}; make \
         room there and start again",
        dir.display()
    )]
    NoRoom {
        /// The data directory.
        dir: PathBuf,
        /// What was to be done.
        doing: &'static str,
        /// What is left.
        free_bytes: u64,
        /// What must be.
        needed_bytes: u64,
    },
    /// Something stored is missing or is not what was written.
    #[error("{}; keep the directory as it is, {VERIFY}; to go on, {RESTORE}", self.found())]
    Damaged {
        /// What was found.
        what: String,
        /// Where in the log, if the damage has a place there.
        position: Option<u64>,
    },
    /// The log ends before a position that was acknowledged.
    #[error("{}; keep the directory as it is, {VERIFY}; to go on, {RESTORE}", self.found())]
    Shorter {
        /// Where the log ends.
        head: u64,
        /// What the high-water mark remembers.
        marked: u64,
    },
    /// The high-water mark was written for another log.
    #[error("{}; put back the files that belong together, or {RESTORE}", self.found())]
    OtherLog {
        /// The log that the mark names.
        found: LogId,
        /// The log of the directory.
        expected: LogId,
    },
    /// The log in a data directory is not opened, and this is what it still holds.
    #[error("{}; {left}", refusal.found())]
    Refused {
        /// Why not.
        refusal: Box<JournalError>,
        /// What can be read.
        left: Left,
    },
    /// A commit is longer than a journal takes. Nothing was written.
    #[error("a commit of {bytes} bytes is too large for the journal, which takes {bytes_max}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The bound, [`COMMIT_BYTES_MAX`].
        bytes_max: usize,
    },
    /// An earlier append failed, so the end of the log is unknown until it is opened again.
    #[error("an earlier write to the journal failed; restart stratad, which recovers the log")]
    Failed,
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
    /// The operating system refused.
    #[error("{doing} failed: {source}")]
    Io {
        /// What was being done, with the path where there is one.
        doing: String,
        /// What it said.
        source: io::Error,
    },
    /// The storage engine refused for a reason of its own.
    #[error("the storage engine failed: {0}")]
    Engine(String),
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    )
}

/// For `map_err`: says what was being done when the operating system refused.
fn io_error(doing: impl Into<String>) -> impl FnOnce(io::Error) -> JournalError {
    let doing = doing.into();
    move |source| JournalError::Io { doing, source }
}
