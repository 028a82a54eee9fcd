//! What the daemon tells of calls in its log, and how operators change what it logs.

use std::time::{Duration, Instant};

use serde_json::Value;
use strata::proto::{
    ExecuteStreamRequest, ReadLogRequest, SetLogFilterRequest, SetLogFilterResponse, WatchRequest,
    watch_response::Response as Watched,
};
use tempfile::tempdir;
use tonic::{Code, Request, Response, Status};

use crate::{
    daemon::{Daemon, PATIENCE, POLL_INTERVAL, create_plan, note, request},
    language::{commands, execute, get_plan, refused, with_plans},
};

/// What must never be in a log.
const SECRET: &str = "the chef leaves in May";

/// The lines of calls so far.
fn lines(daemon: &Daemon) -> Vec<Value> {
    let log = daemon.log();
    let lines = log.lines().map(serde_json::from_str);
    let lines = lines.map(|line: Result<Value, _>| line.expect("a line of JSON"));
    lines
        .filter(|line| line["target"] == "strata::calls")
        .collect()
}

/// Waits for a line of a call.
async fn line(daemon: &Daemon, is_meant: impl Fn(&Value) -> bool) -> Value {
    let waiting_since = Instant::now();
    loop {
        if let Some(line) = lines(daemon).into_iter().find(&is_meant) {
            return line;
        }
        assert!(
            waiting_since.elapsed() < PATIENCE,
            "no such line; it said:\n{}",
            daemon.log()
        );
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

async fn wait_for_filter(daemon: &Daemon, filter: &str) {
    let waiting_since = Instant::now();
    while daemon.status().await.log_filter != filter {
        assert!(waiting_since.elapsed() < PATIENCE, "{filter} does not hold");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

async fn set_filter(
    daemon: &Daemon,
    filter: &str,
    seconds: Option<i64>,
) -> Result<Response<SetLogFilterResponse>, Status> {
    let request = SetLogFilterRequest {
        filter: filter.to_owned(),
        r#for: seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
    };
    daemon.admin().set_log_filter(request).await
}

#[tokio::test]
async fn by_itself_the_log_tells_of_every_call_and_never_what_calls_are_about() {
    let (_dir, daemon) = with_plans().await;
    execute(&daemon, request("growth", "well", note(SECRET))).await;
    let unknown = request("nowhere", "refused", note(SECRET));
    let mut unknown = Request::new(unknown);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    let traceparent = traceparent.parse().expect("a header");
    unknown.metadata_mut().insert("traceparent", traceparent);
    let token = format!("Bearer {SECRET}").parse().expect("a header");
    unknown.metadata_mut().insert("authorization", token);
    refused(daemon.plans().execute(unknown).await);

    get_plan(&daemon, "growth").await;
    set_filter(&daemon, "info", None).await.expect("set");

    let recorded = line(&daemon, |line| line["request_id"] == "well").await;
    for (field, expected) in [
        ("rpc", "Execute"),
        ("caller", "anonymous"),
        ("plan", "growth"),
        ("code", "OK"),
    ] {
        assert_eq!(recorded[field], expected, "{recorded}");
    }
    line(&daemon, |line| line["rpc"] == "SetLogFilter").await;
    let read = line(&daemon, |line| line["rpc"] == "GetPlan").await;
    assert_eq!(read["plan"], "growth", "{read}");
    let line = line(&daemon, |line| line["request_id"] == "refused").await;
    for (field, expected) in [
        ("caller", "anonymous"),
        ("plan", "nowhere"),
        ("code", "NOT_FOUND"),
        ("reason", "PLAN_NOT_FOUND"),
        ("request_id", "refused"),
        ("trace_id", trace),
        ("level", "INFO"),
    ] {
        assert_eq!(line[field], expected, "{line}");
    }
    let peer = line["peer"].as_str().expect("a peer");
    assert!(peer.starts_with("127.0.0.1:"), "{line}");
    assert!(
        line["milliseconds"].as_f64().is_some_and(|it| it > 0.0),
        "{line}"
    );
    assert!(!daemon.stop().await.contains(SECRET));
}

#[tokio::test]
async fn all_calls_can_be_told_of_and_a_stream_with_what_was_sent() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start_with(dir.path(), &["--call-log", "all"]).await;
    execute(&daemon, request("growth", "1", create_plan())).await;
    get_plan(&daemon, "growth").await;
    let watch = daemon.history().watch(WatchRequest::default()).await;
    let mut watch = watch.expect("a watch").into_inner();
    let mut received = 0;
    loop {
        let message = watch.message().await.expect("goes on").expect("a message");
        received += 1;
        if let Some(Watched::CaughtUp(_)) = message.response {
            break;
        }
    }
    let begin = line(&daemon, |line| line["message"] == "a watch begins").await;
    assert_eq!(begin["caller"], "anonymous", "{begin}");
    drop(watch);

    let ended =
        |rpc: &'static str| move |line: &Value| line["rpc"] == rpc && line["message"] == "call";
    let read = line(&daemon, ended("GetPlan")).await;
    assert_eq!(
        (&read["code"], &read["plan"]),
        (&"OK".into(), &"growth".into())
    );
    assert_eq!(read["messages"], 1, "{read}");
    assert!(read["bytes"].as_u64().is_some_and(|bytes| bytes > 5));
    let watched = line(&daemon, ended("Watch")).await;
    // The reader left, so the stream was not ended by the daemon.
    assert_eq!(watched["code"], "CANCELLED", "{watched}");
    // A checkpoint may have been sent since.
    let sent = watched["messages"].as_u64().expect("a number");
    assert!((received..=received + 1).contains(&sent), "{watched}");
    daemon.stop().await;
}

#[tokio::test]
async fn of_writes_a_stream_is_told_with_the_plans_that_it_named_and_what_was_read_is_not() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start_with(dir.path(), &["--call-log", "writes"]).await;
    let requests = ["a", "b", "a", "c", "d", "e", "f"].map(|plan_id| ExecuteStreamRequest {
        execute: Some(request(plan_id, "1", create_plan())),
    });
    let mut plans = daemon.plans();
    let answers = plans.execute_stream(tokio_stream::iter(requests)).await;
    let mut answers = answers.expect("streamed").into_inner();
    while answers.message().await.expect("goes on").is_some() {}
    let streamed = line(&daemon, |line| line["rpc"] == "ExecuteStream").await;
    assert_eq!(streamed["plan"], "a, b, c, d and 2 more", "{streamed}");
    assert_eq!(streamed["code"], "OK", "{streamed}");
    // What was only read has none, unless it was refused.
    get_plan(&daemon, "a").await;
    let unknown = request("nowhere", "refused", note("Nothing"));
    refused(daemon.plans().execute(unknown).await);
    line(&daemon, |line| line["plan"] == "nowhere").await;
    let all = lines(&daemon);
    assert!(all.iter().all(|line| line["rpc"] != "GetPlan"), "{all:?}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_stream_that_nobody_takes_ends_at_its_deadline_and_is_told_as_that() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start_with(dir.path(), &["--call-log", "all"]).await;
    execute(&daemon, request("growth", "0", create_plan())).await;
    let text = "words ".repeat(1_300);
    for id in 1..120 {
        execute(&daemon, request("growth", &id.to_string(), note(&text))).await;
    }
    let mut read = Request::new(ReadLogRequest::default());
    read.set_timeout(Duration::from_secs(5));
    let read = daemon.slow_history().await.read_log(read).await;
    let read = read.expect("opened").into_inner();
    let line = line(&daemon, |line| line["rpc"] == "ReadLog").await;
    assert_eq!(line["code"], "DEADLINE_EXCEEDED", "{line}");
    assert_eq!(line["reason"], "TIMED_OUT", "{line}");
    drop(read);
    daemon.stop().await;
}

#[tokio::test]
async fn a_log_without_calls_can_be_had() {
    let dir = tempdir().expect("a directory");
    let arguments = ["--call-log", "none", "--slow-call-milliseconds", "0"];
    let daemon = Daemon::start_with(dir.path(), &arguments).await;
    refused(
        daemon
            .plans()
            .execute(request("growth", "1", note("?")))
            .await,
    );
    set_filter(&daemon, "info", None).await.expect("set");
    assert_eq!(lines(&daemon), [] as [Value; 0]);
    daemon.stop().await;
}

#[tokio::test]
async fn a_slow_call_says_where_its_time_went() {
    let dir = tempdir().expect("a directory");
    let arguments = ["--call-log", "none", "--slow-call-milliseconds", "1"];
    let daemon = Daemon::start_with(dir.path(), &arguments).await;
    execute(&daemon, request("growth", "begun", create_plan())).await;
    // Deciding so many commands takes this build longer than that.
    let long = "words ".repeat(150);
    let many: [_; 60] = std::array::from_fn(|_| note(&long));
    execute(&daemon, commands("growth", "many", many)).await;
    let slow = line(&daemon, |line| line["request_id"] == "many").await;
    assert_eq!(slow["level"], "WARN", "{slow}");
    let went_to = slow["went_to"].as_str().expect("where its time went");
    for phase in ["ready ", "place ", "queue ", "decide ", "sync "] {
        assert!(went_to.contains(phase), "{went_to}");
    }
    assert!(!daemon.stop().await.contains("words words"));
}

#[tokio::test]
async fn operators_change_what_is_logged_while_the_daemon_runs() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let refusals = |daemon: &Daemon| {
        let log = daemon.log();
        log.lines()
            .filter(|line| line.contains("\"message\":\"Th"))
            .count()
    };
    assert_eq!(daemon.status().await.log_filter, "info");
    let refuse = async || {
        refused(
            daemon
                .plans()
                .execute(request("growth", "1", note("?")))
                .await,
        );
    };
    refuse().await;
    assert_eq!(refusals(&daemon), 0, "{}", daemon.log());

    let filter = "info,strata=debug";
    let changed = set_filter(&daemon, filter, None).await.expect("changed");
    let changed = changed.into_inner();
    assert_eq!(changed.previous_filter, "info");
    assert_eq!(changed.filter, filter);
    assert_eq!(daemon.status().await.log_filter, filter);
    refuse().await;
    let waiting_since = Instant::now();
    while refusals(&daemon) == 0 {
        assert!(waiting_since.elapsed() < PATIENCE, "{}", daemon.log());
        tokio::time::sleep(POLL_INTERVAL).await;
    }

    // A moment later what was configured holds again.
    set_filter(&daemon, "warn", Some(1)).await.expect("changed");
    assert_eq!(daemon.status().await.log_filter, "warn");
    wait_for_filter(&daemon, "info").await;
    daemon.stop().await;
}

#[tokio::test]
async fn no_filter_hides_who_set_it_or_the_next() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let filters = ["off", "strata=off", "error", "info"];
    for filter in filters {
        set_filter(&daemon, filter, None).await.expect("changed");
    }
    let hiding = "strata::operators[{caller}]=off";
    refused(set_filter(&daemon, hiding, None).await);
    let log = daemon.stop().await;
    let lines = log.lines().map(serde_json::from_str);
    let changes: Vec<_> = lines
        .map(|line: Result<Value, _>| line.expect("a line of JSON"))
        .filter(|line| line["target"] == "strata::operators")
        .collect();
    let told: Vec<_> = changes.iter().map(|it| &it["filter"]).collect();
    assert_eq!(told, filters, "{log}");
    assert!(changes.iter().all(|it| it["caller"] == "anonymous"));
    let before: Vec<_> = changes.iter().map(|it| &it["previous"]).collect();
    assert_eq!(before, ["info", "off", "strata=off", "error"]);
}

#[tokio::test]
async fn what_is_no_filter_changes_nothing() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    for (filter, seconds, field) in [
        ("info,strata=loud", None, "filter"),
        // A target, and nothing else would be said.
        ("inof", None, "filter"),
        ("info, strata", None, "filter"),
        (&"info,".repeat(300), None, "filter"),
        ("warn", Some(0), "for"),
        ("warn", Some(24 * 3_600 + 1), "for"),
        ("warn", Some(-5), "for"),
    ] {
        let refusal = refused(set_filter(&daemon, filter, seconds).await);
        let kind = (Code::InvalidArgument, "MALFORMED_REQUEST");
        assert_eq!(refusal.kind(), kind, "{filter}");
        assert_eq!(refusal.fields, [field], "{filter}");
    }
    assert_eq!(daemon.status().await.log_filter, "info");
    daemon.stop().await;
}

#[tokio::test]
async fn a_hangup_ends_nothing_and_brings_the_configured_log_back() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    set_filter(&daemon, "info,strata=debug", None)
        .await
        .expect("changed");
    daemon.signal("HUP");
    wait_for_filter(&daemon, "info").await;
    daemon.stop().await;
}

#[tokio::test]
async fn the_status_counts_what_callers_hold() {
    let (_dir, daemon) = with_plans().await;
    let watch = daemon.history().watch(WatchRequest::default()).await;
    let _watch = watch.expect("a watch");
    let status = daemon.status().await;
    assert!(status.connections >= 1, "{status:?}");
    // The watch, and the question itself.
    assert!(status.calls_under_way >= 2, "{status:?}");
    assert_eq!(status.tls_certificate_expires, None);
    daemon.stop().await;
}
