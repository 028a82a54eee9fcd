//! State to the published views, one way only. Things are shown in the order in which they came to
//! be, which is the order of the revisions that made them.

use prost::Message as _;

use super::plan::{Acknowledgement, Archiving, Lifecycle, Objective, Plan};
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
    let show =
        |((code, subject), accepted): (&(String, String), &std::sync::Arc<Acknowledgement>)| {
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
