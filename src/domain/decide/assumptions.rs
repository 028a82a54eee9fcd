//! What is taken for true, what speaks for or against it, and what is concluded.

use super::{
    super::plan::{Assumption, AssumptionState, Plan},
    CommandContext, Refusal, bounds,
    subjects::{assumption, ever_had, id_is_new},
};
use crate::proto::{self, Conclusion, ErrorReason, Verdict, event::Kind};

/// States what is taken for true.
pub(super) fn state(
    plan: &Plan,
    command: &proto::StateAssumption,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let id = &command.assumption_id;
    id_is_new(
        plan,
        &plan.assumptions,
        "assumptions",
        id,
        "assumption_id",
        context,
    )?;
    let used = plan.assumptions.len();
    bounds::has_room("assumptions", used, bounds::ASSUMPTIONS_MAX, context)?;
    Ok(Kind::AssumptionStated(proto::AssumptionStated {
        assumption_id: id.clone(),
        statement: command.statement.clone(),
        kind: command.kind,
        load_bearing: command.load_bearing,
        vulnerable: command.vulnerable,
        signpost: command.signpost.clone(),
    }))
}

/// Records what speaks for or against an assumption.
pub(super) fn record_evidence(
    plan: &Plan,
    command: &proto::RecordEvidence,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let id = &command.evidence_id;
    assumption(plan, &command.assumption_id, "assumption_id", context)?;
    id_is_new(plan, &plan.evidence, "evidence", id, "evidence_id", context)?;
    let used = ever_had(plan, &plan.evidence, "evidence");
    bounds::has_room("evidence", used, bounds::EVIDENCE_MAX, context)?;
    Ok(Kind::EvidenceRecorded(proto::EvidenceRecorded {
        evidence_id: id.clone(),
        assumption_id: command.assumption_id.clone(),
        verdict: command.verdict,
        strength: command.strength,
        summary: command.summary.clone(),
        uri: command.uri.clone(),
    }))
}

/// Concludes that an assumption holds or does not; evidence of that verdict must say so.
pub(super) fn conclude(
    plan: &Plan,
    command: &proto::ConcludeAssumption,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let id = &command.assumption_id;
    let concluded = assumption(plan, id, "assumption_id", context)?;
    if concluded.state != AssumptionState::Stated {
        let message = format!("The assumption `{id}` is concluded already: reopen it first.");
        return Err(context
            .refuse(ErrorReason::AlreadyConcluded, "assumption_id", message)
            .about("assumptions", id));
    }
    let (verdict, kind) = match command.conclusion() {
        Conclusion::Supported => (
            Verdict::Supports,
            Kind::AssumptionSupported(proto::AssumptionSupported {
                assumption_id: id.clone(),
            }),
        ),
        Conclusion::Refuted => (
            Verdict::Refutes,
            Kind::AssumptionRefuted(proto::AssumptionRefuted {
                assumption_id: id.clone(),
            }),
        ),
        Conclusion::Unspecified => {
            let message = "Say what is concluded: that it is supported, or that it is refuted.";
            return Err(context.refuse(ErrorReason::MalformedRequest, "conclusion", message));
        }
    };
    if !has_evidence(plan, concluded, verdict) {
        let message = format!(
            "No evidence about the assumption `{id}` has the verdict {}: record it first.",
            verdict.as_str_name()
        );
        return Err(context
            .refuse(ErrorReason::NoEvidence, "conclusion", message)
            .about("assumptions", id));
    }
    Ok(kind)
}

/// Puts a concluded assumption in question again.
pub(super) fn reopen(
    plan: &Plan,
    command: &proto::ReopenAssumption,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let id = &command.assumption_id;
    if assumption(plan, id, "assumption_id", context)?.state == AssumptionState::Stated {
        let message =
            format!("The assumption `{id}` is not concluded: there is nothing to reopen.");
        return Err(context
            .refuse(ErrorReason::NotConcluded, "assumption_id", message)
            .about("assumptions", id));
    }
    Ok(Kind::AssumptionReopened(proto::AssumptionReopened {
        assumption_id: id.clone(),
        reason: command.reason.clone(),
    }))
}

/// The verdict that evidence must have for the conclusion that stands; none while it is open.
pub(super) fn verdict_of(state: AssumptionState) -> Option<Verdict> {
    match state {
        AssumptionState::Stated => None,
        AssumptionState::Supported(_) => Some(Verdict::Supports),
        AssumptionState::Refuted(_) => Some(Verdict::Refutes),
    }
}

/// Whether a piece of evidence about the assumption has this verdict.
pub(super) fn has_evidence(plan: &Plan, assumption: &Assumption, verdict: Verdict) -> bool {
    let pieces = assumption
        .evidence_ids
        .iter()
        .filter_map(|id| plan.evidence.get(id));
    pieces
        .into_iter()
        .any(|piece| piece.verdict == verdict as i32)
}
