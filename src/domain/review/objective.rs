//! Findings about the objective: whether there is one, and whether it could be missed.

use super::{
    Case, Draft,
    codes::{OBJ001, OBJ002, OBJ003},
    is_blank,
};
use crate::domain::{plan::Objective, value::Subject};

pub(super) fn find(case: &Case<'_>, found: &mut Vec<Draft>) {
    match &case.plan.objective {
        None => found.push(no_objective(case)),
        Some(objective) => {
            found.extend(vague_objective(objective));
            found.extend(no_horizon(objective));
        }
    }
}

fn no_objective(case: &Case<'_>) -> Draft {
    let message = "The plan has no objective, so nothing tells whether a strategy works: set one \
                   with `set_objective`, with a measure, a target and a horizon.";
    Draft::new(&OBJ003, Subject::Plan, case.beginning(), message)
}

fn vague_objective(objective: &Objective) -> Option<Draft> {
    if objective.says_how_much() {
        return None;
    }
    let (missing, wanted) = match (is_blank(&objective.measure), objective.target) {
        (true, None) => (
            "neither a measure nor a target",
            "what is measured, and the value to reach",
        ),
        (true, Some(_)) => ("no measure", "what is measured"),
        (false, _) => ("no target", "the value to reach"),
    };
    let message = format!(
        "The objective has {missing} and names no quantity, so nobody can tell when it is reached: \
         refine it with `set_objective` to say {wanted}."
    );
    let behind = [objective.stated_revision];
    Some(Draft::new(&OBJ001, Subject::Objective, behind, message))
}

fn no_horizon(objective: &Objective) -> Option<Draft> {
    if objective.horizon.is_some() {
        return None;
    }
    let message = "The objective says no date by which it is to be reached, so it can never be \
                   missed: refine it with `set_objective` to give it a horizon.";
    let behind = [objective.stated_revision];
    Some(Draft::new(&OBJ002, Subject::Objective, behind, message))
}
