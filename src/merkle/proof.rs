//! Proofs that a commit is in the log, and that a log was only added to, made from nodes of the tree
//! and checked with no more than two roots. The hashes are those of RFC 6962, sections 2.1.1 and
//! 2.1.2, in its order.

use std::cell::RefCell;

use tlog_tiles::tlog;

use super::{Frontier, Hash, Node};

/// A proof in a tree of `2^64` leaves has no more hashes than this, twice the height for one of
/// consistency; a longer one is not looked at.
pub const PROOF_HASHES_MAX: usize = 2 * 64;

/// Why a proof was not made.
#[derive(Debug, thiserror::Error)]
pub enum ProveError<E> {
    /// The tree does not have what is to be proved.
    #[error("a tree of {tree_size} leaves does not hold that")]
    Outside {
        /// The size of the tree.
        tree_size: u64,
    },
    /// A node of the tree cannot be read.
    #[error(transparent)]
    Read(E),
}

/// A proof that does not prove what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the proof does not lead to the root")]
pub struct NotProved;

/// Proves that the tree of `tree_size` leaves has the leaf with this index, counted from 0. Nodes are
/// read of that tree or of a larger one.
pub fn prove_inclusion<E>(
    leaf_index: u64,
    tree_size: u64,
    read: impl Fn(Node) -> Result<Hash, E>,
) -> Result<Vec<Hash>, ProveError<E>> {
    if leaf_index >= tree_size {
        return Err(ProveError::Outside { tree_size });
    }
    let reader = Reader::new(read);
    let proof = tlog::prove_record(tree_size, leaf_index, &reader);
    reader.finish(proof, tree_size)
}

/// Checks that the tree with this size and root has the leaf at this index.
pub fn check_inclusion(
    leaf: &Hash,
    leaf_index: u64,
    tree_size: u64,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), NotProved> {
    let proof = theirs(proof)?;
    tlog::check_record(
        &proof,
        tree_size,
        tlog_tiles::Hash(*root),
        leaf_index,
        tlog_tiles::Hash(*leaf),
    )
    .map_err(|_| NotProved)
}

/// Proves that the tree of `new_size` leaves begins with all leaves of the one of `old_size`. The
/// empty tree is the beginning of every other, which needs no hashes.
pub fn prove_consistency<E>(
    old_size: u64,
    new_size: u64,
    read: impl Fn(Node) -> Result<Hash, E>,
) -> Result<Vec<Hash>, ProveError<E>> {
    if old_size > new_size {
        return Err(ProveError::Outside {
            tree_size: new_size,
        });
    }
    if old_size == 0 {
        return Ok(Vec::new());
    }
    let reader = Reader::new(read);
    let proof = tlog::prove_tree(new_size, old_size, &reader);
    reader.finish(proof, new_size)
}

/// Checks that the tree with the new size and root begins with all leaves of the old one.
pub fn check_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), NotProved> {
    if old_size == 0 {
        let is_empty = *old_root == Frontier::default().root() && proof.is_empty();
        let is_same = new_size > 0 || new_root == old_root;
        return if is_empty && is_same {
            Ok(())
        } else {
            Err(NotProved)
        };
    }
    let proof = theirs(proof)?;
    tlog::check_tree(
        &proof,
        new_size,
        tlog_tiles::Hash(*new_root),
        old_size,
        tlog_tiles::Hash(*old_root),
    )
    .map_err(|_| NotProved)
}

fn theirs(proof: &[Hash]) -> Result<Vec<tlog_tiles::Hash>, NotProved> {
    if proof.len() > PROOF_HASHES_MAX {
        return Err(NotProved);
    }
    Ok(proof.iter().copied().map(tlog_tiles::Hash).collect())
}

/// Reads nodes for the library, whose errors have no room for ours.
struct Reader<F, E> {
    read: F,
    failed: RefCell<Option<E>>,
}

impl<F, E> Reader<F, E> {
    fn new(read: F) -> Self {
        Self {
            read,
            failed: RefCell::new(None),
        }
    }

    fn finish(
        self,
        proof: Result<Vec<tlog_tiles::Hash>, tlog::Error>,
        tree_size: u64,
    ) -> Result<Vec<Hash>, ProveError<E>> {
        match (proof, self.failed.into_inner()) {
            (Ok(proof), _) => Ok(proof.into_iter().map(|hash| hash.0).collect()),
            (Err(_), Some(failed)) => Err(ProveError::Read(failed)),
            (Err(_), None) => Err(ProveError::Outside { tree_size }),
        }
    }
}

impl<F: Fn(Node) -> Result<Hash, E>, E> tlog::HashReader for Reader<F, E> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog::Error> {
        let read = |&at: &u64| {
            let (level, index) = tlog::split_stored_hash_index(at);
            (self.read)(Node { level, index }).map(tlog_tiles::Hash)
        };
        indexes
            .iter()
            .map(read)
            .collect::<Result<_, E>>()
            .map_err(|error| {
                self.failed.replace(Some(error));
                tlog::Error::IndexesNotInTree
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::Index};

    use super::{
        super::testing::{consistency_of, leaves, node_of, path_of, root_of},
        *,
    };

    proptest! {
        #[test]
        fn proofs_are_those_of_rfc_6962_and_prove_nothing_else(
            new_size in 1_usize..400,
            old_size: Index,
            leaf: Index,
            flip in 0_usize..32,
        ) {
            let all = leaves(400);
            let (leaf, old_size) = (leaf.index(new_size), 1 + old_size.index(new_size));
            let (old_root, root) = (root_of(&all[..old_size]), root_of(&all[..new_size]));
            let (index, old, new) = (leaf as u64, old_size as u64, new_size as u64);
            // Given a tree that grew beyond all these sizes.
            let read = |node| Ok::<_, ()>(node_of(&all, node));

            let path = prove_inclusion(index, new, read).expect("in the tree");
            prop_assert_eq!(&path, &path_of(leaf, &all[..new_size]));
            prop_assert!(check_inclusion(&all[leaf], index, new, &root, &path).is_ok());
            prop_assert!(check_inclusion(&all[leaf], index + 1, new, &root, &path).is_err());
            let mut other = all[leaf];
            other[flip] ^= 1;
            prop_assert!(check_inclusion(&other, index, new, &root, &path).is_err());

            let proof = prove_consistency(old, new, read).expect("in the tree");
            prop_assert_eq!(&proof, &consistency_of(old_size, &all[..new_size]));
            prop_assert!(check_consistency(old, &old_root, new, &root, &proof).is_ok());
            let mut other = old_root;
            other[flip] ^= 1;
            prop_assert!(check_consistency(old, &other, new, &root, &proof).is_err());
            let mut longer = proof;
            longer.push([0; 32]);
            prop_assert!(check_consistency(old, &old_root, new, &root, &longer).is_err());
        }
    }

    #[test]
    fn the_empty_tree_is_the_beginning_of_every_other() {
        let (empty, one) = (root_of(&[]), root_of(&leaves(1)));
        let never = |_| Err::<Hash, ()>(());
        assert_eq!(
            prove_consistency(0, 7, never).expect("proved"),
            Vec::<Hash>::new()
        );
        assert!(check_consistency(0, &empty, 7, &one, &[]).is_ok());
        assert!(check_consistency(0, &empty, 0, &empty, &[]).is_ok());
        assert!(check_consistency(0, &one, 7, &one, &[]).is_err());
        assert!(check_consistency(0, &empty, 0, &one, &[]).is_err());
    }

    #[test]
    fn what_is_outside_the_tree_is_not_proved() {
        let all = leaves(3);
        let read = |node| Ok::<_, ()>(node_of(&all, node));
        assert!(matches!(
            prove_inclusion(3, 3, read),
            Err(ProveError::Outside { tree_size: 3 })
        ));
        assert!(matches!(
            prove_consistency(4, 3, read),
            Err(ProveError::Outside { tree_size: 3 })
        ));
        let unread = |_| Err("the disk is gone");
        assert!(matches!(
            prove_inclusion(1, 3, unread),
            Err(ProveError::Read("the disk is gone"))
        ));
        for size in [0, 3, u64::MAX] {
            let long = vec![[0; 32]; PROOF_HASHES_MAX + 1];
            assert!(check_inclusion(&all[0], 0, size, &all[0], &long).is_err());
            assert!(check_consistency(1, &all[0], size, &all[0], &long).is_err());
        }
    }
}
