//! What the program counts and measures about itself, for Prometheus to fetch over HTTP, when an
//! address was configured for it. Gauges are set about once a second by who looks on; the rest is
//! counted where it happens.

use std::net::SocketAddr;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};

/// Bounds of the buckets of `strata_sync_seconds`: from a fast disk to one that is held up.
const SYNC_SECONDS: [f64; 12] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0,
];

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot serve metrics on {address}: {reason}; choose another address with --metrics-listen"
)]
pub struct FiguresError {
    address: SocketAddr,
    reason: BuildError,
}

/// What is looked at once in a while.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// The position of the last durable commit.
    pub head_position: u64,
    /// For how long a sync has been held up; 0 if none is.
    pub sync_stalled_seconds: f64,
    /// What is left on the disk, if the system says.
    pub disk_free_bytes: Option<u64>,
    /// What is kept in reserve there.
    pub disk_reserve_bytes: u64,
    /// How far the clock leapt, forward if positive; 0 if it did not.
    pub clock_leap_seconds: f64,
}

/// Begins to count, and serves what was counted at `http://ADDRESS/metrics` until the runtime ends.
/// Call it within the runtime, once a process.
pub fn serve(address: SocketAddr) -> Result<(), FiguresError> {
    let refused = |reason| FiguresError { address, reason };
    let name = Matcher::Full("strata_sync_seconds".to_owned());
    let (recorder, serving) = PrometheusBuilder::new()
        .with_http_listener(address)
        .set_buckets_for_metric(name, &SYNC_SECONDS)
        .and_then(PrometheusBuilder::build)
        .map_err(refused)?;
    metrics::set_global_recorder(recorder)
        .map_err(|error| refused(BuildError::FailedToSetGlobalRecorder(error)))?;
    describe();
    tokio::spawn(serving);
    tracing::info!(metrics = %address, "serving metrics");
    Ok(())
}

fn describe() {
    describe_gauge!("strata_head_position", "The last durable commit");
    describe_histogram!(
        "strata_sync_seconds",
        Unit::Seconds,
        "What it took to write and sync a group of commits"
    );
    describe_gauge!(
        "strata_sync_stalled_seconds",
        Unit::Seconds,
        "For how long a sync has been held up; 0 if none is"
    );
    describe_gauge!(
        "strata_disk_free_bytes",
        Unit::Bytes,
        "What the daemon may still use on the disk of its data directory"
    );
    describe_gauge!(
        "strata_disk_reserve_bytes",
        Unit::Bytes,
        "Below so many free bytes writes are refused"
    );
    describe_counter!(
        "strata_writes_refused_total",
        "Requests that were refused because of disk or clock, by reason"
    );
    // There from the start, so that the first refusal shows as a rise.
    for reason in ["DISK_RESERVE", "CLOCK_LEAPT"] {
        counter!("strata_writes_refused_total", "reason" => reason).absolute(0);
    }
    describe_counter!(
        "strata_calls_refused_total",
        "Refusals, by reason: a call each, or a request of a stream"
    );
    for reason in [
        "RATE_LIMIT",
        "CONCURRENCY_LIMIT",
        "WATCH_LIMIT",
        "OVERLOADED",
        "TIMED_OUT",
    ] {
        counter!("strata_calls_refused_total", "reason" => reason).absolute(0);
    }
    describe_counter!(
        "strata_calls_abandoned_total",
        "Calls whose caller had gone before the answer was sent"
    );
    counter!("strata_calls_abandoned_total").absolute(0);
    describe_counter!(
        "strata_questions_begun_total",
        "Questions that take long and had their turn"
    );
    counter!("strata_questions_begun_total").absolute(0);
    describe_gauge!(
        "strata_clock_leap_seconds",
        Unit::Seconds,
        "How far the clock leapt, forward if positive; 0 if it did not"
    );
}

/// Shows what was looked at.
#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are floats; positions and bytes below 2^53 are exact"
)]
pub fn show(figures: Figures) {
    gauge!("strata_head_position").set(figures.head_position as f64);
    gauge!("strata_sync_stalled_seconds").set(figures.sync_stalled_seconds);
    gauge!("strata_disk_free_bytes").set(figures.disk_free_bytes.map_or(f64::NAN, |it| it as f64));
    gauge!("strata_disk_reserve_bytes").set(figures.disk_reserve_bytes as f64);
    gauge!("strata_clock_leap_seconds").set(figures.clock_leap_seconds);
}
