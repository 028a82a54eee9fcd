//! Findings about what is measured: whether anything is, and whether it still is.

use super::{
    Case, Draft, Message,
    codes::{IND001, IND002},
    day,
};
use crate::domain::{
    plan::Indicator,
    value::{Subject, Time},
};

/// An indicator that was not measured for so many of its cadences is not looked at any more.
const CADENCES_MAX: i64 = 2;

/// The nanoseconds of a second.
const SECOND_NANOS: i32 = 1_000_000_000;

pub(super) fn find(case: &Case<'_>, found: &mut Vec<Draft>) {
    let indicators = case.plan.indicators.values();
    let live: Vec<_> = indicators.filter(|indicator| indicator.is_live()).collect();
    if live.is_empty() {
        found.push(no_indicator(case));
    }
    found.extend(live.iter().filter_map(|indicator| stale(case, indicator)));
}

fn no_indicator(case: &Case<'_>) -> Draft {
    let message = "Nothing of the plan is measured, so nothing shows early whether a strategy works: \
                   define an indicator with `define_indicator`, and measure it.";
    let retired = case.trail.retired_indicators.iter().copied();
    let behind = retired.chain(case.beginning());
    Draft::new(&IND001, Subject::Plan, behind, message)
}

fn stale(case: &Case<'_>, indicator: &Indicator) -> Option<Draft> {
    let cadence = indicator.cadence?;
    let last = indicator.latest.first();
    let since = match last {
        Some(measurement) => measurement.occurred_at,
        None => case.moment.event(indicator.defined_revision)?.occurred_at(),
    };
    if cadence <= (0, 0) {
        return None;
    }
    let id = &indicator.indicator_id;
    let said = match last {
        Some(_) => "was last measured",
        None => "was never measured since it was defined",
    };
    let message = Message::Lasting(
        format!("Indicator `{id}` {said} on {}, ", day(since)),
        since,
        " ago, and that is two of its cadences or more: record a measurement with `record_measurement`, \
         or retire it if nobody steers by it."
            .into(),
    );
    let behind = last.map(|measurement| measurement.revision);
    let behind = behind.into_iter().chain([indicator.defined_revision]);
    let subject = Subject::Indicator(id.clone());
    let draft = Draft::new(&IND002, subject, behind, message);
    Some(draft.from(silent_until(since, cadence)))
}

/// When so many cadences have passed.
fn silent_until(since: Time, (seconds, nanos): (i64, i32)) -> Time {
    let mut until = since.plus_seconds(seconds.saturating_mul(CADENCES_MAX));
    for _ in 0..CADENCES_MAX {
        until.nanos = until.nanos.saturating_add(nanos);
        if until.nanos >= SECOND_NANOS {
            until.nanos -= SECOND_NANOS;
            until.seconds = until.seconds.saturating_add(1);
        }
    }
    until
}
