//! The views of indicators and measurements.

use prost_types::Duration;

use super::in_order;
use crate::{
    domain::plan::{Indicator, IndicatorState, Measurement, Plan},
    proto,
};

pub(super) fn all(plan: &Plan) -> Vec<proto::Indicator> {
    let indicators = in_order(&plan.indicators, |it| it.defined_revision);
    indicators.map(show).collect()
}

fn show(indicator: &Indicator) -> proto::Indicator {
    let (state, replaced_by) = match &indicator.state {
        IndicatorState::Live => (proto::IndicatorState::Live, String::new()),
        IndicatorState::Replaced(by) => (proto::IndicatorState::Replaced, by.to_string()),
        IndicatorState::Retired => (proto::IndicatorState::Retired, String::new()),
    };
    let mut latest = indicator.latest.iter().map(measurement);
    proto::Indicator {
        indicator_id: indicator.indicator_id.to_string(),
        name: indicator.name.clone(),
        unit: indicator.unit.clone(),
        direction: indicator.direction,
        target: indicator.target,
        cadence: indicator.cadence.map(duration),
        state: state.into(),
        replaced_by,
        measurements: indicator.measurements,
        last: latest.next(),
        previous: latest.next(),
        defined_revision: indicator.defined_revision,
    }
}

fn measurement(measurement: &Measurement) -> proto::Measurement {
    proto::Measurement {
        value: measurement.value,
        occurred_at: Some(measurement.occurred_at.into()),
        window: measurement.window.map(duration),
        note: measurement.note.clone(),
        revision: measurement.revision,
    }
}

fn duration((seconds, nanos): (i64, i32)) -> Duration {
    Duration { seconds, nanos }
}
