//! Figures of several rounds as one: the median, with the smallest and the largest.

/// A count as a figure. Counts here stay far below 2^52.
#[expect(
    clippy::cast_precision_loss,
    reason = "a count of a bench is exact in an f64"
)]
pub(crate) fn count(number: u64) -> f64 {
    number as f64
}

/// The middle of some figures, and how far apart they lie.
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of the figures of some rounds.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        Self {
            least: at(0),
            median: at(values.len() / 2),
            most: at(values.len().saturating_sub(1)),
        }
    }

    /// As whole numbers.
    pub(crate) fn whole(&self) -> String {
        format!("{:.0} ({:.0}-{:.0})", self.median, self.least, self.most)
    }
}
