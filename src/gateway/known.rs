//! Those who are known just now by a name or an address, with what each of them does: as many as are
//! busy, up to a bound, for those at rest are forgotten.

use std::{
    collections::HashMap,
    hash::Hash,
    num::NonZeroU32,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};

/// With so many known, those that are at rest are forgotten; and again when as many more are known as
/// stayed.
const KNOWN_MIN: usize = 1_024;
/// The most that are known one by one: more than call at a time, and some megabytes. Beyond it, those
/// who come share what one of them may do.
const KNOWN_MAX: usize = 1 << 16;
/// How often those at rest are looked for while so many are known.
const FORGET_INTERVAL: Duration = Duration::from_secs(1);

/// Those who are known.
pub(super) struct Known<K, V> {
    table: RwLock<Table<K, V>>,
    /// Whether nothing would change if one were forgotten. Asked of one that is forgotten then, whom
    /// nobody else has at hand.
    is_at_rest: fn(&V) -> bool,
    /// All together for whom there is no room.
    others: Arc<V>,
}

struct Table<K, V> {
    by_key: HashMap<K, Arc<V>>,
    /// With how many of them those at rest are forgotten.
    forget_at: usize,
    forgot_at: Instant,
}

impl<K: Eq + Hash + Clone, V> Known<K, V> {
    pub(super) fn new(others: V, is_at_rest: fn(&V) -> bool) -> Self {
        Self {
            table: RwLock::new(Table {
                by_key: HashMap::new(),
                forget_at: KNOWN_MIN,
                forgot_at: Instant::now(),
            }),
            is_at_rest,
            others: Arc::new(others),
        }
    }

    /// The one of a key, if it is known by it: what the others did together is nothing that it did.
    pub(super) fn find(&self, key: &K) -> Option<Arc<V>> {
        // Nothing panics while it is held.
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.by_key.get(key).cloned()
    }

    /// The one of a key; a new one if it is not known.
    pub(super) fn of(&self, key: &K, new: impl FnOnce() -> V) -> Arc<V> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = table.by_key.get(key) {
            return known.clone();
        }
        drop(table);
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.forget(self.is_at_rest);
        if table.by_key.len() >= KNOWN_MAX && !table.by_key.contains_key(key) {
            return self.others.clone();
        }
        let known = table.by_key.entry(key.clone());
        known.or_insert_with(|| Arc::new(new())).clone()
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.table.read().expect("nothing panicked").by_key.len()
    }
}

impl<K: Eq + Hash, V> Table<K, V> {
    fn forget(&mut self, is_at_rest: fn(&V) -> bool) {
        let count = self.by_key.len();
        let is_due = count >= KNOWN_MAX && self.forgot_at.elapsed() >= FORGET_INTERVAL;
        if count < self.forget_at && !is_due {
            return;
        }
        self.by_key
            .retain(|_, known| Arc::strong_count(known) > 1 || !is_at_rest(known));
        self.forget_at = (2 * self.by_key.len()).max(KNOWN_MIN);
        self.forgot_at = Instant::now();
    }
}

/// How often one of them may do something.
pub(super) struct Rate {
    limiter: DefaultDirectRateLimiter,
    /// How often at once after a rest.
    burst: NonZeroU32,
}

impl Rate {
    /// A rate of so many at once after a rest; 0: as many as there are in the time of the quota.
    pub(super) fn new(quota: Quota, burst: u32) -> Self {
        let burst = NonZeroU32::new(burst).unwrap_or(quota.burst_size());
        let limiter = RateLimiter::direct(quota.allow_burst(burst));
        Self { limiter, burst }
    }

    /// Takes the right to do it once, or says how long until there is one.
    pub(super) fn wait(&self) -> Option<Duration> {
        let refused = self.limiter.check().err()?;
        Some(refused.wait_time_from(DefaultClock::default().now()))
    }

    /// Whether none of it is used up. Asked of one that is forgotten then: the answer uses it up.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.limiter.check_n(self.burst), Ok(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_busy_stays_known_up_to_a_bound_and_those_beyond_it_are_one() {
        let known = Known::new(false, |is_at_rest| *is_at_rest);
        for number in 0..KNOWN_MAX {
            known.of(&number, || false);
        }
        let others = [
            known.of(&KNOWN_MAX, || true),
            known.of(&usize::MAX, || true),
        ];
        assert!(Arc::ptr_eq(&others[0], &others[1]));
        assert!(known.find(&KNOWN_MAX).is_none());
        assert_eq!(known.count(), KNOWN_MAX);
        assert!(known.find(&0).is_some());
    }

    #[test]
    fn who_is_at_rest_is_forgotten_unless_somebody_has_it_at_hand() {
        let known = Known::new(false, |is_at_rest| *is_at_rest);
        let held = known.of(&0, || true);
        for number in 1..5 * KNOWN_MIN {
            known.of(&number, || true);
        }
        assert!(known.count() < 3 * KNOWN_MIN);
        let found = known.find(&0).expect("known");
        assert!(Arc::ptr_eq(&held, &found));
    }
}
