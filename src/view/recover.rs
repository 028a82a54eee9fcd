//! Opening the view: what is stored is checked against the journal, what came after the checkpoint
//! is read from it, and what cannot be trusted is made again from the first commit.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    Applied, Changes, State, StoreError, View, ViewError,
    directory::{self, Directory},
    history::Histories,
    index::Index,
    ledger::{self, Change, Ledger},
    load::index_entry,
    plans::{Folded, Plans},
    search::Search,
    shown::Shown,
    store::{Record, Store},
    tiles::Tiles,
};
use crate::{
    commit::{self, Header},
    domain::{evolve, plan::Plan, value::Id},
    feed::Recent,
    journal::{Entry, Journal},
    merkle::{Frontier, tiles::Edge},
    proto,
};

/// The form of all records of the view. A view of another form is deleted and made again.
const VIEW_FORMAT: u32 = 4;
const CHECKPOINT_KEY: &[u8] = b"c";
/// How much of the log is read at a time.
const READ_BYTES: usize = 1 << 20;
/// How often a long recovery says how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// Up to where the stored records go, and of which log they are.
#[derive(Serialize, Deserialize)]
struct Checkpoint {
    format: u32,
    log_id: [u8; 16],
    position: u64,
    /// The leaf hash of the commit at the position; zeros at position 0.
    leaf: commit::LeafHash,
    frontier: Frontier,
    /// The tiles of the tree that are not whole, which have no records of their own.
    edge: Edge,
    /// How many changes across plans there were: what is missing of them is noticed by it.
    changes: u64,
}

/// Plans whose records a crash left ahead of the checkpoint, as they were where the log is read.
type Behind = HashMap<Id, Folded>;

impl View {
    /// Opens the view in `dir` and brings it up to the head of `journal`, unless that is
    /// interrupted. Plans that are not in use may take `cache_bytes` of memory.
    pub fn open(
        dir: &Path,
        journal: Arc<dyn Journal>,
        cache_bytes: u64,
        interrupt: &CancellationToken,
    ) -> Result<Self, ViewError> {
        match Self::open_stored(dir, journal.clone(), cache_bytes, interrupt) {
            Ok(Some(view)) => return Ok(view),
            // A new log has nothing that a view could show.
            Ok(None) if journal.head() == 0 => {}
            Ok(None) => tracing::info!("there is no view of this log yet; making it"),
            // The log itself cannot be read: making the view again would not help.
            Err(
                error @ (ViewError::Journal(_)
                | ViewError::Undecodable { .. }
                | ViewError::Interrupted
                | ViewError::NotSearchable),
            ) => {
                return Err(error);
            }
            Err(error @ (ViewError::Store(_) | ViewError::Incoherent(_))) => {
                tracing::warn!(%error, "the stored view cannot be used; making it again");
            }
        }
        Store::destroy(dir).map_err(StoreError::Io)?;
        let view = Self::with_state(Store::open(dir)?, journal, State::empty(cache_bytes));
        view.catch_up(interrupt)?;
        Ok(view)
    }

    /// The record that vouches for all others up to where the changes go.
    pub(super) fn checkpoint(&self, changes: &Changes) -> Result<Record, ViewError> {
        let checkpoint = Checkpoint {
            format: VIEW_FORMAT,
            log_id: *self.journal.log_id().as_bytes(),
            position: changes.position,
            leaf: leaf_at(self.journal.as_ref(), changes.position)?,
            frontier: changes.frontier.clone(),
            edge: changes.tiles.edge.clone(),
            changes: changes.ledger.count,
        };
        Ok(Record {
            key: CHECKPOINT_KEY.to_vec(),
            value: Some(super::encode(&checkpoint)?),
        })
    }

    /// The view as it is stored, brought up to the head; nothing if none is stored.
    pub(super) fn open_stored(
        dir: &Path,
        journal: Arc<dyn Journal>,
        cache_bytes: u64,
        interrupt: &CancellationToken,
    ) -> Result<Option<Self>, ViewError> {
        if !dir.exists() {
            return Ok(None);
        }
        let store = Store::open(dir)?;
        let Some(stored) = store.get(CHECKPOINT_KEY)? else {
            return Ok(None);
        };
        let checkpoint = Checkpoint::decode(&stored)?;
        checkpoint.confirm(journal.as_ref())?;
        let mut state = State::empty(cache_bytes);
        state.directory = Directory::restore(store.scan(&[directory::TAG]))?;
        state.ledger = Ledger::restore(
            store.scan(&[ledger::TAG]),
            checkpoint.position,
            checkpoint.changes,
        )?;
        state.position = checkpoint.position;
        state.written_position = checkpoint.position;
        state.frontier = checkpoint.frontier;
        state.tiles = Tiles::restore(checkpoint.edge);
        let view = Self::with_state(store, journal, state);
        view.search.start_at(checkpoint.position);
        view.catch_up(interrupt)?;
        Ok(Some(view))
    }

    fn with_state(store: Store, journal: Arc<dyn Journal>, state: State) -> Self {
        Self {
            journal,
            store,
            state: Mutex::new(state),
            writing: Mutex::new(()),
            contradiction: Mutex::default(),
            histories: Histories::default(),
            shown: Shown::default(),
            search: Search::default(),
            progress: Condvar::new(),
            silence: Notify::new(),
        }
    }

    /// Takes in commits that another writer appended, one by one: each is marked in the journal, and
    /// handed to `tell` before anybody can see it here.
    pub fn follow(&self, mut tell: impl FnMut(Recent)) -> Result<(), ViewError> {
        let mut frontier = self.frontier();
        let mut behind = Behind::new();
        while self.position() < self.journal.head() {
            for entry in self.journal.read(self.position() + 1, READ_BYTES)? {
                let position = entry.position;
                let Header { plan_id, kinds } = commit::header(&entry.commit)
                    .map_err(|source| ViewError::Undecodable { position, source })?;
                let recent = Recent {
                    position,
                    plan_id,
                    kinds,
                    commit: entry.commit.clone(),
                };
                let mark = |tree: &Frontier| Ok(self.journal.mark(position, tree.root())?);
                self.take_in(&entry, &mut frontier, &mut behind, mark, || tell(recent))?;
            }
        }
        Ok(())
    }

    /// Takes in every commit behind the view's position, and checks that nothing is missing then.
    fn catch_up(&self, interrupt: &CancellationToken) -> Result<(), ViewError> {
        let head = self.journal.head();
        let from = self.position() + 1;
        let mut frontier = self.frontier();
        let mut behind = Behind::new();
        self.confirm_mark(&frontier)?;
        let mut said = Instant::now();
        let mut next = from;
        while next <= head {
            if interrupt.is_cancelled() {
                return Err(ViewError::Interrupted);
            }
            for entry in self.journal.read(next, READ_BYTES)? {
                next = entry.position + 1;
                let confirm = |tree: &Frontier| self.confirm_mark(tree);
                self.take_in(&entry, &mut frontier, &mut behind, confirm, || {})?;
            }
            if said.elapsed() >= PROGRESS_INTERVAL {
                said = Instant::now();
                tracing::info!(position = next - 1, head, "reading the log into the view");
            }
        }
        if next > from {
            tracing::info!(commits = next - from, head, "the view has read the log");
        }
        self.confirm_whole(head)
    }

    /// Takes in a commit, if the tree with its leaf is confirmed, and tells of it.
    fn take_in(
        &self,
        entry: &Entry,
        frontier: &mut Frontier,
        behind: &mut Behind,
        confirm: impl FnOnce(&Frontier) -> Result<(), ViewError>,
        tell: impl FnOnce(),
    ) -> Result<(), ViewError> {
        let position = entry.position;
        let leaf = commit::leaf_hash(&entry.commit);
        frontier.push(leaf);
        confirm(frontier)?;
        let commit = commit::decode(&entry.commit)
            .map_err(|source| ViewError::Undecodable { position, source })?;
        let recorded_at = commit.recorded_at.unwrap_or_default().into();
        let events: Arc<[proto::Event]> = commit.events.as_slice().into();
        let (state, changes) = match self.state_before(&commit, position)? {
            // A crash between two batches can leave a plan's records ahead of the checkpoint.
            Some(ahead) if ahead.last_position() >= position => {
                let changes = self.changes_behind(&ahead, &commit, position, behind)?;
                (ahead, changes)
            }
            Some(before) => self.next_state(&before, position, &commit)?,
            None => {
                let unborn = Folded::unborn(Id::from(commit.plan_id.as_str()));
                self.next_state(&unborn, position, &commit)?
            }
        };
        self.publish(
            &[Applied {
                position,
                recorded_at,
                leaf,
                events,
                state,
                changes,
            }],
            frontier,
            tell,
        );
        let pressed = self.lock().dirty_bytes() > super::DIRTY_BYTES_SOFT;
        if pressed {
            self.write()?;
        }
        Ok(())
    }

    /// The plan after one more commit, and what that changes across plans.
    fn next_state(
        &self,
        before: &Folded,
        position: u64,
        commit: &proto::Commit,
    ) -> Result<(Arc<Folded>, Arc<[Change]>), ViewError> {
        let recorded_at = commit.recorded_at.unwrap_or_default().into();
        let events = &commit.events;
        let after = self.with_commit(before, position, commit, events)?;
        let changes = ledger::changes_of(&before.plan, &after.plan, events, position, recorded_at);
        Ok((Arc::new(after), changes))
    }

    /// What a commit changes across plans whose plan's records are ahead of it: told by the plan as
    /// it was then.
    fn changes_behind(
        &self,
        ahead: &Folded,
        commit: &proto::Commit,
        position: u64,
        behind: &mut Behind,
    ) -> Result<Arc<[Change]>, ViewError> {
        let plan_id = &ahead.plan.plan_id;
        let before = match behind.remove(plan_id) {
            Some(before) => before,
            None => self.folded_before(ahead, position)?,
        };
        let (after, changes) = self.next_state(&before, position, commit)?;
        if ahead.last_position() > position {
            behind.insert(plan_id.clone(), Arc::unwrap_or_clone(after));
        }
        Ok(changes)
    }

    /// A plan as it was before the commit at a position.
    fn folded_before(&self, ahead: &Folded, position: u64) -> Result<Folded, ViewError> {
        let mut index = Index::default();
        let mut events = Vec::new();
        let earlier = ahead.index.iter_from(0);
        for entry in earlier.take_while(|entry| entry.position < position) {
            index.push(*entry);
            events.extend(self.commit(entry.position)?.events);
        }
        let plan = evolve::fold(ahead.plan.plan_id.clone(), &events);
        Ok(Folded {
            plan: Arc::new(plan),
            index,
        })
    }

    fn state_before(
        &self,
        commit: &proto::Commit,
        position: u64,
    ) -> Result<Option<Arc<Folded>>, ViewError> {
        match self.load(&commit.plan_id)? {
            Some((state, _)) => Ok(Some(state)),
            None if commit.first_revision == 1 => Ok(None),
            None => Err(ViewError::Incoherent(format!(
                "the commit at position {position} continues plan {} at revision {}, and the view \
                 does not have it",
                commit.plan_id, commit.first_revision
            ))),
        }
    }

    /// The plan after one more commit with these events.
    fn with_commit(
        &self,
        before: &Folded,
        position: u64,
        commit: &proto::Commit,
        events: &[proto::Event],
    ) -> Result<Folded, ViewError> {
        if commit.first_revision != before.plan.revision + 1 {
            return Err(ViewError::Incoherent(format!(
                "the commit at position {position} is of revision {} of plan {}, which is at {}",
                commit.first_revision, commit.plan_id, before.plan.revision
            )));
        }
        let mut index: Index = before.index.clone();
        index.push(index_entry(position, commit));
        let plan = if let Some(plan) = evolve::advance(Plan::clone(&before.plan), events) {
            plan
        } else {
            let earlier = self.events(before, before.plan.revision)?;
            let all = earlier.iter().chain(events);
            evolve::fold(before.plan.plan_id.clone(), all)
        };
        Ok(Folded {
            plan: Arc::new(plan),
            index,
        })
    }

    /// What was acknowledged last must be what the log holds.
    fn confirm_mark(&self, frontier: &Frontier) -> Result<(), ViewError> {
        match self.journal.recovered_mark() {
            Some(mark) if mark.position == frontier.size() && mark.root != frontier.root() => {
                Err(crate::journal::JournalError::Damaged {
                    what: "the log up to here is not the one that was acknowledged".into(),
                    position: Some(mark.position),
                }
                .into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Every commit belongs to one plan, so the plans' counts add up to the head.
    fn confirm_whole(&self, head: u64) -> Result<(), ViewError> {
        let state = self.lock();
        let (counted, tree) = (state.directory.commits(), state.frontier.size());
        if counted != head || tree != head {
            return Err(ViewError::Incoherent(format!(
                "the log has {head} commits, the view counts {counted} and its tree {tree}"
            )));
        }
        if state.tiles.edge().frontier().as_ref() != Some(&state.frontier) {
            return Err(ViewError::Incoherent(
                "the tiles of its tree have another root than the log".into(),
            ));
        }
        if head > 0 && state.last_recorded_at.is_none() {
            drop(state);
            let recorded_at = self.commit(head)?.recorded_at.unwrap_or_default().into();
            self.lock().last_recorded_at = Some(recorded_at);
        }
        Ok(())
    }
}

impl Checkpoint {
    fn decode(stored: &[u8]) -> Result<Self, ViewError> {
        let senseless = |_| StoreError::Damaged("its checkpoint makes no sense".into());
        // What comes behind the number of another format may have any shape.
        let (format, _) = postcard::take_from_bytes::<u32>(stored).map_err(senseless)?;
        if format != VIEW_FORMAT {
            return Err(ViewError::Incoherent("it has another format".into()));
        }
        Ok(postcard::from_bytes(stored).map_err(senseless)?)
    }

    /// Whether the records are of this form, of this log and of a state that it went through.
    fn confirm(&self, journal: &dyn Journal) -> Result<(), ViewError> {
        let refused = if self.log_id != *journal.log_id().as_bytes() {
            "it is of another log"
        } else if self.position > journal.head() {
            "it is ahead of the log"
        } else if !self.tree_is_sound() {
            "its Merkle tree is damaged"
        } else if self.leaf != leaf_at(journal, self.position)? {
            "the log holds another commit at its position"
        } else {
            return Ok(());
        };
        Err(ViewError::Incoherent(refused.into()))
    }

    fn tree_is_sound(&self) -> bool {
        self.frontier.is_sound()
            && self.frontier.size() == self.position
            && self.edge.is_sound()
            && self.edge.size() == self.position
            && self.edge.frontier().as_ref() == Some(&self.frontier)
    }
}

/// The stored checkpoint as another version would have written it.
#[cfg(test)]
pub(super) fn checkpoint_of_another_format(store: &Store) -> Record {
    let stored = store.get(CHECKPOINT_KEY).expect("sound").expect("stored");
    let mut checkpoint: Checkpoint = postcard::from_bytes(&stored).expect("a checkpoint");
    checkpoint.format += 1;
    Record {
        key: CHECKPOINT_KEY.to_vec(),
        value: Some(super::encode(&checkpoint).expect("encoded")),
    }
}

fn leaf_at(journal: &dyn Journal, position: u64) -> Result<commit::LeafHash, ViewError> {
    let bytes = journal.get(position)?;
    Ok(bytes.map_or([0; 32], |bytes| commit::leaf_hash(&bytes)))
}

impl State {
    fn empty(cache_bytes: u64) -> Self {
        Self {
            position: 0,
            last_recorded_at: None,
            plans: Plans::new(cache_bytes),
            directory: Directory::default(),
            ledger: Ledger::default(),
            frontier: Frontier::default(),
            tiles: Tiles::default(),
            written_position: 0,
            stopping: false,
        }
    }
}
