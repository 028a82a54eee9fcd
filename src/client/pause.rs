//! How long to wait between two attempts: longer each time, and never as long as another client that
//! failed at the same moment.

use std::time::Duration;

use tokio::time::Instant;

/// The first pause, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The pauses between attempts until there is no more patience.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
    /// `None`: there is no end.
    deadline: Option<Instant>,
}

impl Pauses {
    pub(super) fn within(patience: Duration) -> Self {
        Self {
            next: PAUSE_MIN,
            deadline: Instant::now().checked_add(patience),
        }
    }

    /// How much time is left. `None`: no end.
    pub(super) fn left(&self) -> Option<Duration> {
        let deadline = self.deadline?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// How long to wait before the next attempt, at least as long as was asked for. `None`: no time
    /// would be left.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        // Half of it is drawn, so that clients which failed together do not come back together.
        let pause = asked.unwrap_or_default() + self.next.mul_f64(0.5 + 0.5 * drawn());
        self.next = (self.next * 2).min(PAUSE_MAX);
        match self.left() {
            Some(left) if left <= pause => None,
            Some(_) | None => Some(pause),
        }
    }
}

/// A number from 0 to 1. Where the system has no randomness all wait alike.
fn drawn() -> f64 {
    f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        let mut pauses = Pauses::within(Duration::MAX);
        let taken: Vec<_> = (0..20)
            .map(|_| pauses.next(None).expect("there is no end"))
            .collect();
        assert!(taken[0] >= PAUSE_MIN / 2 && taken[0] <= PAUSE_MIN);
        assert!(taken[19] >= PAUSE_MAX / 2 && taken[19] <= PAUSE_MAX);
        assert_ne!(taken[18], taken[19]);
    }

    #[test]
    fn what_the_daemon_asks_for_is_waited_for() {
        let asked = Duration::from_secs(7);
        let pause = Pauses::within(Duration::MAX).next(Some(asked));
        assert!(pause.expect("there is no end") > asked);
    }

    #[test]
    fn no_pause_outlasts_the_patience() {
        let mut pauses = Pauses::within(Duration::from_secs(5));
        assert!(pauses.next(Some(Duration::from_secs(6))).is_none());
        assert!(Pauses::within(Duration::ZERO).next(None).is_none());
    }
}
