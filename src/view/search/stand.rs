//! How a tactic stands, as far as searches ask for it: a small value for each time it changed.

use super::passages::Field;
use crate::{
    domain::{
        plan::{AttemptState, Ending, Tactic},
        value::Time,
    },
    proto::{self, Failure, TacticState},
};

/// How a tactic stands, from a position of the log on.
#[derive(Debug, Clone)]
pub(super) struct Stand {
    pub(super) from: u64,
    /// The number of the strategy that it serves.
    pub(super) strategy: u32,
    /// The number of its kind.
    pub(super) kind: u32,
    /// How many words its own passages have.
    pub(super) words: u32,
    pub(super) state: State,
}

impl Stand {
    /// Whether another is more than a later copy.
    pub(super) fn differs(&self, other: &Self) -> bool {
        (self.strategy, self.kind, self.words, &self.state)
            != (other.strategy, other.kind, other.words, &other.state)
    }
}

/// What came of a tactic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Where it stands.
    pub state: TacticState,
    /// How the last attempt stands, also of one that was retired; none: it was never tried.
    pub outcome: Option<proto::AttemptState>,
    /// How many attempts there are.
    pub attempts: u8,
    /// How many of them succeeded.
    pub successes: u8,
    /// How many of them failed of their effect.
    pub effect_failures: u8,
    /// How many of them failed of a precondition.
    pub precondition_failures: u8,
    /// When the last one began.
    pub tried_at: Option<Time>,
    /// How the last one ended; none: it goes on.
    pub end: Option<End>,
}

/// The end of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// When.
    pub at: Time,
    /// The event that ended it, by its revision; at most 50,000 in a plan.
    pub(super) revision: u32,
    /// Where that event says what came of it.
    pub(super) said_in: Field,
}

impl State {
    pub(super) fn of(tactic: &Tactic) -> Self {
        let last = tactic.attempts.last();
        let end = last.and_then(|attempt| match &attempt.state {
            AttemptState::Open => None,
            AttemptState::Succeeded(ending) | AttemptState::Failed { ending, .. } => {
                Some(End::of(ending, Field::Observed))
            }
            AttemptState::Stopped { ending, .. } => Some(End::of(ending, Field::Reason)),
        });
        Self {
            state: tactic.state(),
            outcome: last.map(|attempt| outcome(&attempt.state)),
            attempts: count(tactic.attempts.len()),
            successes: count(tactic.successes()),
            effect_failures: count(tactic.failures(Failure::Effect)),
            precondition_failures: count(tactic.failures(Failure::Precondition)),
            tried_at: last.map(|attempt| attempt.tried_at),
            end,
        }
    }
}

impl End {
    fn of(ending: &Ending, said_in: Field) -> Self {
        Self {
            at: ending.at,
            revision: u32::try_from(ending.revision).unwrap_or(u32::MAX),
            said_in,
        }
    }
}

fn outcome(state: &AttemptState) -> proto::AttemptState {
    match state {
        AttemptState::Open => proto::AttemptState::Open,
        AttemptState::Succeeded(_) => proto::AttemptState::Succeeded,
        AttemptState::Failed { .. } => proto::AttemptState::Failed,
        AttemptState::Stopped { .. } => proto::AttemptState::Stopped,
    }
}

/// A tactic has 64 attempts at most.
fn count(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}
