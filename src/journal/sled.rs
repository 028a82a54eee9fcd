//! The journal on sled: a group of commits is one batch of packed values, flushed once and synced
//! once. sled is trusted with little: files are checked before it opens them and positions after,
//! every value has a checksum of ours, and we sync its file ourselves, for its own flush on Linux
//! leaves the device's cache and the file's metadata behind.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ::sled::{Batch, Db, IVec, Mode};
use bytes::Bytes;

use super::high_water::Marks;
use super::home::{Home, sync_dir, sync_file};
use super::{
    Append, COMMIT_BYTES_MAX, Entry, HighWater, Journal, JournalError, LogId, Syncing, io_error,
    pack, space, underway::UnderWay,
};
use cache::{Cache, Owed};
pub use examine::{Examined, Read};

mod cache;
mod examine;
mod pool;
mod preflight;
mod restore;

/// sled moves a page above a quarter of its segment to a blob file, which it never syncs. A leaf
/// of 17 of our largest values stays below that with this size, in bytes.
const SEGMENT_BYTES: usize = 8 << 20;

/// sled divides its cache among 256 shards; with less than this, in bytes, each would hold
/// nothing.
const CACHE_BYTES_MIN: u64 = 1 << 20;

/// sled's threads may hold its file for a moment after the database was dropped, and its lock
/// with it. Nobody else can hold it, for we hold the directory.
const ENGINE_LOCK_WAIT: Duration = Duration::from_secs(10);
const ENGINE_LOCK_RETRY: Duration = Duration::from_millis(5);

/// What can be chosen about a journal on sled.
#[derive(Debug, Clone, Copy)]
pub struct SledOptions {
    /// How many bytes of pages sled keeps in memory. It takes up to about 64 MiB more, for it
    /// counts late.
    pub cache_bytes: u64,
}

impl Default for SledOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
        }
    }
}

/// A journal on sled. Dropping it without [`Journal::close`] is what a crash is: nothing that was
/// acknowledged is lost, and the next start is slower.
pub struct SledJournal {
    log_id: LogId,
    recovered_mark: Option<HighWater>,
    /// The durable head: stored only after the sync of its group.
    head: AtomicU64,
    /// Taken by the writer and by `close`, never by a reader.
    writer: Mutex<Writer>,
    /// Absent once closed. Readers share it.
    db: RwLock<Option<Db>>,
    cache: Cache,
    marks: Marks,
    appends: UnderWay,
    options: SledOptions,
}

struct Writer {
    /// Absent once closed.
    open: Option<Held>,
    /// The memory in which values are encoded.
    value: Vec<u8>,
    /// Errors of sled are sticky, and what it wrote before one is unknown.
    failed: bool,
    /// Whether sled's snapshot is out of date.
    appended: bool,
}

struct Held {
    home: Home,
    /// Our own handle to sled's file, kept so that an error of the disk is reported to us.
    file: File,
}

impl SledJournal {
    /// Opens the log in a data directory, and creates both if there is nothing there.
    ///
    /// It refuses a directory that another process holds, that has another format, or whose log is
    /// damaged or shorter than what was acknowledged.
    ///
    /// After a clean stop only the end of the log is read, however long it is. After a crash all
    /// that came since sled's last snapshot, which it writes when it opens, is read and checked
    /// before sled reads it once more. What is older is checked by those who read it.
    pub fn open(dir: &Path, options: SledOptions) -> Result<Self, JournalError> {
        space::check(dir)?;
        Home::open(dir, |path| create(path, options))
            .and_then(|home| Self::open_home(home, options))
            .map_err(|refusal| Self::told(dir, refusal))
    }

    fn open_home(home: Home, options: SledOptions) -> Result<Self, JournalError> {
        let (marks, mark) = Marks::open(&home.high_water_path(), home.log_id())?;
        let path = home.log_path();
        let head = preflight::check(&path, mark.position)?;
        // What a killed process left may still be in the system's memory. sled writes a snapshot of
        // what it reads here, and a snapshot that outlives its log is damage.
        sync_file(&path.join("db"))?;
        let db = open_log(&path, options)?;
        preflight::refuse_blobs(&path)?;
        let file = sync_all(home.dir(), &path)?;
        confirm_head(&db, head)?;
        pool::keep_small(&db)?;
        Ok(Self {
            log_id: home.log_id(),
            recovered_mark: (mark.position > 0).then_some(mark),
            head: AtomicU64::new(head),
            writer: Mutex::new(Writer {
                open: Some(Held { home, file }),
                value: Vec::new(),
                failed: false,
                appended: false,
            }),
            db: RwLock::new(Some(db)),
            cache: Cache::default(),
            marks,
            appends: UnderWay::new(path.join("db")),
            options,
        })
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic while it was held has left `failed` set.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_db<T>(
        &self,
        work: impl FnOnce(&Db) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        work(db.as_ref().ok_or(JournalError::Closed)?)
    }

    /// Writes a group that begins at position `first` and makes it durable.
    fn store(&self, writer: &mut Writer, first: u64, group: &[Bytes]) -> Result<(), JournalError> {
        let held = writer.open.as_ref().ok_or(JournalError::Closed)?;
        let mut runs = pack::runs(group);
        let (run, rest) = (runs.next(), runs.next());
        let alone = run.filter(|_| rest.is_none());
        self.with_db(|db| {
            if let Some(run) = alone {
                // A value is atomic by itself, and sled writes a batch in two pieces.
                pack::encode(first, run, &mut writer.value);
                let value = writer.value.as_slice();
                guarded(None, || db.insert(key(first), value))?;
            } else {
                let batch = batch(first, group, &mut writer.value);
                guarded(None, || db.apply_batch(batch))?;
            }
            guarded(None, || db.flush())
        })?;
        held.file
            .sync_data()
            .map_err(io_error("syncing the journal"))
    }
}

impl Journal for SledJournal {
    fn log_id(&self) -> LogId {
        self.log_id
    }

    fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    fn append(
        &self,
        expected_head: u64,
        _term: u64,
        group: &[Bytes],
    ) -> Result<Append, JournalError> {
        let mut writer = self.writer();
        let writer = &mut *writer;
        if writer.open.is_none() {
            return Err(JournalError::Closed);
        }
        if writer.failed {
            return Err(JournalError::Failed);
        }
        if let Some(commit) = group.iter().find(|commit| commit.len() > COMMIT_BYTES_MAX) {
            return Err(JournalError::TooLarge {
                bytes: commit.len(),
                bytes_max: COMMIT_BYTES_MAX,
            });
        }
        let head = self.head();
        if head != expected_head {
            return Ok(Append::Conflict { head });
        }
        if group.is_empty() {
            return Ok(Append::Appended { head });
        }
        // Failed until shown otherwise: every way out below but the last leaves it so.
        writer.failed = true;
        writer.appended = true;
        let _under_way = self.appends.begin();
        self.store(writer, head + 1, group)?;
        writer.failed = false;
        let head = head + group.len() as u64;
        self.head.store(head, Ordering::Release);
        Ok(Append::Appended { head })
    }

    fn read(&self, from: u64, max_bytes: usize) -> Result<Vec<Entry>, JournalError> {
        self.with_db(|db| {
            let mut reading = Reading::new(from.max(1), self.head(), max_bytes);
            if reading.is_over() {
                return Ok(reading.entries);
            }
            let (first, value) = value_holding(db, reading.next)?;
            self.cache.settle_leaf(db, first, value.len())?;
            reading.take(first, value)?;
            let mut owed = Owed::default();
            let mut rest = db.range((Bound::Excluded(key(first)), Bound::Unbounded));
            while !reading.is_over() {
                let position = reading.next;
                let found = guarded(Some(position), || rest.next().transpose())
                    .and_then(|found| expect_at(position, found))
                    .and_then(|(first, value)| {
                        owed.settle_value(db, first, value.len())?;
                        reading.take(first, value)
                    });
                // What comes before the damage is whole; who reads on meets it.
                if found.is_err() {
                    break;
                }
            }
            Ok(reading.entries)
        })
    }

    fn get(&self, position: u64) -> Result<Option<Bytes>, JournalError> {
        self.with_db(|db| {
            if position == 0 || position > self.head() {
                return Ok(None);
            }
            let (first, value) = value_holding(db, position)?;
            self.cache.settle_leaf(db, first, value.len())?;
            for (at, range) in (first..).zip(decode(first, &value)?) {
                let range = range.map_err(|flaw| damaged(first, flaw))?;
                if at == position {
                    // Copied, so that one commit that is kept does not keep its neighbours.
                    return Ok(Some(Bytes::copy_from_slice(&value[range])));
                }
            }
            Err(missing(position))
        })
    }

    fn mark(&self, position: u64, root: [u8; 32]) -> Result<(), JournalError> {
        if self.writer().open.is_none() {
            return Err(JournalError::Closed);
        }
        self.marks.write(position, root)
    }

    fn recovered_mark(&self) -> Option<HighWater> {
        self.recovered_mark
    }

    fn syncing(&self) -> Option<Syncing> {
        let syncing = [self.appends.syncing(), self.marks.syncing()];
        syncing.into_iter().flatten().min_by_key(|it| it.since)
    }

    fn close(&self) -> Result<(), JournalError> {
        self.close_holding().map(drop)
    }
}

impl SledJournal {
    /// Closes the log and hands over its directory, still held; nothing if it was closed before.
    fn close_holding(&self) -> Result<Option<Held>, JournalError> {
        let mut writer = self.writer();
        let Some(held) = writer.open.take() else {
            return Ok(None);
        };
        let marked = self.marks.stop();
        let _under_way = self.appends.begin();
        let db = self
            .db
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // Dropping flushes. After a failure nothing is to be saved, and opening sled on a full
        // disk would leave a torn snapshot.
        guarded(None, || {
            drop(db);
            Ok(())
        })?;
        if writer.appended && !writer.failed {
            held.file
                .sync_data()
                .map_err(io_error("syncing the journal"))?;
            write_snapshot(&held.home.log_path(), self.options)?;
        }
        marked.map(|()| Some(held))
    }
}

/// One read under way.
struct Reading {
    next: u64,
    head: u64,
    bytes_left: Option<usize>,
    entries: Vec<Entry>,
}

impl Reading {
    fn new(next: u64, head: u64, max_bytes: usize) -> Self {
        Self {
            next,
            head,
            bytes_left: Some(max_bytes),
            entries: Vec::new(),
        }
    }

    fn is_over(&self) -> bool {
        self.next > self.head || self.bytes_left.is_none()
    }

    /// Takes what is asked for of the value whose first commit is at `first`. The entries share
    /// its memory.
    fn take(&mut self, first: u64, value: IVec) -> Result<(), JournalError> {
        let value = Bytes::from_owner(value);
        let expected = self.next;
        for (position, range) in (first..).zip(decode(first, &value)?) {
            let range = range.map_err(|flaw| damaged(first, flaw))?;
            if position < self.next {
                continue;
            }
            if self.is_over() {
                break;
            }
            let commit = value.slice(range);
            self.bytes_left = self
                .bytes_left
                .and_then(|left| left.checked_sub(commit.len()))
                .filter(|left| *left > 0);
            self.entries.push(Entry { position, commit });
            self.next = position + 1;
        }
        if self.next == expected {
            Err(missing(expected))
        } else {
            Ok(())
        }
    }
}

/// The value of position p begins at p or, if its commit is not the first there, before.
fn value_holding(db: &Db, position: u64) -> Result<(u64, IVec), JournalError> {
    let found = guarded(Some(position), || {
        db.range(..=key(position)).next_back().transpose()
    })?;
    let (found_key, value) = found.ok_or_else(|| missing(position))?;
    Ok((position_of(&found_key)?, value))
}

fn expect_at(position: u64, found: Option<(IVec, IVec)>) -> Result<(u64, IVec), JournalError> {
    match found {
        Some((found_key, value)) if position_of(&found_key)? == position => Ok((position, value)),
        Some(_) | None => Err(missing(position)),
    }
}

/// What sled shows must be what was found in its file before it opened it.
fn confirm_head(db: &Db, expected: u64) -> Result<(), JournalError> {
    let mut head = 0;
    if let Some((found_key, value)) = guarded(Some(expected), || db.last())? {
        let first = position_of(&found_key)?;
        head = first - 1;
        for range in decode(first, &value)? {
            range.map_err(|flaw| damaged(first, flaw))?;
            head += 1;
        }
    }
    if head == expected {
        Ok(())
    } else {
        Err(JournalError::Damaged {
            what: format!(
                "the storage engine ends the log at position {head}, and its file at {expected}"
            ),
            position: Some(head.min(expected) + 1),
        })
    }
}

fn batch(first: u64, group: &[Bytes], value: &mut Vec<u8>) -> Batch {
    let mut batch = Batch::default();
    let mut position = first;
    for run in pack::runs(group) {
        pack::encode(position, run, value);
        batch.insert(&key(position), value.as_slice());
        position += run.len() as u64;
    }
    batch
}

fn key(position: u64) -> [u8; 8] {
    position.to_be_bytes()
}

fn position_of(key: &[u8]) -> Result<u64, JournalError> {
    key.try_into()
        .map(u64::from_be_bytes)
        .map_err(|_| JournalError::Damaged {
            what: format!("a key of {} bytes is not a position", key.len()),
            position: None,
        })
}

fn decode(first: u64, value: &[u8]) -> Result<pack::Frames<'_>, JournalError> {
    pack::decode(first, value).map_err(|flaw| damaged(first, flaw))
}

fn damaged(position: u64, flaw: pack::Flaw) -> JournalError {
    JournalError::Damaged {
        what: flaw.to_string(),
        position: Some(position),
    }
}

fn missing(position: u64) -> JournalError {
    JournalError::Damaged {
        what: "its commit is missing".to_owned(),
        position: Some(position),
    }
}

fn open_log(path: &Path, options: SledOptions) -> Result<Db, JournalError> {
    let config = ::sled::Config::default()
        .path(path)
        .cache_capacity(options.cache_bytes.max(CACHE_BYTES_MIN))
        .mode(Mode::HighThroughput)
        .use_compression(false)
        .segment_size(SEGMENT_BYTES)
        // Every append flushes. sled's own thread would only add writes in between.
        .flush_every_ms(None);
    open_engine(&config)
}

/// Opens a database of ours that may just have been dropped.
pub(crate) fn open_engine(config: &::sled::Config) -> Result<Db, JournalError> {
    let give_up = Instant::now() + ENGINE_LOCK_WAIT;
    loop {
        match guarded(None, || config.open()) {
            Err(JournalError::Io { source, .. })
                if source.to_string().contains("could not acquire lock")
                    && Instant::now() < give_up =>
            {
                std::thread::sleep(ENGINE_LOCK_RETRY);
            }
            opened => return opened,
        }
    }
}

fn create(path: &Path, options: SledOptions) -> Result<(), JournalError> {
    let db = open_log(path, options)?;
    guarded(None, || {
        db.flush()?;
        drop(db);
        Ok(())
    })?;
    sync_all(path, path).map(drop)
}

/// sled writes its snapshot only when it opens.
fn write_snapshot(path: &Path, options: SledOptions) -> Result<(), JournalError> {
    let db = open_log(path, options)?;
    guarded(None, || {
        drop(db);
        Ok(())
    })?;
    sync_dir(path)
}

/// Syncs what sled, or the process before us, may have left to the system's memory, and returns
/// the handle with which appends are synced.
fn sync_all(dir: &Path, path: &Path) -> Result<File, JournalError> {
    let db = path.join("db");
    let file = OpenOptions::new()
        .write(true)
        .open(&db)
        .map_err(io_error(format!("opening {}", db.display())))?;
    file.sync_all()
        .map_err(io_error(format!("syncing {}", db.display())))?;
    sync_file(&path.join("conf"))?;
    sync_dir(path)?;
    sync_dir(dir)?;
    Ok(file)
}

/// Calls sled, which panics on some damage instead of reporting it.
pub(crate) fn guarded<T>(
    position: Option<u64>,
    work: impl FnOnce() -> ::sled::Result<T>,
) -> Result<T, JournalError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(engine_error(position, error)),
        Err(panic) => {
            let said = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no reason given");
            Err(JournalError::Damaged {
                what: format!("the storage engine panicked: {said}"),
                position,
            })
        }
    }
}

fn engine_error(position: Option<u64>, error: ::sled::Error) -> JournalError {
    match error {
        ::sled::Error::Io(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
            JournalError::Damaged {
                what: "the storage file is cut short".to_owned(),
                position,
            }
        }
        ::sled::Error::Io(source) => JournalError::Io {
            doing: "in the storage engine".to_owned(),
            source,
        },
        ::sled::Error::Corruption { at, .. } => JournalError::Damaged {
            what: at.map_or_else(
                || "the storage engine found its files corrupt".to_owned(),
                |at| format!("the storage engine found its files corrupt at {at}"),
            ),
            position,
        },
        other @ (::sled::Error::CollectionNotFound(_)
        | ::sled::Error::Unsupported(_)
        | ::sled::Error::ReportableBug(_)) => JournalError::Engine(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
