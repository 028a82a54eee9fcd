//! How many connections each address has, so that one alone cannot take the places of all. Who has as
//! many as it may has another in the place of an idle one, and is turned away if none is idle.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::gateway::{peer::Network, standing::Leaving};

/// How often it is logged that connections are refused, however many are.
const TELL_INTERVAL: Duration = Duration::from_secs(10);

/// How many connections each address has.
#[derive(Debug)]
pub(super) struct Crowding {
    /// How many it may have; 0: any number.
    max: usize,
    /// Of those that have any, so there are no more of them than connections.
    counts: Counts,
    told_at: Option<Instant>,
    untold: u64,
}

type Counts = Arc<Mutex<HashMap<Network, usize>>>;

/// A connection, counted until it is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    network: Network,
    counts: Counts,
    /// The one of its address that makes room for it, where there was none.
    pub(super) displaced: Option<Leaving>,
}

impl Crowding {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            counts: Counts::default(),
            told_at: None,
            untold: 0,
        }
    }

    /// A connection more, if its address may have one or one of its own makes room.
    pub(super) fn enter(
        &mut self,
        network: Network,
        make_room: impl FnOnce() -> Option<Leaving>,
    ) -> Option<Counted> {
        let count = lock(&self.counts).get(&network).copied().unwrap_or(0);
        let has_room = self.max == 0 || count < self.max;
        let displaced = if has_room { None } else { make_room() };
        if !has_room && displaced.is_none() {
            self.refused(network);
            return None;
        }
        *lock(&self.counts).entry(network).or_default() += 1;
        Some(Counted {
            network,
            counts: self.counts.clone(),
            displaced,
        })
    }

    fn refused(&mut self, network: Network) {
        self.untold += 1;
        let is_told = |at: Instant| at.elapsed() < TELL_INTERVAL;
        if self.told_at.is_some_and(is_told) {
            return;
        }
        tracing::warn!(
            address = %network,
            max = self.max,
            refused = self.untold,
            "an address has as many connections as it may, and calls under way on all of them: more \
             are refused, see max_connections_per_address"
        );
        self.told_at = Some(Instant::now());
        self.untold = 0;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = lock(&self.counts).entry(self.network) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

fn lock(counts: &Counts) -> MutexGuard<'_, HashMap<Network, usize>> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> Network {
        Network::of(address.parse().expect("an address"))
    }

    /// Where no connection is idle.
    fn enter(crowding: &mut Crowding, network: Network) -> Option<Counted> {
        crowding.enter(network, || None)
    }

    #[test]
    fn an_address_has_as_many_connections_as_it_may_and_others_theirs() {
        let mut crowding = Crowding::new(2);
        let here = network("203.0.113.7");
        let first = enter(&mut crowding, here).expect("the first");
        let _second = enter(&mut crowding, here).expect("the second");
        assert!(enter(&mut crowding, here).is_none());
        assert!(enter(&mut crowding, network("203.0.113.8")).is_some());
        // When one of them has ended.
        drop(first);
        assert!(enter(&mut crowding, here).is_some());
    }

    #[test]
    fn who_has_a_network_of_ipv6_is_one_and_an_address_of_ipv4_is_itself_however_it_is_written() {
        let mut crowding = Crowding::new(1);
        let _held = enter(&mut crowding, network("2001:db8:1:2::3")).expect("one");
        assert!(enter(&mut crowding, network("2001:db8:1:2:ffff::1")).is_none());
        assert!(enter(&mut crowding, network("2001:db8:1:3::3")).is_some());
        let _held = enter(&mut crowding, network("203.0.113.7")).expect("one");
        assert!(enter(&mut crowding, network("::ffff:203.0.113.7")).is_none());
        assert!(enter(&mut crowding, network("::ffff:203.0.113.8")).is_some());
    }

    #[test]
    fn nothing_is_kept_of_an_address_without_connections() {
        let mut crowding = Crowding::new(0);
        let held: Vec<_> = (0..100)
            .map(|_| enter(&mut crowding, network("::1")).expect("any number"))
            .collect();
        assert_eq!(lock(&crowding.counts).len(), 1);
        drop(held);
        assert_eq!(lock(&crowding.counts).len(), 0);
    }
}
