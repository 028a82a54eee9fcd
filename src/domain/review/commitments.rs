//! Findings about what was promised: whose word held, and who has promised too much.

use std::collections::BTreeMap;

use super::{
    Case, Draft,
    codes::{COM001, COM002, COM003},
    day, enumerated, times,
    trail::CommitmentTrail,
};
use crate::domain::{
    plan::{Commitment, CommitmentState},
    value::Subject,
};

/// A deadline may be moved once; a second time it is no longer believed.
const MOVES_MAX: u32 = 1;

/// More open commitments than this nobody keeps in mind.
const OPEN_MAX: usize = 7;

pub(super) fn find(case: &Case<'_>, found: &mut Vec<Draft>) {
    for (id, commitment) in &case.plan.commitments {
        if let Some(trail) = case.trail.commitments.get(&**id) {
            found.extend(silent_miss(commitment, trail));
            found.extend(long_due(commitment, trail));
            found.extend(serial_mover(commitment, trail));
        }
    }
    found.extend(overload(case));
}

fn subject(commitment: &Commitment) -> Subject {
    Subject::Commitment(commitment.commitment_id.clone())
}

fn silent_miss(commitment: &Commitment, trail: &CommitmentTrail) -> Option<Draft> {
    if trail.late_misses.is_empty() {
        return None;
    }
    let id = &commitment.commitment_id;
    let who = &commitment.assignee;
    let todo = match &commitment.state {
        CommitmentState::Open | CommitmentState::Overdue => {
            format!("ask {who} what has become of it, and keep, move, release or miss it on record")
        }
        CommitmentState::Kept(_)
        | CommitmentState::KeptLate(_)
        | CommitmentState::Missed { .. }
        | CommitmentState::Released(_) => {
            format!("agree with {who} to say so before the date when a promise cannot be kept")
        }
    };
    let mut dates: Vec<_> = trail.late_misses.iter().map(|(_, due)| day(*due)).collect();
    dates.dedup();
    let message = format!(
        "Commitment `{id}` of {who} was missed on {}, and nobody said so before: {todo}.",
        enumerated(dates)
    );
    let behind = trail.late_misses.iter().map(|(revision, _)| *revision);
    let behind = behind.chain([commitment.made_revision]);
    Some(Draft::new(&COM001, subject(commitment), behind, message))
}

/// The clock misses what falls due while it is on record; what was recorded when it was due already
/// has only the review to speak up for it.
fn long_due(commitment: &Commitment, trail: &CommitmentTrail) -> Option<Draft> {
    if !commitment.is_open() || !trail.late_misses.is_empty() {
        return None;
    }
    let (id, who) = (&commitment.commitment_id, &commitment.assignee);
    let message = format!(
        "Commitment `{id}` of {who} was due on {} and is still open: ask {who} what has become of it, and \
         keep, move, release or miss it on record.",
        day(commitment.due)
    );
    let behind = trail.moves.last().copied();
    let behind = [commitment.made_revision].into_iter().chain(behind);
    let draft = Draft::new(&COM001, subject(commitment), behind, message);
    Some(draft.from(commitment.due.next()))
}

fn serial_mover(commitment: &Commitment, trail: &CommitmentTrail) -> Option<Draft> {
    let (moves, late) = (commitment.moves, commitment.late_moves);
    if moves <= MOVES_MAX && late == 0 {
        return None;
    }
    let id = &commitment.commitment_id;
    let late = match late {
        0 => String::new(),
        1 if moves == 1 => ", when it was due already".to_owned(),
        all if all == moves => ", each time when it was due already".to_owned(),
        some => format!(", {} when it was due already", times(number(some))),
    };
    let todo = if commitment.is_open() {
        "find out what keeps it from being done, and promise less or release it rather than move it \
         again"
    } else {
        "find out what kept it from being done, and promise less the next time"
    };
    let message = format!(
        "The deadline of commitment `{id}` of {} was moved {}{late}, to {}: {todo}.",
        commitment.assignee,
        times(number(moves)),
        day(commitment.due)
    );
    let behind = trail.moves.iter().copied();
    Some(Draft::new(&COM002, subject(commitment), behind, message))
}

fn number(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn overload(case: &Case<'_>) -> Option<Draft> {
    let mut held: BTreeMap<&str, Vec<&Commitment>> = BTreeMap::new();
    for commitment in case.plan.commitments.values().filter(|it| it.is_open()) {
        let of_assignee = held.entry(&commitment.assignee).or_default();
        of_assignee.push(commitment);
    }
    held.retain(|_, commitments| commitments.len() > OPEN_MAX);
    if held.is_empty() {
        return None;
    }
    let counts = held
        .iter()
        .map(|(assignee, commitments)| format!("{assignee}: {}", commitments.len()));
    let message = format!(
        "More than {OPEN_MAX} commitments of this plan are open for {} ({}): reassign or \
         release some with `reassign_commitment` or `release_commitment` before they are missed.",
        match held.len() {
            1 => "one person".to_owned(),
            more => format!("each of {more} people"),
        },
        enumerated(counts.collect())
    );
    let commitments = || held.values().flatten();
    let behind = commitments().filter_map(|it| case.trail.commitments.get(&*it.commitment_id));
    let behind = behind.map(|it| it.assigned);
    let draft = Draft::new(&COM003, Subject::Plan, behind, message);
    Some(draft.about(commitments().map(|it| subject(it))))
}
