//! What is made of plans once for all who ask between two of their commits: their views, encoded, and
//! their reviews. Caches of their own, bounded in bytes, with locks of their own: whoever reads a plan
//! neither waits for the writer nor holds it up.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use prost::Message as _;
use quick_cache::{Weighter, unsync::Cache};

use super::{View, plans::Folded};
use crate::{
    domain::{history::Moment, review::Review, value::Id},
    proto,
};

/// How many bytes the encoded plans in memory may take: those that front ends have open. Their reviews may
/// take as many.
const CACHE_BYTES: u64 = 16 << 20;
/// What an entry takes besides, by estimate.
const OVERHEAD_BYTES: usize = 128;

/// What was made of a plan at a revision.
#[derive(Clone)]
struct Made<T> {
    revision: u64,
    value: T,
    bytes: usize,
}

#[derive(Clone)]
struct ByBytes;

impl<T> Weighter<Id, Made<T>> for ByBytes {
    fn weight(&self, plan_id: &Id, made: &Made<T>) -> u64 {
        (made.bytes + plan_id.len() + OVERHEAD_BYTES) as u64
    }
}

/// What was made of plans last.
struct Latest<T>(Mutex<Cache<Id, Made<T>, ByBytes>>);

impl<T> Default for Latest<T> {
    fn default() -> Self {
        // The number of items only sizes the cache's tables.
        Self(Mutex::new(Cache::with_weighter(256, CACHE_BYTES, ByBytes)))
    }
}

impl<T: Clone> Latest<T> {
    fn bytes(&self) -> u64 {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .weight()
    }

    /// What was made of a plan at a revision; made now if it is not in memory, with how many bytes it takes.
    fn get_or_make(&self, plan_id: &Id, revision: u64, make: impl FnOnce() -> (T, usize)) -> T {
        if let Some(value) = self.get(plan_id, revision) {
            return value;
        }
        let (value, bytes) = make();
        let latest = Made {
            revision,
            value: value.clone(),
            bytes,
        };
        self.keep(plan_id, latest);
        value
    }

    fn get(&self, plan_id: &Id, revision: u64) -> Option<T> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get(plan_id).filter(|it| it.revision == revision)?;
        Some(found.value.clone())
    }

    fn keep(&self, plan_id: &Id, made: Made<T>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Who asked before the last commit may come here after who asked behind it.
        if kept
            .get(plan_id)
            .is_none_or(|it| it.revision < made.revision)
        {
            kept.insert(plan_id.clone(), made);
        }
    }
}

/// The views and reviews in memory.
#[derive(Default)]
pub(super) struct Shown {
    plans: Latest<Bytes>,
    reviews: Latest<Arc<Review>>,
}

impl Shown {
    /// How much memory it takes, and how much it may.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.plans.bytes() + self.reviews.bytes(), 2 * CACHE_BYTES)
    }
}

impl View {
    /// The whole plan as an encoded [`proto::Plan`].
    #[must_use]
    pub fn shown(&self, folded: &Folded) -> Bytes {
        let Folded { plan, .. } = folded;
        let plans = &self.shown.plans;
        plans.get_or_make(&plan.plan_id, plan.revision, || {
            let encoded = Bytes::from(proto::Plan::from(&**plan).encode_to_vec());
            let bytes = encoded.len();
            (encoded, bytes)
        })
    }

    /// The review of a plan after its last commit: of a moment that holds all its events up to then.
    #[must_use]
    pub fn reviewed(&self, last: &Moment) -> Arc<Review> {
        let Moment { plan, .. } = last;
        let reviews = &self.shown.reviews;
        reviews.get_or_make(&plan.plan_id, plan.revision, || {
            let review = Arc::new(Review::of(last));
            let bytes = review.weight_bytes();
            (review, bytes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_moved_on_takes_the_place_of_what_was_shown_and_never_the_other_way_round() {
        let shown = Latest::default();
        let plan_id = Id::from("growth");
        let at = |revision: u64| Made {
            revision,
            value: revision,
            bytes: 1,
        };
        shown.keep(&plan_id, at(2));
        shown.keep(&plan_id, at(1));
        assert_eq!(shown.get(&plan_id, 1), None);
        assert_eq!(shown.get(&plan_id, 2), Some(2));
        shown.keep(&plan_id, at(3));
        assert_eq!(shown.get(&plan_id, 2), None);
        assert_eq!(shown.get(&plan_id, 3), Some(3));
    }

    #[test]
    fn what_is_kept_stays_within_its_bound() {
        let shown = Shown::default();
        for number in 0..100_u64 {
            let made = Made {
                revision: 1,
                value: Bytes::new(),
                bytes: 1 << 20,
            };
            shown
                .plans
                .keep(&Id::from(format!("plan-{number}").as_str()), made);
        }
        let (bytes, limit) = shown.bytes();
        assert!(0 < bytes && bytes <= limit / 2, "{bytes}");
    }
}
