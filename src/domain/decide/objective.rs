//! What a plan is to reach, and that it is reached.

use super::{super::plan::Plan, CommandContext, Refusal};
use crate::proto::{self, ErrorReason, event::Kind};

/// Sets the objective, or refines the one that is set.
pub(super) fn set(
    plan: &Plan,
    command: &proto::SetObjective,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let proto::SetObjective {
        statement,
        measure,
        baseline,
        target,
        unit,
        horizon,
        reason,
    } = command.clone();
    if plan.objective.is_none() {
        return Ok(Kind::ObjectiveSet(proto::ObjectiveSet {
            statement,
            measure,
            baseline,
            target,
            unit,
            horizon,
            reason,
        }));
    }
    if reason.trim().is_empty() {
        return Err(context.refuse(
            ErrorReason::ReasonRequired,
            "reason",
            "An objective is set already: say why it is refined.",
        ));
    }
    Ok(Kind::ObjectiveRefined(proto::ObjectiveRefined {
        statement,
        measure,
        baseline,
        target,
        unit,
        horizon,
        reason,
    }))
}

/// Says that the objective is reached.
pub(super) fn mark_met(
    plan: &Plan,
    command: &proto::MarkObjectiveMet,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    if plan.objective.is_none() {
        return Err(context.refuse_command(
            ErrorReason::NoObjective,
            "No objective is set that could be met: set one first.",
        ));
    }
    Ok(Kind::ObjectiveMet(proto::ObjectiveMet {
        evidence: command.evidence.clone(),
    }))
}
