//! The things that a command names: found in the plan, still live, or new.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    super::{
        plan::{Assumption, Commitment, Indicator, Plan, Proposal, Strategy, Tactic},
        value::Id,
    },
    CommandContext, Refusal,
};
use crate::proto::ErrorReason;

/// The strategy of this id.
pub(super) fn strategy<'p>(
    plan: &'p Plan,
    id: &str,
    field: &str,
    context: &CommandContext<'_>,
) -> Result<&'p Strategy, Refusal> {
    found(&plan.strategies, "strategies", id, field, context)
}

/// The tactic of this id.
pub(super) fn tactic<'p>(
    plan: &'p Plan,
    id: &str,
    field: &str,
    context: &CommandContext<'_>,
) -> Result<&'p Tactic, Refusal> {
    found(&plan.tactics, "tactics", id, field, context)
}

/// The assumption of this id.
pub(super) fn assumption<'p>(
    plan: &'p Plan,
    id: &str,
    field: &str,
    context: &CommandContext<'_>,
) -> Result<&'p Assumption, Refusal> {
    found(&plan.assumptions, "assumptions", id, field, context)
}

/// The indicator of this id.
pub(super) fn indicator<'p>(
    plan: &'p Plan,
    id: &str,
    field: &str,
    context: &CommandContext<'_>,
) -> Result<&'p Indicator, Refusal> {
    found(&plan.indicators, "indicators", id, field, context)
}

/// The commitment of this id.
pub(super) fn commitment<'p>(
    plan: &'p Plan,
    id: &str,
    field: &str,
    context: &CommandContext<'_>,
) -> Result<&'p Commitment, Refusal> {
    found(&plan.commitments, "commitments", id, field, context)
}

/// The proposal of this id.
pub(super) fn proposal<'p>(
    plan: &'p Plan,
    id: &str,
    field: &str,
    context: &CommandContext<'_>,
) -> Result<&'p Proposal, Refusal> {
    found(&plan.proposals, "proposals", id, field, context)
}

/// The tactics of these ids.
pub(super) fn tactics<'p>(
    plan: &'p Plan,
    ids: &[String],
    field: &str,
    context: &CommandContext<'_>,
) -> Result<Vec<&'p Tactic>, Refusal> {
    all_found(&plan.tactics, "tactics", ids, field, context)
}

/// Refuses assumptions that the plan does not have.
pub(super) fn assumptions_exist(
    plan: &Plan,
    ids: &[String],
    field: &str,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    all_found(&plan.assumptions, "assumptions", ids, field, context).map(drop)
}

/// Refuses indicators that the plan does not have.
pub(super) fn indicators_exist(
    plan: &Plan,
    ids: &[String],
    field: &str,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    all_found(&plan.indicators, "indicators", ids, field, context).map(drop)
}

/// Refuses a subject, written as `tactics/ID`, that the plan does not have.
pub(super) fn subject_exists(
    plan: &Plan,
    subject: &str,
    field: &str,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    let exists = match subject.split_once('/') {
        None => subject == "plan" || (subject == "objective" && plan.objective.is_some()),
        Some(("strategies", id)) => plan.strategies.contains_key(id),
        Some(("tactics", id)) => plan.tactics.contains_key(id),
        Some(("assumptions", id)) => plan.assumptions.contains_key(id),
        Some(("indicators", id)) => plan.indicators.contains_key(id),
        Some(("commitments", id)) => plan.commitments.contains_key(id),
        Some(_) => false,
    };
    if exists {
        Ok(())
    } else {
        Err(not_found(subject, field, context))
    }
}

/// Refuses an id that was used before; `folder` is where things of its kind are found.
pub(super) fn id_is_new<T>(
    plan: &Plan,
    used: &BTreeMap<Id, Arc<T>>,
    folder: &str,
    id: &str,
    field: &str,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    let spent = || plan.spent.contains(&format!("{folder}/{id}"));
    if !used.contains_key(id) && !spent() {
        return Ok(());
    }
    let message =
        format!("`{folder}/{id}` was used before and is never used again: choose another.");
    Err(context
        .refuse(ErrorReason::IdTaken, field, message)
        .about(folder, id))
}

/// How many things of one kind the plan ever had, those included that were retracted since.
pub(super) fn ever_had<T>(plan: &Plan, standing: &BTreeMap<Id, Arc<T>>, folder: &str) -> usize {
    let spent = plan
        .spent
        .iter()
        .filter_map(|subject| subject.split_once('/'));
    standing.len() + spent.filter(|(of, _)| *of == folder).count()
}

/// Refuses a strategy that has ended.
pub(super) fn strategy_is_live(
    strategy: &Strategy,
    field: &str,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    is_live(
        strategy.is_live(),
        "strategies",
        &strategy.strategy_id,
        field,
        context,
    )
}

/// Refuses a tactic that is retired.
pub(super) fn tactic_is_live(
    tactic: &Tactic,
    field: &str,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    is_live(
        tactic.retired.is_none(),
        "tactics",
        &tactic.tactic_id,
        field,
        context,
    )
}

/// Refuses an indicator that takes no more measurements.
pub(super) fn indicator_is_live(
    indicator: &Indicator,
    field: &str,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    is_live(
        indicator.is_live(),
        "indicators",
        &indicator.indicator_id,
        field,
        context,
    )
}

/// Refuses a tactic that is being tried.
pub(super) fn tactic_rests(
    tactic: &Tactic,
    field: &str,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    let Some(open) = tactic.open_attempt() else {
        return Ok(());
    };
    let message = format!(
        "Attempt {} of the tactic `{}` is open: end it first.",
        open.attempt, tactic.tactic_id
    );
    Err(context
        .refuse(ErrorReason::AttemptOpen, field, message)
        .about("tactics", &tactic.tactic_id))
}

fn is_live(
    live: bool,
    folder: &str,
    id: &str,
    field: &str,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    if live {
        return Ok(());
    }
    let message = format!("`{folder}/{id}` has ended and nothing is done to it: name a live one.");
    Err(context
        .refuse(ErrorReason::NotLive, field, message)
        .about(folder, id))
}

fn found<'p, T>(
    things: &'p BTreeMap<Id, Arc<T>>,
    folder: &str,
    id: &str,
    field: &str,
    context: &CommandContext<'_>,
) -> Result<&'p T, Refusal> {
    things
        .get(id)
        .map(AsRef::as_ref)
        .ok_or_else(|| not_found(&format!("{folder}/{id}"), field, context))
}

fn all_found<'p, T>(
    things: &'p BTreeMap<Id, Arc<T>>,
    folder: &str,
    ids: &[String],
    field: &str,
    context: &CommandContext<'_>,
) -> Result<Vec<&'p T>, Refusal> {
    let find = |(index, id): (usize, &String)| {
        things.get(id.as_str()).map(AsRef::as_ref).ok_or_else(|| {
            not_found(
                &format!("{folder}/{id}"),
                &format!("{field}[{index}]"),
                context,
            )
        })
    };
    ids.iter().enumerate().map(find).collect()
}

fn not_found(subject: &str, field: &str, context: &CommandContext<'_>) -> Refusal {
    let message = format!("The plan has no `{subject}`: read the plan and mend the id.");
    context
        .refuse(ErrorReason::SubjectNotFound, field, message)
        .with("subject", subject)
}
