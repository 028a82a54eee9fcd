//! What events make of the strategies and of the revisions proposed for them.

use std::sync::Arc;

use super::{Stamp, tactic};
use crate::{
    domain::{
        plan::{Choice, Plan, Proposal, ProposalState, Strategy, StrategyState},
        value::{Id, Memo},
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
        tactical: Memo::default(),
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
        tactical: Memo::default(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::given, proto::event::Kind};

    fn plan(kinds: impl IntoIterator<Item = Kind>) -> Plan {
        let first = [given::created(), given::strategy("s")];
        given::plan(first.into_iter().chain(kinds))
    }

    fn revising(proposal_id: &str, retire_tactic_ids: &[&str]) -> Kind {
        Kind::StrategyRevised(proto::StrategyRevised {
            strategy_id: "s".into(),
            parent_revision: 1,
            intent: "Win them by the dozen".into(),
            reason: "One at a time is slow".into(),
            retire_tactic_ids: retire_tactic_ids.iter().map(|&id| id.into()).collect(),
            proposal_id: proposal_id.into(),
            unprompted: true,
            strategy_revision: 2,
            ..proto::StrategyRevised::default()
        })
    }

    fn proposing() -> Kind {
        Kind::RevisionProposed(proto::RevisionProposed {
            strategy_id: "s".into(),
            proposal_id: "p".into(),
            intent: "Win them by the dozen".into(),
            reason: "It is faster".into(),
        })
    }

    #[test]
    fn an_adopted_strategy_is_live_at_its_first_revision() {
        let strategy = &plan([]).strategies["s"];
        assert!(strategy.is_live());
        assert_eq!((strategy.revision, strategy.adopted_revision), (1, 2));
        assert_eq!(strategy.choice.will, ["Call"]);
        assert_eq!(strategy.choice.will_not, ["Advertise"]);
        assert_eq!(strategy.reason, "");
    }

    #[test]
    fn a_revision_restates_the_strategy() {
        let plan = plan([revising("", &[])]);
        let strategy = &plan.strategies["s"];
        assert_eq!((strategy.revision, strategy.revised_revision), (2, 3));
        assert_eq!(strategy.adopted_revision, 2);
        assert_eq!(strategy.choice.intent, "Win them by the dozen");
        assert!(strategy.choice.diagnosis.is_empty() && strategy.choice.will.is_empty());
        assert_eq!(strategy.reason, "One at a time is slow");
        assert!(strategy.unprompted);
        assert_eq!(strategy.revised_at, given::at(3).into());
    }

    #[test]
    fn a_revision_retires_tactics_for_its_reason() {
        let plan = plan([given::tactic("t", "s"), revising("", &["t", "nobody"])]);
        let retired = plan.tactics["t"].retired.as_ref().expect("a retirement");
        assert_eq!(retired.reason, "One at a time is slow");
        assert_eq!(retired.revision, 4);
    }

    #[test]
    fn a_revision_accepts_the_proposal_it_names() {
        let open = plan([proposing()]);
        assert_eq!(open.proposals["p"].state, ProposalState::Open);
        assert_eq!(open.proposals["p"].revision, 3);
        let accepted = plan([proposing(), revising("p", &[])]);
        assert_eq!(accepted.proposals["p"].state, ProposalState::Accepted);
    }

    #[test]
    fn a_declined_proposal_says_why() {
        let declining = Kind::RevisionDeclined(proto::RevisionDeclined {
            proposal_id: "p".into(),
            reason: "Too dear".into(),
        });
        let expected = ProposalState::Declined {
            reason: "Too dear".into(),
        };
        let declined = plan([proposing(), declining]);
        assert_eq!(declined.proposals["p"].state, expected);
    }

    #[test]
    fn a_branch_copies_the_choices_of_its_origin_but_not_its_intent() {
        let branching = Kind::StrategyBranched(proto::StrategyBranched {
            from_strategy_id: "s".into(),
            strategy_id: "b".into(),
            intent: "Win resellers".into(),
            reason: "They know everybody".into(),
        });
        let plan = plan([branching]);
        let (origin, branch) = (&plan.strategies["s"], &plan.strategies["b"]);
        assert_eq!(branch.choice.intent, "Win resellers");
        assert_eq!(branch.choice.diagnosis, origin.choice.diagnosis);
        assert_eq!(branch.choice.will, origin.choice.will);
        assert_eq!(branch.branched_from, Some("s".into()));
        assert_eq!((branch.revision, branch.adopted_revision), (1, 3));
        assert_eq!(branch.reason, "They know everybody");
    }

    #[test]
    fn an_ended_strategy_says_how() {
        let superseding = Kind::StrategySuperseded(proto::StrategySuperseded {
            strategy_id: "s".into(),
            by_strategy_id: "b".into(),
            reason: "Better".into(),
        });
        let abandoning = Kind::StrategyAbandoned(proto::StrategyAbandoned {
            strategy_id: "s".into(),
            reason: "Hopeless".into(),
        });
        let fulfilling = Kind::StrategyFulfilled(proto::StrategyFulfilled {
            strategy_id: "s".into(),
            evidence: "Ten accounts".into(),
        });
        let state = |kind| plan([kind]).strategies["s"].state.clone();
        let superseded = StrategyState::Superseded {
            by: "b".into(),
            reason: "Better".into(),
        };
        assert_eq!(state(superseding), superseded);
        let abandoned = StrategyState::Abandoned {
            reason: "Hopeless".into(),
        };
        assert_eq!(state(abandoning), abandoned);
        let fulfilled = StrategyState::Fulfilled {
            evidence: "Ten accounts".into(),
        };
        assert_eq!(state(fulfilling), fulfilled);
    }
}
