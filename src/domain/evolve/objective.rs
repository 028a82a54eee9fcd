//! What events make of the objective.

use std::sync::Arc;

use super::Stamp;
use crate::{
    domain::plan::{Objective, ObjectiveMet, Plan},
    proto,
};

pub(super) fn set(plan: &mut Plan, set: &proto::ObjectiveSet, at: Stamp) {
    plan.objective = Some(Arc::new(Objective {
        statement: set.statement.clone(),
        measure: set.measure.clone(),
        baseline: set.baseline,
        target: set.target,
        unit: set.unit.clone(),
        horizon: set.horizon.map(Into::into),
        refinements: 0,
        stated_revision: at.revision,
        met: None,
    }));
}

/// An objective that was met says so no longer once it is refined: it is another one.
pub(super) fn refined(plan: &mut Plan, refined: &proto::ObjectiveRefined, at: Stamp) {
    let refinements = plan
        .objective
        .as_ref()
        .map_or(0, |objective| objective.refinements);
    plan.objective = Some(Arc::new(Objective {
        statement: refined.statement.clone(),
        measure: refined.measure.clone(),
        baseline: refined.baseline,
        target: refined.target,
        unit: refined.unit.clone(),
        horizon: refined.horizon.map(Into::into),
        refinements: refinements.saturating_add(1),
        stated_revision: at.revision,
        met: None,
    }));
}

pub(super) fn met(plan: &mut Plan, met: &proto::ObjectiveMet, at: Stamp) {
    if let Some(objective) = &mut plan.objective {
        Arc::make_mut(objective).met = Some(ObjectiveMet {
            at: at.occurred_at,
            evidence: met.evidence.clone(),
        });
    }
}
