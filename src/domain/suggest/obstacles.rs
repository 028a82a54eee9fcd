//! What speaks against an option, in words and with the events behind it.

use super::{Obstacle, chance::refutation};
use crate::{
    domain::{
        history::Moment,
        plan::{Assumption, AssumptionState, AttemptState, Tactic},
    },
    proto::{self, Failure, OptionObstacle},
};

/// How many things a sentence names.
const NAMED_MAX: usize = 3;

/// An obstacle of a tactic, told.
pub(super) fn told(moment: &Moment, tactic: &Tactic, obstacle: Obstacle) -> OptionObstacle {
    let (text, revisions) = said(moment, tactic, obstacle);
    OptionObstacle {
        obstacle: code(obstacle).into(),
        text,
        events: moment.last_references(revisions),
    }
}

/// The events for which an obstacle stands in the way of a tactic.
pub(in crate::domain) fn speaking_for(
    moment: &Moment,
    tactic: &Tactic,
    obstacle: Obstacle,
) -> Vec<u64> {
    said(moment, tactic, obstacle).1
}

fn said(moment: &Moment, tactic: &Tactic, obstacle: Obstacle) -> (String, Vec<u64>) {
    match obstacle {
        Obstacle::OpenAttempt => open_attempt(tactic),
        Obstacle::AfterNotMet => after_not_met(moment, tactic),
        Obstacle::RefutedAssumption => refuted_assumption(moment, tactic),
        Obstacle::RetryLimit => retry_limit(tactic),
        Obstacle::Succeeded => succeeded(tactic),
        Obstacle::Stopped => stopped(tactic),
        Obstacle::Retired => retired(tactic),
    }
}

/// Ids in a sentence: the first three of them.
pub(super) fn named<'a>(ids: impl IntoIterator<Item = &'a str>) -> String {
    let mut ids: Vec<_> = ids.into_iter().map(|id| format!("`{id}`")).collect();
    let unnamed = ids.len().saturating_sub(NAMED_MAX);
    if unnamed > 0 {
        ids.truncate(NAMED_MAX);
        ids.push(format!("{unnamed} more"));
    }
    match ids.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
    }
}

/// What an attempt came to, for statistics: the revision that ended it, unless it goes on.
pub(super) fn ended_revision(state: &AttemptState) -> Option<u64> {
    match state {
        AttemptState::Open => None,
        AttemptState::Succeeded(ending)
        | AttemptState::Failed { ending, .. }
        | AttemptState::Stopped { ending, .. } => Some(ending.revision),
    }
}

fn code(obstacle: Obstacle) -> proto::Obstacle {
    match obstacle {
        Obstacle::OpenAttempt => proto::Obstacle::OpenAttempt,
        Obstacle::AfterNotMet => proto::Obstacle::AfterNotMet,
        Obstacle::RefutedAssumption => proto::Obstacle::RefutedAssumption,
        Obstacle::RetryLimit => proto::Obstacle::RetryLimit,
        Obstacle::Succeeded => proto::Obstacle::Succeeded,
        Obstacle::Stopped => proto::Obstacle::Stopped,
        Obstacle::Retired => proto::Obstacle::Retired,
    }
}

fn open_attempt(tactic: &Tactic) -> (String, Vec<u64>) {
    let attempt = tactic.open_attempt();
    let number = attempt.map_or(0, |it| it.attempt);
    (
        format!("Its attempt {number} is open."),
        attempt.map(|it| it.tried_revision).into_iter().collect(),
    )
}

/// The wording that says what should come first, and where those stand that have not succeeded.
fn after_not_met(moment: &Moment, tactic: &Tactic) -> (String, Vec<u64>) {
    let found = |id: &crate::domain::value::Id| moment.plan.tactics.get(id).cloned();
    let unmet: Vec<_> = tactic
        .after_tactic_ids
        .iter()
        .filter_map(found)
        .filter(|earlier| earlier.successes() == 0)
        .collect();
    let mut revisions = vec![tactic.worded_revision];
    for earlier in &unmet {
        let last = earlier.attempts.last();
        revisions.extend(
            last.map(|attempt| ended_revision(&attempt.state).unwrap_or(attempt.tried_revision)),
        );
        revisions.extend(earlier.retired.as_ref().map(|it| it.revision));
    }
    let ids = named(unmet.iter().map(|it| &*it.tactic_id));
    let given_up = unmet.iter().filter(|it| it.retired.is_some());
    let given_up = named(given_up.map(|it| &*it.tactic_id));
    let text = if let ([only], false) = (unmet.as_slice(), given_up.is_empty()) {
        let id = &only.tactic_id;
        format!("It comes after `{id}`, which has not succeeded and is retired.")
    } else if given_up.is_empty() {
        format!("It comes after {ids}, not yet successful.")
    } else {
        format!(
            "It comes after {ids}, not yet successful, of which {given_up} will not be: retired."
        )
    };
    (text, revisions)
}

fn refuted_assumption(moment: &Moment, tactic: &Tactic) -> (String, Vec<u64>) {
    let refuted_at = |assumption: &Assumption| match assumption.state {
        AssumptionState::Refuted(revision) if assumption.load_bearing => Some(revision),
        AssumptionState::Refuted(_) | AssumptionState::Supported(_) | AssumptionState::Stated => {
            None
        }
    };
    let mut ids: Vec<&str> = Vec::new();
    let mut revisions = Vec::new();
    for id in &tactic.assumption_ids {
        let assumption = moment.plan.assumptions.get(id);
        if let Some((assumption, revision)) = assumption.and_then(|it| Some((it, refuted_at(it)?)))
        {
            ids.push(id);
            revisions.extend(refutation(moment, assumption, revision));
        }
    }
    let text = match ids.as_slice() {
        [only] => format!("It rests on `{only}`, which is load-bearing and was refuted."),
        several => format!(
            "It rests on {}, which are load-bearing and were refuted.",
            named(several.iter().copied())
        ),
    };
    (text, revisions)
}

fn retry_limit(tactic: &Tactic) -> (String, Vec<u64>) {
    let failures = |way: Failure| -> Vec<u64> {
        let attempts = tactic.attempts.iter();
        let of_way = attempts.filter(|attempt| {
            matches!(attempt.state, AttemptState::Failed { failure, .. } if failure == way as i32)
        });
        of_way
            .filter_map(|attempt| ended_revision(&attempt.state))
            .collect()
    };
    let (effect, precondition) = (failures(Failure::Effect), failures(Failure::Precondition));
    if effect.is_empty() {
        let text = format!(
            "It failed of a precondition {}: what was missing was not procured.",
            times(precondition.len())
        );
        (text, precondition)
    } else {
        let text = format!(
            "It failed of its effect {}: the same again is not expected to work.",
            times(effect.len())
        );
        (text, effect)
    }
}

fn succeeded(tactic: &Tactic) -> (String, Vec<u64>) {
    let attempts = tactic.attempts.iter();
    let successes = attempts.filter(|attempt| matches!(attempt.state, AttemptState::Succeeded(_)));
    let revisions = successes.filter_map(|attempt| ended_revision(&attempt.state));
    ("It has succeeded already.".to_owned(), revisions.collect())
}

fn stopped(tactic: &Tactic) -> (String, Vec<u64>) {
    let last = tactic.attempts.last();
    let number = last.map_or(0, |it| it.attempt);
    (
        format!("Its attempt {number} was stopped, and something was learned from that."),
        last.and_then(|it| ended_revision(&it.state))
            .into_iter()
            .collect(),
    )
}

fn retired(tactic: &Tactic) -> (String, Vec<u64>) {
    let revision = tactic.retired.as_ref().map(|it| it.revision);
    (
        "It is retired and no longer an option.".to_owned(),
        revision.into_iter().collect(),
    )
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}
