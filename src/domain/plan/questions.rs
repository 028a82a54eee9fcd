//! What the rest of the domain asks of the parts of a plan: answers that follow from their state
//! alone.

use super::{
    Attempt, AttemptState, Commitment, CommitmentState, Held, Indicator, IndicatorState, Objective,
    Plan, Strategy, StrategyState, Tactic,
};
use crate::{domain::wording::names_a_quantity, proto};

impl Plan {
    /// The strategies that are being followed, in order of adoption.
    #[must_use]
    pub fn live_strategies(&self) -> Vec<&Strategy> {
        let strategies = self.strategies.values().map(AsRef::as_ref);
        let mut live: Vec<&Strategy> = strategies.filter(|strategy| strategy.is_live()).collect();
        live.sort_by_key(|strategy| strategy.adopted_revision);
        live
    }

    /// The tactics of a strategy that are not retired.
    pub fn live_tactics_of<'a>(&'a self, strategy_id: &'a str) -> impl Iterator<Item = &'a Tactic> {
        self.tactics
            .values()
            .map(AsRef::as_ref)
            .filter(move |tactic| {
                tactic.retired.is_none() && tactic.strategy_id.as_deref() == Some(strategy_id)
            })
    }
}

impl Objective {
    /// Whether it can be told when it is reached: by a measure and a target, or by a quantity in its statement.
    #[must_use]
    pub fn says_how_much(&self) -> bool {
        let is_measured = !self.measure.trim().is_empty() && self.target.is_some();
        is_measured || names_a_quantity(&self.statement)
    }
}

impl Tactic {
    /// Where it stands, by its last attempt.
    #[must_use]
    pub fn state(&self) -> proto::TacticState {
        use proto::TacticState::{Failed, Open, Retired, Stopped, Succeeded, Untried};
        if self.retired.is_some() {
            return Retired;
        }
        match self.attempts.last().map(|attempt| &attempt.state) {
            None => Untried,
            Some(AttemptState::Open) => Open,
            Some(AttemptState::Succeeded(_)) => Succeeded,
            Some(AttemptState::Failed { .. }) => Failed,
            Some(AttemptState::Stopped { .. }) => Stopped,
        }
    }

    /// The attempt that goes on.
    #[must_use]
    pub fn open_attempt(&self) -> Option<&Attempt> {
        self.attempts
            .last()
            .map(AsRef::as_ref)
            .filter(|attempt| attempt.state == AttemptState::Open)
    }

    /// How many attempts succeeded.
    #[must_use]
    pub fn successes(&self) -> usize {
        self.count(|state| matches!(state, AttemptState::Succeeded(_)))
    }

    /// How many attempts failed in this way.
    #[must_use]
    pub fn failures(&self, way: proto::Failure) -> usize {
        self.count(
            |state| matches!(state, AttemptState::Failed { failure, .. } if *failure == way as i32),
        )
    }

    fn count(&self, matches: impl Fn(&AttemptState) -> bool) -> usize {
        self.attempts
            .iter()
            .filter(|attempt| matches(&attempt.state))
            .count()
    }
}

impl Strategy {
    /// Whether it is being followed.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.state == StrategyState::Live
    }
}

impl Indicator {
    /// Whether it takes measurements.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.state == IndicatorState::Live
    }
}

impl Commitment {
    /// Whether it can be kept, moved, missed or released: an overdue one still can.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state, CommitmentState::Open | CommitmentState::Overdue)
    }
}

impl Held {
    /// That somebody holds a commitment from now on.
    #[must_use]
    pub fn by(assignee: &str) -> Self {
        Self {
            assignee: assignee.to_owned(),
            moved_with_notice: 0,
            moved_late: 0,
            missed_silently: 0,
        }
    }
}
