//! The attempts of tactics: begun, and ended in one of three ways.

use super::{
    super::{plan::Plan, suggest::suggestion_for},
    CommandContext, Refusal, bounds,
    subjects::{
        assumptions_exist, strategy, strategy_is_live, tactic, tactic_is_live, tactic_rests,
    },
};
use crate::proto::{self, ErrorReason, event::Kind};

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
        suggestion: suggestion_for(plan, tried).as_ref().map(Into::into),
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

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{
            World,
            commands::{add, adopt, attempt, fail, rank, retract, stop},
            given_plan,
        },
        *,
    };
    use crate::proto::SuggestionVerdict;

    fn tried(world: &World, id: &str) -> proto::TacticTried {
        let mut events = world.when(attempt(id)).events();
        let Some(Kind::TacticTried(tried)) = events.remove(0).kind else {
            panic!("the tactic is tried");
        };
        tried
    }

    #[test]
    fn a_try_records_what_the_ranks_suggested() {
        let world = given_plan([
            adopt("s"),
            add("t", "s"),
            add("u", "s"),
            rank("s", &["u", "t"]),
        ]);
        let suggestion = |followed| {
            Some(proto::Suggestion {
                verdict: SuggestionVerdict::Try as i32,
                tactic_id: "u".to_owned(),
                followed,
            })
        };
        assert_eq!(tried(&world, "u").suggestion, suggestion(true));
        assert_eq!(tried(&world, "t").suggestion, suggestion(false));
        let waiting = world.and([attempt("u"), attempt("t"), fail("t")]);
        let verdict = tried(&waiting, "t").suggestion.map(|it| it.verdict());
        assert_eq!(verdict, Some(SuggestionVerdict::Wait));
    }

    #[test]
    fn a_tactic_without_a_strategy_is_tried_without_a_suggestion() {
        assert_eq!(tried(&given_plan([add("t", "")]), "t").suggestion, None);
    }

    #[test]
    fn attempts_are_numbered_and_a_retracted_number_is_not_used_again() {
        let world = given_plan([add("t", "")]);
        assert_eq!(tried(&world, "t").attempt, 1);
        let again = world.and([attempt("t"), stop("t")]);
        assert_eq!(tried(&again, "t").attempt, 2);
        let retracted = again.and([attempt("t"), retract(5)]);
        assert_eq!(tried(&retracted, "t").attempt, 3);
        retracted
            .and([attempt("t")])
            .when(fail("t"))
            .then(&Kind::TacticFailed(proto::TacticFailed {
                tactic_id: "t".to_owned(),
                attempt: 3,
                failure: proto::Failure::Effect as i32,
                observed: "silence".to_owned(),
                suspected_assumption_ids: Vec::new(),
            }));
    }
}
