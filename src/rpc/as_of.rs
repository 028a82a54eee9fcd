//! Time travel: the moment that a query asks for. A point is named by a revision, a position, a
//! recorded time or an occurred time; behind this file there are only moments, and positions for
//! queries over all plans.

use std::sync::Arc;

use tonic::Status;

use super::{
    Core, blocking,
    gate::Permitted,
    log_stream::first_recorded_from,
    query::Checks,
    status::{self, of_view},
    turns,
};
use crate::{
    domain::{
        history::{History, Moment},
        review::Review,
        value::Time,
    },
    proto::{self, point::Point},
    view::{View, ViewError, plans::Folded},
};

/// A plan at the moment asked for, and where that stands.
pub(super) struct Asked {
    /// The plan at that moment.
    pub moment: Moment,
    /// The position of the log that the answer reflects.
    pub position: u64,
    /// Whether the moment lies inside a commit.
    pub inside_commit: bool,
    /// Whether the moment holds all that was recorded.
    is_last: bool,
}

impl Asked {
    /// What is wrong with the plan. Many ask about its last commit, and about every other moment somebody once.
    pub(super) fn review(&self, core: &Core) -> Arc<Review> {
        if self.is_last {
            core.view.reviewed(&self.moment)
        } else {
            Arc::new(Review::of(&self.moment))
        }
    }
}

/// Answers a question about a plan at a moment. The answer is worked out on a thread that may block:
/// it may read the journal, and a long history takes its time.
pub(super) async fn ask<T: Send + 'static>(
    core: &Arc<Core>,
    plan: Permitted<'_>,
    as_of: Option<Point>,
    answer: impl FnOnce(&Core, Asked) -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let turn = turns::take().await?;
    let (folded, position) = core.plan(plan).await?;
    let core = core.clone();
    let answered = blocking(move || {
        let _turn = turn;
        let answer = || {
            let history = core
                .view
                .history(&folded)
                .map_err(|error| of_view(&error))?;
            answer(&core, asked(&core, &folded, &history, position, as_of)?)
        };
        Ok(answer())
    });
    answered.await?
}

/// The position of the log that a query over all plans asks for: the last one at or before its
/// point. 0: before the first commit.
pub(super) async fn position(core: &Arc<Core>, as_of: Option<Point>) -> Result<u64, Status> {
    let head = core.view.position();
    match as_of {
        None => Ok(head),
        Some(Point::Position(position)) if position > head => {
            Err(status::beyond_head("position", position, head))
        }
        Some(Point::Position(position)) => Ok(position),
        Some(Point::RecordedAt(time)) => {
            let core = core.clone();
            let time = past(&core, time.into())?;
            blocking(move || recorded_until(&core.view, time, head)).await
        }
        // Refused by `check_log_point`.
        Some(Point::Revision(_) | Point::OccurredAt(_)) => Err(Status::internal(
            "a query over all plans was asked about a moment of one plan",
        )),
    }
}

/// A point for a query over all plans, which have no revision in common and no past but the log's.
pub(super) fn check_log_point(
    check: &mut Checks,
    field: &'static str,
    point: Option<proto::Point>,
) -> Option<Point> {
    let point = check.point(field, point);
    if let Some(Point::Revision(_) | Point::OccurredAt(_)) = point {
        check.fault(
            field,
            "a query over all plans travels by position or recorded_at only",
        );
        return None;
    }
    point
}

/// The same for what lies between two points, each of which may be left out: the first one is then
/// before the plan's first event, the second one now.
pub(super) async fn ask_between<T: Send + 'static>(
    core: &Arc<Core>,
    plan: Permitted<'_>,
    (from, to): (Option<Point>, Option<Point>),
    answer: impl FnOnce(Option<Asked>, Asked) -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let turn = turns::take().await?;
    let (folded, position) = core.plan(plan).await?;
    let core = core.clone();
    let answered = blocking(move || {
        let _turn = turn;
        let between = || {
            let history = core
                .view
                .history(&folded)
                .map_err(|error| of_view(&error))?;
            let at = |point| asked(&core, &folded, &history, position, point);
            let from = from.map(|point| at(Some(point))).transpose()?;
            let mut to = at(to)?;
            // Two states that were folded from one are the same memory where they are alike, and need not be
            // compared there. The one that is at hand was folded by itself.
            if from.is_some()
                && Arc::ptr_eq(&to.moment.plan, &folded.plan)
                && let Some(plan) = history.fold_from_checkpoint(folded.plan.revision)
            {
                to.moment.plan = Arc::new(plan);
            }
            answer(from, to)
        };
        Ok(between())
    });
    answered.await?
}

fn asked(
    core: &Core,
    folded: &Folded,
    history: &Arc<History>,
    head: u64,
    as_of: Option<Point>,
) -> Result<Asked, Status> {
    let last = folded.plan.revision;
    let (moment, inside_commit, is_last) = match as_of {
        None => {
            let now = core.guard.now();
            let moment = Moment::of(folded.plan.clone(), history.clone(), now, head);
            (moment, false, true)
        }
        Some(Point::OccurredAt(time)) => {
            let time = past(core, time.into())?;
            let moment = Moment::at_occurred(history.clone(), last, time, head);
            let moment = moment.ok_or_else(|| status::no_plan_then(&folded.plan.plan_id))?;
            (moment, false, false)
        }
        Some(point) => {
            let place = place(core, folded, history, point, head)?;
            let Place {
                revision,
                now,
                bound,
            } = place;
            let is_last = revision == last;
            let moment = if is_last {
                Moment::of(folded.plan.clone(), history.clone(), now, bound)
            } else {
                Moment::at_revision(history.clone(), revision, now, bound)
            };
            (moment, is_inside_commit(folded, revision), is_last)
        }
    };
    Ok(Asked {
        moment,
        position: head,
        inside_commit,
        is_last,
    })
}

/// Where a point of what was recorded lies.
struct Place {
    revision: u64,
    /// What counts as now.
    now: Time,
    /// The position that bounds what other plans add.
    bound: u64,
}

fn place(
    core: &Core,
    folded: &Folded,
    history: &History,
    point: Point,
    head: u64,
) -> Result<Place, Status> {
    let (now, bound) = match point {
        Point::Revision(_) => {
            let revision = revision_at(core, point, folded, head)?;
            let recorded = history.get(revision);
            return Ok(Place {
                revision,
                now: recorded.map_or_else(Time::default, |it| it.occurred_at()),
                bound: recorded.map_or(head, |it| it.position),
            });
        }
        Point::Position(position) if position > head => {
            return Err(status::beyond_head("position", position, head));
        }
        Point::Position(position) => (recorded_at(&core.view, position)?, position),
        Point::RecordedAt(time) | Point::OccurredAt(time) => {
            let time = past(core, time.into())?;
            let until = recorded_until(&core.view, time, head);
            (time, until.map_err(|error| of_view(&error))?)
        }
    };
    Ok(Place {
        revision: revision_at(core, Point::Position(bound), folded, head)?,
        now,
        bound,
    })
}

/// The revision that a point of the plan's history names.
pub(super) fn revision_at(
    core: &Core,
    point: Point,
    folded: &Folded,
    head: u64,
) -> Result<u64, Status> {
    let last = folded.plan.revision;
    let position = match point {
        Point::Revision(revision) if revision > last => {
            return Err(status::beyond_head("revision", revision, last));
        }
        Point::Revision(revision) => return Ok(revision),
        Point::Position(position) if position > head => {
            return Err(status::beyond_head("position", position, head));
        }
        Point::Position(position) => position,
        Point::RecordedAt(time) | Point::OccurredAt(time) => {
            let time = past(core, time.into())?;
            recorded_until(&core.view, time, head).map_err(|error| of_view(&error))?
        }
    };
    let commits = folded.index.commits_up_to(position);
    match (commits, folded.index.get(commits)) {
        (0, _) => Err(status::no_plan_then(&folded.plan.plan_id)),
        (_, Some(next)) => Ok(next.first_revision - 1),
        (_, None) => Ok(last),
    }
}

/// Whether a revision is not the last of its commit.
pub(super) fn is_inside_commit(folded: &Folded, revision: u64) -> bool {
    let next = folded
        .index
        .holding_revision(revision)
        .and_then(|n| folded.index.get(n + 1));
    let last = next.map_or(folded.plan.revision, |next| next.first_revision - 1);
    revision < last
}

/// The position of the last commit recorded at a time or before.
pub(super) fn recorded_until(view: &View, time: Time, head: u64) -> Result<u64, ViewError> {
    Ok(first_recorded_from(view, time.next(), head)? - 1)
}

fn recorded_at(view: &View, position: u64) -> Result<Time, Status> {
    let commit = view.commit(position).map_err(|error| of_view(&error))?;
    Ok(commit.recorded_at.unwrap_or_default().into())
}

/// A time that is still to come is no point of any history. What was recorded last is past also
/// while the clock is a little behind it.
pub(super) fn past(core: &Core, time: Time) -> Result<Time, Status> {
    if time > core.guard.now() && Some(time) > core.view.last_recorded_at() {
        Err(status::beyond_now(time))
    } else {
        Ok(time)
    }
}
