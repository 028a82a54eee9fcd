//! Plans' events as they were recorded, for questions about the past. They are read from the journal
//! once and kept in a cache bounded in bytes; a plan that moved on costs only its new commits. The
//! cache has a lock of its own, so that no question waits for the writer or holds it up.

use std::sync::{Arc, Mutex, PoisonError};

use prost::Message as _;
use quick_cache::{Weighter, unsync::Cache};

use super::{View, ViewError, plans::Folded};
use crate::{
    domain::{
        history::{History, Recorded},
        value::Id,
    },
    proto,
};

/// How many bytes the histories in memory may take: some ten of the longest plans that a review
/// does not object to.
const CACHE_BYTES: u64 = 64 << 20;
/// What an event takes in memory for each byte of its encoding, by estimate.
const BYTES_A_BYTE: usize = 2;
/// What an event takes in memory besides, its summary included, by estimate.
const EVENT_OVERHEAD_BYTES: usize = 640;

/// A history and how far it goes.
#[derive(Clone)]
struct Kept {
    history: Arc<History>,
    commits: usize,
    bytes: u64,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Id, Kept> for ByBytes {
    fn weight(&self, _: &Id, kept: &Kept) -> u64 {
        kept.bytes
    }
}

/// The histories in memory.
pub(super) struct Histories(Mutex<Cache<Id, Kept, ByBytes>>);

impl Default for Histories {
    fn default() -> Self {
        // The number of items only sizes the cache's tables.
        Self(Mutex::new(Cache::with_weighter(64, CACHE_BYTES, ByBytes)))
    }
}

impl Histories {
    /// How much memory they take, and how much they may.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.weight(), CACHE_BYTES)
    }

    fn get(&self, plan_id: &str) -> Option<Kept> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(plan_id).cloned()
    }

    fn keep(&self, kept: Kept) {
        let plan_id = kept.history.plan_id.clone();
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_older = |held: &Kept| held.commits < kept.commits;
        if cache.get(&plan_id).is_none_or(is_older) {
            cache.insert(plan_id, kept);
        }
    }
}

impl View {
    /// The events of a plan, at least up to its revision in `folded`: there may be later ones.
    pub fn history(&self, folded: &Folded) -> Result<Arc<History>, ViewError> {
        let plan_id = &folded.plan.plan_id;
        let kept = self.histories.get(plan_id);
        if let Some(kept) = &kept
            && kept.commits >= folded.index.len()
        {
            return Ok(kept.history.clone());
        }
        let mut kept = kept.unwrap_or_else(|| Kept::empty(plan_id.clone()));
        let mut events = kept.history.events.clone();
        for entry in folded.index.iter_from(kept.commits) {
            let commit = self.commit(entry.position)?;
            kept.bytes += weight_bytes(&commit);
            extend(&mut events, entry.position, commit);
        }
        kept.commits = folded.index.len();
        let before = &kept.history;
        let checkpointed = (before.events.len(), &before.checkpoints);
        let history = History::checkpointed(plan_id.clone(), events, checkpointed);
        kept.bytes +=
            (history.checkpoints.weight_bytes() - before.checkpoints.weight_bytes()) as u64;
        kept.history = Arc::new(history);
        self.histories.keep(kept.clone());
        Ok(kept.history)
    }
}

impl Kept {
    fn empty(plan_id: Id) -> Self {
        let history = History::of(plan_id, Vec::new());
        Self {
            history: Arc::new(history),
            commits: 0,
            bytes: 0,
        }
    }
}

fn weight_bytes(commit: &proto::Commit) -> u64 {
    (BYTES_A_BYTE * commit.encoded_len() + EVENT_OVERHEAD_BYTES * commit.events.len()) as u64
}

fn extend(events: &mut Vec<Arc<Recorded>>, position: u64, commit: proto::Commit) {
    let recorded_at = commit.recorded_at.unwrap_or_default().into();
    let (actor, on_behalf_of): (Arc<str>, Arc<str>) =
        (commit.actor.into(), commit.on_behalf_of.into());
    events.extend(commit.events.into_iter().map(|event| {
        let (actor, on_behalf_of) = (actor.clone(), on_behalf_of.clone());
        Arc::new(Recorded::new(
            position,
            recorded_at,
            actor,
            on_behalf_of,
            event,
        ))
    }));
}
