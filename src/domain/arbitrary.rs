//! Arbitrary events for property tests: all kinds, sensible and nonsensical ones alike. Ids come
//! from a small pool, so that events meet each other's subjects.

use proptest::{collection::vec, option, prelude::*, sample};
use prost_types::{Duration, Timestamp};

use super::evolve::is_amendment;
use crate::proto::{self, Event, event::Kind};

/// How many kinds of events there are.
const KINDS: usize = 43;

/// The kinds that begin something, by their index: drawn more often, so that there is something
/// that the others can be about.
const FOUNDING: [usize; 9] = [0, 4, 7, 11, 12, 16, 18, 24, 33];

/// What the fields of one event are made of, whatever its kind.
#[derive(Debug, Clone)]
struct Draw {
    kind: usize,
    /// The subject, then up to two other things it names.
    ids: [String; 3],
    texts: [String; 3],
    id_list: Vec<String>,
    text_list: Vec<String>,
    /// A number of an attempt, a rank, or a revision.
    number: u32,
    /// A value of some enumeration, or none of its values.
    choices: [i32; 2],
    value: Option<f64>,
    flags: [bool; 2],
    time: Option<Timestamp>,
    span: Option<Duration>,
}

/// Any event, also of a revision that makes no sense.
pub(crate) fn event() -> impl Strategy<Value = Event> {
    (any::<u64>(), occurrence()).prop_map(|(revision, event)| Event { revision, ..event })
}

/// Up to `events_max` events of revisions 1, 2, 3, …, amendments of earlier ones among them.
pub(crate) fn history(events_max: usize) -> impl Strategy<Value = Vec<Event>> {
    vec(occurrence(), 1..=events_max).prop_map(numbered)
}

/// The same without corrections and retractions.
pub(crate) fn unamended_history(events_max: usize) -> impl Strategy<Value = Vec<Event>> {
    vec(occurrence(), 1..=events_max).prop_map(|mut events| {
        events.retain(|event| !is_amendment(event));
        numbered(events)
    })
}

fn numbered(events: Vec<Event>) -> Vec<Event> {
    (1..)
        .zip(events)
        .map(|(revision, event)| Event { revision, ..event })
        .collect()
}

fn occurrence() -> impl Strategy<Value = Event> {
    (draw(), option::weighted(0.9, time())).prop_map(|(draw, occurred_at)| Event {
        occurred_at,
        kind: Some(kind(&draw)),
        ..Event::default()
    })
}

fn draw() -> impl Strategy<Value = Draw> {
    let index = prop_oneof![0..KINDS, sample::select(&FOUNDING[..])];
    let texts = (
        [id(), id(), id()],
        [text(), text(), text()],
        vec(id(), 0..4),
        vec(text(), 0..4),
    );
    let numbers = (
        0..6_u32,
        [-1..6_i32, -1..6_i32],
        option::of(-1e9..1e9),
        any::<[bool; 2]>(),
    );
    let times = (option::of(time()), option::of(0..1_000_000_i64));
    (index, texts, numbers, times).prop_map(|(kind, texts, numbers, times)| Draw {
        kind,
        ids: texts.0,
        texts: texts.1,
        id_list: texts.2,
        text_list: texts.3,
        number: numbers.0,
        choices: numbers.1,
        value: numbers.2,
        flags: numbers.3,
        time: times.0,
        span: times.1.map(|seconds| Duration { seconds, nanos: 0 }),
    })
}

fn id() -> impl Strategy<Value = String> {
    sample::select(vec!["a", "b", "c", ""]).prop_map(str::to_owned)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zé ]{0,8}",
        1 => (0..3_000_usize).prop_map(|chars| "x".repeat(chars)),
    ]
}

fn time() -> impl Strategy<Value = Timestamp> {
    let seconds = prop_oneof![0..50_i64, any::<i64>()];
    (seconds, 0..1_000_000_000_i32).prop_map(|(seconds, nanos)| Timestamp { seconds, nanos })
}

fn kind(draw: &Draw) -> Kind {
    match draw.kind {
        0..=6 => plan_kind(draw),
        7..=10 => indicator_kind(draw),
        11..=15 => assumption_kind(draw),
        16..=23 => strategy_kind(draw),
        24..=28 => tactic_kind(draw),
        29..=32 => attempt_kind(draw),
        33..=38 => commitment_kind(draw),
        _ => record_kind(draw),
    }
}

fn plan_kind(draw: &Draw) -> Kind {
    let [subject, _, _] = &draw.ids;
    let [first, second, third] = &draw.texts;
    match draw.kind {
        0 => Kind::PlanCreated(proto::PlanCreated {
            title: first.clone(),
            summary: second.clone(),
            labels: [(second.clone(), third.clone())].into(),
        }),
        1 => Kind::PlanDescribed(proto::PlanDescribed {
            title: first.clone(),
            summary: second.clone(),
            labels: [(second.clone(), third.clone())].into(),
        }),
        2 => Kind::PlanArchived(proto::PlanArchived {
            outcome: draw.choices[0],
            reason: first.clone(),
            successor_plan_id: subject.clone(),
        }),
        3 => Kind::PlanReopened(proto::PlanReopened {
            reason: first.clone(),
        }),
        4 => Kind::ObjectiveSet(proto::ObjectiveSet {
            statement: first.clone(),
            measure: second.clone(),
            baseline: draw.value,
            target: draw.value,
            unit: third.clone(),
            horizon: draw.time,
            reason: second.clone(),
        }),
        5 => Kind::ObjectiveRefined(proto::ObjectiveRefined {
            statement: first.clone(),
            measure: second.clone(),
            baseline: draw.value,
            target: draw.value,
            unit: third.clone(),
            horizon: draw.time,
            reason: second.clone(),
        }),
        _ => Kind::ObjectiveMet(proto::ObjectiveMet {
            evidence: first.clone(),
        }),
    }
}

fn indicator_kind(draw: &Draw) -> Kind {
    let [subject, other, _] = &draw.ids;
    let [first, second, third] = &draw.texts;
    match draw.kind {
        7 => Kind::IndicatorDefined(proto::IndicatorDefined {
            indicator_id: subject.clone(),
            name: first.clone(),
            unit: second.clone(),
            direction: draw.choices[0],
            target: draw.value,
            cadence: draw.span,
        }),
        8 => Kind::IndicatorReplaced(proto::IndicatorReplaced {
            old_indicator_id: subject.clone(),
            indicator_id: other.clone(),
            name: first.clone(),
            unit: second.clone(),
            direction: draw.choices[0],
            target: draw.value,
            cadence: draw.span,
            reason: third.clone(),
        }),
        9 => Kind::IndicatorRetired(proto::IndicatorRetired {
            indicator_id: subject.clone(),
            reason: first.clone(),
        }),
        _ => Kind::MeasurementRecorded(proto::MeasurementRecorded {
            indicator_id: subject.clone(),
            value: draw.value,
            unit: first.clone(),
            window: draw.span,
            note: second.clone(),
        }),
    }
}

fn assumption_kind(draw: &Draw) -> Kind {
    let [subject, other, _] = &draw.ids;
    let [first, second, _] = &draw.texts;
    match draw.kind {
        11 => Kind::AssumptionStated(proto::AssumptionStated {
            assumption_id: subject.clone(),
            statement: first.clone(),
            kind: draw.choices[0],
            load_bearing: draw.flags[0],
            vulnerable: draw.flags[1],
            signpost: second.clone(),
        }),
        12 => Kind::EvidenceRecorded(proto::EvidenceRecorded {
            evidence_id: subject.clone(),
            assumption_id: other.clone(),
            verdict: draw.choices[0],
            strength: draw.choices[1],
            summary: first.clone(),
            uri: second.clone(),
        }),
        13 => Kind::AssumptionSupported(proto::AssumptionSupported {
            assumption_id: subject.clone(),
        }),
        14 => Kind::AssumptionRefuted(proto::AssumptionRefuted {
            assumption_id: subject.clone(),
        }),
        _ => Kind::AssumptionReopened(proto::AssumptionReopened {
            assumption_id: subject.clone(),
            reason: first.clone(),
        }),
    }
}

fn strategy_kind(draw: &Draw) -> Kind {
    let [subject, other, _] = &draw.ids;
    let [first, second, third] = &draw.texts;
    match draw.kind {
        16 => Kind::StrategyAdopted(proto::StrategyAdopted {
            strategy_id: subject.clone(),
            intent: first.clone(),
            diagnosis: second.clone(),
            will: draw.text_list.clone(),
            will_not: draw.text_list.clone(),
            assumption_ids: draw.id_list.clone(),
            indicator_ids: draw.id_list.clone(),
        }),
        17 => Kind::StrategyRevised(proto::StrategyRevised {
            strategy_id: subject.clone(),
            parent_revision: draw.number,
            intent: first.clone(),
            diagnosis: second.clone(),
            will: draw.text_list.clone(),
            will_not: draw.text_list.clone(),
            assumption_ids: draw.id_list.clone(),
            indicator_ids: draw.id_list.clone(),
            reason: third.clone(),
            options_considered: draw.text_list.clone(),
            retire_tactic_ids: draw.id_list.clone(),
            proposal_id: other.clone(),
            unprompted: draw.flags[0],
            strategy_revision: draw.number,
        }),
        18 => Kind::RevisionProposed(proto::RevisionProposed {
            strategy_id: subject.clone(),
            proposal_id: other.clone(),
            intent: first.clone(),
            reason: second.clone(),
        }),
        19 => Kind::RevisionDeclined(proto::RevisionDeclined {
            proposal_id: subject.clone(),
            reason: first.clone(),
        }),
        20 => Kind::StrategyBranched(proto::StrategyBranched {
            from_strategy_id: subject.clone(),
            strategy_id: other.clone(),
            intent: first.clone(),
            reason: second.clone(),
        }),
        21 => Kind::StrategySuperseded(proto::StrategySuperseded {
            strategy_id: subject.clone(),
            by_strategy_id: other.clone(),
            reason: first.clone(),
        }),
        22 => Kind::StrategyAbandoned(proto::StrategyAbandoned {
            strategy_id: subject.clone(),
            reason: first.clone(),
        }),
        _ => Kind::StrategyFulfilled(proto::StrategyFulfilled {
            strategy_id: subject.clone(),
            evidence: first.clone(),
        }),
    }
}

fn tactic_kind(draw: &Draw) -> Kind {
    let [subject, other, _] = &draw.ids;
    let [first, second, third] = &draw.texts;
    match draw.kind {
        24 => Kind::TacticAdded(proto::TacticAdded {
            tactic_id: subject.clone(),
            strategy_id: other.clone(),
            statement: first.clone(),
            kind: second.clone(),
            cost: draw.value,
            rank: draw.number,
            assumption_ids: draw.id_list.clone(),
            after_tactic_ids: draw.id_list.clone(),
        }),
        25 => Kind::TacticReworded(proto::TacticReworded {
            tactic_id: subject.clone(),
            statement: first.clone(),
            kind: second.clone(),
            cost: draw.value,
            assumption_ids: draw.id_list.clone(),
            after_tactic_ids: draw.id_list.clone(),
            reason: third.clone(),
        }),
        26 => Kind::TacticRegrouped(proto::TacticRegrouped {
            tactic_id: subject.clone(),
            strategy_id: other.clone(),
        }),
        27 => Kind::TacticRetired(proto::TacticRetired {
            tactic_id: subject.clone(),
            reason: first.clone(),
        }),
        _ => Kind::TacticsRanked(proto::TacticsRanked {
            strategy_id: subject.clone(),
            tactic_ids: draw.id_list.clone(),
        }),
    }
}

fn attempt_kind(draw: &Draw) -> Kind {
    let [subject, other, _] = &draw.ids;
    let [first, second, third] = &draw.texts;
    match draw.kind {
        29 => Kind::TacticTried(proto::TacticTried {
            tactic_id: subject.clone(),
            attempt: draw.number,
            expected: first.clone(),
            confidence: draw.value,
            stop_rule: draw.time.map(|by| proto::StopRule {
                state: second.clone(),
                by: Some(by),
            }),
            reason: third.clone(),
            suggestion: Some(proto::Suggestion {
                verdict: draw.choices[0],
                tactic_id: other.clone(),
                followed: draw.flags[0],
            }),
        }),
        30 => Kind::TacticFailed(proto::TacticFailed {
            tactic_id: subject.clone(),
            attempt: draw.number,
            failure: draw.choices[0],
            observed: first.clone(),
            suspected_assumption_ids: draw.id_list.clone(),
        }),
        31 => Kind::TacticSucceeded(proto::TacticSucceeded {
            tactic_id: subject.clone(),
            attempt: draw.number,
            observed: first.clone(),
        }),
        _ => Kind::TacticStopped(proto::TacticStopped {
            tactic_id: subject.clone(),
            attempt: draw.number,
            reason: first.clone(),
            inconclusive: draw.flags[0],
        }),
    }
}

fn commitment_kind(draw: &Draw) -> Kind {
    let [subject, other, _] = &draw.ids;
    let [first, second, third] = &draw.texts;
    match draw.kind {
        33 => Kind::CommitmentMade(proto::CommitmentMade {
            commitment_id: subject.clone(),
            tactic_id: other.clone(),
            assignee: first.clone(),
            made_to: second.clone(),
            promise: third.clone(),
            due: draw.time,
        }),
        34 => Kind::CommitmentReassigned(proto::CommitmentReassigned {
            commitment_id: subject.clone(),
            assignee: first.clone(),
            reason: second.clone(),
        }),
        35 => Kind::CommitmentReleased(proto::CommitmentReleased {
            commitment_id: subject.clone(),
            reason: first.clone(),
        }),
        36 => Kind::DeadlineMoved(proto::DeadlineMoved {
            commitment_id: subject.clone(),
            old: draw.time,
            new: draw.time,
            reason: first.clone(),
            notice: draw.choices[0],
        }),
        37 => Kind::CommitmentKept(proto::CommitmentKept {
            commitment_id: subject.clone(),
            note: first.clone(),
        }),
        _ => Kind::DeadlineMissed(proto::DeadlineMissed {
            commitment_id: subject.clone(),
            silent: draw.flags[0],
            due: draw.time,
            notice: draw.choices[0],
            reason: first.clone(),
        }),
    }
}

fn record_kind(draw: &Draw) -> Kind {
    let [first, second, third] = &draw.texts;
    match draw.kind {
        39 => Kind::EventRetracted(proto::EventRetracted {
            revision: draw.number.into(),
            reason: first.clone(),
        }),
        40 => Kind::FindingAcknowledged(proto::FindingAcknowledged {
            code: first.clone(),
            subject: second.clone(),
            until: draw.time,
            reason: third.clone(),
        }),
        41 => Kind::NoteRecorded(proto::NoteRecorded {
            subject: first.clone(),
            text: second.clone(),
        }),
        _ => Kind::EventCorrected(Box::new(proto::EventCorrected {
            revision: draw.number.into(),
            replacement: Some(Box::new(Event {
                kind: Some(kind(&Draw {
                    kind: draw.choices[0]
                        .rem_euclid(39)
                        .try_into()
                        .unwrap_or_default(),
                    ..draw.clone()
                })),
                ..Event::default()
            })),
            occurred_at: draw.time,
            occurred_precision: draw.choices[1],
            reason: first.clone(),
        })),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, mem::discriminant};

    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};

    use super::*;

    #[test]
    fn every_kind_of_event_is_drawn() {
        let mut runner = TestRunner::deterministic();
        let draw = draw().new_tree(&mut runner).expect("a draw").current();
        let kinds: HashSet<_> = (0..KINDS)
            .map(|index| {
                let draw = Draw {
                    kind: index,
                    ..draw.clone()
                };
                discriminant(&kind(&draw))
            })
            .collect();
        assert_eq!(kinds.len(), KINDS);
    }
}
