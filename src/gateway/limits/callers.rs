//! Who calls just now, and how much each of them does.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use governor::Quota;

use super::Limits;
use crate::{
    access::ANONYMOUS,
    gateway::known::{Known, Rate},
    rpc::call::Pace,
};

/// What those are called together who are more than can be known one by one. Nobody is: it is no name
/// of a principal.
const OTHERS: &str = "";

/// The callers.
pub(super) struct Callers {
    /// What limits each of them.
    pub(super) limits: Limits,
    /// Whoever calls a daemon that does not ask.
    anonymous: Arc<Caller>,
    known: Known<Arc<str>, Caller>,
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
    rate: Option<Arc<Rate>>,
}

impl Callers {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            anonymous: Arc::new(Caller::new(ANONYMOUS.into(), &limits)),
            known: Known::new(Caller::new(OTHERS.into(), &limits), Caller::is_at_rest),
            limits,
        }
    }

    /// Whoever calls a daemon that does not ask.
    pub(super) fn anonymous(&self) -> Arc<Caller> {
        self.anonymous.clone()
    }

    /// The caller of a name.
    pub(super) fn of(&self, name: &Arc<str>) -> Arc<Caller> {
        let new = || Caller::new(name.clone(), &self.limits);
        self.known.of(name, new)
    }
}

#[cfg(test)]
impl Callers {
    pub(super) fn known_count(&self) -> usize {
        self.known.count()
    }
}

impl Caller {
    fn new(name: Arc<str>, limits: &Limits) -> Self {
        let per_second = NonZeroU32::new(limits.calls_per_second);
        let rate = per_second.map(|per_second| {
            let quota = Quota::per_second(per_second);
            Arc::new(Rate::new(quota, limits.calls_burst))
        });
        let pace = rate
            .clone()
            .map(|rate| -> Pace { Arc::new(move || rate.wait()) });
        Self {
            name,
            under_way: Arc::default(),
            watches: Arc::default(),
            pace,
            rate,
        }
    }

    /// Takes the right to one call, or says how long until there is one.
    pub(super) fn rate_wait(&self) -> Option<Duration> {
        self.rate.as_ref()?.wait()
    }

    /// Whether nothing would change if it were forgotten: all calls have ended, and its rate is whole.
    fn is_at_rest(&self) -> bool {
        let ended = |count: &AtomicUsize| count.load(Ordering::Acquire) == 0;
        ended(&self.under_way)
            && ended(&self.watches)
            && self.rate.as_ref().is_none_or(|rate| rate.is_whole())
    }
}
