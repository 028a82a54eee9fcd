//! What holds whatever clients send: random sequences of commands over few ids, so that they meet,
//! drive plans into deep states, and these promises are checked on the way.

use std::collections::BTreeSet;

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, TestRunner},
};

use super::{
    amendments::coherence::contradiction,
    bounds,
    testing::{OTHER_PLAN, World, cause, given, is_told_as_promised, timestamp},
};
use crate::{
    domain::{
        arbitrary,
        evolve::{advance, fold},
        plan::{AttemptState, Plan, StrategyState},
        shape::command_field,
    },
    proto::{self, CauseRole, Command, Event, ExecuteRequest, command::Kind as Asked},
};

mod draft;

use draft::Draft;

/// How many requests a sequence has at most.
const REQUESTS_MAX: usize = 120;

/// Up to three commands in one request, mostly one.
fn requests() -> impl Strategy<Value = Vec<Vec<Draft>>> {
    let drafts = prop_oneof![
        4 => prop::collection::vec(draft::any_draft(), 1),
        1 => prop::collection::vec(draft::any_draft(), 2..=3),
    ];
    prop::collection::vec(drafts, 1..=REQUESTS_MAX)
}

/// What was recorded of any plan: a history that was decided, corrections and late records included.
pub(in crate::domain) fn recorded() -> impl Strategy<Value = Vec<Event>> {
    requests().prop_map(|sequence| carried_out(&sequence, |_, _| {}, |_, _, _| {}).history)
}

/// The request that the drafts come to in this world; the later ones do not know of the earlier.
fn drafted(world: &World, drafts: &[Draft]) -> ExecuteRequest {
    let first = drafts.first().cloned().unwrap_or_default();
    let head = world.plan.revision;
    let mut because = Vec::new();
    if first.chance(2) {
        because.push(cause(1 + first.pick(head + 1), CauseRole::Trigger));
    }
    if first.chance(5) {
        because.push(proto::Cause {
            plan_id: OTHER_PLAN.0.to_owned(),
            ..cause(first.pick(OTHER_PLAN.1 + 2), CauseRole::Evidence)
        });
    }
    ExecuteRequest {
        plan_id: world.plan.plan_id.to_string(),
        expected_revision: first
            .chance(4)
            .then(|| head.saturating_sub(first.pick(8) / 7)),
        occurred_at: first
            .past()
            .and_then(|ago| timestamp(world.now.seconds - ago)),
        because,
        commands: drafts
            .iter()
            .map(|draft| Command {
                kind: Some(draft.command(world)),
            })
            .collect(),
        ..ExecuteRequest::default()
    }
}

/// Carries out a sequence and tells, of each accepted request, the world before and what was asked.
fn carried_out(
    sequence: &[Vec<Draft>],
    mut on_accepted: impl FnMut(&World, &ExecuteRequest),
    mut on_refused: impl FnMut(&World, &ExecuteRequest, &super::Refusal),
) -> World {
    let mut world = given([]);
    for drafts in sequence {
        let request = drafted(&world, drafts);
        match world.execute(&request) {
            Ok(decision) => {
                on_accepted(&world, &request);
                world.accept(decision);
                is_coherent(&world.plan);
            }
            Err(refusal) => on_refused(&world, &request, &refusal),
        }
        let waited = drafts.first().map_or(0, Draft::wait_seconds);
        world.now = world.now.plus_seconds(waited);
    }
    world
}

/// Checks what no sequence of commands may break.
#[track_caller]
fn is_coherent(plan: &Plan) {
    assert_eq!(contradiction(plan), None);
    for tactic in plan.tactics.values() {
        let open = tactic
            .attempts
            .iter()
            .filter(|it| it.state == AttemptState::Open);
        let last_is_open = usize::from(tactic.open_attempt().is_some());
        assert_eq!(
            open.count(),
            last_is_open,
            "only the last attempt may be open"
        );
        assert!(tactic.attempts_recorded as usize >= tactic.attempts.len());
        assert!(
            tactic
                .attempts
                .is_sorted_by(|one, next| one.attempt < next.attempt)
        );
        let after = |id: &str| {
            let waiting = plan.tactics.get(id);
            waiting.map_or_else(Vec::new, |it| it.after_tactic_ids.clone())
        };
        ends(&tactic.tactic_id, after);
    }
    for strategy in plan.strategies.values() {
        let heir = |id: &str| match plan.strategies.get(id).map(|it| &it.state) {
            Some(StrategyState::Superseded { by, .. }) => vec![by.clone()],
            Some(
                StrategyState::Live
                | StrategyState::Abandoned { .. }
                | StrategyState::Fulfilled { .. },
            )
            | None => Vec::new(),
        };
        ends(&strategy.strategy_id, heir);
    }
    assert!(plan.size_bound_bytes <= bounds::PLAN_BYTES_MAX + bounds::ENDING_BYTES_RESERVE);
}

/// Checks that following the references from here leads to an end.
#[track_caller]
fn ends(from: &str, next: impl Fn(&str) -> Vec<crate::domain::value::Id>) {
    let mut open = next(from);
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        assert_ne!(&*id, from, "references go in a circle");
        if seen.insert(id.clone()) {
            open.extend(next(&id));
        }
    }
}

fn names(request: &ExecuteRequest) -> Vec<&'static str> {
    request.commands.iter().map(command_field).collect()
}

proptest! {
    #![proptest_config(Config { cases: 192, ..Config::default() })]

    #[test]
    fn what_was_accepted_folds_to_the_same_state_from_any_snapshot(sequence in requests()) {
        let mut snapshots = Vec::new();
        let world = carried_out(
            &sequence,
            |before, _| {
                let bytes = postcard::to_stdvec(&before.plan).expect("a plan is encoded");
                snapshots.push((before.history.len(), bytes));
            },
            |_, _, _| {},
        );
        for (taken_after, bytes) in snapshots {
            let snapshot: Plan = postcard::from_bytes(&bytes).expect("a snapshot is decoded");
            let (before, tail) = world.history.split_at(taken_after);
            prop_assert_eq!(&snapshot, &fold(world.plan.plan_id.clone(), before));
            // An amendment in the tail makes a snapshot useless, and says so.
            if let Some(plan) = advance(snapshot, tail) {
                prop_assert_eq!(&plan, &world.plan);
            }
        }
    }

    #[test]
    fn a_refusal_names_what_it_promises_and_a_command_of_the_request(sequence in requests()) {
        carried_out(&sequence, |_, _| {}, |world, request, refusal| {
            is_told_as_promised(refusal);
            let fields = names(request).into_iter().enumerate();
            let mut paths = fields.map(|(index, name)| format!("commands[{index}].{name}"));
            let of_request = ["plan_id", "expected_revision", "because["];
            assert!(
                paths.any(|path| refusal.field.starts_with(&path))
                    || of_request.iter().any(|field| refusal.field.starts_with(field)),
                "{refusal:?}",
            );
            assert_eq!(world.plan, fold(world.plan.plan_id.clone(), &world.history));
        });
    }

    #[test]
    fn revisions_go_on_without_holes_and_events_cite_only_what_was_recorded(
        sequence in requests(),
    ) {
        let mut firsts = Vec::new();
        let world = carried_out(
            &sequence,
            |before, _| firsts.push(before.plan.revision + 1),
            |_, _, _| {},
        );
        for (revision, event) in (1..).zip(&world.history) {
            prop_assert_eq!(event.revision, revision);
            let first = firsts.iter().rev().find(|first| **first <= revision).copied();
            for cause in event.because.iter().filter(|cause| cause.plan_id.is_empty()) {
                prop_assert!((1..first.unwrap_or(1)).contains(&cause.revision));
            }
        }
    }

    #[test]
    fn no_replacement_and_no_target_panics(
        sequence in requests(),
        event in arbitrary::event(),
        revision in 0..100_u64,
    ) {
        let world = carried_out(&sequence, |_, _| {}, |_, _, _| {});
        let corrected = proto::CorrectEvent {
            revision,
            occurred_at: event.occurred_at,
            replacement: Some(event),
            ..Default::default()
        };
        let retracted = proto::RetractEvent { revision, ..Default::default() };
        for kind in [Asked::CorrectEvent(corrected), Asked::RetractEvent(retracted)] {
            if let Ok(decision) = world.execute(&super::testing::request([kind])) {
                is_coherent(&decision.plan);
            }
        }
    }
}

/// The sequences are worth little when they never get anywhere: each command must be both accepted
/// and refused somewhere in them.
#[test]
fn the_sequences_reach_every_command() {
    let (mut accepted, mut refused) = (BTreeSet::new(), BTreeSet::new());
    let mut runner = TestRunner::deterministic();
    for _ in 0..192 {
        let sequence = requests()
            .new_tree(&mut runner)
            .expect("a sequence")
            .current();
        carried_out(
            &sequence,
            |_, request| accepted.extend(names(request)),
            |_, request, _| {
                if let [name] = names(request).as_slice() {
                    refused.insert(*name);
                }
            },
        );
    }
    let all = super::table::published_commands();
    let named = |names: BTreeSet<&str>| {
        names
            .into_iter()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(named(accepted), all);
    assert_eq!(named(refused), all);
}
