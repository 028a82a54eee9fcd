//! The tree cut into tiles, so that any node of it is found with little read and less kept. A tile of
//! level 0 holds 256 leaves, one of level 1 the roots of 256 tiles of level 0, and so on up: the shape
//! of C2SP tlog-tiles. A whole tile never changes; those that are not whole are the tree's right
//! edge, at most 255 hashes a level.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Frontier, Hash, Node, perfect_root};

/// How many hashes a whole tile has.
pub const TILE_HASHES: usize = 1 << TILE_HEIGHT;
/// How many levels of the tree a tile spans.
const TILE_HEIGHT: u8 = 8;

/// Names a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// 0 holds leaves.
    pub level: u8,
    /// Its place among the tiles of its level, counted from 0.
    pub index: u64,
}

/// A whole tile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile(Arc<[Hash; TILE_HASHES]>);

impl Tile {
    /// The tile with these hashes; nothing if they are fewer or more than a whole tile has.
    #[must_use]
    pub fn new(hashes: Vec<Hash>) -> Option<Self> {
        let hashes: Box<[Hash; TILE_HASHES]> = hashes.try_into().ok()?;
        Some(Self(hashes.into()))
    }

    /// The tile as bytes: its hashes, one behind the other.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.concat()
    }

    /// The tile that these bytes stand for; nothing if they are of another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (hashes, rest) = bytes.as_chunks();
        if rest.is_empty() {
            Self::new(hashes.to_vec())
        } else {
            None
        }
    }

    /// The root of the tile: one hash of the level above.
    #[must_use]
    pub fn root(&self) -> Hash {
        perfect_root(&*self.0)
    }
}

/// Where a node is found.
struct Place {
    tile: TileId,
    /// The hashes of the tile that are below the node.
    first: usize,
    count: usize,
}

impl Place {
    fn of(node: Node) -> Self {
        let height = node.level % TILE_HEIGHT;
        let first = node.index << height;
        Self {
            tile: TileId {
                level: node.level / TILE_HEIGHT,
                index: first >> TILE_HEIGHT,
            },
            first: usize::from(first.to_le_bytes()[0]),
            count: 1 << height,
        }
    }

    fn node_in(&self, hashes: &[Hash]) -> Option<Hash> {
        hashes
            .get(self.first..self.first + self.count)
            .map(perfect_root)
    }
}

/// The tree's right edge: the tiles that are not whole yet, one a level.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    size: u64,
    /// The hashes of each level's last tile, the leaves first.
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf, and hands each tile over that becomes whole.
    pub fn push(&mut self, leaf: Hash, mut whole: impl FnMut(TileId, Tile)) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0_u8.. {
            if usize::from(level) == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let hashes = &mut self.levels[usize::from(level)];
            hashes.push(hash);
            if hashes.len() < TILE_HASHES {
                return;
            }
            let Some(tile) = Tile::new(std::mem::take(hashes)) else {
                return;
            };
            hash = tile.root();
            let index = (self.size >> (TILE_HEIGHT * (level + 1))) - 1;
            whole(TileId { level, index }, tile);
        }
    }

    /// A node of the tree, which must be whole in it. `tile` is asked for whole tiles.
    pub fn node<E>(
        &self,
        node: Node,
        tile: impl FnOnce(TileId) -> Result<Tile, E>,
    ) -> Result<Option<Hash>, E> {
        let place = Place::of(node);
        let (level, index) = (place.tile.level, place.tile.index);
        let Some(edge) = self.levels.get(usize::from(level)) else {
            return Ok(None);
        };
        if index == self.size >> (TILE_HEIGHT * level) >> TILE_HEIGHT {
            return Ok(place.node_in(edge));
        }
        if index > self.size >> (TILE_HEIGHT * level) >> TILE_HEIGHT {
            return Ok(None);
        }
        Ok(place.node_in(&*tile(place.tile)?.0))
    }

    /// The roots of the perfect subtrees on the edge, from which the tree's root follows; nothing if
    /// the edge is not one of its size.
    #[must_use]
    pub fn frontier(&self) -> Option<Frontier> {
        let never = |_| Err(());
        Frontier::at(self.size, |node| self.node(node, never)?.ok_or(())).ok()
    }

    /// Whether each level has as many hashes as the size asks for, as it does unless it was damaged.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let mut rest = self.size;
        for hashes in &self.levels {
            if hashes.len() as u64 != rest % TILE_HASHES as u64 {
                return false;
            }
            rest >>= TILE_HEIGHT;
        }
        rest == 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{
        super::{
            proof::{check_consistency, prove_consistency, prove_inclusion},
            testing::{leaves, path_of, root_of},
        },
        *,
    };

    /// A tree with all its tiles.
    #[derive(Default)]
    struct Tree {
        edge: Edge,
        tiles: BTreeMap<TileId, Tile>,
    }

    impl Tree {
        fn push(&mut self, leaf: Hash) {
            self.edge.push(leaf, |id, tile| {
                assert!(self.tiles.insert(id, tile).is_none(), "{id:?} twice");
            });
        }

        fn node(&self, node: Node) -> Result<Hash, String> {
            let found = self.edge.node(node, |id| {
                let bytes = self.tiles.get(&id).ok_or(format!("no {id:?}"))?.to_bytes();
                Tile::from_bytes(&bytes).ok_or(format!("{id:?} is no tile"))
            })?;
            found.ok_or(format!("{node:?} is outside"))
        }
    }

    #[test]
    fn the_edge_has_the_root_of_the_tree_at_every_size_and_across_tile_borders() {
        let leaves = leaves(65_540);
        let (mut tree, mut frontier) = (Tree::default(), Frontier::default());
        for leaf in leaves {
            tree.push(leaf);
            frontier.push(leaf);
            let size = tree.edge.size();
            if !(600..65_530).contains(&size) || (size + 1) % 256 < 3 {
                assert!(tree.edge.is_sound());
                assert_eq!(tree.edge.frontier().as_ref(), Some(&frontier));
            }
        }
        // Then there are 256 whole tiles of leaves, and one of their roots.
        assert_eq!(tree.tiles.len(), 257);
        let top = TileId { level: 1, index: 0 };
        assert!(tree.tiles.contains_key(&top));
    }

    #[test]
    fn proofs_from_tiles_are_those_of_the_definition() {
        let all = leaves(65_537);
        let mut tree = Tree::default();
        let sizes = [
            1, 2, 255, 256, 257, 258, 511, 512, 513, 514, 65_535, 65_536, 65_537,
        ];
        let mut roots = Vec::new();
        for size in sizes {
            while tree.edge.size() < size as u64 {
                tree.push(all[usize::try_from(tree.edge.size()).expect("small")]);
            }
            let root = root_of(&all[..size]);
            roots.push(root);
            let new = size as u64;
            for (old, old_root) in sizes.iter().zip(&roots) {
                let old = *old as u64;
                let proof = prove_consistency(old, new, |node| tree.node(node)).expect("proved");
                assert!(check_consistency(old, old_root, new, &root, &proof).is_ok());
                // And the edge of the old size is found in the new tree.
                let found = Frontier::at(old, |node| tree.node(node)).expect("read");
                assert_eq!(found.root(), *old_root);
            }
            for leaf in [0, 1, 254, 255, 256, 511, 512, size - 1] {
                if leaf < size {
                    let path = prove_inclusion(leaf as u64, new, |node| tree.node(node));
                    assert_eq!(path.expect("proved"), path_of(leaf, &all[..size]));
                }
            }
        }
    }

    #[test]
    fn an_edge_of_another_size_is_not_sound() {
        let mut edge = Edge::default();
        assert!(edge.is_sound());
        for leaf in leaves(300) {
            edge.push(leaf, |_, _| {});
        }
        for size in [0, 43, 44, 299, 301, 556, 65_580] {
            let other = Edge {
                size,
                ..edge.clone()
            };
            assert!(!other.is_sound(), "{size}");
        }
        assert!(Tile::from_bytes(&[0; 8_191]).is_none());
        assert!(Tile::from_bytes(&[0; 8_192 + 32]).is_none());
        assert!(Tile::from_bytes(&[0; 8_192]).is_some());
    }
}
