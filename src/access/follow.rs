//! A value that is read from a file, and again when the file changes. A new version that is not right
//! is told in the log, and the last one that was stays in force.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use arc_swap::ArcSwap;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

/// How often it is looked whether a file changed. Its bytes are compared, for times and sizes may stay.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The longest file of certificates that is read: four times the list of a whole system.
pub const CERTIFICATES_BYTES_MAX: u64 = 1 << 20;

/// What anyone on the machine may write.
const MODE_WRITABLE_BY_ALL: u32 = 0o002;

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {}: {source}; see to the path and the rights of the file", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is larger than anyone needs.
    #[error("{} is larger than {bytes_max} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How large it may be.
        bytes_max: u64,
    },
    /// Whoever is on the machine could let themselves in.
    #[error("everyone on this machine may write {}: run chmod o-w on it", path.display())]
    Writable {
        /// The file.
        path: PathBuf,
    },
    /// What it says is not right.
    #[error("{}: {wrong}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its place.
        wrong: String,
    },
}

/// How a file is read.
#[derive(Debug)]
pub struct Reading<T> {
    /// Where it is.
    pub path: PathBuf,
    /// What it is called in the log.
    pub what: &'static str,
    /// How large it may be.
    pub bytes_max: u64,
    /// What it says.
    pub parse: fn(&[u8]) -> Result<T, String>,
}

/// Counts the changes of all that is followed with it. Cheap to clone; clones are one.
#[derive(Debug, Clone, Default)]
pub struct Changes(watch::Sender<u64>);

/// What a file says, as long as this is kept.
#[derive(Debug)]
pub struct Followed<T> {
    current: Arc<ArcSwap<T>>,
    /// Dropped, it ends the thread.
    _alive: mpsc::Sender<()>,
}

impl Changes {
    /// Something is in force that was not.
    pub fn count_one(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        *self.0.borrow()
    }

    /// Returns once there were others than so many.
    pub async fn other_than(&self, count: u64) {
        // The sender lives as long as this, so waiting cannot fail.
        drop(self.0.subscribe().wait_for(|now| *now != count).await);
    }
}

impl<T: Send + Sync + 'static> Followed<T> {
    /// Reads a file, and follows it from there on. Each new version counts as a change.
    pub fn open(reading: Reading<T>, changes: Changes) -> Result<Self, FileError> {
        Self::open_looking_every(reading, changes, LOOK_EVERY)
    }

    fn open_looking_every(
        reading: Reading<T>,
        changes: Changes,
        every: Duration,
    ) -> Result<Self, FileError> {
        let bytes = reading.bytes()?;
        let first = reading.value(&bytes)?;
        let current = Arc::new(ArcSwap::from_pointee(first));
        let (alive, ended) = mpsc::channel();
        let follower = Follower {
            seen: Sha256::digest(&bytes).into(),
            told: None,
            reading,
            changes,
            current: Arc::clone(&current),
        };
        let path = follower.reading.path.clone();
        thread::Builder::new()
            .name("access".to_owned())
            .spawn(move || follower.run(&ended, every))
            .map_err(|source| FileError::Unreadable { path, source })?;
        Ok(Self {
            current,
            _alive: alive,
        })
    }

    /// What it says now.
    #[must_use]
    pub fn current(&self) -> Arc<T> {
        self.current.load_full()
    }
}

struct Follower<T> {
    reading: Reading<T>,
    changes: Changes,
    current: Arc<ArcSwap<T>>,
    /// The hash of the bytes that were looked at last.
    seen: [u8; 32],
    /// Why it cannot be read, as told last, so that it is told once.
    told: Option<String>,
}

impl<T> Follower<T> {
    fn run(mut self, ended: &mpsc::Receiver<()>, every: Duration) {
        while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            match self.look() {
                Ok(()) => self.told = None,
                Err(error) => self.tell(&error),
            }
        }
    }

    fn look(&mut self) -> Result<(), FileError> {
        let bytes = self.reading.bytes()?;
        let hash: [u8; 32] = Sha256::digest(&bytes).into();
        if hash == self.seen && self.told.is_none() {
            return Ok(());
        }
        self.seen = hash;
        let value = self.reading.value(&bytes)?;
        self.current.store(Arc::new(value));
        self.changes.count_one();
        let path = self.reading.path.display();
        tracing::info!("{} {path} is in force as it is now", self.reading.what);
        Ok(())
    }

    fn tell(&mut self, error: &FileError) {
        let said = error.to_string();
        if self.told.as_ref() != Some(&said) {
            tracing::error!("{said}; {} stays in force as it was", self.reading.what);
            self.told = Some(said);
        }
    }
}

impl<T> Reading<T> {
    fn bytes(&self) -> Result<Vec<u8>, FileError> {
        read(&self.path, self.bytes_max)
    }

    fn value(&self, bytes: &[u8]) -> Result<T, FileError> {
        (self.parse)(bytes).map_err(|wrong| FileError::Wrong {
            path: self.path.clone(),
            wrong,
        })
    }
}

/// Reads a file that says who is let in, unless anyone on the machine could let themselves in by it.
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FileError> {
    let unreadable = |source| FileError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.mode() & MODE_WRITABLE_BY_ALL != 0 {
        return Err(FileError::Writable {
            path: path.to_owned(),
        });
    }
    let mut bytes = Vec::new();
    let longest = bytes_max + 1;
    file.take(longest)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 == longest {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
            bytes_max,
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
