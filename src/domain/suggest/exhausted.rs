//! What a revision of an exhausted strategy should reconsider: the assumptions that are in doubt, and
//! what failed.

use std::collections::{BTreeMap, BTreeSet};

use super::{chance::Chances, obstacles::named};
use crate::{
    domain::{
        history::Moment,
        plan::{AttemptState, Strategy, Tactic},
        value::Id,
    },
    proto::{Doubt, DoubtedAssumption, Failure, FailuresOfKind, Reconsideration},
};

/// What to reconsider.
pub(super) fn reconsider(
    moment: &Moment,
    strategy: &Strategy,
    chances: &Chances<'_>,
) -> Reconsideration {
    let tactics = moment.plan.tactics.values().map(AsRef::as_ref);
    let of_strategy = |it: &&Tactic| it.strategy_id.as_ref() == Some(&strategy.strategy_id);
    let tactics: Vec<&Tactic> = tactics.filter(of_strategy).collect();
    let assumptions = doubted(strategy, &tactics, chances);
    let failures = failures(moment, &tactics);
    Reconsideration {
        advice: advice(strategy, &assumptions, &failures),
        assumptions,
        failures,
    }
}

/// Those that the strategy rests on, in its order, then those that its tactics name, by id.
fn doubted(
    strategy: &Strategy,
    tactics: &[&Tactic],
    chances: &Chances<'_>,
) -> Vec<DoubtedAssumption> {
    let own = &strategy.choice.assumption_ids;
    let named: BTreeSet<&Id> = tactics.iter().flat_map(|it| &it.assumption_ids).collect();
    let others = named.into_iter().filter(|id| !own.contains(id));
    own.iter()
        .chain(others)
        .filter_map(|id| chances.doubt(id))
        .collect()
}

/// What failed, by kind of tactic.
fn failures(moment: &Moment, tactics: &[&Tactic]) -> Vec<FailuresOfKind> {
    let mut by_kind: BTreeMap<&str, (FailuresOfKind, Vec<u64>)> = BTreeMap::new();
    for tactic in tactics {
        let (effect, precondition) = (
            tactic.failures(Failure::Effect),
            tactic.failures(Failure::Precondition),
        );
        if effect + precondition == 0 {
            continue;
        }
        let (of_kind, revisions) = by_kind.entry(&tactic.kind).or_default();
        of_kind.kind.clone_from(&tactic.kind);
        of_kind.effect_failures += u32::try_from(effect).unwrap_or(u32::MAX);
        of_kind.precondition_failures += u32::try_from(precondition).unwrap_or(u32::MAX);
        of_kind.tactic_ids.push(tactic.tactic_id.to_string());
        let failed = tactic.attempts.iter().filter_map(|it| match &it.state {
            AttemptState::Failed { ending, .. } => Some(ending.revision),
            AttemptState::Open | AttemptState::Succeeded(_) | AttemptState::Stopped { .. } => None,
        });
        revisions.extend(failed);
    }
    let told = by_kind
        .into_values()
        .map(|(of_kind, revisions)| FailuresOfKind {
            events: moment.last_references(revisions),
            ..of_kind
        });
    told.collect()
}

fn advice(
    strategy: &Strategy,
    assumptions: &[DoubtedAssumption],
    failures: &[FailuresOfKind],
) -> String {
    let id = &strategy.strategy_id;
    let of_doubt = |doubt: Doubt| {
        let ids = assumptions.iter().filter(|it| it.doubt() == doubt);
        named(ids.map(|it| it.assumption_id.as_str()))
    };
    let (refuted, suspected) = (of_doubt(Doubt::Refuted), of_doubt(Doubt::Suspected));
    if !refuted.is_empty() {
        let many = assumptions.iter().filter(|it| it.doubt() == Doubt::Refuted);
        let that = if many.count() == 1 { "that" } else { "them" };
        format!("Revise `{id}` so that it does without {refuted}, and cite what refuted {that}.")
    } else if !suspected.is_empty() {
        format!("Put {suspected} to the test, or revise `{id}` so that it does without.")
    } else if failures.is_empty() {
        format!("Add an option to `{id}`, or revise it.")
    } else {
        let counts = failures.iter();
        let count: u32 = counts
            .map(|it| it.effect_failures + it.precondition_failures)
            .sum();
        let (failures, them) = match count {
            1 => ("its failure speaks", "that"),
            _ => ("its failures speak", "them"),
        };
        format!("Ask which assumption of `{id}` {failures} against, and revise it, citing {them}.")
    }
}
