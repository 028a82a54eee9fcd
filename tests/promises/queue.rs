//! A full queue: a call waits for a place until its deadline and is then told that the queue was
//! full. Nothing else becomes of it, and what was refused was not recorded. The disk is made slow by
//! `strace`, so that the queue fills whatever the machine can do.

use std::time::Duration;

use tempfile::tempdir;
use tokio::task::JoinSet;
use tonic::{Code, Request};

use crate::{
    daemon::{Daemon, create_plan, note, request, serve_arguments, strace},
    reading::{assert_sound, reason, whole_log},
};

/// Several times as many as the slow disk takes before the deadline.
const CALLS: usize = 120;
/// A tenth of it is what the daemon leaves for its answer to arrive.
const DEADLINE: Duration = Duration::from_secs(3);
/// So long each sync of a file takes, at least, in microseconds.
const SLOW_SYNC: &str = "inject=fdatasync:delay_enter=100000";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_the_deadline_and_records_nothing_of_it() {
    let dir = tempdir().expect("a directory");
    let mut slow = strace();
    slow.args(["-e", "trace=fdatasync", "-e", SLOW_SYNC, "-o", "/dev/null"])
        .arg(env!("CARGO_BIN_EXE_stratad"))
        .args(serve_arguments(dir.path()))
        .args(["--queue-limit", "1"]);
    let daemon = Daemon::spawn(slow).await;
    daemon.wait_until_serving().await;
    let created = request("growth", "create", create_plan());
    daemon.plans().execute(created).await.expect("recorded");

    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        let mut client = daemon.plans();
        let request = request("growth", &format!("note-{number}"), note("a note"));
        calls.spawn(async move {
            let mut call = Request::new(request);
            call.set_timeout(DEADLINE);
            client.execute(call).await
        });
    }
    let (mut recorded, mut refused) = (0, 0);
    while let Some(ended) = calls.join_next().await {
        match ended.expect("called") {
            Ok(_) => recorded += 1,
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                assert_eq!(reason(&status).as_deref(), Some("QUEUE_FULL"));
                refused += 1;
            }
        }
    }
    assert!(recorded > 0 && refused > 0, "{recorded} and {refused}");
    let log = whole_log(&daemon).await;
    assert_sound(&log);
    assert_eq!(log.len(), 1 + recorded, "only what was acknowledged");
    daemon.stop().await;
}
