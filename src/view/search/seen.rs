//! What of the index somebody may see who may not see all plans. The numbers by which words are weighed are
//! counted over that alone: weights would tell how often a word stands in plans that are hidden.

use super::{
    Query, ViewError, Wanted,
    index::{Index, Kept, Owner, get},
};

/// The plans and strategies that may be seen, by their numbers.
pub(super) struct Seen {
    plans: Vec<bool>,
    strategies: Vec<bool>,
}

impl Seen {
    /// Nothing if all may be seen.
    pub(super) fn of(index: &Index, query: &Query) -> Result<Option<Self>, ViewError> {
        if query.permits.is_all() {
            return Ok(None);
        }
        let mut strategies = vec![false; index.strategies.len()];
        let mut plans = Vec::with_capacity(index.plans.len());
        for (step, plan) in index.plans.iter().enumerate() {
            query.wanted.go_on_at(step)?;
            let is_seen = query.permits.hold(&plan.plan_id);
            plans.push(is_seen);
            for number in &plan.strategies {
                if let Some(strategy) = strategies.get_mut(*number as usize) {
                    *strategy = is_seen;
                }
            }
        }
        Ok(Some(Self { plans, strategies }))
    }

    /// Whether a plan may be seen.
    pub(super) fn has_plan(&self, number: u32) -> bool {
        get(&self.plans, number).is_some_and(|is_seen| *is_seen)
    }

    /// Whether a passage may be seen.
    pub(super) fn has(&self, index: &Index, passage: &Kept) -> bool {
        match passage.owner {
            Owner::Tactic(tactic) => {
                get(&index.tactics, tactic).is_some_and(|tactic| self.has_plan(tactic.plan))
            }
            Owner::Strategy(strategy) => {
                get(&self.strategies, strategy).is_some_and(|is_seen| *is_seen)
            }
        }
    }

    /// How many passages that may be seen were said up to a position.
    pub(super) fn passages_until(
        &self,
        index: &Index,
        position: u64,
        wanted: &Wanted,
    ) -> Result<u32, ViewError> {
        let mut count: u32 = 0;
        for (step, passage) in index.passages.iter().enumerate() {
            wanted.go_on_at(step)?;
            if passage.from <= position && self.has(index, passage) {
                count = count.saturating_add(1);
            }
        }
        Ok(count)
    }
}
