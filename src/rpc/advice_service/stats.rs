//! `GetTacticStats`: how often tactics worked. The rows of one plan come from the plan at the moment
//! asked for; those of all plans from what the view has counted as of a position. Later pages hold on to
//! the point of the first.

use std::sync::Arc;

use tonic::{Response, Status};

use crate::{
    domain::{
        history::Moment,
        outcomes::{self, Tally},
        permits::Permits,
        stats::{self, Group, Grouping},
        value::Id,
    },
    proto::{
        GetTacticStatsRequest, GetTacticStatsResponse, StatsGrouping, TacticStats, point::Point,
    },
    rpc::{
        Core,
        as_of::{self, Asked},
        call,
        gate::{Caller, Permitted},
        page,
        query::Checks,
        status, working,
    },
    view::{View, ViewError, outcomes::CellKey},
};

/// How many cells, or kinds, one page looks through before it ends early.
const SCANNED_CELLS_MAX: usize = 100_000;

pub(super) async fn answer(
    caller: &Caller<'_>,
    mut query: GetTacticStatsRequest,
) -> Result<Response<GetTacticStatsResponse>, Status> {
    let mut check = Checks::default();
    let (filter, as_of) = Filter::of(&query, &mut check);
    let page_size = page::size(&mut check, query.page_size);
    check.finish()?;
    let token = std::mem::take(&mut query.page_token);
    let min_position = std::mem::take(&mut query.min_position);
    query.page_size = 0;
    let place = page::place(&query, &token)?;
    let plan_id = query.plan_id.clone();
    let plan = filter.plan_id.is_some().then(|| caller.plan(&plan_id));
    let plan = plan.transpose()?;
    let core = caller.core_at(min_position).await?;
    let (pinned, after) = match place {
        Some(place) => {
            let (position, after) = page::pinned(core, &place, cell_of)?;
            (Some(position), after)
        }
        None => (None, None),
    };
    let page = Page {
        query,
        filter,
        permits: caller.permits(),
        size: page_size,
        after,
    };
    let response = if let Some(plan) = plan {
        page.of_plan(core, plan, as_of, pinned).await?
    } else {
        let position = match pinned {
            Some(position) => position,
            None => as_of::position(core, as_of).await?,
        };
        let view = core.view.clone();
        working(move || page.of_all(&view, position)).await?
    };
    Ok(Response::new(response))
}

/// Which tactics are counted, and by what.
struct Filter {
    plan_id: Option<Id>,
    strategy_id: Option<Id>,
    /// In order; none: all.
    kinds: Vec<String>,
    grouping: Grouping,
}

impl Filter {
    fn of(query: &GetTacticStatsRequest, check: &mut Checks) -> (Self, Option<Point>) {
        let named = |check: &mut Checks, field: &'static str, id: &str| {
            (!id.is_empty()).then(|| {
                check.id(field, id);
                Id::from(id)
            })
        };
        let plan_id = named(check, "plan_id", &query.plan_id);
        let strategy_id = named(check, "strategy_id", &query.strategy_id);
        if strategy_id.is_some() && plan_id.is_none() {
            check.fault("plan_id", "required with a strategy_id");
        }
        check.filters("kinds", query.kinds.len());
        let mut kinds = query.kinds.clone();
        kinds.sort_unstable();
        kinds.dedup();
        let as_of = if plan_id.is_some() {
            check.point("as_of", query.as_of)
        } else {
            as_of::check_log_point(check, "as_of", query.as_of)
        };
        let grouping = match StatsGrouping::try_from(query.group_by) {
            Ok(StatsGrouping::Unspecified | StatsGrouping::Kind) => Grouping::Kind,
            Ok(StatsGrouping::Strategy) => Grouping::Strategy,
            Ok(StatsGrouping::Plan) => Grouping::Plan,
            Err(_) => {
                check.fault(
                    "group_by",
                    format!("{} is no StatsGrouping", query.group_by),
                );
                Grouping::Kind
            }
        };
        let filter = Self {
            plan_id,
            strategy_id,
            kinds,
            grouping,
        };
        (filter, as_of)
    }

    fn takes(&self, strategy_id: Option<&Id>, kind: &str) -> bool {
        let of_strategy = self.strategy_id.is_none() || self.strategy_id.as_ref() == strategy_id;
        of_strategy && self.takes_kind(kind)
    }

    fn takes_kind(&self, kind: &str) -> bool {
        let known = self.kinds.binary_search_by(|it| it.as_str().cmp(kind));
        self.kinds.is_empty() || known.is_ok()
    }
}

/// One page to be read.
struct Page {
    /// The query that its token is bound to.
    query: GetTacticStatsRequest,
    filter: Filter,
    permits: Permits,
    /// How many rows it may have.
    size: usize,
    /// Where the page before ended: its last row as a cell, or the last cell that it looked at.
    after: Option<CellKey>,
}

impl Page {
    /// Rows of one plan.
    async fn of_plan(
        self,
        core: &Arc<Core>,
        plan: Permitted<'_>,
        as_of: Option<Point>,
        pinned: Option<u64>,
    ) -> Result<GetTacticStatsResponse, Status> {
        let point = as_of.or(pinned.map(Point::Position));
        let answer = as_of::ask(core, plan, point, move |_, asked| {
            let Asked {
                moment, position, ..
            } = asked;
            let position = pinned.unwrap_or(position);
            let rows = self.rows_of(&moment)?;
            Ok(self.shown(rows, position))
        });
        answer.await
    }

    /// The rows of a plan behind the page before, one more than fit.
    fn rows_of(&self, moment: &Moment) -> Result<Vec<(CellKey, TacticStats)>, Status> {
        let plan = &moment.plan;
        let unknown = |id: &&Id| !plan.strategies.contains_key(*id);
        if let Some(id) = self.filter.strategy_id.as_ref().filter(unknown) {
            return Err(status::no_subject(&format!("strategies/{id}")));
        }
        let groups = stats::of_plan(
            &plan.plan_id,
            &outcomes::cells(plan),
            self.filter.grouping,
            |strategy_id, kind| self.filter.takes(strategy_id, kind),
        );
        let rows = groups
            .into_iter()
            .map(|(group, tally)| (cell(&group), stats::row(&group, tally)));
        let behind = rows.filter(|(key, _)| self.after.as_ref().is_none_or(|after| key > after));
        Ok(behind.take(self.size + 1).collect())
    }

    /// Rows of all plans.
    fn of_all(&self, view: &View, position: u64) -> Result<GetTacticStatsResponse, ViewError> {
        match self.filter.grouping {
            Grouping::Kind => self.kinds(view, position),
            Grouping::Strategy | Grouping::Plan => self.groups(view, position),
        }
    }

    /// Kinds over all plans.
    fn kinds(&self, view: &View, position: u64) -> Result<GetTacticStatsResponse, ViewError> {
        let after = self.after.as_ref().map(|it| it.kind.as_str());
        if !self.permits.is_all() {
            let is_shown = |plan_id: &Id| self.permits.hold(plan_id);
            let totals = view.kind_totals(position, is_shown, &call::wanted())?;
            let rows = totals.into_iter().filter(|(kind, _)| {
                self.filter.takes_kind(kind) && after.is_none_or(|after| kind.as_str() > after)
            });
            let rows = rows.take(self.size + 1).map(of_kind).collect();
            return Ok(self.shown(rows, position));
        }
        if !self.filter.kinds.is_empty() {
            let asked = self.filter.kinds.iter();
            let behind = asked.filter(|kind| after.is_none_or(|after| kind.as_str() > after));
            let counted = behind.map(|kind| (kind.clone(), view.kind_total(kind, position)));
            let counted = counted.filter(|(_, tally)| !tally.is_empty());
            return Ok(self.shown(counted.map(of_kind).collect(), position));
        }
        let mut rows = Vec::new();
        let (mut after, mut scanned) = (self.after.clone(), 0);
        loop {
            call::go_on()?;
            let kinds = view.kinds(position, after.as_ref().map(|it| it.kind.as_str()));
            if kinds.is_empty() {
                return Ok(self.page(rows, position, None));
            }
            for (kind, tally) in kinds {
                let full = rows.len() == self.size && !tally.is_empty();
                if full || scanned >= SCANNED_CELLS_MAX {
                    return Ok(self.page(rows, position, after.as_ref()));
                }
                scanned += 1;
                let (key, row) = of_kind((kind, tally));
                rows.extend((!tally.is_empty()).then_some(row));
                after = Some(key);
            }
        }
    }

    /// Strategies or plans over all plans. The cells of one stand together, so a row is whole when the
    /// next begins; a page ends only there, or where nothing of a row was counted yet.
    fn groups(&self, view: &View, position: u64) -> Result<GetTacticStatsResponse, ViewError> {
        let grouping = self.filter.grouping;
        let mut rows = Vec::new();
        let mut open: Option<(Group, Tally)> = None;
        let (mut looked_at, mut after, mut scanned) = (self.after.clone(), self.after.clone(), 0);
        loop {
            call::go_on()?;
            let cells = view.cells(position, looked_at.as_ref());
            let Some((end, _)) = cells.last() else {
                rows.extend(open.map(|(whole, total)| stats::row(&whole, total)));
                return Ok(self.page(rows, position, None));
            };
            looked_at = Some(end.clone());
            for (key, tally) in cells {
                // Walked past uncounted: no token may name a plan that is hidden.
                if !self.permits.hold(&key.plan_id) {
                    continue;
                }
                let group = grouping.group(&key.plan_id, key.strategy_id.as_ref(), &key.kind);
                if let Some((whole, total)) = open.take_if(|(of, _)| *of != group) {
                    rows.push(stats::row(&whole, total));
                }
                let full = rows.len() == self.size && !tally.is_empty();
                if open.is_none() && (full || scanned >= SCANNED_CELLS_MAX) {
                    return Ok(self.page(rows, position, after.as_ref()));
                }
                scanned += 1;
                if !tally.is_empty() && self.filter.takes_kind(&key.kind) {
                    let (_, total) = open.get_or_insert((group, Tally::default()));
                    *total = total.plus(tally);
                }
                after = Some(key);
            }
        }
    }

    /// A page of rows of which one more than fits was looked for.
    fn shown(
        &self,
        mut rows: Vec<(CellKey, TacticStats)>,
        position: u64,
    ) -> GetTacticStatsResponse {
        let more = rows.len() > self.size;
        rows.truncate(self.size);
        let last = rows.last().filter(|_| more).map(|(key, _)| key.clone());
        let rows = rows.into_iter().map(|(_, row)| row).collect();
        self.page(rows, position, last.as_ref())
    }

    /// A page, and where the next one goes on.
    fn page(
        &self,
        rows: Vec<TacticStats>,
        position: u64,
        last: Option<&CellKey>,
    ) -> GetTacticStatsResponse {
        let token = last
            .map(|key| page::token(&self.query, &page::pinned_place(position, &cell_bytes(key))));
        GetTacticStatsResponse {
            rows,
            next_page_token: token.unwrap_or_default(),
            position,
        }
    }
}

/// The row of a kind over all plans, and its place.
fn of_kind((kind, tally): (String, Tally)) -> (CellKey, TacticStats) {
    let group = Group {
        kind,
        ..Group::default()
    };
    (cell(&group), stats::row(&group, tally))
}

/// A group in the place of a cell: in their order groups of one grouping are cells.
fn cell(group: &Group) -> CellKey {
    CellKey {
        plan_id: group.plan_id.clone().unwrap_or_else(|| Id::from("")),
        strategy_id: group.strategy_id.clone(),
        kind: group.kind.clone(),
    }
}

fn cell_bytes(key: &CellKey) -> Vec<u8> {
    // An id holds no slash.
    let strategy_id = key.strategy_id.as_deref().unwrap_or_default();
    format!("{}/{strategy_id}/{}", key.plan_id, key.kind).into_bytes()
}

fn cell_of(bytes: &[u8]) -> Option<CellKey> {
    let (plan_id, rest) = std::str::from_utf8(bytes).ok()?.split_once('/')?;
    let (strategy_id, kind) = rest.split_once('/')?;
    Some(CellKey {
        plan_id: plan_id.into(),
        strategy_id: (!strategy_id.is_empty()).then(|| strategy_id.into()),
        kind: kind.to_owned(),
    })
}
