//! One validator for each promise, and one for the model of a plan. Each is a function of a history of
//! calls and the log that was read at its end, and says the first thing that breaks its promise; what
//! another promise forbids is left to that one's validator.

use std::collections::BTreeSet;

use super::{
    checker::linearize,
    model::{PlanModel, calls_of},
    record::{Call, History, Log, Moment, Outcome, Request},
};
use strata::proto::{GetPlanResponse, LogEntry, watch_response::Response};

mod reads;
mod streams;
mod writes;

pub(super) use streams::root_of;

/// What is wrong, in words.
pub(super) type Verdict = Result<(), String>;
/// A promise held against what was seen.
pub(super) type Validator = fn(&History, &Log) -> Verdict;

/// The validators by the names of their promises.
pub(super) const VALIDATORS: [(&str, Validator); 12] = [
    ("durable", writes::durable),
    ("atomic", writes::atomic),
    ("exactly_once", writes::exactly_once),
    ("isolated", writes::isolated),
    ("ordered", writes::ordered),
    ("only_durable_is_shown", reads::only_durable_is_shown),
    ("read_your_writes", reads::read_your_writes),
    ("watch", streams::watch),
    ("replayable", reads::replayable),
    ("loss_is_noticed", streams::loss_is_noticed),
    ("tamper_evident", streams::tamper_evident),
    ("linearizable", linearizable),
];

/// The promises that the history breaks, and how.
pub(super) fn broken(history: &History, log: &Log) -> Vec<(&'static str, String)> {
    let verdicts = VALIDATORS
        .iter()
        .map(|(name, check)| (*name, check(history, log)));
    verdicts
        .filter_map(|(name, verdict)| Some((name, verdict.err()?)))
        .collect()
}

/// All calls on each plan can be put in an order in which the model of one plan answers them alike.
fn linearizable(history: &History, log: &Log) -> Verdict {
    for plan_id in plans(history) {
        let calls = calls_of(history, log, &plan_id);
        if let Err(stuck) = linearize(&PlanModel, &calls) {
            let last = stuck.order.last().map(|index| &calls[*index]);
            let next: Vec<_> = stuck.next.iter().map(|index| &calls[*index]).collect();
            return Err(format!(
                "{plan_id}: after {} of {} calls, the last of them {last:?}, none of these can be \
                 next: {next:#?}",
                stuck.order.len(),
                calls.len(),
            ));
        }
    }
    Ok(())
}

/// The plans that requests name.
fn plans(history: &History) -> BTreeSet<String> {
    let named = history.calls.iter().filter_map(Call::execute);
    named.map(|request| request.plan_id.clone()).collect()
}

/// The highest position that was known at each moment.
struct Known {
    /// The moments from which on positions were known, both ascending.
    since: Vec<(Moment, u64)>,
}

impl Known {
    fn of(mut positions: Vec<(Moment, u64)>) -> Self {
        positions.sort_unstable();
        let mut highest = 0;
        for (_, position) in &mut positions {
            highest = highest.max(*position);
            *position = highest;
        }
        Self { since: positions }
    }

    /// What answers to writes said.
    fn acknowledged(history: &History) -> Self {
        let acknowledged = history.calls.iter().filter_map(|call| {
            let (_, response) = call.acknowledged()?;
            Some((call.returned, response.entry.as_ref()?.position))
        });
        Self::of(acknowledged.collect())
    }

    /// What any answer and any watch showed.
    fn seen(history: &History) -> Self {
        let calls = history.calls.iter();
        let answers = calls.filter_map(|call| Some((call.returned, seen_in(call)?)));
        let messages = history.watches.iter().flat_map(|watch| &watch.messages);
        let watched = messages.map(|(moment, response)| (*moment, reached(response)));
        Self::of(answers.chain(watched).collect())
    }

    /// The highest position known before a moment.
    fn before(&self, moment: Moment) -> u64 {
        let known = self.since.partition_point(|(since, _)| *since < moment);
        known.checked_sub(1).map_or(0, |last| self.since[last].1)
    }
}

/// Up to where an answer shows the log.
fn seen_in(call: &Call) -> Option<u64> {
    match &call.outcome {
        Outcome::Executed(response) => Some(response.entry.as_ref()?.position),
        Outcome::Plan(_) | Outcome::Plans(_) | Outcome::Events(_) => reflects(call),
        Outcome::Entries(read) => Some(read.position),
        Outcome::Refused(refused) => refused.number("position").or(refused.number("head")),
        Outcome::Unknown(_) => None,
    }
}

/// The position that the answer to a query says to reflect.
fn reflects(call: &Call) -> Option<u64> {
    match &call.outcome {
        Outcome::Plan(shown) => Some(shown.position),
        Outcome::Plans(listed) => Some(listed.position),
        Outcome::Events(page) => Some(page.position),
        Outcome::Executed(_) | Outcome::Entries(_) | Outcome::Refused(_) | Outcome::Unknown(_) => {
            None
        }
    }
}

/// Up to where a message of a watch shows the log.
pub(super) fn reached(response: &Response) -> u64 {
    match response {
        Response::Entries(entries) => entries.entries.last().map_or(0, |last| last.position),
        Response::Checkpoint(checkpoint) => checkpoint.position,
        Response::CaughtUp(caught_up) => caught_up.position,
    }
}

/// The commits that readers and watchers were sent, each with the moment in which it came.
fn sent(history: &History) -> impl Iterator<Item = (Moment, &LogEntry)> {
    let reads = history.calls.iter().flat_map(|call| {
        let entries = match &call.outcome {
            Outcome::Entries(read) => read.entries.as_slice(),
            Outcome::Executed(_)
            | Outcome::Plan(_)
            | Outcome::Plans(_)
            | Outcome::Events(_)
            | Outcome::Refused(_)
            | Outcome::Unknown(_) => &[],
        };
        entries.iter().map(|entry| (call.returned, entry))
    });
    let messages = history.watches.iter().flat_map(|watch| &watch.messages);
    let watched = messages.flat_map(|(moment, response)| {
        let entries = match response {
            Response::Entries(entries) => entries.entries.as_slice(),
            Response::Checkpoint(_) | Response::CaughtUp(_) => &[],
        };
        entries.iter().map(|entry| (*moment, entry))
    });
    reads.chain(watched)
}

/// The plans that were shown as they are now: each with its revision and the position that the
/// answer reflects.
fn shown_now(call: &Call) -> Vec<(&str, u64, u64)> {
    match (&call.request, &call.outcome) {
        (Request::GetPlan(request), Outcome::Plan(shown)) if request.as_of.is_none() => {
            let revision = shown.plan.as_ref().map_or(0, |plan| plan.revision);
            vec![(&request.plan_id, revision, shown.position)]
        }
        (Request::ListPlans(_), Outcome::Plans(listed)) => {
            let plans = listed.plans.iter();
            plans
                .map(|it| (it.plan_id.as_str(), it.revision, listed.position))
                .collect()
        }
        (Request::ListEvents(request), Outcome::Events(page)) if request.newest_first => {
            let last = page.events.first().and_then(|it| it.event.as_ref());
            let revision = last.map_or(0, |event| event.revision);
            vec![(&request.plan_id, revision, page.position)]
        }
        _ => Vec::new(),
    }
}

/// The plan that `GetPlan` showed.
fn plan_shown(call: &Call) -> Option<&GetPlanResponse> {
    match &call.outcome {
        Outcome::Plan(shown) => Some(shown),
        Outcome::Executed(_)
        | Outcome::Plans(_)
        | Outcome::Events(_)
        | Outcome::Entries(_)
        | Outcome::Refused(_)
        | Outcome::Unknown(_) => None,
    }
}
