//! Who calls just now, and how much each of them does.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};

use super::Limits;
use crate::{access::ANONYMOUS, rpc::call::Pace};

/// With so many callers known, those that are at rest are forgotten; and again when as many more are
/// known as stayed.
const KNOWN_MIN: usize = 1_024;

/// The callers.
pub(super) struct Callers {
    /// What limits each of them.
    pub(super) limits: Limits,
    /// Whoever calls a daemon that does not ask.
    anonymous: Arc<Caller>,
    known: RwLock<Known>,
}

struct Known {
    by_name: HashMap<Arc<str>, Arc<Caller>>,
    /// With how many of them those at rest are forgotten.
    forget_at: usize,
}

/// What one caller does.
pub(super) struct Caller {
    pub(super) name: Arc<str>,
    /// How many calls it has under way, watches aside.
    pub(super) under_way: Arc<AtomicUsize>,
    /// How many watches it has open.
    pub(super) watches: Arc<AtomicUsize>,
    /// What its streams take the right to a request from; nothing: they may take any number.
    pub(super) pace: Option<Pace>,
    rate: Option<Arc<DefaultDirectRateLimiter>>,
    /// How many calls it may send at once after a rest.
    burst: NonZeroU32,
}

impl Callers {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            anonymous: Arc::new(Caller::new(ANONYMOUS.into(), &limits)),
            known: RwLock::new(Known {
                by_name: HashMap::new(),
                forget_at: KNOWN_MIN,
            }),
            limits,
        }
    }

    /// Whoever calls a daemon that does not ask.
    pub(super) fn anonymous(&self) -> Arc<Caller> {
        self.anonymous.clone()
    }

    /// The caller of a name.
    pub(super) fn of(&self, name: &Arc<str>) -> Arc<Caller> {
        // Nothing panics while it is held.
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(caller) = known.by_name.get(name) {
            return caller.clone();
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.by_name.len() >= known.forget_at {
            known.by_name.retain(|_, caller| !caller.is_at_rest());
            known.forget_at = (2 * known.by_name.len()).max(KNOWN_MIN);
        }
        let caller = known.by_name.entry(name.clone());
        let new = || Arc::new(Caller::new(name.clone(), &self.limits));
        caller.or_insert_with(new).clone()
    }
}

#[cfg(test)]
impl Callers {
    pub(super) fn known_count(&self) -> usize {
        self.known.read().expect("nothing panicked").by_name.len()
    }
}

impl Caller {
    fn new(name: Arc<str>, limits: &Limits) -> Self {
        let per_second = NonZeroU32::new(limits.calls_per_second);
        let burst = NonZeroU32::new(limits.calls_burst).or(per_second);
        let burst = burst.unwrap_or(NonZeroU32::MIN);
        let rate = per_second.map(|per_second| {
            Arc::new(RateLimiter::direct(
                Quota::per_second(per_second).allow_burst(burst),
            ))
        });
        let pace = rate
            .clone()
            .map(|rate| -> Pace { Arc::new(move || wait_of(&rate)) });
        Self {
            name,
            under_way: Arc::default(),
            watches: Arc::default(),
            pace,
            rate,
            burst,
        }
    }

    /// Takes the right to one call, or says how long until there is one.
    pub(super) fn rate_wait(&self) -> Option<Duration> {
        wait_of(self.rate.as_deref()?)
    }

    /// Whether nothing would change if it were forgotten: nobody is about to call, all calls have ended,
    /// and its rate is whole again. Asked of one that is forgotten then: the answer uses the rate up.
    fn is_at_rest(self: &Arc<Self>) -> bool {
        let ended = |count: &AtomicUsize| count.load(Ordering::Acquire) == 0;
        Arc::strong_count(self) == 1
            && ended(&self.under_way)
            && ended(&self.watches)
            && self.is_rested()
    }

    fn is_rested(&self) -> bool {
        let whole =
            |rate: &Arc<DefaultDirectRateLimiter>| matches!(rate.check_n(self.burst), Ok(Ok(())));
        self.rate.as_ref().is_none_or(whole)
    }
}

/// Takes the right to one call, or says how long until there is one.
fn wait_of(rate: &DefaultDirectRateLimiter) -> Option<Duration> {
    let refused = rate.check().err()?;
    Some(refused.wait_time_from(DefaultClock::default().now()))
}
