//! Commands to events, or a refusal: every rule that depends on the state of a plan, and none that
//! the request alone shows broken. Only what would make the record incoherent is refused; what is
//! merely bad practice is recorded, and the review speaks of it.

use std::{collections::BTreeMap, fmt, slice};

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
pub(super) mod properties;
#[cfg(test)]
mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

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
    /// The path of the command, such as `commands[2].try_tactic`; written only where something is refused.
    pub field: &'a dyn fmt::Display,
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
                field: &CommandPath { index, command },
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
fn plan_takes(plan: &Plan, asked: Option<&Asked>, field: impl fmt::Display) -> Result<(), Refusal> {
    let plan_id = &plan.plan_id;
    let creates = matches!(asked, Some(Asked::CreatePlan(_)));
    let refuse = |reason, message| {
        Err(Refusal::new(reason, field.to_string(), message).with("plan_id", plan_id.to_string()))
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
            let field = field.to_string();
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

/// The path of a command in its request.
struct CommandPath<'a> {
    index: usize,
    command: &'a proto::Command,
}

impl fmt::Display for CommandPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, command } = self;
        match &command.kind {
            Some(_) => write!(f, "commands[{index}].{}", command_field(command)),
            None => write!(f, "commands[{index}]"),
        }
    }
}
