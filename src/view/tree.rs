//! The log's tree at one moment, and proofs from it. What is read of stored tiles is believed only
//! when it leads to the root in memory: a tile that is missing or damaged is made again from the log
//! or from the level below, and when a proof comes out wrong all tiles it touched are.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{MutexGuard, PoisonError},
};

use super::{View, ViewError, tiles};
use crate::{
    commit::leaf_hash,
    journal::JournalError,
    merkle::{
        Frontier, Hash, Node,
        proof::{
            NotProved, ProveError, check_consistency, check_inclusion, prove_consistency,
            prove_inclusion,
        },
        tiles::{Edge, TILE_HASHES, Tile, TileId},
    },
};

/// How much of the log is read at a time to make a tile again.
const READ_BYTES: usize = 1 << 20;

/// The tree of the log as it was at one moment.
pub struct Tree<'a> {
    view: &'a View,
    edge: Edge,
    root: Hash,
}

/// A proof that a commit is in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// The hash of the commit's leaf.
    pub leaf: Hash,
    /// The root of the tree.
    pub root: Hash,
    /// The hashes from the leaf up (RFC 6962, section 2.1.1).
    pub hashes: Vec<Hash>,
}

/// A proof that a tree begins with the leaves of an older one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The root of the older tree.
    pub old_root: Hash,
    /// The root of the tree.
    pub new_root: Hash,
    /// The hashes (RFC 6962, section 2.1.2); none for trees that are empty or of one size.
    pub hashes: Vec<Hash>,
}

/// Why a proof was not made from the tiles.
enum Doubt {
    /// The tiles contradict the root in memory.
    Wrong,
    View(ViewError),
}

impl From<NotProved> for Doubt {
    fn from(_: NotProved) -> Self {
        Self::Wrong
    }
}

impl From<ViewError> for Doubt {
    fn from(error: ViewError) -> Self {
        Self::View(error)
    }
}

impl From<ProveError<ViewError>> for Doubt {
    fn from(error: ProveError<ViewError>) -> Self {
        match error {
            ProveError::Read(error) => Self::View(error),
            ProveError::Outside { .. } => Self::Wrong,
        }
    }
}

impl View {
    /// The log's tree as it is now: of durable commits alone.
    pub fn tree(&self) -> Tree<'_> {
        let state = self.lock();
        Tree {
            view: self,
            edge: state.tiles.edge().clone(),
            root: state.frontier.root(),
        }
    }

    /// The right edge of the tree when it had `size` leaves, which it must have had.
    pub fn frontier_at(&self, size: u64) -> Result<Frontier, ViewError> {
        let tree = self.tree();
        tree.proved(|nodes| nodes.frontier(size))
    }

    /// A whole tile of the tree; `doubted`: made again from the log, whatever is stored.
    fn tile(&self, id: TileId, doubted: bool) -> Result<Tile, ViewError> {
        if !doubted {
            if let Some(tile) = self.found_tile(id)? {
                return Ok(tile);
            }
            let (level, index) = (id.level, id.index);
            tracing::warn!(
                level,
                index,
                "a tile of the Merkle tree is damaged: making it again"
            );
        }
        let tile = self.made_again(id, doubted)?;
        // A doubt falls on whole tiles too, and a pass may go over all of the tree's.
        if !doubted || self.found_tile(id)?.as_ref() != Some(&tile) {
            let mut state = self.lock_with_room();
            state.tiles.mend(id, tile.clone());
            self.press(&state);
        }
        Ok(tile)
    }

    /// A tile as it is in memory or stored; nothing if it is damaged.
    fn found_tile(&self, id: TileId) -> Result<Option<Tile>, ViewError> {
        // One that is not in memory any more has been written.
        let found = self.lock().tiles.get(id).cloned();
        found.map_or_else(|| self.stored_tile(id), |it| Ok(Some(it)))
    }

    /// What is known of a tree that its log contradicts. Who holds it may make tiles again.
    fn contradiction(&self) -> MutexGuard<'_, Option<String>> {
        self.contradiction
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn stored_tile(&self, id: TileId) -> Result<Option<Tile>, ViewError> {
        match self.store.get(&tiles::key(id)) {
            Ok(stored) => Ok(stored.and_then(|bytes| Tile::from_bytes(&bytes))),
            Err(super::StoreError::Damaged(_)) => Ok(None),
            Err(error @ (super::StoreError::Engine(_) | super::StoreError::Io(_))) => {
                Err(error.into())
            }
        }
    }

    fn made_again(&self, id: TileId, doubted: bool) -> Result<Tile, ViewError> {
        let first = id.index * TILE_HASHES as u64;
        let mut hashes = Vec::with_capacity(TILE_HASHES);
        while hashes.len() < TILE_HASHES {
            let next = first + hashes.len() as u64;
            let Some(level) = id.level.checked_sub(1) else {
                let entries = self.journal.read(next + 1, READ_BYTES)?;
                let missing = TILE_HASHES - hashes.len();
                let leaves = entries.iter().map(|entry| leaf_hash(&entry.commit));
                hashes.extend(leaves.take(missing));
                if entries.is_empty() {
                    break;
                }
                continue;
            };
            let below = TileId { level, index: next };
            hashes.push(self.tile(below, doubted)?.root());
        }
        Tile::new(hashes)
            .ok_or_else(|| ViewError::Incoherent("the tree is larger than the log".into()))
    }
}

impl Tree<'_> {
    /// How many leaves it has: the position of the last commit.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// Its root.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.root
    }

    /// Proves that the commit at a position, from 1, is in the tree as it was at `size`, which is at
    /// least the position and at most the size of this tree. Reads disks.
    pub fn prove_inclusion(&self, position: u64, size: u64) -> Result<InclusionProof, ViewError> {
        let leaf = leaf_hash(&self.view.stored_bytes(position)?);
        self.proved(|nodes| {
            let root = nodes.frontier(size)?.root();
            let index = position - 1;
            let hashes = prove_inclusion(index, size, |node| nodes.read(node))?;
            check_inclusion(&leaf, index, size, &root, &hashes)?;
            Ok(InclusionProof { leaf, root, hashes })
        })
    }

    /// Proves that the tree as it was at `new_size`, at most the size of this tree, begins with the
    /// leaves that it had at `old_size`. Reads disks.
    pub fn prove_consistency(
        &self,
        old_size: u64,
        new_size: u64,
    ) -> Result<ConsistencyProof, ViewError> {
        self.proved(|nodes| {
            let old_root = nodes.frontier(old_size)?.root();
            let new_root = nodes.frontier(new_size)?.root();
            let hashes = prove_consistency(old_size, new_size, |node| nodes.read(node))?;
            check_consistency(old_size, &old_root, new_size, &new_root, &hashes)?;
            Ok(ConsistencyProof {
                old_root,
                new_root,
                hashes,
            })
        })
    }

    /// What comes of the tiles; if that is wrong, of tiles made again from the log.
    fn proved<T>(&self, prove: impl Fn(&Nodes) -> Result<T, Doubt>) -> Result<T, ViewError> {
        if let Some(proved) = self.proved_by(&prove, false)? {
            return Ok(proved);
        }
        // One at a time: it reads up to the whole log, and who waited finds what it has mended.
        let mut contradiction = self.view.contradiction();
        if let Some(found) = &*contradiction {
            return Err(ViewError::Incoherent(found.clone()));
        }
        if let Some(proved) = self.proved_by(&prove, false)? {
            return Ok(proved);
        }
        tracing::warn!("tiles of the Merkle tree do not lead to its root: making them again");
        let error = match self.proved_by(&prove, true) {
            Ok(Some(proved)) => return Ok(proved),
            Ok(None) => ViewError::Incoherent(
                "the commits do not lead to the root of the tree over them".into(),
            ),
            Err(error) => error,
        };
        *contradiction = lasting(&error);
        Err(error)
    }

    /// What comes of the tiles; nothing if they contradict the root.
    fn proved_by<T>(
        &self,
        prove: impl Fn(&Nodes) -> Result<T, Doubt>,
        doubted: bool,
    ) -> Result<Option<T>, ViewError> {
        match prove(&Nodes::of(self, doubted)) {
            Ok(proved) => Ok(Some(proved)),
            Err(Doubt::View(error)) => Err(error),
            Err(Doubt::Wrong) => Ok(None),
        }
    }
}

/// What is wrong, in words, if reading the log again would find the same.
fn lasting(error: &ViewError) -> Option<String> {
    match error {
        ViewError::Incoherent(found) => Some(found.clone()),
        ViewError::Undecodable { .. } | ViewError::Journal(JournalError::Damaged { .. }) => {
            Some(error.to_string())
        }
        ViewError::Journal(_)
        | ViewError::Store(_)
        | ViewError::Interrupted
        | ViewError::NotSearchable => None,
    }
}

/// The nodes of a tree, with the tiles that one proof reads; a proof touches few of a level.
struct Nodes<'a> {
    tree: &'a Tree<'a>,
    doubted: bool,
    tiles: RefCell<BTreeMap<TileId, Tile>>,
}

impl<'a> Nodes<'a> {
    fn of(tree: &'a Tree<'a>, doubted: bool) -> Self {
        Self {
            tree,
            doubted,
            tiles: RefCell::default(),
        }
    }

    fn read(&self, node: Node) -> Result<Hash, ViewError> {
        let found = self.tree.edge.node(node, |id| self.tile(id))?;
        found.ok_or_else(|| ViewError::Incoherent(format!("the tree does not have {node:?}")))
    }

    fn tile(&self, id: TileId) -> Result<Tile, ViewError> {
        if let Some(tile) = self.tiles.borrow().get(&id) {
            return Ok(tile.clone());
        }
        let tile = self.tree.view.tile(id, self.doubted)?;
        self.tiles.borrow_mut().insert(id, tile.clone());
        Ok(tile)
    }

    /// The right edge that the tree had at a size, confirmed by the root in memory.
    fn frontier(&self, size: u64) -> Result<Frontier, Doubt> {
        let frontier = Frontier::at(size, |node| self.read(node))?;
        let (head, root) = (self.tree.size(), self.tree.root());
        let proof = prove_consistency(size, head, |node| self.read(node))?;
        check_consistency(size, &frontier.root(), head, &root, &proof)?;
        Ok(frontier)
    }
}
