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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::given, proto::event::Kind};

    fn setting() -> Kind {
        Kind::ObjectiveSet(proto::ObjectiveSet {
            statement: "Ten accounts".into(),
            measure: "Accounts".into(),
            baseline: Some(2.0),
            target: Some(10.0),
            unit: "accounts".into(),
            horizon: Some(given::at(99)),
            reason: String::new(),
        })
    }

    fn refining() -> Kind {
        Kind::ObjectiveRefined(proto::ObjectiveRefined {
            statement: "Twelve accounts".into(),
            reason: "Ten were easy".into(),
            ..proto::ObjectiveRefined::default()
        })
    }

    fn meeting() -> Kind {
        Kind::ObjectiveMet(proto::ObjectiveMet {
            evidence: "Counted".into(),
        })
    }

    fn objective(kinds: impl IntoIterator<Item = Kind>) -> Option<Objective> {
        given::plan(kinds).objective.map(Arc::unwrap_or_clone)
    }

    #[test]
    fn a_set_objective_is_kept_as_stated() {
        let expected = Objective {
            statement: "Ten accounts".into(),
            measure: "Accounts".into(),
            baseline: Some(2.0),
            target: Some(10.0),
            unit: "accounts".into(),
            horizon: Some(given::at(99).into()),
            refinements: 0,
            stated_revision: 2,
            met: None,
        };
        assert_eq!(objective([given::created(), setting()]), Some(expected));
    }

    #[test]
    fn an_objective_that_was_met_says_when_and_how() {
        let met = objective([given::created(), setting(), meeting()]).and_then(|it| it.met);
        let expected = ObjectiveMet {
            at: given::at(3).into(),
            evidence: "Counted".into(),
        };
        assert_eq!(met, Some(expected));
    }

    #[test]
    fn a_refined_objective_restates_it_and_is_not_met() {
        let refined =
            objective([given::created(), setting(), meeting(), refining()]).expect("an objective");
        assert_eq!(refined.statement, "Twelve accounts");
        assert_eq!((refined.target, refined.horizon), (None, None));
        assert_eq!((refined.refinements, refined.stated_revision), (1, 4));
        assert_eq!(refined.met, None);
    }

    #[test]
    fn meeting_an_objective_that_is_not_there_is_passed_over() {
        assert_eq!(objective([given::created(), meeting()]), None);
    }
}
