//! The high-water mark: which position was acknowledged last, kept beside the log so that a log
//! which lost its end is noticed. Two slots take turns, so that a torn write leaves one whole.
//!
//! The writer marks after each group and never waits for the disk; a thread of its own syncs the
//! file about a second after the first mark that is not yet synced.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{HighWater, JournalError, LogId, Syncing, io_error, underway::UnderWay};

/// Each slot has a page of its own, in bytes, so that writing one never touches the other on
/// disk; and lies within the first sector of its page, which a disk writes whole.
const PAGE_BYTES: usize = 4096;
const SLOTS: usize = 2;

/// magic 4 | log id 16 | position u64 | root 32 | crc32c u32 of all before; big-endian.
const SLOT_BYTES: usize = 64;
const MAGIC: [u8; 4] = *b"SHW1";

/// What power loss may take from the mark. A shorter time would cost the disk more syncs than the
/// log itself under a slow stream of commands.
const SYNC_AFTER: Duration = Duration::from_secs(1);

/// The bytes of the file for a log that has no commit.
pub(super) fn fresh(log_id: LogId) -> Vec<u8> {
    let mut file = vec![0; SLOTS * PAGE_BYTES];
    let slot = encode(&HighWater {
        log_id,
        position: 0,
        root: [0; 32],
    });
    file[..SLOT_BYTES].copy_from_slice(&slot);
    file
}

fn encode(mark: &HighWater) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    slot[..4].copy_from_slice(&MAGIC);
    slot[4..20].copy_from_slice(mark.log_id.as_bytes());
    slot[20..28].copy_from_slice(&mark.position.to_be_bytes());
    slot[28..60].copy_from_slice(&mark.root);
    let crc = crc32c::crc32c(&slot[..60]);
    slot[60..].copy_from_slice(&crc.to_be_bytes());
    slot
}

fn decode(slot: &[u8; SLOT_BYTES]) -> Option<HighWater> {
    let (magic, rest) = slot.split_first_chunk::<4>()?;
    let (log_id, rest) = rest.split_first_chunk::<16>()?;
    let (position, rest) = rest.split_first_chunk::<8>()?;
    let (root, rest) = rest.split_first_chunk::<32>()?;
    let crc = u32::from_be_bytes(*rest.first_chunk()?);
    (*magic == MAGIC && crc == crc32c::crc32c(&slot[..60])).then(|| HighWater {
        log_id: LogId::from_bytes(*log_id),
        position: u64::from_be_bytes(*position),
        root: *root,
    })
}

/// The open file, and the thread that syncs it.
pub(super) struct Marks {
    shared: Arc<Shared>,
    syncer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    path: PathBuf,
    file: File,
    log_id: LogId,
    state: Mutex<State>,
    changed: Condvar,
    syncs: UnderWay,
    /// A write can wait behind the sync of the page it falls on.
    writes: UnderWay,
}

struct State {
    /// Written next. It changes after a sync, so that the mark which was synced stays until the
    /// next one is.
    slot: usize,
    unsynced: bool,
    stopping: bool,
    /// A failed sync cannot be repeated: the system may have dropped what it could not write.
    failed: Option<io::Error>,
}

impl Marks {
    /// Opens the file and reads the newest mark. It refuses a file that is missing, that no slot
    /// of can be read, or that belongs to another log.
    pub(super) fn open(path: &Path, log_id: LogId) -> Result<(Self, HighWater), JournalError> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(damaged(
                    path,
                    "is missing, so lost commits would go unnoticed",
                ));
            }
            Err(e) => return Err(io_error(format!("opening {}", path.display()))(e)),
        };
        let Newest {
            slot,
            mark,
            other_is_whole,
        } = newest(&file, path)?;
        if mark.log_id != log_id {
            return Err(JournalError::OtherLog {
                found: mark.log_id,
                expected: log_id,
            });
        }
        if !other_is_whole {
            rewrite(&file, path, (slot + 1) % SLOTS, &mark)?;
        }
        let state = State {
            slot: (slot + 1) % SLOTS,
            unsynced: false,
            stopping: false,
            failed: None,
        };
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            file,
            log_id,
            state: Mutex::new(state),
            changed: Condvar::new(),
            syncs: UnderWay::new(path.to_owned()),
            writes: UnderWay::new(path.to_owned()),
        });
        let syncer = std::thread::Builder::new()
            .name("high-water".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.sync_until_stopped()
            })
            .map_err(io_error("starting the high-water thread"))?;
        Ok((
            Self {
                shared,
                syncer: Mutex::new(Some(syncer)),
            },
            mark,
        ))
    }

    /// Writes a mark, one `pwrite`; the disk sees it within about a second.
    pub(super) fn write(&self, position: u64, root: [u8; 32]) -> Result<(), JournalError> {
        let mark = HighWater {
            log_id: self.shared.log_id,
            position,
            root,
        };
        let mut state = self.shared.state();
        self.shared.refuse_after_failure(&state)?;
        let offset = (state.slot * PAGE_BYTES) as u64;
        let _under_way = self.shared.writes.begin();
        self.shared
            .file
            .write_all_at(&encode(&mark), offset)
            .map_err(io_error(format!("writing {}", self.shared.path.display())))?;
        if !state.unsynced {
            state.unsynced = true;
            self.shared.changed.notify_all();
        }
        Ok(())
    }

    /// The sync or the write under way that began first.
    pub(super) fn syncing(&self) -> Option<Syncing> {
        let waited = [self.shared.syncs.syncing(), self.shared.writes.syncing()];
        waited.into_iter().flatten().min_by_key(|it| it.since)
    }

    /// Syncs what is not yet synced and ends the thread. Stopping again does nothing.
    pub(super) fn stop(&self) -> Result<(), JournalError> {
        self.shared.state().stopping = true;
        self.shared.changed.notify_all();
        let syncer = self
            .syncer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if syncer.is_some_and(|syncer| syncer.join().is_err()) {
            self.shared.state().failed = Some(io::ErrorKind::Other.into());
        }
        self.shared.refuse_after_failure(&self.shared.state())
    }
}

impl Drop for Marks {
    fn drop(&mut self) {
        if let Err(e) = self.stop() {
            tracing::error!(error = %e, "the last high-water mark may be lost");
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse_after_failure(&self, state: &State) -> Result<(), JournalError> {
        match &state.failed {
            None => Ok(()),
            Some(error) => Err(io_error(format!("syncing {}", self.path.display()))(same(
                error,
            ))),
        }
    }

    fn sync_until_stopped(&self) {
        while self.wait_for_a_mark() {
            let under_way = self.syncs.begin();
            let synced = self.file.sync_data();
            drop(under_way);
            let mut state = self.state();
            match synced {
                Ok(()) => state.slot = (state.slot + 1) % SLOTS,
                Err(e) => {
                    tracing::error!(error = %e, "the high-water mark cannot be synced");
                    state.failed = Some(e);
                    return;
                }
            }
        }
    }

    /// Waits until there is something to sync and its time has come; says no when there is nothing
    /// and never will be.
    fn wait_for_a_mark(&self) -> bool {
        let idle = |state: &mut State| !state.unsynced && !state.stopping;
        let running = |state: &mut State| !state.stopping;
        let state = self
            .changed
            .wait_while(self.state(), idle)
            .unwrap_or_else(PoisonError::into_inner);
        let (mut state, _timeout) = self
            .changed
            .wait_timeout_while(state, SYNC_AFTER, running)
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.unsynced)
    }
}

/// An error to be told again.
fn same(error: &io::Error) -> io::Error {
    let code = error.raw_os_error();
    code.map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// The newest mark in a file.
struct Newest {
    slot: usize,
    mark: HighWater,
    /// Whether the other slot holds what was written, or was never written.
    other_is_whole: bool,
}

/// The newest mark in a file that is only read, and what is wrong with the other one.
pub(super) fn read(path: &Path) -> Result<(HighWater, Option<String>), JournalError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(damaged(path, "is missing"));
        }
        Err(e) => return Err(io_error(format!("opening {}", path.display()))(e)),
    };
    let Newest {
        mark,
        other_is_whole,
        ..
    } = newest(&file, path)?;
    let wrong = (!other_is_whole).then(|| {
        format!(
            "{}: one of its two marks cannot be read; the other is of position {}, and may be older",
            path.display(),
            mark.position
        )
    });
    Ok((mark, wrong))
}

/// Writes the mark that can be read over the one that cannot, so that damage to the first does not
/// leave none.
fn rewrite(file: &File, path: &Path, slot: usize, mark: &HighWater) -> Result<(), JournalError> {
    tracing::warn!(
        file = %path.display(),
        position = mark.position,
        "one of the two high-water marks cannot be read: the other is taken, which may be older, and \
         both are written again"
    );
    file.write_all_at(&encode(mark), (slot * PAGE_BYTES) as u64)
        .and_then(|()| file.sync_data())
        .map_err(io_error(format!("writing {}", path.display())))
}

fn newest(file: &File, path: &Path) -> Result<Newest, JournalError> {
    let mut newest: Option<(usize, HighWater)> = None;
    let mut unreadable = 0;
    let mut unwritten = 0;
    for slot in 0..SLOTS {
        let mut bytes = [0; SLOT_BYTES];
        match file.read_exact_at(&mut bytes, (slot * PAGE_BYTES) as u64) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                unreadable += 1;
                continue;
            }
            Err(e) => return Err(io_error(format!("reading {}", path.display()))(e)),
        }
        match decode(&bytes) {
            Some(mark) => {
                if newest.is_none_or(|(_, other)| mark.position >= other.position) {
                    newest = Some((slot, mark));
                }
            }
            None if bytes == [0; SLOT_BYTES] => unwritten += 1,
            None => unreadable += 1,
        }
    }
    let (slot, mark) = newest.ok_or_else(|| damaged(path, "holds no mark that can be read"))?;
    Ok(Newest {
        slot,
        mark,
        // The first mark of a log goes to the slot that was not written before.
        other_is_whole: unreadable == 0 && (unwritten == 0 || mark.position == 0),
    })
}

fn damaged(path: &Path, what: &str) -> JournalError {
    JournalError::Damaged {
        what: format!("{} {what}", path.display()),
        position: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const LOG: LogId = LogId::from_bytes([0xab; 16]);

    fn new_file() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("high-water");
        fs::write(&path, fresh(LOG)).expect("written");
        (dir, path)
    }

    #[track_caller]
    fn open(path: &Path) -> (Marks, HighWater) {
        Marks::open(path, LOG).expect("the mark opens")
    }

    #[test]
    fn the_bytes_of_a_mark_never_change() {
        let slot = encode(&HighWater {
            log_id: LOG,
            position: 258,
            root: [0xcd; 32],
        });
        let expected = "53485731".to_owned()
            + &"ab".repeat(16)
            + "0000000000000102"
            + &"cd".repeat(32)
            + "97e4e035";
        assert_eq!(hex::encode(slot), expected);
        let mut file = vec![0; 8192];
        file[..64].copy_from_slice(&encode(&HighWater {
            log_id: LOG,
            position: 0,
            root: [0; 32],
        }));
        assert_eq!(fresh(LOG), file);
    }

    #[test]
    fn the_last_mark_is_found_again() {
        let (_dir, path) = new_file();
        let (marks, found) = open(&path);
        assert_eq!(found.position, 0);
        for position in 1..=5 {
            marks.write(position, [9; 32]).expect("written");
        }
        // Not stopped: a killed process leaves what it wrote.
        let found = newest(&marks.shared.file, &path).expect("readable").mark;
        assert_eq!(
            found,
            HighWater {
                log_id: LOG,
                position: 5,
                root: [9; 32]
            }
        );
        marks.stop().expect("stopped");
        assert_eq!(open(&path).1.position, 5);
    }

    #[test]
    fn a_torn_mark_leaves_the_one_before() {
        let (_dir, path) = new_file();
        for position in [1, 2] {
            let (marks, _) = open(&path);
            marks.write(position, [9; 32]).expect("written");
        }
        // Position 1 went to the second slot, position 2 to the first.
        let mut bytes = fs::read(&path).expect("read");
        bytes[30] ^= 1;
        fs::write(&path, bytes).expect("written");
        assert_eq!(open(&path).1.position, 1);
    }

    #[test]
    fn a_mark_that_cannot_be_read_is_told_and_written_again() {
        let (_dir, path) = new_file();
        assert_eq!(read(&path).expect("readable").1, None);
        for position in [1, 2] {
            let (marks, _) = open(&path);
            marks.write(position, [9; 32]).expect("written");
        }
        assert_eq!(read(&path).expect("readable").1, None);
        let whole = fs::read(&path).expect("read");
        for (at, kept) in [(30, 1), (PAGE_BYTES + 30, 2)] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).expect("written");
            let (mark, wrong) = read(&path).expect("readable");
            assert_eq!(mark.position, kept);
            assert!(wrong.is_some_and(|wrong| wrong.contains("cannot be read")));
            // When it is opened, then both can be read.
            drop(open(&path));
            let (mark, wrong) = read(&path).expect("readable");
            assert_eq!((mark.position, wrong), (kept, None));
        }
        let mut bytes = whole;
        bytes[..SLOT_BYTES].fill(0);
        fs::write(&path, &bytes).expect("written");
        assert!(read(&path).expect("readable").1.is_some());
    }

    #[test]
    fn a_mark_that_is_missing_or_unreadable_is_refused() {
        let (_dir, path) = new_file();
        for bytes in [vec![], vec![0; 8192], vec![1; 100]] {
            fs::write(&path, bytes).expect("written");
            assert!(matches!(
                Marks::open(&path, LOG).err(),
                Some(JournalError::Damaged { .. })
            ));
        }
        fs::remove_file(&path).expect("removed");
        assert!(matches!(
            Marks::open(&path, LOG).err(),
            Some(JournalError::Damaged { .. })
        ));
    }

    #[test]
    fn the_mark_of_another_log_is_refused() {
        let (_dir, path) = new_file();
        let refusal = Marks::open(&path, LogId::random()).err();
        assert!(matches!(
            refusal,
            Some(JournalError::OtherLog { found: LOG, .. })
        ));
    }
}
