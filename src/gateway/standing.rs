//! How connections stand: what each has under way and since when it has had nothing, so that the idle
//! ones end, and make room when there is none, of all or of their address.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body};

use crate::gateway::{
    peer::Network,
    untaken::{AllUntaken, Untaken},
};

/// How all connections stand.
#[derive(Debug, Clone, Default)]
pub(super) struct Standings(Arc<Mutex<All>>);

#[derive(Debug, Default)]
struct All {
    next: u64,
    untaken: AllUntaken,
    connections: HashMap<u64, Weak<Standing>>,
}

/// How a connection stands; out of the list when it is dropped.
#[derive(Debug)]
pub(super) struct Standing {
    number: u64,
    network: Network,
    calls: Mutex<Calls>,
    /// What its client has yet to take.
    untaken: Arc<Untaken>,
    leave: CancellationToken,
    gone: CancellationToken,
    all: Standings,
}

/// What a connection has under way.
#[derive(Debug, Clone, Copy)]
struct Calls {
    open: usize,
    /// Whether there ever was one: who has never called is the first to go.
    were_any: bool,
    /// When the last one began or ended.
    changed_at: Instant,
}

/// A connection that was told to leave.
#[derive(Debug)]
pub(super) struct Leaving(CancellationToken);

/// A call under way, until it is dropped.
#[derive(Debug)]
pub(super) struct OpenCall {
    standing: Arc<Standing>,
    /// Whether its connection is in use for it.
    uses: bool,
}

/// The body of an answer, whose call is under way until it is sent or given up.
#[derive(Debug)]
pub(super) struct Held {
    body: Body,
    call: OpenCall,
}

impl Standings {
    /// A connection more, from a network.
    pub(super) fn enter(&self, network: Network) -> Arc<Standing> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.next += 1;
        let number = all.next;
        let calls = Calls {
            open: 0,
            were_any: false,
            changed_at: Instant::now(),
        };
        let standing = Arc::new(Standing {
            number,
            network,
            calls: Mutex::new(calls),
            untaken: all.untaken.of_connection(),
            leave: CancellationToken::new(),
            gone: CancellationToken::new(),
            all: self.clone(),
        });
        all.connections.insert(number, Arc::downgrade(&standing));
        standing
    }

    /// Tells the connection to leave that has been idle longest, if one is.
    pub(super) fn close_most_idle(&self) {
        self.close_most_idle_where(|_| true);
    }

    /// The same of those from a network.
    pub(super) fn close_most_idle_of(&self, network: Network) -> Option<Leaving> {
        self.close_most_idle_where(|it| it.network == network)
    }

    fn close_most_idle_where(&self, may_go: impl Fn(&Standing) -> bool) -> Option<Leaving> {
        let standing: Vec<_> = {
            let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.connections.values().filter_map(Weak::upgrade).collect()
        };
        let idle = standing
            .iter()
            .filter(|it| may_go(it) && !it.leave.is_cancelled());
        let idle = idle.filter(|it| it.calls().open == 0);
        let most = idle.min_by_key(|it| {
            let calls = it.calls();
            (calls.were_any, calls.changed_at)
        })?;
        most.leave.cancel();
        Some(Leaving(most.gone.clone()))
    }
}

impl Leaving {
    /// Completes when it has gone.
    pub(super) async fn gone(self) {
        self.0.cancelled().await;
    }
}

impl Standing {
    /// Completes when the connection is to make room.
    pub(super) async fn told_to_leave(&self) {
        self.leave.cancelled().await;
    }

    /// Completes when it has had no call under way for so long.
    pub(super) async fn idle_for(&self, time: Duration) {
        loop {
            let Calls {
                open, changed_at, ..
            } = self.calls();
            // Looked at again when it may have been long enough, and not at each call that begins or ends.
            let next = if open > 0 {
                Instant::now() + time
            } else {
                changed_at + time
            };
            if open == 0 && next <= Instant::now() {
                return;
            }
            sleep_until(next).await;
        }
    }

    /// How many calls it has under way.
    pub(super) fn open_calls(&self) -> usize {
        self.calls().open
    }

    /// A call of somebody who may keep the connection for it; whoever asks after health may not, for
    /// nobody knows who that is.
    pub(super) fn begin_call(self: &Arc<Self>, uses: bool) -> OpenCall {
        if uses {
            self.change(|calls| {
                calls.open += 1;
                calls.were_any = true;
            });
        }
        OpenCall {
            standing: self.clone(),
            uses,
        }
    }

    fn calls(&self) -> Calls {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Calls)) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut calls);
        calls.changed_at = Instant::now();
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.connections.remove(&self.number);
        self.gone.cancel();
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if self.uses {
            self.standing.change(|calls| calls.open -= 1);
        }
    }
}

impl Held {
    pub(super) fn new(body: Body, call: OpenCall) -> Self {
        Self { body, call }
    }
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let untaken = self.call.standing.untaken.clone();
        ready!(untaken.poll_room(context));
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| Ok(frame?.map_data(|bytes| untaken.count(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn network(address: &str) -> Network {
        Network::of(address.parse().expect("an address"))
    }

    #[test]
    fn of_an_address_who_has_never_called_goes_first_and_who_has_a_call_under_way_stays() {
        let (here, there) = (network("203.0.113.7"), network("203.0.113.8"));
        let standings = Standings::default();
        let (other, calling, idle) = (
            standings.enter(there),
            standings.enter(here),
            standings.enter(here),
        );
        let silent = standings.enter(here);
        drop(idle.begin_call(true));
        let _call = calling.begin_call(true);

        let leaving = standings.close_most_idle_of(here).expect("one is idle");
        assert!(silent.leave.is_cancelled() && !idle.leave.is_cancelled());
        assert!(standings.close_most_idle_of(here).is_some());
        assert!(idle.leave.is_cancelled());
        assert!(standings.close_most_idle_of(here).is_none());
        assert!(!calling.leave.is_cancelled() && !other.leave.is_cancelled());

        let mut gone = Box::pin(leaving.gone());
        assert!(gone.as_mut().now_or_never().is_none());
        drop(silent);
        assert!(gone.now_or_never().is_some());
    }
}
