//! The line of sight: what a tactic or a commitment is for, up to the objective, and where that
//! chain is broken.

use std::sync::Arc;

use foldhash::{HashSet, HashSetExt as _};

use super::{
    event::{cut, date},
    plan::{Assumption, AssumptionState, IndicatorState, Plan, Strategy, StrategyState},
    show,
    value::{Id, Subject},
};
use crate::proto::{self, LineOfSight};

#[cfg(test)]
mod tests;

/// What stands between the links of a chain in its summary.
const ARROW: &str = " → ";

/// What a tactic or a commitment of a plan is for. Nothing for other subjects, and for what the plan
/// does not have.
#[must_use]
pub fn line_of_sight(plan: &Plan, subject: &Subject) -> Option<LineOfSight> {
    let (commitment_id, tactic_id) = match subject {
        Subject::Tactic(id) => (None, Some(plan.tactics.get(id)?.tactic_id.clone())),
        Subject::Commitment(id) => {
            let commitment = plan.commitments.get(id)?;
            (Some(id.clone()), commitment.tactic_id.clone())
        }
        Subject::Plan
        | Subject::Objective
        | Subject::Strategy(_)
        | Subject::Assumption(_)
        | Subject::Indicator(_) => return None,
    };
    let chain = Chain::of(plan, commitment_id, tactic_id);
    Some(chain.shown(show::basic(&chain.linked())))
}

/// An entry of a map, for another map.
fn shared<T>((id, linked): (&Id, &Arc<T>)) -> (Id, Arc<T>) {
    (id.clone(), linked.clone())
}

/// The links of a chain, by their ids.
struct Chain<'a> {
    plan: &'a Plan,
    commitment_id: Option<Id>,
    tactic_id: Option<Id>,
    strategy: Option<&'a Strategy>,
    /// Those of the tactic first, each once.
    assumption_ids: Vec<Id>,
}

impl<'a> Chain<'a> {
    fn of(plan: &'a Plan, commitment_id: Option<Id>, tactic_id: Option<Id>) -> Self {
        let tactic = tactic_id.as_ref().and_then(|id| plan.tactics.get(id));
        let strategy_id = tactic.and_then(|tactic| tactic.strategy_id.as_ref());
        let strategy = strategy_id.and_then(|id| plan.strategies.get(id));
        let of_tactic = tactic.into_iter().flat_map(|it| &it.assumption_ids);
        let of_strategy = strategy
            .into_iter()
            .flat_map(|it| &it.choice.assumption_ids);
        let mut seen = HashSet::new();
        let assumption_ids = of_tactic.chain(of_strategy).filter(|id| seen.insert(*id));
        Self {
            plan,
            commitment_id,
            assumption_ids: assumption_ids.cloned().collect(),
            strategy: strategy.map(AsRef::as_ref),
            tactic_id,
        }
    }

    /// The plan with nothing in it but the links, so that no more than these is shown.
    fn linked(&self) -> Plan {
        let plan = self.plan;
        let mut linked = Plan {
            objective: plan.objective.clone(),
            ..Plan::unborn(plan.plan_id.clone())
        };
        let commitment = self.commitment_id.as_ref();
        let commitment = commitment.and_then(|id| plan.commitments.get_key_value(id));
        linked.commitments.extend(commitment.map(shared));
        let tactic = self.tactic_id.as_ref();
        let tactic = tactic.and_then(|id| plan.tactics.get_key_value(id));
        linked.tactics.extend(tactic.map(shared));
        if let Some(strategy) = self.strategy {
            let strategy = plan.strategies.get_key_value(&strategy.strategy_id);
            linked.strategies.extend(strategy.map(shared));
        }
        let assumptions = self.assumption_ids.iter();
        let assumptions = assumptions.filter_map(|id| plan.assumptions.get_key_value(id));
        linked.assumptions.extend(assumptions.map(shared));
        let judged_by = self.strategy.map_or(&[][..], |it| &it.choice.indicator_ids);
        let indicators = judged_by.iter();
        let indicators = indicators.filter_map(|id| plan.indicators.get_key_value(id));
        linked.indicators.extend(indicators.map(shared));
        linked
    }

    /// The chain as it is published, with its links from the view of the plan.
    fn shown(&self, view: proto::Plan) -> LineOfSight {
        let (summary, gaps) = (self.summary(&view), self.gaps());
        let proto::Plan {
            commitments,
            tactics,
            strategies,
            mut assumptions,
            mut indicators,
            objective,
            ..
        } = view;
        let rank = |ids: &[Id], id: &str| ids.iter().position(|it| **it == *id);
        assumptions.retain(|it| rank(&self.assumption_ids, &it.assumption_id).is_some());
        assumptions.sort_by_key(|it| rank(&self.assumption_ids, &it.assumption_id));
        let judged_by = self.strategy.map_or(&[][..], |it| &it.choice.indicator_ids);
        indicators.retain(|it| rank(judged_by, &it.indicator_id).is_some());
        indicators.sort_by_key(|it| rank(judged_by, &it.indicator_id));
        let strategy = strategies
            .into_iter()
            .find(|it| is(self.strategy.map(|it| &it.strategy_id), &it.strategy_id));
        LineOfSight {
            commitment: commitments
                .into_iter()
                .find(|it| is(self.commitment_id.as_ref(), &it.commitment_id)),
            tactic: tactics
                .into_iter()
                .find(|it| is(self.tactic_id.as_ref(), &it.tactic_id)),
            strategy: strategy.map(|strategy| proto::Strategy {
                proposals: Vec::new(),
                ..strategy
            }),
            assumptions,
            indicators,
            objective,
            summary,
            gaps,
        }
    }

    /// The chain in a line.
    fn summary(&self, view: &proto::Plan) -> String {
        let commitment = self.commitment_id.as_ref();
        let commitment = commitment.and_then(|id| self.plan.commitments.get(id));
        let tactic = self.tactic_id.as_ref();
        let tactic = tactic.and_then(|id| self.plan.tactics.get(id));
        let mut links = Vec::new();
        links.extend(commitment.map(|it| {
            let due = date(Some(&it.due.into()));
            let (id, assignee) = (&it.commitment_id, cut(&it.assignee));
            format!(
                "commitments/{id} ({assignee}, due {due}): {}",
                cut(&it.promise)
            )
        }));
        links.push(tactic.map_or_else(
            || "no tactic".to_owned(),
            |it| format!("tactics/{}: {}", it.tactic_id, cut(&it.statement)),
        ));
        links.push(self.strategy.map_or_else(
            || "no strategy".to_owned(),
            |it| {
                let (id, revision) = (&it.strategy_id, it.revision);
                format!("strategies/{id}@{revision}: {}", cut(&it.choice.intent))
            },
        ));
        links.push(view.objective.as_ref().map_or_else(
            || "no objective".to_owned(),
            |it| format!("objective: {}", cut(&it.statement)),
        ));
        links.join(ARROW)
    }

    /// What is missing or broken, from the bottom up.
    fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        match (&self.commitment_id, &self.tactic_id, self.strategy) {
            (Some(id), None, _) => gaps.push(format!("The commitment `{id}` is for no tactic.")),
            (_, Some(id), None) => {
                gaps.extend(self.retired(id));
                gaps.push(format!("The tactic `{id}` serves no strategy."));
            }
            (_, Some(id), Some(_)) => gaps.extend(self.retired(id)),
            (None, None, _) => {}
        }
        if let Some(strategy) = self.strategy {
            gaps.extend(ended(strategy));
            gaps.extend(self.not_measured(strategy));
        }
        if self.assumption_ids.is_empty() && self.tactic_id.is_some() {
            gaps.push("Nothing says on what assumptions it rests.".to_owned());
        }
        let assumptions = self.assumption_ids.iter();
        let assumptions = assumptions.filter_map(|id| self.plan.assumptions.get(id));
        gaps.extend(assumptions.filter_map(|assumption| refuted(assumption)));
        match &self.plan.objective {
            None => gaps.push("The plan has no objective.".to_owned()),
            Some(objective) if !objective.says_how_much() => {
                gaps.push(
                    "The objective does not say what is to be measured, or how much of it."
                        .to_owned(),
                );
            }
            Some(_) => {}
        }
        gaps
    }

    fn retired(&self, tactic_id: &Id) -> Option<String> {
        let tactic = self.plan.tactics.get(tactic_id)?;
        tactic.retired.as_ref()?;
        Some(format!("The tactic `{tactic_id}` is no longer an option."))
    }

    fn not_measured(&self, strategy: &Strategy) -> Vec<String> {
        let id = &strategy.strategy_id;
        let judged_by = &strategy.choice.indicator_ids;
        if judged_by.is_empty() {
            return vec![format!("The strategy `{id}` is judged by no indicator.")];
        }
        let indicators = judged_by
            .iter()
            .filter_map(|id| self.plan.indicators.get(id));
        let gap = |indicator: &IndicatorState, by: &Id| match indicator {
            IndicatorState::Live => None,
            IndicatorState::Replaced(with) => Some(format!(
                "The strategy `{id}` is judged by the indicator `{by}`, which `{with}` has replaced."
            )),
            IndicatorState::Retired => Some(format!(
                "The strategy `{id}` is judged by the indicator `{by}`, which is no longer measured."
            )),
        };
        indicators
            .filter_map(|indicator| gap(&indicator.state, &indicator.indicator_id))
            .collect()
    }
}

fn is(wanted: Option<&Id>, id: &str) -> bool {
    wanted.is_some_and(|wanted| **wanted == *id)
}

fn ended(strategy: &Strategy) -> Option<String> {
    let id = &strategy.strategy_id;
    match &strategy.state {
        StrategyState::Live => None,
        StrategyState::Superseded { by, .. } => {
            Some(format!("The strategy `{id}` gave way to `{by}`."))
        }
        StrategyState::Abandoned { .. } => Some(format!("The strategy `{id}` was given up.")),
        StrategyState::Fulfilled { .. } => Some(format!("The strategy `{id}` has done its work.")),
    }
}

fn refuted(assumption: &Assumption) -> Option<String> {
    let id = &assumption.assumption_id;
    match assumption.state {
        AssumptionState::Stated | AssumptionState::Supported(_) => None,
        AssumptionState::Refuted(_) => {
            Some(format!("The assumption `{id}` was found not to hold."))
        }
    }
}
