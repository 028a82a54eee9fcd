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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{evolve::fold, given},
        proto::event::Kind,
    };

    fn values_at(occurrences: &[(i64, f64)]) -> Vec<f64> {
        let mut history = given::history([given::created(), given::indicator("i")]);
        for (revision, (seconds, value)) in (3..).zip(occurrences) {
            let mut event = given::event(revision, given::measured("i", *value));
            event.occurred_at = Some(given::at(*seconds));
            history.push(event);
        }
        let plan = fold("growth".into(), &history);
        let latest = plan.indicators["i"].latest.iter();
        latest.map(|measurement| measurement.value).collect()
    }

    #[test]
    fn a_defined_indicator_is_live_and_unmeasured() {
        let defined = Kind::IndicatorDefined(proto::IndicatorDefined {
            indicator_id: "i".into(),
            name: "Replies".into(),
            unit: "replies".into(),
            direction: proto::Direction::Increase.into(),
            target: Some(0.0),
            cadence: Some(Duration {
                seconds: 7,
                nanos: 5,
            }),
        });
        let plan = given::plan([given::created(), defined]);
        let expected = Indicator {
            indicator_id: "i".into(),
            name: "Replies".into(),
            unit: "replies".into(),
            direction: proto::Direction::Increase.into(),
            target: Some(0.0),
            cadence: Some((7, 5)),
            state: IndicatorState::Live,
            measurements: 0,
            latest: Vec::new(),
            defined_revision: 2,
        };
        assert_eq!(*plan.indicators["i"], expected);
    }

    #[test]
    fn a_replaced_indicator_names_the_one_that_took_its_place() {
        let replacing = Kind::IndicatorReplaced(proto::IndicatorReplaced {
            old_indicator_id: "i".into(),
            indicator_id: "j".into(),
            name: "Orders".into(),
            unit: "orders".into(),
            ..proto::IndicatorReplaced::default()
        });
        let plan = given::plan([given::created(), given::indicator("i"), replacing]);
        assert_eq!(
            plan.indicators["i"].state,
            IndicatorState::Replaced("j".into())
        );
        assert!(plan.indicators["j"].is_live());
        assert_eq!(plan.indicators["j"].name, "Orders");
        assert_eq!(plan.indicators["j"].defined_revision, 3);
    }

    #[test]
    fn a_retired_indicator_is_no_longer_live() {
        let retiring = Kind::IndicatorRetired(proto::IndicatorRetired {
            indicator_id: "i".into(),
            ..proto::IndicatorRetired::default()
        });
        let plan = given::plan([given::created(), given::indicator("i"), retiring]);
        assert_eq!(plan.indicators["i"].state, IndicatorState::Retired);
    }

    #[test]
    fn the_two_measurements_that_occurred_last_are_kept() {
        assert_eq!(values_at(&[(30, 1.0), (10, 2.0), (20, 3.0)]), [1.0, 3.0]);
        assert_eq!(values_at(&[(10, 1.0)]), [1.0]);
    }

    #[test]
    fn of_measurements_at_one_time_the_one_recorded_later_is_later() {
        assert_eq!(values_at(&[(10, 1.0), (10, 2.0), (10, 3.0)]), [3.0, 2.0]);
    }

    #[test]
    fn a_retracted_measurement_gives_way_to_the_one_before_it() {
        let plan = given::plan([
            given::created(),
            given::indicator("i"),
            given::measured("i", 1.0),
            given::measured("i", 2.0),
            given::measured("i", 3.0),
            given::retracted(5),
        ]);
        let indicator = &plan.indicators["i"];
        let revisions: Vec<_> = indicator.latest.iter().map(|it| it.revision).collect();
        assert_eq!(revisions, [4, 3]);
        assert_eq!(indicator.measurements, 2);
    }
}
