//! The daemon's clock: a due date that passes in silence is recorded once, whatever becomes of the daemon
//! meanwhile, and only if it was known before it came.

use std::{path::Path, time::Instant};

use prost_types::Timestamp;
use strata::proto::{
    Command, Commit, CommitmentState, DeadlineMissed, ExecuteRequest, GetPlanRequest, RetractEvent,
    WatchRequest, command::Kind, event::Kind as Happened, watch_response::Response,
};
use tempfile::tempdir;

use crate::{
    commitments::{keep, move_to, promise},
    daemon::{Daemon, PATIENCE, POLL_INTERVAL, create_plan, note, request},
    language::{commands, execute, from_now, get_plan},
    reading::whole_log,
};

/// Soon enough to be waited for, and late enough to be recorded before.
const SOON_SECONDS: i64 = 4;
const DAY_SECONDS: i64 = 86_400;
const PLAN: &str = "growth";

/// The silent misses of a log, each with its commit.
async fn lapses(daemon: &Daemon) -> Vec<(DeadlineMissed, Commit)> {
    let log = whole_log(daemon).await;
    let commits = log.iter().map(|it| it.decode_commit().expect("a commit"));
    commits.filter_map(lapse_in).collect()
}

fn lapse_in(commit: Commit) -> Option<(DeadlineMissed, Commit)> {
    let missed = commit.events.iter().find_map(|event| match &event.kind {
        Some(Happened::DeadlineMissed(missed)) if missed.silent => Some(missed.clone()),
        Some(_) | None => None,
    });
    Some((missed?, commit))
}

/// The commitments whose due dates passed in silence, in order of their ids.
async fn lapsed(daemon: &Daemon) -> Vec<String> {
    let lapses = lapses(daemon).await.into_iter();
    let mut ids: Vec<_> = lapses.map(|(missed, _)| missed.commitment_id).collect();
    ids.sort_unstable();
    ids
}

/// Waits until so many due dates are recorded to have passed in silence.
pub(crate) async fn until_lapsed(daemon: &Daemon, count: usize) {
    let waiting = async {
        let misses = WatchRequest {
            event_types: vec!["DeadlineMissed".into()],
            ..Default::default()
        };
        let stream = daemon.history().watch(misses).await;
        let mut stream = stream.expect("watched").into_inner();
        let mut seen = 0;
        while seen < count {
            let message = stream.message().await.expect("it goes on");
            if let Some(Response::Entries(it)) = message.expect("it goes on").response {
                let commits = it.entries.iter();
                let commits = commits.map(|it| it.decode_commit().expect("a commit"));
                seen += commits.filter_map(lapse_in).count();
            }
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "it said:\n{}", daemon.log());
}

/// Records a promise that is due soon and waits until that is known to have passed: whatever was due
/// before it would be recorded by then.
async fn witness(daemon: &Daemon, name: &str) {
    let before = lapses(daemon).await.len();
    let due = from_now(SOON_SECONDS);
    execute(daemon, request(PLAN, name, promise(name, "Ada", due))).await;
    until_lapsed(daemon, before + 1).await;
}

async fn until_past(time: Timestamp) {
    let waiting_since = Instant::now();
    while from_now(0).seconds <= time.seconds {
        assert!(waiting_since.elapsed() < PATIENCE);
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

async fn state(daemon: &Daemon, commitment_id: &str) -> (CommitmentState, u32) {
    let plan = get_plan(daemon, PLAN).await.plan.expect("a plan");
    let mut commitments = plan.commitments.into_iter();
    let found = commitments.find(|it| it.commitment_id == commitment_id);
    let found = found.expect("a commitment");
    (found.state(), found.silent_misses)
}

async fn started(data_dir: &Path) -> Daemon {
    let daemon = Daemon::start(data_dir).await;
    execute(&daemon, request(PLAN, "begun", create_plan())).await;
    daemon
}

/// A request with which Ada promises things that are due at once.
fn promises(commitment_ids: &[String], due: Timestamp) -> ExecuteRequest {
    let commands = commitment_ids.iter().map(|id| Command {
        kind: Some(promise(id, "Ada", due)),
    });
    ExecuteRequest {
        plan_id: PLAN.to_owned(),
        request_id: commitment_ids.concat().chars().take(200).collect(),
        commands: commands.collect(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_due_date_that_passes_in_silence_is_recorded_when_it_has() {
    let dir = tempdir().expect("a directory");
    let daemon = started(dir.path()).await;
    let due = from_now(SOON_SECONDS);
    execute(&daemon, request(PLAN, "made", promise("c", "Ada", due))).await;
    assert_eq!(state(&daemon, "c").await, (CommitmentState::Open, 0));
    until_lapsed(&daemon, 1).await;
    let (missed, commit) = lapses(&daemon).await.remove(0);
    let expected = DeadlineMissed {
        commitment_id: "c".into(),
        silent: true,
        due: Some(due),
        ..Default::default()
    };
    assert_eq!(missed, expected);
    assert_eq!(commit.actor, "stratad");
    assert_eq!(commit.request_id, format!("lapse/c/{due}"));
    assert_eq!(commit.events[0].occurred_at, Some(due));
    let recorded_at = commit.recorded_at.expect("a time");
    assert!((due.seconds..due.seconds + 30).contains(&recorded_at.seconds));
    assert_eq!(state(&daemon, "c").await, (CommitmentState::Overdue, 1));
    // As of any moment since the date it is overdue.
    let then = GetPlanRequest {
        plan_id: PLAN.into(),
        as_of: Some(strata::proto::Point {
            point: Some(strata::proto::point::Point::OccurredAt(due)),
        }),
        ..Default::default()
    };
    let answer = daemon.plans().get_plan(then).await.expect("shown");
    let plan = answer.into_inner().plan.expect("a plan");
    assert_eq!(plan.commitments[0].state(), CommitmentState::Overdue);
}

#[tokio::test]
async fn a_client_that_used_its_request_id_does_not_keep_a_silent_miss_from_the_record() {
    let dir = tempdir().expect("a directory");
    let daemon = started(dir.path()).await;
    let due = from_now(SOON_SECONDS);
    for taken in [format!("lapse/c/{due}"), format!("lapse/c/{due}/2")] {
        execute(&daemon, request(PLAN, &taken, note("Mine."))).await;
    }
    execute(&daemon, request(PLAN, "made", promise("c", "Ada", due))).await;
    until_lapsed(&daemon, 1).await;
    let (missed, commit) = lapses(&daemon).await.remove(0);
    assert_eq!(missed.due, Some(due));
    assert_eq!(commit.request_id, format!("lapse/c/{due}/3"));
    witness(&daemon, "witness").await;
    assert_eq!(lapsed(&daemon).await, ["c", "witness"]);
}

#[tokio::test]
async fn exactly_once_a_silent_miss_is_recorded_across_restarts_and_kills() {
    let dir = tempdir().expect("a directory");
    let mut daemon = started(dir.path()).await;
    let due = from_now(SOON_SECONDS);
    let names: Vec<_> = (0..20).map(|number| format!("c-{number:02}")).collect();
    execute(&daemon, promises(&names, due)).await;
    // Killed again and again, before, while and after they are recorded.
    for _ in 0..6 {
        daemon.kill();
        daemon = Daemon::start(dir.path()).await;
    }
    until_past(due).await;
    for _ in 0..3 {
        daemon.kill();
        daemon = Daemon::start(dir.path()).await;
    }
    until_lapsed(&daemon, names.len()).await;
    daemon.stop().await;
    let daemon = Daemon::start(dir.path()).await;
    witness(&daemon, "witness").await;
    let expected: Vec<_> = names.into_iter().chain(["witness".to_owned()]).collect();
    assert_eq!(lapsed(&daemon).await, expected);
}

#[tokio::test]
async fn what_passed_while_the_daemon_was_down_is_recorded_when_it_is_back() {
    let dir = tempdir().expect("a directory");
    let daemon = started(dir.path()).await;
    let due = from_now(SOON_SECONDS);
    // More than one batch.
    let names: Vec<_> = (0..150).map(|number| format!("c-{number:03}")).collect();
    for names in names.chunks(50) {
        execute(&daemon, promises(names, due)).await;
    }
    daemon.stop().await;
    until_past(due).await;
    let daemon = Daemon::start(dir.path()).await;
    until_lapsed(&daemon, 150).await;
    witness(&daemon, "witness").await;
    let lapses = lapses(&daemon).await;
    assert_eq!(lapses.len(), 151);
    for (missed, commit) in &lapses[..150] {
        assert_eq!(missed.due, Some(due));
        assert_eq!(commit.events[0].occurred_at, Some(due));
    }
}

#[tokio::test]
async fn a_date_that_was_not_known_before_it_came_or_was_answered_in_time_is_not_recorded() {
    let dir = tempdir().expect("a directory");
    let daemon = started(dir.path()).await;
    let history = ExecuteRequest {
        occurred_at: Some(from_now(-DAY_SECONDS)),
        ..request(PLAN, "history", promise("history", "Ada", from_now(-60)))
    };
    execute(&daemon, history).await;
    let soon = from_now(SOON_SECONDS);
    let made = ["moved", "kept", "corrected"].map(|id| promise(id, "Ada", soon));
    let made = execute(&daemon, commands(PLAN, "made", made)).await;
    let corrected = Kind::CorrectEvent(strata::proto::CorrectEvent {
        revision: made.revision,
        replacement: Some(strata::proto::Event {
            kind: Some(Happened::CommitmentMade(strata::proto::CommitmentMade {
                commitment_id: "corrected".into(),
                assignee: "Ada".into(),
                promise: "The samples are sent".into(),
                due: Some(from_now(DAY_SECONDS)),
                ..Default::default()
            })),
            ..Default::default()
        }),
        reason: "A slip of the pen".into(),
        ..Default::default()
    });
    let answered = [
        move_to("moved", from_now(DAY_SECONDS)),
        keep("kept"),
        corrected,
    ];
    execute(&daemon, commands(PLAN, "answered", answered)).await;
    until_past(soon).await;
    witness(&daemon, "witness").await;
    assert_eq!(lapsed(&daemon).await, ["witness"]);
    assert_eq!(state(&daemon, "history").await, (CommitmentState::Open, 0));
}

#[tokio::test]
async fn each_date_that_passes_in_silence_is_recorded_and_none_of_them_twice() {
    let dir = tempdir().expect("a directory");
    let daemon = started(dir.path()).await;
    let first = from_now(SOON_SECONDS);
    execute(&daemon, request(PLAN, "made", promise("c", "Ada", first))).await;
    until_lapsed(&daemon, 1).await;
    let second = from_now(SOON_SECONDS);
    execute(&daemon, request(PLAN, "moved", move_to("c", second))).await;
    assert_eq!(state(&daemon, "c").await, (CommitmentState::Open, 1));
    until_lapsed(&daemon, 2).await;
    assert_eq!(state(&daemon, "c").await, (CommitmentState::Overdue, 2));

    // Away from a date that passed, and back to it.
    let back = [move_to("c", from_now(DAY_SECONDS)), move_to("c", second)];
    execute(&daemon, commands(PLAN, "back", back)).await;
    // Away from a date that is to come, and back to it.
    let third = from_now(SOON_SECONDS);
    let back = [
        promise("d", "Ada", third),
        move_to("d", from_now(DAY_SECONDS)),
        move_to("d", third),
    ];
    execute(&daemon, commands(PLAN, "back-in-time", back)).await;
    until_lapsed(&daemon, 3).await;
    daemon.stop().await;
    let daemon = Daemon::start(dir.path()).await;
    witness(&daemon, "witness").await;
    assert_eq!(lapsed(&daemon).await, ["c", "c", "d", "witness"]);
}

#[tokio::test]
async fn a_silent_miss_that_was_retracted_is_not_recorded_again() {
    let dir = tempdir().expect("a directory");
    let daemon = started(dir.path()).await;
    let due = from_now(SOON_SECONDS);
    execute(&daemon, request(PLAN, "made", promise("c", "Ada", due))).await;
    until_lapsed(&daemon, 1).await;
    let (_, commit) = lapses(&daemon).await.remove(0);
    let retracted = Kind::RetractEvent(RetractEvent {
        revision: commit.first_revision,
        reason: "She had said so".into(),
    });
    execute(&daemon, request(PLAN, "retracted", retracted)).await;
    witness(&daemon, "witness").await;
    daemon.stop().await;
    let daemon = Daemon::start(dir.path()).await;
    witness(&daemon, "another").await;
    assert_eq!(lapsed(&daemon).await, ["another", "c", "witness"]);
    assert_eq!(state(&daemon, "c").await, (CommitmentState::Open, 0));
}
