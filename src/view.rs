//! The view: what the log says of every plan, folded. It takes in each commit in memory as it
//! becomes durable, so that what was answered is seen, and reaches a database of its own behind the
//! commit path. All of it is disposable: nothing of it is believed unchecked, and what is missing,
//! damaged or of another format is made again from the journal.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::sync::Notify;

use crate::{
    commit::{LeafHash, NotACommit},
    domain::value::{Id, Time},
    feed::FeedError,
    journal::{Journal, JournalError, Syncing},
    merkle::Frontier,
    proto,
};

pub mod citations;
pub mod commitments;
pub mod directory;
mod history;
pub mod index;
pub mod ledger;
mod load;
pub mod outcomes;
pub mod plans;
mod recover;
pub mod search;
mod series;
mod shown;
mod store;
#[cfg(test)]
mod tests;
mod tiles;
pub mod tree;
pub mod wanted;

pub use self::store::StoreError;
use self::{
    directory::{Directory, DirectoryEntry},
    history::Histories,
    ledger::{Change, Ledger},
    plans::{Folded, Plans},
    search::Search,
    shown::Shown,
    store::{Record, Store},
    tiles::Tiles,
};

/// How long the view's changes stay in memory only; the log has them, so this bounds what a start
/// after a crash reads again.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);
/// Changes of so many bytes are written without waiting for the interval.
const DIRTY_BYTES_SOFT: usize = 32 << 20;
/// With so many, whoever publishes waits until some are written.
const DIRTY_BYTES_HARD: usize = 128 << 20;
/// How many entries a query across plans looks at before it lets go of the lock for whoever publishes.
const PAGE_ENTRIES: usize = 256;

/// What a projection is told: one durable commit.
pub struct Applied {
    /// Its position.
    pub position: u64,
    /// When it was recorded.
    pub recorded_at: Time,
    /// The hash of its bytes as a leaf of the log's tree.
    pub leaf: LeafHash,
    /// Its events.
    pub events: Arc<[proto::Event]>,
    /// Its plan after it.
    pub state: Arc<Folded>,
    /// What it changes across plans.
    pub changes: Arc<[Change]>,
}

/// A fold of the log that is kept in memory and written behind it.
trait Projection {
    /// What changed since the last time, cheap to take.
    type Changes;

    /// Takes in one commit.
    fn apply(&mut self, applied: &Applied);

    /// Hands over what changed.
    fn changes(&mut self) -> Self::Changes;

    /// Encodes changes; called without any lock held.
    fn records(changes: &Self::Changes, records: &mut Vec<Record>) -> Result<(), StoreError>;

    /// Learns that changes are written.
    fn settled(&mut self, _changes: Self::Changes) {}
}

/// Why the view cannot answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// The log cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The view's database cannot be read or written.
    #[error(
        "{0}; stop stratad, delete the directory `view` in its data directory, and start again"
    )]
    Store(#[from] StoreError),
    /// The log holds bytes that are no commit.
    #[error("the commit at position {position} cannot be read: {source}")]
    Undecodable {
        /// Where.
        position: u64,
        /// What is wrong with it.
        source: NotACommit,
    },
    /// The log does not fold as it must.
    #[error("the log does not account for itself: {0}")]
    Incoherent(String),
    /// The daemon was told to stop before the view was opened.
    #[error("opening the view was interrupted")]
    Interrupted,
    /// The index for searches is still being made.
    #[error("the index for searches is still being made")]
    NotSearchable,
}

impl From<FeedError> for ViewError {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Journal(error) => Self::Journal(error),
            FeedError::Undecodable { position, source } => Self::Undecodable { position, source },
        }
    }
}

/// How much the view holds.
#[derive(Debug, Clone, Copy)]
pub struct ViewStats {
    /// The number of plans.
    pub plans: usize,
    /// The position up to which it is on disk.
    pub written_position: u64,
    /// About how many bytes the plans in memory take.
    pub cached_bytes: u64,
    /// About how many bytes the histories in memory take, and how many they may.
    pub histories_bytes: (u64, u64),
    /// How many bytes the encoded plans and the reviews in memory take, and how many they may.
    pub shown_bytes: (u64, u64),
    /// How many commits searches do not find yet.
    pub search_lag: u64,
}

/// Everything in memory, consistent at one position.
struct State {
    position: u64,
    last_recorded_at: Option<Time>,
    plans: Plans,
    directory: Directory,
    ledger: Ledger,
    frontier: Frontier,
    tiles: Tiles,
    written_position: u64,
    stopping: bool,
}

/// What is not written yet, up to a position.
struct Changes {
    position: u64,
    frontier: Frontier,
    plans: <Plans as Projection>::Changes,
    directory: <Directory as Projection>::Changes,
    ledger: <Ledger as Projection>::Changes,
    tiles: <Tiles as Projection>::Changes,
}

/// The view of one log.
pub struct View {
    journal: Arc<dyn Journal>,
    store: Store,
    state: Mutex<State>,
    /// Held by the one who writes: two at once would put older records over newer ones.
    writing: Mutex<()>,
    /// What was found when the log did not lead to its tree's root, until the next start: reading the
    /// log again would find the same. Held while tiles are made again.
    contradiction: Mutex<Option<String>>,
    /// What was read of plans' pasts.
    histories: Histories,
    /// What was shown of plans, encoded, and their reviews.
    shown: Shown,
    /// What was tried before, by its words.
    search: Search,
    /// Signalled when changes pile up, when some were written, and at the stop.
    progress: Condvar,
    /// Signalled when a due date may pass in silence earlier than any before.
    silence: Notify,
}

impl View {
    /// Takes in a group of durable commits, all at once. `frontier` is the log's tree after them. `tell` is
    /// called before anybody can see them here: whoever is told of them by it and then looks here finds
    /// them, and who found them here finds that they were told of.
    pub fn publish(&self, group: &[Applied], frontier: &Frontier, tell: impl FnOnce()) {
        let mut state = self.lock_with_room();
        for applied in group {
            state.apply(applied);
        }
        tell();
        state.frontier.clone_from(frontier);
        if std::mem::take(&mut state.ledger.silence_is_earlier) {
            self.silence.notify_one();
        }
        self.search.publish(group);
        self.press(&state);
    }

    /// Waits until there is room for more changes that are not written.
    fn lock_with_room(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        while state.dirty_bytes() > DIRTY_BYTES_HARD && !state.stopping {
            self.progress.notify_all();
            state = self
                .progress
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    /// Wakes the one who writes when changes pile up.
    fn press(&self, state: &State) {
        if state.dirty_bytes() > DIRTY_BYTES_SOFT {
            self.progress.notify_all();
        }
    }

    /// The plan and the position of the log it is shown at, if it is in memory.
    pub fn in_memory(&self, plan_id: &str) -> Option<(Arc<Folded>, u64)> {
        let mut state = self.lock();
        let folded = state.plans.get(plan_id)?;
        Some((folded, state.position))
    }

    /// What the directory knows of a plan.
    pub fn entry(&self, plan_id: &str) -> Option<Arc<DirectoryEntry>> {
        self.lock().directory.get(plan_id).cloned()
    }

    /// Up to `limit` plans behind `after` in the order of their ids, and the position of the log
    /// they are shown at.
    pub fn page(&self, after: Option<&Id>, limit: usize) -> (Vec<(Id, Arc<DirectoryEntry>)>, u64) {
        let state = self.lock();
        (state.directory.page(after, limit), state.position)
    }

    /// The position the view has taken in.
    pub fn position(&self) -> u64 {
        self.lock().position
    }

    /// When the last commit was recorded.
    pub fn last_recorded_at(&self) -> Option<Time> {
        self.lock().last_recorded_at
    }

    /// The right edge of the log's Merkle tree.
    pub fn frontier(&self) -> Frontier {
        self.lock().frontier.clone()
    }

    /// How much it holds.
    pub fn stats(&self) -> ViewStats {
        let (histories_bytes, search_lag) = (self.histories.bytes(), self.search.lag());
        let state = self.lock();
        ViewStats {
            plans: state.directory.len(),
            written_position: state.written_position,
            cached_bytes: state.plans.weight_bytes(),
            histories_bytes,
            shown_bytes: self.shown.bytes(),
            search_lag,
        }
    }

    /// The write to its database that is under way, so that one which does not return is noticed.
    #[must_use]
    pub fn syncing(&self) -> Option<Syncing> {
        self.store.syncing()
    }

    /// Writes changes about once a second, or sooner when they pile up, until
    /// [`stop_writing`](Self::stop_writing). Run it on a thread of its own.
    pub fn write_behind(&self) -> Result<(), ViewError> {
        let ended = self.write_until_stopped();
        // However it ends, nobody may wait for it any more.
        self.stop_writing();
        ended
    }

    fn write_until_stopped(&self) -> Result<(), ViewError> {
        loop {
            let state = self.lock();
            let (state, _) = self
                .progress
                .wait_timeout_while(state, WRITE_INTERVAL, |state| {
                    !state.stopping && state.dirty_bytes() <= DIRTY_BYTES_SOFT
                })
                .unwrap_or_else(PoisonError::into_inner);
            let stopping = state.stopping;
            drop(state);
            self.write()?;
            if stopping {
                return Ok(());
            }
        }
    }

    /// Ends [`write_behind`](Self::write_behind) once it has written what there is, and
    /// [`keep_searchable`](Self::keep_searchable).
    pub fn stop_writing(&self) {
        self.search.stop();
        self.lock().stopping = true;
        self.progress.notify_all();
    }

    /// Writes all changes and the checkpoint behind them.
    fn write(&self) -> Result<(), ViewError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(changes) = self.lock().changes() else {
            return Ok(());
        };
        self.store.write(self.records(&changes)?)?;

        let mut state = self.lock();
        state.plans.settled(changes.plans);
        state.directory.settled(changes.directory);
        state.ledger.settled(changes.ledger);
        state.tiles.settled(changes.tiles);
        state.written_position = changes.position;
        drop(state);
        self.progress.notify_all();
        Ok(())
    }

    /// The records of changes. A prefix of them survives a crash, so what is built on comes first:
    /// chunks of the index, then the directory that counts them, what goes across plans, tiles, then the
    /// checkpoint that vouches for all.
    fn records(&self, changes: &Changes) -> Result<Vec<Record>, ViewError> {
        let mut records = Vec::new();
        Plans::records(&changes.plans, &mut records)?;
        plans::snapshot_records(&self.store, &changes.plans, &mut records)?;
        Directory::records(&changes.directory, &mut records)?;
        Ledger::records(&changes.ledger, &mut records)?;
        Tiles::records(&changes.tiles, &mut records)?;
        records.push(self.checkpoint(changes)?);
        Ok(records)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves whole values behind: nothing is changed step by step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn apply(&mut self, applied: &Applied) {
        debug_assert_eq!(
            applied.position,
            self.position + 1,
            "commits are taken in in order"
        );
        self.plans.apply(applied);
        self.directory.apply(applied);
        self.ledger.apply(applied);
        self.tiles.apply(applied);
        self.position = applied.position;
        self.last_recorded_at = Some(applied.recorded_at);
    }

    /// What is not written yet, if there is something.
    fn changes(&mut self) -> Option<Changes> {
        // Without a new commit there can still be records to be mended.
        if self.written_position == self.position && self.dirty_bytes() == 0 {
            return None;
        }
        Some(Changes {
            position: self.position,
            frontier: self.frontier.clone(),
            plans: self.plans.changes(),
            directory: self.directory.changes(),
            ledger: self.ledger.changes(),
            tiles: self.tiles.changes(),
        })
    }

    /// About how many bytes of changes are not written yet.
    fn dirty_bytes(&self) -> usize {
        self.plans.dirty_bytes() + self.ledger.dirty_bytes() + self.tiles.dirty_bytes()
    }
}

/// A commit that was read back.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The position of the commit.
    pub position: u64,
    /// The commit.
    pub commit: proto::Commit,
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(value).map_err(|error| StoreError::Engine(error.to_string()))
}
