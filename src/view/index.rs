//! The index of one plan's commits: for each its position, first revision and the digest of its
//! request id. History, time travel, exactly-once and the filters by plan all read it. On disk it
//! stands in chunks of 256; in memory in leaves that copies share, so that one which runs ahead of
//! the disk costs no more than a leaf.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// How many commits a chunk holds on disk.
pub(super) const CHUNK_COMMITS: usize = LEAF_COMMITS * LEAVES_A_CHUNK;
/// How many commits a leaf holds: what a plan's next commit copies at most.
const LEAF_COMMITS: usize = 32;
const LEAVES_A_CHUNK: usize = 8;

/// The first 8 bytes of the SHA-256 of a request id. Two ids may share it: what matches is confirmed
/// against the commit itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestKey([u8; 8]);

impl RequestKey {
    /// The key of a request id.
    #[must_use]
    pub fn of(request_id: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(request_id).into();
        Self(std::array::from_fn(|byte| digest[byte]))
    }
}

/// One commit of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Where it stands in the log.
    pub position: u64,
    /// The revision of its first event.
    pub first_revision: u64,
    /// The key of its request id.
    pub request: RequestKey,
}

/// All commits of a plan, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// All full but the last.
    leaves: Vec<Arc<Vec<IndexEntry>>>,
}

impl Index {
    /// Adds the plan's next commit.
    pub fn push(&mut self, entry: IndexEntry) {
        match self.leaves.last_mut() {
            Some(leaf) if leaf.len() < LEAF_COMMITS => Arc::make_mut(leaf).push(entry),
            Some(_) | None => self.leaves.push(Arc::new(vec![entry])),
        }
    }

    /// How many commits there are.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.len() as u64
    }

    /// How many commits there are, to be counted from.
    #[must_use]
    pub fn len(&self) -> usize {
        let last = self.leaves.last().map_or(0, |leaf| leaf.len());
        self.leaves.len().saturating_sub(1) * LEAF_COMMITS + last
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// The commits from number `from` on, counted from 0.
    #[must_use = "it only looks"]
    pub fn iter_from(&self, from: usize) -> impl Iterator<Item = &IndexEntry> {
        let skipped_leaves = (from / LEAF_COMMITS).min(self.leaves.len());
        let mut skip = from % LEAF_COMMITS;
        self.leaves[skipped_leaves..].iter().flat_map(move |leaf| {
            let skipped = std::mem::take(&mut skip).min(leaf.len());
            leaf[skipped..].iter()
        })
    }

    /// The last commit.
    #[must_use]
    pub fn last(&self) -> Option<&IndexEntry> {
        self.leaves.last().and_then(|leaf| leaf.last())
    }

    /// The commit of a number, counted from 0.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<&IndexEntry> {
        self.leaves
            .get(number / LEAF_COMMITS)?
            .get(number % LEAF_COMMITS)
    }

    /// The number of the last commit whose first revision is at most `revision`: the one that holds
    /// it, if the plan has it.
    #[must_use]
    pub fn holding_revision(&self, revision: u64) -> Option<usize> {
        self.partition_point(|entry| entry.first_revision <= revision)
            .checked_sub(1)
    }

    /// How many commits stand at `position` or before.
    #[must_use]
    pub fn commits_up_to(&self, position: u64) -> usize {
        self.partition_point(|entry| entry.position <= position)
    }

    /// The chunks from the one that holds commit number `from` on, each with its number.
    pub(super) fn chunks_from(
        &self,
        from: usize,
    ) -> impl Iterator<Item = (usize, Vec<IndexEntry>)> {
        let chunks = self.leaves.chunks(LEAVES_A_CHUNK).enumerate();
        chunks.skip(from / CHUNK_COMMITS).map(|(number, leaves)| {
            let commits = leaves.iter().flat_map(|leaf| leaf.iter().copied());
            (number, commits.collect())
        })
    }

    /// How many commits from the start satisfy `before`, which holds for a prefix of them.
    fn partition_point(&self, before: impl Fn(&IndexEntry) -> bool) -> usize {
        let full = self
            .leaves
            .partition_point(|leaf| leaf.last().is_some_and(&before));
        match self.leaves.get(full) {
            Some(leaf) => full * LEAF_COMMITS + leaf.partition_point(&before),
            // The last leaf need not be full.
            None => self.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_found_by_number_revision_and_position_across_chunks() {
        let mut index = Index::default();
        let request = RequestKey::of("request");
        for number in 0..1_000 {
            // Three events a commit, every tenth position.
            let entry = IndexEntry {
                position: 10 * (number + 1),
                first_revision: 3 * number + 1,
                request,
            };
            index.push(entry);
            assert_eq!(index.commits(), number + 1);
        }
        assert_eq!(index.holding_revision(0), None);
        assert_eq!(index.holding_revision(1), Some(0));
        assert_eq!(index.holding_revision(3), Some(0));
        assert_eq!(index.holding_revision(4), Some(1));
        assert_eq!(index.holding_revision(3 * 999 + 3), Some(999));
        assert_eq!(index.commits_up_to(9), 0);
        assert_eq!(index.commits_up_to(10), 1);
        assert_eq!(index.commits_up_to(5_129), 512);
        for from in [0, 1, 255, 256, 257, 999, 1_000, 5_000] {
            let positions: Vec<_> = index.iter_from(from).map(|e| e.position).collect();
            let expected: Vec<_> = (from as u64..1_000).map(|n| 10 * (n + 1)).collect();
            assert_eq!(positions, expected, "from {from}");
        }
        assert_eq!(index.get(256).map(|e| e.position), Some(2_570));
    }
}
