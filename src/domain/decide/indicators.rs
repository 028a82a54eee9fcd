//! What is measured, and the measurements.

use super::{
    super::plan::{Indicator, Plan},
    CommandContext, Refusal, bounds,
    subjects::{id_is_new, indicator, indicator_is_live},
};
use crate::proto::{self, ErrorReason, event::Kind};

/// Defines something that will be measured.
pub(super) fn define(
    plan: &Plan,
    command: &proto::DefineIndicator,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let id = &command.indicator_id;
    id_is_new(
        plan,
        &plan.indicators,
        "indicators",
        id,
        "indicator_id",
        context,
    )?;
    has_room(plan, context)?;
    Ok(Kind::IndicatorDefined(proto::IndicatorDefined {
        indicator_id: id.clone(),
        name: command.name.clone(),
        unit: command.unit.clone(),
        direction: command.direction,
        target: command.target,
        cadence: command.cadence,
    }))
}

/// Measures something else instead.
pub(super) fn replace(
    plan: &Plan,
    command: &proto::ReplaceIndicator,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let (old_id, id) = (&command.old_indicator_id, &command.indicator_id);
    let old = indicator(plan, old_id, "old_indicator_id", context)?;
    id_is_new(
        plan,
        &plan.indicators,
        "indicators",
        id,
        "indicator_id",
        context,
    )?;
    indicator_is_live(old, "old_indicator_id", context)?;
    has_room(plan, context)?;
    Ok(Kind::IndicatorReplaced(proto::IndicatorReplaced {
        old_indicator_id: old_id.clone(),
        indicator_id: id.clone(),
        name: command.name.clone(),
        unit: command.unit.clone(),
        direction: command.direction,
        target: command.target,
        cadence: command.cadence,
        reason: command.reason.clone(),
    }))
}

/// Stops measuring.
pub(super) fn retire(
    plan: &Plan,
    command: &proto::RetireIndicator,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let retired = indicator(plan, &command.indicator_id, "indicator_id", context)?;
    indicator_is_live(retired, "indicator_id", context)?;
    Ok(Kind::IndicatorRetired(proto::IndicatorRetired {
        indicator_id: command.indicator_id.clone(),
        reason: command.reason.clone(),
    }))
}

/// Records a measured value.
pub(super) fn record_measurement(
    plan: &Plan,
    command: &proto::RecordMeasurement,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let measured = indicator(plan, &command.indicator_id, "indicator_id", context)?;
    indicator_is_live(measured, "indicator_id", context)?;
    unit_matches(measured, &command.unit, "unit", context)?;
    Ok(Kind::MeasurementRecorded(proto::MeasurementRecorded {
        indicator_id: command.indicator_id.clone(),
        value: command.value,
        unit: command.unit.clone(),
        window: command.window,
        note: command.note.clone(),
    }))
}

/// Refuses a value in another unit than the indicator's: the two could not be compared.
pub(super) fn unit_matches(
    indicator: &Indicator,
    unit: &str,
    field: &str,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    if unit == indicator.unit {
        return Ok(());
    }
    let message = format!(
        "The indicator `{}` is measured in `{}`, not in `{unit}`: convert the value.",
        indicator.indicator_id, indicator.unit
    );
    Err(context
        .refuse(ErrorReason::UnitMismatch, field, message)
        .about("indicators", &indicator.indicator_id)
        .with("unit", &indicator.unit))
}

fn has_room(plan: &Plan, context: &CommandContext<'_>) -> Result<(), Refusal> {
    bounds::has_room(
        "indicators",
        plan.indicators.len(),
        bounds::INDICATORS_MAX,
        context,
    )
}
