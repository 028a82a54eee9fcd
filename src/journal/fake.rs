//! A journal in memory for tests, with faults on demand: it fails, loses, holds and conflicts as
//! disks and other writers do, and rebuilds what a crash would leave.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Append, COMMIT_BYTES_MAX, Entry, HighWater, Journal, JournalError, LogId};

/// What the next append that would write does instead of answering `Appended`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An error, and a crash leaves nothing of the group.
    ErrorAndLost,
    /// An error, and a crash leaves the group all the same.
    ErrorYetWritten,
    /// `Unknown`, and the group is not in the log.
    UnknownAndLost,
    /// `Unknown`, and the group is in the log.
    UnknownYetWritten,
}

/// A journal in memory.
pub(crate) struct FakeJournal {
    log_id: LogId,
    recovered_mark: Option<HighWater>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What was handed to the disk, of which `head` commits are shown.
    written: Vec<Bytes>,
    head: usize,
    /// How many commits a crash leaves; above `head` after an error that came too late.
    survives: usize,
    mark: Option<HighWater>,
    fault: Option<Fault>,
    /// A position that cannot be read.
    damaged: Option<u64>,
    holds_syncs: bool,
    failed: bool,
    closed: bool,
}

impl FakeJournal {
    /// A new, empty log.
    pub(crate) fn new() -> Self {
        Self::with(LogId::random(), None, State::default())
    }

    fn with(log_id: LogId, recovered_mark: Option<HighWater>, state: State) -> Self {
        Self {
            log_id,
            recovered_mark,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// What opens after a crash now: the commits that were synced, and the last mark.
    pub(crate) fn crash(&self) -> Self {
        let state = self.state();
        let written = state.written[..state.survives].to_vec();
        let (head, survives) = (state.survives, state.survives);
        let left = State {
            written,
            head,
            survives,
            mark: state.mark,
            ..State::default()
        };
        Self::with(self.log_id, state.mark, left)
    }

    /// The same log when it was empty, to take another way from there.
    pub(crate) fn at_its_start(&self) -> Self {
        Self::with(self.log_id, None, State::default())
    }

    /// Makes the next append that would write fail so.
    pub(crate) fn fail_next(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    /// From now on the commit at a position cannot be read, nor with others.
    pub(crate) fn damage(&self, position: u64) {
        self.state().damaged = Some(position);
    }

    /// Lets another writer append, as in a replicated log: the head moves under this one's feet.
    pub(crate) fn append_foreign(&self, group: &[Bytes]) {
        let mut state = self.state();
        state.written.extend_from_slice(group);
        state.show_all();
    }

    /// From now on appends write but do not return, until `release_syncs`.
    pub(crate) fn hold_syncs(&self) {
        self.state().holds_syncs = true;
    }

    /// Lets held appends go on, durable.
    pub(crate) fn release_syncs(&self) {
        self.state().holds_syncs = false;
        self.changed.notify_all();
    }

    /// Waits until an append has written a group whose sync is held.
    pub(crate) fn wait_for_held_sync(&self) {
        let nothing_held = |state: &mut State| state.written.len() == state.head;
        let state = self.changed.wait_while(self.state(), nothing_held);
        drop(state.unwrap_or_else(PoisonError::into_inner));
    }

    /// The last mark, as `mark` left it.
    pub(crate) fn last_mark(&self) -> Option<HighWater> {
        self.state().mark
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_state(&self) -> Result<MutexGuard<'_, State>, JournalError> {
        let state = self.state();
        if state.closed {
            Err(JournalError::Closed)
        } else {
            Ok(state)
        }
    }
}

impl State {
    fn show_all(&mut self) {
        self.head = self.written.len();
        self.survives = self.head;
    }

    fn fail(&mut self, group: &[Bytes], fault: Fault) -> Result<Append, JournalError> {
        match fault {
            Fault::UnknownAndLost => return Ok(Append::Unknown),
            Fault::UnknownYetWritten => {
                self.written.extend_from_slice(group);
                self.show_all();
                return Ok(Append::Unknown);
            }
            Fault::ErrorAndLost => {}
            Fault::ErrorYetWritten => {
                self.written.extend_from_slice(group);
                self.survives = self.written.len();
            }
        }
        self.failed = true;
        let source = std::io::Error::other("a fault of the test");
        Err(JournalError::Io {
            doing: "appending".to_owned(),
            source,
        })
    }
}

impl Journal for FakeJournal {
    fn log_id(&self) -> LogId {
        self.log_id
    }

    fn head(&self) -> u64 {
        self.state().head as u64
    }

    fn append(
        &self,
        expected_head: u64,
        _term: u64,
        group: &[Bytes],
    ) -> Result<Append, JournalError> {
        let mut state = self.open_state()?;
        if state.failed {
            return Err(JournalError::Failed);
        }
        if let Some(commit) = group.iter().find(|commit| commit.len() > COMMIT_BYTES_MAX) {
            return Err(JournalError::TooLarge {
                bytes: commit.len(),
                bytes_max: COMMIT_BYTES_MAX,
            });
        }
        let head = state.head as u64;
        if head != expected_head {
            return Ok(Append::Conflict { head });
        }
        if let Some(fault) = state.fault.take() {
            return state.fail(group, fault);
        }
        state.written.extend_from_slice(group);
        self.changed.notify_all();
        let mut state = self
            .changed
            .wait_while(state, |state| state.holds_syncs)
            .unwrap_or_else(PoisonError::into_inner);
        state.show_all();
        Ok(Append::Appended {
            head: state.head as u64,
        })
    }

    fn read(&self, from: u64, max_bytes: usize) -> Result<Vec<Entry>, JournalError> {
        let state = self.open_state()?;
        let mut bytes: Option<usize> = None;
        let entries = (1..)
            .zip(&state.written[..state.head])
            .skip_while(|(at, _)| *at < from);
        let wanted = entries.take_while(|(_, commit)| {
            let take = bytes.is_none_or(|bytes| bytes < max_bytes);
            bytes = Some(bytes.unwrap_or(0) + commit.len());
            take
        });
        let entries: Vec<_> = wanted
            .map(|(position, commit)| Entry {
                position,
                commit: commit.clone(),
            })
            .collect();
        match state.damaged {
            Some(damaged)
                if entries
                    .first()
                    .is_some_and(|entry| entry.position == damaged) =>
            {
                Err(JournalError::Damaged {
                    what: "a fault of the test".to_owned(),
                    position: Some(damaged),
                })
            }
            Some(damaged) => {
                let before = entries.into_iter();
                Ok(before
                    .take_while(|entry| entry.position != damaged)
                    .collect())
            }
            None => Ok(entries),
        }
    }

    fn get(&self, position: u64) -> Result<Option<Bytes>, JournalError> {
        let state = self.open_state()?;
        let index = position
            .checked_sub(1)
            .and_then(|index| usize::try_from(index).ok());
        Ok(index.and_then(|index| state.written[..state.head].get(index).cloned()))
    }

    fn mark(&self, position: u64, root: [u8; 32]) -> Result<(), JournalError> {
        let mut state = self.open_state()?;
        state.mark = Some(HighWater {
            log_id: self.log_id,
            position,
            root,
        });
        Ok(())
    }

    fn recovered_mark(&self) -> Option<HighWater> {
        self.recovered_mark
    }

    fn close(&self) -> Result<(), JournalError> {
        self.state().closed = true;
        Ok(())
    }
}

mod tests {
    use super::*;

    fn group(texts: &[&'static str]) -> Vec<Bytes> {
        texts
            .iter()
            .map(|text| Bytes::from_static(text.as_bytes()))
            .collect()
    }

    #[track_caller]
    fn append(journal: &FakeJournal, texts: &[&'static str]) -> Result<Append, JournalError> {
        journal.append(journal.head(), 0, &group(texts))
    }

    fn texts(journal: &FakeJournal) -> Vec<Bytes> {
        let entries = journal.read(1, usize::MAX).expect("readable");
        entries.into_iter().map(|entry| entry.commit).collect()
    }

    #[test]
    fn a_held_group_is_not_shown_and_does_not_survive() {
        let journal = FakeJournal::new();
        append(&journal, &["a"]).expect("appended");
        journal.hold_syncs();
        std::thread::scope(|scope| {
            let held = scope.spawn(|| append(&journal, &["b"]));
            journal.wait_for_held_sync();
            assert_eq!(texts(&journal), group(&["a"]));
            assert_eq!(journal.get(2).expect("readable"), None);
            assert_eq!(texts(&journal.crash()), group(&["a"]));
            journal.release_syncs();
            let held = held.join().expect("no panic").expect("appended");
            assert_eq!(held, Append::Appended { head: 2 });
        });
        assert_eq!(texts(&journal), group(&["a", "b"]));
    }

    #[test]
    fn a_failed_append_fails_all_that_follow_and_only_a_crash_tells_what_it_left() {
        for (fault, left) in [
            (Fault::ErrorAndLost, group(&["a"])),
            (Fault::ErrorYetWritten, group(&["a", "b"])),
        ] {
            let journal = FakeJournal::new();
            append(&journal, &["a"]).expect("appended");
            journal.mark(journal.head(), [1; 32]).expect("marked");
            journal.fail_next(fault);
            assert!(append(&journal, &["b"]).is_err());
            assert!(matches!(
                append(&journal, &["c"]),
                Err(JournalError::Failed)
            ));
            assert_eq!(texts(&journal), group(&["a"]));
            let after = journal.crash();
            assert_eq!(texts(&after), left);
            assert_eq!(after.recovered_mark(), journal.last_mark());
        }
    }

    #[test]
    fn an_unknown_append_is_settled_by_reading() {
        let journal = FakeJournal::new();
        journal.fail_next(Fault::UnknownAndLost);
        assert_eq!(append(&journal, &["a"]).expect("no error"), Append::Unknown);
        assert_eq!(texts(&journal), group(&[]));
        journal.fail_next(Fault::UnknownYetWritten);
        assert_eq!(append(&journal, &["a"]).expect("no error"), Append::Unknown);
        assert_eq!(texts(&journal), group(&["a"]));
    }

    #[test]
    fn commits_of_another_writer_are_a_conflict() {
        let journal = FakeJournal::new();
        journal.append_foreign(&group(&["x", "y"]));
        let conflict = journal.append(0, 0, &group(&["a"])).expect("no error");
        assert_eq!(conflict, Append::Conflict { head: 2 });
        journal.close().expect("closed");
        assert!(matches!(journal.get(1), Err(JournalError::Closed)));
    }
}
