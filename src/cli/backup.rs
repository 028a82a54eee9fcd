//! `stratad backup`: takes a backup from a running daemon and keeps it as a file that appears only
//! once all of it is there, checked and on disk.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;
use indicatif::ProgressBar;
use tempfile::NamedTempFile;
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};
use tonic::{Code, Status};

use crate::{
    backup::{
        Flaw, Header,
        chain::{self, ChainError, Checked},
        decode::{Decoder, Part, Whole},
    },
    cli::{
        DEFAULT_URL, progress,
        remote::{self, Remote, Unreachable, Way},
    },
    client::refusal::Refusal,
    journal::LogId,
    proto::BackupRequest,
    telemetry,
};

mod offline;
mod target;

pub use self::offline::OfflineError;
use self::target::{Replacement, directory_of};

/// What `stratad backup` can be told.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file to write. It appears only once it is whole, and is readable by its owner only.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The daemon; `http://` may be left out.
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL, value_parser = Remote::parse)]
    pub from: Remote,
    /// How it is reached.
    #[command(flatten)]
    pub way: Way,
    /// Take what is whole in this data directory, which no daemon has open: for one that is damaged
    /// and not served any more.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["from", "after", "from_position"])]
    pub from_dir: Option<PathBuf>,
    /// Take only what came since this backup, and check that the log went on from it.
    #[arg(long, value_name = "PREVIOUS_FILE", conflicts_with = "from_position")]
    pub after: Option<PathBuf>,
    /// Take only commits from this position on, when the backup before it is not at hand.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub from_position: Option<u64>,
    /// Replace FILE if it is a backup of which the new one holds all. Nothing else is replaced.
    #[arg(long)]
    pub overwrite: bool,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The file is there already.
    #[error("{} exists; choose another name, or say --overwrite", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file was asked for that is none.
    #[error("{}: {what}; name a file to be made", path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The directory is not there.
    #[error("there is no directory {}: make it first", path.display())]
    NoDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// What would be replaced is no backup.
    #[error("{} is no backup, and so is not replaced: choose another name", path.display())]
    NotReplaced {
        /// The file.
        path: PathBuf,
    },
    /// What would be replaced cannot be read, and may hold what the new one does not.
    #[error("--overwrite: {0}; choose another name, or remove it")]
    Unreadable(ChainError),
    /// What would be replaced is the backup that the new one goes on from.
    #[error(
        "{} is the backup that --after names: the new one goes on from it and needs it; choose \
         another name",
        path.display()
    )]
    ReplacesPrevious {
        /// The file.
        path: PathBuf,
    },
    /// What would be replaced holds what the new one does not.
    #[error(
        "{} holds commits that the new backup does not hold, and so is not replaced; choose another \
         name",
        path.display()
    )]
    ReplacesMore {
        /// The file.
        path: PathBuf,
    },
    /// The daemon sent another stretch than was asked for.
    #[error(
        "the daemon was asked for a backup from position {asked} on, and sent one from {found} on; \
         no file was written"
    )]
    OtherBeginning {
        /// From where it was asked for.
        asked: u64,
        /// Where it begins.
        found: u64,
    },
    /// Something else is where the daemon was expected.
    #[error("no stratad answers at {url}: {refusal}")]
    NoDaemon {
        /// Where it was asked.
        url: String,
        /// What came back.
        refusal: Refusal,
    },
    /// The previous backup cannot be used.
    #[error("--after: {0}")]
    Previous(#[from] ChainError),
    /// The daemon is not there.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The daemon refused, or the connection broke.
    #[error(
        "the backup ended at position {position}: {}\nno file was written{}",
        remote::words(refusal),
        advice(refusal)
    )]
    Ended {
        /// Up to where it came.
        position: u64,
        /// The daemon's answer.
        refusal: Refusal,
    },
    /// What came is not a backup.
    #[error("what the daemon sent cannot be used: {0}; no file was written, run the backup again")]
    Flawed(#[from] Flaw),
    /// The previous backup is of another log.
    #[error(
        "{} is a backup of log {previous}, and the daemon's log is {found}: name a backup of this \
         log, or make a full one",
        path.display()
    )]
    OtherLog {
        /// The previous backup.
        path: PathBuf,
        /// Its log.
        previous: LogId,
        /// The daemon's log.
        found: LogId,
    },
    /// The log ends before the previous backup does.
    #[error(
        "LOG_DIVERGED: {} ends at position {position}, and the daemon's log before it: it lost \
         commits, or was restored from an earlier backup. No file was written. Find out which; keep \
         {}, and make a full backup under another name",
        path.display(),
        path.display()
    )]
    Shorter {
        /// The previous backup.
        path: PathBuf,
        /// Where it ends.
        position: u64,
    },
    /// The log holds other commits than the previous backup.
    #[error(
        "LOG_DIVERGED: up to position {position}, where {} ends, the daemon's log holds other \
         commits: it was restored from an earlier backup and went on from there, or was rewritten. \
         No file was written. Find out which; keep {}, and make a full backup under another name",
        path.display(),
        path.display()
    )]
    Diverged {
        /// The previous backup.
        path: PathBuf,
        /// Where it ends.
        position: u64,
    },
    /// A directory was to be backed up.
    #[error(transparent)]
    Offline(#[from] OfflineError),
    /// The file cannot be written.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Somebody ended it.
    #[error("interrupted; no file was written")]
    Interrupted,
    /// The system refused what the backup needs.
    #[error("cannot start the backup: {0}")]
    System(io::Error),
}

/// What `stratad backup --help` begins with.
pub(super) const LONG_ABOUT: &str = "\
Take a backup from a running daemon, which goes on serving and recording. It holds all commits up \
to the moment of the call, or with --after those that came since another backup. A restore needs a \
full backup and every incremental one behind it.

All of it is checked while it comes. The file appears under its name only once it is whole and on \
disk; when anything fails there is none. A file that exists is not replaced unless --overwrite is \
said, and then only a backup of which the new one holds all. When --after finds nothing new, no file is written, and the exit status is 0.

With --after the daemon's log must go on from the previous backup: a log that lost commits, or was \
restored and went another way, is refused as LOG_DIVERGED. The signing key and the configuration \
are not in a backup.

With --from-dir the positions 1 to N of a data directory that can be read are taken, without a daemon \
and without writing to the directory: the way out of one that stratad does not serve any more. What \
is missing behind them is said, and the exit status is then 1.";

/// What `stratad backup --help` ends with.
pub(super) const AFTER_HELP: &str = "\
Examples:
  stratad backup full.strata                            # everything
  stratad backup monday.strata --after full.strata      # what came since
  stratad backup tuesday.strata --after monday.strata
  stratad backup full.strata --from localhost:7500
  stratad backup saved.strata --from-dir strata-data     # it is damaged, and not served

A schedule, with a directory for each month:
  month=/backups/$(date +%Y-%m)
  stratad backup $month/full.strata                     # on the first of the month
  stratad backup $month/$(date +%F).strata --after \"$(ls -t $month/*.strata | head -n 1)\"   # daily
  stratad restore $month/*.strata --data-dir drill      # now and then: does it restore?

To restore: stratad restore --help";

/// What came of a backup.
enum Outcome {
    Written(Checked),
    NothingNew(Whole),
}

/// Takes a backup.
pub fn run(arguments: &Arguments) -> Result<(), BackupError> {
    telemetry::init_client();
    let replaced = target::replaced(arguments)?;
    if let Some(dir) = &arguments.from_dir {
        return offline::run(arguments, dir);
    }
    let previous = arguments.after.as_deref().map(check).transpose()?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(BackupError::System)?;
    let progress = progress::bar(0, "commits").with_message("backing up");
    let outcome = runtime.block_on(async {
        let told = interrupted().map_err(BackupError::System)?;
        tokio::select! {
            outcome = take(arguments, previous.as_ref(), replaced.as_ref(), &progress) => outcome,
            () = told => Err(BackupError::Interrupted),
        }
    });
    progress.finish_and_clear();
    // It is done whether or not anyone reads this.
    writeln!(io::stdout(), "{}", summary(&outcome?)).ok();
    Ok(())
}

fn summary(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Written(file) => format!(
            "{}: positions {} to {} of log {}, {} commits, {} bytes, root {}",
            file.path.display(),
            file.header.from_position(),
            file.trailer.head,
            file.header.log_id,
            file.trailer.count,
            file.bytes,
            hex::encode(file.trailer.root)
        ),
        Outcome::NothingNew(whole) => format!(
            "nothing is new: log {} still ends at position {}; no file was written",
            whole.header.log_id, whole.trailer.head
        ),
    }
}

/// Reads the previous backup to its end: a chain that cannot be restored should be noticed now.
fn check(path: &Path) -> Result<Checked, ChainError> {
    let bytes = path.metadata().map_or(0, |file| file.len());
    let progress = progress::bytes_bar(bytes).with_message("checking the previous backup");
    let checked = chain::check(path, |bytes| progress.set_position(bytes));
    progress.finish_and_clear();
    checked
}

/// Ready when somebody wants the command to end; what was written so far is then removed.
fn interrupted() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

async fn take(
    arguments: &Arguments,
    previous: Option<&Checked>,
    replaced: Option<&Checked>,
    progress: &ProgressBar,
) -> Result<Outcome, BackupError> {
    let from_position = match previous {
        Some(previous) => previous.trailer.head + 1,
        None => arguments.from_position.unwrap_or(1),
    };
    let cannot_write = |error| BackupError::Write {
        path: arguments.file.clone(),
        error,
    };
    let mut decoder = Decoder::default();
    let mut replacement = replaced.map(Replacement::of);
    let client = arguments.from.by(&arguments.way).connect().await?;
    let asked = client.admin().backup(BackupRequest { from_position }).await;
    let mut pieces = asked
        .map_err(|status| not_begun(&status, arguments, from_position - 1, previous))?
        .into_inner();
    let mut file = partial(&arguments.file).map_err(cannot_write)?;
    loop {
        let at = decoder.position().max(from_position - 1);
        let piece = pieces.message().await;
        let Some(piece) = piece.map_err(|status| refused(&status, at, previous))? else {
            break;
        };
        decoder.take_in(&piece.chunk);
        while let Some(part) = decoder.part()? {
            if let Part::Header(header) = &part {
                confirm(header, from_position, previous)?;
            }
            if let Some(replacement) = &mut replacement {
                replacement.take_in(&part);
            }
        }
        file.write_all(&piece.chunk).map_err(cannot_write)?;
        progress.set_length((piece.head_position + 1).saturating_sub(from_position));
        progress.set_position((piece.position + 1).saturating_sub(from_position));
    }
    let whole = decoder.finish()?;
    // The first backup of an empty log is one: it keeps the log's id.
    if whole.trailer.count == 0 && from_position > 1 {
        return Ok(Outcome::NothingNew(whole));
    }
    if replacement.is_some_and(|replacement| !replacement.holds_all()) {
        return Err(BackupError::ReplacesMore {
            path: arguments.file.clone(),
        });
    }
    keep(file, arguments).map_err(cannot_write)?;
    Ok(Outcome::Written(Checked {
        path: arguments.file.clone(),
        header: whole.header,
        trailer: whole.trailer,
        bytes: decoder.bytes(),
    }))
}

/// Whether the daemon's log went on from the previous backup.
fn confirm(header: &Header, asked: u64, previous: Option<&Checked>) -> Result<(), BackupError> {
    let found = header.from_position();
    let Some(previous) = previous else {
        return if found == asked {
            Ok(())
        } else {
            Err(BackupError::OtherBeginning { asked, found })
        };
    };
    let path = previous.path.clone();
    if header.log_id != previous.header.log_id {
        return Err(BackupError::OtherLog {
            path,
            previous: previous.header.log_id,
            found: header.log_id,
        });
    }
    if found != asked {
        return Err(BackupError::OtherBeginning { asked, found });
    }
    if header.before.root() != previous.trailer.root {
        return Err(BackupError::Diverged {
            path,
            position: previous.trailer.head,
        });
    }
    Ok(())
}

fn refused(status: &Status, position: u64, previous: Option<&Checked>) -> BackupError {
    let refusal = Refusal::from(status);
    match previous {
        Some(previous) if refusal.reason == "BEYOND_HEAD" => BackupError::Shorter {
            path: previous.path.clone(),
            position: previous.trailer.head,
        },
        Some(_) | None => BackupError::Ended { position, refusal },
    }
}

/// What came back instead of the beginning of a backup.
fn not_begun(
    status: &Status,
    arguments: &Arguments,
    position: u64,
    previous: Option<&Checked>,
) -> BackupError {
    let refusal = Refusal::from(status);
    if refusal.is_of_no_stratad() {
        let url = arguments.from.url();
        return BackupError::NoDaemon { url, refusal };
    }
    refused(status, position, previous)
}

/// What to do about a backup that ended early; nothing where the refusal says it all.
fn advice(refusal: &Refusal) -> &'static str {
    if refusal.code == Code::OutOfRange {
        ""
    } else {
        "; what is wrong with the daemon's log, if anything is, its own log says; else run the \
         backup again"
    }
}

/// A file beside `path` that goes away unless it is kept.
fn partial(path: &Path) -> io::Result<NamedTempFile> {
    let mut prefix = path.file_name().unwrap_or_default().to_owned();
    prefix.push(".");
    tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(".partial")
        .tempfile_in(directory_of(path))
}

/// Gives a whole file its name, once it is on disk.
fn keep(file: NamedTempFile, arguments: &Arguments) -> io::Result<()> {
    let path = &arguments.file;
    file.as_file().sync_all()?;
    let kept = if arguments.overwrite {
        file.persist(path)
    } else {
        file.persist_noclobber(path)
    };
    kept.map_err(|error| error.error)?;
    File::open(directory_of(path))?.sync_all()
}
