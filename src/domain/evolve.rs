//! Events to state. Nothing is judged here: what was recorded happened, and a reference to something
//! that is not there is passed over, so that no stored byte can stop a replay. Corrections and
//! retractions take effect by folding the history anew with what they say in place of the original.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    history::Recorded,
    plan::{Amendment, Plan},
    value::{Id, Time},
};
use crate::proto::{Event, EventCorrected, event::Kind};

mod assumption;
mod commitment;
mod indicator;
mod lifecycle;
mod objective;
pub(super) mod size;
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
    event.kind.as_ref().and_then(amended).is_some()
}

/// The revision of the event that an event of this kind corrects or retracts, if it does.
#[must_use]
pub fn amended(kind: &Kind) -> Option<u64> {
    if let Kind::EventCorrected(correction) = kind {
        Some(correction.revision)
    } else if let Kind::EventRetracted(retraction) = kind {
        Some(retraction.revision)
    } else {
        None
    }
}

/// Folds a history from its first event. The corrections and retractions within it hold from the
/// start: the last correction of an event in its place, a retracted event not at all.
#[must_use]
pub fn fold<'a, History>(plan_id: Id, history: History) -> Plan
where
    History: IntoIterator<Item = &'a Event>,
    History::IntoIter: Clone,
{
    fold_on(Plan::unborn(plan_id), history)
}

/// Folds on from a state by the events that came after it, none of which corrects or retracts one
/// that the state was folded from.
#[must_use]
pub fn fold_on<'a, History>(mut plan: Plan, later: History) -> Plan
where
    History: IntoIterator<Item = &'a Event>,
    History::IntoIter: Clone,
{
    let later = later.into_iter();
    let standings = standings(later.clone());
    for event in later {
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

/// The events of a history as they hold at its end: the last correction of an event in its place, a
/// retracted event left out. What nothing amends is shared, not copied.
#[must_use]
pub fn standing(history: &[Arc<Recorded>]) -> Vec<Arc<Recorded>> {
    let standings = standings(history.iter().map(|recorded| &recorded.event));
    let holds = |recorded: &Arc<Recorded>| match standings.get(&recorded.event.revision) {
        Some(Standing::Retracted) => None,
        Some(Standing::Corrected(correction)) => Some(Arc::new(Recorded {
            event: corrected(&recorded.event, correction),
            ..Recorded::clone(recorded)
        })),
        None => Some(recorded.clone()),
    };
    let mut standing = Vec::with_capacity(history.len());
    standing.extend(history.iter().filter_map(holds));
    standing
}

/// Folds events that hold as [`standing`] says, some of those of a known history, on from the state
/// after the first so many of them. What is known to amend them is noted also where the amendment is
/// not among them, and ids of retracted things that occurred by `time` are used.
#[must_use]
pub fn fold_standing(
    mut plan: Plan,
    (events, folded): (&[Arc<Recorded>], usize),
    known: &[Arc<Recorded>],
    time: Time,
) -> Plan {
    for recorded in events.get(folded..).unwrap_or_default() {
        evolve(&mut plan, &recorded.event);
    }
    let place = |revision| usize::try_from(revision).ok()?.checked_sub(1);
    let occurred = |target: &&Arc<Recorded>| target.occurred_at() <= time;
    for amending in known {
        let at = amending.event.revision;
        if let Some(Kind::EventRetracted(retraction)) = &amending.event.kind {
            let target = place(retraction.revision).and_then(|place| known.get(place));
            if let Some(target) = target.filter(occurred) {
                spend(&mut plan, &target.event);
                amend(&mut plan, retraction.revision, Amendment::Retracted(at));
            }
        } else if let Some(Kind::EventCorrected(correction)) = &amending.event.kind {
            let of = |recorded: &Arc<Recorded>| recorded.event.revision;
            if events
                .binary_search_by_key(&correction.revision, of)
                .is_ok()
            {
                amend(&mut plan, correction.revision, Amendment::Corrected(at));
            }
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

fn standings<'a>(history: impl IntoIterator<Item = &'a Event>) -> BTreeMap<u64, Standing<'a>> {
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
    spend(plan, event);
}

/// What a retracted event used up.
fn spend(plan: &mut Plan, event: &Event) {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::{arbitrary, given, plan::AttemptState},
        proto::{self, Failure},
    };

    fn stepwise(history: &[Event]) -> Plan {
        let mut plan = Plan::unborn("growth".into());
        for event in history {
            evolve(&mut plan, event);
        }
        plan
    }

    fn measurement(plan: &Plan) -> (f64, Time) {
        let last = &plan.indicators["replies"].latest[0];
        (last.value, last.occurred_at)
    }

    #[test]
    fn a_plan_is_at_the_revision_and_time_of_its_last_event() {
        let plan = given::plan([given::created(), given::strategy("s")]);
        assert_eq!(plan.revision, 2);
        assert_eq!(plan.created_at, Time::from(given::at(1)));
        assert_eq!(plan.last_occurred_at, Time::from(given::at(2)));
    }

    #[test]
    fn amendments_are_told_from_other_events() {
        let is = |kind| is_amendment(&given::event(9, kind));
        assert!(is(given::corrected(1, given::created())));
        assert!(is(given::retracted(1)));
        assert!(!is(given::created()));
        assert!(!is_amendment(&Event::default()));
    }

    #[test]
    fn an_amendment_by_itself_is_only_noted() {
        let history = given::history([
            given::created(),
            given::indicator("replies"),
            given::measured("replies", 4.0),
            given::corrected(3, given::measured("replies", 5.0)),
        ]);
        let plan = stepwise(&history);
        assert_eq!(measurement(&plan).0.to_bits(), 4.0_f64.to_bits());
        assert_eq!(plan.amendments[&3], Amendment::Corrected(4));
        assert_eq!(plan.revision, 4);
    }

    #[test]
    fn the_last_correction_of_an_event_holds() {
        let plan = given::plan([
            given::created(),
            given::indicator("replies"),
            given::measured("replies", 4.0),
            given::corrected(3, given::measured("replies", 5.0)),
            given::corrected(3, given::measured("replies", 6.0)),
        ]);
        assert_eq!(measurement(&plan).0.to_bits(), 6.0_f64.to_bits());
        assert_eq!(measurement(&plan).1, given::at(3).into());
        assert_eq!(plan.indicators["replies"].latest[0].revision, 3);
        assert_eq!(plan.amendments[&3], Amendment::Corrected(5));
        assert_eq!(plan.revision, 5);
        assert_eq!(plan.last_occurred_at, given::at(5).into());
    }

    #[test]
    fn a_correction_counts_only_in_a_history_that_holds_it() {
        let history = given::history([
            given::created(),
            given::indicator("replies"),
            given::measured("replies", 4.0),
            given::corrected(3, given::measured("replies", 5.0)),
        ]);
        let before = fold("growth".into(), &history[..3]);
        assert_eq!(measurement(&before).0.to_bits(), 4.0_f64.to_bits());
        assert!(before.amendments.is_empty());
    }

    #[test]
    fn a_corrected_time_moves_the_event_in_time_but_not_in_order() {
        let correction = proto::EventCorrected {
            revision: 1,
            occurred_at: Some(given::at(-100)),
            occurred_precision: proto::Precision::Day.into(),
            ..proto::EventCorrected::default()
        };
        let plan = given::plan([
            given::created(),
            given::strategy("s"),
            Kind::EventCorrected(Box::new(correction)),
        ]);
        assert_eq!(plan.created_at, given::at(-100).into());
        assert_eq!(plan.description.title, "Growth");
        assert_eq!(plan.revision, 3);
    }

    #[test]
    fn what_was_retracted_stays_so_whatever_comes_later() {
        let plan = given::plan([
            given::created(),
            given::indicator("replies"),
            given::measured("replies", 4.0),
            given::retracted(3),
            given::corrected(3, given::measured("replies", 5.0)),
        ]);
        assert_eq!(plan.indicators["replies"].measurements, 0);
        assert_eq!(plan.amendments[&3], Amendment::Retracted(4));
    }

    #[test]
    fn the_number_of_a_retracted_attempt_is_not_used_again() {
        let plan = given::plan([
            given::created(),
            given::tactic("t", ""),
            given::tried("t", 1),
            given::retracted(3),
        ]);
        let tactic = &plan.tactics["t"];
        assert!(tactic.attempts.is_empty());
        assert_eq!(tactic.attempts_recorded, 1);
    }

    #[test]
    fn an_attempt_whose_failure_was_retracted_is_open_again() {
        let plan = given::plan([
            given::created(),
            given::tactic("t", ""),
            given::tried("t", 1),
            given::failed("t", 1, Failure::Effect),
            given::retracted(4),
        ]);
        let open = plan.tactics["t"].open_attempt().expect("an open attempt");
        assert_eq!(open.state, AttemptState::Open);
        assert_eq!(open.attempt, 1);
    }

    #[test]
    fn ids_of_retracted_things_stay_used() {
        let evidence = Kind::EvidenceRecorded(proto::EvidenceRecorded {
            evidence_id: "e".into(),
            assumption_id: "a".into(),
            ..proto::EvidenceRecorded::default()
        });
        let proposal = Kind::RevisionProposed(proto::RevisionProposed {
            strategy_id: "s".into(),
            proposal_id: "p".into(),
            ..proto::RevisionProposed::default()
        });
        let plan = given::plan([
            given::created(),
            given::assumption("a", true),
            given::strategy("s"),
            given::committed("c", 99),
            evidence,
            proposal,
            given::retracted(4),
            given::retracted(5),
            given::retracted(6),
        ]);
        assert!(plan.commitments.is_empty() && plan.evidence.is_empty());
        assert!(plan.proposals.is_empty());
        assert!(plan.assumptions["a"].evidence_ids.is_empty());
        let spent: Vec<_> = plan.spent.iter().map(String::as_str).collect();
        assert_eq!(spent, ["commitments/c", "evidence/e", "proposals/p"]);
    }

    #[test]
    fn a_state_is_not_carried_over_an_amendment() {
        let history = given::history([
            given::created(),
            given::corrected(1, given::created()),
            given::strategy("s"),
        ]);
        let first = fold("growth".into(), &history[..1]);
        assert_eq!(advance(first, &history[1..]), None);
        let amended = fold("growth".into(), &history[..2]);
        let carried = advance(amended, &history[2..]);
        assert_eq!(carried, Some(fold("growth".into(), &history)));
    }

    #[test]
    fn an_event_of_no_kind_only_passes() {
        let mut plan = given::plan([given::created()]);
        let nothing = Event {
            revision: 2,
            ..Event::default()
        };
        evolve(&mut plan, &nothing);
        assert_eq!(plan.revision, 2);
        assert_eq!(plan.description.title, "Growth");
    }

    proptest! {
        #[test]
        fn any_event_can_be_applied(events in prop::collection::vec(arbitrary::event(), 1..40)) {
            let plan = stepwise(&events);
            prop_assert_eq!(plan.revision, events.last().map_or(0, |event| event.revision));
        }

        #[test]
        fn any_history_can_be_folded(history in arbitrary::history(60)) {
            let plan = fold("growth".into(), &history);
            prop_assert_eq!(plan.revision, history.len() as u64);
            prop_assert_eq!(plan.amendments, stepwise(&history).amendments);
        }

        #[test]
        fn a_state_carried_on_equals_the_fold_from_the_start(
            history in arbitrary::unamended_history(60),
            split in any::<prop::sample::Index>(),
        ) {
            let (head, tail) = history.split_at(split.index(history.len() + 1));
            let folded = fold("growth".into(), &history);
            let carried = advance(fold("growth".into(), head), tail);
            prop_assert_eq!(&stepwise(&history), &folded);
            prop_assert_eq!(carried, Some(folded));
        }
    }
}
