//! Findings about the record itself: whether it was kept in time, says what was expected, and stays
//! readable.

use super::{
    Case, DAY_SECONDS, Draft,
    codes::{HIS001, HIS002, HIS003},
    counted, is_blank,
};
use crate::{
    domain::{history::Recorded, plan::Tactic, value::Subject},
    proto::{Event, event::Kind},
};

/// What is recorded within a week is still remembered.
const LATE_DAYS: i64 = 7;

/// From here on nobody reads all of a plan.
const EVENTS_MAX: u64 = 5_000;

pub(super) fn find(case: &Case<'_>, found: &mut Vec<Draft>) {
    found.extend(late_record(case));
    found.extend(long_plan(case));
    let tactics = case.plan.tactics.values();
    found.extend(tactics.filter_map(|tactic| no_expectation(tactic)));
}

fn late_record(case: &Case<'_>) -> Option<Draft> {
    let late = &case.trail.recorded_late;
    if late.is_empty() {
        return None;
    }
    let message = format!(
        "{} recorded more than {LATE_DAYS} days after occurring: record what happens while it is \
         fresh, or acknowledge this if the history was imported.",
        match late.len() {
            1 => "1 event was".to_owned(),
            more => format!("{more} events were"),
        }
    );
    let late = late.iter().copied();
    Some(Draft::new(&HIS001, Subject::Plan, late, message))
}

/// Whether an event was recorded more than a week after it had occurred.
pub(super) fn is_late(recorded: &Recorded) -> bool {
    let latest = recorded.occurred_at().plus_seconds(LATE_DAYS * DAY_SECONDS);
    recorded.event.occurred_at.is_some()
        && recorded.recorded_at > latest
        && !is_lapse(&recorded.event)
}

/// The daemon's own record that a due date passed in silence: nobody could have made it sooner.
fn is_lapse(event: &Event) -> bool {
    matches!(&event.kind, Some(Kind::DeadlineMissed(missed)) if missed.silent)
}

fn no_expectation(tactic: &Tactic) -> Option<Draft> {
    let attempts = tactic.attempts.iter();
    let silent: Vec<_> = attempts
        .filter(|attempt| is_blank(&attempt.expected))
        .map(|attempt| attempt.tried_revision)
        .collect();
    if silent.is_empty() {
        return None;
    }
    let id = &tactic.tactic_id;
    let message = format!(
        "{} of tactic `{id}` began without a word of what was expected, so that {} can surprise \
         nobody: say it in `expected` when you try it again.",
        counted(silent.len(), "attempt"),
        match silent.len() {
            1 => "its outcome",
            _ => "their outcomes",
        }
    );
    let subject = Subject::Tactic(id.clone());
    Some(Draft::new(&HIS002, subject, silent, message))
}

fn long_plan(case: &Case<'_>) -> Option<Draft> {
    let events = case.plan.revision;
    if events <= EVENTS_MAX {
        return None;
    }
    let message = format!(
        "The plan has {events} events, more than anybody reads: archive it and go on in a successor \
         before it reaches 50,000."
    );
    // The one that made it long: those after it would end every acknowledgement.
    let place = case
        .moment
        .events
        .partition_point(|it| it.event.revision <= EVENTS_MAX);
    let first = case.moment.events.get(place).map(|it| it.event.revision);
    Some(Draft::new(&HIS003, Subject::Plan, first, message))
}
