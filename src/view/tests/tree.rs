//! Promises of the tree: whatever becomes of its tiles, what is proved is what the log says.

use super::*;
use crate::merkle::{
    Hash,
    testing::{consistency_of, path_of, root_of},
};

impl World {
    fn leaves(&self) -> Vec<Hash> {
        let entries = self.journal.read(1, usize::MAX).expect("readable");
        let hashes = entries.iter().map(|it| commit::leaf_hash(&it.commit));
        hashes.collect()
    }

    /// Checks proofs of some commits and sizes by the definition.
    #[track_caller]
    pub(super) fn proves_what_the_log_says(&self) {
        let leaves = self.leaves();
        let tree = self.view().tree();
        assert_eq!(tree.size(), leaves.len() as u64);
        assert_eq!(tree.root(), root_of(&leaves));
        let head = leaves.len();
        let near = [1, 2, 255, 256, 257, 300, 511, 512, 513, head / 2, head];
        for size in near.into_iter().filter(|size| (1..=head).contains(size)) {
            let frontier = self.view().frontier_at(size as u64).expect("there");
            assert_eq!(frontier.root(), root_of(&leaves[..size]));
            assert_eq!(frontier.size(), size as u64);
            for position in [1, size / 2, size].into_iter().filter(|it| *it > 0) {
                let proof = tree.prove_inclusion(position as u64, size as u64);
                let proof = proof.expect("proved");
                assert_eq!(proof.leaf, leaves[position - 1]);
                assert_eq!(proof.root, root_of(&leaves[..size]));
                assert_eq!(proof.hashes, path_of(position - 1, &leaves[..size]));
            }
            let proof = tree.prove_consistency(size as u64, head as u64);
            let proof = proof.expect("proved");
            assert_eq!(proof.old_root, root_of(&leaves[..size]));
            assert_eq!(proof.new_root, root_of(&leaves));
            assert_eq!(proof.hashes, consistency_of(size, &leaves));
        }
        let proof = tree.prove_consistency(0, head as u64).expect("proved");
        assert_eq!(proof.old_root, root_of(&[]));
    }
}

/// A world with two whole tiles and more, on disk.
fn tiled() -> World {
    let mut world = World::new(NO_CACHE);
    for _ in 0..520 {
        world.note("a");
    }
    world.write();
    world
}

#[test]
fn whole_tiles_leave_memory_once_they_are_written() {
    let mut world = tiled();
    assert_eq!(world.keys(b"t").len(), 2);
    assert_eq!(world.view().lock().tiles.dirty_bytes(), 0);
    world.proves_what_the_log_says();
    world.reopen();
    world.proves_what_the_log_says();
    assert_eq!(world.view().lock().tiles.dirty_bytes(), 0);
}

#[test]
fn tiles_that_are_not_written_yet_are_read_from_memory() {
    let mut world = World::new(1 << 20);
    for _ in 0..300 {
        world.note("a");
    }
    assert!(world.keys(b"t").is_empty());
    world.proves_what_the_log_says();
}

#[test]
fn a_tile_that_is_missing_or_damaged_is_made_again_and_written() {
    let world = tiled();
    let whole: Vec<_> = world.view().store.scan(b"t").flatten().collect();
    for damaged in [None, Some(&b""[..]), Some(b"damaged")] {
        for key in world.keys(b"t") {
            world.view().store.overwrite(&key, damaged);
        }
        world.proves_what_the_log_says();
        world.write();
        let mended: Vec<_> = world.view().store.scan(b"t").flatten().collect();
        assert_eq!(mended, whole);
    }
}

#[test]
fn a_tile_that_is_whole_and_wrong_is_noticed_by_the_root_and_made_again() {
    let world = tiled();
    let whole: Vec<_> = world.view().store.scan(b"t").flatten().collect();
    let forged = whole.iter().map(|(key, value)| Record {
        key: key.clone(),
        value: Some(value.iter().rev().copied().collect()),
    });
    world.view().store.write(forged.collect()).expect("written");
    world.proves_what_the_log_says();
    world.write();
    let mended: Vec<_> = world.view().store.scan(b"t").flatten().collect();
    assert_eq!(mended, whole);
}

#[test]
fn only_what_was_wrong_is_written_again_and_by_the_one_who_writes() {
    let world = tiled();
    let (key, value) = world.view().store.scan(b"t").flatten().next().expect("one");
    let forged = Record {
        key,
        value: Some(value.iter().rev().copied().collect()),
    };
    world.view().store.write(vec![forged]).expect("written");
    world.proves_what_the_log_says();
    let tile_bytes = value.len();
    assert_eq!(world.view().lock().tiles.dirty_bytes(), tile_bytes);
    world.write();
    assert_eq!(world.view().lock().tiles.dirty_bytes(), 0);
}

#[test]
fn a_log_that_is_not_under_the_root_proves_nothing() {
    let mut world = tiled();
    // Given another commit in the place of one that is in the tree.
    let forged = world.journal.at_its_start();
    for entry in world.journal.read(1, usize::MAX).expect("readable") {
        let commit = match entry.position {
            300 => encoded("a", vec![noted(301)], 300),
            _ => entry.commit,
        };
        forged.append_foreign(&[commit]);
    }
    let forged = Arc::new(forged);
    let view = world.open_on(forged.clone()).expect("nothing reads there");
    let refused = view.tree().prove_inclusion(300, 520).err();
    assert!(
        matches!(refused, Some(ViewError::Incoherent(_))),
        "{refused:?}"
    );
    // Another pass over the log would meet this.
    forged.damage(260);
    let refused = view.tree().prove_inclusion(299, 520).err();
    assert!(
        matches!(refused, Some(ViewError::Incoherent(_))),
        "answered from what was found before: {refused:?}"
    );
}

#[test]
fn a_checkpoint_with_the_edge_of_another_tree_is_not_used() {
    let mut world = tiled();
    let changes = {
        world.note("a");
        let mut changes = world.view().lock().changes().expect("a commit");
        let mut edge = changes.tiles.edge.clone();
        edge.push([7; 32], |_, _| {});
        changes.tiles.edge = edge;
        changes
    };
    let records = world.view().records(&changes).expect("encoded");
    world.view().store.write(records).expect("written");
    let refused = world.reopen_stored().err();
    assert!(
        matches!(&refused, Some(ViewError::Incoherent(why)) if why.contains("Merkle tree")),
        "{refused:?}"
    );
    world.reopen();
    world.answers_as_the_log_says();
}

#[test]
fn a_crash_at_any_record_leaves_a_tree_that_proves_what_the_log_says() {
    for kept in 0..8 {
        let mut world = World::new(NO_CACHE);
        for _ in 0..250 {
            world.note("a");
        }
        world.write();
        for _ in 0..300 {
            world.note("b");
        }
        let changes = world.view().lock().changes().expect("commits");
        let mut due = world.view().records(&changes).expect("encoded");
        assert!(due.len() > 4, "{}", due.len());
        due.truncate(kept);
        world.view().store.write(due).expect("written");
        let reopened = world.reopen_stored();
        assert!(
            reopened.is_ok(),
            "{:?} after {kept} records",
            reopened.err()
        );
        world.view = reopened.expect("opened");
        world.answers_as_the_log_says();
    }
}
