//! The view's own sled database: disposable records, each with a checksum over its key and value,
//! written in small batches so that the journal is never kept waiting for sled's shared lock, and
//! made durable with the checkpoint in the last batch.

use std::{fs, fs::File, io, iter, path::Path};

use crate::journal::{JournalError, Syncing, sled as engine, underway::UnderWay};

/// Sled's batches of all databases share one lock; 64 keys hold it for milliseconds.
const BATCH_KEYS_MAX: usize = 64;
/// What sled may cache of the view; plans have a cache of their own.
const CACHE_BYTES: u64 = 16 << 20;
/// Large enough for any record to stay out of sled's blob files, which are never synced.
const SEGMENT_BYTES: usize = 8 << 20;
const CRC_BYTES: usize = 4;

/// A record to be written; no value removes the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) key: Vec<u8>,
    pub(super) value: Option<Vec<u8>>,
}

/// Why the view's database cannot be used. It holds nothing that cannot be rebuilt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The storage engine refused.
    #[error("the view's database failed: {0}")]
    Engine(String),
    /// The operating system refused.
    #[error("the view's database: {0}")]
    Io(#[from] io::Error),
    /// A record is not what was written.
    #[error("the view is damaged: {0}")]
    Damaged(String),
}

impl From<JournalError> for StoreError {
    /// The engine is the journal's, and so are its errors.
    fn from(error: JournalError) -> Self {
        if let JournalError::Damaged { what, .. } = error {
            Self::Damaged(what)
        } else {
            Self::Engine(error.to_string())
        }
    }
}

/// The open database.
pub(super) struct Store {
    /// Absent only while it is closed.
    db: Option<sled::Db>,
    /// Sled's `flush` does not reach the device; a sync of this handle does.
    file: File,
    /// Each step of a write by itself: a large one may take its time, and each step returns soon.
    writes: UnderWay,
}

impl Store {
    /// Opens the database in `dir`, which is created when it is missing.
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let config = sled::Config::default()
            .path(dir)
            .cache_capacity(CACHE_BYTES)
            .segment_size(SEGMENT_BYTES)
            .flush_every_ms(None);
        let db = engine::open_engine(&config)?;
        let file = File::options()
            .read(true)
            .write(true)
            .open(dir.join("db"))?;
        file.sync_all()?;
        File::open(dir)?.sync_all()?;
        Ok(Self {
            db: Some(db),
            file,
            writes: UnderWay::new(dir.join("db")),
        })
    }

    /// Deletes the database.
    pub(super) fn destroy(dir: &Path) -> io::Result<()> {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn db(&self) -> sled::Result<&sled::Db> {
        let closed = || sled::Error::Unsupported("the database is closed".into());
        self.db.as_ref().ok_or_else(closed)
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        guarded(|| self.db()?.get(key))?
            .map(|stored| unseal(key, &stored))
            .transpose()
    }

    /// All records whose key starts with `prefix`, in the order of the keys.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), StoreError>> {
        let mut found = self.db().map(|db| db.scan_prefix(prefix));
        let mut next_of = move || match &mut found {
            Ok(found) => found.next().transpose(),
            Err(closed) => Err(closed.clone()),
        };
        let next = move || guarded(&mut next_of).transpose();
        iter::from_fn(next).map(|item| {
            let (key, stored) = item?;
            let value = unseal(&key, &stored)?;
            Ok((key.to_vec(), value))
        })
    }

    /// Writes records in order, in several batches; when it returns they are durable. A crash in
    /// between leaves a prefix of them.
    pub(super) fn write(&self, records: Vec<Record>) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        let mut keys = 0;
        for Record { key, value } in records {
            match value {
                Some(value) => batch.insert(&*key, seal(&key, &value)),
                None => batch.remove(&*key),
            }
            keys += 1;
            if keys == BATCH_KEYS_MAX {
                let full = std::mem::take(&mut batch);
                let _under_way = self.writes.begin();
                guarded(|| self.db()?.apply_batch(full))?;
                keys = 0;
            }
        }
        let _under_way = self.writes.begin();
        guarded(|| {
            self.db()?.apply_batch(batch)?;
            self.db()?.flush()
        })?;
        self.file.sync_data()?;
        Ok(())
    }

    /// The step of a write that is under way, which ends with a sync.
    pub(super) fn syncing(&self) -> Option<Syncing> {
        self.writes.syncing()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let db = self.db.take();
        // Sled syncs when it is dropped, and panics when that fails.
        let closed = guarded(|| {
            drop(db);
            Ok(())
        });
        if let Err(error) = closed {
            tracing::warn!(%error, "the view is not closed well; the next start sees what is missing");
        }
    }
}

fn guarded<T>(work: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
    Ok(engine::guarded(None, work)?)
}

fn seal(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(CRC_BYTES + value.len());
    stored.extend_from_slice(&checksum(key, value).to_le_bytes());
    stored.extend_from_slice(value);
    stored
}

fn unseal(key: &[u8], stored: &[u8]) -> Result<Vec<u8>, StoreError> {
    match stored.split_first_chunk::<CRC_BYTES>() {
        Some((crc, value)) if u32::from_le_bytes(*crc) == checksum(key, value) => {
            Ok(value.to_vec())
        }
        Some(_) | None => Err(StoreError::Damaged(format!(
            "record {} is not what was written",
            key.escape_ascii()
        ))),
    }
}

/// The key is part of it, so that a value under another key is noticed.
fn checksum(key: &[u8], value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), value)
}

#[cfg(test)]
impl Store {
    /// The keys that start with `prefix`, whatever their values are.
    pub(super) fn scan_keys(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let keys = guarded(|| self.db())?.scan_prefix(prefix).keys();
        keys.map(|key| Ok(guarded(|| key)?.to_vec())).collect()
    }

    /// Puts these bytes in the place of a record, or nothing, as damage does.
    pub(super) fn overwrite(&self, key: &[u8], bytes: Option<&[u8]>) {
        let before = match bytes {
            Some(bytes) => self.db().expect("open").insert(key, bytes),
            None => self.db().expect("open").remove(key),
        };
        drop(before.expect("overwritten"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_outlive_the_database_handle_and_a_damaged_one_is_noticed() {
        let dir = tempfile::tempdir().expect("a directory");
        let record = |key: u8| Record {
            key: vec![b'a', key],
            value: Some(vec![key; 100]),
        };
        let store = Store::open(dir.path()).expect("opened");
        store
            .write((0..200).map(record).collect())
            .expect("written");
        drop(store);

        let store = Store::open(dir.path()).expect("opened again");
        assert_eq!(store.scan(b"a").flatten().count(), 200);
        assert_eq!(store.get(&[b'a', 7]).expect("sound"), Some(vec![7; 100]));
        let other = store
            .db()
            .expect("open")
            .get([b'a', 8])
            .expect("read")
            .expect("there");
        store
            .db()
            .expect("open")
            .insert([b'a', 7], other)
            .expect("overwritten");
        assert!(matches!(store.get(&[b'a', 7]), Err(StoreError::Damaged(_))));
    }
}
