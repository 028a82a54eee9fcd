//! Histories that tests start from: events numbered from 1 that occur one second after another, with
//! short ways to write the kinds that most tests need.

use std::sync::Arc;

use prost_types::Timestamp;

use super::{
    evolve::fold,
    history::{History, Moment, Recorded},
    plan::Plan,
};
use crate::proto::{
    AssumptionStated, CommitmentMade, Event, EventCorrected, EventRetracted, Failure,
    IndicatorDefined, MeasurementRecorded, PlanCreated, StrategyAdopted, TacticAdded, TacticFailed,
    TacticSucceeded, TacticTried, event::Kind,
};

/// The plan `growth` after these events.
pub(crate) fn plan(kinds: impl IntoIterator<Item = Kind>) -> Plan {
    fold("growth".into(), &history(kinds))
}

/// Events of revisions 1, 2, 3, …, each at the second of its revision.
pub(crate) fn history(kinds: impl IntoIterator<Item = Kind>) -> Vec<Event> {
    (1..)
        .zip(kinds)
        .map(|(revision, kind)| event(revision, kind))
        .collect()
}

/// The plan `growth` as it is after these events, each in a commit of its own.
pub(crate) fn moment(kinds: impl IntoIterator<Item = Kind>) -> Moment {
    moment_of(history(kinds))
}

/// The same of events that were numbered already, at whatever time they occurred.
pub(crate) fn moment_of(events: Vec<Event>) -> Moment {
    let last = events.last().map_or(0, |event| event.revision);
    let recorded = events.into_iter().map(|event| {
        Arc::new(Recorded::new(
            event.revision,
            event.occurred_at.unwrap_or_default().into(),
            "Ada".into(),
            "".into(),
            event,
        ))
    });
    let history = History::of("growth".into(), recorded.collect());
    let now = at(i64::try_from(last).unwrap_or(i64::MAX)).into();
    Moment::at_revision(Arc::new(history), last, now, last)
}

/// An event at the second of its revision.
pub(crate) fn event(revision: u64, kind: Kind) -> Event {
    Event {
        revision,
        occurred_at: Some(at(i64::try_from(revision).unwrap_or(i64::MAX))),
        kind: Some(kind),
        ..Event::default()
    }
}

/// A second since 1970.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}

pub(crate) fn created() -> Kind {
    Kind::PlanCreated(PlanCreated {
        title: "Growth".into(),
        ..PlanCreated::default()
    })
}

pub(crate) fn indicator(indicator_id: &str) -> Kind {
    Kind::IndicatorDefined(IndicatorDefined {
        indicator_id: indicator_id.into(),
        name: "Replies".into(),
        unit: "replies".into(),
        ..IndicatorDefined::default()
    })
}

pub(crate) fn measured(indicator_id: &str, value: f64) -> Kind {
    Kind::MeasurementRecorded(MeasurementRecorded {
        indicator_id: indicator_id.into(),
        value: Some(value),
        unit: "replies".into(),
        ..MeasurementRecorded::default()
    })
}

pub(crate) fn assumption(assumption_id: &str, load_bearing: bool) -> Kind {
    Kind::AssumptionStated(AssumptionStated {
        assumption_id: assumption_id.into(),
        statement: "Buyers read mail".into(),
        load_bearing,
        ..AssumptionStated::default()
    })
}

pub(crate) fn strategy(strategy_id: &str) -> Kind {
    Kind::StrategyAdopted(StrategyAdopted {
        strategy_id: strategy_id.into(),
        intent: "Win accounts one at a time".into(),
        diagnosis: "Nobody knows us".into(),
        will: vec!["Call".into()],
        will_not: vec!["Advertise".into()],
        ..StrategyAdopted::default()
    })
}

pub(crate) fn tactic(tactic_id: &str, strategy_id: &str) -> Kind {
    ranked_tactic(tactic_id, strategy_id, 0)
}

pub(crate) fn ranked_tactic(tactic_id: &str, strategy_id: &str, rank: u32) -> Kind {
    Kind::TacticAdded(TacticAdded {
        tactic_id: tactic_id.into(),
        strategy_id: strategy_id.into(),
        statement: "Send samples".into(),
        rank,
        ..TacticAdded::default()
    })
}

pub(crate) fn tried(tactic_id: &str, attempt: u32) -> Kind {
    Kind::TacticTried(TacticTried {
        tactic_id: tactic_id.into(),
        attempt,
        expected: "Three replies".into(),
        ..TacticTried::default()
    })
}

pub(crate) fn failed(tactic_id: &str, attempt: u32, failure: Failure) -> Kind {
    Kind::TacticFailed(TacticFailed {
        tactic_id: tactic_id.into(),
        attempt,
        failure: failure.into(),
        observed: "No reply".into(),
        ..TacticFailed::default()
    })
}

pub(crate) fn succeeded(tactic_id: &str, attempt: u32) -> Kind {
    Kind::TacticSucceeded(TacticSucceeded {
        tactic_id: tactic_id.into(),
        attempt,
        observed: "Four replies".into(),
    })
}

pub(crate) fn committed(commitment_id: &str, due_seconds: i64) -> Kind {
    Kind::CommitmentMade(CommitmentMade {
        commitment_id: commitment_id.into(),
        assignee: "Ada".into(),
        promise: "The samples are sent".into(),
        due: Some(at(due_seconds)),
        ..CommitmentMade::default()
    })
}

pub(crate) fn corrected(revision: u64, replacement: Kind) -> Kind {
    Kind::EventCorrected(Box::new(EventCorrected {
        revision,
        replacement: Some(Box::new(Event {
            kind: Some(replacement),
            ..Event::default()
        })),
        reason: "It was misread".into(),
        ..EventCorrected::default()
    }))
}

pub(crate) fn retracted(revision: u64) -> Kind {
    Kind::EventRetracted(EventRetracted {
        revision,
        reason: "It never happened".into(),
    })
}
