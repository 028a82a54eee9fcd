//! Where strategies stand in the square of strategy and tactics: whether a strategy does the right
//! things, and whether it does things right. Each axis is judged by observations, each of which shows
//! its events; below three of them nothing is said.

use super::{
    history::Moment,
    plan::{
        Assumption, AssumptionState, Attempt, AttemptState, Commitment, CommitmentState, Indicator,
        IndicatorState, Plan, Strategy, Tactic,
    },
    value::{Id, Subject},
};
use crate::proto::{
    AssessedAxis, AxisObservation, AxisVerdict, Direction, Quadrant, StrategyAssessment,
};

#[cfg(test)]
mod tests;

/// Below so many observations an axis is unknown.
const OBSERVATIONS_MIN: usize = 3;
/// How many observations of an axis are listed.
const OBSERVATIONS_LISTED_MAX: usize = 256;

/// How a strategy does, also one that has ended; without one each live strategy in order of adoption.
/// Nothing if the plan has no such strategy at that moment.
#[must_use]
pub fn assess(moment: &Moment, strategy_id: Option<&str>) -> Option<Vec<StrategyAssessment>> {
    let plan = &moment.plan;
    let strategies: Vec<&Strategy> = match strategy_id {
        Some(id) => vec![plan.strategies.get(id)?],
        None => plan.live_strategies(),
    };
    let assessed = strategies.into_iter().map(|strategy| {
        let right_things = axis(moment, &right_things(plan, strategy));
        let things_right = axis(moment, &things_right(plan, strategy));
        let (quadrant, summary) = quadrant(&right_things, &things_right);
        StrategyAssessment {
            strategy_id: strategy.strategy_id.to_string(),
            quadrant: quadrant.into(),
            summary,
            right_things: Some(right_things),
            things_right: Some(things_right),
        }
    });
    Some(assessed.collect())
}

/// Something that speaks for or against an axis.
#[derive(Clone, Copy)]
enum Observation<'a> {
    /// A load-bearing assumption of the head revision.
    Assumption(&'a Assumption),
    /// An indicator that shows whether the strategy works.
    Indicator(&'a Indicator, Progress),
    /// A commitment that was kept or was not.
    Commitment(&'a Commitment),
    /// An attempt that succeeded or failed.
    Attempt(&'a Tactic, &'a Attempt),
}

/// What the last values of an indicator say.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Progress {
    /// The last value has reached the target.
    AtTarget { value: f64, target: f64 },
    /// The last value has not reached the target, and there is no other.
    ShortOfTarget { value: f64, target: f64 },
    /// From one value to another, in the direction of the indicator.
    Nearer { from: f64, to: f64 },
    /// From one value to another, the same or against the direction.
    NoNearer { from: f64, to: f64 },
}

fn right_things<'a>(plan: &'a Plan, strategy: &'a Strategy) -> Vec<Observation<'a>> {
    let assumptions = strategy.choice.assumption_ids.iter();
    let assumptions = assumptions.filter_map(|id| plan.assumptions.get(id));
    let assumptions = assumptions.filter(|assumption| assumption.load_bearing);
    let mut observations: Vec<_> = assumptions.map(|it| Observation::Assumption(it)).collect();
    let mut judged: Vec<&Id> = Vec::new();
    for id in &strategy.choice.indicator_ids {
        // Of two that were replaced by the same one it is observed once.
        if let Some(indicator) = in_place_of(plan, id)
            && !judged.contains(&&indicator.indicator_id)
            && let Some(progress) = progress(indicator)
        {
            judged.push(&indicator.indicator_id);
            observations.push(Observation::Indicator(indicator, progress));
        }
    }
    observations
}

/// The indicator, or what took its place; nothing if it is retired.
fn in_place_of<'a>(plan: &'a Plan, indicator_id: &'a Id) -> Option<&'a Indicator> {
    let mut id = indicator_id;
    // Each step leads to another indicator of the plan, so there are no more steps than indicators.
    for _ in 0..=plan.indicators.len() {
        let indicator = plan.indicators.get(id)?;
        match &indicator.state {
            IndicatorState::Live => return Some(indicator),
            IndicatorState::Retired => return None,
            IndicatorState::Replaced(by) => id = by,
        }
    }
    None
}

fn progress(indicator: &Indicator) -> Option<Progress> {
    let (value, before) = match indicator.latest.as_slice() {
        [] => return None,
        [only] => (only.value, None),
        [last, before, ..] => (last.value, Some(before.value)),
    };
    // Whether a value is at least as good as another.
    let reaches = |value: f64, other: f64| match Direction::try_from(indicator.direction) {
        Ok(Direction::Increase) => value >= other,
        Ok(Direction::Decrease) => value <= other,
        Ok(Direction::Unspecified) | Err(_) => false,
    };
    if let Some(target) = indicator.target.filter(|target| reaches(value, *target)) {
        return Some(Progress::AtTarget { value, target });
    }
    match (before, indicator.target) {
        (Some(from), _) if reaches(value, from) && !reaches(from, value) => {
            Some(Progress::Nearer { from, to: value })
        }
        (Some(from), _) => Some(Progress::NoNearer { from, to: value }),
        (None, Some(target)) => Some(Progress::ShortOfTarget { value, target }),
        (None, None) => None,
    }
}

/// In the order in which they were recorded.
fn things_right<'a>(plan: &'a Plan, strategy: &Strategy) -> Vec<Observation<'a>> {
    let serves = |tactic: &Tactic| tactic.strategy_id.as_ref() == Some(&strategy.strategy_id);
    let mut observations = Vec::new();
    for tactic in plan.tactics.values().filter(|tactic| serves(tactic)) {
        for attempt in &tactic.attempts {
            match &attempt.state {
                AttemptState::Open | AttemptState::Stopped { .. } => {}
                AttemptState::Succeeded(ending) | AttemptState::Failed { ending, .. } => {
                    observations.push((ending.revision, Observation::Attempt(tactic, attempt)));
                }
            }
        }
    }
    for commitment in plan.commitments.values() {
        let tactic = commitment.tactic_id.as_ref();
        let tactic = tactic.and_then(|id| plan.tactics.get(id));
        let is_observed = match &commitment.state {
            CommitmentState::Open | CommitmentState::Released(_) => false,
            CommitmentState::Overdue
            | CommitmentState::Kept(_)
            | CommitmentState::KeptLate(_)
            | CommitmentState::Missed { .. } => true,
        };
        if is_observed && tactic.is_some_and(|tactic| serves(tactic)) {
            let revision = commitment.last_revision;
            observations.push((revision, Observation::Commitment(commitment)));
        }
    }
    observations.sort_by_key(|(revision, _)| *revision);
    observations.into_iter().map(|(_, it)| it).collect()
}

fn axis(moment: &Moment, observations: &[Observation<'_>]) -> AssessedAxis {
    let holding = observations.iter().filter(|it| it.holds()).count();
    let observed = observations.len();
    let verdict = if observed < OBSERVATIONS_MIN {
        AxisVerdict::Unknown
    } else if 2 * holding >= observed {
        AxisVerdict::Holds
    } else {
        AxisVerdict::Fails
    };
    let passed_over = observed.saturating_sub(OBSERVATIONS_LISTED_MAX);
    let listed = observations.iter().skip(passed_over);
    AssessedAxis {
        verdict: verdict.into(),
        holding: u32::try_from(holding).unwrap_or(u32::MAX),
        observations: listed.map(|it| it.told(moment)).collect(),
        observed: u32::try_from(observed).unwrap_or(u32::MAX),
    }
}

fn quadrant(right_things: &AssessedAxis, things_right: &AssessedAxis) -> (Quadrant, String) {
    let (quadrant, text) = match (right_things.verdict(), things_right.verdict()) {
        (AxisVerdict::Holds, AxisVerdict::Holds) => (
            Quadrant::Thrive,
            "It does the right things and does them right: it thrives.",
        ),
        (AxisVerdict::Holds, AxisVerdict::Fails) => (
            Quadrant::Survive,
            "It does the right things and does not do them right: it survives.",
        ),
        (AxisVerdict::Fails, AxisVerdict::Holds) => (
            Quadrant::DieQuickly,
            "It does the wrong things and does them right: it dies quickly.",
        ),
        (AxisVerdict::Fails, AxisVerdict::Fails) => (
            Quadrant::DieSlowly,
            "It does the wrong things and does not do them right: it dies slowly.",
        ),
        (AxisVerdict::Unknown | AxisVerdict::Unspecified, _)
        | (_, AxisVerdict::Unknown | AxisVerdict::Unspecified) => {
            return (Quadrant::Unknown, too_little(right_things, things_right));
        }
    };
    (quadrant, text.to_owned())
}

/// What is known of each axis, where that is not enough.
fn too_little(right_things: &AssessedAxis, things_right: &AssessedAxis) -> String {
    let known = |axis: &AssessedAxis, holds: &str, fails: &str, unknown: &str| match axis.verdict()
    {
        AxisVerdict::Holds => holds.to_owned(),
        AxisVerdict::Fails => fails.to_owned(),
        AxisVerdict::Unknown | AxisVerdict::Unspecified => format!(
            "{unknown} is not known: observed {}, needed {OBSERVATIONS_MIN}",
            axis.observed
        ),
    };
    let strategy = known(
        right_things,
        "It does the right things",
        "It does the wrong things",
        "Whether it does the right things",
    );
    let tactics = known(
        things_right,
        "it does things right",
        "it does not do things right",
        "whether it does things right",
    );
    format!("{strategy}; {tactics}.")
}

impl Observation<'_> {
    fn holds(self) -> bool {
        match self {
            Self::Assumption(assumption) => match assumption.state {
                AssumptionState::Stated | AssumptionState::Supported(_) => true,
                AssumptionState::Refuted(_) => false,
            },
            Self::Indicator(_, progress) => match progress {
                Progress::AtTarget { .. } | Progress::Nearer { .. } => true,
                Progress::ShortOfTarget { .. } | Progress::NoNearer { .. } => false,
            },
            Self::Commitment(commitment) => is_kept_in_time(commitment),
            Self::Attempt(_, attempt) => match attempt.state {
                AttemptState::Succeeded(_) => true,
                AttemptState::Failed { .. } | AttemptState::Open | AttemptState::Stopped { .. } => {
                    false
                }
            },
        }
    }

    fn told(self, moment: &Moment) -> AxisObservation {
        let (subject, text, revisions) = match self {
            Self::Assumption(assumption) => of_assumption(moment, assumption),
            Self::Indicator(indicator, progress) => of_indicator(indicator, progress),
            Self::Commitment(commitment) => of_commitment(commitment),
            Self::Attempt(tactic, attempt) => of_attempt(tactic, attempt),
        };
        AxisObservation {
            subject: subject.to_string(),
            holds: self.holds(),
            text,
            events: moment.last_references(revisions),
        }
    }
}

/// Kept by a date that was set before another had passed.
fn is_kept_in_time(commitment: &Commitment) -> bool {
    let never_late = commitment.late_moves == 0 && commitment.silently_missed.is_empty();
    matches!(commitment.state, CommitmentState::Kept(_)) && never_late
}

fn of_assumption(moment: &Moment, assumption: &Assumption) -> (Subject, String, Vec<u64>) {
    let id = &assumption.assumption_id;
    let evidence = assumption.evidence_ids.iter();
    let evidence = evidence.filter_map(|id| moment.plan.evidence.get(id));
    let mut revisions: Vec<_> = evidence.map(|it| it.revision).collect();
    let found = match assumption.state {
        AssumptionState::Stated => {
            revisions.push(assumption.stated_revision);
            "was not refuted, nor found to hold"
        }
        AssumptionState::Supported(revision) => {
            revisions.push(revision);
            "was found to hold"
        }
        AssumptionState::Refuted(revision) => {
            revisions.push(revision);
            "was refuted"
        }
    };
    let text = format!("`{id}`, which is load-bearing, {found}.");
    (Subject::Assumption(id.clone()), text, revisions)
}

fn of_indicator(indicator: &Indicator, progress: Progress) -> (Subject, String, Vec<u64>) {
    let (id, unit) = (&indicator.indicator_id, &indicator.unit);
    let (text, values) = match progress {
        Progress::AtTarget { value, target } => (
            format!("`{id}` is at {value} {unit} and has reached its target of {target}."),
            1,
        ),
        Progress::ShortOfTarget { value, target } => (
            format!("`{id}` is at {value} {unit} and has not reached its target of {target}."),
            1,
        ),
        Progress::Nearer { from, to } => (
            format!("`{id}` went from {from} to {to} {unit}, in its direction."),
            2,
        ),
        Progress::NoNearer { from, to } => (
            format!("`{id}` went from {from} to {to} {unit}, not in its direction."),
            2,
        ),
    };
    let latest = indicator.latest.iter().take(values);
    let revisions = latest.map(|it| it.revision).collect();
    (Subject::Indicator(id.clone()), text, revisions)
}

fn of_commitment(commitment: &Commitment) -> (Subject, String, Vec<u64>) {
    let id = &commitment.commitment_id;
    let what = match &commitment.state {
        CommitmentState::Kept(_) if is_kept_in_time(commitment) => "was kept in time",
        CommitmentState::Kept(_) => "was kept only after a due date had passed",
        CommitmentState::KeptLate(_) => "was kept late",
        CommitmentState::Missed { .. } => "was missed",
        CommitmentState::Overdue => "is overdue",
        CommitmentState::Open | CommitmentState::Released(_) => "is open or was released",
    };
    let revisions = vec![commitment.made_revision, commitment.last_revision];
    let text = format!("The commitment `{id}` {what}.");
    (Subject::Commitment(id.clone()), text, revisions)
}

fn of_attempt(tactic: &Tactic, attempt: &Attempt) -> (Subject, String, Vec<u64>) {
    let (what, ended) = match &attempt.state {
        AttemptState::Succeeded(ending) => ("succeeded", Some(ending.revision)),
        AttemptState::Failed { ending, .. } => ("failed", Some(ending.revision)),
        AttemptState::Open | AttemptState::Stopped { .. } => ("has no outcome", None),
    };
    let id = &tactic.tactic_id;
    let text = format!("Attempt {} of `{id}` {what}.", attempt.attempt);
    let revisions = [Some(attempt.tried_revision), ended].into_iter().flatten();
    (Subject::Tactic(id.clone()), text, revisions.collect())
}
