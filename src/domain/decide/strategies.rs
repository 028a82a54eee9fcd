//! The strategies: adopted, revised, branched, ended.

use super::{
    super::{
        plan::{Choice, Plan, ProposalState, Strategy, StrategyState, Tactic},
        value::Id,
    },
    CommandContext, Refusal, bounds, proposals,
    subjects::{
        assumptions_exist, id_is_new, indicators_exist, proposal, strategy, strategy_is_live,
        tactic_is_live, tactic_rests, tactics,
    },
};
use crate::proto::{self, CauseRole, ErrorReason, event::Kind};

/// Adopts a strategy.
pub(super) fn adopt(
    plan: &Plan,
    command: &proto::AdoptStrategy,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    assumptions_exist(plan, &command.assumption_ids, "assumption_ids", context)?;
    indicators_exist(plan, &command.indicator_ids, "indicator_ids", context)?;
    new_strategy(plan, &command.strategy_id, context)?;
    has_room(plan, context)?;
    Ok(Kind::StrategyAdopted(proto::StrategyAdopted {
        strategy_id: command.strategy_id.clone(),
        intent: command.intent.clone(),
        diagnosis: command.diagnosis.clone(),
        will: command.will.clone(),
        will_not: command.will_not.clone(),
        assumption_ids: command.assumption_ids.clone(),
        indicator_ids: command.indicator_ids.clone(),
    }))
}

/// Begins a strategy from another that is followed.
pub(super) fn branch(
    plan: &Plan,
    command: &proto::BranchStrategy,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let origin = strategy(plan, &command.from_strategy_id, "from_strategy_id", context)?;
    new_strategy(plan, &command.strategy_id, context)?;
    strategy_is_live(origin, "from_strategy_id", context)?;
    has_room(plan, context)?;
    Ok(Kind::StrategyBranched(proto::StrategyBranched {
        from_strategy_id: command.from_strategy_id.clone(),
        strategy_id: command.strategy_id.clone(),
        intent: command.intent.clone(),
        reason: command.reason.clone(),
    }))
}

/// Revises the head revision of a strategy, for a reason that the record shows.
pub(super) fn revise(
    plan: &Plan,
    command: &proto::ReviseStrategy,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let revised = strategy(plan, &command.strategy_id, "strategy_id", context)?;
    assumptions_exist(plan, &command.assumption_ids, "assumption_ids", context)?;
    indicators_exist(plan, &command.indicator_ids, "indicator_ids", context)?;
    let retired = tactics(
        plan,
        &command.retire_tactic_ids,
        "retire_tactic_ids",
        context,
    )?;
    let accepted = match command.proposal_id.as_str() {
        "" => None,
        id => Some(proposal(plan, id, "proposal_id", context)?),
    };
    parent_is_head(revised, command.parent_revision, context)?;
    strategy_is_live(revised, "strategy_id", context)?;
    tactics_can_retire(revised, &retired, context)?;
    if let Some(accepted) = accepted {
        let is_its_own = accepted.strategy_id == revised.strategy_id;
        if !is_its_own || accepted.state != ProposalState::Open {
            return Err(proposals::not_open(&accepted.proposal_id, context));
        }
    }
    is_forced(command, context)?;
    changes_something(revised, command, context)?;
    Ok(Kind::StrategyRevised(proto::StrategyRevised {
        strategy_id: command.strategy_id.clone(),
        parent_revision: command.parent_revision,
        intent: command.intent.clone(),
        diagnosis: command.diagnosis.clone(),
        will: command.will.clone(),
        will_not: command.will_not.clone(),
        assumption_ids: command.assumption_ids.clone(),
        indicator_ids: command.indicator_ids.clone(),
        reason: command.reason.clone(),
        options_considered: command.options_considered.clone(),
        retire_tactic_ids: command.retire_tactic_ids.clone(),
        proposal_id: command.proposal_id.clone(),
        unprompted: command.unprompted,
        strategy_revision: revised.revision.saturating_add(1),
    }))
}

/// Lets another strategy take a strategy's place.
pub(super) fn supersede(
    plan: &Plan,
    command: &proto::SupersedeStrategy,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let ended = strategy(plan, &command.strategy_id, "strategy_id", context)?;
    let heir = strategy(plan, &command.by_strategy_id, "by_strategy_id", context)?;
    gives_way_to_no_one_before(plan, ended, heir, context)?;
    can_end(plan, ended, context)?;
    strategy_is_live(heir, "by_strategy_id", context)?;
    Ok(Kind::StrategySuperseded(proto::StrategySuperseded {
        strategy_id: command.strategy_id.clone(),
        by_strategy_id: command.by_strategy_id.clone(),
        reason: command.reason.clone(),
    }))
}

/// Gives a strategy up.
pub(super) fn abandon(
    plan: &Plan,
    command: &proto::AbandonStrategy,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let ended = strategy(plan, &command.strategy_id, "strategy_id", context)?;
    can_end(plan, ended, context)?;
    Ok(Kind::StrategyAbandoned(proto::StrategyAbandoned {
        strategy_id: command.strategy_id.clone(),
        reason: command.reason.clone(),
    }))
}

/// Says that a strategy has done its work.
pub(super) fn fulfil(
    plan: &Plan,
    command: &proto::FulfilStrategy,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let ended = strategy(plan, &command.strategy_id, "strategy_id", context)?;
    can_end(plan, ended, context)?;
    Ok(Kind::StrategyFulfilled(proto::StrategyFulfilled {
        strategy_id: command.strategy_id.clone(),
        evidence: command.evidence.clone(),
    }))
}

fn new_strategy(plan: &Plan, id: &str, context: &CommandContext<'_>) -> Result<(), Refusal> {
    id_is_new(
        plan,
        &plan.strategies,
        "strategies",
        id,
        "strategy_id",
        context,
    )
}

fn has_room(plan: &Plan, context: &CommandContext<'_>) -> Result<(), Refusal> {
    bounds::has_room(
        "strategies",
        plan.strategies.len(),
        bounds::STRATEGIES_MAX,
        context,
    )
}

/// Refuses to end a strategy twice, or while a tactic of it is being tried.
fn can_end(plan: &Plan, ended: &Strategy, context: &CommandContext<'_>) -> Result<(), Refusal> {
    strategy_is_live(ended, "strategy_id", context)?;
    plan.live_tactics_of(&ended.strategy_id)
        .try_for_each(|tactic| tactic_rests(tactic, "strategy_id", context))
}

/// Refuses an heir that is the strategy itself, or that gave way to it before.
fn gives_way_to_no_one_before(
    plan: &Plan,
    ended: &Strategy,
    heir: &Strategy,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    let mut next = Some(heir);
    // No chain is longer than there are strategies.
    for _ in 0..=plan.strategies.len() {
        let Some(one) = next else { break };
        if one.strategy_id == ended.strategy_id {
            let message = format!(
                "`{}` cannot give way to `{}`, which is itself or gave way to it: name another.",
                ended.strategy_id, heir.strategy_id
            );
            return Err(context
                .refuse(ErrorReason::Cycle, "by_strategy_id", message)
                .about("strategies", &ended.strategy_id));
        }
        next = match &one.state {
            StrategyState::Superseded { by, .. } => plan.strategies.get(by).map(AsRef::as_ref),
            StrategyState::Live
            | StrategyState::Abandoned { .. }
            | StrategyState::Fulfilled { .. } => None,
        };
    }
    Ok(())
}

fn parent_is_head(
    revised: &Strategy,
    parent: u32,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    let head = revised.revision;
    if parent == head {
        return Ok(());
    }
    let message = format!(
        "The strategy `{}` is at its revision {head}, not {parent}: read it, decide again, and \
         send the current revision.",
        revised.strategy_id
    );
    Err(context
        .refuse(
            ErrorReason::ParentRevisionConflict,
            "parent_revision",
            message,
        )
        .with("current_revision", head.to_string()))
}

/// Refuses to retire, with a revision, what is not the strategy's or could not be retired alone.
fn tactics_can_retire(
    revised: &Strategy,
    retired: &[&Tactic],
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    for (index, tactic) in retired.iter().enumerate() {
        let field = format!("retire_tactic_ids[{index}]");
        if tactic.strategy_id.as_ref() != Some(&revised.strategy_id) {
            let message = format!(
                "The tactic `{}` is not one of the strategy `{}`: leave it out.",
                tactic.tactic_id, revised.strategy_id
            );
            return Err(context
                .refuse(ErrorReason::OtherStrategy, &field, message)
                .about("tactics", &tactic.tactic_id));
        }
        tactic_is_live(tactic, &field, context)?;
        tactic_rests(tactic, &field, context)?;
    }
    Ok(())
}

/// Refuses a revision that neither names what forced it nor says that nothing did.
fn is_forced(command: &proto::ReviseStrategy, context: &CommandContext<'_>) -> Result<(), Refusal> {
    let mut causes = context.because.iter();
    if command.unprompted || causes.any(|cause| cause.role() == CauseRole::Trigger) {
        return Ok(());
    }
    Err(context.refuse(
        ErrorReason::NoTrigger,
        "unprompted",
        "Nothing says what forced the revision: cite an event as a TRIGGER in `because`, or say \
         that it is unprompted.",
    ))
}

fn changes_something(
    revised: &Strategy,
    command: &proto::ReviseStrategy,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    let Choice {
        intent,
        diagnosis,
        will,
        will_not,
        assumption_ids,
        indicator_ids,
        tactical: _,
    } = &revised.choice;
    let same = *intent == command.intent
        && *diagnosis == command.diagnosis
        && *will == command.will
        && *will_not == command.will_not
        && same_ids(assumption_ids, &command.assumption_ids)
        && same_ids(indicator_ids, &command.indicator_ids);
    if !same || !command.retire_tactic_ids.is_empty() {
        return Ok(());
    }
    Err(context.refuse_command(
        ErrorReason::NothingChanged,
        "The revision says what the strategy says already and retires no tactic: change something.",
    ))
}

fn same_ids(held: &[Id], named: &[String]) -> bool {
    held.len() == named.len()
        && held
            .iter()
            .zip(named)
            .all(|(held, named)| **held == **named)
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{
            cause,
            commands::{adopt, branch, note, propose, revise, revision, supersede},
            given_plan, request,
        },
        *,
    };
    use crate::proto::command::Kind as Asked;

    fn because(role: CauseRole) -> proto::ExecuteRequest {
        let forced = Asked::ReviseStrategy(proto::ReviseStrategy {
            unprompted: false,
            ..revision("s", 1, "Be liked")
        });
        proto::ExecuteRequest {
            because: vec![cause(1, role)],
            ..request([forced])
        }
    }

    #[test]
    fn a_revision_is_forced_by_a_trigger_and_by_nothing_less() {
        let world = given_plan([adopt("s")]);
        world
            .when_requested(&because(CauseRole::Trigger))
            .then_plan();
        world
            .when_requested(&because(CauseRole::Evidence))
            .then_refused(
                ErrorReason::NoTrigger,
                "commands[0].revise_strategy.unprompted",
                &[],
            );
    }

    #[test]
    fn revisions_are_numbered_and_a_lost_race_names_the_head() {
        let world = given_plan([adopt("s"), revise("s", 1, "Be liked")]);
        assert_eq!(world.plan.strategies["s"].revision, 2);
        world.when(revise("s", 1, "Be feared")).then_refused(
            ErrorReason::ParentRevisionConflict,
            "commands[0].revise_strategy.parent_revision",
            &[("current_revision", "2")],
        );
    }

    #[test]
    fn a_revision_accepts_the_proposal_it_names() {
        let accepting = Asked::ReviseStrategy(proto::ReviseStrategy {
            proposal_id: "p".to_owned(),
            ..revision("s", 1, "Be loved")
        });
        let world = given_plan([adopt("s"), propose("p", "s"), accepting]);
        assert_eq!(world.plan.proposals["p"].state, ProposalState::Accepted);
    }

    #[test]
    fn a_branch_is_a_first_revision_of_its_own() {
        let world = given_plan([adopt("s"), revise("s", 1, "Be liked"), branch("s", "r")]);
        assert_eq!(world.plan.strategies["r"].revision, 1);
    }

    #[test]
    fn strategies_give_way_in_a_line() {
        given_plan([
            adopt("a"),
            adopt("b"),
            adopt("c"),
            supersede("a", "b"),
            supersede("b", "c"),
        ])
        .and([note("strategies/a")])
        .when(supersede("c", "a"))
        .then_refused(
            ErrorReason::Cycle,
            "commands[0].supersede_strategy.by_strategy_id",
            &[("subject", "strategies/c")],
        );
    }
}
