//! How people keep their commitments, counted for each from all that they ever held: what was moved or
//! missed while they held it, and how it ended or stands for who holds it last.

use super::plan::{Commitment, CommitmentState};
use crate::proto::Notice;

/// How one person keeps commitments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reliability {
    /// Kept by the date that was due then, which they had not moved before it was due.
    pub kept: u32,
    /// Kept by a date that they had moved before the one before it was due.
    pub kept_after_notice: u32,
    /// Kept after it was due.
    pub kept_late: u32,
    /// Deadlines that they moved before they were due.
    pub moved_with_notice: u32,
    /// Deadlines that they moved when they were due already.
    pub moved_late: u32,
    /// Missed, and said so before it was due.
    pub missed_with_notice_before_due: u32,
    /// Missed, and said so when it was due already.
    pub missed_with_notice_after_due: u32,
    /// Due dates that passed without a word.
    pub missed_silently: u32,
    /// They were let off.
    pub released: u32,
    /// Promised and not due yet, or not known to have passed.
    pub open: u32,
    /// Open, and its due date passed in silence.
    pub overdue: u32,
}

impl Reliability {
    /// What `assignee` did with these commitments.
    #[must_use]
    pub fn of<'a>(assignee: &str, commitments: impl IntoIterator<Item = &'a Commitment>) -> Self {
        let mut reliability = Self::default();
        for commitment in commitments {
            reliability.count(assignee, commitment);
        }
        reliability
    }

    /// Adds what `assignee` did with one commitment; nothing if they never held it.
    pub fn count(&mut self, assignee: &str, commitment: &Commitment) {
        for held in &commitment.held {
            if held.assignee == assignee {
                add(&mut self.moved_with_notice, held.moved_with_notice);
                add(&mut self.moved_late, held.moved_late);
                add(&mut self.missed_silently, held.missed_silently);
            }
        }
        let last = commitment.held.last();
        if let Some(last) = last.filter(|held| held.assignee == assignee) {
            let ended = match &commitment.state {
                CommitmentState::Open => &mut self.open,
                CommitmentState::Overdue => &mut self.overdue,
                CommitmentState::Kept(_) if last.moved_with_notice > 0 => {
                    &mut self.kept_after_notice
                }
                CommitmentState::Kept(_) => &mut self.kept,
                CommitmentState::KeptLate(_) => &mut self.kept_late,
                CommitmentState::Missed { notice, .. } => match Notice::try_from(*notice) {
                    Ok(Notice::BeforeDue) => &mut self.missed_with_notice_before_due,
                    // Who did not say that it was before said it after.
                    Ok(Notice::AfterDue | Notice::Unspecified) | Err(_) => {
                        &mut self.missed_with_notice_after_due
                    }
                },
                CommitmentState::Released(_) => &mut self.released,
            };
            add(ended, 1);
        }
    }
}

fn add(count: &mut u32, more: u32) {
    *count = count.saturating_add(more);
}
