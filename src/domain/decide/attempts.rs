//! The attempts of tactics: begun, and ended in one of three ways.

use super::{
    super::{
        plan::{Plan, Suggestion},
        suggest::suggestion_for,
    },
    CommandContext, Refusal, bounds,
    subjects::{
        assumptions_exist, strategy, strategy_is_live, tactic, tactic_is_live, tactic_rests,
    },
};
use crate::proto::{self, ErrorReason, SuggestionVerdict, event::Kind};

/// Begins an attempt, and records what the ranks suggested instead.
pub(super) fn begin(
    plan: &Plan,
    command: &proto::TryTactic,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let tried = tactic(plan, &command.tactic_id, "tactic_id", context)?;
    let group = match tried.strategy_id.as_deref() {
        None => None,
        Some(group) => Some(strategy(plan, group, "tactic_id", context)?),
    };
    tactic_is_live(tried, "tactic_id", context)?;
    group.map_or(Ok(()), |group| {
        strategy_is_live(group, "tactic_id", context)
    })?;
    tactic_rests(tried, "tactic_id", context)?;
    let used = usize::try_from(tried.attempts_recorded).unwrap_or(usize::MAX);
    bounds::has_room("attempts", used, bounds::ATTEMPTS_PER_TACTIC_MAX, context)?;
    Ok(Kind::TacticTried(proto::TacticTried {
        tactic_id: command.tactic_id.clone(),
        attempt: tried.attempts_recorded.saturating_add(1),
        expected: command.expected.clone(),
        confidence: command.confidence,
        stop_rule: command.stop_rule.clone(),
        reason: command.reason.clone(),
        suggestion: suggestion_for(plan, tried).map(recorded),
    }))
}

/// Ends the open attempt: it failed.
pub(super) fn fail(
    plan: &Plan,
    command: &proto::FailTactic,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let suspected = &command.suspected_assumption_ids;
    tactic(plan, &command.tactic_id, "tactic_id", context)?;
    assumptions_exist(plan, suspected, "suspected_assumption_ids", context)?;
    Ok(Kind::TacticFailed(proto::TacticFailed {
        tactic_id: command.tactic_id.clone(),
        attempt: open_attempt(plan, &command.tactic_id, context)?,
        failure: command.failure,
        observed: command.observed.clone(),
        suspected_assumption_ids: suspected.clone(),
    }))
}

/// Ends the open attempt: it worked.
pub(super) fn succeed(
    plan: &Plan,
    command: &proto::SucceedTactic,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    Ok(Kind::TacticSucceeded(proto::TacticSucceeded {
        tactic_id: command.tactic_id.clone(),
        attempt: open_attempt(plan, &command.tactic_id, context)?,
        observed: command.observed.clone(),
    }))
}

/// Ends the open attempt without an outcome.
pub(super) fn stop(
    plan: &Plan,
    command: &proto::StopTactic,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    Ok(Kind::TacticStopped(proto::TacticStopped {
        tactic_id: command.tactic_id.clone(),
        attempt: open_attempt(plan, &command.tactic_id, context)?,
        reason: command.reason.clone(),
        inconclusive: command.inconclusive,
    }))
}

/// The number of the attempt that is open.
fn open_attempt(plan: &Plan, id: &str, context: &CommandContext<'_>) -> Result<u32, Refusal> {
    let ended = tactic(plan, id, "tactic_id", context)?;
    ended.open_attempt().map(|it| it.attempt).ok_or_else(|| {
        let message = format!("The tactic `{id}` has no open attempt to end: try it first.");
        context
            .refuse(ErrorReason::NoOpenAttempt, "tactic_id", message)
            .about("tactics", id)
    })
}

fn recorded(suggestion: Suggestion) -> proto::Suggestion {
    let (verdict, tactic_id, followed) = match suggestion {
        Suggestion::Try {
            tactic_id,
            followed,
        } => (SuggestionVerdict::Try, tactic_id.to_string(), followed),
        Suggestion::Wait => (SuggestionVerdict::Wait, String::new(), false),
        Suggestion::AllSucceeded => (SuggestionVerdict::AllSucceeded, String::new(), false),
        Suggestion::StrategyExhausted => {
            (SuggestionVerdict::StrategyExhausted, String::new(), false)
        }
    };
    proto::Suggestion {
        verdict: verdict as i32,
        tactic_id,
        followed,
    }
}
