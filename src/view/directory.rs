//! The directory of plans: one small entry a plan, all of them in memory. It lists and searches
//! plans, and it knows the head of each, so that a cause in another plan is checked without
//! loading that plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{Applied, Projection, StoreError, store::Record};
use crate::domain::{
    plan::{Description, Plan},
    value::{Id, Time},
};

/// The first byte of the directory's keys.
pub(super) const TAG: u8 = b'd';

/// What is known of every plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DirectoryEntry {
    /// Title, summary and labels.
    pub description: Arc<Description>,
    /// The statement of its objective; empty: none was set.
    pub objective: String,
    /// Whether it is archived.
    pub archived: bool,
    /// The revision of its last event.
    pub revision: u64,
    /// How many commits it has.
    pub commits: u64,
    /// The position of its last commit.
    pub last_position: u64,
    /// When its last commit was recorded.
    pub last_recorded_at: Time,
}

impl DirectoryEntry {
    /// Whether the plan's id, title, summary or objective contains `text`, which is lower case.
    #[must_use]
    pub fn mentions(&self, plan_id: &str, text: &str) -> bool {
        [
            plan_id,
            &self.description.title,
            &self.description.summary,
            &self.objective,
        ]
        .iter()
        .any(|field| field.to_lowercase().contains(text))
    }
}

/// All plans.
#[derive(Default)]
pub(super) struct Directory {
    entries: BTreeMap<Id, Arc<DirectoryEntry>>,
    changed: BTreeSet<Id>,
}

impl Directory {
    /// Reads the entries back.
    pub(super) fn restore(
        records: impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), StoreError>>,
    ) -> Result<Self, StoreError> {
        let mut entries = BTreeMap::new();
        for record in records {
            let (key, value) = record?;
            let damaged =
                || StoreError::Damaged(format!("entry {} makes no sense", key.escape_ascii()));
            let plan_id = key.get(1..).and_then(|id| std::str::from_utf8(id).ok());
            let entry = postcard::from_bytes(&value).map_err(|_| damaged())?;
            entries.insert(Id::from(plan_id.ok_or_else(damaged)?), Arc::new(entry));
        }
        Ok(Self {
            entries,
            changed: BTreeSet::new(),
        })
    }

    pub(super) fn get(&self, plan_id: &str) -> Option<&Arc<DirectoryEntry>> {
        self.entries.get(plan_id)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many commits all plans have together: the head of the log, if nothing is missing.
    pub(super) fn commits(&self) -> u64 {
        self.entries.values().map(|entry| entry.commits).sum()
    }

    /// Up to `limit` plans behind `after` in the order of their ids.
    pub(super) fn page(&self, after: Option<&Id>, limit: usize) -> Vec<(Id, Arc<DirectoryEntry>)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.entries
            .range::<Id, _>((start, Bound::Unbounded))
            .take(limit)
            .map(|(id, entry)| (id.clone(), entry.clone()))
            .collect()
    }
}

impl Projection for Directory {
    type Changes = Vec<(Id, Arc<DirectoryEntry>)>;

    fn apply(&mut self, applied: &Applied) {
        let plan: &Plan = &applied.state.plan;
        let entry = DirectoryEntry {
            description: plan.description.clone(),
            objective: plan
                .objective
                .as_ref()
                .map_or_else(String::new, |o| o.statement.clone()),
            archived: plan.is_archived(),
            revision: plan.revision,
            commits: applied.state.index.commits(),
            last_position: applied.state.last_position(),
            last_recorded_at: applied.recorded_at,
        };
        self.entries.insert(plan.plan_id.clone(), Arc::new(entry));
        self.changed.insert(plan.plan_id.clone());
    }

    fn changes(&mut self) -> Self::Changes {
        std::mem::take(&mut self.changed)
            .into_iter()
            .filter_map(|id| {
                self.entries
                    .get(&id)
                    .map(|entry| (id.clone(), entry.clone()))
            })
            .collect()
    }

    fn records(changes: &Self::Changes, records: &mut Vec<Record>) -> Result<(), StoreError> {
        for (plan_id, entry) in changes {
            let mut key = vec![TAG];
            key.extend_from_slice(plan_id.as_bytes());
            records.push(Record {
                key,
                value: Some(super::encode(entry.as_ref())?),
            });
        }
        Ok(())
    }
}
