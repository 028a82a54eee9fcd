//! Reading the log as a stream: where it starts, what it takes, and the two streams themselves, one
//! that ends at the head and one that goes on. Both pull: a stream that is not read reads nothing.

use std::{sync::Arc, time::Duration};

use futures_util::Stream;
use prost_types::Timestamp;
use tokio::time::Instant;
use tonic::Status;

use super::{
    BATCH_BYTES, Core, Gate, blocking,
    bookmark::{self, Bookmark},
    status::{self, malformed, malformed_field, no_id, quoted},
    stopping,
};
use crate::{
    commit,
    domain::{
        event,
        shape::Violation,
        value::{Id, Time},
    },
    feed::{Filter, Stretch},
    proto::{
        LogEntry, ReadLogResponse, WatchResponse, read_log_request, watch_request,
        watch_response::{CaughtUp, Checkpoint, Entries, Response},
    },
    view::{View, ViewError},
};

/// How often a watch is told where it stands, at least: every 10 seconds, with room for delays.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(9);
/// How many commits of the filter's plans are looked at in one go.
const POSITIONS_MAX: usize = 4_096;
/// The longest list of filters.
const FILTERS_MAX: usize = 64;

/// Where a stream starts.
pub(super) enum Start {
    Position(u64),
    Time(Timestamp),
    Now,
    Bookmark(Vec<u8>),
}

impl From<Option<read_log_request::Start>> for Start {
    fn from(start: Option<read_log_request::Start>) -> Self {
        use read_log_request::Start as From;
        match start {
            None => Self::Position(1),
            Some(From::FromPosition(position)) => Self::Position(position),
            Some(From::FromTime(time)) => Self::Time(time),
            Some(From::FromNow(_)) => Self::Now,
            Some(From::Bookmark(bytes)) => Self::Bookmark(bytes.into()),
        }
    }
}

impl From<Option<watch_request::Start>> for Start {
    fn from(start: Option<watch_request::Start>) -> Self {
        use watch_request::Start as From;
        match start {
            None => Self::Position(1),
            Some(From::FromPosition(position)) => Self::Position(position),
            Some(From::FromTime(time)) => Self::Time(time),
            Some(From::FromNow(_)) => Self::Now,
            Some(From::Bookmark(bytes)) => Self::Bookmark(bytes.into()),
        }
    }
}

impl Start {
    /// The position of the first commit to look at, from 1 to one past the head.
    pub(super) async fn resolve(self, core: &Arc<Core>) -> Result<u64, Status> {
        let head = core.feed.head();
        match self {
            Self::Position(0) => Err(malformed_field("from_position", "positions start at 1")),
            Self::Position(position) if position > head + 1 => {
                Err(status::beyond_head("position", position, head))
            }
            Self::Position(position) => Ok(position),
            Self::Now => Ok(head + 1),
            Self::Bookmark(bytes) => Ok(bookmark::confirm(core, &bytes).await? + 1),
            Self::Time(time) if !Time::holds(&time) => Err(malformed_field(
                "from_time",
                "a time of the years 1 to 9999, nanos 0 to 999999999",
            )),
            Self::Time(time) => {
                let core = core.clone();
                blocking(move || first_recorded_from(&core.view, time.into(), head)).await
            }
        }
    }
}

/// The position of the first commit recorded at `time` or later; one past the head if there is
/// none. Times never run backwards along positions, so halving finds it.
fn first_recorded_from(view: &View, time: Time, head: u64) -> Result<u64, ViewError> {
    let (mut low, mut high) = (1, head + 1);
    while low < high {
        let middle = low.midpoint(high);
        let recorded_at = view.commit(middle)?.recorded_at.unwrap_or_default();
        if Time::from(recorded_at) < time {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// The checked filter of a stream.
pub(super) fn filter(plan_ids: &[String], event_types: &[String]) -> Result<Filter, Status> {
    let mut violations = Vec::new();
    for (field, list) in [("plan_ids", plan_ids), ("event_types", event_types)] {
        if list.len() > FILTERS_MAX {
            let description = format!("{} are more than {FILTERS_MAX}", list.len());
            violations.push(Violation {
                field: field.into(),
                description,
            });
        }
    }
    for (number, plan_id) in plan_ids.iter().enumerate() {
        if !Id::is_valid(plan_id) {
            let field = format!("plan_ids[{number}]");
            violations.push(Violation {
                field,
                description: no_id(plan_id),
            });
        }
    }
    let kinds = kinds("event_types", event_types, &mut violations);
    if !violations.is_empty() {
        return Err(malformed(violations));
    }
    let mut plan_ids: Vec<Id> = plan_ids.iter().map(|id| Id::from(id.as_str())).collect();
    plan_ids.sort_unstable();
    plan_ids.dedup();
    Ok(Filter { plan_ids, kinds })
}

/// Names of event types as bits; none named: all bits.
pub(super) fn kinds(field: &str, names: &[String], violations: &mut Vec<Violation>) -> u64 {
    if names.is_empty() {
        return u64::MAX;
    }
    let mut kinds = 0;
    for (number, name) in names.iter().enumerate() {
        if let Some(bit) = event::type_bit(name) {
            kinds |= 1 << bit;
        } else {
            let description = format!(
                "a type of event is the name of a message of strata.v1.Event, such as \
                 TacticFailed; found {}",
                quoted(name)
            );
            violations.push(Violation {
                field: format!("{field}[{number}]"),
                description,
            });
        }
    }
    kinds
}

/// Commits from `next` to `to`, then the end.
pub(super) fn read_log(
    gate: Gate,
    core: Arc<Core>,
    filter: Filter,
    mut next: u64,
    to: u64,
) -> impl Stream<Item = Result<ReadLogResponse, Status>> {
    async_stream::try_stream! {
        while next <= to {
            if gate.stopping().is_cancelled() {
                Err(stopping())?;
            }
            let stretch = read(&core, &filter, next, to).await?;
            next = stretch.next;
            // Without a match the position is said all the same: the reader sees that it goes on.
            yield ReadLogResponse { entries: stretch.entries, position: next - 1 };
        }
    }
}

/// Commits from `next` on, for as long as the daemon and the reader live.
pub(super) fn watch(
    gate: Gate,
    core: Arc<Core>,
    filter: Filter,
    mut next: u64,
) -> impl Stream<Item = Result<WatchResponse, Status>> {
    async_stream::try_stream! {
        let watcher = core.feed.watch(filter.clone());
        let mut caught_up = false;
        let mut checkpoint_due = Instant::now() + CHECKPOINT_INTERVAL;
        loop {
            if gate.stopping().is_cancelled() {
                Err(stopping())?;
            }
            let head = core.feed.head();
            if next <= head {
                let stretch = read(&core, &filter, next, head).await?;
                next = stretch.next;
                if !stretch.entries.is_empty() {
                    yield sent(Response::Entries(Entries { entries: stretch.entries }));
                }
            } else if caught_up {
                tokio::select! {
                    () = watcher.told() => next = watcher.skip_ahead(next),
                    () = tokio::time::sleep_until(checkpoint_due) => {
                        next = watcher.skip_ahead(next);
                    }
                    () = gate.stopping().cancelled() => {}
                }
            } else {
                caught_up = true;
                yield sent(Response::CaughtUp(CaughtUp { position: next - 1 }));
            }
            if Instant::now() >= checkpoint_due {
                checkpoint_due = Instant::now() + CHECKPOINT_INTERVAL;
                yield sent(Response::Checkpoint(checkpoint(&core, next - 1).await?));
            }
        }
    }
}

async fn read(core: &Arc<Core>, filter: &Filter, from: u64, to: u64) -> Result<Stretch, Status> {
    if filter.plan_ids.is_empty() {
        let stretch = core.feed.read(filter, from, to, BATCH_BYTES).await;
        return stretch.map_err(|error| status::of_feed(&error));
    }
    if let Some(stretch) = core.feed.read_recent(filter, from, to, BATCH_BYTES) {
        return Ok(stretch);
    }
    let (core, filter) = (core.clone(), filter.clone());
    blocking(move || read_of_plans(&core, &filter, from, to)).await
}

/// Reads the commits of the filter's plans alone: their indexes know where they are, however long
/// the log is.
fn read_of_plans(core: &Core, filter: &Filter, from: u64, to: u64) -> Result<Stretch, ViewError> {
    let positions = core
        .view
        .positions(&filter.plan_ids, from, to, POSITIONS_MAX)?;
    let next = if positions.len() < POSITIONS_MAX {
        to + 1
    } else {
        from
    };
    let mut stretch = Stretch {
        entries: Vec::new(),
        next,
    };
    let mut bytes = 0;
    for position in positions {
        let commit = core.view.stored_bytes(position)?;
        let header = commit::header(&commit)
            .map_err(|source| ViewError::Undecodable { position, source })?;
        stretch.next = stretch.next.max(position + 1);
        if filter.matches(&header.plan_id, header.kinds) {
            bytes += commit.len();
            stretch.entries.push(LogEntry { position, commit });
            if bytes >= BATCH_BYTES {
                stretch.next = position + 1;
                break;
            }
        }
    }
    Ok(stretch)
}

async fn checkpoint(core: &Arc<Core>, position: u64) -> Result<Checkpoint, Status> {
    let reader = core.clone();
    let bookmark =
        blocking(move || Bookmark::at(&reader, position).map_err(ViewError::from)).await?;
    Ok(Checkpoint {
        position,
        bookmark: bookmark.to_bytes().into(),
    })
}

fn sent(response: Response) -> WatchResponse {
    WatchResponse {
        response: Some(response),
    }
}
