//! Credentials that name nobody, counted by the address they come from: so many may be tried in vain.
//! Beyond that, what is tried is told to come later and waits for nothing, and whoever has good ones
//! comes through as before, also from the same address.

use std::{
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use governor::Quota;

use crate::gateway::{
    known::{Known, Rate},
    limits::Limits,
    peer::Network,
};

/// How soon a caller may try again who would have to be looked at more closely while others are.
const SOON: Duration = Duration::from_millis(100);

/// Those whose credentials named nobody, if they are counted.
pub(super) struct Strangers(Option<Counted>);

struct Counted {
    /// How often an address may try in vain.
    quota: Quota,
    burst: u32,
    known: Known<Network, Stranger>,
}

/// An address from which somebody tried in vain.
struct Stranger {
    rate: Rate,
    /// Until when nothing more may be tried in vain.
    refused_until: Mutex<Option<Instant>>,
}

/// An address that has tried in vain too often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exhausted {
    pub(super) network: Network,
    /// How often it may in a minute.
    pub(super) per_minute: u32,
    /// When it may again.
    pub(super) wait: Duration,
}

impl Strangers {
    pub(super) fn new(limits: &Limits) -> Self {
        let per_minute = NonZeroU32::new(limits.failed_credentials_per_minute);
        Self(per_minute.map(|per_minute| {
            let (quota, burst) = (
                Quota::per_minute(per_minute),
                limits.failed_credentials_burst,
            );
            Counted {
                quota,
                burst,
                known: Known::new(Stranger::new(quota, burst), |stranger| {
                    stranger.rate.is_whole()
                }),
            }
        }))
    }

    /// Whether an address has tried in vain too often of late.
    pub(super) fn exhausted(&self, network: Network) -> bool {
        let known = self.0.as_ref().and_then(|it| it.known.find(&network));
        known.is_some_and(|it| it.is_exhausted())
    }

    /// Notes that an address tried in vain, unless it may not.
    pub(super) fn tried(&self, network: Network) -> Result<(), Exhausted> {
        let Some(counted) = &self.0 else {
            return Ok(());
        };
        let new = || Stranger::new(counted.quota, counted.burst);
        match counted.known.of(&network, new).tried() {
            Some(wait) => Err(counted.exhausted(network, wait)),
            None => Ok(()),
        }
    }
}

impl Counted {
    fn exhausted(&self, network: Network, wait: Duration) -> Exhausted {
        Exhausted {
            network,
            per_minute: self.quota.burst_size().get(),
            wait: wait.max(SOON),
        }
    }
}

impl Stranger {
    fn new(quota: Quota, burst: u32) -> Self {
        Self {
            rate: Rate::new(quota, burst),
            refused_until: Mutex::default(),
        }
    }

    /// Whether nothing more may be tried in vain now.
    fn is_exhausted(&self) -> bool {
        let until = *self
            .refused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| until >= Instant::now())
    }

    /// Takes the right to one try in vain, or says how long until there is one.
    fn tried(&self) -> Option<Duration> {
        let wait = self.rate.wait()?;
        *self
            .refused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + wait);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn strangers(per_minute: u32, burst: u32) -> Strangers {
        Strangers::new(&Limits {
            failed_credentials_per_minute: per_minute,
            failed_credentials_burst: burst,
            ..Limits::default()
        })
    }

    fn network(address: &str) -> Network {
        Network::of(address.parse().expect("an address"))
    }

    #[test]
    fn an_address_may_try_in_vain_so_often_and_others_as_often() {
        let strangers = strangers(1, 3);
        let here = network("203.0.113.7");
        for _ in 0..3 {
            assert!(!strangers.exhausted(here));
            assert!(strangers.tried(here).is_ok());
        }
        let exhausted = strangers.tried(here).expect_err("too often");
        assert_eq!((exhausted.network, exhausted.per_minute), (here, 1));
        assert!(exhausted.wait > Duration::from_secs(30));
        assert!(strangers.exhausted(here));
        let there = network("203.0.113.8");
        assert!(!strangers.exhausted(there) && strangers.tried(there).is_ok());
    }

    #[test]
    fn who_has_tried_nothing_is_not_exhausted_by_those_for_whom_there_is_no_room() {
        let strangers = strangers(1, 1);
        let numbered = |number: u32| network(&Ipv4Addr::from_bits(number).to_string());
        let mut number = 0;
        // When so many have tried that those who come share one count, and it is used up.
        while strangers.tried(numbered(number)).is_ok() {
            number += 1;
        }
        assert!(number > 60_000);
        assert!(!strangers.exhausted(numbered(number + 1)));
        assert!(strangers.tried(numbered(number + 1)).is_err());
    }

    #[test]
    fn without_a_limit_nobody_is_counted() {
        let strangers = strangers(0, 3);
        let here = network("203.0.113.7");
        for _ in 0..1_000 {
            assert!(strangers.tried(here).is_ok());
        }
        assert!(!strangers.exhausted(here));
    }
}
