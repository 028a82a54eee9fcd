//! Making a data directory from backups. The files were checked before; here they are read once more
//! and appended, and the new log is read back before it is said to be one.

use std::path::Path;

use super::chain::{self, Chain, ChainError, Checked};
use crate::{
    commit::leaf_hash,
    journal::{
        Append, Entry, Journal as _, JournalError,
        sled::{SledJournal, SledOptions},
    },
    merkle::Frontier,
};

/// How much of the new log is read back at a time, in bytes.
const READ_BYTES: usize = 1 << 20;

/// Why a restore failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The files cannot be used.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The directory cannot be used, or the disk refused.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The new log is not what the files hold.
    #[error(
        "what was written is not what is read back: the log ends at position {head} with root \
         {root}, and the backup at {expected_head} with {expected_root}; do not trust the disk, \
         and restore on another"
    )]
    Differs {
        /// Where the new log ends.
        head: u64,
        /// Its root, in hexadecimal.
        root: String,
        /// Where the backup ends.
        expected_head: u64,
        /// Its root, in hexadecimal.
        expected_root: String,
    },
}

/// What a restore is doing, for a progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Commits are appended; the position of the last one.
    Appended(u64),
    /// The new log is read back; the position of the last commit.
    ReadBack(u64),
}

/// Makes a log in `dir` of the files of a chain. When this fails or is killed, the directory is not
/// served, and it can be done again. Nothing is touched on a disk with less room than the files take.
pub fn restore(
    chain: &Chain,
    dir: &Path,
    mut progress: impl FnMut(Step),
) -> Result<(), RestoreError> {
    let options = SledOptions::default();
    let last = chain.last();
    let bytes = chain.files().map(|file| file.bytes).sum();
    let journal = SledJournal::restore(dir, last.header.log_id, bytes, options)?;
    for file in chain.files() {
        append(file, &journal, &mut progress)?;
    }
    if last.trailer.head > 0 {
        journal.mark(last.trailer.head, last.trailer.root)?;
    }
    journal.close()?;
    drop(journal);

    let journal = SledJournal::reopen_restored(dir, options)?;
    confirm(&journal, last, progress)?;
    Ok(journal.end_restore()?)
}

/// Appends what a file holds, a block at a time: each is one group, and one sync.
fn append(
    file: &Checked,
    journal: &SledJournal,
    progress: &mut impl FnMut(Step),
) -> Result<(), RestoreError> {
    let changed = || ChainError::Changed {
        path: file.path.clone(),
    };
    let append = |entries: Vec<Entry>| {
        let group: Vec<_> = entries.into_iter().map(|entry| entry.commit).collect();
        match journal.append(journal.head(), 0, &group)? {
            Append::Appended { head } => progress(Step::Appended(head)),
            Append::Conflict { .. } | Append::Unknown => return Err(changed().into()),
        }
        Ok::<(), RestoreError>(())
    };
    if chain::walk(&file.path, append, |_| {})? == *file {
        Ok(())
    } else {
        Err(changed().into())
    }
}

/// Reads the new log from its first commit on and compares where it leads.
fn confirm(
    journal: &SledJournal,
    last: &Checked,
    mut progress: impl FnMut(Step),
) -> Result<(), RestoreError> {
    let mut tree = Frontier::default();
    loop {
        let entries = journal.read(tree.size() + 1, READ_BYTES)?;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            tree.push(leaf_hash(&entry.commit));
        }
        progress(Step::ReadBack(tree.size()));
    }
    let expected = last.trailer;
    if tree.size() == expected.head
        && tree.root() == expected.root
        && journal.log_id() == last.header.log_id
    {
        return Ok(());
    }
    Err(RestoreError::Differs {
        head: tree.size(),
        root: hex::encode(tree.root()),
        expected_head: expected.head,
        expected_root: hex::encode(expected.root),
    })
}
