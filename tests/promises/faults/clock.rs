//! A clock that leaps under a running daemon: `libfaketime` sets the time of day and leaves alone
//! what only counts.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use prost_types::Timestamp;
use strata::proto::{ConfirmClockRequest, ErrorReason, ExecuteRequest};
use tempfile::tempdir;
use tonic::{Code, Status};

use super::serve;
use crate::{
    commitments::promise,
    daemon::{Daemon, PATIENCE, POLL_INTERVAL, create_plan, note, request},
    language::{execute, from_now},
    lapses::until_lapsed,
    reading::{reason, whole_log},
};

const DAY_SECONDS: i64 = 86_400;

/// The library that sets the time of day of one process.
fn library() -> PathBuf {
    let places = fs::read_dir("/usr/lib").expect("a directory").flatten();
    let mut found = places
        .map(|place| place.path().join("faketime/libfaketimeMT.so.1"))
        .filter(|path| path.exists());
    found
        .next()
        .expect("this test needs libfaketime: install the package `faketime`, as .ci/run does")
}

/// A daemon whose clock is off by what the file `offset` says.
async fn start(data_dir: &Path, offset: &Path) -> Daemon {
    let mut command = serve(data_dir, &[]);
    command
        .env("LD_PRELOAD", library())
        .env("FAKETIME_TIMESTAMP_FILE", offset)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let daemon = Daemon::spawn(command).await;
    daemon.wait_until_serving().await;
    daemon
}

/// Puts the file in the place of the last whole.
fn set(offset: &Path, text: &str) {
    let next = offset.with_extension("next");
    fs::write(&next, text).expect("written");
    fs::rename(next, offset).expect("in place");
}

async fn refusal(daemon: &Daemon, request: ExecuteRequest) -> Status {
    let answer = daemon.plans().execute(request).await;
    let status = answer.expect_err("refused");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(
        reason(&status).as_deref(),
        Some("CLOCK_LEAPT"),
        "{status:?}"
    );
    status
}

/// Waits until the daemon has seen by itself that its clock leapt, or is right again.
async fn wait_until_seen(daemon: &Daemon, leapt: bool) {
    let waiting_since = Instant::now();
    while daemon.status().await.clock_expected.is_some() != leapt {
        assert!(waiting_since.elapsed() < PATIENCE, "{}", daemon.log());
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

async fn last_recorded_at(daemon: &Daemon) -> Timestamp {
    let entry = whole_log(daemon).await.pop().expect("an entry");
    let commit = entry.decode_commit().expect("a commit");
    commit.recorded_at.expect("a time")
}

#[tokio::test]
async fn a_clock_that_leaps_is_not_recorded_by_until_it_is_right_or_confirmed() {
    let dir = tempdir().expect("a directory");
    let (data_dir, offset) = (dir.path().join("data"), dir.path().join("offset"));
    set(&offset, "+0");
    let daemon = start(&data_dir, &offset).await;
    execute(&daemon, request("growth", "create", create_plan())).await;
    let before = last_recorded_at(&daemon).await;

    for leap in ["+1d", "-1d"] {
        set(&offset, leap);
        refusal(&daemon, request("growth", "note", note("a note"))).await;
        let told = daemon.status().await;
        assert_eq!(told.writes_refused(), ErrorReason::ClockLeapt);
        let expected = told.clock_expected.expect("expected").seconds;
        assert!((before.seconds..before.seconds + 600).contains(&expected));
        let replayed = execute(&daemon, request("growth", "create", create_plan())).await;
        assert!(replayed.replayed);
        let validated = ExecuteRequest {
            validate_only: true,
            ..request("growth", "v", note("a note"))
        };
        execute(&daemon, validated).await;
        assert_eq!(whole_log(&daemon).await.len(), 1, "reads go on");
        set(&offset, "+0");
        wait_until_seen(&daemon, false).await;
    }
    execute(&daemon, request("growth", "note", note("a note"))).await;

    // It is seen also while nobody writes, and goes on from where it was confirmed.
    set(&offset, "+1d");
    wait_until_seen(&daemon, true).await;
    let reason = "it had been a day behind".to_owned();
    let confirmed = daemon
        .admin()
        .confirm_clock(ConfirmClockRequest { reason })
        .await;
    let confirmed = confirmed.expect("confirmed").into_inner();
    let leap = confirmed.leap.expect("it had leapt").seconds;
    assert!((leap - DAY_SECONDS).abs() < 60, "{leap}");
    execute(&daemon, request("growth", "next-day", note("a note"))).await;
    let next_day = last_recorded_at(&daemon).await;
    assert!(next_day.seconds >= before.seconds + DAY_SECONDS - 60);
    let log = daemon.stop().await;
    assert_eq!(log.matches("the clock leapt").count(), 3, "{log}");
    assert!(log.contains("it had been a day behind"), "{log}");
}

#[tokio::test]
async fn a_clock_behind_the_log_at_the_start_is_not_recorded_by_until_it_is_confirmed() {
    let dir = tempdir().expect("a directory");
    let (data_dir, offset) = (dir.path().join("data"), dir.path().join("offset"));
    set(&offset, "+0");
    let daemon = start(&data_dir, &offset).await;
    execute(&daemon, request("growth", "create", create_plan())).await;
    let before = last_recorded_at(&daemon).await;
    daemon.stop().await;

    set(&offset, "-1d");
    let daemon = start(&data_dir, &offset).await;
    refusal(&daemon, request("growth", "note", note("a note"))).await;
    assert_eq!(daemon.status().await.clock_expected, Some(before));
    let confirmed = daemon
        .admin()
        .confirm_clock(ConfirmClockRequest::default())
        .await;
    assert!(confirmed.expect("confirmed").into_inner().leap.is_some());
    execute(&daemon, request("growth", "note", note("a note"))).await;
    assert_eq!(last_recorded_at(&daemon).await, before, "never backwards");
    daemon.stop().await;

    // A clock that is right again needs nobody, also when it was wrong at the start.
    let daemon = start(&data_dir, &offset).await;
    refusal(&daemon, request("growth", "again", note("a note"))).await;
    set(&offset, "+0");
    execute(&daemon, request("growth", "again", note("a note"))).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_clock_that_leaps_over_due_dates_has_none_of_them_pass_until_it_is_confirmed() {
    let dir = tempdir().expect("a directory");
    let (data_dir, offset) = (dir.path().join("data"), dir.path().join("offset"));
    set(&offset, "+0");
    let daemon = start(&data_dir, &offset).await;
    execute(&daemon, request("growth", "create", create_plan())).await;
    let due = |seconds| promise("c", "Ada", from_now(seconds));
    execute(&daemon, request("growth", "made", due(3_600))).await;
    for _ in 0..2 {
        set(&offset, "+1d");
        wait_until_seen(&daemon, true).await;
        set(&offset, "+0");
        wait_until_seen(&daemon, false).await;
    }
    let soon = promise("witness", "Ada", from_now(4));
    execute(&daemon, request("growth", "witness", soon)).await;
    until_lapsed(&daemon, 1).await;
    assert_eq!(whole_log(&daemon).await.len(), 4, "only the witness passed");

    set(&offset, "+1d");
    wait_until_seen(&daemon, true).await;
    let mut admin = daemon.admin();
    let confirmed = admin.confirm_clock(ConfirmClockRequest::default()).await;
    confirmed.expect("confirmed");
    until_lapsed(&daemon, 2).await;
    assert_eq!(whole_log(&daemon).await.len(), 5, "each once");
    daemon.stop().await;
}

#[tokio::test]
async fn what_passed_in_silence_while_the_daemon_was_down_for_weeks_is_recorded_once() {
    let dir = tempdir().expect("a directory");
    let (data_dir, offset) = (dir.path().join("data"), dir.path().join("offset"));
    set(&offset, "+0");
    let daemon = start(&data_dir, &offset).await;
    execute(&daemon, request("growth", "create", create_plan())).await;
    for day in 1..=20 {
        let id = format!("c-{day}");
        let made = promise(&id, "Ada", from_now(day * DAY_SECONDS));
        execute(&daemon, request("growth", &id, made)).await;
    }
    daemon.stop().await;
    set(&offset, "+10d");
    for _ in 0..2 {
        let daemon = start(&data_dir, &offset).await;
        until_lapsed(&daemon, 9).await;
        daemon.stop().await;
    }
    set(&offset, "+30d");
    let daemon = start(&data_dir, &offset).await;
    until_lapsed(&daemon, 20).await;
    assert_eq!(whole_log(&daemon).await.len(), 1 + 20 + 20);
    daemon.stop().await;
}
