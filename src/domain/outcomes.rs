//! How the attempts of tactics ended, counted by the strategy and the kind of the tactic. What still
//! goes on is not counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    plan::{AttemptState, Plan, Tactic},
    value::Id,
};
use crate::proto::Failure;

/// How many attempts ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// They worked.
    pub successes: u32,
    /// They were carried out and did not work.
    pub effect_failures: u32,
    /// They could not be carried out.
    pub precondition_failures: u32,
    /// They were stopped without an outcome.
    pub stops: u32,
}

impl Tally {
    /// The attempts of one tactic that have ended.
    #[must_use]
    pub fn of(tactic: &Tactic) -> Self {
        let mut tally = Self::default();
        for attempt in &tactic.attempts {
            match &attempt.state {
                AttemptState::Open => {}
                AttemptState::Succeeded(_) => tally.successes += 1,
                AttemptState::Failed { failure, .. } => match Failure::try_from(*failure) {
                    Ok(Failure::Effect) => tally.effect_failures += 1,
                    Ok(Failure::Precondition) => tally.precondition_failures += 1,
                    // Not said, or a way that another version knows.
                    Ok(Failure::Unspecified) | Err(_) => {}
                },
                AttemptState::Stopped { .. } => tally.stops += 1,
            }
        }
        tally
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.with(other, u32::saturating_add)
    }

    /// What is left when the other is taken away.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.with(other, u32::saturating_sub)
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    fn with(self, other: Self, join: impl Fn(u32, u32) -> u32) -> Self {
        Self {
            successes: join(self.successes, other.successes),
            effect_failures: join(self.effect_failures, other.effect_failures),
            precondition_failures: join(self.precondition_failures, other.precondition_failures),
            stops: join(self.stops, other.stops),
        }
    }
}

/// The attempts of a plan that have ended, by the strategy and the kind that their tactics have now;
/// only where there are some.
#[must_use]
pub fn cells(plan: &Plan) -> BTreeMap<(Option<Id>, String), Tally> {
    let mut cells: BTreeMap<_, Tally> = BTreeMap::new();
    for tactic in plan.tactics.values() {
        let tally = Tally::of(tactic);
        if !tally.is_empty() {
            let cell = cells.entry((tactic.strategy_id.clone(), tactic.kind.clone()));
            let cell = cell.or_default();
            *cell = cell.plus(tally);
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::given,
        proto::{self, event::Kind},
    };

    fn stopped(tactic_id: &str, attempt: u32) -> Kind {
        Kind::TacticStopped(proto::TacticStopped {
            tactic_id: tactic_id.into(),
            attempt,
            reason: "The fair was cancelled".into(),
            inconclusive: true,
        })
    }

    #[test]
    fn what_ended_is_counted_by_strategy_and_kind_and_what_goes_on_is_not() {
        let plan = given::plan([
            given::created(),
            given::tactic("t", "s"),
            given::tactic("u", "s"),
            given::tactic("v", ""),
            given::tactic("w", "s"),
            given::tried("t", 1),
            given::failed("t", 1, Failure::Effect),
            given::tried("t", 2),
            given::succeeded("t", 2),
            given::tried("u", 1),
            given::failed("u", 1, Failure::Precondition),
            given::tried("v", 1),
            stopped("v", 1),
            given::tried("w", 1),
        ]);
        let under_s = Tally {
            successes: 1,
            effect_failures: 1,
            precondition_failures: 1,
            stops: 0,
        };
        let under_none = Tally {
            stops: 1,
            ..Tally::default()
        };
        let expected = [
            ((None, String::new()), under_none),
            ((Some("s".into()), String::new()), under_s),
        ];
        assert_eq!(cells(&plan), expected.into());
    }

    #[test]
    fn a_reworded_tactic_counts_for_the_kind_it_has_now() {
        let rewording = Kind::TacticReworded(proto::TacticReworded {
            tactic_id: "t".into(),
            kind: "call".into(),
            ..proto::TacticReworded::default()
        });
        let plan = given::plan([
            given::created(),
            given::tactic("t", "s"),
            given::tried("t", 1),
            given::succeeded("t", 1),
            rewording,
        ]);
        let kinds: Vec<_> = cells(&plan).into_keys().map(|(_, kind)| kind).collect();
        assert_eq!(kinds, ["call"]);
    }
}
