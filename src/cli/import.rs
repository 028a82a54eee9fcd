//! `stratad import`: records the requests of a file, one in JSON a line. The whole file is read and
//! checked before anything is sent, and sending it again records nothing twice.

use std::{
    fmt,
    io::{self, Write as _},
    path::PathBuf,
};

use clap::Args;
use indicatif::ProgressBar;
use tokio::runtime;

use crate::{
    cli::{
        DEFAULT_URL,
        import::{
            lines::{CheckError, LineError, Source},
            send::Sending,
        },
        progress,
        remote::{self, Remote, Unreachable, Way},
    },
    client::refusal::Refusal,
    telemetry,
};

pub mod lines;
pub mod send;

/// What `stratad import` can be told.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file: one strata.v1.ExecuteRequest in proto3 JSON a line; `-` is standard input.
    #[arg(value_name = "FILE.jsonl")]
    pub file: PathBuf,
    /// The daemon; `http://` may be left out.
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL, value_parser = Remote::parse)]
    pub to: Remote,
    /// How it is reached.
    #[command(flatten)]
    pub way: Way,
}

/// What came of the lines that were answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many were recorded now.
    pub recorded: u64,
    /// How many had been recorded before.
    pub replayed: u64,
    /// How many asked for `validate_only` and would have been recorded.
    pub validated: u64,
    /// How many were refused: one at most, as an import ends there.
    pub refused: u64,
}

/// Why an import ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file cannot be imported as it is; nothing was sent.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The file was not the same when it was read again to be sent.
    #[error("the file changed while it was imported: {error}\n{tally}. {AGAIN}")]
    Changed {
        /// What was found.
        error: LineError,
        /// What came of the lines before.
        tally: Tally,
    },
    /// The daemon was not there, or not able to answer, for too long.
    #[error("{reason}\n{tally}. {AGAIN}")]
    Unavailable {
        /// What was last found of it.
        reason: Lost,
        /// What came of the lines before.
        tally: Tally,
    },
    /// The daemon refused a line.
    #[error(
        "line {line} was refused: {}\n{tally}{others}. {MEND}",
        remote::words(refusal)
    )]
    Refused {
        /// The line.
        line: u64,
        /// The daemon's answer.
        refusal: Refusal,
        /// What came of all lines that were sent.
        tally: Tally,
        /// Later lines that were under way when the refusal came.
        others: UnderWay,
    },
    /// The daemon refused the call itself.
    #[error("the import was refused: {}\n{tally}", remote::words(refusal))]
    CallRefused {
        /// The daemon's answer.
        refusal: Refusal,
        /// What came of the lines before.
        tally: Tally,
    },
    /// The system refused what the import needs.
    #[error("cannot start the import: {0}")]
    System(io::Error),
}

/// How a daemon was lost.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// No connection to it could be made.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// It answered, and records nothing for now.
    #[error("{url} refuses for now: {refusal}")]
    Refusing {
        /// Where it is.
        url: String,
        /// What it answered.
        refusal: Refusal,
    },
    /// The connection to it broke.
    #[error("{url} does not answer: {refusal}")]
    Silent {
        /// Where it is.
        url: String,
        /// What the connection ended in.
        refusal: Refusal,
    },
}

impl Lost {
    /// The daemon's answer that it records nothing because of its disk or clock.
    fn hindrance(&self) -> Option<&Refusal> {
        match self {
            Self::Refusing { refusal, .. } => Some(refusal).filter(|it| it.is_hindrance()),
            Self::Unreachable(_) | Self::Silent { .. } => None,
        }
    }
}

/// What became of later lines, of other plans, that were under way when a line was refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnderWay {
    /// How many of them were recorded or replayed all the same.
    pub settled: u64,
    /// Of how many it is not known.
    pub unknown: u64,
}

/// What `stratad import --help` begins with.
pub(super) const LONG_ABOUT: &str = "\
Record the requests of a file: one strata.v1.ExecuteRequest in proto3 JSON a line, with the field \
names of the protos. Blank lines are skipped. The whole file is read before anything is sent, and \
every line that is not a request is reported.

Safe to run twice: what is recorded already is replayed, not recorded again. For that each line \
should have a `request_id`. One without gets an id made of its text and of how many equal lines \
stood before it in the file; so equal lines of one file are all recorded, and a line that comes \
again in another file counts as the same request.

Lines of one plan are sent one after another, lines of different plans together. The first line \
that is refused ends the import, as later ones may depend on it. While the daemon is away for a \
moment the import waits and sends the same requests again.";

/// What `stratad import --help` ends with.
pub(super) const AFTER_HELP: &str = "\
Examples:
  stratad import history.jsonl
  stratad import history.jsonl --to localhost:7500
  stratad export --plan growth | stratad import - --to localhost:7500

A line:
  {\"plan_id\":\"growth\",\"request_id\":\"g-17\",\"occurred_at\":\"2024-05-01T00:00:00Z\",
   \"commands\":[{\"try_tactic\":{\"tactic_id\":\"free-samples\"}}]}      (on one line)";

const AGAIN: &str = "Run the import again: what is recorded is not recorded twice";

const MEND: &str = "Later lines were not sent. Mend the line and run the import again: what is \
                    recorded is not recorded twice";

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} recorded, {} replayed, {} refused",
            self.recorded, self.replayed, self.refused
        )?;
        if self.validated > 0 {
            write!(formatter, ", {} validated only", self.validated)?;
        }
        Ok(())
    }
}

impl Tally {
    /// How many lines were answered.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.recorded + self.replayed + self.validated + self.refused
    }
}

impl fmt::Display for UnderWay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.settled > 0 {
            write!(
                formatter,
                " ({} of these are later lines of other plans that were under way)",
                self.settled
            )?;
        }
        if self.unknown > 0 {
            write!(
                formatter,
                " (not known of {} later lines of other plans that were under way)",
                self.unknown
            )?;
        }
        Ok(())
    }
}

/// Records the requests of a file.
pub fn run(arguments: &Arguments) -> Result<(), ImportError> {
    telemetry::init_client();
    let source = Source::open(&arguments.file)?;
    let lines_count = source.check()?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ImportError::System)?;
    let progress = progress::bar(lines_count, "lines");
    let outcome = runtime.block_on(record(&source, &arguments.to.by(&arguments.way), &progress));
    progress.finish_and_clear();
    let tally = outcome?;
    // The lines are recorded whether or not anyone reads this.
    writeln!(io::stdout(), "{tally}").ok();
    Ok(())
}

/// Records the requests of a source that was checked.
pub async fn record(
    source: &Source,
    to: &Remote,
    progress: &ProgressBar,
) -> Result<Tally, ImportError> {
    Sending::new(to, source.lines()?, progress).run().await
}

/// Records the requests of a source that was checked with a daemon that goes on serving: one that
/// records nothing because of its disk or clock is waited for as long as that lasts.
pub async fn record_patiently(source: &Source, to: &Remote) -> Result<Tally, ImportError> {
    // A bar would be drawn across the log.
    let progress = ProgressBar::hidden();
    let sending = Sending::new(to, source.lines()?, &progress);
    sending.through_hindrances().run().await
}
