//! How the attempts of tactics ended, counted over all plans as of any position: by plan, strategy
//! and kind of tactic, and for each kind over all plans.

use std::{collections::BTreeMap, ops::Bound};

use serde::{Deserialize, Serialize};

use super::{PAGE_ENTRIES, View, series::Series};
use crate::domain::{outcomes::Tally, value::Id};

/// Where attempts are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CellKey {
    /// The plan.
    pub plan_id: Id,
    /// The strategy that the tactics serve, if they serve one.
    pub strategy_id: Option<Id>,
    /// The kind of the tactics; may be empty.
    pub kind: String,
}

/// The counts.
#[derive(Default)]
pub(super) struct Outcomes {
    cells: BTreeMap<CellKey, Series<Tally>>,
    kinds: BTreeMap<String, Series<Tally>>,
}

impl Outcomes {
    /// What a position added to a cell and what it took from it, when what was counted turned out to
    /// be something else.
    pub(super) fn count(&mut self, position: u64, cell: &CellKey, gained: Tally, lost: Tally) {
        let change = |series: &mut Series<Tally>| {
            let before = series.last().copied().unwrap_or_default();
            series.push(position, before.plus(gained).minus(lost));
        };
        change(entry(&mut self.cells, cell));
        change(entry(&mut self.kinds, &cell.kind));
    }
}

fn entry<'a, K: Ord + Clone>(
    map: &'a mut BTreeMap<K, Series<Tally>>,
    key: &K,
) -> &'a mut Series<Tally> {
    if !map.contains_key(key) {
        map.insert(key.clone(), Series::default());
    }
    map.entry(key.clone()).or_default()
}

impl View {
    /// The attempts of tactics of a kind that had ended as of a position, over all plans.
    pub fn kind_total(&self, kind: &str, at: u64) -> Tally {
        let state = self.lock();
        let series = state.ledger.outcomes.kinds.get(kind);
        series.and_then(|it| it.at(at)).copied().unwrap_or_default()
    }

    /// The kinds behind `after` of which an attempt had ended as of a position, up to `limit` of them in
    /// their order, with their totals.
    pub fn kinds(&self, at: u64, after: Option<&str>, limit: usize) -> Vec<(String, Tally)> {
        let mut found = Vec::new();
        let mut after = after.map(str::to_owned);
        while found.len() < limit {
            let state = self.lock();
            let start = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let kinds = &state.ledger.outcomes.kinds;
            let behind = kinds.range::<str, _>((start, Bound::Unbounded));
            let mut last = None;
            for (kind, series) in behind.take(PAGE_ENTRIES) {
                last = Some(kind);
                let tally = series.at(at).copied().unwrap_or_default();
                if !tally.is_empty() {
                    found.push((kind.clone(), tally));
                    if found.len() == limit {
                        break;
                    }
                }
            }
            let Some(last) = last else {
                break;
            };
            after = Some(last.clone());
        }
        found
    }

    /// The cells of a plan in which an attempt had ended as of a position.
    pub fn cells_of(&self, plan_id: &Id, at: u64) -> Vec<(CellKey, Tally)> {
        let first = CellKey {
            plan_id: plan_id.clone(),
            strategy_id: None,
            kind: String::new(),
        };
        let state = self.lock();
        let behind = state.ledger.outcomes.cells.range(first..);
        let cells = behind.take_while(|(key, _)| key.plan_id == *plan_id);
        let ended = cells.filter_map(|(key, series)| {
            let tally = series.at(at).copied().filter(|it| !it.is_empty());
            Some((key.clone(), tally?))
        });
        ended.collect()
    }

    /// Up to `limit` cells behind `after`, in the order of their keys, that the filter takes and in
    /// which an attempt had ended as of a position.
    pub fn cells(
        &self,
        at: u64,
        after: Option<&CellKey>,
        limit: usize,
        filter: impl Fn(&CellKey) -> bool,
    ) -> Vec<(CellKey, Tally)> {
        let mut found = Vec::new();
        let mut after = after.cloned();
        while found.len() < limit {
            let state = self.lock();
            let start = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let mut behind = state
                .ledger
                .outcomes
                .cells
                .range::<CellKey, _>((start, Bound::Unbounded))
                .take(PAGE_ENTRIES);
            let mut last = None;
            for (key, series) in behind.by_ref() {
                last = Some(key);
                let tally = series.at(at).copied().unwrap_or_default();
                if !tally.is_empty() && filter(key) {
                    found.push((key.clone(), tally));
                    if found.len() == limit {
                        break;
                    }
                }
            }
            let Some(last) = last else {
                break;
            };
            after = Some(last.clone());
        }
        found
    }
}
