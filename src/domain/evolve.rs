//! Events to state. Nothing is judged here: what was recorded happened, and a reference to something
//! that is not there is passed over, so that no stored byte can stop a replay. Corrections and
//! retractions take effect by folding the history anew with what they say in place of the original.

use std::collections::BTreeMap;

use super::{
    plan::{Amendment, Plan},
    value::{Id, Time},
};
use crate::proto::{Event, EventCorrected, event::Kind};

mod assumption;
mod commitment;
mod indicator;
mod lifecycle;
mod objective;
mod size;
mod strategy;
mod tactic;

/// When an event happened, in the world and in the order of its plan.
#[derive(Debug, Clone, Copy)]
struct Stamp {
    revision: u64,
    occurred_at: Time,
}

impl From<&Event> for Stamp {
    fn from(event: &Event) -> Self {
        Self {
            revision: event.revision,
            occurred_at: event.occurred_at.map_or_else(Time::default, Time::from),
        }
    }
}

/// What later events of a history made of an earlier one.
enum Standing<'a> {
    Corrected(&'a EventCorrected),
    Retracted,
}

/// Applies one event. A correction or retraction is only noted; [`fold`] gives it its effect.
pub fn evolve(plan: &mut Plan, event: &Event) {
    let stamp = Stamp::from(event);
    pass(plan, stamp);
    if let Some(kind) = &event.kind {
        // The size is taken first: a branch copies from its origin as it stands before.
        let growth_bytes = size::growth_bound_bytes(plan, event, kind);
        apply(plan, kind, stamp);
        size::grow(plan, growth_bytes);
    }
}

/// Whether the event corrects or retracts an earlier one, so that the plan has to be folded again.
#[must_use]
pub fn is_amendment(event: &Event) -> bool {
    matches!(
        event.kind,
        Some(Kind::EventCorrected(_) | Kind::EventRetracted(_))
    )
}

/// Folds a history from its first event. The corrections and retractions within it hold from the
/// start: the last correction of an event in its place, a retracted event not at all.
#[must_use]
pub fn fold(plan_id: Id, history: &[Event]) -> Plan {
    let standings = standings(history);
    let mut plan = Plan::unborn(plan_id);
    for event in history {
        match standings.get(&event.revision) {
            _ if is_amendment(event) => evolve(&mut plan, event),
            None => evolve(&mut plan, event),
            Some(Standing::Corrected(correction)) => {
                evolve(&mut plan, &corrected(event, correction));
            }
            Some(Standing::Retracted) => pass_retracted(&mut plan, event),
        }
    }
    plan
}

/// Carries a state on by what came after it. `None` when that amends an earlier event: the state
/// then has to be folded from the first event.
#[must_use]
pub fn advance(mut plan: Plan, tail: &[Event]) -> Option<Plan> {
    if tail.iter().any(is_amendment) {
        return None;
    }
    for event in tail {
        evolve(&mut plan, event);
    }
    Some(plan)
}

fn pass(plan: &mut Plan, stamp: Stamp) {
    if plan.revision == 0 {
        plan.created_at = stamp.occurred_at;
        size::begin(plan);
    }
    plan.revision = stamp.revision;
    plan.last_occurred_at = stamp.occurred_at;
}

fn apply(plan: &mut Plan, kind: &Kind, at: Stamp) {
    match kind {
        Kind::PlanCreated(created) => lifecycle::created(plan, created),
        Kind::PlanDescribed(described) => lifecycle::described(plan, described),
        Kind::PlanArchived(archived) => lifecycle::archived(plan, archived, at),
        Kind::PlanReopened(_) => lifecycle::reopened(plan),
        Kind::ObjectiveSet(set) => objective::set(plan, set, at),
        Kind::ObjectiveRefined(refined) => objective::refined(plan, refined, at),
        Kind::ObjectiveMet(met) => objective::met(plan, met, at),
        Kind::IndicatorDefined(defined) => indicator::defined(plan, defined, at),
        Kind::IndicatorReplaced(replaced) => indicator::replaced(plan, replaced, at),
        Kind::IndicatorRetired(retired) => indicator::retired(plan, retired),
        Kind::MeasurementRecorded(recorded) => indicator::measured(plan, recorded, at),
        Kind::AssumptionStated(stated) => assumption::stated(plan, stated, at),
        Kind::EvidenceRecorded(recorded) => assumption::evidenced(plan, recorded, at),
        Kind::AssumptionSupported(supported) => assumption::supported(plan, supported, at),
        Kind::AssumptionRefuted(refuted) => assumption::refuted(plan, refuted, at),
        Kind::AssumptionReopened(reopened) => assumption::reopened(plan, reopened),
        Kind::StrategyAdopted(adopted) => strategy::adopted(plan, adopted, at),
        Kind::StrategyRevised(revised) => strategy::revised(plan, revised, at),
        Kind::RevisionProposed(proposed) => strategy::proposed(plan, proposed, at),
        Kind::RevisionDeclined(declined) => strategy::declined(plan, declined),
        Kind::StrategyBranched(branched) => strategy::branched(plan, branched, at),
        Kind::StrategySuperseded(superseded) => strategy::superseded(plan, superseded),
        Kind::StrategyAbandoned(abandoned) => strategy::abandoned(plan, abandoned),
        Kind::StrategyFulfilled(fulfilled) => strategy::fulfilled(plan, fulfilled),
        Kind::TacticAdded(added) => tactic::added(plan, added, at),
        Kind::TacticReworded(reworded) => tactic::reworded(plan, reworded, at),
        Kind::TacticRegrouped(regrouped) => tactic::regrouped(plan, regrouped),
        Kind::TacticRetired(retired) => tactic::retired(plan, retired, at),
        Kind::TacticsRanked(ranked) => tactic::ranked(plan, ranked),
        Kind::TacticTried(tried) => tactic::tried(plan, tried, at),
        Kind::TacticFailed(failed) => tactic::failed(plan, failed, at),
        Kind::TacticSucceeded(succeeded) => tactic::succeeded(plan, succeeded, at),
        Kind::TacticStopped(stopped) => tactic::stopped(plan, stopped, at),
        Kind::CommitmentMade(made) => commitment::made(plan, made, at),
        Kind::CommitmentReassigned(reassigned) => commitment::reassigned(plan, reassigned, at),
        Kind::CommitmentReleased(released) => commitment::released(plan, released, at),
        Kind::DeadlineMoved(moved) => commitment::moved(plan, moved, at),
        Kind::CommitmentKept(kept) => commitment::kept(plan, kept, at),
        Kind::DeadlineMissed(missed) => commitment::missed(plan, missed, at),
        Kind::EventCorrected(correction) => {
            amend(plan, correction.revision, Amendment::Corrected(at.revision));
        }
        Kind::EventRetracted(retraction) => {
            amend(plan, retraction.revision, Amendment::Retracted(at.revision));
        }
        Kind::FindingAcknowledged(finding) => lifecycle::acknowledged(plan, finding, at),
        Kind::NoteRecorded(_) => plan.notes = plan.notes.saturating_add(1),
    }
}

fn amend(plan: &mut Plan, revision: u64, amendment: Amendment) {
    let standing = plan.amendments.entry(revision).or_insert(amendment);
    // What was retracted stays so.
    if matches!(standing, Amendment::Corrected(_)) {
        *standing = amendment;
    }
}

fn standings(history: &[Event]) -> BTreeMap<u64, Standing<'_>> {
    let mut standings = BTreeMap::new();
    for event in history {
        if let Some(Kind::EventRetracted(retraction)) = &event.kind {
            standings.insert(retraction.revision, Standing::Retracted);
        } else if let Some(Kind::EventCorrected(correction)) = &event.kind {
            let standing = standings
                .entry(correction.revision)
                .or_insert(Standing::Corrected(correction));
            if matches!(standing, Standing::Corrected(_)) {
                *standing = Standing::Corrected(correction);
            }
        }
    }
    standings
}

fn corrected(event: &Event, correction: &EventCorrected) -> Event {
    let replacement = correction
        .replacement
        .as_deref()
        .and_then(|replacement| replacement.kind.clone());
    let (occurred_at, occurred_precision) = match correction.occurred_at {
        Some(occurred_at) => (Some(occurred_at), correction.occurred_precision),
        None => (event.occurred_at, event.occurred_precision),
    };
    Event {
        revision: event.revision,
        occurred_at,
        occurred_precision,
        because: event.because.clone(),
        source: event.source.clone(),
        kind: replacement.or_else(|| event.kind.clone()),
    }
}

/// Passes over a retracted event: it has no effect, but what it used up stays used.
fn pass_retracted(plan: &mut Plan, event: &Event) {
    pass(plan, Stamp::from(event));
    if let Some(Kind::TacticTried(tried)) = &event.kind {
        tactic::spend_attempt(plan, &tried.tactic_id);
    } else if let Some(Kind::CommitmentMade(made)) = &event.kind {
        plan.spent
            .insert(format!("commitments/{}", made.commitment_id));
    } else if let Some(Kind::EvidenceRecorded(recorded)) = &event.kind {
        plan.spent
            .insert(format!("evidence/{}", recorded.evidence_id));
    } else if let Some(Kind::RevisionProposed(proposed)) = &event.kind {
        plan.spent
            .insert(format!("proposals/{}", proposed.proposal_id));
    }
}
