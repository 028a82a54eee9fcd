//! Commands to events, or a refusal: every rule that depends on the state of a plan, and none that
//! the request alone shows broken. Only what would make the record incoherent is refused; what is
//! merely bad practice is recorded, and the review speaks of it.

use std::{collections::BTreeMap, slice};

use super::{
    evolve::{evolve, fold, is_amendment},
    plan::{Lifecycle, Plan},
    shape::command_field,
    value::Time,
};
use crate::proto::{self, ErrorReason, command::Kind as Asked, event::Kind};

mod amendments;
mod assumptions;
mod attempts;
pub mod bounds;
mod commitments;
mod correctable;
mod indicators;
mod lifecycle;
mod notes;
mod objective;
mod proposals;
mod refusal;
mod strategies;
mod subjects;
mod tactics;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod table;
#[cfg(test)]
mod testing;

/// Why a request is not recorded. A refusal is not a failure: nothing went wrong but the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, for programs.
    pub reason: ErrorReason,
    /// The path of the field at fault, such as `commands[2].try_tactic.tactic_id`; may be empty.
    pub field: String,
    /// What is wrong and what to do, for people.
    pub message: String,
    /// What the reason promises to name.
    pub metadata: BTreeMap<&'static str, String>,
}

/// What a request is decided against besides its plan.
pub struct Context<'a> {
    /// The time of recording.
    pub now: Time,
    /// The revision of any other plan; none when it does not exist.
    pub other_plans: &'a dyn Fn(&str) -> Option<u64>,
    /// The plan's events, from the first to the last. Complete when the request corrects or
    /// retracts; else it is not read.
    pub history: &'a [proto::Event],
}

/// What one command is decided against besides its plan.
pub struct CommandContext<'a> {
    /// The time of recording.
    pub now: Time,
    /// When it happened, never later than `now`.
    pub occurred_at: Time,
    /// How exactly that is known ([`proto::Precision`]).
    pub precision: i32,
    /// The causes that the request names.
    pub because: &'a [proto::Cause],
    /// Where the request is known from.
    pub source: &'a str,
    /// The plan's events before the request; complete for a correction or retraction, else not
    /// read.
    pub history: &'a [proto::Event],
    /// The events of the commands before this one.
    pub commit: &'a [proto::Event],
    /// The plan's revision before the request: its events cite none that is later.
    pub recorded_revision: u64,
    /// The revision of any other plan; none when it does not exist.
    pub other_plans: &'a dyn Fn(&str) -> Option<u64>,
    /// The path of the command, such as `commands[2].try_tactic`.
    pub field: &'a str,
}

/// What a request makes of its plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What happened, one event a command.
    pub events: Vec<proto::Event>,
    /// The plan after these events.
    pub plan: Plan,
}

/// Decides a request: its commands one after another, each on the plan as those before it leave it.
/// The first refusal decides.
pub fn execute(
    plan: &Plan,
    request: &proto::ExecuteRequest,
    context: &Context<'_>,
) -> Result<Decision, Refusal> {
    let first = request.commands.first().and_then(|it| it.kind.as_ref());
    plan_takes(plan, first, "plan_id")?;
    plan_is_as_expected(plan, request)?;
    causes_exist(plan, request, context)?;

    let (occurred_at, precision) = occurrence(request, context.now);
    let mut events = Vec::with_capacity(request.commands.len());
    let mut after = plan.clone();
    for (index, command) in request.commands.iter().enumerate() {
        let field = command_path(index, command);
        let event = advance(
            &mut after,
            command,
            &CommandContext {
                now: context.now,
                occurred_at,
                precision,
                because: &request.because,
                source: &request.source,
                history: context.history,
                commit: &events,
                recorded_revision: plan.revision,
                other_plans: context.other_plans,
                field: &field,
            },
        )?;
        events.push(event);
    }
    Ok(Decision {
        events,
        plan: after,
    })
}

/// Decides one command: the events it makes of the plan.
pub fn decide(
    plan: &Plan,
    command: &proto::Command,
    context: &CommandContext<'_>,
) -> Result<Vec<proto::Event>, Refusal> {
    Ok(vec![advance(&mut plan.clone(), command, context)?])
}

/// Decides one command and takes the plan there. A refusal may leave the plan half-way.
fn advance(
    plan: &mut Plan,
    command: &proto::Command,
    context: &CommandContext<'_>,
) -> Result<proto::Event, Refusal> {
    plan_takes(plan, command.kind.as_ref(), context.field)?;
    let Some(asked) = &command.kind else {
        return Err(context.refuse_command(
            ErrorReason::MalformedRequest,
            "The command says nothing: set exactly one of its kinds.",
        ));
    };
    let kind = kind_of(plan, asked, context)?;
    let event = event_of(plan, kind, context);
    if is_amendment(&event) {
        let whole = [context.history, context.commit, slice::from_ref(&event)].concat();
        *plan = fold(plan.plan_id.clone(), &whole);
        amendments::leaves_coherent(plan, &event, context)?;
    } else {
        evolve(plan, &event);
    }
    bounds::plan_fits(plan, &event, context)?;
    Ok(event)
}

/// What happens to the plan when it does what was asked.
fn kind_of(plan: &Plan, asked: &Asked, context: &CommandContext<'_>) -> Result<Kind, Refusal> {
    match asked {
        Asked::CreatePlan(it) => Ok(lifecycle::create(it)),
        Asked::DescribePlan(it) => Ok(lifecycle::describe(it)),
        Asked::ArchivePlan(it) => lifecycle::archive(plan, it, context),
        Asked::ReopenPlan(it) => lifecycle::reopen(plan, it, context),
        Asked::SetObjective(it) => objective::set(plan, it, context),
        Asked::MarkObjectiveMet(it) => objective::mark_met(plan, it, context),
        Asked::DefineIndicator(it) => indicators::define(plan, it, context),
        Asked::ReplaceIndicator(it) => indicators::replace(plan, it, context),
        Asked::RetireIndicator(it) => indicators::retire(plan, it, context),
        Asked::RecordMeasurement(it) => indicators::record_measurement(plan, it, context),
        Asked::StateAssumption(it) => assumptions::state(plan, it, context),
        Asked::RecordEvidence(it) => assumptions::record_evidence(plan, it, context),
        Asked::ConcludeAssumption(it) => assumptions::conclude(plan, it, context),
        Asked::ReopenAssumption(it) => assumptions::reopen(plan, it, context),
        Asked::AdoptStrategy(it) => strategies::adopt(plan, it, context),
        Asked::ReviseStrategy(it) => strategies::revise(plan, it, context),
        Asked::ProposeRevision(it) => proposals::propose(plan, it, context),
        Asked::DeclineRevision(it) => proposals::decline(plan, it, context),
        Asked::BranchStrategy(it) => strategies::branch(plan, it, context),
        Asked::SupersedeStrategy(it) => strategies::supersede(plan, it, context),
        Asked::AbandonStrategy(it) => strategies::abandon(plan, it, context),
        Asked::FulfilStrategy(it) => strategies::fulfil(plan, it, context),
        Asked::AddTactic(it) => tactics::add(plan, it, context),
        Asked::RewordTactic(it) => tactics::reword(plan, it, context),
        Asked::RegroupTactic(it) => tactics::regroup(plan, it, context),
        Asked::RetireTactic(it) => tactics::retire(plan, it, context),
        Asked::RankTactics(it) => tactics::rank(plan, it, context),
        Asked::TryTactic(it) => attempts::begin(plan, it, context),
        Asked::FailTactic(it) => attempts::fail(plan, it, context),
        Asked::SucceedTactic(it) => attempts::succeed(plan, it, context),
        Asked::StopTactic(it) => attempts::stop(plan, it, context),
        Asked::MakeCommitment(it) => commitments::make(plan, it, context),
        Asked::ReassignCommitment(it) => commitments::reassign(plan, it, context),
        Asked::ReleaseCommitment(it) => commitments::release(plan, it, context),
        Asked::MoveDeadline(it) => commitments::move_deadline(plan, it, context),
        Asked::KeepCommitment(it) => commitments::keep(plan, it, context),
        Asked::MissCommitment(it) => commitments::miss(plan, it, context),
        Asked::LapseCommitment(it) => commitments::lapse(plan, it, context),
        Asked::CorrectEvent(it) => amendments::correct(plan, it, context),
        Asked::RetractEvent(it) => amendments::retract(plan, it, context),
        Asked::AcknowledgeFinding(it) => notes::acknowledge(plan, it, context),
        Asked::RecordNote(it) => notes::record(plan, it, context),
    }
}

/// The event that comes next in the plan, with what the request says about all of its events.
fn event_of(plan: &Plan, kind: Kind, context: &CommandContext<'_>) -> proto::Event {
    let mut because = context.because.to_vec();
    because.extend(amendments::cause_of(plan, &kind, context));
    proto::Event {
        revision: plan.revision + 1,
        occurred_at: Some(context.occurred_at.into()),
        occurred_precision: context.precision,
        because,
        source: context.source.to_owned(),
        kind: Some(kind),
    }
}

/// Refuses what the plan does not take as it stands: anything but its creation before it exists,
/// its creation once it does, and anything but its reopening once it is archived.
fn plan_takes(plan: &Plan, asked: Option<&Asked>, field: &str) -> Result<(), Refusal> {
    let plan_id = &plan.plan_id;
    let creates = matches!(asked, Some(Asked::CreatePlan(_)));
    let refuse = |reason, message| {
        Err(Refusal::new(reason, field, message).with("plan_id", plan_id.to_string()))
    };
    match &plan.lifecycle {
        Lifecycle::Unborn if !creates => refuse(
            ErrorReason::PlanNotFound,
            format!("There is no plan `{plan_id}`: create it first, or mend the id."),
        ),
        Lifecycle::Active | Lifecycle::Archived(_) if creates => refuse(
            ErrorReason::PlanExists,
            format!("There is a plan `{plan_id}` already: choose another id."),
        ),
        Lifecycle::Archived(_) if !matches!(asked, Some(Asked::ReopenPlan(_))) => {
            let message = format!("The plan `{plan_id}` is archived: reopen it first.");
            Err(Refusal::new(ErrorReason::PlanArchived, field, message))
        }
        Lifecycle::Unborn | Lifecycle::Active | Lifecycle::Archived(_) => Ok(()),
    }
}

fn plan_is_as_expected(plan: &Plan, request: &proto::ExecuteRequest) -> Result<(), Refusal> {
    let (found, field) = (plan.revision, "expected_revision");
    match request.expected_revision {
        Some(expected) if expected > 0 && plan.lifecycle == Lifecycle::Unborn => {
            let plan_id = &plan.plan_id;
            let message =
                format!("There is no plan `{plan_id}` that could be at revision {expected}.");
            Err(Refusal::new(ErrorReason::PlanNotFound, field, message)
                .with("plan_id", plan_id.to_string()))
        }
        Some(expected) if expected != found => {
            let message = format!(
                "The plan is at revision {found}, not {expected}: read it, decide again, and send \
                 the current revision."
            );
            Err(Refusal::new(ErrorReason::RevisionConflict, field, message)
                .with("current_revision", found.to_string()))
        }
        Some(_) | None => Ok(()),
    }
}

/// Refuses a cause that is not recorded yet; so none cites an event of its own request.
fn causes_exist(
    plan: &Plan,
    request: &proto::ExecuteRequest,
    context: &Context<'_>,
) -> Result<(), Refusal> {
    for (index, cause) in request.because.iter().enumerate() {
        let own = cause.plan_id.is_empty() || *cause.plan_id == *plan.plan_id;
        let (plan_id, head) = if own {
            (&*plan.plan_id, Some(plan.revision))
        } else {
            (
                cause.plan_id.as_str(),
                (context.other_plans)(&cause.plan_id),
            )
        };
        let revision = cause.revision;
        if head.is_some_and(|head| (1..=head).contains(&revision)) {
            continue;
        }
        let (part, message) = match head {
            None => (
                "plan_id",
                format!("There is no plan `{plan_id}` to cite: mend the id."),
            ),
            Some(head) => (
                "revision",
                format!(
                    "The plan `{plan_id}` has no event {revision}, its last is {head}: cite an \
                     event that is recorded already."
                ),
            ),
        };
        let field = format!("because[{index}].{part}");
        return Err(Refusal::new(ErrorReason::CauseNotFound, field, message)
            .with("plan_id", plan_id)
            .with("revision", revision.to_string()));
    }
    Ok(())
}

/// When the request's events happened, and how exactly that is known. A time that lies a little
/// ahead is a client's clock and becomes the time of recording.
fn occurrence(request: &proto::ExecuteRequest, now: Time) -> (Time, i32) {
    match request.occurred_at {
        Some(occurred_at) => (now.min(occurred_at.into()), request.occurred_precision),
        None => (now, proto::Precision::Unspecified as i32),
    }
}

fn command_path(index: usize, command: &proto::Command) -> String {
    match &command.kind {
        Some(_) => format!("commands[{index}].{}", command_field(command)),
        None => format!("commands[{index}]"),
    }
}

#[cfg(test)]
mod tests {
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
            field: "commands[0].adopt_strategy",
        };
        let command = proto::Command {
            kind: Some(adopt("s")),
        };
        let events = decide(&world.plan, &command, &context).expect("accepted");
        assert_eq!(events, world.at(BEGIN).when(adopt("s")).events());
    }
}
