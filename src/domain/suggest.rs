//! Which tactic of a strategy comes next, by the ranks that people gave them or by chance and cost. It
//! is advice: nothing is refused because of it, but a try records what the ranks suggested, and the
//! review reads that.

use std::sync::Arc;

pub mod advice;
mod chance;
mod exhausted;
mod obstacles;
#[cfg(test)]
mod tests;

pub(in crate::domain) use chance::refutation;
pub(in crate::domain) use obstacles::speaking_for;

use super::plan::{Assumption, AssumptionState, AttemptState, Plan, Suggestion, Tactic};
use crate::proto::Failure;

/// How often a tactic may fail of its effect before the next option is preferred.
const EFFECT_FAILURES_MAX: usize = 1;

/// How often a tactic may fail of a precondition before the next option is preferred: what was
/// missing can be procured once.
const PRECONDITION_FAILURES_MAX: usize = 2;

/// A reason not to suggest a tactic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Obstacle {
    /// It is being tried.
    OpenAttempt,
    /// A tactic that should have succeeded first has not.
    AfterNotMet,
    /// It rests on a load-bearing assumption that was refuted.
    RefutedAssumption,
    /// It failed as often as is worth it.
    RetryLimit,
    /// It has succeeded already.
    Succeeded,
    /// It was stopped, and something was learned from that.
    Stopped,
    /// It is no longer an option.
    Retired,
}

/// What the ranks of a strategy suggest. Whether it was followed is not known here.
#[must_use]
pub fn ranked(plan: &Plan, strategy_id: &str) -> Suggestion {
    let options = options(plan, strategy_id);
    let best = options.iter().find(|tactic| is_eligible(plan, tactic));
    if let Some(tactic) = best {
        Suggestion::Try {
            tactic_id: tactic.tactic_id.clone(),
            followed: false,
        }
    } else {
        without_eligible(&options)
    }
}

/// Whether these, all options of a strategy, leave nothing to try and nothing to wait for.
#[must_use]
pub fn is_exhausted(plan: &Plan, options: &[&Tactic]) -> bool {
    !options.iter().any(|tactic| is_eligible(plan, tactic))
        && without_eligible(options) == Suggestion::StrategyExhausted
}

/// What is suggested where no option is eligible.
fn without_eligible(options: &[&Tactic]) -> Suggestion {
    if options.iter().any(|tactic| tactic.open_attempt().is_some()) {
        Suggestion::Wait
    } else if !options.is_empty() && options.iter().all(|tactic| tactic.successes() > 0) {
        Suggestion::AllSucceeded
    } else {
        Suggestion::StrategyExhausted
    }
}

/// What is suggested at the moment this tactic is tried, and whether trying it follows that. `None`
/// for a tactic without a strategy, which competes with nothing.
#[must_use]
pub fn suggestion_for(plan: &Plan, tactic: &Tactic) -> Option<Suggestion> {
    let strategy_id = tactic.strategy_id.as_deref()?;
    let mut suggestion = ranked(plan, strategy_id);
    if let Suggestion::Try {
        tactic_id,
        followed,
    } = &mut suggestion
    {
        *followed = *tactic_id == tactic.tactic_id;
    }
    Some(suggestion)
}

/// The options of a strategy, the best first: by rank, unranked ones last, ties by age.
#[must_use]
pub fn options<'a>(plan: &'a Plan, strategy_id: &'a str) -> Vec<&'a Tactic> {
    let mut options: Vec<_> = plan.live_tactics_of(strategy_id).collect();
    options.sort_by_key(|tactic| place(tactic));
    options
}

/// Where a tactic stands among others: by rank, unranked ones last, ties by age.
fn place(tactic: &Tactic) -> (bool, u32, u64) {
    (tactic.rank == 0, tactic.rank, tactic.added_revision)
}

/// Everything that speaks against suggesting the tactic; none: it is eligible.
#[must_use]
pub fn obstacles(plan: &Plan, tactic: &Tactic) -> Vec<Obstacle> {
    let obstacles = Obstacle::ALL.into_iter();
    obstacles
        .filter(|obstacle| obstacle.holds(plan, tactic))
        .collect()
}

/// Whether nothing speaks against it. Most of those that are not fall at the first obstacles.
fn is_eligible(plan: &Plan, tactic: &Tactic) -> bool {
    let mut obstacles = Obstacle::ALL.into_iter();
    !obstacles.any(|obstacle| obstacle.holds(plan, tactic))
}

impl Obstacle {
    const ALL: [Self; 7] = [
        Self::OpenAttempt,
        Self::AfterNotMet,
        Self::RefutedAssumption,
        Self::RetryLimit,
        Self::Succeeded,
        Self::Stopped,
        Self::Retired,
    ];

    fn holds(self, plan: &Plan, tactic: &Tactic) -> bool {
        match self {
            Self::OpenAttempt => tactic.open_attempt().is_some(),
            Self::AfterNotMet => !is_after_met(plan, tactic),
            Self::RefutedAssumption => rests_on_refuted_load(plan, tactic),
            Self::RetryLimit => is_retry_limit_reached(tactic),
            Self::Succeeded => tactic.successes() > 0,
            Self::Stopped => is_stopped(tactic),
            Self::Retired => tactic.retired.is_some(),
        }
    }
}

fn is_after_met(plan: &Plan, tactic: &Tactic) -> bool {
    let has_succeeded = |earlier: &Arc<Tactic>| earlier.successes() > 0;
    let mut earlier_ids = tactic.after_tactic_ids.iter();
    earlier_ids.all(|id| plan.tactics.get(id).is_some_and(has_succeeded))
}

fn rests_on_refuted_load(plan: &Plan, tactic: &Tactic) -> bool {
    let is_refuted_load = |assumption: &Arc<Assumption>| {
        assumption.load_bearing && matches!(assumption.state, AssumptionState::Refuted(_))
    };
    let mut ids = tactic.assumption_ids.iter();
    ids.any(|id| plan.assumptions.get(id).is_some_and(is_refuted_load))
}

fn is_retry_limit_reached(tactic: &Tactic) -> bool {
    tactic.failures(Failure::Effect) >= EFFECT_FAILURES_MAX
        || tactic.failures(Failure::Precondition) >= PRECONDITION_FAILURES_MAX
}

fn is_stopped(tactic: &Tactic) -> bool {
    tactic.attempts.last().is_some_and(|attempt| {
        matches!(
            attempt.state,
            AttemptState::Stopped {
                inconclusive: false,
                ..
            }
        )
    })
}
