//! The tree by the definition of RFC 6962, slow and plain, to hold the other code to.

use sha2::{Digest as _, Sha256};

use super::{Hash, Node};
use crate::commit::leaf_hash;

/// So many different leaves.
pub(crate) fn leaves(count: u64) -> Vec<Hash> {
    (0..count)
        .map(|number| leaf_hash(&number.to_be_bytes()))
        .collect()
}

/// `MTH` of section 2.1: split at the largest power of two below the size.
pub(crate) fn root_of(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = split(leaves);
            let (left, right) = (root_of(left), root_of(right));
            Sha256::digest([&[1][..], &left, &right].concat()).into()
        }
    }
}

/// `PATH` of section 2.1.1.
pub(crate) fn path_of(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = split(leaves);
    let (mut path, other) = if index < left.len() {
        (path_of(index, left), root_of(right))
    } else {
        (path_of(index - left.len(), right), root_of(left))
    };
    path.push(other);
    path
}

/// `PROOF` of section 2.1.2, for an old size from 1.
pub(crate) fn consistency_of(old_size: usize, leaves: &[Hash]) -> Vec<Hash> {
    sub_proof(old_size, leaves, true)
}

fn sub_proof(old_size: usize, leaves: &[Hash], is_known: bool) -> Vec<Hash> {
    if old_size == leaves.len() {
        return if is_known {
            Vec::new()
        } else {
            vec![root_of(leaves)]
        };
    }
    let (left, right) = split(leaves);
    let (mut proof, other) = if old_size <= left.len() {
        (sub_proof(old_size, left, is_known), root_of(right))
    } else {
        (
            sub_proof(old_size - left.len(), right, false),
            root_of(left),
        )
    };
    proof.push(other);
    proof
}

/// A node of the tree over these leaves.
pub(crate) fn node_of(leaves: &[Hash], node: Node) -> Hash {
    let end = usize::try_from(node.end()).expect("small");
    root_of(&leaves[end - (1 << node.level)..end])
}

fn split(leaves: &[Hash]) -> (&[Hash], &[Hash]) {
    leaves.split_at(leaves.len().next_power_of_two() / 2)
}
