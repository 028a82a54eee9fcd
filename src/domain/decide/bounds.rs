//! How much one plan may hold. A plan is decided in memory, shown in one message and refolded as a
//! whole, so every part of it has a bound, and what ends things may go a little beyond: a full plan
//! can always be brought to its end.

use super::{
    super::{
        evolve::size::MEASURED_ABOVE_BYTES,
        plan::{Commitment, Plan},
    },
    CommandContext, Refusal,
};
use crate::proto::{self, ErrorReason, event::Kind};

/// Strategies that a plan ever had; nobody follows more.
pub const STRATEGIES_MAX: usize = 64;
/// Tactics that a plan ever had.
pub const TACTICS_MAX: usize = 512;
/// Attempts that a tactic ever had, retracted ones included.
pub const ATTEMPTS_PER_TACTIC_MAX: usize = 64;
/// Assumptions that a plan ever had.
pub const ASSUMPTIONS_MAX: usize = 256;
/// Pieces of evidence that a plan ever had, retracted ones included.
pub const EVIDENCE_MAX: usize = 1_024;
/// Indicators that a plan ever had.
pub const INDICATORS_MAX: usize = 64;
/// Commitments of a plan that are open at one time.
pub const OPEN_COMMITMENTS_MAX: usize = 512;
/// People who ever held one commitment: what each did is counted for ever.
pub const HOLDERS_PER_COMMITMENT_MAX: usize = 64;
/// Due dates of one commitment that passed in silence, each of which is remembered so that it counts once.
pub const SILENT_MISSES_PER_COMMITMENT_MAX: usize = 256;
/// The encoded plan: with room to spare under the 4 MiB that clients take in one message.
pub const PLAN_BYTES_MAX: usize = MEASURED_ABOVE_BYTES;
/// What commands that end things may add beyond [`PLAN_BYTES_MAX`]: their texts need some room.
pub const ENDING_BYTES_RESERVE: usize = 256 * 1_024;
/// The events of a plan: a correction refolds them all.
pub const EVENTS_MAX: u64 = 50_000;
/// What commands that end things may add beyond [`EVENTS_MAX`]: enough to end every attempt and
/// close every commitment that can be open, and to archive the plan.
pub const ENDING_EVENTS_RESERVE: u64 = 1_000;

/// Refuses one more of something of which the plan has as many as it may.
pub(super) fn has_room(
    bound: &'static str,
    used: usize,
    limit: usize,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    if used < limit {
        return Ok(());
    }
    let message = format!(
        "A plan holds at most {limit} of its {}: use another plan, or archive this one.",
        bound.replace('_', " ")
    );
    Err(exceeded(bound, limit.to_string(), message, context))
}

/// Refuses one more open commitment than a plan may have.
pub(super) fn room_for_open_commitment(
    plan: &Plan,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    let open = open_commitments(plan);
    has_room("open_commitments", open, OPEN_COMMITMENTS_MAX, context)
}

/// Refuses a plan that has more open commitments than it may, because a closing was retracted.
pub(super) fn open_commitments_fit(
    after: &Plan,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    // The one that was opened again is among them.
    let before = open_commitments(after).saturating_sub(1);
    has_room("open_commitments", before, OPEN_COMMITMENTS_MAX, context)
}

/// Refuses somebody who never held the commitment, when as many did as may.
pub(super) fn room_for_holder(
    commitment: &Commitment,
    holder: &str,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    let (held, limit) = (&commitment.held, HOLDERS_PER_COMMITMENT_MAX);
    if held.len() < limit || held.iter().any(|it| it.assignee == holder) {
        return Ok(());
    }
    let message = format!(
        "At most {limit} people hold the commitment `{}` one after another: release it and make \
         another.",
        commitment.commitment_id
    );
    Err(exceeded("holders", limit.to_string(), message, context))
}

/// Refuses another due date for a commitment of which as many passed in silence as may.
pub(super) fn room_for_silent_miss(
    commitment: &Commitment,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    let limit = SILENT_MISSES_PER_COMMITMENT_MAX;
    if commitment.silently_missed.len() < limit {
        return Ok(());
    }
    let message = format!(
        "{limit} due dates of the commitment `{}` passed in silence: release it and make another.",
        commitment.commitment_id
    );
    Err(exceeded(
        "silent_misses",
        limit.to_string(),
        message,
        context,
    ))
}

/// Refuses a corrected name that leaves a commitment with more holders than may be.
pub(super) fn holders_fit(
    after: &Plan,
    event: &proto::Event,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    let Some(Kind::EventCorrected(corrected)) = &event.kind else {
        return Ok(());
    };
    let replacement = corrected.replacement.as_ref();
    let commitment_id = match replacement.and_then(|it| it.kind.as_ref()) {
        Some(Kind::CommitmentMade(it)) => &it.commitment_id,
        Some(Kind::CommitmentReassigned(it)) => &it.commitment_id,
        Some(_) | None => return Ok(()),
    };
    let held = after.commitments.get(commitment_id.as_str());
    if held.is_none_or(|it| it.held.len() <= HOLDERS_PER_COMMITMENT_MAX) {
        return Ok(());
    }
    let limit = HOLDERS_PER_COMMITMENT_MAX;
    let message = format!(
        "At most {limit} people hold the commitment `{commitment_id}` one after another: correct \
         it otherwise."
    );
    Err(exceeded("holders", limit.to_string(), message, context))
}

/// Refuses an event that leaves the plan with too many events or too large.
pub(super) fn plan_fits(
    after: &Plan,
    event: &proto::Event,
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    let ends = event.kind.as_ref().is_some_and(ends_something);
    let (events_reserve, bytes_reserve) = if ends {
        (ENDING_EVENTS_RESERVE, ENDING_BYTES_RESERVE)
    } else {
        (0, 0)
    };
    if after.revision > EVENTS_MAX + events_reserve {
        let message = format!(
            "The plan has its {EVENTS_MAX} events: end what is open, archive it and carry on in \
             another."
        );
        return Err(exceeded("events", EVENTS_MAX.to_string(), message, context));
    }
    if after.size_bound_bytes > PLAN_BYTES_MAX + bytes_reserve {
        let message = format!(
            "The plan would exceed {PLAN_BYTES_MAX} bytes: shorten the texts, or carry on in \
             another plan."
        );
        return Err(exceeded(
            "plan_bytes",
            PLAN_BYTES_MAX.to_string(),
            message,
            context,
        ));
    }
    Ok(())
}

/// What may draw on the reserves: the end of an attempt, of a due date, of a commitment, of a
/// strategy and of the plan.
fn ends_something(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::TacticFailed(_)
            | Kind::TacticSucceeded(_)
            | Kind::TacticStopped(_)
            | Kind::CommitmentKept(_)
            | Kind::CommitmentReleased(_)
            | Kind::DeadlineMissed(_)
            | Kind::StrategySuperseded(_)
            | Kind::StrategyAbandoned(_)
            | Kind::StrategyFulfilled(_)
            | Kind::PlanArchived(_)
    )
}

fn open_commitments(plan: &Plan) -> usize {
    plan.commitments.values().filter(|it| it.is_open()).count()
}

fn exceeded(
    bound: &'static str,
    limit: String,
    message: String,
    context: &CommandContext<'_>,
) -> Refusal {
    context
        .refuse_command(ErrorReason::PlanLimit, message)
        .with("bound", bound)
        .with("limit", limit)
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{
            World,
            commands::{
                abandon, add, adopt, archive, attempt, describe, fail, fulfil, keep, lapse, miss,
                note, promise, release, stop, succeed, supersede,
            },
            given_plan,
        },
        *,
    };
    use crate::proto::command::Kind as Asked;

    /// When the promises are due, in seconds.
    const DUE: i64 = 2_000_000;

    fn busy() -> World {
        let tactics = ["t", "u", "v"].map(|id| add(id, ""));
        let promises = ["c", "d", "e", "f"].map(|id| promise(id, "", DUE));
        given_plan(["s", "r", "q", "p"].map(adopt))
            .and(tactics)
            .and(["t", "u", "v"].map(attempt))
            .and(promises)
            .at(DUE)
    }

    #[test]
    fn a_plan_full_of_events_can_still_be_brought_to_its_end() {
        let mut world = busy();
        world.plan.revision = EVENTS_MAX;
        let limits = [("bound", "events"), ("limit", "50000")];
        for (command, name) in [
            (note("plan"), "record_note"),
            (describe("More"), "describe_plan"),
            (adopt("more"), "adopt_strategy"),
        ] {
            let field = format!("commands[0].{name}");
            world
                .when(command)
                .then_refused(ErrorReason::PlanLimit, &field, &limits);
        }
        for command in [
            lapse("c", DUE),
            keep("c"),
            miss("d"),
            release("e"),
            release("f"),
            fail("t"),
            succeed("u"),
            stop("v"),
            supersede("s", "r"),
            abandon("r"),
            fulfil("q"),
            archive(),
        ] {
            world.plan = world.when(command).then_plan();
        }
        assert!(world.plan.is_archived());
    }

    #[test]
    fn the_reserve_for_ends_ends_too() {
        let mut world = busy();
        world.plan.revision = EVENTS_MAX + ENDING_EVENTS_RESERVE - 1;
        world.plan = world.when(miss("c")).then_plan();
        world.when(miss("d")).then_refused(
            ErrorReason::PlanLimit,
            "commands[0].miss_commitment",
            &[("bound", "events"), ("limit", "50000")],
        );
    }

    #[test]
    fn a_plan_that_is_too_large_takes_only_what_ends_it() {
        let long = "x".repeat(8 * 1_024);
        let observed = |id: &str| {
            Asked::SucceedTactic(proto::SucceedTactic {
                tactic_id: id.to_owned(),
                observed: long.clone(),
            })
        };
        let mut world = given_plan([adopt("s")]);
        let mut filled = 0;
        while filled < PLAN_BYTES_MAX - 64 * 1_024 {
            let id = format!("t{filled}");
            let tried = (0..30).flat_map(|_| [attempt(&id), observed(&id)]);
            let added = add(&id, "");
            world = world.and_at_once(
                [added]
                    .into_iter()
                    .chain(tried)
                    .take(1 + 2 * ((PLAN_BYTES_MAX - filled) / long.len()).min(30)),
            );
            filled = world.plan.size_bound_bytes;
        }
        let stated = |n: usize| {
            Asked::StateAssumption(proto::StateAssumption {
                assumption_id: format!("a{n}"),
                statement: long.clone(),
                ..Default::default()
            })
        };
        let refusal = (0..).find_map(|n| match world.when(stated(n)).0 {
            Ok(decision) => {
                world.plan = decision.plan;
                None
            }
            Err(refusal) => Some(refusal),
        });
        let refusal = refusal.expect("the plan fills up");
        assert_eq!(refusal.reason, ErrorReason::PlanLimit);
        assert_eq!(refusal.metadata["bound"], "plan_bytes");
        world.plan = world.when(abandon("s")).then_plan();
        world.when(archive()).then_plan();
    }
}
