//! Why, tried on small plans whose causes are known, and against a naive fixpoint on any plan.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
};

use proptest::prelude::*;

use super::*;
use crate::{
    domain::{given, value::Time},
    proto::{CauseRole, Event, ExplainedEvent, ExplainedSide, Failure, LinkRole},
};

mod world;

use world::{
    EVIDENCE, LIMITS, TRIGGER, Told, alone, because, history, moment, note, plain, within,
};

/// The events of a side in order: plan, revision, depth.
fn on(explanation: &Explanation, side: ExplainedSide) -> Vec<(&str, u64, u32)> {
    let events = explanation.events.iter();
    events
        .filter(|event| event.side() == side)
        .map(|event| (event.plan_id.as_str(), event.revision, event.depth))
        .collect()
}

fn revisions(explanation: &Explanation, side: ExplainedSide) -> Vec<u64> {
    let places = on(explanation, side).into_iter();
    places.map(|(_, revision, _)| revision).collect()
}

fn links(explanation: &Explanation) -> BTreeSet<(u64, u64, LinkRole)> {
    let links = explanation.links.iter();
    links
        .map(|link| (link.earlier_revision, link.later_revision, link.role()))
        .collect()
}

fn cut_at(explanation: &Explanation) -> Vec<u64> {
    let places = explanation.truncated_at.iter();
    places.map(|place| place.revision).collect()
}

#[track_caller]
fn event(explanation: &Explanation, revision: u64) -> &ExplainedEvent {
    let mut events = explanation.events.iter();
    let found = events.find(|event| event.revision == revision);
    found.unwrap_or_else(|| panic!("{revision} is not shown"))
}

#[test]
fn causes_are_followed_to_where_they_end_by_every_role() {
    let told = vec![
        plain(given::created()),
        plain(note()),
        (note(), vec![("", 2, EVIDENCE)]),
        plain(note()),
        (note(), vec![("", 3, TRIGGER)]),
    ];
    let explanation = alone(&moment("growth", 1, told), &[5], LIMITS);
    assert_eq!(
        on(&explanation, ExplainedSide::Cause),
        [("growth", 3, 1), ("growth", 2, 2)]
    );
    assert_eq!(revisions(&explanation, ExplainedSide::Target), [5]);
    let expected = [(2, 3, LinkRole::Evidence), (3, 5, LinkRole::Trigger)];
    assert_eq!(links(&explanation), expected.into());
    assert!(!explanation.truncated && explanation.truncated_at.is_empty());
}

#[test]
fn an_event_that_several_ways_lead_to_is_shown_once_as_near_as_it_is() {
    let told = vec![
        plain(given::created()),
        because(&[1]),
        because(&[1]),
        because(&[3, 2, 1, 2]),
    ];
    let explanation = alone(&moment("growth", 1, told), &[4], LIMITS);
    assert_eq!(
        on(&explanation, ExplainedSide::Cause),
        [("growth", 3, 1), ("growth", 2, 1), ("growth", 1, 1)]
    );
    assert_eq!(explanation.links.len(), 5, "each link once");
}

#[test]
fn effects_come_behind_causes_from_near_to_far() {
    let told = vec![
        plain(given::created()),
        because(&[1]),
        because(&[2]),
        because(&[3]),
        because(&[2]),
        plain(note()),
    ];
    let explanation = alone(&moment("growth", 1, told), &[2], LIMITS);
    let sides: Vec<_> = explanation
        .events
        .iter()
        .map(ExplainedEvent::side)
        .collect();
    assert_eq!(
        sides,
        [
            ExplainedSide::Target,
            ExplainedSide::Cause,
            ExplainedSide::Effect,
            ExplainedSide::Effect,
            ExplainedSide::Effect
        ]
    );
    assert_eq!(
        on(&explanation, ExplainedSide::Effect),
        [("growth", 3, 1), ("growth", 5, 1), ("growth", 4, 2)]
    );
}

#[test]
fn what_lies_between_two_events_asked_about_leads_on_to_its_effects() {
    let told = vec![
        plain(given::created()),
        plain(note()),
        because(&[2]),
        because(&[3]),
        because(&[3]),
    ];
    let explanation = alone(&moment("growth", 1, told), &[2, 4], LIMITS);
    assert_eq!(revisions(&explanation, ExplainedSide::Target), [2, 4]);
    assert_eq!(revisions(&explanation, ExplainedSide::Cause), [3]);
    assert_eq!(revisions(&explanation, ExplainedSide::Effect), [5]);
}

#[test]
fn a_chain_longer_than_the_depth_says_where_it_was_cut() {
    let told = vec![
        plain(given::created()),
        because(&[1]),
        because(&[2]),
        because(&[3]),
        because(&[4]),
    ];
    let moment = moment("growth", 1, told);
    let limits = Limits { depth: 1, ..LIMITS };
    let explanation = alone(&moment, &[3], limits);
    assert_eq!(revisions(&explanation, ExplainedSide::Cause), [2]);
    assert_eq!(revisions(&explanation, ExplainedSide::Effect), [4]);
    assert!(explanation.truncated);
    assert_eq!(cut_at(&explanation), [2, 4]);
    let whole = alone(&moment, &[3], Limits { depth: 2, ..LIMITS });
    assert!(!whole.truncated, "what just fits is not cut");
}

#[test]
fn when_there_is_room_for_few_events_near_causes_are_kept() {
    let told = vec![
        plain(given::created()),
        because(&[1]),
        plain(note()),
        because(&[2, 3]),
        because(&[4]),
    ];
    let moment = moment("growth", 1, told);
    for (events, shown, cut) in [
        (1, vec![4], vec![4]),
        (2, vec![4, 3], vec![4]),
        (3, vec![4, 3, 2], vec![4, 2]),
        (4, vec![4, 3, 2, 1], vec![4]),
        (5, vec![4, 3, 2, 1, 5], vec![]),
    ] {
        let explanation = alone(&moment, &[4], Limits { events, ..LIMITS });
        let revisions: Vec<_> = explanation.events.iter().map(|it| it.revision).collect();
        assert_eq!(revisions, shown);
        assert_eq!(cut_at(&explanation), cut, "{events}");
        assert_eq!(explanation.truncated, events < 5);
    }
}

#[test]
fn large_events_end_an_answer_and_the_one_asked_about_is_always_there() {
    let told = vec![plain(given::created()), because(&[1]), because(&[2])];
    let moment = moment("growth", 1, told);
    let one_byte = Limits { bytes: 1, ..LIMITS };
    let explanation = alone(&moment, &[3], one_byte);
    assert_eq!(explanation.events.len(), 1);
    assert_eq!(cut_at(&explanation), [3]);
}

#[test]
fn of_too_many_events_asked_about_the_latest_are_shown_in_order() {
    let told = vec![plain(given::created()), plain(note()), plain(note())];
    let moment = moment("growth", 1, told);
    let explanation = alone(
        &moment,
        &[1, 2, 3],
        Limits {
            events: 2,
            ..LIMITS
        },
    );
    assert_eq!(revisions(&explanation, ExplainedSide::Target), [2, 3]);
    assert!(explanation.truncated);
}

#[test]
fn causes_and_effects_are_followed_through_other_plans() {
    let own = vec![
        plain(given::created()),
        (note(), vec![("bakery", 2, TRIGGER)]),
        (note(), vec![("bakery", 3, EVIDENCE)]),
        (note(), vec![("mill", 1, TRIGGER)]),
    ];
    let bakery = vec![
        plain(given::created()),
        (note(), vec![("mill", 1, EVIDENCE)]),
        (note(), vec![("growth", 2, TRIGGER)]),
        because(&[3]),
    ];
    let bakery = history("bakery", 10, bakery);
    let mill = history("mill", 3, vec![plain(given::created())]);
    let moment = moment("growth", 11, own);
    let explanation = within(&moment, &[2], LIMITS, &[&bakery, &mill]);
    assert_eq!(
        on(&explanation, ExplainedSide::Cause),
        [("bakery", 2, 1), ("mill", 1, 2)]
    );
    assert_eq!(
        on(&explanation, ExplainedSide::Effect),
        [("bakery", 3, 1), ("growth", 3, 2), ("bakery", 4, 2)]
    );
    let crossing = &explanation.links[0];
    assert_eq!(crossing.earlier_plan_id, "bakery");
    assert_eq!(crossing.later_plan_id, "growth");
}

#[test]
fn of_other_plans_only_what_was_recorded_by_then_is_known() {
    let own = vec![
        plain(given::created()),
        (note(), vec![("bakery", 1, TRIGGER)]),
    ];
    let bakery = vec![
        plain(given::indicator("sales")),
        (note(), vec![("growth", 2, TRIGGER)]),
        (given::corrected(1, given::indicator("sales")), vec![]),
    ];
    let bakery = history("bakery", 30, bakery);
    let own = Arc::new(history("growth", 31, own));
    let at = |position| {
        let moment = Moment::at_revision(own.clone(), 2, Time::default(), position);
        within(&moment, &[2], LIMITS, &[&bakery])
    };
    let then = at(62);
    assert_eq!(on(&then, ExplainedSide::Effect), [("bakery", 2, 1)]);
    assert_eq!(event(&then, 1).corrected_by, 0);
    assert!(on(&then, ExplainedSide::Context).is_empty());
    let before = at(59);
    assert!(on(&before, ExplainedSide::Effect).is_empty());
    let later = at(90);
    assert_eq!(event(&later, 1).corrected_by, 3);
    assert_eq!(on(&later, ExplainedSide::Context), [("bakery", 3, 2)]);
}

#[test]
fn a_plan_that_is_not_there_hides_nothing_else() {
    let told = vec![
        plain(given::created()),
        (note(), vec![("nowhere", 1, TRIGGER), ("", 1, TRIGGER)]),
    ];
    let explanation = alone(&moment("growth", 1, told), &[2], LIMITS);
    assert_eq!(revisions(&explanation, ExplainedSide::Cause), [1]);
    assert!(!explanation.truncated);
}

#[test]
fn a_plan_is_asked_for_once_and_only_when_a_step_leads_there() {
    let told = vec![
        plain(given::created()),
        (note(), vec![("mill", 1, TRIGGER), ("mill", 2, TRIGGER)]),
        plain(note()),
    ];
    let mill = history("mill", 1, vec![plain(given::created()), plain(note())]);
    let moment = moment("growth", 1, told);
    for (root, expected) in [(2, 1), (3, 0)] {
        let asked = Cell::new(0);
        let elsewhere = Elsewhere {
            history: &|_: &str| -> Result<_, Infallible> {
                asked.set(asked.get() + 1);
                Ok(Other::Told(Arc::new(mill.clone())))
            },
            citing: &|_: &str| Vec::new(),
        };
        explain(&moment, &[root], LIMITS, &elsewhere).unwrap_or_else(|never| match never {});
        assert_eq!(asked.get(), expected);
    }
}

#[test]
fn an_explanation_leads_into_so_many_plans_and_says_that_there_are_more() {
    let id = |number| &*format!("plan-{number}").leak();
    let ids: Vec<&'static str> = (0..=plans::PLANS_MAX).map(id).collect();
    let one_note = |id: &&str| history(id, 1, vec![plain(note())]);
    let others: Vec<_> = ids.iter().map(one_note).collect();
    let others: Vec<_> = others.iter().collect();
    let of = |ids: &[&'static str]| {
        let causes = ids.iter().map(|id| (*id, 1, TRIGGER));
        let moment = moment("growth", 1, vec![(note(), causes.collect())]);
        let explanation = within(&moment, &[1], LIMITS, &others);
        let causes = on(&explanation, ExplainedSide::Cause).len();
        (causes, explanation.truncated)
    };
    assert_eq!(of(&ids[1..]), (plans::PLANS_MAX, false));
    assert_eq!(of(&ids), (plans::PLANS_MAX, true));
}

#[test]
fn a_plan_that_cannot_be_read_fails_the_answer() {
    let told = vec![
        plain(given::created()),
        (note(), vec![("mill", 1, TRIGGER)]),
    ];
    let elsewhere = Elsewhere {
        history: &|_: &str| Err("damaged"),
        citing: &|_: &str| Vec::new(),
    };
    let outcome = explain(&moment("growth", 1, told), &[2], LIMITS, &elsewhere);
    assert_eq!(outcome, Err("damaged"));
}

fn revised(parent_revision: u32) -> Kind {
    Kind::StrategyRevised(proto::StrategyRevised {
        strategy_id: "s".into(),
        parent_revision,
        strategy_revision: parent_revision + 1,
        ..proto::StrategyRevised::default()
    })
}

#[test]
fn the_revision_before_is_shown_and_not_followed() {
    let told = vec![
        plain(given::created()),
        (given::strategy("s"), vec![("", 1, TRIGGER)]),
        plain(note()),
        (revised(1), vec![("", 3, TRIGGER)]),
        plain(given::strategy("other")),
        (revised(2), vec![]),
    ];
    let moment = moment("growth", 1, told);
    let explanation = alone(&moment, &[4], LIMITS);
    assert_eq!(revisions(&explanation, ExplainedSide::Cause), [3]);
    assert_eq!(
        on(&explanation, ExplainedSide::Context),
        [("growth", 2, 1)],
        "neither what it came of nor what revised it"
    );
    assert!(links(&explanation).contains(&(2, 4, LinkRole::Parent)));
    assert!(!explanation.truncated);
}

#[test]
fn a_branch_shows_the_revision_that_it_began_from() {
    let branched = Kind::StrategyBranched(proto::StrategyBranched {
        from_strategy_id: "s".into(),
        strategy_id: "b".into(),
        ..proto::StrategyBranched::default()
    });
    let told = vec![
        plain(given::created()),
        plain(given::strategy("s")),
        plain(revised(1)),
        plain(branched),
        plain(revised(2)),
    ];
    let explanation = alone(&moment("growth", 1, told), &[4], LIMITS);
    assert_eq!(revisions(&explanation, ExplainedSide::Context), [3]);
}

#[test]
fn a_corrected_event_is_shown_as_recorded_and_as_it_holds() {
    let told = vec![
        plain(given::created()),
        plain(given::indicator("sales")),
        (given::measured("sales", 4.0), vec![("", 2, TRIGGER)]),
        because(&[3]),
        (
            given::corrected(3, given::measured("sales", 5.0)),
            vec![("", 3, CauseRole::Corrects)],
        ),
        because(&[5]),
    ];
    let moment = moment("growth", 1, told);
    let explanation = alone(&moment, &[4], LIMITS);
    let value = |event: &Option<Event>| {
        let kind = event.as_ref().and_then(|event| event.kind.clone());
        match kind {
            Some(Kind::MeasurementRecorded(it)) => it.value,
            other => panic!("{other:?}"),
        }
    };
    let measured = event(&explanation, 3);
    assert_eq!(value(&measured.event), Some(4.0));
    assert_eq!(value(&measured.corrected), Some(5.0));
    assert_eq!(measured.corrected_by, 5);
    assert!(measured.summary.contains('4') && !measured.retracted);
    assert_eq!(on(&explanation, ExplainedSide::Context), [("growth", 5, 2)]);
    assert!(links(&explanation).contains(&(3, 5, LinkRole::Corrects)));
    assert!(
        !explanation.events.iter().any(|it| it.revision == 6),
        "what came of the correction is not followed"
    );
    assert!(!explanation.truncated);

    let of_correction = alone(&moment, &[5], LIMITS);
    assert_eq!(revisions(&of_correction, ExplainedSide::Cause), [3, 2]);
    assert_eq!(revisions(&of_correction, ExplainedSide::Effect), [6]);
}

#[test]
fn a_correction_made_later_is_not_known_before() {
    let told = vec![
        plain(given::created()),
        plain(given::indicator("sales")),
        plain(given::measured("sales", 4.0)),
        plain(given::corrected(3, given::measured("sales", 5.0))),
    ];
    let history = Arc::new(history("growth", 1, told));
    let moment = Moment::at_revision(history, 3, Time::default(), 4);
    let explanation = alone(&moment, &[3], LIMITS);
    let measured = event(&explanation, 3);
    assert_eq!((measured.corrected_by, &measured.corrected), (0, &None));
    assert!(on(&explanation, ExplainedSide::Context).is_empty());
}

#[test]
fn a_retracted_cause_is_marked() {
    let told = vec![
        plain(given::created()),
        plain(given::indicator("sales")),
        (given::measured("sales", 4.0), vec![("", 2, TRIGGER)]),
        because(&[3]),
        plain(given::retracted(3)),
    ];
    let explanation = alone(&moment("growth", 1, told), &[4], LIMITS);
    let measured = event(&explanation, 3);
    assert!(measured.retracted && measured.corrected.is_none());
    assert_eq!(measured.corrected_by, 5);
    assert_eq!(revisions(&explanation, ExplainedSide::Cause), [3, 2]);
    assert_eq!(revisions(&explanation, ExplainedSide::Context), [5]);
}

#[test]
fn as_of_an_occurred_time_corrections_hold_whenever_they_were_recorded() {
    let told = vec![
        plain(given::created()),
        plain(given::indicator("sales")),
        plain(given::measured("sales", 4.0)),
        plain(given::corrected(3, given::measured("sales", 5.0))),
        because(&[3]),
    ];
    let history = Arc::new(history("growth", 1, told));
    let moment = Moment::at_occurred(history, 5, given::at(3).into(), 5).expect("it had begun");
    let explanation = alone(&moment, &[3], LIMITS);
    let measured = event(&explanation, 3);
    assert_eq!(measured.corrected_by, 4);
    assert!(measured.corrected.is_some());
    assert_eq!(explanation.events.len(), 1, "the rest had not occurred");
    assert!(!explanation.truncated);
}

#[test]
fn targets_are_the_events_that_they_name() {
    let told = vec![
        plain(given::created()),
        plain(given::strategy("s")),
        plain(given::tactic("t", "s")),
        plain(given::tried("t", 1)),
        plain(given::failed("t", 1, Failure::Effect)),
        plain(revised(1)),
        plain(note()),
        plain(given::retracted(5)),
    ];
    let moment = moment("growth", 1, told);
    let of_strategy = |revision| Target::StrategyRevision {
        strategy_id: "s".into(),
        revision,
    };
    let about = |text: &str| Target::Subject(Subject::parse(text).expect(text));
    for (target, expected) in [
        (Target::Revision(7), Some(vec![7])),
        (Target::Revision(9), None),
        (Target::Revision(0), None),
        (of_strategy(1), Some(vec![2])),
        (of_strategy(2), Some(vec![6])),
        (of_strategy(0), Some(vec![6])),
        (of_strategy(3), None),
        (about("tactics/t"), Some(vec![3, 4, 5])),
        (about("strategies/s"), Some(vec![2, 3, 6])),
        (about("plan"), Some(vec![1, 7])),
        (about("objective"), None),
        (about("tactics/u"), None),
    ] {
        assert_eq!(roots(&moment, &target), expected, "{target:?}");
    }
}

/// A plan of notes, each because of some earlier ones.
fn told(notes_max: usize) -> impl Strategy<Value = Vec<Told>> {
    let picks = prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..4);
    prop::collection::vec(picks, 1..notes_max).prop_map(|all| {
        let told = |(number, picks): (usize, Vec<(prop::sample::Index, bool)>)| {
            let causes = picks.into_iter().filter(|_| number > 0);
            let causes = causes.map(|(pick, is_trigger)| {
                let role = if is_trigger { TRIGGER } else { EVIDENCE };
                ("", pick.index(number) as u64 + 1, role)
            });
            (note(), causes.collect())
        };
        all.into_iter().enumerate().map(told).collect()
    })
}

/// Everything that can be reached, by going over all pairs until nothing is new.
fn fixpoint(pairs: &[(u64, u64)], root: u64) -> BTreeSet<u64> {
    let mut reached = BTreeSet::from([root]);
    loop {
        let next = pairs.iter().filter(|(from, _)| reached.contains(from));
        let next: BTreeSet<u64> = next.map(|(_, to)| *to).collect();
        if next.is_subset(&reached) {
            reached.remove(&root);
            return reached;
        }
        reached.extend(next);
    }
}

proptest! {
    #[test]
    fn the_closure_is_the_naive_fixpoint(told in told(40), root in any::<prop::sample::Index>()) {
        let root = root.index(told.len()) as u64 + 1;
        let back: Vec<(u64, u64)> = (1..)
            .zip(&told)
            .flat_map(|(later, (_, causes))| causes.iter().map(move |cause| (later, cause.1)))
            .collect();
        let forth: Vec<_> = back.iter().map(|&(later, earlier)| (earlier, later)).collect();
        let limits = Limits { depth: 64, ..LIMITS };
        let explanation = alone(&moment("growth", 1, told), &[root], limits);
        let causes = revisions(&explanation, ExplainedSide::Cause);
        let effects = revisions(&explanation, ExplainedSide::Effect);
        prop_assert_eq!(BTreeSet::from_iter(causes.clone()), fixpoint(&back, root));
        prop_assert_eq!(BTreeSet::from_iter(effects.clone()), fixpoint(&forth, root));
        prop_assert_eq!(causes.len() + effects.len() + 1, explanation.events.len());
        prop_assert!(!explanation.truncated);
    }

    #[test]
    fn every_limit_is_kept_and_every_cut_is_said(
        told in told(40),
        root in any::<prop::sample::Index>(),
        depth in 1..6_u32,
        events in 1..20_usize,
    ) {
        let root = root.index(told.len()) as u64 + 1;
        let moment = moment("growth", 1, told);
        let whole = alone(&moment, &[root], Limits { depth: 64, ..LIMITS });
        let part = alone(&moment, &[root], Limits { depth, events, ..LIMITS });
        prop_assert!(part.events.len() <= events);
        prop_assert!(part.events.iter().all(|it| it.depth <= depth));
        prop_assert_eq!(part.truncated, part.events.len() < whole.events.len());
        prop_assert_eq!(part.truncated, !part.truncated_at.is_empty());
        let place = |it: &ExplainedEvent| (it.revision, (it.side, it.depth));
        let whole: BTreeMap<_, _> = whole.events.iter().map(place).collect();
        for (revision, shown) in part.events.iter().map(place) {
            prop_assert_eq!(whole.get(&revision), Some(&shown));
        }
    }
}
