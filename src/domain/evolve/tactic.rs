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
