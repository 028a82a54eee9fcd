//! What events make of the tactics and of the attempts of them.

use std::sync::Arc;

use super::{Stamp, strategy::ids};
use crate::{
    domain::{
        plan::{Attempt, AttemptState, Ending, Plan, Retirement, StopRule, Suggestion, Tactic},
        value::Id,
    },
    proto::{self, SuggestionVerdict},
};

pub(super) fn added(plan: &mut Plan, added: &proto::TacticAdded, at: Stamp) {
    let tactic_id = added.tactic_id.as_str().into();
    plan.tactics.entry(tactic_id).or_insert_with_key(|id| {
        Arc::new(Tactic {
            tactic_id: id.clone(),
            strategy_id: optional_id(&added.strategy_id),
            rank: added.rank,
            statement: added.statement.clone(),
            kind: added.kind.clone(),
            cost: added.cost,
            assumption_ids: ids(&added.assumption_ids),
            after_tactic_ids: ids(&added.after_tactic_ids),
            attempts: Vec::new(),
            attempts_recorded: 0,
            retired: None,
            added_revision: at.revision,
            worded_revision: at.revision,
        })
    });
}

pub(super) fn reworded(plan: &mut Plan, reworded: &proto::TacticReworded, at: Stamp) {
    if let Some(tactic) = tactic_mut(plan, &reworded.tactic_id) {
        tactic.statement.clone_from(&reworded.statement);
        tactic.kind.clone_from(&reworded.kind);
        tactic.cost = reworded.cost;
        tactic.assumption_ids = ids(&reworded.assumption_ids);
        tactic.after_tactic_ids = ids(&reworded.after_tactic_ids);
        tactic.worded_revision = at.revision;
    }
}

pub(super) fn regrouped(plan: &mut Plan, regrouped: &proto::TacticRegrouped) {
    if let Some(tactic) = tactic_mut(plan, &regrouped.tactic_id) {
        tactic.strategy_id = optional_id(&regrouped.strategy_id);
    }
}

pub(super) fn retired(plan: &mut Plan, retired: &proto::TacticRetired, at: Stamp) {
    retire(plan, &retired.tactic_id, &retired.reason, at);
}

/// Retires a tactic, by itself or with a revision of its strategy. It happens once.
pub(super) fn retire(plan: &mut Plan, tactic_id: &str, reason: &str, at: Stamp) {
    if let Some(tactic) = tactic_mut(plan, tactic_id) {
        tactic.retired.get_or_insert_with(|| Retirement {
            reason: reason.to_owned(),
            revision: at.revision,
        });
    }
}

pub(super) fn ranked(plan: &mut Plan, ranked: &proto::TacticsRanked) {
    for (rank, tactic_id) in (1..).zip(&ranked.tactic_ids) {
        if let Some(tactic) = tactic_mut(plan, tactic_id) {
            tactic.rank = rank;
        }
    }
}

pub(super) fn tried(plan: &mut Plan, tried: &proto::TacticTried, at: Stamp) {
    if let Some(tactic) = tactic_mut(plan, &tried.tactic_id) {
        tactic.attempts_recorded = tactic.attempts_recorded.saturating_add(1);
        tactic.attempts.push(Arc::new(Attempt {
            attempt: tried.attempt,
            expected: tried.expected.clone(),
            confidence: tried.confidence,
            stop_rule: tried.stop_rule.as_ref().map(|rule| StopRule {
                state: rule.state.clone(),
                by: rule.by.map(Into::into),
            }),
            reason: tried.reason.clone(),
            suggestion: tried.suggestion.as_ref().and_then(suggestion),
            tried_at: at.occurred_at,
            tried_revision: at.revision,
            state: AttemptState::Open,
        }));
    }
}

/// Counts an attempt that was retracted: its number is not used again.
pub(super) fn spend_attempt(plan: &mut Plan, tactic_id: &str) {
    if let Some(tactic) = tactic_mut(plan, tactic_id) {
        tactic.attempts_recorded = tactic.attempts_recorded.saturating_add(1);
    }
}

pub(super) fn failed(plan: &mut Plan, failed: &proto::TacticFailed, at: Stamp) {
    let state = AttemptState::Failed {
        ending: ending(&failed.observed, at),
        failure: failed.failure,
        suspected_assumption_ids: ids(&failed.suspected_assumption_ids),
    };
    end(plan, &failed.tactic_id, failed.attempt, state);
}

pub(super) fn succeeded(plan: &mut Plan, succeeded: &proto::TacticSucceeded, at: Stamp) {
    let state = AttemptState::Succeeded(ending(&succeeded.observed, at));
    end(plan, &succeeded.tactic_id, succeeded.attempt, state);
}

pub(super) fn stopped(plan: &mut Plan, stopped: &proto::TacticStopped, at: Stamp) {
    let state = AttemptState::Stopped {
        ending: ending(&stopped.reason, at),
        inconclusive: stopped.inconclusive,
    };
    end(plan, &stopped.tactic_id, stopped.attempt, state);
}

fn tactic_mut<'a>(plan: &'a mut Plan, tactic_id: &str) -> Option<&'a mut Tactic> {
    plan.tactics.get_mut(tactic_id).map(Arc::make_mut)
}

fn end(plan: &mut Plan, tactic_id: &str, number: u32, state: AttemptState) {
    let attempt = tactic_mut(plan, tactic_id).and_then(|tactic| {
        let attempts = tactic.attempts.iter_mut().rev();
        attempts
            .map(Arc::make_mut)
            .find(|attempt| attempt.attempt == number)
    });
    if let Some(attempt) = attempt {
        attempt.state = state;
    }
}

fn ending(text: &str, at: Stamp) -> Ending {
    Ending {
        at: at.occurred_at,
        revision: at.revision,
        text: text.to_owned(),
    }
}

fn optional_id(text: &str) -> Option<Id> {
    (!text.is_empty()).then(|| text.into())
}

fn suggestion(suggestion: &proto::Suggestion) -> Option<Suggestion> {
    match suggestion.verdict() {
        SuggestionVerdict::Unspecified => None,
        SuggestionVerdict::Try => Some(Suggestion::Try {
            tactic_id: suggestion.tactic_id.as_str().into(),
            followed: suggestion.followed,
        }),
        SuggestionVerdict::Wait => Some(Suggestion::Wait),
        SuggestionVerdict::AllSucceeded => Some(Suggestion::AllSucceeded),
        SuggestionVerdict::StrategyExhausted => Some(Suggestion::StrategyExhausted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::given,
        proto::{Failure, event::Kind},
    };

    fn plan(kinds: impl IntoIterator<Item = Kind>) -> Plan {
        let first = [given::created(), given::ranked_tactic("t", "s", 3)];
        given::plan(first.into_iter().chain(kinds))
    }

    fn last_attempt(kinds: impl IntoIterator<Item = Kind>) -> Attempt {
        let plan = plan(kinds);
        let attempt = plan.tactics["t"].attempts.last();
        attempt.expect("an attempt").as_ref().clone()
    }

    #[test]
    fn an_added_tactic_is_an_untried_option() {
        let tactic = &plan([]).tactics["t"];
        assert_eq!(tactic.strategy_id, Some("s".into()));
        assert_eq!((tactic.rank, tactic.added_revision), (3, 2));
        assert_eq!(tactic.worded_revision, 2);
        assert!(tactic.attempts.is_empty() && tactic.retired.is_none());
    }

    #[test]
    fn a_tactic_under_no_strategy_has_none() {
        let plan = given::plan([given::created(), given::tactic("t", "")]);
        assert_eq!(plan.tactics["t"].strategy_id, None);
    }

    #[test]
    fn a_reworded_tactic_is_restated_but_keeps_its_place() {
        let rewording = Kind::TacticReworded(proto::TacticReworded {
            tactic_id: "t".into(),
            statement: "Send large samples".into(),
            cost: Some(2.0),
            assumption_ids: vec!["a".into()],
            ..proto::TacticReworded::default()
        });
        let plan = plan([rewording]);
        let tactic = &plan.tactics["t"];
        assert_eq!(tactic.statement, "Send large samples");
        assert_eq!(tactic.cost, Some(2.0));
        assert_eq!(tactic.assumption_ids, ["a".into()]);
        assert_eq!((tactic.rank, tactic.worded_revision), (3, 3));
    }

    #[test]
    fn a_regrouped_tactic_serves_another_strategy_or_none() {
        let regrouping = |strategy_id: &str| {
            Kind::TacticRegrouped(proto::TacticRegrouped {
                tactic_id: "t".into(),
                strategy_id: strategy_id.into(),
            })
        };
        let strategy_id = |to| plan([regrouping(to)]).tactics["t"].strategy_id.clone();
        assert_eq!(strategy_id("other"), Some("other".into()));
        assert_eq!(strategy_id(""), None);
    }

    #[test]
    fn a_tactic_is_retired_once() {
        let retiring = |reason: &str| {
            Kind::TacticRetired(proto::TacticRetired {
                tactic_id: "t".into(),
                reason: reason.into(),
            })
        };
        let plan = plan([retiring("Banned"), retiring("Again")]);
        let expected = Retirement {
            reason: "Banned".into(),
            revision: 3,
        };
        assert_eq!(plan.tactics["t"].retired, Some(expected));
    }

    #[test]
    fn ranking_numbers_tactics_from_one() {
        let ranking = Kind::TacticsRanked(proto::TacticsRanked {
            strategy_id: "s".into(),
            tactic_ids: vec!["u".into(), "nobody".into(), "t".into()],
        });
        let plan = plan([given::tactic("u", "s"), ranking]);
        assert_eq!((plan.tactics["u"].rank, plan.tactics["t"].rank), (1, 3));
    }

    #[test]
    fn a_try_is_kept_with_what_was_agreed_before_it() {
        let trying = Kind::TacticTried(proto::TacticTried {
            tactic_id: "t".into(),
            attempt: 1,
            expected: "Three replies".into(),
            confidence: Some(0.5),
            stop_rule: Some(proto::StopRule {
                state: "No reply from ten".into(),
                by: Some(given::at(99)),
            }),
            reason: "It is cheap".into(),
            suggestion: Some(proto::Suggestion {
                verdict: SuggestionVerdict::Try.into(),
                tactic_id: "u".into(),
                followed: false,
            }),
        });
        let expected = Attempt {
            attempt: 1,
            expected: "Three replies".into(),
            confidence: Some(0.5),
            stop_rule: Some(StopRule {
                state: "No reply from ten".into(),
                by: Some(given::at(99).into()),
            }),
            reason: "It is cheap".into(),
            suggestion: Some(Suggestion::Try {
                tactic_id: "u".into(),
                followed: false,
            }),
            tried_at: given::at(3).into(),
            tried_revision: 3,
            state: AttemptState::Open,
        };
        assert_eq!(last_attempt([trying]), expected);
    }

    #[test]
    fn a_failed_attempt_says_how_it_failed() {
        let failing = Kind::TacticFailed(proto::TacticFailed {
            tactic_id: "t".into(),
            attempt: 1,
            failure: Failure::Effect.into(),
            observed: "No reply".into(),
            suspected_assumption_ids: vec!["a".into()],
        });
        let expected = AttemptState::Failed {
            ending: Ending {
                at: given::at(4).into(),
                revision: 4,
                text: "No reply".into(),
            },
            failure: Failure::Effect.into(),
            suspected_assumption_ids: vec!["a".into()],
        };
        assert_eq!(
            last_attempt([given::tried("t", 1), failing]).state,
            expected
        );
    }

    #[test]
    fn an_attempt_succeeds_or_stops() {
        let stopping = Kind::TacticStopped(proto::TacticStopped {
            tactic_id: "t".into(),
            attempt: 1,
            reason: "The fair was cancelled".into(),
            inconclusive: true,
        });
        let ending = |text: &str| Ending {
            at: given::at(4).into(),
            revision: 4,
            text: text.into(),
        };
        assert_eq!(
            last_attempt([given::tried("t", 1), given::succeeded("t", 1)]).state,
            AttemptState::Succeeded(ending("Four replies"))
        );
        let stopped = AttemptState::Stopped {
            ending: ending("The fair was cancelled"),
            inconclusive: true,
        };
        assert_eq!(
            last_attempt([given::tried("t", 1), stopping]).state,
            stopped
        );
    }

    #[test]
    fn the_end_of_an_attempt_that_is_not_there_is_passed_over() {
        let attempt = last_attempt([given::tried("t", 1), given::succeeded("t", 2)]);
        assert_eq!(attempt.state, AttemptState::Open);
    }
}
