//! What a correction must leave as it was: the kind of the event, and all by which it hangs together
//! with others. What only the daemon knew when it recorded the event is the daemon's to say again.

use std::{fmt, mem};

use super::{super::value::Time, commitments::notice};
use crate::proto::{Notice, event::Kind};

/// Whether the replacement differs from what was recorded in texts, values and times only.
pub(super) fn keeps_references(recorded: &Kind, replacement: &Kind) -> bool {
    mem::discriminant(recorded) == mem::discriminant(replacement)
        && references(recorded) == references(replacement)
}

/// The replacement with what only the daemon can know: as recorded where it is left out, and
/// whether somebody spoke in time anew, by the time at which it happened.
pub(super) fn completed(recorded: &Kind, mut replacement: Kind, happened_at: Time) -> Kind {
    if let (Kind::TacticTried(was), Kind::TacticTried(it)) = (recorded, &mut replacement) {
        it.attempt = known(it.attempt, was.attempt);
        it.suggestion = it.suggestion.take().or_else(|| was.suggestion.clone());
    }
    if let (Kind::TacticFailed(was), Kind::TacticFailed(it)) = (recorded, &mut replacement) {
        it.attempt = known(it.attempt, was.attempt);
    }
    if let (Kind::TacticSucceeded(was), Kind::TacticSucceeded(it)) = (recorded, &mut replacement) {
        it.attempt = known(it.attempt, was.attempt);
    }
    if let (Kind::TacticStopped(was), Kind::TacticStopped(it)) = (recorded, &mut replacement) {
        it.attempt = known(it.attempt, was.attempt);
    }
    if let (Kind::StrategyRevised(was), Kind::StrategyRevised(it)) = (recorded, &mut replacement) {
        it.strategy_revision = known(it.strategy_revision, was.strategy_revision);
    }
    if let (Kind::DeadlineMoved(was), Kind::DeadlineMoved(it)) = (recorded, &mut replacement) {
        it.old = it.old.or(was.old);
        it.notice = spoken(it.old, happened_at) as i32;
    }
    if let (Kind::DeadlineMissed(was), Kind::DeadlineMissed(it)) = (recorded, &mut replacement) {
        it.due = it.due.or(was.due);
        let said = if it.silent { None } else { it.due };
        it.notice = spoken(said, happened_at) as i32;
        if it.silent {
            it.reason.clear();
        }
    }
    replacement
}

fn known(said: u32, recorded: u32) -> u32 {
    if said == 0 { recorded } else { said }
}

fn spoken(due: Option<prost_types::Timestamp>, spoken_at: Time) -> Notice {
    due.map_or(Notice::Unspecified, |due| notice(spoken_at, due.into()))
}

/// All ids, lists of ids, numbers of revisions and attempts, and choices on which other events
/// rest, written down so that two lists read the same only when they are.
fn references(kind: &Kind) -> String {
    match kind {
        Kind::PlanCreated(_)
        | Kind::PlanDescribed(_)
        | Kind::PlanReopened(_)
        | Kind::ObjectiveSet(_)
        | Kind::ObjectiveRefined(_)
        | Kind::ObjectiveMet(_) => String::new(),
        Kind::PlanArchived(it) => written(&it.successor_plan_id),
        Kind::IndicatorDefined(it) => written(&it.indicator_id),
        Kind::IndicatorReplaced(it) => written(&(&it.old_indicator_id, &it.indicator_id)),
        Kind::IndicatorRetired(it) => written(&it.indicator_id),
        Kind::MeasurementRecorded(it) => written(&it.indicator_id),
        Kind::AssumptionStated(it) => written(&it.assumption_id),
        Kind::EvidenceRecorded(it) => written(&(&it.evidence_id, &it.assumption_id)),
        Kind::AssumptionSupported(it) => written(&it.assumption_id),
        Kind::AssumptionRefuted(it) => written(&it.assumption_id),
        Kind::AssumptionReopened(it) => written(&it.assumption_id),
        Kind::StrategyAdopted(it) => {
            written(&(&it.strategy_id, &it.assumption_ids, &it.indicator_ids))
        }
        Kind::StrategyRevised(it) => written(&[
            written(&(&it.strategy_id, it.parent_revision, it.strategy_revision)),
            written(&(&it.assumption_ids, &it.indicator_ids, &it.retire_tactic_ids)),
            written(&(&it.proposal_id, it.unprompted)),
        ]),
        Kind::RevisionProposed(it) => written(&(&it.strategy_id, &it.proposal_id)),
        Kind::RevisionDeclined(it) => written(&it.proposal_id),
        Kind::StrategyBranched(it) => written(&(&it.from_strategy_id, &it.strategy_id)),
        Kind::StrategySuperseded(it) => written(&(&it.strategy_id, &it.by_strategy_id)),
        Kind::StrategyAbandoned(it) => written(&it.strategy_id),
        Kind::StrategyFulfilled(it) => written(&it.strategy_id),
        Kind::TacticAdded(it) => written(&(
            (&it.tactic_id, &it.strategy_id),
            (&it.assumption_ids, &it.after_tactic_ids),
        )),
        Kind::TacticReworded(it) => {
            written(&(&it.tactic_id, &it.assumption_ids, &it.after_tactic_ids))
        }
        Kind::TacticRegrouped(it) => written(&(&it.tactic_id, &it.strategy_id)),
        Kind::TacticRetired(it) => written(&it.tactic_id),
        Kind::TacticsRanked(it) => written(&(&it.strategy_id, &it.tactic_ids)),
        Kind::TacticTried(it) => written(&(&it.tactic_id, it.attempt, &it.suggestion)),
        Kind::TacticFailed(it) => {
            written(&(&it.tactic_id, it.attempt, &it.suspected_assumption_ids))
        }
        Kind::TacticSucceeded(it) => written(&(&it.tactic_id, it.attempt)),
        Kind::TacticStopped(it) => written(&(&it.tactic_id, it.attempt)),
        Kind::CommitmentMade(it) => written(&(&it.commitment_id, &it.tactic_id)),
        Kind::CommitmentReassigned(it) => written(&it.commitment_id),
        Kind::CommitmentReleased(it) => written(&it.commitment_id),
        Kind::DeadlineMoved(it) => written(&(&it.commitment_id, it.old)),
        Kind::CommitmentKept(it) => written(&it.commitment_id),
        Kind::DeadlineMissed(it) => written(&(&it.commitment_id, it.silent, it.due)),
        Kind::EventCorrected(it) => written(&it.revision),
        Kind::EventRetracted(it) => written(&it.revision),
        Kind::FindingAcknowledged(it) => written(&(&it.code, &it.subject)),
        Kind::NoteRecorded(it) => written(&it.subject),
    }
}

/// `Debug` quotes texts, so that no boundary between two of them can be forged.
fn written(references: &dyn fmt::Debug) -> String {
    format!("{references:?}")
}
