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

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, fs};

    use bytes::Bytes;

    use super::*;
    use crate::journal::{
        Journal as _,
        sled::{SledJournal, SledOptions},
    };

    /// How often each thread of the pool has waited, by its id.
    fn waits() -> HashMap<String, String> {
        let tasks = fs::read_dir("/proc/self/task").expect("Linux shows threads");
        let dirs = tasks.map(|task| task.expect("a thread").path());
        let of_pool = dirs.filter_map(|dir| {
            // Another test's thread may have ended.
            let name = fs::read_to_string(dir.join("comm")).ok()?;
            let status = fs::read_to_string(dir.join("status")).ok()?;
            let mut lines = status.lines();
            let count = lines.find(|it| it.starts_with("voluntary_ctxt_switches"))?;
            let id = dir.file_name()?.to_str()?.to_owned();
            name.starts_with("sled-io").then(|| (id, count.to_owned()))
        });
        of_pool.collect()
    }

    #[test]
    fn a_group_of_commits_wakes_no_more_threads_of_the_engine_than_there_are_databases() {
        let dir = tempfile::tempdir().expect("a directory");
        let journal =
            SledJournal::open(dir.path(), SledOptions::default()).expect("the journal opens");
        let before = waits();
        assert_eq!(before.len(), THREADS);
        for head in 0..50 {
            let commit = Bytes::from_static(b"a commit");
            journal.append(head, 0, &[commit]).expect("appended");
        }
        let after = waits();
        let woken = before.iter().filter(|(id, count)| after[*id] != **count);
        let woken = woken.count();
        assert!((1..=KEPT).contains(&woken), "{woken} threads were woken");
        journal.close().expect("closed");
    }
}
