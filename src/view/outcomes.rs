//! How the attempts of tactics ended, counted over all plans as of any position: by plan, strategy
//! and kind of tactic, and for each kind over all plans.

use std::{collections::BTreeMap, ops::Bound};

use serde::{Deserialize, Serialize};

use super::{PAGE_ENTRIES, View, ViewError, series::Series, wanted::Wanted};
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
        series.map(|it| tally(it, at)).unwrap_or_default()
    }

    /// The attempts of tactics of each kind that had ended as of a position, over the plans of which that
    /// is true; only where there are some. Looks at the cells of all plans, a page at a time, as long as
    /// it is wanted.
    pub fn kind_totals(
        &self,
        at: u64,
        counts: impl Fn(&Id) -> bool,
        wanted: &Wanted,
    ) -> Result<BTreeMap<String, Tally>, ViewError> {
        let mut totals: BTreeMap<String, Tally> = BTreeMap::new();
        let mut last: Option<CellKey> = None;
        loop {
            wanted.go_on()?;
            let page = self.cells(at, last.as_ref());
            let Some((end, _)) = page.last() else {
                return Ok(totals);
            };
            last = Some(end.clone());
            for (cell, tally) in page {
                if !tally.is_empty() && counts(&cell.plan_id) {
                    let total = totals.entry(cell.kind).or_default();
                    *total = total.plus(tally);
                }
            }
        }
    }

    /// The next kinds behind `after`, in their order, with their totals as of a position, which are empty
    /// where no attempt had ended. At the end there are none.
    pub fn kinds(&self, at: u64, after: Option<&str>) -> Vec<(String, Tally)> {
        let state = self.lock();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let kinds = &state.ledger.outcomes.kinds;
        let behind = kinds.range::<str, _>((start, Bound::Unbounded));
        let page = behind.take(PAGE_ENTRIES);
        page.map(|(kind, series)| (kind.clone(), tally(series, at)))
            .collect()
    }

    /// The cells of a plan in which an attempt had ended as of a position.
    pub fn cells_of(&self, plan_id: &Id, at: u64) -> Vec<(CellKey, Tally)> {
        let first = CellKey {
            plan_id: plan_id.clone(),
            strategy_id: None,
            kind: String::new(),
        };
        let mut found = Vec::new();
        let mut last: Option<CellKey> = None;
        loop {
            let start = last
                .as_ref()
                .map_or(Bound::Included(&first), Bound::Excluded);
            let page = self.cells_from(at, start);
            let whole = page.len() == PAGE_ENTRIES;
            last = page.last().map(|(key, _)| key.clone());
            let own = page.into_iter().filter(|(key, _)| key.plan_id == *plan_id);
            found.extend(own.filter(|(_, tally)| !tally.is_empty()));
            if !whole || last.as_ref().is_none_or(|it| it.plan_id != *plan_id) {
                return found;
            }
        }
    }

    /// The next cells behind `after`, in the order of their keys, with their counts as of a position,
    /// which are empty where no attempt had ended. At the end there are none.
    pub fn cells(&self, at: u64, after: Option<&CellKey>) -> Vec<(CellKey, Tally)> {
        self.cells_from(at, after.map_or(Bound::Unbounded, Bound::Excluded))
    }

    fn cells_from(&self, at: u64, start: Bound<&CellKey>) -> Vec<(CellKey, Tally)> {
        let state = self.lock();
        let cells = &state.ledger.outcomes.cells;
        let behind = cells.range::<CellKey, _>((start, Bound::Unbounded));
        let page = behind.take(PAGE_ENTRIES);
        page.map(|(key, series)| (key.clone(), tally(series, at)))
            .collect()
    }
}

fn tally(series: &Series<Tally>, at: u64) -> Tally {
    series.at(at).copied().unwrap_or_default()
}
