//! What no plan may contradict, whatever was corrected or retracted.

use super::super::{
    super::plan::{Assumption, Plan, Tactic},
    assumptions::{has_evidence, verdict_of},
};

/// What in the plan contradicts itself, as the end of a sentence; none in a coherent plan.
pub(in super::super) fn contradiction(plan: &Plan) -> Option<String> {
    let tactics = plan.tactics.values().map(AsRef::as_ref);
    let assumptions = plan.assumptions.values().map(AsRef::as_ref);
    let mut commitments = plan.commitments.values().map(AsRef::as_ref);
    let mut tried = tactics.filter(|it| it.open_attempt().is_some());
    let mut concluded = assumptions.filter(|it| lacks_evidence(plan, it));
    if plan.is_archived() {
        let ended = "while the plan is archived";
        let tried = tried
            .next()
            .map(|it| format!("`{}` would be tried {ended}", it.tactic_id));
        let open = commitments.find(|it| it.is_open());
        return tried
            .or_else(|| open.map(|it| format!("`{}` would be open {ended}", it.commitment_id)));
    }
    let tried = tried.find(|it| has_ended(plan, it));
    let due = commitments.find(|it| it.due <= it.made_at);
    tried
        .map(|it| {
            format!(
                "the tactic `{}` would be tried, but it or its strategy has ended",
                it.tactic_id
            )
        })
        .or_else(|| {
            let id = &concluded.next()?.assumption_id;
            Some(format!(
                "no evidence would support what was concluded about `{id}`"
            ))
        })
        .or_else(|| due.map(|it| format!("`{}` would be due before it was made", it.commitment_id)))
}

/// Whether the tactic is retired or its strategy is not followed any more.
fn has_ended(plan: &Plan, tactic: &Tactic) -> bool {
    let strategy = tactic
        .strategy_id
        .as_ref()
        .and_then(|id| plan.strategies.get(id));
    tactic.retired.is_some() || strategy.is_some_and(|it| !it.is_live())
}

fn lacks_evidence(plan: &Plan, assumption: &Assumption) -> bool {
    verdict_of(assumption.state).is_some_and(|verdict| !has_evidence(plan, assumption, verdict))
}
