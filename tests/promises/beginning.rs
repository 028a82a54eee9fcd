//! `stratad serve --import`: a daemon that begins with a file of requests.

use std::{fs, path::Path, process::Command};

use strata::proto::ListPlansRequest;
use tempfile::tempdir;

use crate::daemon::{Daemon, serve_arguments};

/// A real history of 40 requests.
const HISTORY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/smallpox-india.jsonl"
);

#[tokio::test]
async fn a_daemon_begins_with_the_requests_of_a_file_and_replays_them_at_the_next_start() {
    let dir = tempdir().expect("a directory");
    for _ in 0..2 {
        let daemon = Daemon::start_with(dir.path(), &["--import", HISTORY]).await;
        // The log says it once the last request was answered.
        daemon.until_it_says("imported").await;
        let listed = daemon.plans().list_plans(ListPlansRequest::default()).await;
        let listed = listed.expect("listed").into_inner();
        assert_eq!(listed.position, 40);
        assert_eq!(listed.plans.len(), 1);
        daemon.stop().await;
    }
}

#[test]
fn a_daemon_whose_beginning_is_refused_stops_and_names_the_line() {
    let dir = tempdir().expect("a directory");
    let requests = dir.path().join("requests.jsonl");
    let create = r#"{"plan_id":"a","request_id":"1","commands":[{"create_plan":{"title":"A"}}]}"#;
    let stray = r#"{"plan_id":"b","request_id":"2","commands":[{"reopen_plan":{"reason":"r"}}]}"#;
    fs::write(&requests, format!("{create}\n{stray}\n")).expect("written");

    let said = failure_of_a_daemon_that_begins_with(&requests, dir.path());
    assert!(said.contains("line 2 was refused: NOT_FOUND"), "{said}");
    assert!(said.contains("1 recorded"), "{said}");
    let (reason, stopping) = (said.find("was refused"), said.find("\"stopping\""));
    assert!(reason < stopping && stopping.is_some(), "{said}");
    // Where the log is for programs, its last line is no exception.
    let last: serde_json::Value =
        serde_json::from_str(said.lines().last().unwrap_or_default()).expect("JSON");
    assert_eq!(last["level"], "ERROR", "{said}");
}

#[test]
fn a_file_that_is_no_import_is_refused_before_anything_is_started() {
    let dir = tempdir().expect("a directory");
    let requests = dir.path().join("requests.jsonl");
    fs::write(&requests, "{}\nnot json\n").expect("written");

    let said = failure_of_a_daemon_that_begins_with(&requests, dir.path());
    assert!(said.contains("line 2"), "{said}");
    assert!(
        !dir.path().join("data").exists(),
        "nothing was started: {said}"
    );
}

/// What a daemon says on stderr that must end by itself, with status 1.
#[track_caller]
fn failure_of_a_daemon_that_begins_with(requests: &Path, dir: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_stratad"))
        .args(serve_arguments(&dir.join("data")))
        .arg("--import")
        .arg(requests)
        .output()
        .expect("stratad runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}
