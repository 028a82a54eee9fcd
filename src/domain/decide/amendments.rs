//! Corrections and retractions of earlier events. Both make the plan what it would be had the event
//! been recorded otherwise, so both are refused where that plan would contradict itself.

use super::{
    super::plan::{Amendment, AttemptState, Plan, ProposalState, Tactic},
    CommandContext, Refusal, assumptions, bounds,
    correctable::{completed, keeps_references},
    indicators::unit_matches,
    subjects,
};
use crate::{
    domain::{evolve, value::Time},
    proto::{self, Cause, CauseRole, ErrorReason, Event, event::Kind},
};

pub(super) mod coherence;
mod story;

#[cfg(test)]
mod tests;

/// Corrects an earlier event: texts, values and times may differ, what others hang on may not.
pub(super) fn correct(
    plan: &Plan,
    command: &proto::CorrectEvent,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let revision = command.revision;
    let event = target(plan, revision, context)?;
    let Some((recorded, _)) = standing(plan, event, context) else {
        return Err(retracted_already(revision, context));
    };
    let Some(replacement) = command.replacement.as_ref().and_then(|it| it.kind.clone()) else {
        let message = "The replacement says nothing: send the whole event as it should have been.";
        return Err(context.refuse(ErrorReason::MalformedRequest, "replacement", message));
    };
    let occurred_at = command.occurred_at.map(|at| context.now.min(at.into()));
    let happened_at = occurred_at.unwrap_or_else(|| occurred(event));
    let replacement = completed(recorded, replacement, happened_at);
    if !keeps_references(recorded, &replacement) {
        let message = format!(
            "A correction changes texts, values and times only: keep the kind of event {revision}, \
             its ids, its lists of ids and its numbers, or record what happened anew."
        );
        return Err(not_correctable(revision, "replacement", message, context));
    }
    values_fit(plan, revision, recorded, &replacement, context)?;
    story::holds_with(plan, revision, (&replacement, happened_at), context)?;
    let replacement = Event {
        kind: Some(replacement),
        ..Event::default()
    };
    Ok(Kind::EventCorrected(Box::new(proto::EventCorrected {
        revision,
        replacement: Some(Box::new(replacement)),
        occurred_at: occurred_at.map(Into::into),
        occurred_precision: occurred_at.map_or(0, |_| command.occurred_precision),
        reason: command.reason.clone(),
    })))
}

/// Retracts an earlier event on which no other rests.
pub(super) fn retract(
    plan: &Plan,
    command: &proto::RetractEvent,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let revision = command.revision;
    let event = target(plan, revision, context)?;
    let Some((recorded, _)) = standing(plan, event, context) else {
        return Err(retracted_already(revision, context));
    };
    if !can_be_retracted(plan, recorded, revision) {
        let why = if is_of_a_kind_to_retract(recorded) {
            "because others rest on it"
        } else {
            "because a plan may rest on any event of its type"
        };
        let message = format!(
            "Event {revision} cannot be retracted, {why}: correct it, or record what undoes it."
        );
        return Err(not_correctable(revision, "revision", message, context));
    }
    Ok(Kind::EventRetracted(proto::EventRetracted {
        revision,
        reason: command.reason.clone(),
    }))
}

/// The cause by which an amendment names its target; none when the request names it already, and
/// for all other kinds.
pub(super) fn cause_of(plan: &Plan, kind: &Kind, context: &CommandContext<'_>) -> Option<Cause> {
    let revision = evolve::amended(kind)?;
    let is_named = |cause: &Cause| {
        cause.revision == revision
            && cause.role() == CauseRole::Corrects
            && (cause.plan_id.is_empty() || *cause.plan_id == *plan.plan_id)
    };
    (!context.because.iter().any(is_named)).then(|| Cause {
        plan_id: String::new(),
        revision,
        role: CauseRole::Corrects as i32,
    })
}

/// Refuses an amendment that leaves the plan contradicting itself.
pub(super) fn leaves_coherent(
    after: &Plan,
    event: &Event,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    if let Some(contradiction) = coherence::contradiction(after) {
        let revision = event
            .kind
            .as_ref()
            .and_then(evolve::amended)
            .unwrap_or_default();
        let message = format!("Without event {revision} as it stands {contradiction}.");
        return Err(not_correctable(revision, "revision", message, context));
    }
    bounds::holders_fit(after, event, context)?;
    bounds::open_commitments_fit(after, context)
}

/// The event to amend: recorded before this request, no amendment itself, and not retracted.
fn target<'a>(
    plan: &Plan,
    revision: u64,
    context: &CommandContext<'a>,
) -> Result<&'a Event, Refusal> {
    let recorded = (1..=context.recorded_revision).contains(&revision);
    let Some(event) = event_at(revision, context).filter(|_| recorded) else {
        let message = format!(
            "The plan `{}` has no event {revision} that is recorded already, its last is {}: mend the \
             revision.",
            plan.plan_id, context.recorded_revision
        );
        return Err(context
            .refuse(ErrorReason::RevisionNotFound, "revision", message)
            .with("revision", revision.to_string()));
    };
    if evolve::is_amendment(event) {
        let message = format!(
            "Event {revision} is a correction or retraction itself: amend the event it is about."
        );
        return Err(not_correctable(revision, "revision", message, context));
    }
    Ok(event)
}

/// What an event says as last corrected, and when it happened; none when it is retracted.
fn standing<'a>(
    plan: &Plan,
    event: &'a Event,
    context: &CommandContext<'a>,
) -> Option<(&'a Kind, Time)> {
    match plan.amendments.get(&event.revision) {
        None => Some((event.kind.as_ref()?, occurred(event))),
        Some(Amendment::Retracted(_)) => None,
        Some(Amendment::Corrected(by)) => {
            let Some(Kind::EventCorrected(correction)) = &event_at(*by, context)?.kind else {
                return None;
            };
            let kind = correction.replacement.as_ref()?.kind.as_ref()?;
            let happened_at = correction.occurred_at.map(Time::from);
            Some((kind, happened_at.unwrap_or_else(|| occurred(event))))
        }
    }
}

fn event_at<'a>(revision: u64, context: &CommandContext<'a>) -> Option<&'a Event> {
    let at = |events: &'a [Event], before: u64| {
        let index = usize::try_from(revision.checked_sub(before)?.checked_sub(1)?).ok()?;
        events.get(index).filter(|event| event.revision == revision)
    };
    at(context.history, 0).or_else(|| at(context.commit, context.recorded_revision))
}

fn occurred(event: &Event) -> Time {
    event.occurred_at.map_or_else(Time::default, Time::from)
}

/// Refuses values that would not fit to what else was recorded.
fn values_fit(
    plan: &Plan,
    revision: u64,
    recorded: &Kind,
    replacement: &Kind,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    if let Kind::MeasurementRecorded(it) = replacement {
        let field = "replacement.measurement_recorded";
        let measured = subjects::indicator(
            plan,
            &it.indicator_id,
            &format!("{field}.indicator_id"),
            context,
        )?;
        return unit_matches(measured, &it.unit, &format!("{field}.unit"), context);
    }
    let misfit = if let Kind::ObjectiveSet(it) = replacement {
        lacks_measure(it.target, &it.measure)
    } else if let Kind::ObjectiveRefined(it) = replacement {
        lacks_measure(it.target, &it.measure)
    } else if let Kind::IndicatorDefined(it) = replacement {
        is_measured_otherwise(plan, &it.indicator_id, &it.unit)
    } else if let Kind::IndicatorReplaced(it) = replacement {
        is_measured_otherwise(plan, &it.indicator_id, &it.unit)
    } else if let (Kind::EvidenceRecorded(was), Kind::EvidenceRecorded(it)) =
        (recorded, replacement)
    {
        (was.verdict != it.verdict && bears_conclusion(plan, was))
            .then_some("a conclusion rests on this verdict: reopen the assumption first")
    } else {
        None
    };
    misfit.map_or(Ok(()), |why| {
        let message = format!("Event {revision} cannot be corrected in this way, because {why}.");
        Err(not_correctable(revision, "replacement", message, context))
    })
}

fn lacks_measure(target: Option<f64>, measure: &str) -> Option<&'static str> {
    (target.is_some() && measure.trim().is_empty())
        .then_some("a target needs a measure: say what is measured")
}

fn is_measured_otherwise(plan: &Plan, indicator_id: &str, unit: &str) -> Option<&'static str> {
    let indicator = plan.indicators.get(indicator_id)?;
    (indicator.measurements > 0 && indicator.unit != unit)
        .then_some("measurements are recorded in this unit: replace the indicator instead")
}

/// Whether the plan can be as if the event had not happened: no other event was decided because of
/// it, or none since.
fn can_be_retracted(plan: &Plan, recorded: &Kind, revision: u64) -> bool {
    if let Kind::EvidenceRecorded(evidence) = recorded {
        return !bears_conclusion(plan, evidence);
    }
    if let Kind::RevisionProposed(proposed) = recorded {
        let proposal = plan.proposals.get(proposed.proposal_id.as_str());
        return proposal.is_some_and(|it| it.state == ProposalState::Open);
    }
    if let Some(tactic_id) = attempted(recorded) {
        let tactic = plan.tactics.get(tactic_id);
        return tactic.and_then(|it| last_attempt_revision(it)) == Some(revision);
    }
    if let Some(commitment_id) = promised(recorded) {
        let commitment = plan.commitments.get(commitment_id);
        return commitment.is_some_and(|it| it.last_revision == revision);
    }
    is_free(recorded)
}

/// Whether an event of its type can be retracted at all, as long as nothing rests on it.
fn is_of_a_kind_to_retract(recorded: &Kind) -> bool {
    matches!(
        recorded,
        Kind::EvidenceRecorded(_) | Kind::RevisionProposed(_)
    ) || attempted(recorded).is_some()
        || promised(recorded).is_some()
        || is_free(recorded)
}

/// Whether nothing ever rests on it.
fn is_free(recorded: &Kind) -> bool {
    matches!(
        recorded,
        Kind::MeasurementRecorded(_) | Kind::NoteRecorded(_)
    )
}

/// The tactic whose attempts the event goes on with.
fn attempted(kind: &Kind) -> Option<&str> {
    let (Kind::TacticTried(proto::TacticTried { tactic_id, .. })
    | Kind::TacticFailed(proto::TacticFailed { tactic_id, .. })
    | Kind::TacticSucceeded(proto::TacticSucceeded { tactic_id, .. })
    | Kind::TacticStopped(proto::TacticStopped { tactic_id, .. })) = kind
    else {
        return None;
    };
    Some(tactic_id)
}

/// The commitment that the event is about.
fn promised(kind: &Kind) -> Option<&str> {
    let (Kind::CommitmentMade(proto::CommitmentMade { commitment_id, .. })
    | Kind::CommitmentReassigned(proto::CommitmentReassigned { commitment_id, .. })
    | Kind::CommitmentReleased(proto::CommitmentReleased { commitment_id, .. })
    | Kind::DeadlineMoved(proto::DeadlineMoved { commitment_id, .. })
    | Kind::CommitmentKept(proto::CommitmentKept { commitment_id, .. })
    | Kind::DeadlineMissed(proto::DeadlineMissed { commitment_id, .. })) = kind
    else {
        return None;
    };
    Some(commitment_id)
}

/// Whether the conclusion that stands about its assumption is of this evidence's verdict.
fn bears_conclusion(plan: &Plan, evidence: &proto::EvidenceRecorded) -> bool {
    plan.assumptions
        .get(evidence.assumption_id.as_str())
        .and_then(|assumption| assumptions::verdict_of(assumption.state))
        .is_some_and(|verdict| verdict as i32 == evidence.verdict)
}

fn last_attempt_revision(tactic: &Tactic) -> Option<u64> {
    let last = tactic.attempts.last()?;
    Some(match &last.state {
        AttemptState::Open => last.tried_revision,
        AttemptState::Succeeded(ending)
        | AttemptState::Failed { ending, .. }
        | AttemptState::Stopped { ending, .. } => ending.revision,
    })
}

fn retracted_already(revision: u64, context: &CommandContext<'_>) -> Refusal {
    let message = format!("Event {revision} is retracted already: nothing is left to amend.");
    not_correctable(revision, "revision", message, context)
}

fn not_correctable(
    revision: u64,
    field: &str,
    message: String,
    context: &CommandContext<'_>,
) -> Refusal {
    context
        .refuse(ErrorReason::NotCorrectable, field, message)
        .with("revision", revision.to_string())
}
