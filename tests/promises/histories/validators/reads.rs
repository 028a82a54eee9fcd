//! What is promised of reading: only what is durable, all that was answered before, and the fold of
//! the events.

use std::collections::HashMap;

use strata::{
    domain::{evolve, show, value::Id},
    proto::{Plan, PlanView, RecordedEvent, point},
};

use super::{
    Call, History, Known, Log, Outcome, Request, Verdict, plan_shown, reflects, sent, shown_now,
};
use crate::histories::record::Moment;

/// Whatever any answer showed is in the log: commits, events, revisions, positions, also in refusals
/// and replays; and nothing was shown before it was asked for.
pub(super) fn only_durable_is_shown(history: &History, log: &Log) -> Verdict {
    let mut asked: HashMap<(&str, &str), Moment> = HashMap::new();
    for call in &history.calls {
        if let Some(request) = call.execute() {
            let name = (request.plan_id.as_str(), request.request_id.as_str());
            let first = asked.entry(name).or_insert(call.invoked);
            *first = call.invoked.min(*first);
        }
    }
    for (moment, entry) in sent(history) {
        if log.at(entry.position) != Some(entry) {
            return Err(format!(
                "what was sent of {} is not in the log",
                entry.position
            ));
        }
        let commit = entry.decode_commit().map_err(|error| error.to_string())?;
        let name = (commit.plan_id.as_str(), commit.request_id.as_str());
        if asked.get(&name).is_none_or(|asked| *asked > moment) {
            return Err(format!("{name:?} was shown before it was asked for"));
        }
    }
    for call in &history.calls {
        shown_is_in(log, call)?;
    }
    Ok(())
}

fn shown_is_in(log: &Log, call: &Call) -> Verdict {
    if let Some(position) = reflects(call).filter(|position| *position > log.head()) {
        return Err(format!("an answer reflects {position}, beyond the log"));
    }
    for (plan_id, revision, _) in shown_now(call) {
        is_recorded(log, plan_id, revision)?;
    }
    match (&call.request, &call.outcome) {
        (Request::Execute(request), Outcome::Executed(response)) if response.replayed => {
            let entry = response.entry.as_ref();
            if entry.and_then(|entry| log.at(entry.position)) != entry {
                return Err(format!(
                    "the replay of {} is not in the log",
                    request.request_id
                ));
            }
        }
        (Request::Execute(request), Outcome::Refused(refused)) => {
            let revision = refused.number("current_revision");
            is_recorded(log, &request.plan_id, revision.unwrap_or(0))?;
            let is_taken = refused.reason == "REQUEST_ID_REUSED";
            if is_taken && log.find(&request.plan_id, &request.request_id).is_none() {
                return Err(format!("{} is said to be recorded", request.request_id));
            }
        }
        (Request::ListEvents(request), Outcome::Events(page)) => {
            for event in &page.events {
                if !is_event_of(log, &request.plan_id, event) {
                    return Err(format!("{event:?} is not in the log"));
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn is_recorded(log: &Log, plan_id: &str, revision: u64) -> Verdict {
    if revision > log.revision_at(plan_id, u64::MAX) {
        return Err(format!("{plan_id} was shown at {revision}, beyond the log"));
    }
    Ok(())
}

fn is_event_of(log: &Log, plan_id: &str, shown: &RecordedEvent) -> bool {
    let mut commits = log.of_plan(plan_id);
    let Some((_, commit)) = commits.find(|(position, _)| *position == shown.position) else {
        return false;
    };
    let event = shown.event.as_ref();
    commit.request_id == shown.request_id
        && commit.recorded_at == shown.recorded_at
        && commit.actor == shown.actor
        && commit.on_behalf_of == shown.on_behalf_of
        && commit.events.iter().any(|recorded| Some(recorded) == event)
}

/// What was answered before a query was sent is in its answer, and so is the position it asked for.
pub(super) fn read_your_writes(history: &History, _: &Log) -> Verdict {
    let known = Known::acknowledged(history);
    for call in &history.calls {
        let mut least = known.before(call.invoked);
        let reached = match (&call.request, &call.outcome) {
            (Request::GetPlan(request), outcome) => {
                least = least.max(request.min_position);
                if let Outcome::Refused(refused) = outcome
                    && refused.reason == "BEYOND_HEAD"
                    && let Some(point::Point::Position(asked)) =
                        request.as_of.and_then(|as_of| as_of.point)
                    && asked <= least
                {
                    return Err(format!(
                        "{asked} was answered, and then lay beyond the head"
                    ));
                }
                reflects(call)
            }
            (Request::ListPlans(request), _) => {
                least = least.max(request.min_position);
                reflects(call)
            }
            (Request::ListEvents(request), _) => {
                least = least.max(request.min_position);
                reflects(call)
            }
            (Request::ReadLog(request), Outcome::Entries(read)) if read.whole => {
                least = least.max(request.min_position);
                (request.to_position == 0).then_some(read.position)
            }
            (Request::Execute(_) | Request::ReadLog(_), _) => None,
        };
        if let Some(reached) = reached.filter(|reached| *reached < least) {
            return Err(format!(
                "a query shows {reached} when {least} was answered: {call:?}"
            ));
        }
    }
    Ok(())
}

/// Every plan that was shown is the fold of its events in the log, up to the revision shown.
pub(super) fn replayable(history: &History, log: &Log) -> Verdict {
    let mut folds: HashMap<(String, u64), (Plan, Plan)> = HashMap::new();
    for call in &history.calls {
        let (Request::GetPlan(request), Some(shown)) = (&call.request, plan_shown(call)) else {
            continue;
        };
        let Some(plan) = &shown.plan else {
            return Err("an answer without a plan".to_owned());
        };
        let (id, revision) = (&plan.plan_id, plan.revision);
        let fold = || {
            let folded = evolve::fold(Id::from(id.as_str()), &log.events(id, revision));
            (Plan::from(&folded), show::basic(&folded))
        };
        let folded = folds.entry((id.clone(), revision)).or_insert_with(fold);
        let expected = match request.view() {
            PlanView::Basic => &folded.1,
            PlanView::Unspecified | PlanView::Full => &folded.0,
        };
        // What lies beyond the log is not durable, which is another promise.
        if plan != expected && revision <= log.revision_at(id, u64::MAX) {
            return Err(format!(
                "{id} at {revision} is not the fold of its events: {plan:?}"
            ));
        }
    }
    Ok(())
}
