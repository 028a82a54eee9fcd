//! What the program counts and measures about itself: for Prometheus to fetch over HTTP, and for a
//! collector, where one of them was configured. Gauges are set about once a second by who looks on;
//! the rest is counted where it happens. All figures there are stand in one table.

use std::{net::SocketAddr, time::Duration};

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use metrics_util::layers::FanoutBuilder;
use opentelemetry::metrics::Meter;

use super::bridge::Bridge;
use crate::rpc::status::counted_reasons;

mod table;

pub use self::table::{FIGURES, Figure, Kind};

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum FiguresError {
    /// They cannot be served.
    #[error(
        "cannot serve metrics on {address}: {reason}; choose another address with --metrics-listen"
    )]
    Serve {
        /// Where.
        address: SocketAddr,
        /// What went wrong.
        reason: BuildError,
    },
    /// They are counted for another daemon of this process.
    #[error("figures are counted already in this process")]
    Counted,
}

/// What is looked at once in a while.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// The position of the last durable commit.
    pub head_position: u64,
    /// The position up to which the view is on disk.
    pub view_position: u64,
    /// How many commits searches do not find yet.
    pub search_lag_commits: u64,
    /// How many watches are open.
    pub watches: u64,
    /// How many commits the slowest of them has still to look at.
    pub watch_lag_commits: u64,
    /// How many requests wait to be decided, and how many may.
    pub queue_requests: u64,
    /// How many may.
    pub queue_limit_requests: u64,
    /// How many plans there are.
    pub plans: u64,
    /// What the plans in memory take, and what they may.
    pub plans_bytes: (u64, u64),
    /// What the histories in memory take, and what they may.
    pub histories_bytes: (u64, u64),
    /// What the encoded plans and the reviews in memory take, and what they may.
    pub shown_bytes: (u64, u64),
    /// What the recent commits take, and what they may.
    pub recent_commits_bytes: (u64, u64),
    /// For how long a sync has been held up; 0 if none is.
    pub sync_stalled_seconds: f64,
    /// What is left on the disk, if the system says.
    pub disk_free_bytes: Option<u64>,
    /// What is kept in reserve there.
    pub disk_reserve_bytes: u64,
    /// How far the clock leapt, forward if positive; 0 if it did not.
    pub clock_leap_seconds: f64,
}

/// Begins to count: for Prometheus at `http://ADDRESS/metrics` until the runtime ends, for a collector
/// through a meter, or for both. Call it within the runtime, once a process.
pub fn start(address: Option<SocketAddr>, meter: Option<Meter>) -> Result<(), FiguresError> {
    let prometheus = address.map(serve).transpose()?;
    let bridge = meter.map(|meter| Bridge::new(meter, table::bounds));
    let counted = match (prometheus, bridge) {
        (None, None) => return Ok(()),
        (Some(prometheus), None) => metrics::set_global_recorder(prometheus).is_ok(),
        (None, Some(bridge)) => metrics::set_global_recorder(bridge).is_ok(),
        (Some(prometheus), Some(bridge)) => {
            let both = FanoutBuilder::default()
                .add_recorder(prometheus)
                .add_recorder(bridge)
                .build();
            metrics::set_global_recorder(both).is_ok()
        }
    };
    if !counted {
        return Err(FiguresError::Counted);
    }
    describe();
    Ok(())
}

fn serve(
    address: SocketAddr,
) -> Result<metrics_exporter_prometheus::PrometheusRecorder, FiguresError> {
    let refused = |reason| FiguresError::Serve { address, reason };
    let mut builder = PrometheusBuilder::new().with_http_listener(address);
    for figure in &FIGURES {
        if let Kind::Histogram(bounds) = figure.kind {
            let name = Matcher::Full(figure.name.to_owned());
            builder = builder
                .set_buckets_for_metric(name, bounds)
                .map_err(refused)?;
        }
    }
    let (recorder, serving) = builder.build().map_err(refused)?;
    tokio::spawn(serving);
    tracing::info!(metrics = %address, "serving metrics");
    Ok(recorder)
}

fn describe() {
    for figure in &FIGURES {
        let unit = figure.unit.unwrap_or(Unit::Count);
        match figure.kind {
            Kind::Counter => describe_counter!(figure.name, unit, figure.meaning),
            Kind::Gauge => describe_gauge!(figure.name, unit, figure.meaning),
            Kind::Histogram(_) => describe_histogram!(figure.name, unit, figure.meaning),
        }
    }
    // There from the start, so that the first refusal shows as a rise.
    for reason in ["DISK_RESERVE", "CLOCK_LEAPT"] {
        counter!("strata_writes_refused_total", "reason" => reason).absolute(0);
    }
    for reason in counted_reasons() {
        counter!("strata_calls_refused_total", "reason" => reason).absolute(0);
    }
    counter!("strata_calls_abandoned_total").absolute(0);
    counter!("strata_questions_begun_total").absolute(0);
    gauge!("strata_connections").set(0);
    counter!("strata_connections_refused_total").absolute(0);
    gauge!("strata_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1);
    // So that they are there before the first group.
    drop(histogram!("strata_sync_seconds"));
    drop(histogram!("strata_group_commits"));
    drop(histogram!("strata_queue_seconds"));
}

/// Shows how long a phase of the start took.
pub fn show_phase(phase: &'static str, took: Duration) {
    gauge!("strata_start_seconds", "phase" => phase).set(took.as_secs_f64());
}

/// Shows how much memory the store of the log may use as a cache; it does not say what it does use.
#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
pub fn show_journal_cache(limit_bytes: u64) {
    gauge!("strata_cache_limit_bytes", "cache" => "journal").set(limit_bytes as f64);
}

/// Shows what was looked at.
#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are floats; positions and bytes below 2^53 are exact"
)]
pub fn show(look: &Look) {
    let set = |name, value: u64| gauge!(name).set(value as f64);
    set("strata_head_position", look.head_position);
    set("strata_view_position", look.view_position);
    let view_lag = look.head_position.saturating_sub(look.view_position);
    set("strata_view_lag_commits", view_lag);
    set("strata_search_lag_commits", look.search_lag_commits);
    set("strata_watches", look.watches);
    set("strata_watch_lag_commits", look.watch_lag_commits);
    set("strata_queue_requests", look.queue_requests);
    set("strata_queue_limit_requests", look.queue_limit_requests);
    set("strata_plans", look.plans);
    for (cache, (bytes, limit)) in [
        ("plans", look.plans_bytes),
        ("histories", look.histories_bytes),
        ("shown", look.shown_bytes),
        ("recent_commits", look.recent_commits_bytes),
    ] {
        gauge!("strata_cache_bytes", "cache" => cache).set(bytes as f64);
        gauge!("strata_cache_limit_bytes", "cache" => cache).set(limit as f64);
    }
    gauge!("strata_sync_stalled_seconds").set(look.sync_stalled_seconds);
    gauge!("strata_disk_free_bytes").set(look.disk_free_bytes.map_or(f64::NAN, |it| it as f64));
    set("strata_disk_reserve_bytes", look.disk_reserve_bytes);
    gauge!("strata_clock_leap_seconds").set(look.clock_leap_seconds);
}
