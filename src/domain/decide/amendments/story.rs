//! The dates of one commitment, told again with a correction in its place: each later move or miss
//! was recorded against the date that held before it, and must still be.

use super::{
    super::{CommandContext, Refusal, commitments::notice},
    not_correctable, standing,
};
use crate::{
    domain::{plan::Plan, value::Time},
    proto::{self, event::Kind},
};

/// The date that holds, as the story goes on.
struct Dates {
    made_at: Time,
    due: Time,
}

/// Refuses a correction after which the dates of its commitment do not follow from each other.
pub(super) fn holds_with(
    plan: &Plan,
    revision: u64,
    replacement: (&Kind, Time),
    context: &CommandContext<'_>,
) -> Result<(), Refusal> {
    let Some(commitment_id) = commitment_of(replacement.0) else {
        return Ok(());
    };
    let mut dates = None;
    for event in context.history.iter().chain(context.commit) {
        let told = if event.revision == revision {
            Some(replacement)
        } else {
            standing(plan, event, context)
        };
        let Some((kind, happened_at)) = told else {
            continue;
        };
        if commitment_of(kind) == Some(commitment_id)
            && let Err(why) = tell(&mut dates, kind, happened_at)
        {
            let message = format!(
                "Event {revision} cannot be corrected in this way, because {why} by event {}.",
                event.revision
            );
            return Err(not_correctable(revision, "replacement", message, context));
        }
    }
    Ok(())
}

/// The commitment whose dates an event sets, moves or misses.
fn commitment_of(kind: &Kind) -> Option<&str> {
    let (Kind::CommitmentMade(proto::CommitmentMade { commitment_id, .. })
    | Kind::DeadlineMoved(proto::DeadlineMoved { commitment_id, .. })
    | Kind::DeadlineMissed(proto::DeadlineMissed { commitment_id, .. })) = kind
    else {
        return None;
    };
    Some(commitment_id)
}

fn tell(dates: &mut Option<Dates>, kind: &Kind, at: Time) -> Result<(), &'static str> {
    if let Kind::CommitmentMade(it) = kind {
        let due = time(it.due);
        *dates = Some(Dates { made_at: at, due });
        return holds(due > at, "the commitment would be due before it was made");
    }
    let Some(dates) = dates else { return Ok(()) };
    if let Kind::DeadlineMoved(it) = kind {
        tell_move(dates, it, at)
    } else if let Kind::DeadlineMissed(it) = kind {
        tell_miss(dates, it, at)
    } else {
        Ok(())
    }
}

fn tell_move(
    dates: &mut Dates,
    moved: &proto::DeadlineMoved,
    at: Time,
) -> Result<(), &'static str> {
    let (old, new) = (time(moved.old), time(moved.new));
    holds(old == dates.due, "the date was moved from another")?;
    holds(
        moved.notice() == notice(at, old),
        "whether the move was said in time was recorded",
    )?;
    holds(
        new > dates.made_at,
        "the commitment would be due before it was made",
    )?;
    dates.due = new;
    Ok(())
}

/// A date that passed in silence counts only while it is the one that holds: otherwise it was
/// never due, and the plan passes it over.
fn tell_miss(dates: &Dates, missed: &proto::DeadlineMissed, at: Time) -> Result<(), &'static str> {
    let due = time(missed.due);
    if missed.silent {
        return holds(
            due != dates.due || due <= at,
            "the date would not have passed",
        );
    }
    holds(due == dates.due, "another date was said to be missed")?;
    holds(
        missed.notice() == notice(at, due),
        "whether the miss was said in time was recorded",
    )
}

fn holds(fact: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if fact { Ok(()) } else { Err(otherwise) }
}

fn time(timestamp: Option<prost_types::Timestamp>) -> Time {
    timestamp.map_or_else(Time::default, Time::from)
}
