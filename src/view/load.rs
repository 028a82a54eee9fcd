//! Plans that are not in memory, and plans as they were: folded from a snapshot and the commits
//! after it, or from the first event. Everything here reads disks and belongs on a thread that may
//! block.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Stored, View, ViewError,
    directory::DirectoryEntry,
    index::{Index, IndexEntry, RequestKey},
    plans::{self, Folded},
};
use crate::{
    commit,
    domain::{evolve, plan::Plan, value::Id},
    proto,
};

/// How much of the log is read at a time when a plan's commits are searched in it.
const SCAN_BYTES: usize = 1 << 20;

impl View {
    /// The plan and the position of the log it is shown at; nothing if there is no such plan.
    pub fn load(&self, plan_id: &str) -> Result<Option<(Arc<Folded>, u64)>, ViewError> {
        loop {
            if let Some(found) = self.in_memory(plan_id) {
                return Ok(Some(found));
            }
            let Some(entry) = self.entry(plan_id) else {
                return Ok(None);
            };
            let loaded = self.read_plan(&Id::from(plan_id), &entry)?;

            let mut state = self.lock();
            let unchanged = state
                .directory
                .get(plan_id)
                .is_some_and(|now| Arc::ptr_eq(now, &entry));
            // A plan that changed while it was read is in memory now: take that one.
            if !unchanged {
                continue;
            }
            if let Some(folded) = loaded {
                let folded = Arc::new(folded);
                state.plans.keep(folded.clone());
                return Ok(Some((folded, state.position)));
            }
            drop(state);
            if let Some(found) = self.mend(plan_id, &entry)? {
                return Ok(Some(found));
            }
        }
    }

    /// The plan from the log, when the view's records of it do not serve; nothing if the plan
    /// changed meanwhile.
    fn mend(
        &self,
        plan_id: &str,
        entry: &Arc<DirectoryEntry>,
    ) -> Result<Option<(Arc<Folded>, u64)>, ViewError> {
        tracing::warn!(
            plan_id,
            "the view's records of a plan are damaged: reading the log for it"
        );
        let folded = Arc::new(self.search_plan(&Id::from(plan_id), entry)?);
        let mut state = self.lock();
        let unchanged = state
            .directory
            .get(plan_id)
            .is_some_and(|now| Arc::ptr_eq(now, entry));
        if unchanged {
            state.plans.mend(folded.clone());
        }
        Ok(unchanged.then_some((folded, state.position)))
    }

    /// The plan as it was after the event of `revision`, which it must have.
    pub fn plan_at(&self, folded: &Folded, revision: u64) -> Result<Plan, ViewError> {
        let events = self.events(folded, revision)?;
        Ok(evolve::fold(folded.plan.plan_id.clone(), &events))
    }

    /// The plan's events up to and including `revision`.
    pub fn events(&self, folded: &Folded, revision: u64) -> Result<Vec<proto::Event>, ViewError> {
        let commits = folded
            .index
            .holding_revision(revision)
            .map_or(0, |number| number + 1);
        let mut events = Vec::new();
        for number in 0..commits {
            let Some(entry) = folded.index.get(number) else {
                break;
            };
            events.extend(self.commit(entry.position)?.events);
        }
        events.retain(|event| event.revision <= revision);
        Ok(events)
    }

    /// Some of the plan's commits, by their numbers counted from 0.
    pub fn commits(
        &self,
        folded: &Folded,
        numbers: impl IntoIterator<Item = usize>,
    ) -> Result<Vec<Stored>, ViewError> {
        numbers
            .into_iter()
            .filter_map(|number| folded.index.get(number))
            .map(|entry| {
                let commit = self.commit(entry.position)?;
                Ok(Stored {
                    position: entry.position,
                    commit,
                })
            })
            .collect()
    }

    /// The commit at a position that an index names.
    pub fn commit(&self, position: u64) -> Result<proto::Commit, ViewError> {
        Ok(self.commit_bytes(position)?.0)
    }

    /// The commit at a position that an index names, and the bytes that are stored.
    pub fn commit_bytes(&self, position: u64) -> Result<(proto::Commit, Bytes), ViewError> {
        let bytes = self.stored_bytes(position)?;
        match commit::decode(&bytes) {
            Ok(commit) => Ok((commit, bytes)),
            Err(source) => Err(ViewError::Undecodable { position, source }),
        }
    }

    /// The bytes of the commit at a position that an index names.
    pub fn stored_bytes(&self, position: u64) -> Result<Bytes, ViewError> {
        self.journal.get(position)?.ok_or_else(|| {
            ViewError::Incoherent(format!(
                "an index names position {position}, which has no commit"
            ))
        })
    }

    /// The positions from `from` to `to` of the commits of these plans, in order, the first `limit`
    /// of them.
    pub fn positions(
        &self,
        plan_ids: &[Id],
        from: u64,
        to: u64,
        limit: usize,
    ) -> Result<Vec<u64>, ViewError> {
        let mut positions = Vec::new();
        for plan_id in plan_ids {
            let Some((folded, _)) = self.load(plan_id)? else {
                continue;
            };
            let before = folded.index.commits_up_to(from.saturating_sub(1));
            let within = folded.index.iter_from(before).map(|entry| entry.position);
            positions.extend(within.take_while(|position| *position <= to).take(limit));
        }
        positions.sort_unstable();
        positions.truncate(limit);
        Ok(positions)
    }

    /// What is stored of the plan, brought up to the directory's revision; nothing when its records
    /// do not account for every revision.
    pub(super) fn read_plan(
        &self,
        plan_id: &Id,
        entry: &DirectoryEntry,
    ) -> Result<Option<Folded>, ViewError> {
        let Some(index) = plans::read_index(&self.store, plan_id, entry.commits)? else {
            return Ok(None);
        };
        if index
            .last()
            .is_none_or(|last| last.position != entry.last_position)
        {
            return Ok(None);
        }
        let snapshot = plans::read_snapshot(&self.store, plan_id, entry.revision)?
            .unwrap_or_else(|| Plan::unborn(plan_id.clone()));
        let plan = self.bring_up(snapshot, &index)?;
        let coherent = plan.revision == entry.revision;
        Ok(coherent.then_some(Folded {
            plan: Arc::new(plan),
            index,
        }))
    }

    /// Folds the commits after a snapshot onto it.
    fn bring_up(&self, snapshot: Plan, index: &Index) -> Result<Plan, ViewError> {
        let first = match snapshot.revision {
            0 => 0,
            revision => index
                .holding_revision(revision)
                .map_or(0, |number| number + 1),
        };
        let plan_id = snapshot.plan_id.clone();
        let mut tail = Vec::new();
        for entry in index.iter_from(first) {
            tail.extend(self.commit(entry.position)?.events);
        }
        if snapshot.revision == 0 {
            return Ok(evolve::fold(plan_id, &tail));
        }
        match evolve::advance(snapshot, &tail) {
            Some(plan) => Ok(plan),
            // A correction changes what came before it, so the snapshot does not serve.
            None => self.bring_up(Plan::unborn(plan_id), index),
        }
    }

    /// Finds the plan's commits by reading the whole log.
    fn search_plan(&self, plan_id: &Id, entry: &DirectoryEntry) -> Result<Folded, ViewError> {
        let mut index = Index::default();
        let mut events = Vec::new();
        let mut from = 1;
        while from <= entry.last_position {
            for stored in self.journal.read(from, SCAN_BYTES)? {
                from = stored.position + 1;
                let position = stored.position;
                let undecodable = |source| ViewError::Undecodable { position, source };
                if position > entry.last_position
                    || commit::header(&stored.commit).map_err(undecodable)?.plan_id != *plan_id
                {
                    continue;
                }
                let commit = commit::decode(&stored.commit).map_err(undecodable)?;
                index.push(index_entry(position, &commit));
                events.extend(commit.events);
            }
        }
        let plan = evolve::fold(plan_id.clone(), &events);
        if plan.revision != entry.revision || index.commits() != entry.commits {
            return Err(ViewError::Incoherent(format!(
                "plan {plan_id} has {} commits up to revision {}, and the view counted {} up to \
                 revision {}",
                index.commits(),
                plan.revision,
                entry.commits,
                entry.revision
            )));
        }
        Ok(Folded {
            plan: Arc::new(plan),
            index,
        })
    }
}

/// What the index keeps of a commit.
pub(super) fn index_entry(position: u64, commit: &proto::Commit) -> IndexEntry {
    IndexEntry {
        position,
        first_revision: commit.first_revision,
        request: RequestKey::of(&commit.request_id),
    }
}
