//! Keeps sled's pool of threads small. The pool has seven, and each piece of work wakes all of them to be done by
//! one: for a group of commits that costs more than all else that is done for it, and whoever else wants a
//! processor waits meanwhile. Those that are not needed are put to sleep for good, each in the one place where the
//! pool runs code of ours: it wakes whoever waits for a flush.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
    thread,
};

use ::sled::Db;

use super::{JournalError, guarded};

/// How many threads sled's pool has; sled's own number.
const THREADS: usize = 7;
/// How many go on: each database has one that writes, so that the log does not wait for the view.
const KEPT: usize = 2;
/// How often a thread may be quicker than whoever begins to wait for it; it is asked again then.
const ATTEMPTS_MAX: usize = 1_000;

/// How many of them sleep. There is one pool a process.
static ASLEEP: AtomicUsize = AtomicUsize::new(0);
/// Held by who puts them to sleep.
static TUCKING: Mutex<()> = Mutex::new(());

/// Puts the threads to sleep that are not needed, unless they are already. The database must have nothing to
/// write: what a thread holds back to be freed later, it would hold for ever.
pub(super) fn keep_small(db: &Db) -> Result<(), JournalError> {
    guarded(None, || db.flush())?;
    let _tucking = TUCKING.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..ATTEMPTS_MAX {
        let asleep = ASLEEP.load(Ordering::Acquire);
        if asleep >= THREADS - KEPT {
            break;
        }
        let waker = Waker::from(Arc::new(Sleep));
        // Asked once only: the thread that sleeps holds what asking again would wait for.
        let outcome = pin!(db.flush_async()).poll(&mut Context::from_waker(&waker));
        if outcome.is_pending() {
            // It is done in a moment, by a thread that then sleeps.
            while ASLEEP.load(Ordering::Acquire) == asleep {
                thread::yield_now();
            }
        }
    }
    Ok(())
}

/// Sleeps for good where it is woken.
struct Sleep;

impl Wake for Sleep {
    fn wake(self: Arc<Self>) {
        ASLEEP.fetch_add(1, Ordering::AcqRel);
        loop {
            thread::park();
        }
    }
}
