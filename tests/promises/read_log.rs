//! `ReadLog`: any stretch of the log, whole commits in their order, by plan and by type, in messages
//! that every client takes.

use prost::Message as _;
use prost_types::Timestamp;
use strata::proto::{
    Commit, LogEntry, ReadLogRequest, WatchRequest, WatchResponse, read_log_request::Start,
    watch_response::Response,
};
use tempfile::tempdir;
use tokio::{task::JoinSet, time::timeout};
use tonic::Code;

use crate::{
    daemon::{Daemon, PATIENCE, create_plan, note, request},
    language::{Refused, commands, execute, from_now, read_log, refused},
    queries::with_history,
};

const MALFORMED: (Code, &str) = (Code::InvalidArgument, "MALFORMED_REQUEST");
const BEYOND_HEAD: (Code, &str) = (Code::OutOfRange, "BEYOND_HEAD");

fn from(start: Start) -> ReadLogRequest {
    ReadLogRequest {
        start: Some(start),
        ..Default::default()
    }
}

fn of_plan(plan_id: &str) -> ReadLogRequest {
    ReadLogRequest {
        plan_ids: vec![plan_id.into()],
        ..Default::default()
    }
}

fn of_types(types: &[&str]) -> ReadLogRequest {
    ReadLogRequest {
        event_types: types.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    }
}

fn positions(entries: &[LogEntry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.position).collect()
}

fn commit(entry: &LogEntry) -> Commit {
    entry.decode_commit().expect("a commit")
}

#[tokio::test]
async fn a_log_is_read_by_positions_plans_and_types_in_whole_commits() {
    let (_dir, daemon) = with_history().await;
    let all = read_log(&daemon, ReadLogRequest::default()).await;
    assert_eq!(positions(&all), (1..=11).collect::<Vec<_>>());
    let up_to = |to_position, request| ReadLogRequest {
        to_position,
        ..request
    };
    let growth = [1, 3, 4, 6, 7, 8, 9, 10];
    let mut notes_of_growth = of_types(&["NoteRecorded"]);
    notes_of_growth.plan_ids = vec!["growth".into()];
    let mut both = of_plan("growth");
    both.plan_ids
        .extend(["bakery".into(), "growth".into(), "nobodys".into()]);
    let cases: [(ReadLogRequest, &[u64]); 14] = [
        (from(Start::FromPosition(9)), &[9, 10, 11]),
        (from(Start::FromPosition(11)), &[11]),
        (from(Start::FromPosition(12)), &[]),
        (from(Start::FromNow(true)), &[]),
        (up_to(3, ReadLogRequest::default()), &[1, 2, 3]),
        (up_to(4, from(Start::FromPosition(4))), &[4]),
        (up_to(3, from(Start::FromPosition(4))), &[]),
        (of_plan("growth"), &growth),
        (up_to(7, of_plan("bakery")), &[2, 5]),
        (of_plan("nobodys"), &[]),
        (both, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        (of_types(&["TacticFailed"]), &[3, 10]),
        (
            of_types(&["NoteRecorded", "EventCorrected"]),
            &[4, 5, 8, 9, 11],
        ),
        (notes_of_growth, &[4, 8]),
    ];
    for (request, expected) in cases {
        let found = read_log(&daemon, request.clone()).await;
        assert_eq!(positions(&found), expected, "{request:?}");
        for entry in found {
            assert!(all.contains(&entry), "whole, as it is stored");
        }
    }
}

#[tokio::test]
async fn a_log_is_read_from_the_time_of_recording() {
    let (_dir, daemon) = with_history().await;
    let all = read_log(&daemon, ReadLogRequest::default()).await;
    let nanos = |time: Timestamp| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    for entry in &all {
        let recorded_at = commit(entry).recorded_at.expect("a time");
        let later = Timestamp {
            seconds: recorded_at.seconds,
            nanos: recorded_at.nanos + 1,
        };
        for time in [recorded_at, later] {
            let found = read_log(&daemon, from(Start::FromTime(time))).await;
            let expected: Vec<_> = all
                .iter()
                .filter(|it| nanos(commit(it).recorded_at.expect("a time")) >= nanos(time))
                .cloned()
                .collect();
            assert_eq!(found, expected);
        }
    }
    assert_eq!(
        read_log(&daemon, from(Start::FromTime(from_now(-3_600)))).await,
        all
    );
    assert_eq!(
        read_log(&daemon, from(Start::FromTime(from_now(3_600)))).await,
        []
    );
    assert_eq!(
        read_log(&daemon, from(Start::FromTime(Timestamp::default()))).await,
        all
    );
}

/// A bookmark that a watch gives out once it stands at the head.
async fn bookmark(daemon: &Daemon) -> (u64, Vec<u8>) {
    let watch = WatchRequest {
        event_types: vec!["PlanArchived".into()],
        ..Default::default()
    };
    let mut stream = daemon
        .history()
        .watch(watch)
        .await
        .expect("watched")
        .into_inner();
    while let Some(WatchResponse { response }) = stream.message().await.expect("watched") {
        match response.expect("a response") {
            Response::Checkpoint(checkpoint) => {
                return (checkpoint.position, checkpoint.bookmark.to_vec());
            }
            Response::CaughtUp(caught_up) => assert_eq!(caught_up.position, 11),
            Response::Entries(entries) => panic!("nothing matches: {entries:?}"),
        }
    }
    panic!("the watch ended")
}

#[tokio::test]
async fn a_log_is_read_on_from_a_bookmark_of_its_own_history_only() {
    let (_dir, daemon) = with_history().await;
    let (position, bytes) = bookmark(&daemon).await;
    assert_eq!(position, 11);
    let resumed = from(Start::Bookmark(bytes.clone().into()));
    assert_eq!(read_log(&daemon, resumed.clone()).await, []);
    let next = execute(&daemon, request("growth", "next", note("Next"))).await;
    let entry = next.entry.expect("an entry");
    assert_eq!(read_log(&daemon, resumed.clone()).await, [entry]);

    let (_dir, other) = with_history().await;
    let diverged = (Code::FailedPrecondition, "LOG_DIVERGED");
    assert_eq!(
        refused(other.history().read_log(resumed).await).kind(),
        diverged
    );
    let mut changed = bytes.clone();
    *changed.last_mut().expect("bytes") ^= 1;
    let changed = from(Start::Bookmark(changed.into()));
    assert_eq!(
        refused(daemon.history().read_log(changed).await).kind(),
        diverged
    );
    for nonsense in [&b""[..], b"nonsense", &bytes[..40]] {
        let nonsense = from(Start::Bookmark(nonsense.to_vec().into()));
        let refusal = refused(daemon.history().read_log(nonsense).await);
        assert_eq!(refusal.kind(), MALFORMED);
        assert_eq!(refusal.fields, ["bookmark"]);
    }
}

#[tokio::test]
async fn what_is_no_stretch_of_the_log_is_refused() {
    let (_dir, daemon) = with_history().await;
    let refusal = async |request| -> Refused { refused(daemon.history().read_log(request).await) };
    let to_12 = ReadLogRequest {
        to_position: 12,
        ..Default::default()
    };
    for beyond in [
        from(Start::FromPosition(13)),
        from(Start::FromPosition(u64::MAX)),
        to_12,
    ] {
        let refusal = refusal(beyond).await;
        assert_eq!(refusal.kind(), BEYOND_HEAD);
        assert_eq!(refusal.metadata("head"), "11");
    }
    let many = ReadLogRequest {
        plan_ids: vec!["a".into(); 65],
        event_types: vec!["TacticFailed".into(); 65],
        ..Default::default()
    };
    let bad_time = Timestamp {
        seconds: i64::MAX,
        nanos: -1,
    };
    let cases: [(ReadLogRequest, &[&str]); 6] = [
        (from(Start::FromPosition(0)), &["from_position"]),
        (from(Start::FromNow(false)), &["from_now"]),
        (from(Start::FromTime(bad_time)), &["from_time"]),
        (of_plan("No id"), &["plan_ids[0]"]),
        (
            of_types(&["PlanCreated", "plan_created"]),
            &["event_types[1]"],
        ),
        (many, &["plan_ids", "event_types"]),
    ];
    for (request, fields) in cases {
        let refusal = refusal(request).await;
        assert_eq!(refusal.kind(), MALFORMED);
        assert_eq!(refusal.fields, fields);
    }
}

#[tokio::test]
async fn a_log_of_large_commits_comes_in_messages_that_every_client_takes() {
    const COMMITS: u64 = 120;
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    for plan_id in ["growth", "bakery"] {
        execute(&daemon, request(plan_id, "begun", create_plan())).await;
    }
    let text = "x".repeat(8_100);
    let mut bytes = 0;
    for n in 0..COMMITS {
        let plan_id = if n % 4 == 0 { "bakery" } else { "growth" };
        let notes: [_; 8] = std::array::from_fn(|_| note(&text));
        let answer = execute(&daemon, commands(plan_id, &format!("{n}"), notes)).await;
        bytes += answer.entry.expect("an entry").commit.len();
    }
    assert!(bytes > 7 << 20, "{bytes}");
    let head = daemon.head().await;
    for (plan_ids, expected) in [
        (vec![], COMMITS + 2),
        (vec!["growth".to_owned()], COMMITS * 3 / 4 + 1),
    ] {
        let request = ReadLogRequest {
            plan_ids,
            ..Default::default()
        };
        let stream = daemon.history().read_log(request).await;
        let mut stream = stream.expect("streamed").into_inner();
        let (mut entries, mut position) = (Vec::new(), 0);
        while let Some(response) = stream.message().await.expect("read") {
            assert!(
                response.encoded_len() < 1 << 20,
                "{}",
                response.encoded_len()
            );
            assert!(response.position > position, "each says how far it is");
            position = response.position;
            entries.extend(positions(&response.entries));
        }
        assert_eq!(position, head, "the last says where the log ended");
        assert_eq!(entries.len() as u64, expected);
        assert!(entries.is_sorted_by(|a, b| a < b));
    }
}

#[tokio::test]
async fn an_empty_log_is_read_to_its_end() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    assert_eq!(read_log(&daemon, ReadLogRequest::default()).await, []);
    assert_eq!(read_log(&daemon, from(Start::FromPosition(1))).await, []);
    assert_eq!(
        read_log(&daemon, from(Start::FromTime(from_now(0)))).await,
        []
    );
    let beyond = refused(
        daemon
            .history()
            .read_log(from(Start::FromPosition(2)))
            .await,
    );
    assert_eq!(beyond.kind(), BEYOND_HEAD);
}

/// A stream is asked for more only while there is room for what it sends.
#[tokio::test]
async fn readers_who_take_nothing_keep_nobody_else_from_reading() {
    const UNREAD: usize = 64;
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start_with(dir.path(), &["--recent-commits-bytes", "64KiB"]).await;
    execute(&daemon, request("growth", "create", create_plan())).await;
    let words = "words ".repeat(1_300);
    let commits = 40;
    for number in 1..commits {
        // About 55 KiB: the log takes some steps to read.
        let notes = [(); 7].map(|()| note(&words));
        let id = format!("notes-{number}");
        execute(&daemon, commands("growth", &id, notes)).await;
    }
    let unread = daemon.slow_history().await;
    let mut readers = JoinSet::new();
    for _ in 0..UNREAD {
        let mut unread = unread.clone();
        readers.spawn(async move { unread.read_log(ReadLogRequest::default()).await });
    }
    let mut held = Vec::new();
    while let Some(begun) = readers.join_next().await {
        held.push(begun.expect("ended").expect("a stream"));
    }
    for _ in 0..8 {
        let whole = timeout(PATIENCE, read_log(&daemon, ReadLogRequest::default()));
        let whole = whole.await.expect("others go on");
        assert_eq!(whole.len(), commits);
    }
    drop(held);
    daemon.stop().await;
}
