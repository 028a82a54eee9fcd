//! A backup of a data directory that no daemon serves: what is whole in it from its first commit on, so
//! that a directory which is damaged elsewhere is brought over without losing one.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{Arguments, BackupError, Outcome, keep, partial, summary};
use crate::{
    backup::{
        Header,
        chain::{self, Checked},
        encode::Encoder,
    },
    cli::progress,
    journal::{
        Entry, JournalError, LogId,
        sled::{Examined, Read, SledJournal},
    },
    merkle::Frontier,
};

/// How many bytes of commits are written at a time.
const BATCH_BYTES: usize = 512 << 10;

/// Why there is no backup of a directory, or not one of all that was acknowledged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfflineError {
    /// The directory cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No file of the directory names the log, or two name different ones.
    #[error(
        "{}: which log it holds cannot be read from FORMAT and high-water; no file was written; put \
         back one of them, from a copy of this directory",
        dir.display()
    )]
    NoLogId {
        /// The directory.
        dir: PathBuf,
    },
    /// No commit is whole.
    #[error("{}: no commit can be read; no file was written; restore the last backup", dir.display())]
    Nothing {
        /// The directory.
        dir: PathBuf,
    },
    /// The log is not the one that was acknowledged.
    #[error(
        "{}: its commits up to position {position} are not those that were acknowledged; no file was \
         written; see `stratad verify {}`",
        dir.display(),
        dir.display()
    )]
    OtherCommits {
        /// The directory.
        dir: PathBuf,
        /// The position of the mark.
        position: u64,
    },
    /// The file was written, and something is missing behind it.
    #[error(
        "{} was written, and does not hold all of the log: {what}; see `stratad verify {}`, and \
         restore it only if no other backup reaches as far",
        file.display(),
        dir.display()
    )]
    Partial {
        /// The file.
        file: PathBuf,
        /// The directory.
        dir: PathBuf,
        /// What is missing.
        what: String,
    },
}

/// Writes a backup of what is whole in `dir`, and says what is not.
pub(super) fn run(arguments: &Arguments, dir: &Path) -> Result<(), BackupError> {
    let examined = SledJournal::examine(dir).map_err(OfflineError::from)?;
    let log_id = log_id(&examined, dir)?;
    let (written, next) = write(arguments, dir, &examined, log_id)?;
    let head = written.trailer.head;
    // It is done whether or not anyone reads this.
    writeln!(io::stdout(), "{}", summary(&Outcome::Written(written))).ok();
    match missing(&examined, head, next) {
        Some(what) => Err(BackupError::Offline(OfflineError::Partial {
            file: arguments.file.clone(),
            dir: dir.to_owned(),
            what,
        })),
        None => Ok(()),
    }
}

fn log_id(examined: &Examined, dir: &Path) -> Result<LogId, OfflineError> {
    let marked = examined.mark.map(|mark| mark.log_id);
    match (examined.log_id, marked) {
        (Some(named), None) => Ok(named),
        (Some(named), Some(marked)) if named == marked => Ok(named),
        (Some(_) | None, _) => Err(OfflineError::NoLogId {
            dir: dir.to_owned(),
        }),
    }
}

/// What is not in the backup, in words.
fn missing(examined: &Examined, head: u64, next: Option<u64>) -> Option<String> {
    let marked = examined.mark.map(|mark| mark.position);
    match (marked, next) {
        (Some(marked), _) if marked > head => Some(format!(
            "positions {} to {marked} were acknowledged, and not all of them can be read",
            head + 1
        )),
        (_, Some(next)) => Some(format!(
            "position {} cannot be read, and there is something behind it, at position {next}",
            head + 1
        )),
        (None, None) => Some(
            "how many commits were acknowledged cannot be read, so some may be missing at its end"
                .to_owned(),
        ),
        (Some(_), None) => None,
    }
}

/// Writes the file, and returns what it holds and the position that comes next behind a gap.
fn write(
    arguments: &Arguments,
    dir: &Path,
    examined: &Examined,
    log_id: LogId,
) -> Result<(Checked, Option<u64>), BackupError> {
    let cannot_write = |error| BackupError::Write {
        path: arguments.file.clone(),
        error,
    };
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let header = Header {
        log_id,
        before: Frontier::default(),
        made_at_seconds: since.map_or(0, |since| since.as_secs()),
    };
    let marked = examined.mark;
    let mut file = partial(&arguments.file).map_err(cannot_write)?;
    let (mut encoder, begin) = Encoder::begin(&header);
    file.write_all(&begin).map_err(cannot_write)?;
    let progress = progress::bar(marked.map_or(0, |mark| mark.position), "commits");
    let mut reads = examined.read().peekable();
    loop {
        let up_to = marked.map(|mark| mark.position);
        let batch = batch(&mut reads, encoder.position() + 1, up_to);
        if batch.is_empty() {
            break;
        }
        let mut entries = batch.as_slice();
        while !entries.is_empty() {
            let block = encoder.commits(&mut entries);
            file.write_all(&block).map_err(cannot_write)?;
        }
        progress.set_position(encoder.position());
        if let Some(mark) = marked.filter(|mark| mark.position == encoder.position())
            && mark.root != encoder.root()
        {
            return Err(BackupError::Offline(OfflineError::OtherCommits {
                dir: dir.to_owned(),
                position: mark.position,
            }));
        }
    }
    if encoder.position() == 0 && marked.is_none_or(|mark| mark.position > 0) {
        return Err(BackupError::Offline(OfflineError::Nothing {
            dir: dir.to_owned(),
        }));
    }
    file.write_all(&encoder.end()).map_err(cannot_write)?;
    progress.finish_and_clear();
    let next = reads.next().map(|read| position(&read));
    // What is relied upon is read once more.
    let written = chain::check(file.path(), |_| {})?;
    keep(file, arguments).map_err(cannot_write)?;
    let path = arguments.file.clone();
    Ok((Checked { path, ..written }, next))
}

/// Some of the commits that follow each other from `next` on. A batch ends at the mark.
fn batch(
    reads: &mut std::iter::Peekable<impl Iterator<Item = Read>>,
    next: u64,
    marked: Option<u64>,
) -> Vec<Entry> {
    let mut batch: Vec<Entry> = Vec::new();
    let mut bytes = 0;
    let is_before = |entry: &Entry| Some(entry.position) != marked;
    while bytes < BATCH_BYTES && batch.last().is_none_or(is_before) {
        let expected = next + batch.len() as u64;
        let is_next =
            |read: &Read| matches!(read, Read::Commit(entry) if entry.position == expected);
        let Some(Read::Commit(entry)) = reads.next_if(is_next) else {
            break;
        };
        bytes += entry.commit.len();
        batch.push(entry);
    }
    batch
}

fn position(read: &Read) -> u64 {
    match read {
        Read::Commit(entry) => entry.position,
        Read::Damaged { position, .. } => *position,
    }
}
