//! The commitments: made, passed on, moved, and closed. Whether somebody spoke in time goes by when
//! it occurred, not by when it was recorded.

use super::{
    super::{
        plan::{Commitment, Plan},
        value::Time,
    },
    CommandContext, Refusal, bounds,
    subjects::{commitment, id_is_new, tactic, tactic_is_live},
};
use crate::proto::{self, ErrorReason, Notice, event::Kind};

/// Promises something by a date.
pub(super) fn make(
    plan: &Plan,
    command: &proto::MakeCommitment,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let id = &command.commitment_id;
    let served = match command.tactic_id.as_str() {
        "" => None,
        served => Some(tactic(plan, served, "tactic_id", context)?),
    };
    id_is_new(
        plan,
        &plan.commitments,
        "commitments",
        id,
        "commitment_id",
        context,
    )?;
    served.map_or(Ok(()), |served| {
        tactic_is_live(served, "tactic_id", context)
    })?;
    is_due_after(id, command.due, context.occurred_at, context)?;
    bounds::room_for_open_commitment(plan, context)?;
    Ok(Kind::CommitmentMade(proto::CommitmentMade {
        commitment_id: id.clone(),
        tactic_id: command.tactic_id.clone(),
        assignee: command.assignee.clone(),
        made_to: command.made_to.clone(),
        promise: command.promise.clone(),
        due: command.due,
    }))
}

/// Gives a commitment to somebody else.
pub(super) fn reassign(
    plan: &Plan,
    command: &proto::ReassignCommitment,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let reassigned = open(plan, &command.commitment_id, context)?;
    let id = &reassigned.commitment_id;
    if reassigned.assignee == command.assignee {
        let message =
            format!("The commitment `{id}` is theirs already: name somebody else, or leave it.");
        return Err(context.refuse(ErrorReason::NothingChanged, "assignee", message));
    }
    bounds::room_for_holder(reassigned, &command.assignee, context)?;
    Ok(Kind::CommitmentReassigned(proto::CommitmentReassigned {
        commitment_id: command.commitment_id.clone(),
        assignee: command.assignee.clone(),
        reason: command.reason.clone(),
    }))
}

/// Lets somebody off a commitment.
pub(super) fn release(
    plan: &Plan,
    command: &proto::ReleaseCommitment,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    open(plan, &command.commitment_id, context)?;
    Ok(Kind::CommitmentReleased(proto::CommitmentReleased {
        commitment_id: command.commitment_id.clone(),
        reason: command.reason.clone(),
    }))
}

/// Moves a deadline.
pub(super) fn move_deadline(
    plan: &Plan,
    command: &proto::MoveDeadline,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let moved = open(plan, &command.commitment_id, context)?;
    if command.due.map(Time::from) == Some(moved.due) {
        let message = format!(
            "The commitment `{}` is due then already: move it to another date, or leave it.",
            moved.commitment_id
        );
        return Err(context.refuse(ErrorReason::NothingChanged, "due", message));
    }
    is_due_after(&moved.commitment_id, command.due, moved.made_at, context)?;
    bounds::room_for_silent_miss(moved, context)?;
    Ok(Kind::DeadlineMoved(proto::DeadlineMoved {
        commitment_id: command.commitment_id.clone(),
        old: Some(moved.due.into()),
        new: command.due,
        reason: command.reason.clone(),
        notice: notice(context.occurred_at, moved.due) as i32,
    }))
}

/// Says that a commitment was kept.
pub(super) fn keep(
    plan: &Plan,
    command: &proto::KeepCommitment,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    open(plan, &command.commitment_id, context)?;
    Ok(Kind::CommitmentKept(proto::CommitmentKept {
        commitment_id: command.commitment_id.clone(),
        note: command.note.clone(),
    }))
}

/// Says that a commitment is or will be missed, which closes it.
pub(super) fn miss(
    plan: &Plan,
    command: &proto::MissCommitment,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let missed = open(plan, &command.commitment_id, context)?;
    Ok(Kind::DeadlineMissed(proto::DeadlineMissed {
        commitment_id: command.commitment_id.clone(),
        silent: false,
        due: Some(missed.due.into()),
        notice: notice(context.occurred_at, missed.due) as i32,
        reason: command.reason.clone(),
    }))
}

/// Records that a due date passed in silence, once for each due date.
pub(super) fn lapse(
    plan: &Plan,
    command: &proto::LapseCommitment,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    let lapsed = open(plan, &command.commitment_id, context)?;
    let id = &lapsed.commitment_id;
    let wrong = if command.due.map(Time::from) != Some(lapsed.due) {
        Some(format!(
            "The commitment `{id}` is not due then: send its current due date."
        ))
    } else if context.occurred_at < lapsed.due {
        Some(format!(
            "The due date of the commitment `{id}` has not passed: wait for it."
        ))
    } else if lapsed.silently_missed.contains(&lapsed.due) {
        Some(format!(
            "That this due date of the commitment `{id}` passed is recorded already."
        ))
    } else {
        None
    };
    if let Some(message) = wrong {
        return Err(context
            .refuse(ErrorReason::DueDate, "due", message)
            .about("commitments", id));
    }
    Ok(Kind::DeadlineMissed(proto::DeadlineMissed {
        commitment_id: command.commitment_id.clone(),
        silent: true,
        due: command.due,
        notice: Notice::Unspecified as i32,
        reason: String::new(),
    }))
}

/// Whether somebody who spoke at this time spoke before the date; at the date it has come.
pub(super) fn notice(spoken_at: Time, due: Time) -> Notice {
    if spoken_at < due {
        Notice::BeforeDue
    } else {
        Notice::AfterDue
    }
}

/// The commitment, which must be open; an overdue one is.
fn open<'p>(
    plan: &'p Plan,
    id: &str,
    context: &CommandContext<'_>,
) -> Result<&'p Commitment, Refusal> {
    let found = commitment(plan, id, "commitment_id", context)?;
    if found.is_open() {
        return Ok(found);
    }
    let message = format!("The commitment `{id}` is closed: make another.");
    Err(context
        .refuse(ErrorReason::CommitmentClosed, "commitment_id", message)
        .about("commitments", id))
}

/// Refuses a promise that was due when it was made.
fn is_due_after(
    id: &str,
    due: Option<prost_types::Timestamp>,
    made_at: Time,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    if due.is_some_and(|due| Time::from(due) > made_at) {
        return Ok(());
    }
    let message = format!(
        "The commitment `{id}` must be due later than it was made: mend the due date, or say when \
         it occurred."
    );
    Err(context
        .refuse(ErrorReason::DueDate, "due", message)
        .about("commitments", id))
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{
            BEGIN, World,
            commands::{keep, lapse, miss, move_to, note, promise},
            given_plan, request, timestamp,
        },
        *,
    };
    use crate::{domain::plan::CommitmentState, proto::command::Kind as Asked};

    /// When the promise is due, in seconds.
    const DUE: i64 = BEGIN + 1_000;

    fn promised() -> World {
        given_plan([promise("c", "", DUE)])
    }

    fn state(world: &World) -> &CommitmentState {
        &world.plan.commitments["c"].state
    }

    #[test]
    fn whether_a_move_was_said_in_time_goes_by_when_it_occurred() {
        let moved = |occurred_seconds| {
            let asked = proto::ExecuteRequest {
                occurred_at: timestamp(occurred_seconds),
                ..request([move_to("c", DUE + 50)])
            };
            let event = promised()
                .at(DUE + 100)
                .when_requested(&asked)
                .events()
                .remove(0);
            let Some(Kind::DeadlineMoved(moved)) = event.kind else {
                panic!("the deadline is moved");
            };
            assert_eq!(
                (moved.old, moved.new),
                (timestamp(DUE), timestamp(DUE + 50))
            );
            moved.notice()
        };
        assert_eq!(moved(DUE - 1), Notice::BeforeDue);
        assert_eq!(moved(DUE), Notice::AfterDue);
        assert_eq!(moved(DUE + 100), Notice::AfterDue);
    }

    #[test]
    fn a_miss_that_is_said_closes_the_commitment_with_its_notice() {
        for (now, notice) in [(DUE - 1, Notice::BeforeDue), (DUE, Notice::AfterDue)] {
            let world = promised().at(now);
            world
                .when(miss("c"))
                .then(&Kind::DeadlineMissed(proto::DeadlineMissed {
                    commitment_id: "c".to_owned(),
                    silent: false,
                    due: timestamp(DUE),
                    notice: notice as i32,
                    reason: "ill".to_owned(),
                }));
            assert!(!world.and([miss("c")]).plan.commitments["c"].is_open());
        }
    }

    #[test]
    fn a_silent_miss_leaves_the_commitment_open_to_be_kept_late_or_moved() {
        let overdue = promised().at(DUE).and([lapse("c", DUE)]);
        assert_eq!(state(&overdue), &CommitmentState::Overdue);
        let late = overdue.clone().and([keep("c")]);
        assert!(matches!(state(&late), CommitmentState::KeptLate(_)));
        let moved = overdue.and([move_to("c", DUE + 500)]);
        assert_eq!(state(&moved), &CommitmentState::Open);
        moved.at(DUE + 500).and([lapse("c", DUE + 500)]);
    }

    #[test]
    fn a_due_date_passes_in_silence_once_also_when_it_was_moved_away_and_back() {
        let overdue = promised().at(DUE).and([lapse("c", DUE)]);
        let back = overdue.and([move_to("c", DUE + 500), move_to("c", DUE)]);
        assert_eq!(state(&back), &CommitmentState::Open);
        back.when(lapse("c", DUE)).then_refused(
            ErrorReason::DueDate,
            "commands[0].lapse_commitment.due",
            &[("subject", "commitments/c")],
        );
    }

    fn passed_to(assignee: &str) -> Asked {
        Asked::ReassignCommitment(proto::ReassignCommitment {
            commitment_id: "c".to_owned(),
            assignee: assignee.to_owned(),
            reason: "holiday".to_owned(),
        })
    }

    #[test]
    fn a_commitment_is_not_passed_on_to_who_holds_it() {
        let refused = |world: World, who| {
            world.when(passed_to(who)).then_refused(
                ErrorReason::NothingChanged,
                "commands[0].reassign_commitment.assignee",
                &[],
            );
        };
        refused(promised(), "ada");
        refused(promised().and([passed_to("bob")]), "bob");
        promised().and([passed_to("bob"), passed_to("ada")]);
    }

    #[test]
    fn a_deadline_is_not_moved_to_where_it_is() {
        promised().when(move_to("c", DUE)).then_refused(
            ErrorReason::NothingChanged,
            "commands[0].move_deadline.due",
            &[],
        );
        promised().and([move_to("c", DUE + 1)]);
    }

    #[test]
    fn at_most_so_many_people_hold_a_commitment_and_those_may_have_it_again() {
        let others = (1..bounds::HOLDERS_PER_COMMITMENT_MAX).map(|n| passed_to(&format!("p{n}")));
        let world = promised().and(others);
        let limits = [("bound", "holders"), ("limit", "64")];
        let field = "commands[0].reassign_commitment";
        world
            .when(passed_to("more"))
            .then_refused(ErrorReason::PlanLimit, field, &limits);
        let back = world.and([passed_to("ada")]);
        assert_eq!(back.plan.commitments["c"].held.len(), 64);
    }

    #[test]
    fn a_deadline_is_not_moved_any_more_when_too_many_passed_in_silence() {
        let limit = i64::try_from(bounds::SILENT_MISSES_PER_COMMITMENT_MAX).expect("small");
        let mut world = promised();
        for due in DUE..DUE + limit - 1 {
            world = world.at(due).and([lapse("c", due), move_to("c", due + 1)]);
        }
        let last = DUE + limit - 1;
        let world = world.at(last).and([lapse("c", last)]);
        world.when(move_to("c", last + 1)).then_refused(
            ErrorReason::PlanLimit,
            "commands[0].move_deadline",
            &[("bound", "silent_misses"), ("limit", "256")],
        );
        world.and([keep("c")]);
    }

    #[test]
    fn what_was_kept_at_the_due_date_was_kept_in_time_also_when_it_is_said_later() {
        let asked = proto::ExecuteRequest {
            occurred_at: timestamp(DUE),
            ..request([keep("c")])
        };
        let overdue = promised().at(DUE + 10).and([lapse("c", DUE)]);
        let plan = overdue.when_requested(&asked).then_plan();
        assert!(matches!(
            plan.commitments["c"].state,
            CommitmentState::Kept(_)
        ));
    }

    #[test]
    fn a_promise_of_the_past_is_due_after_it_was_made_then() {
        let asked = |occurred_seconds| proto::ExecuteRequest {
            occurred_at: timestamp(occurred_seconds),
            ..request([promise("c", "", DUE)])
        };
        let world = given_plan([note("plan")]).at(DUE + 100);
        world.when_requested(&asked(DUE - 1)).then_plan();
        world.when_requested(&asked(DUE)).then_refused(
            ErrorReason::DueDate,
            "commands[0].make_commitment.due",
            &[("subject", "commitments/c")],
        );
    }
}
