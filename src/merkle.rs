//! The log's Merkle tree (RFC 6962), whose leaves are the hashes of the commits as they are stored.
//! This file holds its right edge as far as the root needs it: the roots of the perfect subtrees, one
//! for each bit set in the size, so that a leaf is added in O(1) on average. `proof` makes and checks
//! proofs, `tiles` cuts the tree into pieces that can be stored.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::commit::LeafHash;

pub mod proof;
pub mod tiles;

/// The hash of a node of the tree, or its root.
pub type Hash = [u8; 32];

/// The root of a perfect subtree of `2^level` leaves, of which it is the `index`th, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Node {
    /// 0 is a leaf.
    pub level: u8,
    /// Its place among the nodes of its level.
    pub index: u64,
}

impl Node {
    /// How many leaves a tree needs to hold the whole subtree. Overflows for no node of a tree.
    #[must_use]
    pub fn end(self) -> u64 {
        (self.index + 1) << self.level
    }
}

/// The right edge of a Merkle tree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frontier {
    size: u64,
    /// The roots of the perfect subtrees, the largest first.
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// The right edge that the tree had when it held `size` leaves, from the nodes of a tree that is
    /// at least as large.
    pub fn at<E>(size: u64, mut read: impl FnMut(Node) -> Result<Hash, E>) -> Result<Self, E> {
        let mut subtrees = Vec::new();
        let mut covered = 0;
        for level in (0..64).rev().filter(|level| size >> level & 1 == 1) {
            subtrees.push(read(Node {
                level,
                index: covered >> level,
            })?);
            covered += 1 << level;
        }
        Ok(Self { size, subtrees })
    }

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
    pub fn root(&self) -> Hash {
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

/// The root of a perfect tree over these nodes, of which there is a power of two.
fn perfect_root(nodes: &[Hash]) -> Hash {
    match nodes {
        [node] => *node,
        nodes => {
            let (left, right) = nodes.split_at(nodes.len() / 2);
            inner(&perfect_root(left), &perfect_root(right))
        }
    }
}

fn inner(left: &Hash, right: &Hash) -> Hash {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use super::{
        testing::{leaves, node_of, root_of},
        *,
    };

    #[test]
    fn the_root_is_that_of_rfc_6962_at_every_size() {
        let leaves = leaves(70);
        let mut frontier = Frontier::default();
        for size in 0..leaves.len() {
            assert_eq!(frontier.root(), root_of(&leaves[..size]), "size {size}");
            assert!(frontier.is_sound());
            frontier.push(leaves[size]);
        }
    }

    #[test]
    fn the_edge_of_any_earlier_size_is_found_in_a_larger_tree() {
        let leaves = leaves(300);
        let mut frontier = Frontier::default();
        for size in 0..=leaves.len() {
            let found = Frontier::at(size as u64, |node| Ok::<_, ()>(node_of(&leaves, node)));
            assert_eq!(found.expect("read"), frontier, "size {size}");
            if let Some(leaf) = leaves.get(size) {
                frontier.push(*leaf);
            }
        }
    }
}
