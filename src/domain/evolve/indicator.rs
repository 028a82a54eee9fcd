//! What events make of the indicators and of what was measured.

use std::{cmp::Reverse, sync::Arc};

use prost_types::Duration;

use super::Stamp;
use crate::{
    domain::plan::{Indicator, IndicatorState, Measurement, Plan},
    proto,
};

/// How many measurements are kept: the last value and the one that shows where it came from.
const LATEST_MAX: usize = 2;

pub(super) fn defined(plan: &mut Plan, defined: &proto::IndicatorDefined, at: Stamp) {
    define(
        plan,
        Indicator {
            indicator_id: defined.indicator_id.as_str().into(),
            name: defined.name.clone(),
            unit: defined.unit.clone(),
            direction: defined.direction,
            target: defined.target,
            cadence: defined.cadence.map(span),
            state: IndicatorState::Live,
            measurements: 0,
            latest: Vec::new(),
            defined_revision: at.revision,
        },
    );
}

pub(super) fn replaced(plan: &mut Plan, replaced: &proto::IndicatorReplaced, at: Stamp) {
    if let Some(old) = plan.indicators.get_mut(replaced.old_indicator_id.as_str()) {
        Arc::make_mut(old).state = IndicatorState::Replaced(replaced.indicator_id.as_str().into());
    }
    define(
        plan,
        Indicator {
            indicator_id: replaced.indicator_id.as_str().into(),
            name: replaced.name.clone(),
            unit: replaced.unit.clone(),
            direction: replaced.direction,
            target: replaced.target,
            cadence: replaced.cadence.map(span),
            state: IndicatorState::Live,
            measurements: 0,
            latest: Vec::new(),
            defined_revision: at.revision,
        },
    );
}

pub(super) fn retired(plan: &mut Plan, retired: &proto::IndicatorRetired) {
    if let Some(indicator) = plan.indicators.get_mut(retired.indicator_id.as_str()) {
        Arc::make_mut(indicator).state = IndicatorState::Retired;
    }
}

pub(super) fn measured(plan: &mut Plan, recorded: &proto::MeasurementRecorded, at: Stamp) {
    let Some(indicator) = plan.indicators.get_mut(recorded.indicator_id.as_str()) else {
        return;
    };
    let indicator = Arc::make_mut(indicator);
    indicator.measurements = indicator.measurements.saturating_add(1);
    indicator.latest.push(Measurement {
        value: recorded.value.unwrap_or_default(),
        occurred_at: at.occurred_at,
        window: recorded.window.map(span),
        note: recorded.note.clone(),
        revision: at.revision,
    });
    // Of two that occurred at once the one recorded later is the later one.
    indicator
        .latest
        .sort_by_key(|measurement| Reverse((measurement.occurred_at, measurement.revision)));
    indicator.latest.truncate(LATEST_MAX);
}

fn define(plan: &mut Plan, indicator: Indicator) {
    plan.indicators
        .entry(indicator.indicator_id.clone())
        .or_insert_with(|| Arc::new(indicator));
}

fn span(duration: Duration) -> (i64, i32) {
    (duration.seconds, duration.nanos)
}
