//! `stratad verify`: hashes every commit of a log again, from a running daemon, from backups or from a
//! data directory, and compares the result with what the log says of itself and with the checkpoints
//! that an auditor kept.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;
use tokio::runtime;

use crate::{
    backup::chain::ChainError,
    cli::{
        remote::{self, Remote, Unreachable, Way},
        verify::{checker::Verdict, kept::Kept, report::Report},
    },
    client::refusal::Refusal,
    journal::{JournalError, LogId},
    notary::CheckpointError,
    telemetry,
};

mod checker;
mod kept;
mod report;
mod sources;

/// What `stratad verify` can be told.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to verify: the URL of a running daemon (`http://` may be left out), a data directory, or
    /// backup files, in any order.
    #[arg(value_name = "SOURCE", required = true)]
    pub sources: Vec<String>,
    /// A public key of the log, as `stratad key` prints it, or the name of a file with one a line.
    /// Several where the log had several.
    #[arg(long = "key", value_name = "KEY")]
    pub keys: Vec<String>,
    /// A checkpoint that was kept, as AuditService/GetCheckpoint gave it. Several may be named.
    #[arg(long = "checkpoint", value_name = "FILE")]
    pub checkpoints: Vec<PathBuf>,
    /// How a daemon is reached.
    #[command(flatten)]
    pub way: Way,
}

/// Why a log was not found to hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It was read, and it does not hold. What was found is in the report.
    #[error("{name} does not hold: see above")]
    DoesNotHold {
        /// What was verified.
        name: String,
    },
    /// It was read, nothing speaks against it, and not all that was asked could be told.
    #[error("{name} was not verified: see above")]
    NotVerified {
        /// What was verified.
        name: String,
    },
    /// It holds, and nobody could be told.
    #[error("{name} was verified, but the verdict cannot be written to standard output: {error}")]
    Output {
        /// What was verified.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// What was named is nothing that can be verified.
    #[error(
        "there is no file and no directory {name:?}, and it is not the URL of a daemon: {reason}"
    )]
    NotASource {
        /// What was named.
        name: String,
        /// Why it is no URL.
        reason: String,
    },
    /// Things were named that are not of one log as a matter of course.
    #[error(
        "{name} cannot be verified together with others: name one URL, one data directory, or \
         several backup files"
    )]
    NotTogether {
        /// The first that is no backup file.
        name: String,
    },
    /// The directory is not one of a log.
    #[error("{} is no data directory: it holds no log", path.display())]
    NotADirectory {
        /// The directory.
        path: PathBuf,
    },
    /// A daemon has the directory open.
    #[error("{0}; a log that is in use is verified at its daemon's URL, as localhost:7421 is")]
    InUse(JournalError),
    /// The directory cannot be opened for a reason that says nothing of the log.
    #[error(transparent)]
    Journal(JournalError),
    /// The backups cannot be read as they were named.
    #[error(transparent)]
    Backup(ChainError),
    /// A file cannot be read.
    #[error("cannot read {name}: {error}")]
    Unreadable {
        /// The file.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// What was given for a key is none.
    #[error("--key {value}: {what}")]
    Key {
        /// What was given.
        value: String,
        /// What it is.
        what: String,
    },
    /// What was given for a public key is the secret one. The text does not hold it.
    #[error("{0}")]
    SecretKey(String),
    /// A checkpoint cannot be used.
    #[error("{name}: {error}")]
    Checkpoint {
        /// The checkpoint.
        name: String,
        /// What is wrong with it.
        error: CheckpointError,
    },
    /// A key or a checkpoint is that of another log.
    #[error(
        "{name} is of log {found}, and this is log {expected}: it says nothing about this one; if \
         this should be the same log, it was put in the other's place"
    )]
    OtherLog {
        /// The key or the checkpoint.
        name: String,
        /// Its log.
        found: LogId,
        /// The log that is verified.
        expected: LogId,
    },
    /// The daemon is not there.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// Something else is there.
    #[error("no stratad answers at {url}: {refusal}")]
    NoDaemon {
        /// Where it was asked.
        url: String,
        /// What came back.
        refusal: Refusal,
    },
    /// The daemon refused, or the connection broke.
    #[error(
        "the verification ended at position {position}: {}\nnothing is said of the commits \
         behind it; run it again",
        remote::words(refusal)
    )]
    Ended {
        /// Up to where it came.
        position: u64,
        /// The daemon's answer.
        refusal: Refusal,
    },
    /// The system refused what the verification needs.
    #[error("cannot start the verification: {0}")]
    System(io::Error),
}

/// What `stratad verify --help` begins with.
pub(super) const LONG_ABOUT: &str = "\
Read a whole log, hash every commit again, and compare the result with what the log says of itself \
and with the checkpoints that you kept. Nobody has to be trusted for that but you: a history that \
was rewritten with all its checksums, or a data directory that was put back to an earlier state, \
leads to another root than your checkpoint, whoever signed what.

A log of a running daemon is read up to its head at the call, and must lead to the checkpoint that \
the daemon signs now. Backups must be whole and go on from one another; an incremental one alone \
is taken to stand on what its header says. A data directory must lead to its high-water mark; no \
daemon may have it open, and nothing is written to it, so that one that is damaged or on a read-only \
medium can be verified where it is.

Checked besides: positions without holes, every checksum, that every commit decodes, that the \
revisions of each plan follow each other, and that recorded times never run backwards. What is \
damaged is named by position, and what can be read behind it is read. Memory grows with the plans, \
about a hundred bytes each, and not with the log.

Signatures are checked with --key and not without. Roots are compared either way, but a checkpoint \
convicts the log only if the log's key signed it: without --key anybody may have written it. A \
backup that ends before a checkpoint says nothing of it.";

/// What `stratad verify --help` ends with.
pub(super) const AFTER_HELP: &str = "\
Examples:
  stratad verify localhost:7421 --key strata.pub --checkpoint monday.checkpoint
  stratad verify full.strata monday.strata --key strata.pub --checkpoint monday.checkpoint
  stratad verify strata-data --checkpoint 2024-01-01.checkpoint --checkpoint monday.checkpoint
  stratad verify strata-data                    # is it whole?

Keep a key and a checkpoint, where nobody who can reach the log can reach them:
  stratad key --data-dir strata-data > strata.pub
  grpcurl -plaintext localhost:7421 strata.v1.AuditService/GetCheckpoint |
    jq -r .checkpoint > monday.checkpoint

Exit status: 0 it holds, 1 it does not, 2 it was not verified: wrong usage, a key or a checkpoint \
that cannot be used or compared, a signature of a key that was not given, no daemon there, a report \
that cannot be written.";

/// What is verified.
enum Source {
    Daemon(Box<Remote>),
    Directory(PathBuf),
    Backups(Vec<PathBuf>),
}

/// Verifies a log and says what came of it.
pub fn run(arguments: &Arguments) -> Result<(), VerifyError> {
    telemetry::init_client();
    let source = Source::of(&arguments.sources, &arguments.way)?;
    let kept = Kept::read(&arguments.keys, &arguments.checkpoints)?;
    let pass = match source {
        Source::Directory(dir) => sources::directory(&dir, &kept)?,
        Source::Backups(paths) => sources::backups(&paths, &kept)?,
        Source::Daemon(remote) => runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(VerifyError::System)?
            .block_on(sources::daemon(&remote, &kept))?,
    };
    let name = arguments.sources.join(" ");
    let report = Report {
        name: &name,
        pass: &pass,
        has_keys: kept.has_keys(),
    };
    let mut stdout = io::stdout().lock();
    let written = write!(stdout, "{report}").and_then(|()| stdout.flush());
    match (pass.verified.verdict(), written) {
        (Verdict::DoesNotHold, _) => Err(VerifyError::DoesNotHold { name }),
        (Verdict::NotVerified, _) => Err(VerifyError::NotVerified { name }),
        // Whoever did not read the verdict should not take the exit status for it.
        (Verdict::Holds, Err(error)) => Err(VerifyError::Output { name, error }),
        (Verdict::Holds, Ok(())) => Ok(()),
    }
}

impl VerifyError {
    /// Whether nothing was found out about the log.
    pub(super) fn is_not_verified(&self) -> bool {
        match self {
            Self::DoesNotHold { .. } => false,
            Self::Backup(error) => !error.is_divergence(),
            Self::NotVerified { .. }
            | Self::Output { .. }
            | Self::NotASource { .. }
            | Self::NotTogether { .. }
            | Self::NotADirectory { .. }
            | Self::InUse(_)
            | Self::Journal(_)
            | Self::Unreadable { .. }
            | Self::Key { .. }
            | Self::SecretKey(_)
            | Self::NoDaemon { .. }
            | Self::Checkpoint { .. }
            | Self::OtherLog { .. }
            | Self::Unreachable(_)
            | Self::Ended { .. }
            | Self::System(_) => true,
        }
    }
}

impl Source {
    fn of(names: &[String], way: &Way) -> Result<Self, VerifyError> {
        let is_file = |name: &&String| Path::new(name.as_str()).is_file();
        let mut others = names.iter().filter(|name| !is_file(name));
        match (others.next(), names.len()) {
            (None, _) => Ok(Self::Backups(names.iter().map(PathBuf::from).collect())),
            (Some(name), 1) => Self::one(name, way),
            (Some(name), _) => {
                Self::one(name, way)?;
                Err(VerifyError::NotTogether { name: name.clone() })
            }
        }
    }

    /// What a name stands for that is not the name of a file.
    fn one(name: &str, way: &Way) -> Result<Self, VerifyError> {
        if Path::new(name).is_dir() {
            return Ok(Self::Directory(name.into()));
        }
        Remote::parse(name)
            .map(|remote| Self::Daemon(Box::new(remote.by(way))))
            .map_err(|reason| VerifyError::NotASource {
                name: name.to_owned(),
                reason: reason.to_string(),
            })
    }
}
