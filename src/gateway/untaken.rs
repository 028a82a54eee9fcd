//! What was made for clients and not taken by them yet. A client that asks and does not read would
//! otherwise have the daemon keep a batch for each of its calls; so a connection that has enough to take
//! gets no more until it does, and when all have much, each gets little.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

/// What may wait for one client: the next batch for each of a few dozen watches that do not read.
const CONNECTION_BYTES: usize = 16 << 20;

/// What may wait for all of them before each is given one batch at a time.
const ALL_BYTES: usize = 256 << 20;

/// What waits for all clients.
#[derive(Debug, Clone, Default)]
pub(super) struct AllUntaken(Arc<AtomicUsize>);

/// What waits for the client of a connection.
#[derive(Debug, Default)]
pub(super) struct Untaken {
    bytes: AtomicUsize,
    all: AllUntaken,
    /// Calls that have more to say.
    waiting: Mutex<Vec<Waker>>,
}

/// Bytes that wait; taken, or given up, when they are dropped.
struct Waiting {
    bytes: Bytes,
    untaken: Arc<Untaken>,
}

impl AllUntaken {
    /// For a connection more.
    pub(super) fn of_connection(&self) -> Arc<Untaken> {
        Arc::new(Untaken {
            all: self.clone(),
            ..Untaken::default()
        })
    }
}

impl Untaken {
    /// Ready when there is room for more.
    pub(super) fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.has_room() {
            return Poll::Ready(());
        }
        let mut waiters = self.waiters();
        // Each waits once, however often it is asked.
        if !waiters.iter().any(|it| it.will_wake(context.waker())) {
            waiters.push(context.waker().clone());
        }
        drop(waiters);
        // What was taken meanwhile woke nobody.
        if self.has_room() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn has_room(&self) -> bool {
        let bytes = self.bytes.load(Ordering::SeqCst);
        let bytes_max = if self.all.0.load(Ordering::SeqCst) < ALL_BYTES {
            CONNECTION_BYTES
        } else {
            1
        };
        bytes < bytes_max
    }

    /// Counts bytes until they are dropped.
    pub(super) fn count(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        self.bytes.fetch_add(bytes.len(), Ordering::SeqCst);
        self.all.0.fetch_add(bytes.len(), Ordering::SeqCst);
        Bytes::from_owner(Waiting {
            bytes,
            untaken: self.clone(),
        })
    }

    fn waiters(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Waiting {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.untaken
            .bytes
            .fetch_sub(self.bytes.len(), Ordering::SeqCst);
        self.untaken
            .all
            .0
            .fetch_sub(self.bytes.len(), Ordering::SeqCst);
        // All of them: who has ended cannot pass the word on.
        let waiting = std::mem::take(&mut *self.untaken.waiters());
        waiting.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_room(untaken: &Untaken) -> bool {
        let context = &mut Context::from_waker(Waker::noop());
        untaken.poll_room(context).is_ready()
    }

    #[test]
    fn a_client_that_takes_nothing_gets_no_more_until_it_does() {
        let untaken = AllUntaken::default().of_connection();
        let mut held: Vec<_> = (0..16)
            .map(|_| {
                assert!(has_room(&untaken));
                untaken.count(Bytes::from(vec![0; 1 << 20]))
            })
            .collect();
        assert!(!has_room(&untaken));
        let part = held[0].slice(..10);
        held.remove(0);
        assert!(!has_room(&untaken), "a part of it still waits");
        drop(part);
        assert!(has_room(&untaken));
    }

    #[test]
    fn when_much_waits_for_all_each_gets_one_batch_at_a_time() {
        let all = AllUntaken::default();
        let connections: Vec<_> = (0..20).map(|_| all.of_connection()).collect();
        let mut held = Vec::new();
        for connection in &connections {
            while has_room(connection) {
                held.push(connection.count(Bytes::from(vec![0; 1 << 20])));
            }
        }
        // 16 MiB each for the first, then one batch each.
        assert_eq!(held.len(), 16 * 16 + 4);
        held.clear();
        assert!(connections.iter().all(|it| has_room(it)));
        assert_eq!(all.0.load(Ordering::SeqCst), 0);
    }
}
