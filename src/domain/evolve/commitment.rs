//! What events make of the commitments. Whether one was kept in time is told by the due date that
//! holds when it is folded, so that a corrected date or time is enough to set it right.

use std::sync::Arc;

use super::Stamp;
use crate::{
    domain::{
        plan::{Closing, Commitment, CommitmentState, Plan},
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
                silent_misses: 0,
                made_revision: at.revision,
                last_revision: at.revision,
            })
        });
}

pub(super) fn reassigned(plan: &mut Plan, reassigned: &proto::CommitmentReassigned, at: Stamp) {
    if let Some(commitment) = touched(plan, &reassigned.commitment_id, at) {
        commitment.assignee.clone_from(&reassigned.assignee);
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
        if moved.notice() == Notice::AfterDue {
            commitment.late_moves = commitment.late_moves.saturating_add(1);
        }
        commitment.state = CommitmentState::Open;
    }
}

pub(super) fn kept(plan: &mut Plan, kept: &proto::CommitmentKept, at: Stamp) {
    if let Some(commitment) = touched(plan, &kept.commitment_id, at) {
        let closing = closing(&kept.note, at);
        commitment.state = if at.occurred_at <= commitment.due {
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
        commitment.state = CommitmentState::Missed {
            closing: closing(&missed.reason, at),
            notice: missed.notice,
        };
    } else if missed.due.map(Time::from) == Some(commitment.due) {
        commitment.silent_misses = commitment.silent_misses.saturating_add(1);
        commitment.state = CommitmentState::Overdue;
    }
    // Otherwise the date that passed in silence was corrected since, and was never due.
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
