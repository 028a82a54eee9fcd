//! The plan as a whole: begun, described, ended, taken up again.

use super::{
    super::plan::{Commitment, Plan},
    CommandContext, Refusal,
    subjects::tactic_rests,
};
use crate::proto::{self, ErrorReason, event::Kind};

/// Begins a plan.
pub(super) fn create(command: &proto::CreatePlan) -> Kind {
    Kind::PlanCreated(proto::PlanCreated {
        title: command.title.clone(),
        summary: command.summary.clone(),
        labels: command.labels.clone(),
    })
}

/// Restates what a plan is called and about.
pub(super) fn describe(command: &proto::DescribePlan) -> Kind {
    Kind::PlanDescribed(proto::PlanDescribed {
        title: command.title.clone(),
        summary: command.summary.clone(),
        labels: command.labels.clone(),
    })
}

/// Ends a plan in which nothing is open.
pub(super) fn archive(
    plan: &Plan,
    command: &proto::ArchivePlan,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    successor_exists(plan, &command.successor_plan_id, context)?;
    for tactic in plan.tactics.values() {
        tactic_rests(tactic, "", context)?;
    }
    if let Some(open) = plan.commitments.values().find(|it| Commitment::is_open(it)) {
        let message = format!(
            "The commitment `{}` is open: keep, miss or release it first.",
            open.commitment_id
        );
        return Err(context
            .refuse_command(ErrorReason::CommitmentOpen, message)
            .about("commitments", &open.commitment_id));
    }
    Ok(Kind::PlanArchived(proto::PlanArchived {
        outcome: command.outcome,
        reason: command.reason.clone(),
        successor_plan_id: command.successor_plan_id.clone(),
    }))
}

/// Takes an archived plan up again.
pub(super) fn reopen(
    plan: &Plan,
    command: &proto::ReopenPlan,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    if !plan.is_archived() {
        return Err(context.refuse_command(
            ErrorReason::PlanNotArchived,
            "The plan is not archived, so it cannot be reopened.",
        ));
    }
    Ok(Kind::PlanReopened(proto::PlanReopened {
        reason: command.reason.clone(),
    }))
}

/// Refuses a successor that does not exist; a plan does not carry on in its own place.
fn successor_exists(
    plan: &Plan,
    successor: &str,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    let exists = || *successor != *plan.plan_id && (context.other_plans)(successor).is_some();
    if successor.is_empty() || exists() {
        return Ok(());
    }
    let message = format!("There is no other plan `{successor}` that could carry on: mend the id.");
    Err(context
        .refuse(ErrorReason::PlanNotFound, "successor_plan_id", message)
        .with("plan_id", successor))
}
