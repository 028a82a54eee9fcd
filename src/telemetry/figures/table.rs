//! The table of figures: all that the daemon gives out, with what each means. docs/metrics.md shows
//! the same table to people, held to it by a test.

use metrics::Unit;

/// A figure that the daemon gives out.
#[derive(Debug)]
pub struct Figure {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it is measured in, if in anything.
    pub unit: Option<Unit>,
    /// What it means.
    pub meaning: &'static str,
}

/// What a figure is.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How often it was how large, with the bounds of its buckets.
    Histogram(&'static [f64]),
}

/// A sync: from a fast disk to one that is held up.
const SYNC_SECONDS: [f64; 12] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0,
];
/// A call: from a plan in memory to a review of a long one.
const CALL_SECONDS: [f64; 13] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];
/// A wait in the queue.
const QUEUE_SECONDS: [f64; 9] = [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 1.0, 10.0];
/// A group: from one commit to the most.
const GROUP_COMMITS: [f64; 11] = [
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0,
];

/// All figures, in the order in which they are told of.
pub static FIGURES: [Figure; 37] = [
    counter(
        "strata_calls_total",
        &["rpc", "code"],
        "Calls that have ended, by what was called and how they ended; what there is not counts as \
         Other",
    ),
    histogram(
        "strata_call_seconds",
        &["rpc"],
        Some(Unit::Seconds),
        &CALL_SECONDS,
        "How long calls took, a stream to its end",
    ),
    gauge(
        "strata_calls_under_way",
        &["rpc"],
        None,
        "Calls that have not ended yet, open streams among them",
    ),
    counter(
        "strata_calls_refused_total",
        &["reason"],
        "Calls that were refused for the limits of their callers or of the daemon, by reason",
    ),
    counter(
        "strata_calls_abandoned_total",
        &[],
        "Calls whose callers had gone before the answer was sent",
    ),
    counter(
        "strata_questions_begun_total",
        &[],
        "Questions that take long and had their turn",
    ),
    gauge("strata_connections", &[], None, "Connections that are open"),
    counter(
        "strata_connections_refused_total",
        &[],
        "Connections that were refused because their address had as many as it may, all with calls under way",
    ),
    gauge(
        "strata_tls_certificate_expires_timestamp_seconds",
        &[],
        Some(Unit::Seconds),
        "Until when the certificate is good, in seconds since 1970",
    ),
    gauge("strata_head_position", &[], None, "The last durable commit"),
    histogram(
        "strata_sync_seconds",
        &[],
        Some(Unit::Seconds),
        &SYNC_SECONDS,
        "What it took to write and sync a group of commits",
    ),
    histogram(
        "strata_group_commits",
        &[],
        None,
        &GROUP_COMMITS,
        "How many commits were made durable together",
    ),
    gauge(
        "strata_sync_stalled_seconds",
        &[],
        Some(Unit::Seconds),
        "For how long a sync has been held up; 0 if none is",
    ),
    gauge(
        "strata_queue_requests",
        &[],
        None,
        "Requests that wait to be decided",
    ),
    gauge(
        "strata_queue_limit_requests",
        &[],
        None,
        "How many requests may wait",
    ),
    histogram(
        "strata_queue_seconds",
        &[],
        Some(Unit::Seconds),
        &QUEUE_SECONDS,
        "How long requests waited in the queue",
    ),
    counter(
        "strata_writes_refused_total",
        &["reason"],
        "Requests that were refused because of disk or clock, by reason",
    ),
    gauge(
        "strata_disk_free_bytes",
        &[],
        Some(Unit::Bytes),
        "What the daemon may still use on the disk of its data directory",
    ),
    gauge(
        "strata_disk_reserve_bytes",
        &[],
        Some(Unit::Bytes),
        "Below so many free bytes writes are refused",
    ),
    gauge(
        "strata_clock_leap_seconds",
        &[],
        Some(Unit::Seconds),
        "How far the clock leapt, forward if positive; 0 if it did not",
    ),
    gauge("strata_plans", &[], None, "Plans, archived ones included"),
    gauge(
        "strata_view_position",
        &[],
        None,
        "The commit up to which the view is on disk",
    ),
    gauge(
        "strata_view_lag_commits",
        &[],
        None,
        "Commits that are not in the view on disk yet, which a start after a crash reads again",
    ),
    gauge(
        "strata_search_lag_commits",
        &[],
        None,
        "Commits that searches do not find yet",
    ),
    gauge("strata_watches", &[], None, "Watches that are open"),
    gauge(
        "strata_watch_lag_commits",
        &[],
        None,
        "Commits that the slowest watcher has still to look at",
    ),
    gauge(
        "strata_cache_bytes",
        &["cache"],
        Some(Unit::Bytes),
        "About how much memory a cache takes: of plans, of histories, of plans and reviews as they are shown, of recent commits",
    ),
    gauge(
        "strata_cache_limit_bytes",
        &["cache"],
        Some(Unit::Bytes),
        "How much memory a cache may take; for the log's own, of which no more is known, that alone",
    ),
    gauge(
        "strata_start_seconds",
        &["phase"],
        Some(Unit::Seconds),
        "How long a phase of the start took: log, view, all",
    ),
    gauge(
        "strata_build_info",
        &["version"],
        None,
        "Always 1; the version of the daemon",
    ),
    gauge(
        "process_cpu_seconds_total",
        &[],
        Some(Unit::Seconds),
        "Time of processors that the process has used",
    ),
    gauge(
        "process_resident_memory_bytes",
        &[],
        Some(Unit::Bytes),
        "Memory of the machine that the process takes",
    ),
    gauge(
        "process_virtual_memory_bytes",
        &[],
        Some(Unit::Bytes),
        "Addresses that the process has reserved",
    ),
    gauge(
        "process_open_fds",
        &[],
        None,
        "Files and connections that the process has open",
    ),
    gauge(
        "process_max_fds",
        &[],
        None,
        "How many files and connections it may have open",
    ),
    gauge("process_threads", &[], None, "Threads of the process"),
    gauge(
        "process_start_time_seconds",
        &[],
        Some(Unit::Seconds),
        "When the process was started, in seconds since 1970",
    ),
];

/// The bounds of a histogram's buckets.
pub(super) fn bounds(name: &str) -> &'static [f64] {
    let figure = FIGURES.iter().find(|figure| figure.name == name);
    match figure.map(|figure| figure.kind) {
        Some(Kind::Histogram(bounds)) => bounds,
        Some(Kind::Counter | Kind::Gauge) | None => &[],
    }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Figure {
    Figure {
        name,
        kind: Kind::Counter,
        labels,
        unit: None,
        meaning,
    }
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    unit: Option<Unit>,
    meaning: &'static str,
) -> Figure {
    Figure {
        name,
        kind: Kind::Gauge,
        labels,
        unit,
        meaning,
    }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    unit: Option<Unit>,
    bounds: &'static [f64],
    meaning: &'static str,
) -> Figure {
    Figure {
        name,
        kind: Kind::Histogram(bounds),
        labels,
        unit,
        meaning,
    }
}
