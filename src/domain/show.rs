//! State to the published views, one way only. Things are shown in the order in which they came to
//! be, which is the order of the revisions that made them.

use std::{collections::BTreeMap, sync::Arc};

use prost::Message as _;

use super::{
    plan::{Acknowledgement, Archiving, Lifecycle, Objective, Plan},
    value::Id,
};
use crate::proto::{self, PlanState};

mod assumption;
mod commitment;
mod indicator;
mod strategy;
mod tactic;

/// How much of a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// Everything.
    Full,
    /// Of attempts the last, of evidence the count.
    Basic,
}

impl From<&Plan> for proto::Plan {
    fn from(plan: &Plan) -> Self {
        view(plan, Detail::Full)
    }
}

/// The plan with the last attempt of each tactic and the number of pieces of evidence only.
#[must_use]
pub fn basic(plan: &Plan) -> proto::Plan {
    view(plan, Detail::Basic)
}

/// The proposals to revise a strategy, as the views show them.
#[must_use]
pub fn proposals(plan: &Plan, strategy_id: &Id) -> Vec<proto::Proposal> {
    strategy::proposals(plan, strategy_id)
}

/// The encoded size of the full view.
#[must_use]
pub fn encoded_size_bytes(plan: &Plan) -> usize {
    proto::Plan::from(plan).encoded_len()
}

fn view(plan: &Plan, detail: Detail) -> proto::Plan {
    proto::Plan {
        plan_id: plan.plan_id.to_string(),
        revision: plan.revision,
        state: state(&plan.lifecycle).into(),
        title: plan.description.title.clone(),
        summary: plan.description.summary.clone(),
        labels: plan.description.labels.clone(),
        objective: plan.objective.as_deref().map(objective),
        indicators: indicator::all(plan),
        assumptions: assumption::all(plan, detail),
        strategies: strategy::all(plan),
        tactics: tactic::all(plan, detail),
        commitments: commitment::all(plan),
        acknowledgements: acknowledgements(plan),
        created_at: Some(plan.created_at.into()),
        last_occurred_at: Some(plan.last_occurred_at.into()),
        archiving: archiving(&plan.lifecycle),
        notes: plan.notes,
    }
}

/// Things in the order of the revisions that made them. They are sorted before they are shown: their views are
/// large.
fn in_order<T>(
    things: &BTreeMap<Id, Arc<T>>,
    made: impl Fn(&T) -> u64,
) -> impl Iterator<Item = &T> {
    let mut ordered: Vec<&T> = things.values().map(AsRef::as_ref).collect();
    ordered.sort_by_key(|thing| made(thing));
    ordered.into_iter()
}

fn state(lifecycle: &Lifecycle) -> PlanState {
    match lifecycle {
        Lifecycle::Unborn => PlanState::Unspecified,
        Lifecycle::Active => PlanState::Active,
        Lifecycle::Archived(_) => PlanState::Archived,
    }
}

fn archiving(lifecycle: &Lifecycle) -> Option<proto::Archiving> {
    let Lifecycle::Archived(archiving) = lifecycle else {
        return None;
    };
    let Archiving {
        outcome,
        reason,
        successor_plan_id,
        archived_at,
        revision,
    } = archiving.as_ref();
    Some(proto::Archiving {
        outcome: *outcome,
        reason: reason.clone(),
        successor_plan_id: successor_plan_id.clone(),
        archived_at: Some((*archived_at).into()),
        revision: *revision,
    })
}

fn objective(objective: &Objective) -> proto::Objective {
    proto::Objective {
        statement: objective.statement.clone(),
        measure: objective.measure.clone(),
        baseline: objective.baseline,
        target: objective.target,
        unit: objective.unit.clone(),
        horizon: objective.horizon.map(Into::into),
        refinements: objective.refinements,
        met_at: objective.met.as_ref().map(|met| met.at.into()),
        met_evidence: objective
            .met
            .as_ref()
            .map(|met| met.evidence.clone())
            .unwrap_or_default(),
        stated_revision: objective.stated_revision,
    }
}

fn acknowledgements(plan: &Plan) -> Vec<proto::Acknowledgement> {
    let show = |((code, subject), accepted): (&(String, String), &Arc<Acknowledgement>)| {
        proto::Acknowledgement {
            code: code.clone(),
            subject: subject.clone(),
            until: accepted.until.map(Into::into),
            reason: accepted.reason.clone(),
            revision: accepted.revision,
        }
    };
    let mut shown: Vec<_> = plan.acknowledgements.iter().map(show).collect();
    shown.sort_by_key(|acknowledgement| acknowledgement.revision);
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::{arbitrary, evolve::fold, given},
        proto::{Failure, event::Kind},
    };

    fn evidence(evidence_id: &str) -> Kind {
        Kind::EvidenceRecorded(proto::EvidenceRecorded {
            evidence_id: evidence_id.into(),
            assumption_id: "a".into(),
            ..proto::EvidenceRecorded::default()
        })
    }

    fn tried_twice() -> Plan {
        given::plan([
            given::created(),
            given::assumption("a", true),
            evidence("z"),
            evidence("b"),
            given::tactic("z", ""),
            given::tactic("b", ""),
            given::tried("z", 1),
            given::failed("z", 1, Failure::Precondition),
            given::tried("z", 2),
        ])
    }

    #[test]
    fn things_are_shown_in_the_order_in_which_they_came_to_be() {
        let plan = given::plan([
            given::created(),
            given::strategy("z"),
            given::strategy("b"),
            given::indicator("z"),
            given::indicator("b"),
            given::assumption("z", false),
            given::assumption("b", false),
            given::tactic("z", "b"),
            given::tactic("b", "z"),
            given::committed("z", 99),
            given::committed("b", 99),
        ]);
        let shown = proto::Plan::from(&plan);
        let strategies = shown.strategies.iter().map(|it| &it.strategy_id);
        assert_eq!(strategies.collect::<Vec<_>>(), ["z", "b"]);
        let indicators = shown.indicators.iter().map(|it| &it.indicator_id);
        assert_eq!(indicators.collect::<Vec<_>>(), ["z", "b"]);
        let assumptions = shown.assumptions.iter().map(|it| &it.assumption_id);
        assert_eq!(assumptions.collect::<Vec<_>>(), ["z", "b"]);
        let tactics = shown.tactics.iter().map(|it| &it.tactic_id);
        assert_eq!(tactics.collect::<Vec<_>>(), ["z", "b"]);
        let commitments = shown.commitments.iter().map(|it| &it.commitment_id);
        assert_eq!(commitments.collect::<Vec<_>>(), ["z", "b"]);
    }

    #[test]
    fn a_tactic_is_shown_with_its_attempts_and_their_counts() {
        let shown = proto::Plan::from(&tried_twice());
        let tactic = &shown.tactics[0];
        assert_eq!(tactic.state(), proto::TacticState::Open);
        assert_eq!((tactic.attempt_count, tactic.precondition_failures), (2, 1));
        assert_eq!((tactic.successes, tactic.effect_failures), (0, 0));
        let first = &tactic.attempts[0];
        assert_eq!(first.state(), proto::AttemptState::Failed);
        assert_eq!(first.failure(), Failure::Precondition);
        assert_eq!(first.observed, "No reply");
        assert_eq!((first.tried_revision, first.ended_revision), (7, 8));
        assert_eq!(first.ended_at, Some(given::at(8)));
        assert_eq!(tactic.attempts[1].ended_at, None);
    }

    #[test]
    fn the_basic_view_shows_last_attempts_and_counts_only() {
        let shown = basic(&tried_twice());
        assert_eq!(shown.tactics[0].attempt_count, 2);
        assert_eq!(shown.tactics[0].attempts.len(), 1);
        assert_eq!(shown.tactics[0].attempts[0].attempt, 2);
        assert_eq!(shown.assumptions[0].evidence_count, 2);
        assert!(shown.assumptions[0].evidence.is_empty());
    }

    #[test]
    fn evidence_is_shown_under_its_assumption() {
        let shown = proto::Plan::from(&tried_twice());
        let evidence = shown.assumptions[0].evidence.iter();
        let ids: Vec<_> = evidence.map(|it| &it.evidence_id).collect();
        assert_eq!(ids, ["z", "b"]);
    }

    #[test]
    fn an_archived_plan_is_shown_with_its_outcome() {
        let archiving = Kind::PlanArchived(proto::PlanArchived {
            outcome: proto::PlanOutcome::Met.into(),
            ..proto::PlanArchived::default()
        });
        let active = proto::Plan::from(&given::plan([given::created()]));
        assert_eq!(active.state(), PlanState::Active);
        assert_eq!(active.archiving, None);
        let archived = proto::Plan::from(&given::plan([given::created(), archiving]));
        assert_eq!(archived.state(), PlanState::Archived);
        let archiving = archived.archiving.expect("an archiving");
        assert_eq!(archiving.outcome(), proto::PlanOutcome::Met);
    }

    #[test]
    fn a_missed_commitment_is_shown_with_its_notice() {
        let missing = Kind::DeadlineMissed(proto::DeadlineMissed {
            commitment_id: "c".into(),
            notice: proto::Notice::BeforeDue.into(),
            reason: "Ill".into(),
            ..proto::DeadlineMissed::default()
        });
        let plan = given::plan([given::created(), given::committed("c", 99), missing]);
        let shown = &proto::Plan::from(&plan).commitments[0];
        assert_eq!(shown.state(), proto::CommitmentState::Missed);
        assert_eq!(shown.notice(), proto::Notice::BeforeDue);
        assert_eq!(shown.close_reason, "Ill");
        assert_eq!(shown.closed_at, Some(given::at(3)));
    }

    #[test]
    fn a_strategy_is_shown_with_its_proposals_and_its_end() {
        let proposing = Kind::RevisionProposed(proto::RevisionProposed {
            strategy_id: "s".into(),
            proposal_id: "p".into(),
            ..proto::RevisionProposed::default()
        });
        let declining = Kind::RevisionDeclined(proto::RevisionDeclined {
            proposal_id: "p".into(),
            reason: "Too dear".into(),
        });
        let abandoning = Kind::StrategyAbandoned(proto::StrategyAbandoned {
            strategy_id: "s".into(),
            reason: "Hopeless".into(),
        });
        let kinds = [given::created(), given::strategy("s")];
        let later = [proposing, declining, abandoning];
        let shown = proto::Plan::from(&given::plan(kinds.into_iter().chain(later)));
        let strategy = &shown.strategies[0];
        assert_eq!(strategy.state(), proto::StrategyState::Abandoned);
        assert_eq!(strategy.end_reason, "Hopeless");
        let proposal = &strategy.proposals[0];
        assert_eq!(proposal.state(), proto::ProposalState::Declined);
        assert_eq!(proposal.decline_reason, "Too dear");
    }

    #[test]
    fn the_last_measurement_is_shown_with_the_one_before() {
        let plan = given::plan([
            given::created(),
            given::indicator("i"),
            given::measured("i", 1.0),
            given::measured("i", 2.0),
        ]);
        let shown = &proto::Plan::from(&plan).indicators[0];
        assert_eq!(shown.measurements, 2);
        assert_eq!(shown.last.as_ref().map(|it| it.revision), Some(4));
        assert_eq!(shown.previous.as_ref().map(|it| it.revision), Some(3));
    }

    proptest! {
        #[test]
        fn nothing_of_any_plan_is_lost_from_its_view(history in arbitrary::history(60)) {
            let plan = fold("growth".into(), &history);
            let shown = proto::Plan::from(&plan);
            prop_assert_eq!(shown.indicators.len(), plan.indicators.len());
            prop_assert_eq!(shown.strategies.len(), plan.strategies.len());
            prop_assert_eq!(shown.tactics.len(), plan.tactics.len());
            prop_assert_eq!(shown.commitments.len(), plan.commitments.len());
            let evidence = shown.assumptions.iter().map(|it| it.evidence.len()).sum::<usize>();
            prop_assert_eq!(evidence, plan.evidence.len());
            let proposals = shown.strategies.iter().map(|it| it.proposals.len()).sum::<usize>();
            prop_assert_eq!(proposals, plan.proposals.len());
        }
    }
}
