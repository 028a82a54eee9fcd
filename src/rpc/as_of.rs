//! Time travel: the moment that a query asks for. A point is named by a revision, a position, a
//! recorded time or an occurred time; behind this file there are only moments, and positions for
//! queries over all plans.

use std::sync::Arc;

use tonic::Status;

use super::{
    Core, blocking,
    log_stream::first_recorded_from,
    query::Checks,
    status::{self, of_view},
};
use crate::{
    domain::{history::Moment, value::Time},
    proto::{self, point::Point},
    view::{View, plans::Folded},
};

/// A plan at the moment asked for, and where that stands.
pub(super) struct Asked {
    /// The plan at that moment.
    pub moment: Moment,
    /// The position of the log that the answer reflects.
    pub position: u64,
    /// Whether the moment lies inside a commit.
    pub inside_commit: bool,
}

/// Answers a question about a plan at a moment. The answer is worked out on a thread that may block:
/// it may read the journal, and a long history takes its time.
pub(super) async fn ask<T: Send + 'static>(
    core: &Arc<Core>,
    plan_id: &str,
    as_of: Option<Point>,
    answer: impl FnOnce(&Core, Asked) -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let (folded, position) = core.plan(plan_id).await?;
    let core = core.clone();
    let answered = blocking(move || {
        Ok(asked(&core, &folded, position, as_of).and_then(|asked| answer(&core, asked)))
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
            let time = Time::from(time);
            past(&core, time)?;
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

fn asked(
    core: &Core,
    folded: &Arc<Folded>,
    head: u64,
    as_of: Option<Point>,
) -> Result<Asked, Status> {
    let history = core.view.history(folded).map_err(|error| of_view(&error))?;
    let Some(point) = as_of else {
        let moment = Moment::of(folded.plan.clone(), history, core.guard.now(), head);
        return Ok(Asked {
            moment,
            position: head,
            inside_commit: false,
        });
    };
    if let Point::OccurredAt(time) = point {
        let time = Time::from(time);
        past(core, time)?;
        let moment = Moment::at_occurred(history, folded.plan.revision, time, head);
        return Ok(Asked {
            moment: moment.ok_or_else(|| status::no_plan_then(&folded.plan.plan_id))?,
            position: head,
            inside_commit: false,
        });
    }
    let revision = revision_at(core, point, folded, head)?;
    let now = match point {
        Point::Revision(_) => history
            .get(revision)
            .map_or_else(Time::default, |it| it.occurred_at()),
        Point::Position(position) => recorded_at(&core.view, position)?,
        Point::RecordedAt(time) | Point::OccurredAt(time) => time.into(),
    };
    let bound = match point {
        Point::Position(position) => position,
        Point::RecordedAt(time) => {
            recorded_until(&core.view, time.into(), head).map_err(|error| of_view(&error))?
        }
        Point::Revision(_) | Point::OccurredAt(_) => history
            .get(revision)
            .map_or(head, |recorded| recorded.position),
    };
    let moment = if revision == folded.plan.revision {
        Moment::of(folded.plan.clone(), history, now, bound)
    } else {
        Moment::at_revision(history, revision, now, bound)
    };
    Ok(Asked {
        moment,
        position: head,
        inside_commit: is_inside_commit(folded, revision),
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
            let time = Time::from(time);
            past(core, time)?;
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
fn recorded_until(view: &View, time: Time, head: u64) -> Result<u64, crate::view::ViewError> {
    Ok(first_recorded_from(view, time.next(), head)? - 1)
}

fn recorded_at(view: &View, position: u64) -> Result<Time, Status> {
    let commit = view.commit(position).map_err(|error| of_view(&error))?;
    Ok(commit.recorded_at.unwrap_or_default().into())
}

/// A time that is still to come is no point of any history.
fn past(core: &Core, time: Time) -> Result<(), Status> {
    if time > core.guard.now() {
        Err(status::beyond_now(time))
    } else {
        Ok(())
    }
}
