//! Merkle hashes in whole tiles of 256, so that a proof reads a few records and not the log. Whole
//! tiles leave memory once they are written; the tiles on the right edge stay, a few KiB, and are
//! written with the checkpoint.

use std::collections::BTreeMap;

use super::{Applied, Projection, StoreError, store::Record};
use crate::merkle::tiles::{Edge, TILE_HASHES, Tile, TileId};

/// The first byte of the tiles' keys.
pub(super) const TAG: u8 = b't';
/// What a tile takes that is not written yet.
const TILE_BYTES: usize = TILE_HASHES * size_of::<crate::merkle::Hash>();

/// The tree as far as it is in memory.
#[derive(Default)]
pub(super) struct Tiles {
    edge: Edge,
    unwritten: BTreeMap<TileId, Tile>,
}

impl Tiles {
    /// The tree that has this edge; its whole tiles are stored.
    pub(super) fn restore(edge: Edge) -> Self {
        Self {
            edge,
            unwritten: BTreeMap::new(),
        }
    }

    pub(super) fn edge(&self) -> &Edge {
        &self.edge
    }

    /// A whole tile, if it is in memory; else it is stored.
    pub(super) fn get(&self, id: TileId) -> Option<&Tile> {
        self.unwritten.get(&id)
    }

    /// Keeps a tile that was made again, and has it written.
    pub(super) fn mend(&mut self, id: TileId, tile: Tile) {
        self.unwritten.insert(id, tile);
    }

    /// About how many bytes the tiles take that are not written yet.
    pub(super) fn dirty_bytes(&self) -> usize {
        self.unwritten.len() * TILE_BYTES
    }
}

/// What is to be written: tiles, and the edge for the checkpoint.
pub(super) struct TileChanges {
    pub(super) edge: Edge,
    whole: Vec<(TileId, Tile)>,
}

impl Projection for Tiles {
    type Changes = TileChanges;

    fn apply(&mut self, applied: &Applied) {
        self.edge.push(applied.leaf, |id, tile| {
            self.unwritten.insert(id, tile);
        });
    }

    fn changes(&mut self) -> TileChanges {
        let whole = self.unwritten.iter();
        TileChanges {
            edge: self.edge.clone(),
            whole: whole.map(|(id, tile)| (*id, tile.clone())).collect(),
        }
    }

    fn records(changes: &TileChanges, records: &mut Vec<Record>) -> Result<(), StoreError> {
        records.extend(changes.whole.iter().map(|(id, tile)| Record {
            key: key(*id),
            value: Some(tile.to_bytes()),
        }));
        Ok(())
    }

    fn settled(&mut self, changes: TileChanges) {
        for (id, tile) in changes.whole {
            // One that was made again since is another, and not written yet.
            if self.unwritten.get(&id) == Some(&tile) {
                self.unwritten.remove(&id);
            }
        }
    }
}

/// `t`, the level, the index big-endian.
pub(super) fn key(id: TileId) -> Vec<u8> {
    let mut key = vec![TAG, id.level];
    key.extend_from_slice(&id.index.to_be_bytes());
    key
}
