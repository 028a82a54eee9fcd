//! The tactics as options: added, restated, moved, retired, put in order.

use std::collections::BTreeSet;

use super::{
    super::plan::{Plan, Tactic},
    CommandContext, Refusal, bounds,
    subjects::{
        assumptions_exist, id_is_new, strategy, strategy_is_live, tactic, tactic_is_live,
        tactic_rests, tactics,
    },
};
use crate::proto::{self, ErrorReason, event::Kind};

/// Adds a tactic.
pub(super) fn add(
    plan: &Plan,
    command: &proto::AddTactic,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let id = &command.tactic_id;
    let group = match command.strategy_id.as_str() {
        "" => None,
        group => Some(strategy(plan, group, "strategy_id", context)?),
    };
    assumptions_exist(plan, &command.assumption_ids, "assumption_ids", context)?;
    after_exist(plan, id, &command.after_tactic_ids, context)?;
    id_is_new(plan, &plan.tactics, "tactics", id, "tactic_id", context)?;
    group.map_or(Ok(()), |group| {
        strategy_is_live(group, "strategy_id", context)
    })?;
    waits_in_no_circle(plan, id, &command.after_tactic_ids, context)?;
    bounds::has_room("tactics", plan.tactics.len(), bounds::TACTICS_MAX, context)?;
    Ok(Kind::TacticAdded(proto::TacticAdded {
        tactic_id: id.clone(),
        strategy_id: command.strategy_id.clone(),
        statement: command.statement.clone(),
        kind: command.kind.clone(),
        cost: command.cost,
        rank: command.rank,
        assumption_ids: command.assumption_ids.clone(),
        after_tactic_ids: command.after_tactic_ids.clone(),
    }))
}

/// Restates a tactic.
pub(super) fn reword(
    plan: &Plan,
    command: &proto::RewordTactic,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let id = &command.tactic_id;
    let reworded = tactic(plan, id, "tactic_id", context)?;
    assumptions_exist(plan, &command.assumption_ids, "assumption_ids", context)?;
    after_exist(plan, id, &command.after_tactic_ids, context)?;
    can_change(reworded, context)?;
    waits_in_no_circle(plan, id, &command.after_tactic_ids, context)?;
    Ok(Kind::TacticReworded(proto::TacticReworded {
        tactic_id: id.clone(),
        statement: command.statement.clone(),
        kind: command.kind.clone(),
        cost: command.cost,
        assumption_ids: command.assumption_ids.clone(),
        after_tactic_ids: command.after_tactic_ids.clone(),
        reason: command.reason.clone(),
    }))
}

/// Moves a tactic under another strategy, or under none.
pub(super) fn regroup(
    plan: &Plan,
    command: &proto::RegroupTactic,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let moved = tactic(plan, &command.tactic_id, "tactic_id", context)?;
    let group = match command.strategy_id.as_str() {
        "" => None,
        group => Some(strategy(plan, group, "strategy_id", context)?),
    };
    can_change(moved, context)?;
    group.map_or(Ok(()), |group| {
        strategy_is_live(group, "strategy_id", context)
    })?;
    Ok(Kind::TacticRegrouped(proto::TacticRegrouped {
        tactic_id: command.tactic_id.clone(),
        strategy_id: command.strategy_id.clone(),
    }))
}

/// Takes a tactic out of the options for good.
pub(super) fn retire(
    plan: &Plan,
    command: &proto::RetireTactic,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    can_change(
        tactic(plan, &command.tactic_id, "tactic_id", context)?,
        context,
    )?;
    Ok(Kind::TacticRetired(proto::TacticRetired {
        tactic_id: command.tactic_id.clone(),
        reason: command.reason.clone(),
    }))
}

/// Puts all tactics of a strategy that are not retired in order.
pub(super) fn rank(
    plan: &Plan,
    command: &proto::RankTactics,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let id = &command.strategy_id;
    let ordered = strategy(plan, id, "strategy_id", context)?;
    tactics(plan, &command.tactic_ids, "tactic_ids", context)?;
    strategy_is_live(ordered, "strategy_id", context)?;
    let named: BTreeSet<&str> = command.tactic_ids.iter().map(String::as_str).collect();
    let options: BTreeSet<&str> = plan.live_tactics_of(id).map(|it| &*it.tactic_id).collect();
    if named != options || named.len() != command.tactic_ids.len() {
        let message = format!(
            "Name each tactic of the strategy `{id}` that is not retired once: there are {}.",
            options.len()
        );
        return Err(context
            .refuse(ErrorReason::NotAPermutation, "tactic_ids", message)
            .about("strategies", id));
    }
    Ok(Kind::TacticsRanked(proto::TacticsRanked {
        strategy_id: id.clone(),
        tactic_ids: command.tactic_ids.clone(),
    }))
}

fn can_change(changed: &Tactic, context: &CommandContext<'_>) -> Result<(), Refusal> {
    tactic_is_live(changed, "tactic_id", context)?;
    tactic_rests(changed, "tactic_id", context)
}

/// Refuses to wait for tactics that do not exist. The tactic itself passes: that it waits for
/// itself is a circle, also while it is being added.
fn after_exist(
    plan: &Plan,
    id: &str,
    after: &[String],
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    for (index, named) in after.iter().enumerate() {
        if named != id {
            tactic(plan, named, &format!("after_tactic_ids[{index}]"), context)?;
        }
    }
    Ok(())
}

/// Refuses that a tactic waits for others that, in the end, wait for it.
fn waits_in_no_circle(
    plan: &Plan,
    id: &str,
    after: &[String],
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    let mut open: Vec<&str> = after.iter().map(String::as_str).collect();
    let mut seen = BTreeSet::new();
    while let Some(one) = open.pop() {
        if one == id {
            let message =
                format!("The tactic `{id}` would wait for itself in a circle: shorten the list.");
            return Err(context
                .refuse(ErrorReason::Cycle, "after_tactic_ids", message)
                .about("tactics", id));
        }
        if seen.insert(one) {
            let waits_for = plan
                .tactics
                .get(one)
                .map(|it| it.after_tactic_ids.as_slice());
            open.extend(waits_for.unwrap_or_default().iter().map(|it| &**it));
        }
    }
    Ok(())
}
