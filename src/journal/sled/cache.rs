//! Keeps sled's cache near the size it was given. sled looks for pages to let go of only after 64
//! accesses to one of the cache's 256 shards, so that a scan, which touches each page once, would
//! hold 64 pages a shard: gigabytes. Here pages are touched again in proportion to their size.

use std::sync::atomic::{AtomicU64, Ordering};

use ::sled::Db;

use super::super::JournalError;
use super::{guarded, key};

/// How many bytes of pages a shard may hold beyond its share; 256 shards make 64 MiB of it.
const SHARD_SLACK_BYTES: usize = 256 * 1024;

/// sled's own number: after so many accesses a shard is trimmed.
const ACCESSES_PER_TRIM: usize = 64;

/// sled splits a leaf with more values than this.
const VALUES_PER_LEAF: usize = 16;

const BYTES_PER_TOUCH: usize = SHARD_SLACK_BYTES / ACCESSES_PER_TRIM;

/// A power of two, with this many bits.
const RECENT_BITS: u32 = 8;

/// What was touched lately.
pub(super) struct Cache {
    /// Positions of values that were read lately, so that a value which is read again and again
    /// is not touched again and again. A wrong guess costs a touch or a page, never an answer.
    recent: [AtomicU64; 1 << RECENT_BITS],
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            recent: [const { AtomicU64::new(0) }; _],
        }
    }
}

impl Cache {
    /// To be called for a value that was sought: its whole leaf has come in.
    pub(super) fn settle_leaf(
        &self,
        db: &Db,
        first: u64,
        value_bytes: usize,
    ) -> Result<(), JournalError> {
        // Fibonacci hashing: positions of values are often evenly spaced.
        let hash = first.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - RECENT_BITS);
        let slot = usize::try_from(hash)
            .ok()
            .and_then(|hash| self.recent.get(hash));
        if slot.is_some_and(|slot| slot.swap(first, Ordering::Relaxed) == first) {
            return Ok(());
        }
        let touches = value_bytes * VALUES_PER_LEAF / BYTES_PER_TOUCH;
        touch(db, first, touches.min(ACCESSES_PER_TRIM + 2))
    }
}

/// What one scan has read and not yet paid for with a touch, in bytes.
#[derive(Default)]
pub(super) struct Owed(usize);

impl Owed {
    /// To be called for each value of the scan.
    pub(super) fn settle_value(
        &mut self,
        db: &Db,
        first: u64,
        value_bytes: usize,
    ) -> Result<(), JournalError> {
        self.0 += value_bytes;
        let touches = self.0 / BYTES_PER_TOUCH;
        self.0 %= BYTES_PER_TOUCH;
        touch(db, first, touches)
    }
}

fn touch(db: &Db, first: u64, touches: usize) -> Result<(), JournalError> {
    for _ in 0..touches {
        guarded(Some(first), || db.contains_key(key(first)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, sync::mpsc, thread, time::Duration};

    use bytes::Bytes;

    use crate::journal::{
        Journal as _,
        sled::{SledJournal, SledOptions},
    };

    #[test]
    fn readers_at_once_do_not_pay_for_each_other_and_all_come_to_an_end() {
        const READERS: usize = 4;
        let dir = tempfile::tempdir().expect("a directory");
        let journal = SledJournal::open(dir.path(), SledOptions::default()).expect("opened");
        for head in 0..100 {
            let commit = Bytes::from(vec![7; 700]);
            journal.append(head, 0, &[commit]).expect("appended");
        }
        let journal = Arc::new(journal);
        let (ending, ended) = mpsc::channel();
        for _ in 0..READERS {
            let (journal, ending) = (journal.clone(), ending.clone());
            thread::spawn(move || {
                for _ in 0..2_000 {
                    let read = journal.read(1, usize::MAX).expect("readable");
                    assert_eq!(read.len(), 100);
                }
                ending.send(()).expect("awaited");
            });
        }
        for _ in 0..READERS {
            let ended = ended.recv_timeout(Duration::from_secs(60));
            ended.expect("a reader comes to an end");
        }
    }
}
