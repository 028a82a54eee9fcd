//! A watch: ordered, unique, without gaps, in whole commits, from any position, resumable; and what
//! it sends is what `ReadLog` reads.

use std::time::Duration;

use prost_types::Timestamp;
use strata::proto::{
    Command, DescribePlan, ExecuteRequest, LogEntry, ReadLogRequest, WatchRequest, WatchResponse,
    command::Kind,
    read_log_request,
    watch_request::Start,
    watch_response::{Checkpoint, Response},
};
use tempfile::tempdir;
use tonic::{Code, Status, Streaming};

use crate::{
    daemon::{Daemon, PATIENCE, create_plan, note, request},
    reading::{read_log, reason, whole_log},
};

const PLANS: usize = 3;
/// Everything is said to a watch at least so often, and the test waits a little longer.
const CHECKPOINT_WITHIN: Duration = Duration::from_secs(11);

/// A watch of a test: what it has sent so far.
struct Watching {
    stream: Streaming<WatchResponse>,
    entries: Vec<LogEntry>,
    caught_up: Vec<u64>,
    checkpoints: Vec<Checkpoint>,
}

#[tokio::test]
async fn watch_says_first_that_it_has_caught_up_and_then_where_it_stands() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    write(&daemon, 0, 24).await;
    // The very first watch of a daemon is told at once where it stands.
    let mut watching = watch(&daemon, WatchRequest::default()).await;
    watching.until_caught_up().await;
    assert!(watching.checkpoints.is_empty());
    let first = watching.until_checkpoint().await;
    assert_eq!([first.position], *watching.caught_up);
    daemon.stop().await;
}

#[tokio::test]
async fn watch_sends_what_the_log_holds_from_every_position_and_then_what_comes() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    write(&daemon, 0, 24).await;
    let head = daemon.head().await;
    let mut watches = vec![watch(&daemon, WatchRequest::default()).await];
    for position in 1..=head + 1 {
        watches.push(watch(&daemon, from(Start::FromPosition(position))).await);
    }
    watches.push(watch(&daemon, from(Start::FromNow(true))).await);
    for watching in &mut watches {
        watching.until_caught_up().await;
        assert_eq!(watching.caught_up, [head]);
    }
    write(&daemon, 24, 24).await;
    let log = whole_log(&daemon).await;
    let starts = [1].into_iter().chain(1..=head + 1).chain([head + 1]);
    for (watching, start) in watches.iter_mut().zip(starts) {
        let expected: Vec<_> = log
            .iter()
            .filter(|e| e.position >= start)
            .cloned()
            .collect();
        watching.until(expected.len()).await;
        assert_eq!(watching.entries, expected, "from {start}");
        assert_eq!(watching.caught_up.len(), 1, "said once");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn watch_by_plan_and_type_gets_every_whole_commit_that_matches() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    write(&daemon, 0, 30).await;
    let filters = [
        (vec!["plan-1"], vec![]),
        (vec!["plan-0", "plan-2"], vec![]),
        (vec![], vec!["PlanDescribed"]),
        (vec![], vec!["PlanCreated", "PlanDescribed"]),
        (vec!["plan-1"], vec!["PlanDescribed"]),
        (vec!["plan-1"], vec!["NoteRecorded"]),
        (vec!["plan-9"], vec![]),
        (vec![], vec!["TacticFailed"]),
    ];
    let mut watches = Vec::new();
    for (plans, types) in &filters {
        let filtered = WatchRequest {
            plan_ids: plans.iter().map(ToString::to_string).collect(),
            event_types: types.iter().map(ToString::to_string).collect(),
            ..Default::default()
        };
        let mut watching = watch(&daemon, filtered).await;
        watching.until_caught_up().await;
        watches.push(watching);
    }
    write(&daemon, 30, 30).await;
    let last = request("plan-9", "create", create_plan());
    daemon.plans().execute(last).await.expect("recorded");
    let log = whole_log(&daemon).await;
    for ((plans, types), watching) in filters.iter().zip(&mut watches) {
        let expected: Vec<_> = log
            .iter()
            .filter(|entry| matches(entry, plans, types))
            .cloned()
            .collect();
        watching.until(expected.len()).await;
        assert_eq!(watching.entries, expected, "{plans:?} {types:?}");
        let read = ReadLogRequest {
            plan_ids: plans.iter().map(ToString::to_string).collect(),
            event_types: types.iter().map(ToString::to_string).collect(),
            ..Default::default()
        };
        assert_eq!(read_log(&daemon, read).await, expected);
    }
    assert!(watches.iter().any(|w| w.entries.len() > 5), "some matched");
    daemon.stop().await;
}

#[tokio::test]
async fn watch_from_a_time_starts_at_the_first_commit_recorded_then() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    write(&daemon, 0, 20).await;
    let log = whole_log(&daemon).await;
    let recorded: Vec<Timestamp> = log
        .iter()
        .map(|e| {
            e.decode_commit()
                .expect("a commit")
                .recorded_at
                .expect("a time")
        })
        .collect();
    let order = |time: &Timestamp| (time.seconds, time.nanos);
    assert!(
        recorded.is_sorted_by_key(order),
        "time never runs backwards"
    );
    for time in [recorded[0], recorded[7], recorded[19]] {
        let first = recorded.partition_point(|t| order(t) < order(&time));
        let mut watching = watch(&daemon, from(Start::FromTime(time))).await;
        watching.until_caught_up().await;
        assert_eq!(watching.entries, log[first..], "from {time:?}");
        let read = ReadLogRequest {
            start: Some(read_log_request::Start::FromTime(time)),
            ..Default::default()
        };
        assert_eq!(read_log(&daemon, read).await, log[first..]);
    }
    let later = Timestamp {
        seconds: recorded[19].seconds + 3_600,
        nanos: 0,
    };
    let mut watching = watch(&daemon, from(Start::FromTime(later))).await;
    watching.until_caught_up().await;
    assert_eq!(watching.entries, []);
    daemon.stop().await;
}

#[tokio::test]
async fn watch_is_told_where_it_stands_and_resumes_there_after_a_restart() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    write(&daemon, 0, 20).await;
    let head = daemon.head().await;
    let mut all = watch(&daemon, WatchRequest::default()).await;
    let mut none = watch(
        &daemon,
        WatchRequest {
            event_types: vec!["TacticFailed".into()],
            ..Default::default()
        },
    )
    .await;
    let both = async { tokio::join!(all.until_checkpoint(), none.until_checkpoint()) };
    let (of_all, of_none) = tokio::time::timeout(CHECKPOINT_WITHIN, both)
        .await
        .expect("a checkpoint within 10 seconds, also when nothing matches");
    assert_eq!((of_all.position, of_none.position), (head, head));
    assert_eq!(none.entries, []);
    write(&daemon, 20, 6).await;
    daemon.kill();

    let daemon = Daemon::start(dir.path()).await;
    write(&daemon, 26, 3).await;
    let expected = whole_log(&daemon).await.split_off(20);
    for checkpoint in [of_all, of_none] {
        let bookmark = Start::Bookmark(checkpoint.bookmark.clone());
        let mut resumed = watch(&daemon, from(bookmark)).await;
        resumed.until_caught_up().await;
        assert_eq!(resumed.entries, expected);
        let read = ReadLogRequest {
            start: Some(read_log_request::Start::Bookmark(
                checkpoint.bookmark.clone(),
            )),
            ..Default::default()
        };
        assert_eq!(read_log(&daemon, read).await, expected);
        assert_bookmark_of_another_history_is_refused(&checkpoint).await;
    }
    daemon.stop().await;
}

#[tokio::test]
async fn watch_ends_as_unavailable_when_the_daemon_stops() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    write(&daemon, 0, 5).await;
    let mut idle = watch(&daemon, from(Start::FromNow(true))).await;
    let mut all = watch(&daemon, WatchRequest::default()).await;
    idle.until_caught_up().await;
    all.until_caught_up().await;
    daemon.stop().await;
    for watching in [&mut idle, &mut all] {
        let ended = watching.ended().await;
        assert_eq!(ended.code(), Code::Unavailable, "{ended:?}");
        assert_eq!(reason(&ended).as_deref(), Some("STOPPING"), "{ended:?}");
    }
}

/// Another log at the same position does not take the bookmark, nor does a shorter copy of its own.
async fn assert_bookmark_of_another_history_is_refused(checkpoint: &Checkpoint) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    write(&daemon, 0, 20).await;
    let bookmark = checkpoint.bookmark.clone();
    let watched = daemon
        .history()
        .watch(from(Start::Bookmark(bookmark.clone())))
        .await;
    let read = ReadLogRequest {
        start: Some(read_log_request::Start::Bookmark(bookmark)),
        ..Default::default()
    };
    let read = daemon.history().read_log(read).await;
    for refused in [watched.map(drop), read.map(drop)] {
        let status = refused.expect_err("another history");
        assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
        assert_eq!(reason(&status).as_deref(), Some("LOG_DIVERGED"));
    }
    daemon.stop().await;
}

impl Watching {
    async fn next(&mut self) -> Result<(), Status> {
        let message = tokio::time::timeout(PATIENCE, self.stream.message()).await;
        let message = message.expect("a message in time")?;
        match message.and_then(|m| m.response).expect("a response") {
            Response::Entries(entries) => self.entries.extend(entries.entries),
            Response::CaughtUp(caught_up) => self.caught_up.push(caught_up.position),
            Response::Checkpoint(checkpoint) => self.checkpoints.push(checkpoint),
        }
        Ok(())
    }

    async fn until_caught_up(&mut self) {
        while self.caught_up.is_empty() {
            self.next().await.expect("it goes on");
        }
    }

    async fn until(&mut self, entries: usize) {
        while self.entries.len() < entries {
            self.next().await.expect("it goes on");
        }
    }

    async fn until_checkpoint(&mut self) -> Checkpoint {
        while self.checkpoints.is_empty() {
            self.next().await.expect("it goes on");
        }
        self.checkpoints[0].clone()
    }

    async fn ended(&mut self) -> Status {
        loop {
            if let Err(status) = self.next().await {
                return status;
            }
        }
    }
}

async fn watch(daemon: &Daemon, request: WatchRequest) -> Watching {
    let stream = daemon.history().watch(request).await;
    Watching {
        stream: stream.expect("a watch").into_inner(),
        entries: Vec::new(),
        caught_up: Vec::new(),
        checkpoints: Vec::new(),
    }
}

fn from(start: Start) -> WatchRequest {
    WatchRequest {
        start: Some(start),
        ..Default::default()
    }
}

/// Makes commits number `from` to `from + count`: a plan is created first, then notes, of which
/// every fourth commit has two around a description.
async fn write(daemon: &Daemon, from: usize, count: usize) {
    for number in from..from + count {
        let plan_id = format!("plan-{}", number % PLANS);
        let request_id = format!("request-{number}");
        let request = if number < PLANS {
            request(&plan_id, &request_id, create_plan())
        } else if number % 4 == 0 {
            described(&plan_id, &request_id)
        } else {
            request(&plan_id, &request_id, note("a note"))
        };
        daemon.plans().execute(request).await.expect("recorded");
    }
}

/// A request for a note, a description and another note.
pub(crate) fn described(plan_id: &str, request_id: &str) -> ExecuteRequest {
    let describe = Kind::DescribePlan(DescribePlan {
        title: "A plan".into(),
        summary: format!("as of {request_id}"),
        ..Default::default()
    });
    let commands = [note("before"), describe, note("after")];
    ExecuteRequest {
        commands: commands
            .into_iter()
            .map(|kind| Command { kind: Some(kind) })
            .collect(),
        ..request(plan_id, request_id, note(""))
    }
}

/// Whether a commit is about one of the plans and has an event of one of the types.
pub(crate) fn matches(entry: &LogEntry, plans: &[&str], types: &[&str]) -> bool {
    let commit = entry.decode_commit().expect("a commit");
    let has_type = |name: &&str| {
        let names = commit.events.iter().map(strata::domain::event::type_name);
        names.into_iter().any(|found| found == *name)
    };
    (plans.is_empty() || plans.contains(&commit.plan_id.as_str()))
        && (types.is_empty() || types.iter().any(has_type))
}
