//! What events make of the strategies and of the revisions proposed for them.

use std::sync::Arc;

use super::{Stamp, tactic};
use crate::{
    domain::{
        plan::{Choice, Plan, Proposal, ProposalState, Strategy, StrategyState},
        value::Id,
    },
    proto,
};

pub(super) fn adopted(plan: &mut Plan, adopted: &proto::StrategyAdopted, at: Stamp) {
    let choice = Choice {
        intent: adopted.intent.clone(),
        diagnosis: adopted.diagnosis.clone(),
        will: adopted.will.clone(),
        will_not: adopted.will_not.clone(),
        assumption_ids: ids(&adopted.assumption_ids),
        indicator_ids: ids(&adopted.indicator_ids),
    };
    begin(
        plan,
        Strategy {
            strategy_id: adopted.strategy_id.as_str().into(),
            revision: 1,
            state: StrategyState::Live,
            choice,
            reason: String::new(),
            unprompted: false,
            branched_from: None,
            revised_at: at.occurred_at,
            revised_revision: at.revision,
            adopted_revision: at.revision,
        },
    );
}

pub(super) fn branched(plan: &mut Plan, branched: &proto::StrategyBranched, at: Stamp) {
    let Some(origin) = plan.strategies.get(branched.from_strategy_id.as_str()) else {
        return;
    };
    let strategy = Strategy {
        strategy_id: branched.strategy_id.as_str().into(),
        revision: 1,
        state: StrategyState::Live,
        choice: Choice {
            intent: branched.intent.clone(),
            ..origin.choice.clone()
        },
        reason: branched.reason.clone(),
        unprompted: false,
        branched_from: Some(origin.strategy_id.clone()),
        revised_at: at.occurred_at,
        revised_revision: at.revision,
        adopted_revision: at.revision,
    };
    begin(plan, strategy);
}

pub(super) fn revised(plan: &mut Plan, revised: &proto::StrategyRevised, at: Stamp) {
    let Some(strategy) = plan.strategies.get_mut(revised.strategy_id.as_str()) else {
        return;
    };
    let strategy = Arc::make_mut(strategy);
    strategy.revision = revised.strategy_revision;
    strategy.choice = Choice {
        intent: revised.intent.clone(),
        diagnosis: revised.diagnosis.clone(),
        will: revised.will.clone(),
        will_not: revised.will_not.clone(),
        assumption_ids: ids(&revised.assumption_ids),
        indicator_ids: ids(&revised.indicator_ids),
    };
    strategy.reason.clone_from(&revised.reason);
    strategy.unprompted = revised.unprompted;
    strategy.revised_at = at.occurred_at;
    strategy.revised_revision = at.revision;
    for tactic_id in &revised.retire_tactic_ids {
        tactic::retire(plan, tactic_id, &revised.reason, at);
    }
    if let Some(proposal) = plan.proposals.get_mut(revised.proposal_id.as_str()) {
        Arc::make_mut(proposal).state = ProposalState::Accepted;
    }
}

pub(super) fn proposed(plan: &mut Plan, proposed: &proto::RevisionProposed, at: Stamp) {
    let Some(strategy) = plan.strategies.get(proposed.strategy_id.as_str()) else {
        return;
    };
    let proposal_id = proposed.proposal_id.as_str().into();
    plan.proposals.entry(proposal_id).or_insert_with_key(|id| {
        Arc::new(Proposal {
            proposal_id: id.clone(),
            strategy_id: strategy.strategy_id.clone(),
            state: ProposalState::Open,
            intent: proposed.intent.clone(),
            reason: proposed.reason.clone(),
            revision: at.revision,
        })
    });
}

pub(super) fn declined(plan: &mut Plan, declined: &proto::RevisionDeclined) {
    if let Some(proposal) = plan.proposals.get_mut(declined.proposal_id.as_str()) {
        Arc::make_mut(proposal).state = ProposalState::Declined {
            reason: declined.reason.clone(),
        };
    }
}

pub(super) fn superseded(plan: &mut Plan, superseded: &proto::StrategySuperseded) {
    end(
        plan,
        &superseded.strategy_id,
        StrategyState::Superseded {
            by: superseded.by_strategy_id.as_str().into(),
            reason: superseded.reason.clone(),
        },
    );
}

pub(super) fn abandoned(plan: &mut Plan, abandoned: &proto::StrategyAbandoned) {
    end(
        plan,
        &abandoned.strategy_id,
        StrategyState::Abandoned {
            reason: abandoned.reason.clone(),
        },
    );
}

pub(super) fn fulfilled(plan: &mut Plan, fulfilled: &proto::StrategyFulfilled) {
    end(
        plan,
        &fulfilled.strategy_id,
        StrategyState::Fulfilled {
            evidence: fulfilled.evidence.clone(),
        },
    );
}

/// The ids that an event names, as the state keeps them.
pub(super) fn ids(named: &[String]) -> Vec<Id> {
    named.iter().map(|id| Id::from(id.as_str())).collect()
}

fn begin(plan: &mut Plan, strategy: Strategy) {
    plan.strategies
        .entry(strategy.strategy_id.clone())
        .or_insert_with(|| Arc::new(strategy));
}

fn end(plan: &mut Plan, strategy_id: &str, state: StrategyState) {
    if let Some(strategy) = plan.strategies.get_mut(strategy_id) {
        Arc::make_mut(strategy).state = state;
    }
}
