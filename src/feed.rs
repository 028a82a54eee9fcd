//! What watchers and readers of the log stand on: a bounded ring of recent commits, shared as the
//! bytes that were stored, with the journal behind it. A notification carries no data: a watcher is
//! told that something for it came, and reads from where it stands at its own pace.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::{Notify, watch};

use crate::{
    commit::{self, NotACommit},
    domain::{permits::Permits, value::Id},
    journal::{Journal, JournalError},
    proto::LogEntry,
};

/// What one read of the journal may look through, in bytes. It bounds how long a reader whose
/// filter matches nothing holds a blocking thread before it can be cancelled.
const SCAN_BYTES: usize = 4 << 20;
/// How many recent commits one read looks through: publishing waits meanwhile.
const SCAN_COMMITS: usize = 1_024;

/// A durable commit on its way to watchers.
#[derive(Debug, Clone)]
pub struct Recent {
    /// Its position.
    pub position: u64,
    /// The plan it is about.
    pub plan_id: Id,
    /// The kinds of its events, a bit each.
    pub kinds: u64,
    /// Its bytes, as stored.
    pub commit: Bytes,
}

/// Which commits a reader wants and may see: of these plans (none named: of all) and with an event of
/// these kinds.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The plans; empty: all.
    pub plan_ids: Vec<Id>,
    /// The kinds, a bit each; all bits: any.
    pub kinds: u64,
    /// The plans that the reader may see.
    pub permits: Permits,
}

impl Filter {
    /// Whether it takes a commit of this plan with events of these kinds.
    #[must_use]
    pub fn matches(&self, plan_id: &str, kinds: u64) -> bool {
        self.takes_kinds(kinds)
            && (self.plan_ids.is_empty() || self.plan_ids.iter().any(|id| **id == *plan_id))
            && self.permits.hold(plan_id)
    }

    fn takes_kinds(&self, kinds: u64) -> bool {
        // Any kind is also one that this version does not know.
        self.kinds == u64::MAX || self.kinds & kinds != 0
    }

    fn takes_all(&self) -> bool {
        self.plan_ids.is_empty() && self.kinds == u64::MAX && self.permits.is_all()
    }
}

/// A stretch of the log that was read.
#[derive(Debug)]
pub struct Stretch {
    /// What matched, in order.
    pub entries: Vec<LogEntry>,
    /// The position to read on from: everything before it was looked at.
    pub next: u64,
}

/// Why the log cannot be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// The journal refused.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The log holds bytes that are no commit.
    #[error("the commit at position {position} cannot be read: {source}")]
    Undecodable {
        /// Where.
        position: u64,
        /// What is wrong with it.
        source: NotACommit,
    },
}

/// A watcher's place in the register. Dropping it takes the watcher out.
pub struct Watcher {
    feed: Arc<Feed>,
    shared: Arc<Shared>,
}

struct Shared {
    filter: Filter,
    bell: Notify,
    /// The position of the first matching commit the watcher was told of and has not read; 0: none.
    first_match: AtomicU64,
    /// The position from which the watcher reads what it missed; 0: it has looked at everything that
    /// it was not told of.
    reads_from: AtomicU64,
}

/// The feed of one log.
pub struct Feed {
    journal: Arc<dyn Journal>,
    state: Mutex<State>,
    head: watch::Sender<u64>,
    ring_bytes_max: usize,
}

#[derive(Default)]
struct State {
    ring: VecDeque<Recent>,
    ring_bytes: usize,
    /// Watchers of all plans.
    of_all: Vec<Arc<Shared>>,
    /// Watchers by each plan that they name.
    of_plans: HashMap<Id, Vec<Arc<Shared>>>,
    watchers: usize,
}

impl Feed {
    /// A feed of what `journal` holds; recent commits may take `ring_bytes_max` of memory.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>, ring_bytes_max: usize) -> Arc<Self> {
        let head = watch::Sender::new(journal.head());
        Arc::new(Self {
            journal,
            state: Mutex::default(),
            head,
            ring_bytes_max,
        })
    }

    /// The position of the last commit that is shown.
    pub fn head(&self) -> u64 {
        *self.head.borrow()
    }

    /// Returns once `position` is shown.
    pub async fn reached(&self, position: u64) {
        // The sender lives as long as the feed, so waiting cannot fail.
        drop(
            self.head
                .subscribe()
                .wait_for(|head| *head >= position)
                .await,
        );
    }

    /// How many watchers there are.
    pub fn watchers(&self) -> usize {
        self.lock().watchers
    }

    /// How many commits the slowest watcher has still to look at.
    pub fn watch_lag(&self) -> u64 {
        let state = self.lock();
        let head = self.head();
        let of_plans = state.of_plans.values().flatten();
        let watchers = state.of_all.iter().chain(of_plans);
        watchers.map(|it| it.lag(head)).max().unwrap_or_default()
    }

    /// How much memory the recent commits take, and how much they may.
    pub fn recent_bytes(&self) -> (usize, usize) {
        (self.lock().ring_bytes, self.ring_bytes_max)
    }

    /// Shows a group of durable commits and tells the watchers that want one of them.
    pub fn publish(&self, group: Vec<Recent>) {
        let Some(head) = group.last().map(|recent| recent.position) else {
            return;
        };
        let mut state = self.lock();
        for recent in group {
            state.tell(&recent);
            state.keep(recent, self.ring_bytes_max);
        }
        // Under the lock: a watcher that finds itself not told up to a head has missed nothing.
        self.head.send_replace(head);
    }

    /// Enters a watcher into the register.
    pub fn watch(self: &Arc<Self>, filter: Filter) -> Watcher {
        let shared = Arc::new(Shared {
            filter,
            bell: Notify::new(),
            first_match: AtomicU64::new(0),
            reads_from: AtomicU64::new(0),
        });
        let mut state = self.lock();
        state.watchers += 1;
        if shared.filter.plan_ids.is_empty() {
            state.of_all.push(shared.clone());
        }
        for plan_id in &shared.filter.plan_ids {
            state
                .of_plans
                .entry(plan_id.clone())
                .or_default()
                .push(shared.clone());
        }
        Watcher {
            feed: self.clone(),
            shared,
        }
    }

    /// Reads from position `from` to `to` at most, stopping at about `bytes_max` of matching
    /// commits: from memory as far back as that goes, else from the journal, which may block.
    pub fn read(
        &self,
        filter: &Filter,
        from: u64,
        to: u64,
        bytes_max: usize,
    ) -> Result<Stretch, FeedError> {
        match self.read_recent(filter, from, to, bytes_max) {
            Some(stretch) => Ok(stretch),
            None => self.read_journal(filter, from, to, bytes_max),
        }
    }

    /// The same from memory; nothing if that does not go back to `from`.
    #[must_use]
    pub fn read_recent(
        &self,
        filter: &Filter,
        from: u64,
        to: u64,
        bytes_max: usize,
    ) -> Option<Stretch> {
        let state = self.lock();
        let oldest = state.ring.front()?.position;
        let skip = usize::try_from(from.checked_sub(oldest)?).ok()?;
        let mut stretch = Stretch {
            entries: Vec::new(),
            next: from,
        };
        let mut bytes = 0;
        for recent in state
            .ring
            .iter()
            .skip(skip)
            .take(SCAN_COMMITS)
            .take_while(|recent| recent.position <= to)
        {
            stretch.next = recent.position + 1;
            if filter.matches(&recent.plan_id, recent.kinds) {
                bytes += recent.commit.len();
                let commit = recent.commit.clone();
                stretch.entries.push(LogEntry {
                    position: recent.position,
                    commit,
                });
                if bytes >= bytes_max {
                    break;
                }
            }
        }
        Some(stretch)
    }

    fn read_journal(
        &self,
        filter: &Filter,
        from: u64,
        to: u64,
        bytes_max: usize,
    ) -> Result<Stretch, FeedError> {
        let mut stretch = Stretch {
            entries: Vec::new(),
            next: from,
        };
        let (mut matched_bytes, mut scanned_bytes) = (0, 0);
        while stretch.next <= to && matched_bytes < bytes_max && scanned_bytes < SCAN_BYTES {
            let read = match self.journal.read(stretch.next, bytes_max - matched_bytes) {
                // What comes before the damage is whole; who reads on meets it.
                Err(_) if stretch.next > from => break,
                read => read?,
            };
            if read.is_empty() {
                break;
            }
            for entry in read.into_iter().take_while(|entry| entry.position <= to) {
                let position = entry.position;
                stretch.next = position + 1;
                scanned_bytes += entry.commit.len();
                if filter.takes_all() || Self::wanted(filter, position, &entry.commit)? {
                    matched_bytes += entry.commit.len();
                    stretch.entries.push(LogEntry {
                        position,
                        commit: entry.commit,
                    });
                }
            }
        }
        Ok(stretch)
    }

    fn wanted(filter: &Filter, position: u64, commit: &Bytes) -> Result<bool, FeedError> {
        let header =
            commit::header(commit).map_err(|source| FeedError::Undecodable { position, source })?;
        Ok(filter.matches(&header.plan_id, header.kinds))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics half-way through a change of the ring or the register.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tell(&self, recent: &Recent) {
        let of_plan = self.of_plans.get(&recent.plan_id).into_iter().flatten();
        for watcher in self.of_all.iter().chain(of_plan) {
            let filter = &watcher.filter;
            if watcher.is_told() {
                continue;
            }
            if filter.takes_kinds(recent.kinds) && filter.permits.hold(&recent.plan_id) {
                watcher.tell(recent.position);
            }
        }
    }

    fn keep(&mut self, recent: Recent, bytes_max: usize) {
        self.ring_bytes += recent.weight_bytes();
        self.ring.push_back(recent);
        while self.ring_bytes > bytes_max {
            let Some(oldest) = self.ring.pop_front() else {
                break;
            };
            self.ring_bytes -= oldest.weight_bytes();
        }
    }

    fn forget(&mut self, watcher: &Arc<Shared>) {
        self.watchers -= 1;
        let others = |other: &Arc<Shared>| !Arc::ptr_eq(other, watcher);
        if watcher.filter.plan_ids.is_empty() {
            self.of_all.retain(others);
        }
        for plan_id in &watcher.filter.plan_ids {
            if let Some(watchers) = self.of_plans.get_mut(plan_id) {
                watchers.retain(others);
                if watchers.is_empty() {
                    self.of_plans.remove(plan_id);
                }
            }
        }
    }
}

impl Recent {
    fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.commit.len()
    }
}

impl Shared {
    fn lag(&self, head: u64) -> u64 {
        let reads_from = self.reads_from.load(Ordering::Relaxed);
        let told_of = self.first_match.load(Ordering::Acquire);
        // Told of something while it still reads: it comes to that by itself.
        let from = if reads_from > 0 { reads_from } else { told_of };
        if from == 0 {
            0
        } else {
            (head + 1).saturating_sub(from)
        }
    }

    /// Told already and not read yet: one ring of the bell is enough.
    fn is_told(&self) -> bool {
        self.first_match.load(Ordering::Acquire) != 0
    }

    fn tell(&self, position: u64) {
        if self
            .first_match
            .compare_exchange(0, position, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
        {
            self.bell.notify_one();
        }
    }
}

impl Watcher {
    /// Notes where the watcher stands: `next` is the first position that it has not looked at.
    pub fn stands_at(&self, next: u64) {
        let reads_from = if next > self.feed.head() { 0 } else { next };
        self.shared.reads_from.store(reads_from, Ordering::Relaxed);
    }

    /// Returns once a matching commit was published that the watcher has not been told of before.
    pub async fn told(&self) {
        self.shared.bell.notified().await;
    }

    /// Where to read on for a watcher that has looked at everything before `next`: nothing that
    /// matches lies between. What it was told is taken as read from there on.
    #[must_use = "what was told is forgotten"]
    pub fn skip_ahead(&self, next: u64) -> u64 {
        let _state = self.feed.lock();
        let head = self.feed.head();
        match self.shared.first_match.swap(0, Ordering::AcqRel) {
            0 => next.max(head + 1),
            first_match => next.max(first_match),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.feed.lock().forget(&self.shared);
    }
}

#[cfg(test)]
mod tests;
