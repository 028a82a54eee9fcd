//! The views of strategies and of the revisions proposed for them.

use std::collections::BTreeMap;

use super::in_order;
use crate::{
    domain::{
        plan::{Plan, Proposal, ProposalState, Strategy, StrategyState},
        value::Id,
    },
    proto,
};

pub(super) fn all(plan: &Plan) -> Vec<proto::Strategy> {
    let mut proposals = proposals_by_strategy(plan);
    let strategies = in_order(&plan.strategies, |it| it.adopted_revision);
    let shown = strategies.map(|strategy| {
        let proposals = proposals.remove(&strategy.strategy_id).unwrap_or_default();
        show(strategy, proposals)
    });
    shown.collect()
}

/// The proposals to revise a strategy, in the order in which they were made.
pub(super) fn proposals(plan: &Plan, strategy_id: &Id) -> Vec<proto::Proposal> {
    let proposals = plan.proposals.values().map(AsRef::as_ref);
    let mut made: Vec<&Proposal> = proposals
        .filter(|proposal| proposal.strategy_id == *strategy_id)
        .collect();
    made.sort_by_key(|proposal| proposal.revision);
    made.into_iter().map(show_proposal).collect()
}

/// The ids, as the view shows them.
pub(super) fn texts(ids: &[Id]) -> Vec<String> {
    ids.iter().map(Id::to_string).collect()
}

fn proposals_by_strategy(plan: &Plan) -> BTreeMap<Id, Vec<proto::Proposal>> {
    let mut sorted: Vec<&Proposal> = plan.proposals.values().map(AsRef::as_ref).collect();
    sorted.sort_by_key(|proposal| proposal.revision);
    let mut by_strategy: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for proposal in sorted {
        by_strategy
            .entry(proposal.strategy_id.clone())
            .or_default()
            .push(show_proposal(proposal));
    }
    by_strategy
}

fn show(strategy: &Strategy, proposals: Vec<proto::Proposal>) -> proto::Strategy {
    let (state, superseded_by, end_reason) = standing(&strategy.state);
    proto::Strategy {
        strategy_id: strategy.strategy_id.to_string(),
        revision: strategy.revision,
        state: state.into(),
        intent: strategy.choice.intent.clone(),
        diagnosis: strategy.choice.diagnosis.clone(),
        will: strategy.choice.will.clone(),
        will_not: strategy.choice.will_not.clone(),
        assumption_ids: texts(&strategy.choice.assumption_ids),
        indicator_ids: texts(&strategy.choice.indicator_ids),
        reason: strategy.reason.clone(),
        branched_from: strategy
            .branched_from
            .as_ref()
            .map(Id::to_string)
            .unwrap_or_default(),
        superseded_by,
        proposals,
        revised_at: Some(strategy.revised_at.into()),
        revised_revision: strategy.revised_revision,
        end_reason,
    }
}

/// The state, what took the strategy's place, and why it ended.
fn standing(state: &StrategyState) -> (proto::StrategyState, String, String) {
    match state {
        StrategyState::Live => (proto::StrategyState::Live, String::new(), String::new()),
        StrategyState::Superseded { by, reason } => (
            proto::StrategyState::Superseded,
            by.to_string(),
            reason.clone(),
        ),
        StrategyState::Abandoned { reason } => (
            proto::StrategyState::Abandoned,
            String::new(),
            reason.clone(),
        ),
        StrategyState::Fulfilled { evidence } => (
            proto::StrategyState::Fulfilled,
            String::new(),
            evidence.clone(),
        ),
    }
}

fn show_proposal(proposal: &Proposal) -> proto::Proposal {
    let (state, decline_reason) = match &proposal.state {
        ProposalState::Open => (proto::ProposalState::Open, String::new()),
        ProposalState::Accepted => (proto::ProposalState::Accepted, String::new()),
        ProposalState::Declined { reason } => (proto::ProposalState::Declined, reason.clone()),
    };
    proto::Proposal {
        proposal_id: proposal.proposal_id.to_string(),
        state: state.into(),
        intent: proposal.intent.clone(),
        reason: proposal.reason.clone(),
        decline_reason,
        revision: proposal.revision,
    }
}
