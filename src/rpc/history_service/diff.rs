//! `DiffPlan`: what differs in a plan between two points.

use prost::Message as _;
use tonic::{Response, Status};

use crate::{
    domain::{diff, plan::Plan},
    proto::{DiffPlanRequest, DiffPlanResponse, EntityChange},
    rpc::{as_of, gate::Caller, query::Checks},
};

/// Up to where changes are told in full, in bytes: what comes after is told in short.
const FULL_BYTES: usize = 5 << 19;
/// Where the list ends, in bytes: below the largest message that clients take.
const LISTED_BYTES: usize = 7 << 19;
/// What a change takes in a message beside its own bytes.
const FRAME_BYTES: usize = 8;

pub(super) async fn answer(
    caller: &Caller<'_>,
    request: DiffPlanRequest,
) -> Result<Response<DiffPlanResponse>, Status> {
    let mut check = Checks::default();
    check.id("plan_id", &request.plan_id);
    let from = check.point("from", request.from);
    let to = check.point("to", request.to);
    check.finish()?;
    let plan = caller.plan(&request.plan_id)?;
    let core = caller.core_at(request.min_position).await?;
    let answer = as_of::ask_between(core, plan, (from, to), |from, to| {
        let before = from.map(|from| from.moment.plan);
        let response = differing(before.as_deref(), &to.moment.plan, to.position)?;
        Ok(Response::new(response))
    });
    answer.await
}

fn differing(
    before: Option<&Plan>,
    after: &Plan,
    position: u64,
) -> Result<DiffPlanResponse, Status> {
    let changes = diff::between(before, after).map_err(|error| {
        tracing::error!(%error, "what differs cannot be said");
        Status::internal("what differs cannot be said")
    })?;
    let (changes, unlisted) = fitting(changes);
    Ok(DiffPlanResponse {
        changes,
        from_revision: before.map_or(0, |plan| plan.revision),
        to_revision: after.revision,
        position,
        unlisted,
    })
}

/// The changes that there is room for, some of them in short, and how many there is none for.
fn fitting(changes: Vec<EntityChange>) -> (Vec<EntityChange>, u32) {
    let (mut listed, mut unlisted) = (Vec::with_capacity(changes.len()), 0_u32);
    let mut bytes = 0;
    for change in changes {
        let fits = |change: &EntityChange, end| bytes + weight_bytes(change) <= end;
        let change = abridged(change, fits);
        if unlisted == 0 && fits(&change, LISTED_BYTES) {
            bytes += weight_bytes(&change);
            listed.push(change);
        } else {
            unlisted = unlisted.saturating_add(1);
        }
    }
    (listed, unlisted)
}

/// The change, without what there is no room for.
fn abridged(mut change: EntityChange, fits: impl Fn(&EntityChange, usize) -> bool) -> EntityChange {
    if fits(&change, FULL_BYTES) {
        return change;
    }
    change.abridged = true;
    (change.before, change.after) = (None, None);
    if !fits(&change, FULL_BYTES) {
        for field in &mut change.fields {
            (field.before, field.after) = (None, None);
        }
    }
    if !fits(&change, LISTED_BYTES) {
        change.fields.clear();
    }
    change
}

fn weight_bytes(change: &EntityChange) -> usize {
    change.encoded_len() + FRAME_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        proto::{ChangeKind, FieldChange, PlanEntity, Tactic, plan_entity::Entity},
        rpc::RESPONSE_BYTES_MAX,
    };

    fn change(number: usize, bytes: usize) -> EntityChange {
        let tactic = Tactic {
            statement: "x".repeat(bytes),
            ..Tactic::default()
        };
        EntityChange {
            subject: format!("tactics/t{number}"),
            kind: ChangeKind::Changed.into(),
            fields: vec![FieldChange {
                path: "statement".into(),
                ..FieldChange::default()
            }],
            after: Some(PlanEntity {
                entity: Some(Entity::Tactic(tactic)),
            }),
            ..EntityChange::default()
        }
    }

    fn answer_bytes((changes, unlisted): &(Vec<EntityChange>, u32)) -> usize {
        let response = DiffPlanResponse {
            changes: changes.clone(),
            unlisted: *unlisted,
            ..DiffPlanResponse::default()
        };
        response.encoded_len()
    }

    #[test]
    fn what_there_is_room_for_is_told_in_full() {
        let changes: Vec<_> = (0..2).map(|number| change(number, 1 << 20)).collect();
        assert_eq!(fitting(changes.clone()), (changes, 0));
    }

    #[test]
    fn a_large_answer_names_all_that_differs_and_tells_the_last_in_short() {
        let changes: Vec<_> = (0..512).map(|number| change(number, 10_000)).collect();
        let fitted = fitting(changes);
        assert!(answer_bytes(&fitted) < RESPONSE_BYTES_MAX);
        let (listed, unlisted) = fitted;
        assert_eq!((listed.len(), unlisted), (512, 0));
        assert!(!listed[200].abridged && listed[200].after.is_some());
        assert!(listed[511].abridged && listed[511].after.is_none());
        assert_eq!(listed[511].fields[0].path, "statement");
    }

    #[test]
    fn no_answer_is_larger_than_clients_take() {
        let changes: Vec<_> = (0..60_000).map(|number| change(number, 90)).collect();
        let fitted = fitting(changes);
        assert!(answer_bytes(&fitted) < RESPONSE_BYTES_MAX);
        assert!(fitted.1 > 0);
        assert_eq!(fitted.0.len() + fitted.1 as usize, 60_000);
    }
}
