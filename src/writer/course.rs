//! How a request went through the writer: when it was ready, taken, decided and durable. Whoever
//! handed it in reads it once it is answered, so that a slow one shows where its time went.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// The moments of a request, each in nanoseconds from the first; 0: it has not come. A request that
/// is made ready again passes them again, and the last time counts.
#[derive(Debug)]
pub struct Course {
    began: Instant,
    moments: [AtomicU64; MOMENTS],
}

/// A moment of a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    /// It is ready and wants a place in the queue.
    Ready,
    /// It has a place.
    Queued,
    /// The writer turns to it.
    Taken,
    /// It is decided.
    Decided,
    /// Its group is on its way to the disk.
    SyncBegan,
    /// Its group is durable.
    Synced,
}

/// How many moments there are.
const MOMENTS: usize = 6;

/// A stretch of a request's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// What was done: `ready`, `place`, `queue`, `decide` or `sync`.
    pub name: &'static str,
    /// When it began.
    pub began: Instant,
    /// How long it took.
    pub took: Duration,
}

impl Default for Course {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            moments: Default::default(),
        }
    }
}

impl Course {
    /// The moment is now.
    pub(super) fn mark(&self, moment: Moment) {
        self.mark_at(moment, Instant::now());
    }

    /// The moment was then.
    pub(super) fn mark_at(&self, moment: Moment, at: Instant) {
        let nanos = at.saturating_duration_since(self.began).as_nanos();
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX).max(1);
        self.moments[moment as usize].store(nanos, Ordering::Relaxed);
    }

    /// How long it waited in the queue, once the writer has turned to it.
    pub(super) fn waited(&self) -> Option<Duration> {
        let (queued, taken) = (self.after(Moment::Queued)?, self.after(Moment::Taken)?);
        taken.checked_sub(queued)
    }

    /// What it went through, in order: being made ready, waiting for a place in the queue, waiting in
    /// it, being decided, and being made durable with its group.
    #[must_use]
    pub fn phases(&self) -> Vec<Phase> {
        use Moment::{Decided, Queued, Ready, SyncBegan, Synced, Taken};
        let stretches = [
            ("ready", None, Ready),
            ("place", Some(Ready), Queued),
            ("queue", Some(Queued), Taken),
            ("decide", Some(Taken), Decided),
            ("sync", Some(SyncBegan), Synced),
        ];
        let stretch = |(name, from, to): (_, Option<Moment>, _)| {
            let from = from.map_or(Some(Duration::ZERO), |from| self.after(from))?;
            let took = self.after(to)?.checked_sub(from)?;
            Some(Phase {
                name,
                began: self.began + from,
                took,
            })
        };
        stretches.into_iter().filter_map(stretch).collect()
    }

    fn after(&self, moment: Moment) -> Option<Duration> {
        let nanos = self.moments[moment as usize].load(Ordering::Relaxed);
        (nanos > 0).then(|| Duration::from_nanos(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_shows_what_was_gone_through_and_no_more() {
        let course = Course::default();
        let at = |millis| course.began + Duration::from_millis(millis);
        course.mark_at(Moment::Ready, at(2));
        course.mark_at(Moment::Queued, at(3));
        course.mark_at(Moment::Taken, at(10));
        course.mark_at(Moment::Decided, at(11));
        let names = |course: &Course| {
            let phases = course.phases().into_iter();
            phases
                .map(|phase| (phase.name, phase.took.as_millis()))
                .collect::<Vec<_>>()
        };
        let refused = [("ready", 2), ("place", 1), ("queue", 7), ("decide", 1)];
        assert_eq!(names(&course), refused);

        course.mark_at(Moment::SyncBegan, at(20));
        course.mark_at(Moment::Synced, at(25));
        assert_eq!(names(&course)[4], ("sync", 5));
        assert_eq!(course.phases()[4].began, at(20));
    }
}
