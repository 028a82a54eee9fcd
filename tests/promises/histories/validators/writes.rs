//! What is promised of writing: durable, atomic, exactly once, isolated, ordered.

use std::collections::{HashMap, HashSet};

use strata::proto::{LogEntry, ReadLogRequest, point, read_log_request::Start};

use super::{Call, History, Known, Log, Outcome, Request, Verdict, plan_shown, shown_now};
use crate::histories::{
    model::records,
    record::{Read, last_revision},
};

/// Every commit that was answered as new is in the log, where and as it was answered.
pub(super) fn durable(history: &History, log: &Log) -> Verdict {
    for (request, response) in history.calls.iter().filter_map(Call::acknowledged) {
        let Some(entry) = &response.entry else {
            return Err(format!(
                "{} was answered without an entry",
                request.request_id
            ));
        };
        if !response.replayed && log.at(entry.position) != Some(entry) {
            return Err(format!(
                "{} was recorded at {}, where the log holds something else or nothing",
                request.request_id, entry.position
            ));
        }
    }
    Ok(())
}

/// Every commit in the log is the whole of a request that was not refused, and no answer shows a
/// plan in the middle of a commit without saying so.
pub(super) fn atomic(history: &History, log: &Log) -> Verdict {
    recorded_whole(history, log)?;
    shown_whole(history, log)
}

fn recorded_whole(history: &History, log: &Log) -> Verdict {
    let mut asked: HashMap<(&str, &str), Vec<&Call>> = HashMap::new();
    for call in &history.calls {
        if let Some(request) = call.execute() {
            let name = (request.plan_id.as_str(), request.request_id.as_str());
            asked.entry(name).or_default().push(call);
        }
    }
    for (position, commit) in log.commits() {
        let name = (commit.plan_id.as_str(), commit.request_id.as_str());
        let calls = asked.get(&name).into_iter().flatten();
        let mut whole = calls.filter(|call| {
            let request = call.execute();
            request.is_some_and(|it| !it.validate_only && records(it, commit))
                && call.refused().is_none()
        });
        if whole.next().is_none() {
            return Err(format!(
                "the commit of {name:?} at {position} is not the whole of a request that was not \
                 refused"
            ));
        }
    }
    Ok(())
}

fn shown_whole(history: &History, log: &Log) -> Verdict {
    let mut ends: HashMap<&str, HashSet<u64>> = HashMap::new();
    for (_, commit) in log.commits() {
        let ends = ends.entry(&commit.plan_id).or_default();
        ends.insert(last_revision(commit));
    }
    // What lies beyond the log is not durable, which is another promise.
    let is_inside = |plan_id: &str, revision: u64| {
        let ends = ends.get(plan_id);
        ends.is_some_and(|it| !it.contains(&revision) && it.iter().any(|end| *end > revision))
            && revision > 0
    };
    for call in &history.calls {
        for (plan_id, revision, _) in shown_now(call) {
            if is_inside(plan_id, revision) {
                return Err(format!(
                    "{plan_id} was shown inside a commit, at {revision}"
                ));
            }
        }
        let Some(shown) = plan_shown(call) else {
            continue;
        };
        let Some(plan) = &shown.plan else {
            return Err("an answer without a plan".to_owned());
        };
        if is_inside(&plan.plan_id, plan.revision) != shown.inside_commit {
            let said = shown.inside_commit;
            return Err(format!(
                "{} at {}: said {said}",
                plan.plan_id, plan.revision
            ));
        }
    }
    Ok(())
}

/// No request is in the log twice, each is answered as new once, and then always with that answer;
/// other content under its id is refused, and only that.
pub(super) fn exactly_once(history: &History, log: &Log) -> Verdict {
    let mut recorded = HashSet::new();
    for (position, commit) in log.commits() {
        if !recorded.insert((&commit.plan_id, &commit.request_id)) {
            return Err(format!(
                "{} is there twice, at {position} too",
                commit.request_id
            ));
        }
    }
    let mut first: HashMap<_, (&LogEntry, bool)> = HashMap::new();
    for (request, response) in history.calls.iter().filter_map(Call::acknowledged) {
        let name = (&request.plan_id, &request.request_id);
        let Some(entry) = &response.entry else {
            continue;
        };
        let commit = entry.decode_commit().map_err(|error| error.to_string())?;
        if commit.request_id != request.request_id || !records(request, &commit) {
            return Err(format!("{name:?} was answered with the commit of another"));
        }
        let (earlier, new) = first.entry(name).or_insert((entry, false));
        if *earlier != entry {
            return Err(format!("{name:?} was answered with two commits"));
        }
        if *new && !response.replayed {
            return Err(format!("{name:?} was answered as new twice"));
        }
        *new |= !response.replayed;
    }
    for call in &history.calls {
        let (Some(request), Some(refused)) = (call.execute(), call.refused()) else {
            continue;
        };
        let Some((position, commit)) = log.find(&request.plan_id, &request.request_id) else {
            continue;
        };
        let is_taken = refused.reason == "REQUEST_ID_REUSED";
        if is_taken && (records(request, commit) || refused.number("position") != Some(position)) {
            return Err(format!("{} was taken for another", request.request_id));
        }
    }
    Ok(())
}

/// The commits of a plan follow each other, each decided on the revision that its request expected,
/// and a conflict names a revision that the plan had between two commits, other than the expected.
pub(super) fn isolated(history: &History, log: &Log) -> Verdict {
    let mut revisions: HashMap<&str, Vec<u64>> = HashMap::new();
    for (position, commit) in log.commits() {
        let revisions = revisions.entry(&commit.plan_id).or_insert_with(|| vec![0]);
        let last = revisions.last().copied().unwrap_or_default();
        let events = commit.events.iter().map(|event| event.revision);
        if commit.first_revision != last + 1 || !events.eq(last + 1..=last_revision(commit)) {
            return Err(format!(
                "{} goes on otherwise at {position}",
                commit.plan_id
            ));
        }
        revisions.push(last_revision(commit));
    }
    decided_as_expected(history)?;
    for call in &history.calls {
        let (Some(request), Some(refused)) = (call.execute(), call.refused()) else {
            continue;
        };
        if refused.reason != "REVISION_CONFLICT" {
            continue;
        }
        let current = refused.number("current_revision");
        let between = revisions.get(request.plan_id.as_str());
        let last = between
            .and_then(|it| it.last())
            .copied()
            .unwrap_or_default();
        let was_between =
            |current: &u64| *current > last || between.is_some_and(|it| it.contains(current));
        if current == request.expected_revision || !current.as_ref().is_some_and(was_between) {
            return Err(format!("{} was refused at {current:?}", request.request_id));
        }
    }
    Ok(())
}

fn decided_as_expected(history: &History) -> Verdict {
    for (request, response) in history.calls.iter().filter_map(Call::acknowledged) {
        let Some(entry) = response.entry.as_ref().filter(|_| !response.replayed) else {
            continue;
        };
        let commit = entry.decode_commit().map_err(|error| error.to_string())?;
        let decided_on = commit.first_revision - 1;
        let expected = request.expected_revision.unwrap_or(decided_on);
        if expected != decided_on {
            return Err(format!(
                "{} expected revision {expected} and was decided on {decided_on}",
                request.request_id
            ));
        }
    }
    Ok(())
}

/// Positions are 1, 2, 3, …, times do not run backwards along them, what was sent after an answer
/// comes after it, what was sent in order on one stream is in that order, and an answer that says to
/// reflect a position does.
pub(super) fn ordered(history: &History, log: &Log) -> Verdict {
    let mut time = None;
    for ((position, commit), expected) in log.commits().zip(1..) {
        let recorded_at = commit.recorded_at.map(|at| (at.seconds, at.nanos));
        if position != expected || recorded_at < time {
            return Err(format!(
                "{position} stands at {expected}, or is older than that before"
            ));
        }
        time = recorded_at;
    }
    in_order_of_calls(history)?;
    reflected(history, log)
}

fn in_order_of_calls(history: &History) -> Verdict {
    let known = Known::acknowledged(history);
    let mut pipelines: HashMap<u64, u64> = HashMap::new();
    for call in &history.calls {
        let Some((request, response)) = call.acknowledged() else {
            continue;
        };
        let Some(entry) = response.entry.as_ref().filter(|_| !response.replayed) else {
            continue;
        };
        let before = known.before(call.invoked);
        if entry.position <= before {
            return Err(format!(
                "{} was recorded at {}, and sent after {before} was answered",
                request.request_id, entry.position
            ));
        }
        if let Some(pipeline) = call.pipeline {
            let before = pipelines.insert(pipeline, entry.position);
            if before.is_some_and(|before| before >= entry.position) {
                return Err(format!("{} overtook its stream", request.request_id));
            }
        }
    }
    Ok(())
}

fn reflected(history: &History, log: &Log) -> Verdict {
    for call in &history.calls {
        for (plan_id, revision, position) in shown_now(call) {
            reflects_position(log, plan_id, revision, position)?;
        }
        if let (Request::ReadLog(request), Outcome::Entries(read)) = (&call.request, &call.outcome)
        {
            is_stretch(request, read)?;
        }
        if let (Request::GetPlan(request), Outcome::Plan(shown)) = (&call.request, &call.outcome)
            && let Some(point::Point::Position(position)) =
                request.as_of.and_then(|as_of| as_of.point)
        {
            let revision = shown.plan.as_ref().map_or(0, |plan| plan.revision);
            reflects_position(log, &request.plan_id, revision, position)?;
        }
    }
    Ok(())
}

/// Whether what was read of the log has no hole.
fn is_stretch(request: &ReadLogRequest, read: &Read) -> Verdict {
    let from = match request.start {
        Some(Start::FromPosition(position)) => position,
        None => 1,
        Some(Start::FromTime(_) | Start::FromNow(_) | Start::Bookmark(_)) => return Ok(()),
    };
    let positions = read.entries.iter().map(|entry| entry.position);
    if !request.plan_ids.is_empty() || positions.eq(from..=read.position) {
        return Ok(());
    }
    Err(format!(
        "the log was read from {from} to {} with holes",
        read.position
    ))
}

/// Whether a revision belongs to the plan's last commit up to a position.
fn reflects_position(log: &Log, plan_id: &str, revision: u64, position: u64) -> Verdict {
    let last = log.of_plan(plan_id).rfind(|(at, _)| *at <= position);
    let fits = last.is_some_and(|(_, commit)| {
        (commit.first_revision..=last_revision(commit)).contains(&revision)
    });
    // What lies beyond the log is not durable, which is another promise.
    if fits || position > log.head() {
        return Ok(());
    }
    Err(format!(
        "{plan_id} was shown at revision {revision} as of {position}"
    ))
}
