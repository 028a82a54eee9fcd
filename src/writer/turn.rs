//! The order among requests that are handed in one after another without waiting. A request that
//! has to be made ready again would be overtaken by those behind it; so each has a number, and it is
//! decided only when all before it are.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// How far the requests of one lane are.
#[derive(Default)]
pub(super) struct Order {
    /// The number of the first request that is not settled: recorded, refused or given up.
    settled: AtomicU64,
    /// The same with what the group under way decides, which may have to be decided again. Only the
    /// writer's thread looks at it.
    decided: AtomicU64,
}

/// A request's place in its lane.
#[derive(Clone)]
pub(super) struct Turn {
    order: Arc<Order>,
    number: u64,
}

impl Turn {
    pub(super) fn new(order: Arc<Order>, number: u64) -> Self {
        Self { order, number }
    }

    /// Whether all requests before this one are settled.
    pub(super) fn is_next(&self) -> bool {
        self.number <= self.order.settled.load(Ordering::Acquire)
    }

    /// Forgets what an earlier group decided and did not settle.
    pub(super) fn begin_group(&self) {
        let settled = self.order.settled.load(Ordering::Acquire);
        self.order.decided.store(settled, Ordering::Relaxed);
    }

    /// Whether the group under way has decided all requests before this one.
    pub(super) fn has_come(&self) -> bool {
        self.number <= self.order.decided.load(Ordering::Relaxed)
    }

    /// The group under way has decided this request.
    pub(super) fn decide(&self) {
        self.order.decided.store(self.number + 1, Ordering::Relaxed);
    }

    /// What became of this request is final.
    pub(super) fn settle(&self) {
        self.order
            .settled
            .fetch_max(self.number + 1, Ordering::AcqRel);
    }
}
