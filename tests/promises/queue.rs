//! A full queue: a call waits for a place until its deadline and is then told that the queue was
//! full. Nothing else becomes of it, and what was refused was not recorded. `strace` holds up one
//! sync of the disk, so that the queue is full for certain.

use std::{path::Path, time::Duration};

use strata::proto::ExecuteResponse;
use tempfile::tempdir;
use tokio::task::JoinSet;
use tonic::{Code, Request, Response, Status};

use crate::{
    daemon::{
        Daemon, PATIENCE, POLL_INTERVAL, create_plan, note, request, serve_arguments, strace,
    },
    reading::{assert_sound, reason, whole_log},
};

/// Fewer than a server takes on one connection at a time.
const CALLS: usize = 150;
/// A tenth of it is what the daemon leaves for its answer to arrive.
const DEADLINE: Duration = Duration::from_secs(10);
/// A queue that is full for so many looks at it is not being emptied.
const LOOKS: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_the_deadline_and_records_nothing_of_it() {
    let dir = tempdir().expect("a directory");
    let daemon = held_up_after_one_commit(dir.path()).await;
    let mut patient = JoinSet::new();
    for number in 0.. {
        call(&mut patient, &daemon, format!("patient-{number}"), PATIENCE);
        if stays_full(&daemon).await {
            break;
        }
    }
    let mut hasty = JoinSet::new();
    for number in 0..CALLS {
        call(&mut hasty, &daemon, format!("hasty-{number}"), DEADLINE);
    }
    while let Some(ended) = hasty.join_next().await {
        let status = ended.expect("called").expect_err("the queue is full");
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert_eq!(reason(&status).as_deref(), Some("QUEUE_FULL"), "{status:?}");
    }
    let waited = patient.len();
    while let Some(ended) = patient.join_next().await {
        ended.expect("called").expect("recorded in the end");
    }
    let log = whole_log(&daemon).await;
    assert_sound(&log);
    assert_eq!(log.len(), 1 + waited, "only what was acknowledged");
    daemon.stop().await;
}

/// A daemon with one commit, whose next group is held up on its way to the disk, and whose queue has
/// one place.
pub(crate) async fn held_up_after_one_commit(dir: &Path) -> Daemon {
    // Each thread's second sync takes so long, in microseconds: that of the writer's second group.
    let second_sync = "inject=fdatasync:delay_enter=20000000:when=2";
    let mut held_up = strace();
    held_up
        .args([
            "-e",
            "trace=fdatasync",
            "-e",
            second_sync,
            "-o",
            "/dev/null",
        ])
        .arg(env!("CARGO_BIN_EXE_stratad"))
        .args(serve_arguments(dir))
        .args(["--queue-limit", "1"]);
    let daemon = Daemon::spawn(held_up).await;
    daemon.wait_until_serving().await;
    let created = request("growth", "create", create_plan());
    daemon.plans().execute(created).await.expect("recorded");
    daemon
}

/// Whether the queue is full and nothing is taken from it.
pub(crate) async fn stays_full(daemon: &Daemon) -> bool {
    for _ in 0..LOOKS {
        if daemon.status().await.queued_requests == 0 {
            return false;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    true
}

fn call(
    calls: &mut JoinSet<Result<Response<ExecuteResponse>, Status>>,
    daemon: &Daemon,
    request_id: String,
    deadline: Duration,
) {
    let mut client = daemon.plans();
    calls.spawn(async move {
        let mut call = Request::new(request("growth", &request_id, note("a note")));
        call.set_timeout(deadline);
        client.execute(call).await
    });
}
