//! What events make of the commitments. Whether one was kept in time is told by the due date that
//! holds when it is folded, so that a corrected date or time is enough to set it right.

use std::sync::Arc;

use super::Stamp;
use crate::{
    domain::{
        plan::{Closing, Commitment, CommitmentState, Held, Plan},
        value::Time,
    },
    proto::{self, Notice},
};

pub(super) fn made(plan: &mut Plan, made: &proto::CommitmentMade, at: Stamp) {
    let commitment_id = made.commitment_id.as_str().into();
    plan.commitments
        .entry(commitment_id)
        .or_insert_with_key(|id| {
            Arc::new(Commitment {
                commitment_id: id.clone(),
                tactic_id: (!made.tactic_id.is_empty()).then(|| made.tactic_id.as_str().into()),
                state: CommitmentState::Open,
                assignee: made.assignee.clone(),
                made_to: made.made_to.clone(),
                promise: made.promise.clone(),
                due: made.due.map_or_else(Time::default, Into::into),
                made_at: at.occurred_at,
                moves: 0,
                late_moves: 0,
                silently_missed: Vec::new(),
                held: vec![Held::by(&made.assignee)],
                made_revision: at.revision,
                last_revision: at.revision,
            })
        });
}

pub(super) fn reassigned(plan: &mut Plan, reassigned: &proto::CommitmentReassigned, at: Stamp) {
    if let Some(commitment) = touched(plan, &reassigned.commitment_id, at) {
        commitment.assignee.clone_from(&reassigned.assignee);
        let holder = &reassigned.assignee;
        let held = commitment.held.iter().position(|it| it.assignee == *holder);
        let held = held.map_or_else(|| Held::by(holder), |place| commitment.held.remove(place));
        commitment.held.push(held);
    }
}

pub(super) fn released(plan: &mut Plan, released: &proto::CommitmentReleased, at: Stamp) {
    if let Some(commitment) = touched(plan, &released.commitment_id, at) {
        commitment.state = CommitmentState::Released(closing(&released.reason, at));
    }
}

/// A moved commitment is open again, also when its old date had passed.
pub(super) fn moved(plan: &mut Plan, moved: &proto::DeadlineMoved, at: Stamp) {
    if let Some(commitment) = touched(plan, &moved.commitment_id, at) {
        commitment.due = moved.new.map_or_else(Time::default, Into::into);
        commitment.moves = commitment.moves.saturating_add(1);
        let late = moved.notice() == Notice::AfterDue;
        if late {
            commitment.late_moves = commitment.late_moves.saturating_add(1);
        }
        if let Some(holder) = commitment.held.last_mut() {
            let count = if late {
                &mut holder.moved_late
            } else {
                &mut holder.moved_with_notice
            };
            *count = count.saturating_add(1);
        }
        commitment.state = CommitmentState::Open;
    }
}

pub(super) fn kept(plan: &mut Plan, kept: &proto::CommitmentKept, at: Stamp) {
    if let Some(commitment) = touched(plan, &kept.commitment_id, at) {
        let closing = closing(&kept.note, at);
        commitment.state = if at.occurred_at <= commitment.due {
            was_not_silent(commitment);
            CommitmentState::Kept(closing)
        } else {
            CommitmentState::KeptLate(closing)
        };
    }
}

pub(super) fn missed(plan: &mut Plan, missed: &proto::DeadlineMissed, at: Stamp) {
    let Some(commitment) = touched(plan, &missed.commitment_id, at) else {
        return;
    };
    if !missed.silent {
        if missed.notice() == Notice::BeforeDue {
            was_not_silent(commitment);
        }
        commitment.state = CommitmentState::Missed {
            closing: closing(&missed.reason, at),
            notice: missed.notice,
        };
    } else if missed.due.map(Time::from) == Some(commitment.due) {
        pass_in_silence(commitment);
        commitment.state = CommitmentState::Overdue;
    }
    // Otherwise the date that passed in silence was corrected since, and was never due.
}

/// Takes back that the due date passed in silence: what was done or said before it was only recorded
/// after it.
fn was_not_silent(commitment: &mut Commitment) {
    let due = commitment.due;
    let Some(place) = commitment.silently_missed.iter().position(|it| *it == due) else {
        return;
    };
    commitment.silently_missed.remove(place);
    let mut holders = commitment.held.iter_mut().rev();
    if let Some(held) = holders.find(|held| held.missed_silently > 0) {
        held.missed_silently -= 1;
    }
}

/// Counts the due date as one that passed in silence. A date counts once, also when the commitment was
/// moved away from it and back.
fn pass_in_silence(commitment: &mut Commitment) {
    if commitment.silently_missed.contains(&commitment.due) {
        return;
    }
    commitment.silently_missed.push(commitment.due);
    if let Some(holder) = commitment.held.last_mut() {
        holder.missed_silently = holder.missed_silently.saturating_add(1);
    }
}

fn touched<'a>(plan: &'a mut Plan, commitment_id: &str, at: Stamp) -> Option<&'a mut Commitment> {
    let commitment = Arc::make_mut(plan.commitments.get_mut(commitment_id)?);
    commitment.last_revision = at.revision;
    Some(commitment)
}

fn closing(text: &str, at: Stamp) -> Closing {
    Closing {
        at: at.occurred_at,
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{evolve::fold, given},
        proto::{Event, event::Kind},
    };

    /// A commitment made at 2 that is due at 50, and what became of it: what, and at which second.
    fn commitment(later: impl IntoIterator<Item = (i64, Kind)>) -> Commitment {
        let mut history = given::history([given::created(), given::committed("c", 50)]);
        for (revision, (seconds, kind)) in (3..).zip(later) {
            history.push(Event {
                occurred_at: Some(given::at(seconds)),
                ..given::event(revision, kind)
            });
        }
        let plan = fold("growth".into(), &history);
        plan.commitments["c"].as_ref().clone()
    }

    fn kept() -> Kind {
        Kind::CommitmentKept(proto::CommitmentKept {
            commitment_id: "c".into(),
            note: "All of them".into(),
        })
    }

    fn lapsed(due_seconds: i64) -> Kind {
        Kind::DeadlineMissed(proto::DeadlineMissed {
            commitment_id: "c".into(),
            silent: true,
            due: Some(given::at(due_seconds)),
            ..proto::DeadlineMissed::default()
        })
    }

    fn moved(new_seconds: i64, notice: Notice) -> Kind {
        Kind::DeadlineMoved(proto::DeadlineMoved {
            commitment_id: "c".into(),
            old: Some(given::at(50)),
            new: Some(given::at(new_seconds)),
            reason: "The mill is late".into(),
            notice: notice.into(),
        })
    }

    fn closing(seconds: i64, text: &str) -> Closing {
        Closing {
            at: given::at(seconds).into(),
            text: text.into(),
        }
    }

    #[test]
    fn a_commitment_is_open_when_made() {
        let made = commitment([]);
        assert!(made.is_open());
        assert_eq!(made.state, CommitmentState::Open);
        assert_eq!(made.due, given::at(50).into());
        assert_eq!(made.made_at, given::at(2).into());
        assert_eq!((made.made_revision, made.last_revision), (2, 2));
    }

    #[test]
    fn a_reassigned_commitment_is_another_persons() {
        let reassigning = Kind::CommitmentReassigned(proto::CommitmentReassigned {
            commitment_id: "c".into(),
            assignee: "Grace".into(),
            reason: "Ada is ill".into(),
        });
        let reassigned = commitment([(10, reassigning)]);
        assert_eq!(reassigned.assignee, "Grace");
        assert_eq!(reassigned.last_revision, 3);
    }

    #[test]
    fn what_happened_counts_for_who_held_it_then() {
        let reassigning = Kind::CommitmentReassigned(proto::CommitmentReassigned {
            commitment_id: "c".into(),
            assignee: "Grace".into(),
            reason: "Ada is ill".into(),
        });
        let passed_on = commitment([
            (40, moved(60, Notice::BeforeDue)),
            (61, lapsed(60)),
            (62, moved(70, Notice::AfterDue)),
            (63, reassigning),
            (71, lapsed(70)),
        ]);
        let held = |assignee, moved_with_notice, moved_late, missed_silently| Held {
            moved_with_notice,
            moved_late,
            missed_silently,
            ..Held::by(assignee)
        };
        assert_eq!(
            passed_on.held,
            [held("Ada", 1, 1, 1), held("Grace", 0, 0, 1)]
        );
    }

    #[test]
    fn who_holds_it_again_goes_on_with_what_happened_before() {
        let passed_to = |assignee: &str| {
            Kind::CommitmentReassigned(proto::CommitmentReassigned {
                commitment_id: "c".into(),
                assignee: assignee.into(),
                reason: "Holidays".into(),
            })
        };
        let passed_on = commitment([
            (40, moved(60, Notice::BeforeDue)),
            (41, passed_to("Grace")),
            (42, passed_to("Grace")),
            (43, passed_to("Ada")),
            (44, moved(70, Notice::BeforeDue)),
        ]);
        let ada = Held {
            moved_with_notice: 2,
            ..Held::by("Ada")
        };
        assert_eq!(passed_on.held, [Held::by("Grace"), ada]);
    }

    #[test]
    fn a_due_date_passes_in_silence_once_also_when_it_was_moved_away_and_back() {
        let back = commitment([
            (51, lapsed(50)),
            (52, moved(60, Notice::AfterDue)),
            (53, moved(50, Notice::BeforeDue)),
            (54, lapsed(50)),
        ]);
        assert_eq!(back.state, CommitmentState::Overdue);
        assert_eq!(back.silently_missed, [given::at(50).into()]);
        assert_eq!(back.held[0].missed_silently, 1);
    }

    #[test]
    fn kept_at_due_is_in_time() {
        let at = |seconds| commitment([(seconds, kept())]).state;
        assert_eq!(at(50), CommitmentState::Kept(closing(50, "All of them")));
        assert_eq!(
            at(51),
            CommitmentState::KeptLate(closing(51, "All of them"))
        );
    }

    #[test]
    fn a_silent_miss_leaves_it_open() {
        let overdue = commitment([(51, lapsed(50))]);
        assert_eq!(overdue.state, CommitmentState::Overdue);
        assert!(overdue.is_open());
        assert_eq!(overdue.silently_missed, [given::at(50).into()]);
    }

    #[test]
    fn what_was_kept_or_said_in_time_was_not_silent_though_it_was_recorded_late() {
        let silence = |later: (i64, Kind)| {
            let commitment = commitment([(51, lapsed(50)), later]);
            let silent: u32 = commitment
                .held
                .iter()
                .map(|held| held.missed_silently)
                .sum();
            (commitment.silently_missed.len(), silent)
        };
        assert_eq!(silence((50, kept())), (0, 0));
        assert_eq!(silence((52, kept())), (1, 1));
        let missed = |notice: Notice| {
            Kind::DeadlineMissed(proto::DeadlineMissed {
                commitment_id: "c".into(),
                due: Some(given::at(50)),
                notice: notice.into(),
                ..proto::DeadlineMissed::default()
            })
        };
        assert_eq!(silence((49, missed(Notice::BeforeDue))), (0, 0));
        assert_eq!(silence((53, missed(Notice::AfterDue))), (1, 1));
    }

    #[test]
    fn a_moved_commitment_is_open_again_and_counts_its_moves() {
        let moved = commitment([
            (40, moved(60, Notice::BeforeDue)),
            (61, lapsed(60)),
            (62, moved(70, Notice::AfterDue)),
        ]);
        assert_eq!(moved.state, CommitmentState::Open);
        assert_eq!(moved.due, given::at(70).into());
        assert_eq!((moved.moves, moved.late_moves), (2, 1));
        assert_eq!(moved.silently_missed, [given::at(60).into()]);
        assert_eq!(moved.last_revision, 5);
    }

    #[test]
    fn a_miss_with_notice_closes_it() {
        let missing = Kind::DeadlineMissed(proto::DeadlineMissed {
            commitment_id: "c".into(),
            silent: false,
            due: Some(given::at(50)),
            notice: Notice::BeforeDue.into(),
            reason: "The mill burnt down".into(),
        });
        let missed = commitment([(30, missing)]);
        let expected = CommitmentState::Missed {
            closing: closing(30, "The mill burnt down"),
            notice: Notice::BeforeDue.into(),
        };
        assert_eq!(missed.state, expected);
        assert!(missed.silently_missed.is_empty());
    }

    #[test]
    fn a_released_commitment_is_closed() {
        let releasing = Kind::CommitmentReleased(proto::CommitmentReleased {
            commitment_id: "c".into(),
            reason: "Not needed".into(),
        });
        let released = commitment([(30, releasing)]);
        let expected = CommitmentState::Released(closing(30, "Not needed"));
        assert_eq!(released.state, expected);
    }

    #[test]
    fn a_corrected_due_date_tells_anew_whether_it_was_kept_in_time() {
        let later_due = given::corrected(2, given::committed("c", 60));
        let corrected = commitment([(51, lapsed(50)), (55, kept()), (56, later_due)]);
        let expected = CommitmentState::Kept(closing(55, "All of them"));
        assert_eq!(corrected.state, expected);
        assert!(corrected.silently_missed.is_empty());
    }

    #[test]
    fn a_retracted_end_leaves_it_as_it_was_before() {
        let retracted = commitment([(51, lapsed(50)), (52, kept()), (53, given::retracted(4))]);
        assert_eq!(retracted.state, CommitmentState::Overdue);
        assert_eq!(retracted.last_revision, 3);
    }
}
