//! What can be said of an event by itself: the name of its kind and that name as a bit of a filter,
//! what it is about, what it says in a line, and which command or request would record it again.

mod command;
mod request;
#[cfg(test)]
pub(super) mod sample;
mod subject;
mod summary;
#[cfg(test)]
mod tests;

use proto::event::Kind;

pub(super) use self::summary::{cut, date};
pub use self::{
    command::command_of,
    request::request_of,
    subject::{is_about, subjects},
    summary::summary,
};
use crate::proto;

/// The names of all kinds of events, in the order of their field numbers. The place of a name is the
/// bit that stands for it in a mask of kinds, and never changes.
pub const TYPE_NAMES: [&str; 43] = [
    "PlanCreated",
    "PlanDescribed",
    "PlanArchived",
    "PlanReopened",
    "ObjectiveSet",
    "ObjectiveRefined",
    "ObjectiveMet",
    "IndicatorDefined",
    "IndicatorReplaced",
    "IndicatorRetired",
    "MeasurementRecorded",
    "AssumptionStated",
    "EvidenceRecorded",
    "AssumptionSupported",
    "AssumptionRefuted",
    "AssumptionReopened",
    "StrategyAdopted",
    "StrategyRevised",
    "RevisionProposed",
    "RevisionDeclined",
    "StrategyBranched",
    "StrategySuperseded",
    "StrategyAbandoned",
    "StrategyFulfilled",
    "TacticAdded",
    "TacticReworded",
    "TacticRegrouped",
    "TacticRetired",
    "TacticsRanked",
    "TacticTried",
    "TacticFailed",
    "TacticSucceeded",
    "TacticStopped",
    "CommitmentMade",
    "CommitmentReassigned",
    "CommitmentReleased",
    "DeadlineMoved",
    "CommitmentKept",
    "DeadlineMissed",
    "EventCorrected",
    "EventRetracted",
    "FindingAcknowledged",
    "NoteRecorded",
];

/// The bit of an event without a kind, which is never recorded: no mask made of names has it.
pub const KINDLESS_BIT: u32 = 63;

/// The name of an event's kind, such as `TacticFailed`. Empty only for one without a kind, which is
/// never recorded.
#[must_use]
pub fn type_name(event: &proto::Event) -> &'static str {
    TYPE_NAMES
        .get(bit_of(event) as usize)
        .copied()
        .unwrap_or_default()
}

/// The bit that stands for the kind of this name.
#[must_use]
pub fn type_bit(name: &str) -> Option<u32> {
    let place = TYPE_NAMES.iter().position(|known| *known == name)?;
    u32::try_from(place).ok()
}

/// The bit that stands for the kind of an event: its field number less 10.
#[must_use]
pub fn bit_of(event: &proto::Event) -> u32 {
    let Some(kind) = &event.kind else {
        return KINDLESS_BIT;
    };
    match kind {
        Kind::PlanCreated(_) => 0,
        Kind::PlanDescribed(_) => 1,
        Kind::PlanArchived(_) => 2,
        Kind::PlanReopened(_) => 3,
        Kind::ObjectiveSet(_) => 4,
        Kind::ObjectiveRefined(_) => 5,
        Kind::ObjectiveMet(_) => 6,
        Kind::IndicatorDefined(_) => 7,
        Kind::IndicatorReplaced(_) => 8,
        Kind::IndicatorRetired(_) => 9,
        Kind::MeasurementRecorded(_) => 10,
        Kind::AssumptionStated(_) => 11,
        Kind::EvidenceRecorded(_) => 12,
        Kind::AssumptionSupported(_) => 13,
        Kind::AssumptionRefuted(_) => 14,
        Kind::AssumptionReopened(_) => 15,
        Kind::StrategyAdopted(_) => 16,
        Kind::StrategyRevised(_) => 17,
        Kind::RevisionProposed(_) => 18,
        Kind::RevisionDeclined(_) => 19,
        Kind::StrategyBranched(_) => 20,
        Kind::StrategySuperseded(_) => 21,
        Kind::StrategyAbandoned(_) => 22,
        Kind::StrategyFulfilled(_) => 23,
        Kind::TacticAdded(_) => 24,
        Kind::TacticReworded(_) => 25,
        Kind::TacticRegrouped(_) => 26,
        Kind::TacticRetired(_) => 27,
        Kind::TacticsRanked(_) => 28,
        Kind::TacticTried(_) => 29,
        Kind::TacticFailed(_) => 30,
        Kind::TacticSucceeded(_) => 31,
        Kind::TacticStopped(_) => 32,
        Kind::CommitmentMade(_) => 33,
        Kind::CommitmentReassigned(_) => 34,
        Kind::CommitmentReleased(_) => 35,
        Kind::DeadlineMoved(_) => 36,
        Kind::CommitmentKept(_) => 37,
        Kind::DeadlineMissed(_) => 38,
        Kind::EventCorrected(_) => 39,
        Kind::EventRetracted(_) => 40,
        Kind::FindingAcknowledged(_) => 41,
        Kind::NoteRecorded(_) => 42,
    }
}
