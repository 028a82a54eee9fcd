//! The log's Merkle tree as far as its root needs it: the roots of the perfect subtrees on its right
//! edge (RFC 6962), one hash for each bit set in its size. A leaf is added in O(1) on average.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::commit::LeafHash;

/// The right edge of a Merkle tree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frontier {
    size: u64,
    /// The roots of the perfect subtrees, the largest first.
    subtrees: Vec<LeafHash>,
}

impl Frontier {
    /// How many leaves the tree has: the position of the last commit.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The edge of a tree of this size, unless the number of subtrees does not fit it.
    #[must_use]
    pub fn from_subtrees(size: u64, subtrees: Vec<LeafHash>) -> Option<Self> {
        Some(Self { size, subtrees }).filter(Self::is_sound)
    }

    /// The roots of the perfect subtrees, the largest first.
    #[must_use]
    pub fn subtrees(&self) -> &[LeafHash] {
        &self.subtrees
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: LeafHash) {
        let mut node = leaf;
        // Every subtree that is as large as the new one joins it: one for each trailing 1 bit.
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.subtrees.pop() else {
                break;
            };
            node = inner(&left, &node);
        }
        self.subtrees.push(node);
        self.size += 1;
    }

    /// The root of the tree; of an empty one the hash of nothing.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        let mut subtrees = self.subtrees.iter().rev();
        let Some(last) = subtrees.next() else {
            return Sha256::digest([]).into();
        };
        subtrees.fold(*last, |right, left| inner(left, &right))
    }

    /// Whether the number of subtrees fits the size, as it does unless it was damaged.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.subtrees.len() == self.size.count_ones() as usize
    }
}

fn inner(left: &LeafHash, right: &LeafHash) -> LeafHash {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::leaf_hash;

    /// RFC 6962 as it is written: split at the largest power of two below the size.
    fn by_definition(leaves: &[LeafHash]) -> [u8; 32] {
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                inner(&by_definition(left), &by_definition(right))
            }
        }
    }

    #[test]
    fn the_root_is_that_of_rfc_6962_at_every_size() {
        let leaves: Vec<LeafHash> = (0_u8..70).map(|byte| leaf_hash(&[byte])).collect();
        let mut frontier = Frontier::default();
        for size in 0..leaves.len() {
            assert_eq!(
                frontier.root(),
                by_definition(&leaves[..size]),
                "size {size}"
            );
            assert!(frontier.is_sound());
            frontier.push(leaves[size]);
        }
    }
}
