//! What holds for a request as a whole, whatever its commands.

use super::{
    testing::{
        BEGIN, OTHER_PLAN, World, at, cause,
        commands::{add, adopt, archive, attempt, create, note, reopen, reword},
        given, given_plan, request, timestamp,
    },
    *,
};
use crate::proto::{CauseRole, ExecuteRequest, Precision};

fn expecting(revision: u64, command: Asked) -> ExecuteRequest {
    ExecuteRequest {
        expected_revision: Some(revision),
        ..request([command])
    }
}

fn because(causes: &[proto::Cause]) -> ExecuteRequest {
    ExecuteRequest {
        because: causes.to_vec(),
        ..request([note("plan")])
    }
}

fn occurring(at: Option<prost_types::Timestamp>, precision: Precision) -> ExecuteRequest {
    ExecuteRequest {
        occurred_at: at,
        occurred_precision: precision as i32,
        ..request([note("plan")])
    }
}

#[test]
fn a_plan_is_created_once_and_before_all_else() {
    let plan_id = [("plan_id", "growth")];
    given([])
        .when(note("plan"))
        .then_refused(ErrorReason::PlanNotFound, "plan_id", &plan_id);
    given_plan([])
        .when(create())
        .then_refused(ErrorReason::PlanExists, "plan_id", &plan_id);
    given([])
        .when_requested(&request([create(), create()]))
        .then_refused(ErrorReason::PlanExists, "commands[1].create_plan", &plan_id);
}

#[test]
fn a_request_without_commands_makes_nothing_and_harms_nothing() {
    assert_eq!(given_plan([]).when_requested(&request([])).events(), []);
    let empty = ExecuteRequest {
        commands: vec![proto::Command { kind: None }],
        ..request([])
    };
    given_plan([]).when_requested(&empty).then_refused(
        ErrorReason::MalformedRequest,
        "commands[0]",
        &[],
    );
}

#[test]
fn an_expected_revision_that_is_not_the_plans_lost_a_race() {
    let world = given_plan([note("plan")]);
    world
        .when_requested(&expecting(2, note("plan")))
        .then_plan();
    for other in [0, 1, 3] {
        world
            .when_requested(&expecting(other, note("plan")))
            .then_refused(
                ErrorReason::RevisionConflict,
                "expected_revision",
                &[("current_revision", "2")],
            );
    }
}

#[test]
fn a_plan_that_does_not_exist_is_at_no_revision_above_0() {
    let world = given([]);
    world.when_requested(&expecting(0, create())).then_plan();
    world.when_requested(&expecting(1, create())).then_refused(
        ErrorReason::PlanNotFound,
        "expected_revision",
        &[("plan_id", "growth")],
    );
}

#[test]
fn the_plan_is_looked_at_before_its_end_its_revision_and_the_causes() {
    let reason = |world: &World, revision, command| {
        let asked = ExecuteRequest {
            because: vec![cause(9, CauseRole::Trigger)],
            ..expecting(revision, command)
        };
        world.execute(&asked).expect_err("refused").reason
    };
    let archived = given_plan([archive()]);
    assert_eq!(reason(&archived, 9, create()), ErrorReason::PlanExists);
    assert_eq!(
        reason(&archived, 9, note("plan")),
        ErrorReason::PlanArchived
    );
    assert_eq!(
        reason(&archived, 9, reopen()),
        ErrorReason::RevisionConflict
    );
    assert_eq!(reason(&archived, 2, reopen()), ErrorReason::CauseNotFound);
}

#[test]
fn a_cause_must_be_recorded_already() {
    let world = given_plan([note("plan")]);
    let foreign = |plan_id: &str, revision| proto::Cause {
        plan_id: plan_id.to_owned(),
        ..cause(revision, CauseRole::Evidence)
    };
    let (other, head) = OTHER_PLAN;
    for good in [foreign("", 2), foreign("growth", 2), foreign(other, head)] {
        world.when_requested(&because(&[good])).then_plan();
    }
    for (plan_id, revision, part) in [
        ("growth", 0, "revision"),
        ("growth", 3, "revision"),
        (other, head + 1, "revision"),
        ("nowhere", 1, "plan_id"),
    ] {
        let causes = [foreign("", 1), foreign(plan_id, revision)];
        world.when_requested(&because(&causes)).then_refused(
            ErrorReason::CauseNotFound,
            &format!("because[1].{part}"),
            &[("plan_id", plan_id), ("revision", &revision.to_string())],
        );
    }
}

#[test]
fn no_event_cites_a_sibling() {
    let asked = ExecuteRequest {
        because: vec![cause(2, CauseRole::Trigger)],
        ..request([note("plan"), note("plan")])
    };
    given_plan([]).when_requested(&asked).then_refused(
        ErrorReason::CauseNotFound,
        "because[0].revision",
        &[("plan_id", "growth"), ("revision", "2")],
    );
}

#[test]
fn what_the_request_says_holds_for_all_its_events() {
    let causes = vec![cause(1, CauseRole::Trigger)];
    let asked = ExecuteRequest {
        occurred_at: timestamp(BEGIN - 5),
        occurred_precision: Precision::Day as i32,
        because: causes.clone(),
        source: "minutes".to_owned(),
        ..request([adopt("s"), add("t", "s")])
    };
    let events = given_plan([]).when_requested(&asked).events();
    assert_eq!(
        events.iter().map(|it| it.revision).collect::<Vec<_>>(),
        [2, 3]
    );
    for event in events {
        assert_eq!(event.occurred_at, timestamp(BEGIN - 5));
        assert_eq!(event.occurred_precision(), Precision::Day);
        assert_eq!(
            (event.because, event.source.as_str()),
            (causes.clone(), "minutes")
        );
    }
}

#[test]
fn what_has_no_time_or_is_a_little_ahead_occurs_when_it_is_recorded() {
    let world = given_plan([]).at(BEGIN + 100);
    let occurred = |asked: &ExecuteRequest| {
        let event = world.when_requested(asked).events().remove(0);
        (event.occurred_at, event.occurred_precision())
    };
    let now = timestamp(BEGIN + 100);
    assert_eq!(
        occurred(&occurring(None, Precision::Year)),
        (now, Precision::Unspecified)
    );
    let ahead = timestamp(BEGIN + 200);
    assert_eq!(
        occurred(&occurring(ahead, Precision::Day)),
        (now, Precision::Day)
    );
    let before = timestamp(BEGIN - 200);
    assert_eq!(
        occurred(&occurring(before, Precision::Day)),
        (before, Precision::Day)
    );
}

#[test]
fn each_command_sees_those_before_it_and_the_first_refusal_decides() {
    let world = given_plan([]);
    let good = [adopt("s"), add("t", "s"), attempt("t")];
    assert_eq!(
        world.when_requested(&request(good.clone())).events().len(),
        3
    );
    let [adopted, added, tried] = good;
    let bad = [adopted, added, tried.clone(), tried, adopt("s")];
    world.when_requested(&request(bad)).then_refused(
        ErrorReason::AttemptOpen,
        "commands[3].try_tactic.tactic_id",
        &[("subject", "tactics/t")],
    );
}

#[test]
fn a_plan_may_be_ended_and_taken_up_again_in_one_request() {
    let world = given_plan([]);
    let again = request([archive(), reopen(), note("plan")]);
    assert_eq!(world.when_requested(&again).then_plan().revision, 4);
    let ended = request([archive(), note("plan")]);
    world.when_requested(&ended).then_refused(
        ErrorReason::PlanArchived,
        "commands[1].record_note",
        &[],
    );
}

#[test]
fn what_is_missing_is_said_before_what_is_taken_and_that_before_what_is_forbidden() {
    let retired = given_plan([add("t", ""), testing::commands::retire("t")]);
    let reason = |command| retired.when(command).0.expect_err("refused").reason;
    assert_eq!(
        reason(reword("t", &["nowhere"])),
        ErrorReason::SubjectNotFound
    );
    assert_eq!(reason(add("t", "nowhere")), ErrorReason::SubjectNotFound);
    assert_eq!(reason(reword("t", &["t"])), ErrorReason::NotLive);
    let ended = given_plan([adopt("s"), testing::commands::abandon("s"), add("t", "")]);
    let taken = ended.when(add("t", "s")).0.expect_err("refused").reason;
    assert_eq!(taken, ErrorReason::IdTaken);
}

#[test]
fn one_command_is_decided_like_a_request_of_one() {
    let world = given_plan([]);
    let context = CommandContext {
        now: world.now,
        occurred_at: at(BEGIN),
        precision: Precision::Unspecified as i32,
        because: &[],
        source: "",
        history: &world.history,
        commit: &[],
        recorded_revision: world.plan.revision,
        other_plans: &|_| None,
        field: &"commands[0].adopt_strategy",
    };
    let command = proto::Command {
        kind: Some(adopt("s")),
    };
    let events = decide(&world.plan, &command, &context).expect("accepted");
    assert_eq!(events, world.at(BEGIN).when(adopt("s")).events());
}
