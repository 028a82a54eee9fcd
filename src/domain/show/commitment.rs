//! The views of commitments.

use super::in_order;
use crate::{
    domain::{
        plan::{Closing, Commitment, CommitmentState, Plan},
        value::Id,
    },
    proto::{self, Notice},
};

pub(super) fn all(plan: &Plan) -> Vec<proto::Commitment> {
    let commitments = in_order(&plan.commitments, |it| it.made_revision);
    commitments.map(Into::into).collect()
}

impl From<&Commitment> for proto::Commitment {
    fn from(commitment: &Commitment) -> Self {
        let (state, closing) = standing(&commitment.state);
        let notice = match &commitment.state {
            CommitmentState::Missed { notice, .. } => *notice,
            CommitmentState::Open
            | CommitmentState::Overdue
            | CommitmentState::Kept(_)
            | CommitmentState::KeptLate(_)
            | CommitmentState::Released(_) => Notice::Unspecified.into(),
        };
        Self {
            commitment_id: commitment.commitment_id.to_string(),
            tactic_id: commitment
                .tactic_id
                .as_ref()
                .map(Id::to_string)
                .unwrap_or_default(),
            state: state.into(),
            assignee: commitment.assignee.clone(),
            made_to: commitment.made_to.clone(),
            promise: commitment.promise.clone(),
            due: Some(commitment.due.into()),
            made_at: Some(commitment.made_at.into()),
            moves: commitment.moves,
            late_moves: commitment.late_moves,
            silent_misses: u32::try_from(commitment.silently_missed.len()).unwrap_or(u32::MAX),
            closed_at: closing.map(|closing| closing.at.into()),
            notice,
            close_reason: closing
                .map(|closing| closing.text.clone())
                .unwrap_or_default(),
            made_revision: commitment.made_revision,
            last_revision: commitment.last_revision,
        }
    }
}

fn standing(state: &CommitmentState) -> (proto::CommitmentState, Option<&Closing>) {
    match state {
        CommitmentState::Open => (proto::CommitmentState::Open, None),
        CommitmentState::Overdue => (proto::CommitmentState::Overdue, None),
        CommitmentState::Kept(closing) => (proto::CommitmentState::Kept, Some(closing)),
        CommitmentState::KeptLate(closing) => (proto::CommitmentState::KeptLate, Some(closing)),
        CommitmentState::Missed { closing, .. } => (proto::CommitmentState::Missed, Some(closing)),
        CommitmentState::Released(closing) => (proto::CommitmentState::Released, Some(closing)),
    }
}
