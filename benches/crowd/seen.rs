//! What clients see: how many answers, how soon, and how they are told.

use std::time::Duration;

/// What some clients saw of their calls for a while.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// How long each answer took.
    pub(crate) latencies: Vec<Duration>,
    /// How many calls failed.
    pub(crate) failed: u64,
    /// For how long they called.
    pub(crate) took: Duration,
}

impl Seen {
    /// What others saw at the same time.
    pub(crate) fn join(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.failed += other.failed;
        self.took = self.took.max(other.took);
    }

    /// What was seen at another time.
    pub(crate) fn add(&mut self, other: Self) {
        let took = self.took + other.took;
        self.join(other);
        self.took = took;
    }

    /// How many answers there were in a second.
    pub(crate) fn a_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
        let answers = self.latencies.len() as f64;
        answers / self.took.as_secs_f64().max(f64::EPSILON)
    }

    /// A percentile in milliseconds.
    pub(crate) fn at(&mut self, percent: usize) -> f64 {
        self.latencies.sort_unstable();
        let place = self.latencies.len().saturating_sub(1) * percent / 100;
        let found = self.latencies.get(place).copied().unwrap_or_default();
        found.as_secs_f64() * 1e3
    }

    /// The 50th and the 99th percentile, the rate and the failures.
    pub(crate) fn shown(&mut self) -> String {
        format!(
            "{:>9.2} {:>9.2} {:>10.0} {:>8}",
            self.at(50),
            self.at(99),
            self.a_second(),
            self.failed
        )
    }
}

/// The head of a table of them.
pub(crate) fn head(what: &str) -> String {
    format!(
        "{what:<40} {:>9} {:>9} {:>10} {:>8} {:>10}",
        "p50 ms", "p99 ms", "a second", "failed", "daemon MB"
    )
}

/// Bytes in megabytes.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:>10}", bytes / 1_000_000)
}
