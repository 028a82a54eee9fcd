//! Revisions that are proposed, and declined.

use super::{
    super::plan::{Plan, ProposalState},
    CommandContext, Refusal,
    subjects::{id_is_new, proposal, strategy, strategy_is_live},
};
use crate::proto::{self, ErrorReason, event::Kind};

/// Proposes a revision without making it.
pub(super) fn propose(
    plan: &Plan,
    command: &proto::ProposeRevision,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let id = &command.proposal_id;
    let about = strategy(plan, &command.strategy_id, "strategy_id", context)?;
    id_is_new(
        plan,
        &plan.proposals,
        "proposals",
        id,
        "proposal_id",
        context,
    )?;
    strategy_is_live(about, "strategy_id", context)?;
    Ok(Kind::RevisionProposed(proto::RevisionProposed {
        strategy_id: command.strategy_id.clone(),
        proposal_id: id.clone(),
        intent: command.intent.clone(),
        reason: command.reason.clone(),
    }))
}

/// Declines a proposed revision. That clears the table also after its strategy has ended.
pub(super) fn decline(
    plan: &Plan,
    command: &proto::DeclineRevision,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let id = &command.proposal_id;
    if proposal(plan, id, "proposal_id", context)?.state != ProposalState::Open {
        return Err(not_open(id, context));
    }
    Ok(Kind::RevisionDeclined(proto::RevisionDeclined {
        proposal_id: id.clone(),
        reason: command.reason.clone(),
    }))
}

/// The refusal of a proposal that is answered, or is another strategy's.
pub(super) fn not_open(id: &str, context: &CommandContext<'_>) -> Refusal {
    let message = format!(
        "The proposal `{id}` is answered already or belongs to another strategy: name an open one."
    );
    context
        .refuse(ErrorReason::ProposalNotOpen, "proposal_id", message)
        .about("proposals", id)
}
