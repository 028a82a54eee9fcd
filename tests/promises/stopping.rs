//! SIGTERM and SIGINT: what is under way ends, the streams are told, the process ends with status 0
//! in time, and the next start serves what was acknowledged. Also while it still recovers.

use std::{
    error::Error,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use strata::proto::{
    Command as PlanCommand, ExecuteRequest, ExecuteStreamRequest, GetPlanRequest, GetStatusRequest,
    WatchRequest, execute_stream_response::Outcome, plan_service_client::PlanServiceClient,
};
use tempfile::tempdir;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    daemon::{Daemon, create_plan, note, request, serve_arguments},
    reading::{assert_sound, reason, whole_log},
};

/// Fewer than a server takes on one connection at a time.
const CALLS: usize = 150;
/// Below the 10 seconds that calls are given, so that nothing was waited for in vain.
const PROMPT: Duration = Duration::from_secs(9);

#[tokio::test(flavor = "multi_thread")]
async fn calls_under_way_end_before_the_daemon_does() {
    for signal in ["TERM", "INT"] {
        let dir = tempdir().expect("a directory");
        let daemon = Daemon::start(dir.path()).await;
        create(&daemon, "growth").await;
        let mut calls = JoinSet::new();
        for number in 0..CALLS {
            let mut client = daemon.plans();
            let request = request("growth", &format!("note-{number}"), note("a note"));
            calls.spawn(async move { client.execute(request).await });
        }
        let first = calls.join_next().await.expect("a call").expect("called");
        daemon.signal(signal);
        let mut recorded = vec![first.expect("recorded").into_inner()];
        let mut refused = 0;
        while let Some(ended) = calls.join_next().await {
            match ended.expect("called") {
                Ok(answer) => recorded.push(answer.into_inner()),
                Err(status) => {
                    assert_not_cut_off(&status);
                    refused += 1;
                }
            }
        }
        let (status, log) = daemon.ended().await;
        assert!(status.success(), "SIG{signal}: {status}; it said:\n{log}");
        eprintln!(
            "SIG{signal}: {} recorded, {refused} refused",
            recorded.len()
        );

        let daemon = Daemon::start(dir.path()).await;
        let log = whole_log(&daemon).await;
        assert_sound(&log);
        assert_eq!(
            log.len(),
            recorded.len() + 1,
            "all that was acknowledged, no more"
        );
        for answer in recorded {
            let entry = answer.entry.expect("an entry");
            let index = usize::try_from(entry.position).expect("small") - 1;
            assert_eq!(log[index], entry);
        }
        daemon.stop().await;
    }
}

#[tokio::test]
async fn a_query_that_waits_is_told_that_the_daemon_stops() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    create(&daemon, "growth").await;
    let mut client = daemon.plans();
    let waiting = tokio::spawn(async move {
        let query = GetPlanRequest {
            plan_id: "growth".into(),
            min_position: 1_000,
            ..Default::default()
        };
        client.get_plan(query).await
    });
    // Something asked later on the same connection is answered: the query has arrived.
    daemon.head().await;
    assert_stops_promptly(daemon, "TERM").await;
    let status = waiting.await.expect("asked").expect_err("it never came");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(reason(&status).as_deref(), Some("STOPPING"), "{status:?}");
}

#[tokio::test]
async fn connections_that_do_nothing_do_not_hold_up_the_stop() {
    for signal in ["TERM", "INT"] {
        let dir = tempdir().expect("a directory");
        let daemon = Daemon::start(dir.path()).await;
        let idle = PlanServiceClient::connect(daemon.url()).await;
        let mute = TcpStream::connect(daemon.address()).expect("connected");
        let kept_alive = http1_connection(&daemon);
        daemon.head().await;
        assert_stops_promptly(daemon, signal).await;
        drop((idle, mute, kept_alive));
        Daemon::start(dir.path()).await.stop().await;
    }
}

#[tokio::test]
async fn an_open_stream_of_requests_does_not_hold_up_the_stop() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    create(&daemon, "growth").await;
    let (requests, taken) = mpsc::channel(16);
    requests.send(of_stream("one")).await.expect("sent");
    let requested = ReceiverStream::new(taken);
    let stream = daemon.plans().execute_stream(requested).await;
    let mut answers = stream.expect("a stream").into_inner();
    let answer = answers.message().await.expect("an answer").expect("one");
    assert!(
        matches!(answer.outcome, Some(Outcome::Response(_))),
        "{answer:?}"
    );
    assert_stops_promptly(daemon, "TERM").await;
    let status = answers.message().await.expect_err("the daemon stops");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(reason(&status).as_deref(), Some("STOPPING"), "{status:?}");
    drop(requests);
    let daemon = Daemon::start(dir.path()).await;
    assert_eq!(daemon.head().await, 2);
    daemon.stop().await;
}

#[tokio::test]
async fn a_watch_of_health_does_not_hold_up_the_stop_and_says_not_serving() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let mut health = health(&daemon).await;
    let watched = health.watch(HealthCheckRequest::default()).await;
    let mut statuses = watched.expect("a watch").into_inner();
    let first = statuses.message().await.expect("a status").expect("one");
    assert_eq!(first.status(), ServingStatus::Serving);
    assert_stops_promptly(daemon, "TERM").await;
    let last = statuses.message().await.expect("a status").expect("one");
    assert_eq!(last.status(), ServingStatus::NotServing);
    assert_eq!(statuses.message().await.expect("an end"), None);
    Daemon::start(dir.path()).await.stop().await;
}

#[tokio::test]
async fn a_watcher_that_does_not_read_holds_up_the_stop_for_the_drain_only() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start_with(dir.path(), &["--drain-seconds", "1"]).await;
    create(&daemon, "growth").await;
    let large = "x".repeat(8_000);
    for number in 0..40 {
        let large = request("growth", &format!("note-{number}"), note(&large));
        daemon.plans().execute(large).await.expect("recorded");
    }
    // More waits for it than a connection takes unread, so its end cannot be sent.
    let stuck = daemon
        .slow_history()
        .await
        .watch(WatchRequest::default())
        .await;
    let log = assert_stops_promptly(daemon, "TERM").await;
    assert!(log.contains("calls are still open"), "{log}");
    drop(stuck);
    Daemon::start(dir.path()).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_recovers_a_daemon_says_so_and_can_be_stopped() {
    let dir = tempdir().expect("a directory");
    let head = write_a_long_log(dir.path()).await;
    for signal in ["TERM", "INT"] {
        fs::remove_dir_all(dir.path().join("view")).expect("deleted");
        let daemon = recovering(dir.path()).await;
        for service in ["", "strata.v1.PlanService", "strata.v1.HistoryService"] {
            assert_eq!(health_of(&daemon, service).await, ServingStatus::NotServing);
        }
        for status in refusals(&daemon).await {
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            assert_eq!(reason(&status).as_deref(), Some("STARTING"), "{status:?}");
        }
        let log = assert_stops_promptly(daemon, signal).await;
        assert!(!log.contains("\"serving\""), "{log}");
    }
    let daemon = recovering(dir.path()).await;
    assert_eq!(health_of(&daemon, "").await, ServingStatus::NotServing);
    daemon.wait_until_serving().await;
    assert_eq!(daemon.head().await, head);
    assert_sound(&whole_log(&daemon).await);
    daemon.stop().await;
}

/// Asserts that a daemon ends with status 0 soon after a signal. Returns what it logged.
async fn assert_stops_promptly(daemon: Daemon, signal: &str) -> String {
    let told = Instant::now();
    daemon.signal(signal);
    let (status, log) = daemon.ended().await;
    assert!(status.success(), "SIG{signal}: {status}; it said:\n{log}");
    let took = told.elapsed();
    assert!(took < PROMPT, "SIG{signal}: {took:?}; it said:\n{log}");
    log
}

/// Asserts that a call was refused in words, or never left the client: the connection was not cut
/// under it.
#[track_caller]
fn assert_not_cut_off(status: &Status) {
    let mut source = status.source();
    let mut never_sent = false;
    while let Some(error) = source {
        never_sent |= error.is::<tonic::ConnectError>();
        source = error.source();
    }
    let refused = reason(status).as_deref() == Some("STOPPING");
    assert!(refused || never_sent, "{status:?}");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
}

async fn create(daemon: &Daemon, plan_id: &str) {
    let created = request(plan_id, "create", create_plan());
    daemon.plans().execute(created).await.expect("recorded");
}

fn of_stream(request_id: &str) -> ExecuteStreamRequest {
    ExecuteStreamRequest {
        execute: Some(request("growth", request_id, note("a note"))),
    }
}

async fn health(daemon: &Daemon) -> HealthClient<Channel> {
    let endpoint = Channel::from_shared(daemon.url()).expect("a URL");
    HealthClient::new(endpoint.connect().await.expect("connected"))
}

async fn health_of(daemon: &Daemon, service: &str) -> ServingStatus {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let checked = health(daemon).await.check(request).await;
    checked.expect("a status").into_inner().status()
}

/// What one call of each kind is refused with.
async fn refusals(daemon: &Daemon) -> Vec<Status> {
    let query = GetPlanRequest {
        plan_id: "growth".into(),
        ..Default::default()
    };
    let written = request("growth", "too-early", note("a note"));
    vec![
        daemon.plans().get_plan(query).await.expect_err("starting"),
        daemon.plans().execute(written).await.expect_err("starting"),
        daemon
            .history()
            .watch(WatchRequest::default())
            .await
            .expect_err("starting"),
        daemon
            .admin()
            .get_status(GetStatusRequest {})
            .await
            .expect_err("starting"),
    ]
}

/// A connection of HTTP/1.1 that was answered once and is kept.
fn http1_connection(daemon: &Daemon) -> TcpStream {
    let mut connection = TcpStream::connect(daemon.address()).expect("connected");
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", daemon.address());
    connection.write_all(request.as_bytes()).expect("asked");
    let mut answer = [0; 8];
    connection.read_exact(&mut answer).expect("answered");
    assert_eq!(&answer, b"HTTP/1.1");
    connection
}

/// A log that takes a good while to read into the view: many commits of many events.
async fn write_a_long_log(dir: &Path) -> u64 {
    const PLANS: usize = 8;
    const COMMITS_A_PLAN: usize = 500;
    const EVENTS_A_COMMIT: usize = 64;
    let daemon = Daemon::start(dir).await;
    let mut writers = JoinSet::new();
    for plan in 0..PLANS {
        let plan_id = format!("plan-{plan}");
        create(&daemon, &plan_id).await;
        let mut client = daemon.plans();
        writers.spawn(async move {
            for number in 0..COMMITS_A_PLAN {
                let commands = std::iter::repeat_n(note("a note"), EVENTS_A_COMMIT);
                let request = ExecuteRequest {
                    commands: commands
                        .map(|kind| PlanCommand { kind: Some(kind) })
                        .collect(),
                    ..request(&plan_id, &format!("notes-{number}"), note(""))
                };
                client.execute(request).await.expect("recorded");
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.expect("written");
    }
    let head = daemon.head().await;
    daemon.stop().await;
    head
}

/// A daemon that listens and is still busy with its log.
async fn recovering(dir: &Path) -> Daemon {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stratad"));
    command.args(serve_arguments(dir));
    Daemon::spawn(command).await
}
