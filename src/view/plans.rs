//! Plans, folded up to their last commit: those that changed since the view was last written, and a
//! cache, bounded in bytes, of others. On disk a plan is its index and, once folding it from its
//! commits would cost more, a snapshot of its state in pieces.

use std::{collections::HashMap, sync::Arc};

use quick_cache::{Weighter, unsync::Cache};

use super::{
    Applied, Projection, StoreError,
    index::{CHUNK_COMMITS, Index, IndexEntry},
    store::{Record, Store},
};
use crate::domain::{plan::Plan, value::Id};

/// The first byte of the keys of index chunks.
const INDEX_TAG: u8 = b'i';
/// The first byte of the keys of snapshot pieces.
const SNAPSHOT_TAG: u8 = b's';
/// The form of a snapshot. One of another form is thrown away and the plan folded again.
const SNAPSHOT_FORMAT: u16 = 2;
/// Sled moves small values about more cheaply than large ones.
const SNAPSHOT_PIECE_BYTES: usize = 12 << 10;
/// A plan of fewer commits is folded from them faster than a snapshot is kept up to date.
const SNAPSHOT_AFTER_COMMITS: u64 = 32;
/// A snapshot of so many bytes waits for one commit more, so that large plans are not written
/// again and again.
const SNAPSHOT_BYTES_A_COMMIT: u64 = 4 << 10;
/// format, revision, length, checksum
const SNAPSHOT_HEADER_BYTES: usize = 2 + 8 + 8 + 4;
/// What a cached plan takes beyond its texts and index, by estimate.
const PLAN_OVERHEAD_BYTES: usize = 2 << 10;

/// A plan folded up to its last commit.
#[derive(Debug, Clone, PartialEq)]
pub struct Folded {
    /// Its state, which answers share.
    pub plan: Arc<Plan>,
    /// Its commits.
    pub index: Index,
}

impl Folded {
    /// A plan without events.
    #[must_use]
    pub fn unborn(plan_id: Id) -> Self {
        Self {
            plan: Arc::new(Plan::unborn(plan_id)),
            index: Index::default(),
        }
    }

    /// The position of its last commit; 0 before the first.
    #[must_use]
    pub fn last_position(&self) -> u64 {
        self.index.last().map_or(0, |last| last.position)
    }

    /// About how many bytes of memory it takes. The state holds each text once, as its view does,
    /// but with more around it.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        PLAN_OVERHEAD_BYTES
            + 2 * self.plan.size_bound_bytes
            + self.index.len() * size_of::<IndexEntry>()
    }
}

/// A plan that changed since the view was last written.
#[derive(Clone)]
pub(super) struct Dirty {
    folded: Arc<Folded>,
    /// The number of its first commit that is not in the store.
    first_commit: usize,
}

#[derive(Clone)]
struct ByWeight;

impl Weighter<Id, Arc<Folded>> for ByWeight {
    fn weight(&self, _: &Id, folded: &Arc<Folded>) -> u64 {
        folded.weight_bytes() as u64
    }
}

/// The plans in memory.
pub(super) struct Plans {
    dirty: HashMap<Id, Dirty>,
    dirty_bytes: usize,
    clean: Cache<Id, Arc<Folded>, ByWeight>,
}

impl Plans {
    pub(super) fn new(cache_bytes: u64) -> Self {
        // The estimate of the number of items only sizes the cache's tables.
        let items = usize::try_from(cache_bytes / (16 << 10))
            .unwrap_or(usize::MAX)
            .max(64);
        let clean = Cache::with_weighter(items, cache_bytes, ByWeight);
        Self {
            dirty: HashMap::new(),
            dirty_bytes: 0,
            clean,
        }
    }

    /// The plan, if it is in memory.
    pub(super) fn get(&mut self, plan_id: &str) -> Option<Arc<Folded>> {
        match self.dirty.get(plan_id) {
            Some(dirty) => Some(dirty.folded.clone()),
            None => self.clean.get(plan_id).cloned(),
        }
    }

    /// Keeps a plan that was loaded.
    pub(super) fn keep(&mut self, folded: Arc<Folded>) {
        self.clean.insert(folded.plan.plan_id.clone(), folded);
    }

    /// Keeps a plan whose records turned out to be damaged, and has all of them written again.
    pub(super) fn mend(&mut self, folded: Arc<Folded>) {
        let plan_id = folded.plan.plan_id.clone();
        self.clean.remove(&plan_id);
        let (bytes, first_commit) = (folded.weight_bytes(), 0);
        self.dirty.entry(plan_id).or_insert_with(|| {
            self.dirty_bytes += bytes;
            Dirty {
                folded,
                first_commit,
            }
        });
    }

    /// About how many bytes the plans in memory take.
    pub(super) fn weight_bytes(&self) -> u64 {
        self.dirty_bytes as u64 + self.clean.weight()
    }

    /// About how many bytes the plans take that are not written yet.
    pub(super) fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }
}

#[cfg(test)]
impl Plans {
    /// As if so much were not written that publishing has to wait.
    pub(super) fn press(&mut self) {
        self.dirty_bytes += 2 * super::DIRTY_BYTES_HARD;
    }
}

impl Projection for Plans {
    type Changes = Vec<Dirty>;

    fn apply(&mut self, applied: &Applied) {
        let folded = applied.state.clone();
        self.dirty_bytes += folded.weight_bytes();
        if let Some(dirty) = self.dirty.get_mut(&folded.plan.plan_id) {
            self.dirty_bytes -= dirty.folded.weight_bytes();
            dirty.folded = folded;
            return;
        }
        // An older state must not come back once this one is written.
        self.clean.remove(&folded.plan.plan_id);
        let first_commit = folded.index.len().saturating_sub(1);
        self.dirty.insert(
            folded.plan.plan_id.clone(),
            Dirty {
                folded,
                first_commit,
            },
        );
    }

    fn changes(&mut self) -> Self::Changes {
        self.dirty.values().cloned().collect()
    }

    fn records(changes: &Self::Changes, records: &mut Vec<Record>) -> Result<(), StoreError> {
        for Dirty {
            folded,
            first_commit,
        } in changes
        {
            for (number, chunk) in folded.index.chunks_from(*first_commit) {
                let key = numbered_key(INDEX_TAG, &folded.plan.plan_id, number);
                records.push(Record {
                    key,
                    value: Some(super::encode(&chunk)?),
                });
            }
        }
        Ok(())
    }

    fn settled(&mut self, changes: Self::Changes) {
        for written in changes {
            let plan_id = written.folded.plan.plan_id.clone();
            let Some(current) = self.dirty.get_mut(&plan_id) else {
                continue;
            };
            if Arc::ptr_eq(&current.folded, &written.folded) {
                self.dirty.remove(&plan_id);
                self.dirty_bytes -= written.folded.weight_bytes();
                self.clean.insert(plan_id, written.folded);
            } else {
                current.first_commit = written.folded.index.len();
            }
        }
    }
}

/// Adds the snapshots that are worth writing to the records.
pub(super) fn snapshot_records(
    store: &Store,
    changes: &[Dirty],
    records: &mut Vec<Record>,
) -> Result<(), StoreError> {
    for Dirty { folded, .. } in changes {
        if folded.index.commits() < SNAPSHOT_AFTER_COMMITS {
            continue;
        }
        let plan_id = &folded.plan.plan_id;
        let stored = match store.get(&numbered_key(SNAPSHOT_TAG, plan_id, 0)) {
            Ok(stored) => stored,
            // A damaged snapshot is as good as none.
            Err(StoreError::Damaged(_)) => None,
            Err(error) => return Err(error),
        };
        if is_due(folded, stored.as_deref().and_then(SnapshotHeader::read)) {
            push_snapshot(&folded.plan, records)?;
        }
    }
    Ok(())
}

fn is_due(folded: &Folded, stored: Option<SnapshotHeader>) -> bool {
    stored.is_none_or(|header| {
        let commits_then = folded
            .index
            .holding_revision(header.revision)
            .map_or(0, |n| n + 1);
        let since = folded.index.commits().saturating_sub(commits_then as u64);
        since >= SNAPSHOT_AFTER_COMMITS.max(header.length / SNAPSHOT_BYTES_A_COMMIT)
    })
}

fn push_snapshot(plan: &Plan, records: &mut Vec<Record>) -> Result<(), StoreError> {
    let state = super::encode(plan)?;
    let header = SnapshotHeader {
        revision: plan.revision,
        length: state.len() as u64,
        crc: crc32c::crc32c(&state),
    };
    let mut bytes = header.write();
    bytes.extend_from_slice(&state);
    for (number, piece) in bytes.chunks(SNAPSHOT_PIECE_BYTES).enumerate() {
        let key = numbered_key(SNAPSHOT_TAG, &plan.plan_id, number);
        records.push(Record {
            key,
            value: Some(piece.to_vec()),
        });
    }
    Ok(())
}

/// The plan's stored snapshot, if there is one that is whole, of this format and not of a later
/// revision. Anything else about it does not matter: the plan is then folded from its commits.
pub(super) fn read_snapshot(
    store: &Store,
    plan_id: &Id,
    revision: u64,
) -> Result<Option<Plan>, StoreError> {
    let mut bytes = match store.get(&numbered_key(SNAPSHOT_TAG, plan_id, 0)) {
        Ok(Some(first)) => first,
        Ok(None) | Err(StoreError::Damaged(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(header) = SnapshotHeader::read(&bytes).filter(|h| h.revision <= revision) else {
        return Ok(None);
    };
    let length = SNAPSHOT_HEADER_BYTES + usize::try_from(header.length).unwrap_or(usize::MAX);
    for number in 1.. {
        if bytes.len() >= length {
            break;
        }
        match store.get(&numbered_key(SNAPSHOT_TAG, plan_id, number)) {
            Ok(Some(piece)) => bytes.extend_from_slice(&piece),
            Ok(None) | Err(StoreError::Damaged(_)) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let Some(state) = bytes.get(SNAPSHOT_HEADER_BYTES..length) else {
        return Ok(None);
    };
    if crc32c::crc32c(state) != header.crc {
        return Ok(None);
    }
    let plan: Option<Plan> = postcard::from_bytes(state).ok();
    Ok(plan.filter(|plan| plan.revision == header.revision && plan.plan_id == *plan_id))
}

/// The plan's stored index, if it accounts for exactly `commits` commits in order.
pub(super) fn read_index(
    store: &Store,
    plan_id: &Id,
    commits: u64,
) -> Result<Option<Index>, StoreError> {
    let mut index = Index::default();
    let commits = usize::try_from(commits).unwrap_or(usize::MAX);
    for number in 0..commits.div_ceil(CHUNK_COMMITS) {
        let stored = match store.get(&numbered_key(INDEX_TAG, plan_id, number)) {
            Ok(Some(stored)) => stored,
            Ok(None) | Err(StoreError::Damaged(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Ok(chunk) = postcard::from_bytes::<Vec<IndexEntry>>(&stored) else {
            return Ok(None);
        };
        // A crash can leave a chunk that is ahead of the directory; the log adds the rest again.
        for entry in chunk.into_iter().take(commits - number * CHUNK_COMMITS) {
            let in_order = index.last().map_or(entry.first_revision == 1, |last| {
                last.position < entry.position && last.first_revision < entry.first_revision
            });
            if !in_order {
                return Ok(None);
            }
            index.push(entry);
        }
    }
    Ok(Some(index).filter(|index| index.len() == commits))
}

struct SnapshotHeader {
    revision: u64,
    length: u64,
    crc: u32,
}

impl SnapshotHeader {
    fn write(&self) -> Vec<u8> {
        let mut bytes = SNAPSHOT_FORMAT.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.revision.to_le_bytes());
        bytes.extend_from_slice(&self.length.to_le_bytes());
        bytes.extend_from_slice(&self.crc.to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (format, rest) = bytes.split_first_chunk()?;
        let (revision, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (crc, _) = rest.split_first_chunk()?;
        (u16::from_le_bytes(*format) == SNAPSHOT_FORMAT).then(|| Self {
            revision: u64::from_le_bytes(*revision),
            length: u64::from_le_bytes(*length),
            crc: u32::from_le_bytes(*crc),
        })
    }
}

/// Keys sort by plan and number; an id holds no zero byte.
fn numbered_key(tag: u8, plan_id: &Id, number: usize) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + plan_id.len() + 1 + 4);
    key.push(tag);
    key.extend_from_slice(plan_id.as_bytes());
    key.push(0);
    key.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
    key
}
