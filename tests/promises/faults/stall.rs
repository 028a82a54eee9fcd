//! A sync that does not return, held up by `strace`: health and status say so while it lasts, reads
//! go on, and all is well when it has returned.

use std::{path::Path, time::Instant};

use tempfile::tempdir;
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    daemon::{
        Daemon, PATIENCE, POLL_INTERVAL, create_plan, note, request, serve_arguments, strace,
    },
    metrics::{free_address, wait_for_figure},
    reading::whole_log,
};

/// A daemon on which the second sync of a file by each thread takes so many microseconds.
async fn held_up(data_dir: &Path, file: &str, arguments: &[&str]) -> Daemon {
    let mut command = strace();
    command
        .args(["-e", "trace=fdatasync", "-e"])
        .arg("inject=fdatasync:delay_enter=10000000:when=2")
        .arg("-P")
        .arg(data_dir.join(file))
        .args(["-o", "/dev/null"])
        .arg(env!("CARGO_BIN_EXE_stratad"))
        .args(serve_arguments(data_dir))
        .args(["--sync-stall-seconds", "1"])
        .args(arguments);
    let daemon = Daemon::spawn(command).await;
    daemon.wait_until_serving().await;
    daemon
}

async fn health(daemon: &Daemon, service: &str) -> ServingStatus {
    let endpoint = Endpoint::from_shared(daemon.url()).expect("a URL");
    let asked = HealthCheckRequest {
        service: service.to_owned(),
    };
    let mut client = HealthClient::new(endpoint.connect().await.expect("connected"));
    let answer = client.check(asked).await;
    answer.expect("known").into_inner().status()
}

async fn wait_for_health(daemon: &Daemon, expected: ServingStatus) {
    let waiting_since = Instant::now();
    for service in ["strata.v1.PlanService", ""] {
        while health(daemon, service).await != expected {
            assert!(waiting_since.elapsed() < PATIENCE, "{}", daemon.log());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_does_not_return_is_told_while_reads_go_on() {
    let metrics = free_address();
    for file in ["journal/db", "high-water", "view/db"] {
        let dir = tempdir().expect("a directory");
        let arguments = ["--metrics-listen", &metrics.to_string()];
        let daemon = held_up(dir.path(), file, &arguments).await;
        let create = request("growth", "create", create_plan());
        daemon.plans().execute(create).await.expect("recorded");
        let waiting_since = Instant::now();
        let mut sent = 1;
        let mut writing = None;
        // The mark and the view are synced once a second, so the second sync takes a few commits.
        while health(&daemon, "").await == ServingStatus::Serving {
            assert!(waiting_since.elapsed() < PATIENCE, "{}", daemon.log());
            if writing
                .as_ref()
                .is_none_or(tokio::task::JoinHandle::is_finished)
            {
                let mut client = daemon.plans();
                let request = request("growth", &format!("note-{sent}"), note("a note"));
                writing = Some(tokio::spawn(async move { client.execute(request).await }));
                sent += 1;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        wait_for_health(&daemon, ServingStatus::NotServing).await;
        let told = daemon.status().await;
        assert!(told.sync_stalled_file.ends_with(file), "{told:?}");
        assert!(
            told.sync_stalled
                .is_some_and(|stalled| stalled.seconds >= 1)
        );
        assert_eq!(
            health(&daemon, "strata.v1.HistoryService").await,
            ServingStatus::Serving
        );
        assert!(!whole_log(&daemon).await.is_empty(), "reads go on");
        wait_for_figure(metrics, "strata_sync_stalled_seconds", |it| it > 1.0).await;
        daemon.until_it_says("does not return").await;

        wait_for_health(&daemon, ServingStatus::Serving).await;
        let answer = writing.expect("one was sent").await.expect("called");
        answer.expect("recorded in the end");
        let told = daemon.status().await;
        assert_eq!(
            (told.sync_stalled, told.sync_stalled_file.as_str()),
            (None, "")
        );
        wait_for_figure(metrics, "strata_sync_stalled_seconds", |it| it == 0.0).await;
        assert_eq!(whole_log(&daemon).await.len(), sent);
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_waits_for_the_disk_says_so_while_it_waits() {
    let dir = tempdir().expect("a directory");
    let daemon = held_up(dir.path(), "view/db", &[]).await;
    let create = request("growth", "create", create_plan());
    daemon.plans().execute(create).await.expect("recorded");
    let waiting_since = Instant::now();
    let mut sent = 1;
    while health(&daemon, "").await == ServingStatus::Serving {
        assert!(waiting_since.elapsed() < PATIENCE, "{}", daemon.log());
        let note = request("growth", &format!("note-{sent}"), note("a note"));
        daemon.plans().execute(note).await.expect("recorded");
        sent += 1;
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    daemon.signal("TERM");
    let (status, log) = daemon.ended().await;
    assert!(status.success(), "{log}");
    let said = log
        .lines()
        .find(|line| line.contains("the stop waits for a sync of the disk"));
    assert!(said.is_some_and(|it| it.contains("view/db")), "{log}");
    assert!(log.contains("stopped"), "{log}");
    let daemon = Daemon::start(dir.path()).await;
    assert_eq!(whole_log(&daemon).await.len(), sent);
    daemon.stop().await;
}
