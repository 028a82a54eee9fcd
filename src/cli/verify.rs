//! `stratad verify`: hashes every commit of a log again, from a running daemon, from backups or from a
//! data directory, and compares the result with what the log says of itself and with the checkpoints
//! that an auditor kept.

use std::{
    fmt,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;
use tokio::runtime;

use crate::{
    backup::chain::ChainError,
    cli::{
        remote::{Refusal, Remote, Unreachable},
        verify::{
            checker::{Claim, Outcome, Positions, Verified},
            kept::Kept,
            sources::Pass,
        },
    },
    journal::{JournalError, LogId},
    notary::CheckpointError,
    telemetry,
};

mod checker;
mod kept;
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
    /// What was named is nothing that can be verified.
    #[error(
        "{name} is no file, no directory and no URL with a port, as localhost:7421 is: {reason}"
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
    #[error(
        "--key {value}: neither a public key nor a file of such: it is one line \
         `strata/LOG-ID+HASH+KEY`, as `stratad key` prints it"
    )]
    Key {
        /// What was given.
        value: String,
    },
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
    /// The daemon refused, or the connection broke.
    #[error(
        "the verification ended at position {position}: {refusal}\nnothing is said of the commits \
         behind it; run it again"
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

Signatures are checked with --key and not without. Roots are compared either way.";

/// What `stratad verify --help` ends with.
pub(super) const AFTER_HELP: &str = "\
Examples:
  stratad verify localhost:7421 --key strata.key --checkpoint monday.checkpoint
  stratad verify full.strata monday.strata --key strata.key --checkpoint monday.checkpoint
  stratad verify strata-data --checkpoint 2024-01-01.checkpoint --checkpoint monday.checkpoint
  stratad verify strata-data                    # is it whole?

Keep a key and a checkpoint, where nobody who can reach the log can reach them:
  stratad key --data-dir strata-data > strata.key
  grpcurl -plaintext localhost:7421 strata.v1.AuditService/GetCheckpoint |
    jq -r .checkpoint > monday.checkpoint

Exit status: 0 it holds, 1 it does not, 2 it was not verified: wrong usage, a key or a checkpoint \
that cannot be used, no daemon there.";

/// What is verified.
enum Source {
    Daemon(Box<Remote>),
    Directory(PathBuf),
    Backups(Vec<PathBuf>),
}

/// Verifies a log and says what came of it.
pub fn run(arguments: &Arguments) -> Result<(), VerifyError> {
    telemetry::init_client();
    let source = Source::of(&arguments.sources)?;
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
    // The exit status speaks where nobody reads this.
    write!(io::stdout(), "{report}").ok();
    if pass.verified.holds() {
        Ok(())
    } else {
        Err(VerifyError::DoesNotHold { name })
    }
}

impl VerifyError {
    /// Whether nothing was found out about the log.
    pub(super) fn is_not_verified(&self) -> bool {
        match self {
            Self::DoesNotHold { .. } => false,
            Self::NotASource { .. }
            | Self::NotTogether { .. }
            | Self::NotADirectory { .. }
            | Self::InUse(_)
            | Self::Journal(_)
            | Self::Backup(_)
            | Self::Unreadable { .. }
            | Self::Key { .. }
            | Self::Checkpoint { .. }
            | Self::OtherLog { .. }
            | Self::Unreachable(_)
            | Self::Ended { .. }
            | Self::System(_) => true,
        }
    }
}

impl Source {
    fn of(names: &[String]) -> Result<Self, VerifyError> {
        let is_file = |name: &&String| Path::new(name.as_str()).is_file();
        let mut others = names.iter().filter(|name| !is_file(name));
        match (others.next(), names.len()) {
            (None, _) => Ok(Self::Backups(names.iter().map(PathBuf::from).collect())),
            (Some(name), 1) => Self::one(name),
            (Some(name), _) => {
                Self::one(name)?;
                Err(VerifyError::NotTogether { name: name.clone() })
            }
        }
    }

    /// What a name stands for that is not the name of a file.
    fn one(name: &str) -> Result<Self, VerifyError> {
        if Path::new(name).is_dir() {
            return Ok(Self::Directory(name.into()));
        }
        Remote::parse(name)
            .map(|remote| Self::Daemon(Box::new(remote)))
            .map_err(|reason| VerifyError::NotASource {
                name: name.to_owned(),
                reason,
            })
    }
}

/// What came of a verification, for people; the last line says it all.
struct Report<'a> {
    name: &'a str,
    pass: &'a Pass,
    has_keys: bool,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pass { log_id, verified } = self.pass;
        match log_id {
            None if verified.commits == 0 => {
                writeln!(formatter, "{}: no commit can be read", self.name)?;
            }
            None => {
                writeln!(formatter, "{}: a log without its id", self.name)?;
                write_counts(formatter, verified)?;
            }
            Some(log_id) => {
                writeln!(formatter, "{}: log {log_id}", self.name)?;
                write_counts(formatter, verified)?;
            }
        }
        for (claim, outcome) in &verified.claims {
            write_claim(formatter, claim, *outcome)?;
        }
        for finding in &verified.findings {
            writeln!(formatter, "DAMAGED  {finding}")?;
        }
        if verified.more_findings > 0 {
            writeln!(formatter, "and {} more like these", verified.more_findings)?;
        }
        if !self.has_keys {
            writeln!(formatter, "signatures were not checked: there is no --key")?;
        }
        if verified.holds() {
            writeln!(formatter, "HOLDS: {} commits", verified.commits)
        } else {
            writeln!(formatter, "DOES NOT HOLD: {}", Reasons(verified))
        }
    }
}

fn write_counts(formatter: &mut fmt::Formatter<'_>, verified: &Verified) -> fmt::Result {
    let Verified {
        commits,
        plans,
        head,
        ..
    } = verified;
    if verified.before > 0 {
        writeln!(
            formatter,
            "positions 1 to {} are not in these files, and stand for what their header says",
            verified.before
        )?;
    }
    write!(formatter, "{commits} commits of {plans} plans are whole")?;
    for (number, range) in verified.whole.iter().enumerate() {
        let before = if number == 0 { ": " } else { ", " };
        write!(formatter, "{before}{}", Positions(range))?;
    }
    writeln!(formatter)?;
    match verified.root {
        Some(root) => writeln!(formatter, "root at position {head}: {}", hex::encode(root)),
        None => writeln!(
            formatter,
            "no root at position {head}: commits before it are not known"
        ),
    }
}

fn write_claim(formatter: &mut fmt::Formatter<'_>, claim: &Claim, outcome: Outcome) -> fmt::Result {
    let Claim { name, size, .. } = claim;
    let verdict = match outcome {
        Outcome::Holds => "holds   ",
        Outcome::Differs { .. } | Outcome::Beyond { .. } => "CONVICTS",
        Outcome::NotCompared => "UNKNOWN ",
    };
    write!(formatter, "{verdict} {name}, of {size} commits")?;
    if !claim.signature.is_empty() {
        write!(formatter, " ({})", claim.signature)?;
    }
    match outcome {
        Outcome::Holds => writeln!(formatter),
        Outcome::Differs { found } => writeln!(
            formatter,
            ": these commits are not those of the log: it had root {} and has {}",
            hex::encode(claim.root),
            hex::encode(found)
        ),
        Outcome::Beyond { head } => writeln!(
            formatter,
            ": the log ends at position {head}: commits were taken back"
        ),
        Outcome::NotCompared => writeln!(
            formatter,
            ": cannot be compared, as commits before it are not known"
        ),
    }
}

/// Why a log does not hold, in half a line.
struct Reasons<'a>(&'a Verified);

impl fmt::Display for Reasons<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verified {
            claims,
            findings,
            more_findings,
            ..
        } = self.0;
        let is_convicting = |outcome: &Outcome| match outcome {
            Outcome::Differs { .. } | Outcome::Beyond { .. } => true,
            Outcome::Holds | Outcome::NotCompared => false,
        };
        let outcomes = || claims.iter().map(|(_, outcome)| outcome);
        let convicting = outcomes().filter(|it| is_convicting(it)).count();
        let unknown = outcomes().filter(|it| **it == Outcome::NotCompared).count();
        let damaged = findings.len() as u64 + more_findings;
        let counts = [
            (convicting as u64, "checked against it, and convicting"),
            (unknown as u64, "that cannot be compared"),
            (damaged, "damaged or wrong"),
        ];
        let mut separator = "";
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            write!(formatter, "{separator}{count} {what}")?;
            separator = ", ";
        }
        Ok(())
    }
}
