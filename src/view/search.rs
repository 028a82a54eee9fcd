//! Finding again what was tried before, in all plans: an index in memory of the words that stand in
//! statements, intents, observations and reasons. It has its own lock and its own thread and follows
//! the view off the writer's path; a search first waits until what was published when it came is
//! taken in. It is made from the log when the daemon starts, and the texts themselves stay there.

use std::{
    collections::{BTreeSet, HashMap, VecDeque, hash_map::Entry},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock},
    thread,
    time::{Duration, Instant},
};

use self::{
    carried::Carried,
    excerpt::excerpt,
    index::Index,
    passages::{About, Step},
};
use super::{
    Applied, View, ViewError, index::Index as PlanIndex, plans, plans::Folded, wanted::Wanted,
};
use crate::{
    domain::{
        permits::Permits,
        plan::{Description, Plan},
        value::{Id, Subject, Time},
    },
    proto::{self, AttemptState, Event, TacticState},
};

mod carried;
mod excerpt;
mod find;
mod index;
mod passages;
mod postings;
mod seen;
mod stand;
#[cfg(test)]
mod tests;
mod words;

pub use self::{
    passages::Field,
    stand::{End, State},
};

/// Commits that wait to be taken in may take so much memory; beyond it their plans are read from the
/// log again.
const WAITING_BYTES_MAX: usize = 32 << 20;
/// What a commit that waits takes besides its events, and for each thing in its plan, by estimate:
/// states share their parts, but not the tables of them.
const WAITING_OVERHEAD_BYTES: usize = 2 << 10;
const WAITING_BYTES_A_THING: usize = 32;
/// How many commits are taken in before those who wait for them are told.
const BATCH_COMMITS: usize = 64;
/// How long a search waits at most while the index is made.
const WAIT: Duration = Duration::from_secs(5);
/// How often somebody who waits looks whether the work is free to be taken over.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);
/// How long the thread rests when a plan cannot be read.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// How long commits are let come together before they are taken in: waking for each costs the writer a processor.
/// A search that is asked meanwhile takes them in itself.
const PAUSE: Duration = Duration::from_millis(10);
/// How often making the index says how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// What to look for. A tactic is found if all words stand somewhere in what is told of it and it
/// passes every filter; an empty filter takes all.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// The words, as [`terms`] makes them.
    pub terms: Vec<String>,
    /// Of these kinds.
    pub kinds: Vec<String>,
    /// In these states.
    pub states: Vec<TacticState>,
    /// Whose last attempt stands so, whether they were retired since or not.
    pub outcomes: Vec<AttemptState>,
    /// Of plans with all these labels, and these values of them.
    pub labels: Vec<(String, Option<String>)>,
    /// Whose last attempt began or ended then or later.
    pub tried_from: Option<Time>,
    /// Whose last attempt began or ended before.
    pub tried_before: Option<Time>,
    /// Of these plans.
    pub plan_ids: Vec<Id>,
    /// Of plans that may be shown. Nothing of others is found or changes a rank.
    pub permits: Permits,
    /// Whether somebody still waits for the answer.
    pub wanted: Wanted,
    /// As it was at this position of the log; now, if none is given.
    pub as_of: Option<u64>,
    /// How many hits to pass over.
    pub offset: usize,
    /// How many to return at most.
    pub limit: usize,
}

/// The words of a query as they are compared.
#[must_use]
pub fn terms(query: &str) -> Vec<String> {
    words::terms(query)
}

/// A page of hits.
#[derive(Debug)]
pub struct Found {
    /// The hits, the best first.
    pub hits: Vec<Hit>,
    /// How many there are on all pages.
    pub total: usize,
    /// The position of the log that they reflect.
    pub position: u64,
}

/// A tactic that was found.
#[derive(Debug)]
pub struct Hit {
    /// The plan.
    pub plan_id: Id,
    /// Its title and labels then.
    pub description: Arc<Description>,
    /// The tactic.
    pub tactic_id: Id,
    /// The strategy that it serves.
    pub strategy_id: Option<Id>,
    /// Its kind; may be empty.
    pub kind: String,
    /// What came of it.
    pub state: State,
    /// How well it matches.
    pub score: f64,
    /// Where its statement is said.
    pub statement: Option<TextAt>,
    /// Where the intention of its strategy is said.
    pub intent: Option<TextAt>,
    /// Where it is said what was seen when its last attempt ended, or why it was stopped.
    pub ending: Option<TextAt>,
    /// The texts that match, the best first.
    pub matches: Vec<TextAt>,
}

/// Where the log holds a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextAt {
    /// The position of its commit.
    position: u64,
    /// The event that it is known by.
    revision: u64,
    /// What it is about.
    subject: Subject,
    /// What it tells.
    pub field: Field,
}

/// Reads texts from the log, each commit once.
pub struct Texts<'a> {
    view: &'a View,
    commits: HashMap<u64, proto::Commit>,
}

impl<'a> Texts<'a> {
    /// With nothing read yet.
    #[must_use]
    pub fn new(view: &'a View) -> Self {
        Self {
            view,
            commits: HashMap::new(),
        }
    }

    /// A text; empty, if it is nowhere.
    pub fn read(&mut self, at: Option<&TextAt>) -> Result<String, ViewError> {
        let Some(at) = at else {
            return Ok(String::new());
        };
        Ok(self.text(at)?.unwrap_or_default().to_owned())
    }

    /// The part of a text that shows why it was found.
    pub fn excerpt(&mut self, at: &TextAt, terms: &[String]) -> Result<String, ViewError> {
        Ok(excerpt(self.text(at)?.unwrap_or_default(), terms))
    }

    fn text(&mut self, at: &TextAt) -> Result<Option<&str>, ViewError> {
        let commit = match self.commits.entry(at.position) {
            Entry::Occupied(read) => read.into_mut(),
            Entry::Vacant(unread) => unread.insert(self.view.commit(at.position)?),
        };
        let about = match &at.subject {
            Subject::Tactic(tactic_id) => About::Tactic(tactic_id),
            Subject::Strategy(strategy_id) => About::Strategy(strategy_id),
            Subject::Plan
            | Subject::Objective
            | Subject::Assumption(_)
            | Subject::Indicator(_)
            | Subject::Commitment(_) => return Ok(None),
        };
        let events = &commit.events;
        Ok(passages::text_in(events, at.revision, about, at.field))
    }
}

/// The index and what it has still to take in.
#[derive(Default)]
pub(super) struct Search {
    index: RwLock<Index>,
    /// Held by the one who takes in: a plan's commits come one after another.
    taking_in: Mutex<()>,
    waiting: Mutex<Waiting>,
    /// Signalled when something came, when something was taken in, and at the stop.
    moved: Condvar,
}

/// A commit that is to be taken in.
struct Fresh {
    position: u64,
    events: Arc<[Event]>,
    state: Arc<Folded>,
    bytes: usize,
}

/// What is not taken in yet.
#[derive(Default)]
struct Waiting {
    /// Whether the index follows the log. Before, everything is still to be read.
    follows: bool,
    /// Plans of which commits are missing that have to be read from the log; before all fresh ones.
    behind: BTreeSet<Id>,
    /// Commits as they came.
    fresh: VecDeque<Fresh>,
    fresh_bytes: usize,
    /// The position that was published last.
    published: u64,
    /// The position up to which all is taken in.
    reached: u64,
    /// How many wait to be told.
    listeners: usize,
    stopping: bool,
}

impl Waiting {
    fn push(&mut self, applied: &Applied) {
        let plan = &applied.state.plan;
        let things = plan.tactics.len()
            + plan.commitments.len()
            + plan.evidence.len()
            + plan.assumptions.len();
        let said: usize = applied.events.iter().map(prost::Message::encoded_len).sum();
        let bytes = WAITING_OVERHEAD_BYTES + things * WAITING_BYTES_A_THING + 2 * said;
        self.fresh_bytes += bytes;
        self.fresh.push_back(Fresh {
            position: applied.position,
            events: applied.events.clone(),
            state: applied.state.clone(),
            bytes,
        });
        if self.fresh_bytes > WAITING_BYTES_MAX {
            let plans = self.fresh.drain(..).map(|it| it.state.plan.plan_id.clone());
            self.behind.extend(plans);
            self.fresh_bytes = 0;
        }
    }

    fn is_empty(&self) -> bool {
        self.behind.is_empty() && self.fresh.is_empty()
    }

    fn take_batch(&mut self) -> Vec<Fresh> {
        let count = self.fresh.len().min(BATCH_COMMITS);
        let batch: Vec<_> = self.fresh.drain(..count).collect();
        self.fresh_bytes -= batch.iter().map(|it| it.bytes).sum::<usize>();
        batch
    }
}

impl Search {
    /// Learns of durable commits. What they say is looked at later, elsewhere.
    pub(super) fn publish(&self, group: &[Applied]) {
        let Some(last) = group.last() else {
            return;
        };
        let mut waiting = self.waiting();
        waiting.published = last.position;
        if waiting.follows {
            for applied in group {
                waiting.push(applied);
            }
        }
        self.tell(waiting);
    }

    /// How many commits are not taken in yet.
    pub(super) fn lag(&self) -> u64 {
        let waiting = self.waiting();
        let reached = if waiting.follows { waiting.reached } else { 0 };
        waiting.published.saturating_sub(reached)
    }

    /// Starts where a stored view stands.
    pub(super) fn start_at(&self, position: u64) {
        self.waiting().published = position;
    }

    /// Ends [`View::keep_searchable`].
    pub(super) fn stop(&self) {
        let mut waiting = self.waiting();
        waiting.stopping = true;
        self.tell(waiting);
    }

    fn tell(&self, waiting: MutexGuard<'_, Waiting>) {
        let is_heard = waiting.listeners > 0;
        drop(waiting);
        if is_heard {
            self.moved.notify_all();
        }
    }

    /// Waits until something moves, at most for so long.
    fn wait<'a>(
        &self,
        mut waiting: MutexGuard<'a, Waiting>,
        at_most: Duration,
    ) -> MutexGuard<'a, Waiting> {
        waiting.listeners += 1;
        let woken = self.moved.wait_timeout(waiting, at_most);
        let (mut waiting, _) = woken.unwrap_or_else(PoisonError::into_inner);
        waiting.listeners -= 1;
        waiting
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_in(&self, position: u64, step: &Step<'_>, state: &Plan) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.take_in(position, step, state);
    }

    fn read<T>(&self, read: impl FnOnce(&Index) -> T) -> T {
        read(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl View {
    /// Finds tactics by what is told of them. Reads disks, and belongs on a thread that may block.
    pub fn search_tactics(&self, query: &Query) -> Result<Found, ViewError> {
        let published = self.reach(&query.wanted)?;
        let position = query.as_of.map_or(published, |as_of| as_of.min(published));
        let (hits, total) = self
            .search
            .read(|index| find::find(index, query, position))?;
        Ok(Found {
            hits,
            total,
            position,
        })
    }

    /// How many bytes of memory the index takes, about.
    pub fn search_bytes(&self) -> usize {
        self.search.read(Index::bytes)
    }

    /// Keeps the index up to the log, until [`stop_writing`](Self::stop_writing). Run it on a thread
    /// of its own.
    pub fn keep_searchable(&self) {
        loop {
            let outcome = {
                let _taking_in = lock(&self.search.taking_in);
                self.take_in_until(u64::MAX)
            };
            let mut waiting = self.search.waiting();
            if let Err(error) = outcome
                && !waiting.stopping
            {
                tracing::warn!(%error, "searches are refused: a plan cannot be read");
                let rested = Instant::now() + RETRY_INTERVAL;
                while Instant::now() < rested && !waiting.stopping {
                    waiting = self.search.wait(waiting, RETRY_INTERVAL);
                }
            }
            while waiting.is_empty() && !waiting.stopping {
                waiting = self.search.wait(waiting, RETRY_INTERVAL);
            }
            if waiting.stopping {
                return;
            }
            drop(waiting);
            thread::sleep(PAUSE);
        }
    }

    /// Returns once all that is published now is taken in, and says up to where that is. Takes it in
    /// itself if nobody else is about to.
    fn reach(&self, wanted: &Wanted) -> Result<u64, ViewError> {
        let deadline = Instant::now() + WAIT;
        let published = {
            // Whoever was told of a group while it is being published finds it.
            let _state = self.lock();
            self.search.waiting().published
        };
        loop {
            wanted.go_on()?;
            let waiting = self.search.waiting();
            if waiting.follows && waiting.reached >= published {
                return Ok(published);
            }
            if waiting.stopping {
                return Err(ViewError::Interrupted);
            }
            drop(waiting);
            if let Ok(_taking_in) = self.search.taking_in.try_lock() {
                self.take_in_until(published)?;
                continue;
            }
            if Instant::now() > deadline {
                return Err(ViewError::NotSearchable);
            }
            drop(self.search.wait(self.search.waiting(), LOOK_INTERVAL));
        }
    }

    /// Takes in what waits, up to a position. The caller holds `taking_in`.
    fn take_in_until(&self, position: u64) -> Result<(), ViewError> {
        self.begin();
        self.take_in_behind()?;
        loop {
            let mut waiting = self.search.waiting();
            if !waiting.behind.is_empty() {
                drop(waiting);
                self.take_in_behind()?;
                continue;
            }
            let batch = waiting.take_batch();
            let Some(last) = batch.last().map(|it| it.position) else {
                waiting.reached = waiting.published;
                self.search.tell(waiting);
                return Ok(());
            };
            drop(waiting);
            for fresh in batch {
                let Fresh {
                    position,
                    events,
                    state,
                    ..
                } = fresh;
                self.search
                    .take_in(position, &Step::of(&events), &state.plan);
            }
            let mut waiting = self.search.waiting();
            waiting.reached = last;
            let is_stopping = waiting.stopping;
            self.search.tell(waiting);
            if last >= position || is_stopping {
                return Ok(());
            }
        }
    }

    /// From the first time on all commits are told to the index, and what came before is read.
    fn begin(&self) {
        let mut waiting = self.search.waiting();
        if waiting.follows {
            return;
        }
        waiting.follows = true;
        drop(waiting);
        let mut after = None;
        loop {
            let (plans, _) = self.page(after.as_ref(), 1_024);
            let Some((last, _)) = plans.last() else {
                return;
            };
            after = Some(last.clone());
            let plan_ids = plans.into_iter().map(|(plan_id, _)| plan_id);
            self.search.waiting().behind.extend(plan_ids);
        }
    }

    /// Reads plans of which commits are missing. One that cannot be read stays behind, and holds up
    /// only itself.
    fn take_in_behind(&self) -> Result<(), ViewError> {
        let (mut outcome, mut unreadable) = (Ok(()), Vec::new());
        let (mut plans, mut said) = (0, Instant::now());
        let began = said;
        loop {
            let mut waiting = self.search.waiting();
            if waiting.stopping {
                return Err(ViewError::Interrupted);
            }
            // Taken off first: commits that come meanwhile may put it back.
            let Some(plan_id) = waiting.behind.pop_first() else {
                waiting.behind.extend(unreadable);
                break;
            };
            let left = waiting.behind.len();
            drop(waiting);
            if let Err(error) = self.take_in_plan(&plan_id) {
                unreadable.push(plan_id);
                outcome = Err(error);
            }
            plans += 1;
            if said.elapsed() >= PROGRESS_INTERVAL {
                said = Instant::now();
                tracing::info!(plans, left, "making the index for searches");
            }
        }
        if began.elapsed() >= PROGRESS_INTERVAL && outcome.is_ok() {
            let bytes = self.search_bytes();
            tracing::info!(plans, bytes, "the index for searches is made");
        }
        outcome
    }

    /// Takes in what is missing of a plan, from the log. An amendment costs what is told of its tactic
    /// and a look over the plan's texts.
    fn take_in_plan(&self, plan_id: &Id) -> Result<(), ViewError> {
        let Some(index) = self.plan_index(plan_id)? else {
            return Ok(());
        };
        let done = self.search.read(|index| index.position_of(plan_id));
        if index.last().is_none_or(|last| last.position <= done) {
            return Ok(());
        }
        let mut carried = Carried::unborn(plan_id.clone());
        for entry in index.iter_from(0) {
            let commit = self.commit(entry.position)?;
            let anew = carried.take_all(&commit.events);
            if entry.position > done {
                // The words are cut before the lock is taken.
                let mut step = Step::of(&commit.events);
                step.narrow(&anew, |revision| carried.says(revision));
                self.search.take_in(entry.position, &step, carried.plan());
            }
        }
        Ok(())
    }

    /// The commits of a plan. A plan that is not in memory is not loaded for it: that would drive out
    /// those in use.
    fn plan_index(&self, plan_id: &Id) -> Result<Option<PlanIndex>, ViewError> {
        if let Some((folded, _)) = self.in_memory(plan_id) {
            return Ok(Some(folded.index.clone()));
        }
        if let Some(entry) = self.entry(plan_id)
            && let Some(index) = plans::read_index(&self.store, plan_id, entry.commits)?
            && index
                .last()
                .is_some_and(|last| last.position == entry.last_position)
        {
            return Ok(Some(index));
        }
        let loaded = self.load(plan_id)?;
        Ok(loaded.map(|(folded, _)| folded.index.clone()))
    }
}

fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
