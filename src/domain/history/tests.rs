//! What a plan was at a moment, whichever way the moment is named.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    domain::{
        arbitrary,
        decide::properties,
        given,
        plan::{Amendment, AttemptState},
        value::Subject,
    },
    proto::{Event, Failure, event::Kind},
};

/// The history of `growth`: each event at its second, recorded at a thousand times its revision.
fn history(events: impl IntoIterator<Item = Event>) -> Arc<History> {
    let recorded = |event: Event| {
        let recorded_at = second(1_000 * i64::try_from(event.revision).unwrap_or_default());
        let (actor, on_behalf_of) = ("anonymous".into(), "Ada".into());
        Arc::new(Recorded::new(
            event.revision,
            recorded_at,
            actor,
            on_behalf_of,
            event,
        ))
    };
    Arc::new(History::of(
        "growth".into(),
        events.into_iter().map(recorded).collect(),
    ))
}

/// Events of revisions 1, 2, 3, …, at these seconds.
fn at_seconds(kinds: impl IntoIterator<Item = (i64, Kind)>) -> Arc<History> {
    history((1..).zip(kinds).map(|(revision, (seconds, kind))| Event {
        occurred_at: Some(given::at(seconds)),
        ..given::event(revision, kind)
    }))
}

fn second(seconds: i64) -> Time {
    given::at(seconds).into()
}

fn occurred(history: &Arc<History>, seconds: i64) -> Option<Moment> {
    let head = history.events.len() as u64;
    Moment::at_occurred(history.clone(), head, second(seconds), head)
}

/// The revisions that count at a second.
fn counted(history: &Arc<History>, seconds: i64) -> Vec<u64> {
    let moment = occurred(history, seconds);
    moment.map_or_else(Vec::new, |moment| revisions(&moment))
}

fn revisions(moment: &Moment) -> Vec<u64> {
    let events = moment.events.iter();
    events.map(|recorded| recorded.event.revision).collect()
}

fn retimed(revision: u64, seconds: i64) -> Kind {
    Kind::EventCorrected(Box::new(proto::EventCorrected {
        revision,
        occurred_at: Some(given::at(seconds)),
        ..proto::EventCorrected::default()
    }))
}

fn value(moment: &Moment) -> Option<f64> {
    let last = moment.plan.indicators.get("i")?.latest.first()?;
    Some(last.value)
}

#[test]
fn a_moment_of_a_revision_holds_what_was_known_then() {
    let history = history(given::history([
        given::created(),
        given::indicator("i"),
        given::measured("i", 4.0),
        given::corrected(3, given::measured("i", 5.0)),
        given::measured("i", 6.0),
        given::retracted(5),
    ]));
    let at = |revision| Moment::at_revision(history.clone(), revision, second(99), 6);
    assert_eq!(value(&at(3)), Some(4.0));
    assert_eq!(value(&at(4)), Some(5.0));
    assert_eq!(value(&at(5)), Some(6.0));
    assert_eq!(value(&at(6)), Some(5.0));
    assert_eq!(revisions(&at(6)), [1, 2, 3, 4, 6]);
    assert_eq!(at(6).now, second(99));
}

#[test]
fn an_event_is_found_by_its_revision_unless_it_was_retracted() {
    let history = history(given::history([
        given::created(),
        given::indicator("i"),
        given::measured("i", 4.0),
        given::measured("i", 6.0),
        given::retracted(3),
        given::corrected(4, given::measured("i", 7.0)),
    ]));
    let moment = Moment::at_revision(history, 6, second(99), 6);
    assert!(moment.event(3).is_none());
    assert!(moment.event(0).is_none() && moment.event(7).is_none());
    let corrected = moment.event(4).expect("it counts");
    assert_eq!(corrected.event.kind, Some(given::measured("i", 7.0)));
    let shown = moment.references([4, 3, 1]);
    let shown: Vec<_> = shown.iter().map(|it| (it.revision, &*it.r#type)).collect();
    assert_eq!(shown, [(4, "MeasurementRecorded"), (1, "PlanCreated")]);
}

#[test]
fn an_archived_plan_stands_still_at_its_archiving() {
    let archived = Kind::PlanArchived(proto::PlanArchived::default());
    let history = history(given::history([given::created(), archived]));
    let moment = |revision| Moment::at_revision(history.clone(), revision, second(99), 2);
    assert_eq!(moment(1).now, second(99));
    assert_eq!(moment(2).now, second(2));
    assert_eq!(occurred(&history, 50).expect("a plan").now, second(2));
}

#[test]
fn what_occurred_is_told_from_what_was_recorded() {
    let history = at_seconds([
        (10, given::created()),
        (10, given::indicator("i")),
        (40, given::measured("i", 4.0)),
        (20, given::measured("i", 2.0)),
    ]);
    assert!(occurred(&history, 9).is_none(), "it had not begun");
    assert_eq!(counted(&history, 10), [1, 2]);
    let moment = occurred(&history, 39).expect("a plan");
    assert_eq!(revisions(&moment), [1, 2, 4]);
    assert_eq!(value(&moment), Some(2.0));
    assert_eq!((moment.plan.revision, moment.now), (4, second(39)));
    assert_eq!(value(&occurred(&history, 40).expect("a plan")), Some(4.0));
}

#[test]
fn at_an_occurred_time_corrections_hold_whenever_they_were_made() {
    let history = at_seconds([
        (10, given::created()),
        (10, given::indicator("i")),
        (20, given::measured("i", 4.0)),
        (25, given::measured("i", 9.0)),
        (80, given::corrected(3, given::measured("i", 5.0))),
        (90, given::retracted(4)),
    ]);
    let moment = occurred(&history, 30).expect("a plan");
    assert_eq!(value(&moment), Some(5.0));
    assert_eq!(revisions(&moment), [1, 2, 3]);
    let amendments = moment.plan.amendments.iter();
    assert_eq!(
        amendments.map(|(of, by)| (*of, *by)).collect::<Vec<_>>(),
        [(3, Amendment::Corrected(5)), (4, Amendment::Retracted(6))],
    );
    assert_eq!(moment.plan.revision, 3, "the correction was not made yet");
    assert_eq!(counted(&history, 80), [1, 2, 3, 5]);
    assert!(
        occurred(&history, 15)
            .expect("a plan")
            .plan
            .amendments
            .is_empty()
    );
}

#[test]
fn a_corrected_time_moves_what_counts_with_it() {
    let history = at_seconds([
        (10, given::created()),
        (30, given::tactic("t", "")),
        (40, given::tried("t", 1)),
        (99, retimed(2, 50)),
    ]);
    assert_eq!(counted(&history, 45), [1]);
    assert_eq!(counted(&history, 50), [1, 2, 3]);
    let known_before = Moment::at_occurred(history, 3, second(45), 3).expect("a plan");
    assert_eq!(revisions(&known_before), [1, 2, 3]);
}

/// Checks that the last event of a story, each at its second, counts from this second on.
#[track_caller]
fn assert_counts_from(from: i64, story: impl IntoIterator<Item = (i64, Kind)>) {
    let first = [(10, given::created())];
    let history = at_seconds(first.into_iter().chain(story));
    let last = history.events.len() as u64;
    assert!(!counted(&history, from - 1).contains(&last), "too early");
    assert!(counted(&history, from).contains(&last), "too late");
}

fn note(subject: &str) -> Kind {
    Kind::NoteRecorded(proto::NoteRecorded {
        subject: subject.into(),
        ..proto::NoteRecorded::default()
    })
}

fn kept() -> Kind {
    Kind::CommitmentKept(proto::CommitmentKept {
        commitment_id: "c".into(),
        ..proto::CommitmentKept::default()
    })
}

#[test]
fn nothing_counts_before_what_it_names() {
    let objective = Kind::ObjectiveSet(proto::ObjectiveSet::default());
    let met = Kind::ObjectiveMet(proto::ObjectiveMet::default());
    assert_counts_from(10, [(1, note("plan"))]);
    assert_counts_from(50, [(50, given::strategy("s")), (1, note("strategies/s"))]);
    assert_counts_from(50, [(50, objective), (1, met)]);
    assert_counts_from(
        50,
        [(50, given::indicator("i")), (1, given::measured("i", 1.0))],
    );
    assert_counts_from(50, [(50, given::committed("c", 99)), (1, kept())]);
}

#[test]
fn a_conclusion_waits_for_the_first_evidence_of_its_verdict() {
    let evidence = |evidence_id: &str, verdict: proto::Verdict| {
        Kind::EvidenceRecorded(proto::EvidenceRecorded {
            evidence_id: evidence_id.into(),
            assumption_id: "a".into(),
            verdict: verdict.into(),
            ..proto::EvidenceRecorded::default()
        })
    };
    let refuted = Kind::AssumptionRefuted(proto::AssumptionRefuted {
        assumption_id: "a".into(),
    });
    let story = [
        (20, given::assumption("a", true)),
        (80, evidence("late", proto::Verdict::Refutes)),
        (50, evidence("first", proto::Verdict::Refutes)),
        (70, evidence("other", proto::Verdict::Supports)),
        (1, refuted),
    ];
    assert_counts_from(50, story);
}

#[test]
fn a_revision_waits_for_its_parent_and_a_branch_for_what_it_copies() {
    let revised = |parent_revision| {
        Kind::StrategyRevised(proto::StrategyRevised {
            strategy_id: "s".into(),
            parent_revision,
            strategy_revision: parent_revision + 1,
            ..proto::StrategyRevised::default()
        })
    };
    let branched = Kind::StrategyBranched(proto::StrategyBranched {
        from_strategy_id: "s".into(),
        strategy_id: "b".into(),
        ..proto::StrategyBranched::default()
    });
    let first = [(20, given::strategy("s")), (50, revised(1))];
    assert_counts_from(50, first.clone().into_iter().chain([(30, revised(2))]));
    assert_counts_from(50, first.into_iter().chain([(30, branched)]));
}

#[test]
fn an_end_waits_for_the_end_of_what_it_ends() {
    let abandoned = Kind::StrategyAbandoned(proto::StrategyAbandoned {
        strategy_id: "s".into(),
        ..proto::StrategyAbandoned::default()
    });
    let archived = Kind::PlanArchived(proto::PlanArchived::default());
    let failed = given::failed("t", 1, Failure::Effect);
    let tried = [
        (20, given::strategy("s")),
        (20, given::tactic("t", "s")),
        (20, given::tried("t", 1)),
        (50, failed),
    ];
    for end in [abandoned, archived.clone(), given::tried("t", 2)] {
        assert_counts_from(50, tried.clone().into_iter().chain([(30, end)]));
    }
    let promised = [
        (20, given::committed("c", 99)),
        (50, kept()),
        (30, archived),
    ];
    assert_counts_from(50, promised);
}

#[test]
fn an_effect_waits_for_its_cause() {
    let event = |revision, seconds, because: &[u64], kind| Event {
        occurred_at: Some(given::at(seconds)),
        because: because
            .iter()
            .map(|revision| proto::Cause {
                revision: *revision,
                ..proto::Cause::default()
            })
            .collect(),
        ..given::event(revision, kind)
    };
    let history = history([
        event(1, 10, &[], given::created()),
        event(2, 50, &[], note("plan")),
        event(3, 10, &[2], note("plan")),
    ]);
    assert_eq!(counted(&history, 49), [1]);
    assert_eq!(counted(&history, 50), [1, 2, 3]);
}

#[test]
fn a_late_measurement_counts_from_when_it_was_made_whatever_else_is_known() {
    let history = at_seconds([
        (10, given::created()),
        (10, given::indicator("i")),
        (50, given::measured("i", 5.0)),
        (60, Kind::PlanArchived(proto::PlanArchived::default())),
        (70, Kind::PlanReopened(proto::PlanReopened::default())),
        (20, given::measured("i", 2.0)),
    ]);
    assert_eq!(counted(&history, 20), [1, 2, 6]);
}

fn holds(plan: &Plan, subject: &Subject) -> bool {
    match subject {
        Subject::Plan => plan.revision > 0,
        Subject::Objective => plan.objective.is_some(),
        Subject::Strategy(id) => plan.strategies.contains_key(id),
        Subject::Tactic(id) => plan.tactics.contains_key(id),
        Subject::Assumption(id) => plan.assumptions.contains_key(id),
        Subject::Indicator(id) => plan.indicators.contains_key(id),
        Subject::Commitment(id) => plan.commitments.contains_key(id),
    }
}

/// All that an event of the moment names is there, unless it was retracted: then it is nowhere.
fn assert_coherent(moment: &Moment, now: &Moment) {
    let plan = &moment.plan;
    for recorded in moment.events.iter() {
        let event = &recorded.event;
        if let Some(Kind::EventCorrected(it)) = &event.kind
            && now.event(it.revision).is_none()
        {
            // What it corrected was retracted: it comes to nothing.
            continue;
        }
        for subject in event::subjects(event) {
            let is_there = holds(plan, &subject) || !holds(&now.plan, &subject);
            let said = format!("{subject} of event {} at {:?}", event.revision, moment.now);
            assert!(is_there, "{said}");
        }
        for cause in event.because.iter().filter(|it| it.plan_id.is_empty()) {
            let cited = moment.event(cause.revision).is_some();
            let is_there = cited || now.event(cause.revision).is_none();
            let said = format!("event {} cites {}", event.revision, cause.revision);
            assert!(is_there, "{said}");
        }
        assert!(recorded.occurred_at() <= moment.now || plan.is_archived());
    }
    for tactic in plan.tactics.values() {
        let numbers = tactic.attempts.iter().map(|attempt| attempt.attempt);
        assert!(numbers.is_sorted_by(|one, next| one < next));
        let mut earlier = tactic.attempts.iter().rev().skip(1);
        assert!(earlier.all(|attempt| attempt.state != AttemptState::Open));
    }
}

/// Every second at which something of a history occurred, as it holds.
fn seconds(history: &Arc<History>) -> BTreeSet<i64> {
    let events = evolve::standing(&history.events);
    let seconds = events.iter().map(|recorded| recorded.occurred_at().seconds);
    seconds.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn when_all_has_occurred_the_plan_is_as_it_is_now(events in properties::recorded()) {
        prop_assume!(!events.is_empty());
        let now = evolve::fold("growth".into(), &events);
        let history = history(events);
        let moment = occurred(&history, i64::MAX).expect("a plan");
        prop_assert_eq!(&*moment.plan, &now);
        prop_assert_eq!(moment.events, Moment::of(now.into(), history, second(0), 0).events);
    }

    #[test]
    fn at_every_occurred_time_a_plan_is_coherent_and_nothing_is_lost_later(
        events in properties::recorded(),
    ) {
        let history = history(events);
        let Some(now) = occurred(&history, i64::MAX) else { return Ok(()) };
        let mut before = BTreeSet::new();
        for at in seconds(&history) {
            let Some(moment) = occurred(&history, at) else { continue };
            assert_coherent(&moment, &now);
            let counted: BTreeSet<_> = revisions(&moment).into_iter().collect();
            prop_assert!(counted.is_superset(&before));
            prop_assert!(counted.contains(&1));
            prop_assert_eq!(counted.last(), Some(&moment.plan.revision));
            before = counted;
        }
    }

    #[test]
    fn a_moment_of_a_revision_is_the_fold_up_to_it(
        events in properties::recorded(),
        place in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!events.is_empty());
        let revision = place.index(events.len()) as u64 + 1;
        let history = history(events);
        let moment = Moment::at_revision(history.clone(), revision, second(0), 0);
        prop_assert_eq!(moment.plan.revision, revision);
        let again = Moment::of(moment.plan.clone(), history.clone(), second(0), 0);
        prop_assert_eq!(&again.events, &moment.events);
        for recorded in moment.events.iter() {
            prop_assert!(recorded.event.revision <= revision);
            prop_assert_eq!(moment.event(recorded.event.revision), Some(recorded));
        }
    }

    #[test]
    fn any_history_has_its_occurred_times(
        events in arbitrary::history(60),
        seconds in any::<i64>(),
    ) {
        let history = history(events);
        let counted = counted(&history, seconds);
        prop_assert!(counted.is_sorted());
        for revision in counted {
            prop_assert!((1..=history.events.len() as u64).contains(&revision));
        }
    }
}
