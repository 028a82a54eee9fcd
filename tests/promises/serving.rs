//! How a daemon starts, serves and stops.

use strata::proto::GetPlanRequest;
use tempfile::tempdir;

use crate::daemon::{Daemon, create_plan, request};

#[tokio::test]
async fn what_was_answered_is_there_after_a_clean_stop() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    daemon
        .plans()
        .execute(request("growth", "one", create_plan()))
        .await
        .expect("recorded");
    daemon.stop().await;

    let daemon = Daemon::start(dir.path()).await;
    let asked = GetPlanRequest {
        plan_id: "growth".into(),
        ..Default::default()
    };
    let answer = daemon
        .plans()
        .get_plan(asked)
        .await
        .expect("shown")
        .into_inner();
    assert_eq!(answer.position, 1);
    assert_eq!(answer.plan.expect("a plan").revision, 1);
}
