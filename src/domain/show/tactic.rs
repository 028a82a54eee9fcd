//! The views of tactics and of the attempts of them.

use super::{Detail, in_order, strategy::texts};
use crate::{
    domain::{
        plan::{Attempt, AttemptState, Ending, Plan, StopRule, Suggestion, Tactic},
        value::Id,
    },
    proto::{self, Failure, SuggestionVerdict},
};

pub(super) fn all(plan: &Plan, detail: Detail) -> Vec<proto::Tactic> {
    let tactics = in_order(&plan.tactics, |it| it.added_revision);
    tactics.map(|tactic| show(tactic, detail)).collect()
}

fn show(tactic: &Tactic, detail: Detail) -> proto::Tactic {
    let shown_from = match detail {
        Detail::Full => 0,
        Detail::Basic => tactic.attempts.len().saturating_sub(1),
    };
    let attempts = tactic.attempts.iter().skip(shown_from);
    proto::Tactic {
        tactic_id: tactic.tactic_id.to_string(),
        strategy_id: tactic
            .strategy_id
            .as_ref()
            .map(Id::to_string)
            .unwrap_or_default(),
        state: tactic.state().into(),
        rank: tactic.rank,
        statement: tactic.statement.clone(),
        kind: tactic.kind.clone(),
        cost: tactic.cost,
        assumption_ids: texts(&tactic.assumption_ids),
        after_tactic_ids: texts(&tactic.after_tactic_ids),
        attempts: attempts.map(|attempt| show_attempt(attempt)).collect(),
        attempt_count: count(tactic.attempts.len()),
        successes: count(tactic.successes()),
        effect_failures: count(tactic.failures(Failure::Effect)),
        precondition_failures: count(tactic.failures(Failure::Precondition)),
        retire_reason: tactic
            .retired
            .as_ref()
            .map(|retirement| retirement.reason.clone())
            .unwrap_or_default(),
        added_revision: tactic.added_revision,
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn show_attempt(attempt: &Attempt) -> proto::Attempt {
    let mut shown = proto::Attempt {
        attempt: attempt.attempt,
        expected: attempt.expected.clone(),
        confidence: attempt.confidence,
        stop_rule: attempt.stop_rule.as_ref().map(stop_rule),
        reason: attempt.reason.clone(),
        suggestion: attempt.suggestion.as_ref().map(Into::into),
        tried_at: Some(attempt.tried_at.into()),
        tried_revision: attempt.tried_revision,
        ..proto::Attempt::default()
    };
    match &attempt.state {
        AttemptState::Open => shown.set_state(proto::AttemptState::Open),
        AttemptState::Succeeded(ending) => {
            shown.set_state(proto::AttemptState::Succeeded);
            show_ending(&mut shown, ending);
        }
        AttemptState::Failed {
            ending,
            failure,
            suspected_assumption_ids,
        } => {
            shown.set_state(proto::AttemptState::Failed);
            show_ending(&mut shown, ending);
            shown.failure = *failure;
            shown.suspected_assumption_ids = texts(suspected_assumption_ids);
        }
        AttemptState::Stopped {
            ending,
            inconclusive,
        } => {
            shown.set_state(proto::AttemptState::Stopped);
            show_ending(&mut shown, ending);
            shown.inconclusive = *inconclusive;
        }
    }
    shown
}

fn show_ending(shown: &mut proto::Attempt, ending: &Ending) {
    shown.observed.clone_from(&ending.text);
    shown.ended_at = Some(ending.at.into());
    shown.ended_revision = ending.revision;
}

fn stop_rule(rule: &StopRule) -> proto::StopRule {
    proto::StopRule {
        state: rule.state.clone(),
        by: rule.by.map(Into::into),
    }
}

impl From<&Suggestion> for proto::Suggestion {
    fn from(suggestion: &Suggestion) -> Self {
        let (verdict, tactic_id, followed) = match suggestion {
            Suggestion::Try {
                tactic_id,
                followed,
            } => (SuggestionVerdict::Try, tactic_id.to_string(), *followed),
            Suggestion::Wait => (SuggestionVerdict::Wait, String::new(), false),
            Suggestion::AllSucceeded => (SuggestionVerdict::AllSucceeded, String::new(), false),
            Suggestion::StrategyExhausted => {
                (SuggestionVerdict::StrategyExhausted, String::new(), false)
            }
        };
        Self {
            verdict: verdict.into(),
            tactic_id,
            followed,
        }
    }
}
