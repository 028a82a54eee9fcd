//! Findings about tactics and their attempts: who answers for them, when they end, and whether they
//! were worth beginning.

use foldhash::HashMap;

use super::{
    Case, Draft, Message,
    codes::{TAC002, TAC003, TAC004, TAC005, TAC006, TAC007},
    day, is_blank, listed, times,
    trail::TacticTrail,
};
use crate::domain::{
    plan::{Attempt, Commitment, Tactic},
    value::Subject,
};

pub(super) fn find(case: &Case<'_>, found: &mut Vec<Draft>) {
    let promised = commitments_of_tried(case);
    for tactic in case.plan.tactics.values() {
        if let Some(attempt) = tactic.open_attempt() {
            let commitments = promised.get(&*tactic.tactic_id);
            let commitments = commitments.map_or(&[][..], Vec::as_slice);
            found.extend(no_owner(tactic, attempt, commitments));
            found.extend(no_stop_rule(tactic, attempt));
            found.extend(past_stop_rule(tactic, attempt));
        }
        found.extend(ungrouped(case, tactic));
        if let Some(trail) = case.trail.tactics.get(&*tactic.tactic_id) {
            found.extend(blind_repeat(tactic, trail));
            found.extend(too_early(tactic, trail));
        }
    }
}

fn subject(tactic: &Tactic) -> Subject {
    Subject::Tactic(tactic.tactic_id.clone())
}

/// The commitments for the tactics that are being tried.
fn commitments_of_tried<'a>(case: &Case<'a>) -> HashMap<&'a str, Vec<&'a Commitment>> {
    let tactics = case.plan.tactics.values();
    let tried = tactics.filter(|tactic| tactic.open_attempt().is_some());
    let mut promised: HashMap<_, Vec<_>> = tried
        .map(|tactic| (&*tactic.tactic_id, Vec::new()))
        .collect();
    if promised.is_empty() {
        return promised;
    }
    for commitment in case.plan.commitments.values() {
        let tactic_id = commitment.tactic_id.as_deref();
        if let Some(of_tactic) = tactic_id.and_then(|id| promised.get_mut(id)) {
            of_tactic.push(commitment.as_ref());
        }
    }
    promised
}

fn no_owner(tactic: &Tactic, attempt: &Attempt, commitments: &[&Commitment]) -> Option<Draft> {
    if commitments.iter().any(|commitment| commitment.is_open()) {
        return None;
    }
    let id = &tactic.tactic_id;
    let message = format!(
        "Attempt {} of tactic `{id}` has been under way since {} and nobody has promised it by a \
         date: make a commitment for it with `make_commitment`, with an assignee and a due date.",
        attempt.attempt,
        day(attempt.tried_at)
    );
    // A commitment that ended while the attempt went on left it without an owner.
    let ended = commitments.iter().map(|it| it.last_revision);
    let behind = ended
        .filter(|revision| *revision > attempt.tried_revision)
        .chain([attempt.tried_revision]);
    Some(Draft::new(&TAC002, subject(tactic), behind, message))
}

fn no_stop_rule(tactic: &Tactic, attempt: &Attempt) -> Option<Draft> {
    let mut rule = attempt.stop_rule.iter();
    if rule.any(|rule| rule.by.is_some() || !is_blank(&rule.state)) {
        return None;
    }
    let id = &tactic.tactic_id;
    let message = format!(
        "Attempt {} of tactic `{id}`, under way since {}, has no rule for when to give it up: agree \
         on one now and note it, and give the next attempt a `stop_rule`.",
        attempt.attempt,
        day(attempt.tried_at)
    );
    let behind = [attempt.tried_revision];
    Some(Draft::new(&TAC003, subject(tactic), behind, message))
}

fn past_stop_rule(tactic: &Tactic, attempt: &Attempt) -> Option<Draft> {
    let by = attempt.stop_rule.as_ref()?.by?;
    let id = &tactic.tactic_id;
    let message = Message::Lasting(
        format!(
            "Attempt {} of tactic `{id}` was to be looked at by {}, ",
            attempt.attempt,
            day(by)
        ),
        by,
        " ago, and is still open: end it with `fail_tactic`, `succeed_tactic` or `stop_tactic`."
            .into(),
    );
    let behind = [attempt.tried_revision];
    Some(Draft::new(&TAC004, subject(tactic), behind, message).from(by.next()))
}

fn blind_repeat(tactic: &Tactic, trail: &TacticTrail<'_>) -> Option<Draft> {
    let (failed, tried) = trail.repeats.last()?;
    let id = &tactic.tactic_id;
    let message = format!(
        "Tactic `{id}` was tried again {} after it had failed of its effect with nothing changed \
         since (last failed at revision {failed}, tried again at {tried}): before the next attempt \
         reword it, revise its strategy, or record evidence on its assumptions.",
        times(trail.repeats.len())
    );
    let behind = trail
        .repeats
        .iter()
        .flat_map(|(failed, tried)| [*failed, *tried]);
    Some(Draft::new(&TAC005, subject(tactic), behind, message))
}

fn ungrouped(case: &Case<'_>, tactic: &Tactic) -> Option<Draft> {
    if tactic.retired.is_some() || tactic.strategy_id.is_some() {
        return None;
    }
    let id = &tactic.tactic_id;
    let message = format!(
        "Tactic `{id}` serves no strategy, so nothing says what it is for or what comes after it: \
         put it under one with `regroup_tactic`, or retire it."
    );
    let trail = case.trail.tactics.get(&**id);
    let behind = trail.map(|it| it.grouped);
    Some(Draft::new(&TAC006, subject(tactic), behind, message))
}

fn too_early(tactic: &Tactic, trail: &TacticTrail<'_>) -> Option<Draft> {
    if trail.early_tries.is_empty() {
        return None;
    }
    let id = &tactic.tactic_id;
    let (earlier, todo) = match tactic.after_tactic_ids.as_slice() {
        _ if tactic.retired.is_some() => (
            "what it was to come after".to_owned(),
            "read what came of it as said of that order, not of the tactic".to_owned(),
        ),
        [] => (
            "what it was then to come after".to_owned(),
            format!("reword `{id}` before the next attempt if it still depends on that"),
        ),
        [only] => (
            format!("`{only}`, which it is to come after,"),
            format!(
                "wait for that before the next attempt, or reword `{id}` if it does not depend on it"
            ),
        ),
        several => (
            format!("all that it is to come after ({})", listed(several)),
            format!(
                "wait for these before the next attempt, or reword `{id}` if it does not depend on them"
            ),
        ),
    };
    let message = format!(
        "Tactic `{id}` was tried {} before {earlier} had succeeded: {todo}.",
        times(trail.early_tries.len())
    );
    let behind = trail.early_tries.iter().copied();
    Some(Draft::new(&TAC007, subject(tactic), behind, message))
}
