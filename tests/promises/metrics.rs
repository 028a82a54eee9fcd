//! The metrics, as Prometheus fetches them.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    time::Instant,
};

use tempfile::tempdir;

use crate::{
    daemon::{Daemon, PATIENCE, POLL_INTERVAL, create_plan, request, serve_arguments},
    language::execute,
};

const NAMES: [&str; 8] = [
    "strata_head_position",
    "strata_sync_seconds_count",
    "strata_sync_stalled_seconds",
    "strata_disk_free_bytes",
    "strata_disk_reserve_bytes",
    "strata_clock_leap_seconds",
    "strata_writes_refused_total{reason=\"DISK_RESERVE\"}",
    "strata_writes_refused_total{reason=\"CLOCK_LEAPT\"}",
];

/// An address that was free a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

/// What a daemon says of a figure; nothing if it does not say.
pub(crate) fn figure(address: SocketAddr, name: &str) -> Option<f64> {
    let mut stream = TcpStream::connect(address).expect("connected");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .expect("asked");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("answered");
    page.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// Waits until a figure is as it should be.
pub(crate) async fn wait_for_figure(
    address: SocketAddr,
    name: &str,
    is_right: impl Fn(f64) -> bool,
) {
    let waiting_since = Instant::now();
    while !figure(address, name).is_some_and(&is_right) {
        let said = figure(address, name);
        assert!(waiting_since.elapsed() < PATIENCE, "{name} is {said:?}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

#[tokio::test]
async fn the_metrics_follow_the_log_and_the_disk() {
    let dir = tempdir().expect("a directory");
    let metrics = free_address();
    let arguments = ["--metrics-listen", &metrics.to_string()];
    let daemon = Daemon::start_with(dir.path(), &arguments).await;
    for id in ["growth", "bakery"] {
        execute(&daemon, request(id, "1", create_plan())).await;
    }
    wait_for_figure(metrics, "strata_head_position", |head| head >= 2.0).await;
    for name in NAMES {
        assert!(figure(metrics, name).is_some(), "{name} is missing");
    }
    let of = |name| figure(metrics, name).expect("a figure");
    assert!(of("strata_disk_free_bytes") > 0.0);
    assert!(of("strata_sync_seconds_count") >= 2.0);
    assert_eq!(of("strata_clock_leap_seconds").to_bits(), 0);
    daemon.stop().await;
}

#[tokio::test]
async fn a_place_for_the_metrics_that_is_taken_is_said() {
    let dir = tempdir().expect("a directory");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|address| (taken, address));
    let (_taken, address) = taken.expect("an address");
    let mut command = Command::new(env!("CARGO_BIN_EXE_stratad"));
    command
        .args(serve_arguments(dir.path()))
        .args(["--metrics-listen", &address.to_string()]);
    let ended = Daemon::spawn(command).await.serving_or_ended().await;
    let said = ended.err().expect("the port is taken");
    assert!(said.contains("--metrics-listen"), "{said}");
}
