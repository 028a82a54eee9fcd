//! What is left of a log that is not opened, in words: which positions are whole, and by which commands
//! they are brought over without being lost.

use std::fmt;
use std::path::PathBuf;

use super::{JournalError, RESTORE};

/// What can be read of a log that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The data directory.
    pub dir: PathBuf,
    /// The positions from 1 on that are whole; 0: none.
    pub whole: u64,
    /// The position that was acknowledged last; nothing if the mark cannot be read.
    pub marked: Option<u64>,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dir, whole, marked } = self;
        let dir = dir.display();
        let bring_over = format!(
            "`stratad backup FILE --from-dir {dir}` and `stratad restore FILE --data-dir NEW_DIR`"
        );
        match (*whole, *marked) {
            (0, Some(0)) => write!(
                f,
                "no commit can be read, and none was acknowledged; keep the directory, and begin \
                 another"
            ),
            (0, Some(marked)) => write!(
                f,
                "no commit can be read, and position {marked} was acknowledged; keep the directory \
                 as it is; to go on, {RESTORE}"
            ),
            (0, None) => write!(
                f,
                "no commit can be read, and how many were acknowledged is not known; keep the \
                 directory as it is; to go on, {RESTORE}"
            ),
            (whole, Some(marked)) if whole >= marked => write!(
                f,
                "positions 1 to {whole} are whole, and that is all that was acknowledged; keep the \
                 directory as it is; to go on without loss, bring them over by {bring_over}"
            ),
            (whole, Some(marked)) => write!(
                f,
                "positions 1 to {whole} are whole, and position {marked} was acknowledged; keep the \
                 directory as it is, and `stratad verify {dir}` tells what can be read behind them; \
                 to go on, {RESTORE}; if no backup reaches as far, bring over what is whole by \
                 {bring_over}"
            ),
            (whole, None) => write!(
                f,
                "positions 1 to {whole} are whole, and how many were acknowledged is not known; keep \
                 the directory as it is, and compare `stratad verify {dir}` with a checkpoint or a \
                 backup; to go on, bring over what is whole by {bring_over}"
            ),
        }
    }
}

impl JournalError {
    /// What was found, without what is to be done about it.
    #[must_use]
    pub fn found(&self) -> String {
        match self {
            Self::OtherFormat { found, supported } => format!(
                "the data directory has format {found}, and this version reads format {supported}"
            ),
            Self::NoFormat { dir, found } => format!(
                "{} holds {found} but no FORMAT file, so it is not known whose data that is; nothing \
                 in it was changed",
                dir.display()
            ),
            Self::Damaged { what, position } => match position {
                Some(position) => format!("the journal is damaged at position {position}: {what}"),
                None => format!("the journal is damaged: {what}"),
            },
            Self::Shorter { head, marked } => format!(
                "the journal ends at position {head}, but position {marked} was acknowledged: \
                 commits are lost"
            ),
            Self::OtherLog { found, expected } => format!(
                "the high-water mark is that of log {found}, and the journal is log {expected}: \
                 files of two data directories were mixed"
            ),
            Self::Refused { refusal, .. } => refusal.found(),
            Self::Locked { .. }
            | Self::Restoring { .. }
            | Self::NotEmpty { .. }
            | Self::NoRoom { .. }
            | Self::TooLarge { .. }
            | Self::Failed
            | Self::Closed
            | Self::Io { .. }
            | Self::Engine(_) => self.to_string(),
        }
    }

    /// Whether it says that something stored is missing or is not what was written.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::OtherFormat { .. }
            | Self::NoFormat { .. }
            | Self::Damaged { .. }
            | Self::Shorter { .. }
            | Self::OtherLog { .. } => true,
            Self::Refused { .. }
            | Self::Locked { .. }
            | Self::Restoring { .. }
            | Self::NotEmpty { .. }
            | Self::NoRoom { .. }
            | Self::TooLarge { .. }
            | Self::Failed
            | Self::Closed
            | Self::Io { .. }
            | Self::Engine(_) => false,
        }
    }
}
