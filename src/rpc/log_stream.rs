//! Reading the log as a stream: where it starts, what it takes, and the two streams themselves, one
//! that ends at the head and one that goes on. Both pull: a stream that is not read reads nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::Stream;
use tokio::time::Instant;
use tonic::Status;

use super::{
    BATCH_BYTES, Core, Gate, blocking,
    bookmark::{self, Bookmark},
    call::Call,
    gate::Caller,
    query::Checks,
    status, stepping, stopping,
};
use crate::{
    commit,
    domain::{
        permits::Permits,
        value::{Id, Time},
    },
    feed::{Filter, Stretch},
    journal::{Entry, JournalError},
    proto::{
        LogEntry, ReadLogResponse, WatchResponse, read_log_request, watch_request,
        watch_response::{CaughtUp, Checkpoint, Entries, Response},
    },
    view::{View, ViewError},
};

/// How often a watch is told where it stands, at least: every 10 seconds, with room for delays.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(9);
/// Takes every commit.
const ANY: Filter = Filter {
    plan_ids: Vec::new(),
    kinds: u64::MAX,
    permits: Permits::all(),
};
/// How many commits of the filter's plans are looked at in one go.
const POSITIONS_MAX: usize = 4_096;

/// Where a stream starts.
pub(super) enum Start {
    Position(u64),
    Time(Time),
    Now,
    Bookmark(Bookmark),
}

impl From<watch_request::Start> for read_log_request::Start {
    fn from(start: watch_request::Start) -> Self {
        use watch_request::Start as From;
        match start {
            From::FromPosition(position) => Self::FromPosition(position),
            From::FromTime(time) => Self::FromTime(time),
            From::FromNow(now) => Self::FromNow(now),
            From::Bookmark(bytes) => Self::Bookmark(bytes),
        }
    }
}

impl Start {
    /// Where a request says that it starts; by itself at the first commit.
    pub(super) fn of(start: Option<read_log_request::Start>, check: &mut Checks) -> Self {
        use read_log_request::Start as From;
        match start {
            None => return Self::Position(1),
            Some(From::FromPosition(0)) => check.fault("from_position", "positions start at 1"),
            Some(From::FromPosition(position)) => return Self::Position(position),
            Some(From::FromTime(time)) if Time::holds(&time) => return Self::Time(time.into()),
            Some(From::FromTime(_)) => check.fault(
                "from_time",
                "a time of the years 1 to 9999, nanos 0 to 999999999",
            ),
            Some(From::FromNow(true)) => return Self::Now,
            Some(From::FromNow(false)) => {
                check.fault("from_now", "it must be true, or leave it out");
            }
            Some(From::Bookmark(bytes)) => match Bookmark::from_bytes(&bytes) {
                Some(bookmark) => return Self::Bookmark(bookmark),
                None => check.fault("bookmark", "it is none that a watch has given out"),
            },
        }
        Self::Position(1)
    }

    /// The position of the first commit to look at, from 1 to one past the head.
    pub(super) async fn resolve(self, core: &Arc<Core>) -> Result<u64, Status> {
        let head = core.feed.head();
        match self {
            Self::Position(position) if position > head + 1 => {
                Err(status::beyond_head("position", position, head))
            }
            Self::Position(position) => Ok(position),
            Self::Now => Ok(head + 1),
            Self::Bookmark(bookmark) => Ok(bookmark::confirm(core, bookmark).await? + 1),
            Self::Time(time) => {
                let core = core.clone();
                blocking(move || first_recorded_from(&core.view, time, head)).await
            }
        }
    }
}

/// The position of the first commit recorded at `time` or later; one past the head if there is
/// none. Times never run backwards along positions, so halving finds it.
pub(super) fn first_recorded_from(view: &View, time: Time, head: u64) -> Result<u64, ViewError> {
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

/// The filter of a stream.
pub(super) fn filter(plan_ids: &[String], event_types: &[String], check: &mut Checks) -> Filter {
    check.filters("plan_ids", plan_ids.len());
    for (number, plan_id) in plan_ids.iter().enumerate() {
        check.id(format!("plan_ids[{number}]"), plan_id);
    }
    let kinds = check.kinds("event_types", event_types);
    let mut plan_ids: Vec<Id> = plan_ids.iter().map(|id| Id::from(id.as_str())).collect();
    plan_ids.sort_unstable();
    plan_ids.dedup();
    Filter {
        plan_ids,
        kinds,
        permits: Permits::all(),
    }
}

/// The filter narrowed to what the caller may see at the time. Plans that it names must be among that for
/// as long as the stream goes on.
pub(super) fn permitted(filter: Filter, caller: &Caller<'_>) -> Result<Filter, Status> {
    caller.plans(&filter.plan_ids)?;
    Call::current().names(&filter.plan_ids);
    Ok(Filter {
        permits: caller.permits_at_the_time(),
        ..filter
    })
}

/// Commits from `next` to `to`, then the end.
pub(super) fn read_log(
    gate: Gate,
    core: Arc<Core>,
    filter: Filter,
    mut next: u64,
    to: u64,
) -> impl Stream<Item = Result<ReadLogResponse, Status>> {
    let call = Call::current();
    async_stream::try_stream! {
        while next <= to {
            if gate.stopping().is_cancelled() {
                Err(stopping())?;
            }
            let stretch = read(&core, &call, &filter, next, to).await?;
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
    let call = Call::current();
    async_stream::try_stream! {
        let watcher = core.feed.watch(filter.clone());
        // What is added while the watch reads up to here is live already.
        let behind = core.feed.head();
        let mut caught_up = false;
        let mut checkpoint_due = Instant::now() + CHECKPOINT_INTERVAL;
        loop {
            watcher.stands_at(next);
            if gate.stopping().is_cancelled() {
                Err(stopping())?;
            }
            if !caught_up && next > behind {
                caught_up = true;
                // Only what takes longer than an interval to read is told before where it stands.
                checkpoint_due = checkpoint_due.min(first_checkpoint());
                yield sent(Response::CaughtUp(CaughtUp { position: next - 1 }));
            }
            let head = core.feed.head();
            if next <= head {
                let stretch = read(&core, &call, &filter, next, head).await?;
                next = stretch.next;
                watcher.stands_at(next);
                if !stretch.entries.is_empty() {
                    yield sent(Response::Entries(Entries { entries: stretch.entries }));
                }
            } else {
                tokio::select! {
                    () = watcher.told() => next = watcher.skip_ahead(next),
                    () = tokio::time::sleep_until(checkpoint_due) => {
                        next = watcher.skip_ahead(next);
                    }
                    () = gate.stopping().cancelled() => {}
                }
            }
            if Instant::now() >= checkpoint_due {
                checkpoint_due = Instant::now() + CHECKPOINT_INTERVAL;
                yield sent(Response::Checkpoint(checkpoint(&core, next - 1).await?));
            }
        }
    }
}

/// Some of the stored commits from `from` to `to`, at least one, unless the daemon stops. They are
/// read from the log itself and never from memory, so that what goes out is what is on the disk.
pub(super) async fn stored(
    gate: &Gate,
    core: &Arc<Core>,
    call: &Call,
    from: u64,
    to: u64,
) -> Result<Vec<Entry>, Status> {
    if gate.stopping().is_cancelled() {
        return Err(stopping());
    }
    let core = core.clone();
    let read = move || {
        let mut entries = core.journal.read(from, BATCH_BYTES)?;
        let wanted = entries.partition_point(|entry| entry.position <= to);
        entries.truncate(wanted);
        if entries.is_empty() {
            return Err(ViewError::Journal(JournalError::Damaged {
                what: "its commit is missing".to_owned(),
                position: Some(from),
            }));
        }
        Ok(entries)
    };
    stepping(call, read).await
}

/// Reads on: from memory at once, from the disk in a turn, so that who reads a long log does not hold
/// up others.
async fn read(
    core: &Arc<Core>,
    call: &Call,
    filter: &Filter,
    from: u64,
    to: u64,
) -> Result<Stretch, Status> {
    if let Some(stretch) = core.feed.read_recent(filter, from, to, BATCH_BYTES) {
        // A reader that finds nothing reads on at once, and others want the thread too.
        tokio::task::coop::consume_budget().await;
        return Ok(stretch);
    }
    let (core, filter) = (core.clone(), filter.clone());
    stepping(call, move || {
        if filter.plan_ids.is_empty() {
            Ok(core.feed.read(&filter, from, to, BATCH_BYTES)?)
        } else {
            read_of_plans(&core, &filter, from, to)
        }
    })
    .await
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

/// When a watch that has caught up now is told first where it stands: those that begin together, as after a
/// start of the daemon, are not all told at once for ever after.
fn first_checkpoint() -> Instant {
    static WATCHES: AtomicU32 = AtomicU32::new(0);
    // The golden ratio of all numbers spreads them evenly, however many there are.
    let spread = WATCHES
        .fetch_add(1, Ordering::Relaxed)
        .wrapping_mul(0x9E37_79B9);
    Instant::now() + CHECKPOINT_INTERVAL / 256 * (spread >> 24)
}

/// Where a watch stands: by memory if it is there, as it is for those who wait for what comes next.
async fn checkpoint(core: &Arc<Core>, position: u64) -> Result<Checkpoint, Status> {
    let recent = core.feed.read_recent(&ANY, position, position, 0);
    let bookmark = if let Some(entry) = recent.and_then(|it| it.entries.into_iter().next()) {
        Bookmark::of(core.journal.log_id(), position, &entry.commit)
    } else {
        let reader = core.clone();
        blocking(move || Bookmark::at(&reader, position).map_err(ViewError::from)).await?
    };
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
