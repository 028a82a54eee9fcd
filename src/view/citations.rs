//! The events of which plans cite events of others: what followed elsewhere from what a plan records.

use std::collections::{BTreeMap, BTreeSet};

use super::{PAGE_ENTRIES, View};
use crate::domain::{explain::Citation, value::Id};

/// The citations of each plan, in the order of their positions.
#[derive(Default)]
pub(super) struct Citations {
    of: BTreeMap<Id, Vec<Citation>>,
    /// The plans that cite, so that their ids are in memory once.
    citing: BTreeSet<Id>,
}

impl Citations {
    pub(super) fn add(&mut self, cited_plan_id: &Id, citation: &Citation) {
        let known = self.citing.get(&citation.plan_id).cloned();
        let plan_id = known.unwrap_or_else(|| {
            self.citing.insert(citation.plan_id.clone());
            citation.plan_id.clone()
        });
        let citations = self.of.entry(cited_plan_id.clone()).or_default();
        citations.push(Citation {
            plan_id,
            ..citation.clone()
        });
    }
}

impl View {
    /// What events of other plans had cited events of a plan as of a position, in the order in which
    /// they were recorded.
    pub fn citing(&self, plan_id: &str, at: u64) -> Vec<Citation> {
        let mut found = Vec::new();
        loop {
            let state = self.lock();
            let Some(citations) = state.ledger.citations.of.get(plan_id) else {
                return found;
            };
            // They only grow at their end, so what was copied stands where it stood.
            let rest = citations.get(found.len()..).unwrap_or_default();
            let page = rest.iter().take(PAGE_ENTRIES);
            let before = found.len();
            found.extend(page.take_while(|it| it.position <= at).cloned());
            if found.len() < before + PAGE_ENTRIES {
                return found;
            }
        }
    }
}
