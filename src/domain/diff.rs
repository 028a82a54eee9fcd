//! What differs in a plan between two points, thing by thing and field by field. What is compared is
//! what is shown: two plans differ where their views do. Most things are alike, and what the states
//! hold alike is not shown at all: its views are alike as well.

use std::collections::HashMap;

use self::apart::apart;
use super::plan::Plan;
use crate::{
    json::{self, JsonError, Published},
    proto::{self, ChangeKind, EntityChange, PlanEntity, plan_entity::Entity},
};

mod apart;
#[cfg(test)]
mod tests;

/// What differs. Without a plan before, everything was added. Of each kind of things those that are
/// there after come first, in their order.
pub fn between(before: Option<&Plan>, after: &Plan) -> Result<Vec<EntityChange>, JsonError> {
    let mut changes = Vec::new();
    let (before, after) = match before.map(|before| apart(before, after)) {
        None => (Parts::default(), Parts::of(after)),
        Some((before, after)) => (Parts::of(&before), Parts::of(&after)),
    };
    compare(&mut changes, before.plan, after.plan)?;
    compare(&mut changes, before.objective, after.objective)?;
    compare(&mut changes, before.rest.indicators, after.rest.indicators)?;
    compare(
        &mut changes,
        before.rest.assumptions,
        after.rest.assumptions,
    )?;
    compare(&mut changes, before.rest.strategies, after.rest.strategies)?;
    compare(&mut changes, before.rest.tactics, after.rest.tactics)?;
    compare(
        &mut changes,
        before.rest.commitments,
        after.rest.commitments,
    )?;
    let before = before.rest.acknowledgements;
    compare(&mut changes, before, after.rest.acknowledgements)?;
    Ok(changes)
}

/// A plan in its parts.
#[derive(Default)]
struct Parts {
    /// The plan by itself, at most one.
    plan: Vec<proto::Plan>,
    /// At most one.
    objective: Vec<proto::Objective>,
    /// What holds the other things.
    rest: proto::Plan,
}

impl Parts {
    fn of(plan: &Plan) -> Self {
        let mut rest = proto::Plan::from(plan);
        let itself = proto::Plan {
            plan_id: rest.plan_id.clone(),
            state: rest.state,
            title: std::mem::take(&mut rest.title),
            summary: std::mem::take(&mut rest.summary),
            labels: std::mem::take(&mut rest.labels),
            created_at: rest.created_at,
            archiving: rest.archiving.take(),
            notes: rest.notes,
            // Every event moves these, and the answer names the two revisions.
            revision: 0,
            last_occurred_at: None,
            ..proto::Plan::default()
        };
        Self {
            plan: vec![itself],
            objective: rest.objective.take().into_iter().collect(),
            rest,
        }
    }
}

/// Something in a plan that is there once.
trait Thing: Published + Clone + PartialEq {
    /// What it goes by.
    fn subject(&self) -> String;
    /// It as one of the things that there are.
    fn entity(self) -> Entity;
}

fn compare<T: Thing>(
    changes: &mut Vec<EntityChange>,
    before: Vec<T>,
    after: Vec<T>,
) -> Result<(), JsonError> {
    let order: Vec<_> = before.iter().map(T::subject).collect();
    let mut left: HashMap<_, _> = order.iter().cloned().zip(before).collect();
    for thing in after {
        let subject = thing.subject();
        match left.remove(&subject) {
            None => changes.push(change(subject, ChangeKind::Added, None, Some(thing))),
            Some(was) if was == thing => {}
            Some(was) => {
                let fields = json::differences(&was, &thing)?;
                let differing = change(subject, ChangeKind::Changed, Some(was), Some(thing));
                changes.push(EntityChange {
                    fields,
                    ..differing
                });
            }
        }
    }
    for subject in order {
        if let Some(was) = left.remove(&subject) {
            changes.push(change(subject, ChangeKind::Removed, Some(was), None));
        }
    }
    Ok(())
}

fn change<T: Thing>(
    subject: String,
    kind: ChangeKind,
    before: Option<T>,
    after: Option<T>,
) -> EntityChange {
    let entity = |thing: T| PlanEntity {
        entity: Some(thing.entity()),
    };
    EntityChange {
        subject,
        kind: kind.into(),
        before: before.map(entity),
        after: after.map(entity),
        ..EntityChange::default()
    }
}

impl Thing for proto::Plan {
    fn subject(&self) -> String {
        "plan".to_owned()
    }

    fn entity(self) -> Entity {
        Entity::Plan(self)
    }
}

impl Thing for proto::Objective {
    fn subject(&self) -> String {
        "objective".to_owned()
    }

    fn entity(self) -> Entity {
        Entity::Objective(self)
    }
}

impl Thing for proto::Indicator {
    fn subject(&self) -> String {
        format!("indicators/{}", self.indicator_id)
    }

    fn entity(self) -> Entity {
        Entity::Indicator(self)
    }
}

impl Thing for proto::Assumption {
    fn subject(&self) -> String {
        format!("assumptions/{}", self.assumption_id)
    }

    fn entity(self) -> Entity {
        Entity::Assumption(self)
    }
}

impl Thing for proto::Strategy {
    fn subject(&self) -> String {
        format!("strategies/{}", self.strategy_id)
    }

    fn entity(self) -> Entity {
        Entity::Strategy(self)
    }
}

impl Thing for proto::Tactic {
    fn subject(&self) -> String {
        format!("tactics/{}", self.tactic_id)
    }

    fn entity(self) -> Entity {
        Entity::Tactic(self)
    }
}

impl Thing for proto::Commitment {
    fn subject(&self) -> String {
        format!("commitments/{}", self.commitment_id)
    }

    fn entity(self) -> Entity {
        Entity::Commitment(self)
    }
}

impl Thing for proto::Acknowledgement {
    fn subject(&self) -> String {
        format!("acknowledgements/{}/{}", self.code, self.subject)
    }

    fn entity(self) -> Entity {
        Entity::Acknowledgement(self)
    }
}
