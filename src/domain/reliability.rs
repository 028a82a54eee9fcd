//! How people keep their commitments, counted for each from all that they ever held: what was moved or
//! missed while they held it, and how it ended or stands for who holds it last.

use super::plan::{CommitmentState, Held};
use crate::proto::Notice;

/// How one person keeps commitments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reliability {
    /// Kept by the date that was promised first.
    pub kept: u32,
    /// Kept by a later date that they asked for before the one before was due.
    pub kept_after_notice: u32,
    /// Kept when it was due already, or by a date that was set when one had passed.
    pub kept_late: u32,
    /// Deadlines that they moved before they were due.
    pub moved_with_notice: u32,
    /// Deadlines that they moved when they were due already.
    pub moved_late: u32,
    /// Missed, and said so before it was due.
    pub missed_with_notice: u32,
    /// Missed, and said so when it was due already.
    pub missed_late: u32,
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
    /// Adds what happened to one commitment while somebody held it, and where it stands if it is theirs now.
    pub fn count(&mut self, held: &Held, state: Option<&CommitmentState>) {
        add(&mut self.moved_with_notice, held.moved_with_notice);
        add(&mut self.moved_late, held.moved_late);
        add(&mut self.missed_silently, held.missed_silently);
        if let Some(state) = state {
            let ended = match state {
                CommitmentState::Open => &mut self.open,
                CommitmentState::Overdue => &mut self.overdue,
                CommitmentState::Kept(_) if held.moved_late > 0 || held.missed_silently > 0 => {
                    &mut self.kept_late
                }
                CommitmentState::Kept(_) if held.moved_with_notice > 0 => {
                    &mut self.kept_after_notice
                }
                CommitmentState::Kept(_) => &mut self.kept,
                CommitmentState::KeptLate(_) => &mut self.kept_late,
                CommitmentState::Missed { notice, .. } => match Notice::try_from(*notice) {
                    Ok(Notice::BeforeDue) => &mut self.missed_with_notice,
                    // Who did not say that it was before said it after.
                    Ok(Notice::AfterDue | Notice::Unspecified) | Err(_) => &mut self.missed_late,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            given,
            plan::{Closing, Commitment},
            value::Time,
        },
        proto::event::Kind,
    };

    fn promised() -> Commitment {
        let plan = given::plan([given::created(), given::committed("c", 50)]);
        plan.commitments["c"].as_ref().clone()
    }

    fn of(assignee: &str, commitment: &Commitment) -> Reliability {
        let mut reliability = Reliability::default();
        for held in commitment.held.iter().filter(|it| it.assignee == assignee) {
            let state = (commitment.assignee == assignee).then_some(&commitment.state);
            reliability.count(held, state);
        }
        reliability
    }

    fn closing() -> Closing {
        Closing {
            at: Time::default(),
            text: String::new(),
        }
    }

    /// What Ada did with a commitment that she held like this and that stands like that.
    fn ada(held: Held, state: CommitmentState) -> Reliability {
        let commitment = Commitment {
            held: vec![held],
            state,
            ..promised()
        };
        of("Ada", &commitment)
    }

    #[test]
    fn a_kept_commitment_counts_by_whether_the_date_was_moved_and_when() {
        let kept = |held| ada(held, CommitmentState::Kept(closing()));
        let held = Held::by("Ada");
        assert_eq!(kept(held.clone()).kept, 1);
        let moved = Held {
            moved_with_notice: 2,
            ..held.clone()
        };
        let counted = kept(moved.clone());
        assert_eq!((counted.kept, counted.kept_after_notice), (0, 1));
        assert_eq!(counted.moved_with_notice, 2);
        let late = Held {
            moved_late: 1,
            ..moved.clone()
        };
        assert_eq!(
            (kept(late.clone()).kept_late, kept(late).moved_late),
            (1, 1)
        );
        let silent = Held {
            missed_silently: 1,
            ..held
        };
        let counted = kept(silent);
        assert_eq!((counted.kept_late, counted.missed_silently), (1, 1));
    }

    #[test]
    fn every_state_is_counted_once() {
        let missed = |notice: Notice| CommitmentState::Missed {
            closing: closing(),
            notice: notice.into(),
        };
        let one = |state| ada(Held::by("Ada"), state);
        assert_eq!(one(CommitmentState::Open).open, 1);
        assert_eq!(one(CommitmentState::Overdue).overdue, 1);
        assert_eq!(one(CommitmentState::KeptLate(closing())).kept_late, 1);
        assert_eq!(one(missed(Notice::BeforeDue)).missed_with_notice, 1);
        assert_eq!(one(missed(Notice::AfterDue)).missed_late, 1);
        assert_eq!(one(CommitmentState::Released(closing())).released, 1);
    }

    #[test]
    fn what_happened_counts_for_who_held_it_then_also_under_corrections() {
        let passed_on = |due_seconds| {
            given::plan([
                given::created(),
                given::committed("c", 3),
                Kind::DeadlineMissed(crate::proto::DeadlineMissed {
                    commitment_id: "c".into(),
                    silent: true,
                    due: Some(given::at(3)),
                    ..Default::default()
                }),
                Kind::CommitmentReassigned(crate::proto::CommitmentReassigned {
                    commitment_id: "c".into(),
                    assignee: "Grace".into(),
                    ..Default::default()
                }),
                given::corrected(2, given::committed("c", due_seconds)),
            ])
        };
        let counted = |due_seconds, who| of(who, &passed_on(due_seconds).commitments["c"]);
        let (ada, grace) = (counted(3, "Ada"), counted(3, "Grace"));
        assert_eq!((ada.missed_silently, ada.overdue), (1, 0));
        assert_eq!((grace.missed_silently, grace.overdue), (0, 1));
        // The date was never due.
        let (ada, grace) = (counted(9, "Ada"), counted(9, "Grace"));
        assert_eq!(ada, Reliability::default());
        assert_eq!((grace.overdue, grace.open), (0, 1));
    }
}
