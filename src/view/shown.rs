//! Plans as they are shown, encoded once for all who ask between two of their commits. A cache of its
//! own, bounded in bytes, with a lock of its own: whoever reads a plan neither waits for the writer nor
//! holds it up.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use prost::Message as _;
use quick_cache::{Weighter, unsync::Cache};

use super::{View, plans::Folded};
use crate::{domain::value::Id, proto};

/// How many bytes the encoded plans in memory may take: those that front ends have open.
const CACHE_BYTES: u64 = 16 << 20;
/// What one takes besides, by estimate.
const OVERHEAD_BYTES: usize = 128;

/// A plan at a revision.
#[derive(Clone)]
struct Kept {
    revision: u64,
    plan: Bytes,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Id, Kept> for ByBytes {
    fn weight(&self, plan_id: &Id, kept: &Kept) -> u64 {
        (kept.plan.len() + plan_id.len() + OVERHEAD_BYTES) as u64
    }
}

/// The encoded plans in memory.
pub(super) struct Shown(Mutex<Cache<Id, Kept, ByBytes>>);

impl Default for Shown {
    fn default() -> Self {
        // The number of items only sizes the cache's tables.
        Self(Mutex::new(Cache::with_weighter(256, CACHE_BYTES, ByBytes)))
    }
}

impl Shown {
    /// How much memory they take, and how much they may.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.weight(), CACHE_BYTES)
    }

    fn get(&self, plan_id: &Id, revision: u64) -> Option<Bytes> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get(plan_id).filter(|it| it.revision == revision)?;
        Some(found.plan.clone())
    }

    fn keep(&self, plan_id: &Id, now: Kept) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Who asked before the last commit may come here after who asked behind it.
        if kept
            .get(plan_id)
            .is_none_or(|it| it.revision < now.revision)
        {
            kept.insert(plan_id.clone(), now);
        }
    }
}

impl View {
    /// The whole plan as an encoded [`proto::Plan`].
    #[must_use]
    pub fn shown(&self, folded: &Folded) -> Bytes {
        let (plan_id, revision) = (&folded.plan.plan_id, folded.plan.revision);
        if let Some(plan) = self.shown.get(plan_id, revision) {
            return plan;
        }
        let plan = Bytes::from(proto::Plan::from(&*folded.plan).encode_to_vec());
        let kept = Kept {
            revision,
            plan: plan.clone(),
        };
        self.shown.keep(plan_id, kept);
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_moved_on_takes_the_place_of_what_was_shown_and_never_the_other_way_round() {
        let shown = Shown::default();
        let plan_id = Id::from("growth");
        let at = |revision: u64| Kept {
            revision,
            plan: Bytes::from(revision.to_string()),
        };
        shown.keep(&plan_id, at(2));
        shown.keep(&plan_id, at(1));
        assert_eq!(shown.get(&plan_id, 1), None);
        assert_eq!(shown.get(&plan_id, 2), Some(Bytes::from("2")));
        shown.keep(&plan_id, at(3));
        assert_eq!(shown.get(&plan_id, 2), None);
        assert_eq!(shown.get(&plan_id, 3), Some(Bytes::from("3")));
    }

    #[test]
    fn what_is_kept_stays_within_its_bound() {
        let shown = Shown::default();
        for number in 0..100_u64 {
            let kept = Kept {
                revision: 1,
                plan: Bytes::from(vec![0; 1 << 20]),
            };
            shown.keep(&Id::from(format!("plan-{number}").as_str()), kept);
        }
        let (bytes, limit) = shown.bytes();
        assert!(0 < bytes && bytes <= limit, "{bytes}");
    }
}
